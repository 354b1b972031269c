"""Nodes of the local driver: requests for light and for real engines, and what became of their processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hetops_local import processes
from hetops_local.driver import LocalDriver

from hetops.plugin import Launch, NodeRequest
from tests.plugins import light_engine

PATIENCE_SECONDS = 20.0


def launch(*options: str, **fields: Any) -> Launch:
    """The engine with options such as `--loading 2`; any field of the launch may be another."""
    told = {
        "argv": (sys.executable, "-I", light_engine.__file__, *options),
        "ready_seconds": 20.0,
        "drain_seconds": 5.0,
    }
    return Launch(**(told | fields))


def request(name: str, *launches: Launch, **fields: Any) -> NodeRequest:
    """A node of these launches that takes no cores; any field may be another."""
    told = {
        "deployment": "test",
        "pool": "p",
        "sku": "light",
        "region": "local",
        "zone": "",
        "market": "on_demand",
    }
    return NodeRequest(name=name, launches=launches or (launch(),), **(told | fields))


def pid_of(folder: Path, name: str, replica: int = 0) -> int:
    """The process that a replica's folder names."""
    return int((folder / "nodes" / name / str(replica) / "pid").read_text())


def marked(folder: Path) -> tuple[processes.Marked, ...]:
    """The processes of all nodes of a state folder."""
    return tuple(m for m in processes.marked() if m.state_folder == str(folder))


def until(condition: Callable[[], object]) -> None:
    """Returns when the condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


@contextlib.contextmanager
def driven(folder: Path) -> Iterator[LocalDriver]:
    """A driver whose processes are ended with the block, whatever it knows of them."""
    try:
        yield LocalDriver(folder)
    finally:
        for process in marked(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
