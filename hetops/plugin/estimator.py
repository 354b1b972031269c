"""The `Estimator` protocol: who says what a benchmark would measure, beside hetops' own closed form. Measures nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class Estimator(Protocol):
    """One performance model. A user names it; it is never asked otherwise."""

    name: str
    margin: float
    """Share by which true rates may be lower: what a plan takes off, 0 to 1."""

    def answer(self, asked: Benchmark) -> BenchmarkAnswer:
        """The answer to one benchmark. Raises HetopsError where there is none, with why and what to do."""
        ...
