"""Emulated engines as real processes, and the options that tests start them with."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from hetops.domain.performance import StepTimes
from hetops.simulate.options import EmulatorOptions, to_arguments

MODEL = "llama-3.1-8b"
STEP_TIMES = StepTimes(
    weights_seconds=0.005,
    compute_seconds_per_sequence=0.0001,
    kv_seconds_per_token=1e-8,
    overhead_seconds=0.001,
    prefill_seconds_per_token=0.0001,
    kv_capacity_tokens=20_000,
    max_sequences=4,
)
PATIENCE_SECONDS = 20.0


def options(**fields: Any) -> EmulatorOptions:
    """A small replica; any field may be another."""
    told = {"model": MODEL, "gpu": "L4", "step_times": STEP_TIMES, "max_context_tokens": 8192}
    return EmulatorOptions(**(told | fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEngine:
    """A process that serves."""

    url: str
    process: subprocess.Popen[str]
    client: httpx.Client = field(repr=False)

    def chat(self, **fields: Any) -> httpx.Response:
        """A short chat; any field of the body may be another."""
        return self.client.post("/v1/chat/completions", json=chat_body(**fields))

    def metric(self, name: str, labels: str = "") -> float:
        """One figure of /metrics."""
        lines = self.client.get("/metrics").text.splitlines()
        (found,) = (line for line in lines if line.startswith(name + "{") and labels in line)
        return float(found.rpartition(" ")[2])


def chat_body(**fields: Any) -> dict[str, Any]:
    """The body of a chat."""
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": "hello there"}],
        "max_tokens": 5,
    } | fields


@contextlib.contextmanager
def engine(folder: Path, **fields: Any) -> Iterator[RunningEngine]:
    """An engine with those options, until the block is left."""
    with started(folder, **fields) as process:
        url = _told(folder / "endpoint", process)
        with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client:
            yield RunningEngine(url=url, process=process, client=client)


@contextlib.contextmanager
def started(folder: Path, **fields: Any) -> Iterator[subprocess.Popen[str]]:
    """The bare process, not waited for."""
    endpoint = folder / "endpoint"
    endpoint.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "hetops.simulate", *to_arguments(options(**fields))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HETOPS_ENDPOINT_FILE": str(endpoint)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _told(endpoint: Path, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not endpoint.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the engine told no endpoint"
        time.sleep(0.02)
    return endpoint.read_text(encoding="utf-8").strip()
