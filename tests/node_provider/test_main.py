"""The program `pulumi-resource-hetops`: one line on stdout, and no life beyond its engine's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from hetops import __version__

PROGRAM = str(Path(sys.executable).parent / "pulumi-resource-hetops")


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The program as an engine starts it, with its engine's address."""
    environment = {**os.environ, "HETOPS_STATE": str(tmp_path)}
    started = subprocess.Popen(
        [PROGRAM, "127.0.0.1:1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def port_of(provider: subprocess.Popen[str]) -> int:
    assert provider.stdout is not None
    return int(provider.stdout.readline())


def test_its_first_line_is_the_port_it_serves_on(provider: subprocess.Popen[str]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port_of(provider)}") as channel:
        assert ResourceProviderStub(channel).GetPluginInfo(empty_pb2.Empty()).version == __version__
    provider.terminate()
    assert provider.communicate(timeout=10) == ("", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_provider(provider: subprocess.Popen[str], number: signal.Signals) -> None:
    port_of(provider)
    provider.send_signal(number)
    assert provider.wait(timeout=10) == 0


def test_it_ends_when_its_engine_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "HETOPS_STATE": str(tmp_path)}
    starter = (
        f"import subprocess; p = subprocess.Popen([{PROGRAM!r}, 'x']); print(p.pid, flush=True); p.wait()"
    )
    engine = subprocess.Popen(
        [sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert engine.stdout is not None
    provider = int(engine.stdout.readline())
    assert engine.stdout.readline().strip().isdecimal(), "the provider serves"
    engine.kill()
    engine.communicate()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{provider}/cmdline").exists() and Path(f"/proc/{provider}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it outlives its engine"
        time.sleep(0.05)
