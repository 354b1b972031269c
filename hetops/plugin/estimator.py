"""The `Estimator` protocol: who says what a benchmark would measure, beside hetops' own closed form. Measures nothing."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hetops.domain.benchmark import Benchmark, BenchmarkAnswer


@runtime_checkable
class Estimator(Protocol):
    """One performance model. A user names it; it is never asked otherwise."""

    name: str
    margin: float
    """Share by which true rates may be lower: what a plan takes off, 0 to 1. Latencies may be off by as much."""

    def answer(self, asked: Benchmark) -> BenchmarkAnswer:
        """The answer to one benchmark. Raises HetopsError where there is none, with why and what to do, and PluginError where it can
        answer none at all, as without its package."""
        ...
