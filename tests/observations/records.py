"""Observations and files of them, as a router writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hetops.domain import codec
from hetops.domain.observation import Observation, Outcome


def observation(at: float, **other: Any) -> Observation:
    """One answered request of the class `chat` on the pool `small`, but for what is said otherwise."""
    usual: dict[str, Any] = {
        "workload_class": "chat",
        "pool": "small",
        "endpoint": "http://127.0.0.1:1",
        "outcome": Outcome.OK,
        "status": 200,
        "input_tokens": 100,
        "output_tokens": 10,
        "ttft_seconds": 0.2,
        "tpot_seconds": 0.05,
        "total_seconds": 0.65,
    }
    return Observation(at=at, **(usual | other))


def line(of: Observation) -> bytes:
    """The observation as a line of a router's file."""
    return msgspec.json.encode(codec.to_builtins(of)) + b"\n"


def file(path: Path, observations: list[Observation]) -> Path:
    """A router's file."""
    path.write_bytes(b"".join(line(o) for o in observations))
    return path
