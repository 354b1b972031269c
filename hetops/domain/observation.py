"""Observation: what the router measured of one request; reason for a re-plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    ABORTED = "aborted"
    """The client went away."""
    ENGINE_ERROR = "engine_error"
    REFUSED = "refused"
    """Not forwarded: bad key, unknown model, no healthy pool, too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One request as the router saw it. Times are UNIX seconds; durations are seconds; prompts are never kept."""

    FORMAT: ClassVar[str] = "hetops.observation"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    at: float
    workload_class: str
    pool: str
    endpoint: str
    outcome: Outcome
    status: int
    input_tokens: int
    output_tokens: int
    ttft_seconds: float | None
    tpot_seconds: float | None
    total_seconds: float
    retries: int = 0
