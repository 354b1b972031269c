"""Benchmark: what is asked of whoever estimates a replica, and the answer."""

from __future__ import annotations

from dataclasses import dataclass

from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What is asked: one replica with always so many requests of these lengths in flight."""

    configuration: Configuration
    model: Model
    gpu: GpuType
    input_tokens: int
    output_tokens: int
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkAnswer:
    """What the benchmark would measure."""

    requests_per_second: float
    ttft_seconds: float
    """Median."""
    tpot_seconds: float
    """Median."""

    def __post_init__(self) -> None:
        for name in ("requests_per_second", "ttft_seconds", "tpot_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number above zero, found {getattr(self, name)}")
