"""Benchmarks that were made elsewhere: what one run says, and whether several runs can be believed. Pure.

Shows what contradicts itself; never averages it away, and never fills in what a file does not tell.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hetops.domain.performance import Measurement, many_failed

_SAME_LENGTHS = 0.05
"""Mean lengths that differ by no more are of one load."""
_SAME_SPEED = 0.15
"""Repeats of one benchmark differ by some 3 %; by so much they were not made on the same thing."""
_SAME_FIRST_TOKEN = 0.5
"""TTFT of short runs hangs on how the first requests met."""
_MOST_OFF_LITTLE = 3.0
"""How far a rate may be from requests in flight over the time of one: ramps of short runs explain a factor of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRun:
    """One benchmark run that kept `concurrency` requests in flight. Percentiles go as far as the file tells them."""

    where: str
    """File and place in it."""
    tool: str
    input_tokens: float
    output_tokens: float
    concurrency: int
    requests: int
    requests_per_second: float
    ttft_seconds: tuple[float, ...]
    """p50, p90, p95, p99"""
    tpot_seconds: tuple[float, ...]
    """p50, p90, p95, p99; empty where answers had one token."""
    configuration: str = ""
    """Where the file names it."""
    model: str = ""
    """As the engine was asked for it."""
    measured_at: datetime | None = None
    engine_version: str = ""
    failed: int = 0
    """Requests besides."""

    @property
    def figures(self) -> str:
        """The run in a line."""
        tpot = f", TPOT p50 {self.tpot_seconds[0] * 1000:.3g} ms" if self.tpot_seconds else ""
        return (
            f"{self.where}: {self.input_tokens:.0f}+{self.output_tokens:.0f} tokens, {self.concurrency} in flight:"
            f" {self.requests_per_second:.3g} requests/s, TTFT p50 {self.ttft_seconds[0] * 1000:.3g} ms{tpot}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """The runs of one file, and what of it was left out."""

    runs: tuple[ImportedRun, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """Benchmarks made elsewhere, as they were recorded for planning."""

    FORMAT: ClassVar[str] = "hetops.bench_import"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    host: str
    """The GPU type that they count for, or this machine."""
    tools: tuple[str, ...]
    """What made the files."""
    measurements: tuple[Measurement, ...]
    estimated_requests_per_second: tuple[float, ...]
    """What the closed form says of each measurement's load."""
    warnings: tuple[str, ...] = ()


def contradictions(runs: Sequence[ImportedRun]) -> tuple[str, ...]:
    """Runs that cannot be true together or by themselves, each shown with its figures."""
    pairs = itertools.combinations(runs, 2)
    return (
        *(f"{one.figures} (in flight over time of one: {_little(one):.3g})" for one in _impossible(runs)),
        *(
            f"{one.figures}: {one.failed} requests failed besides {one.requests}"
            for one in runs
            if many_failed(one.failed, one.requests + one.failed)
        ),
        *(f"{one.figures}: a percentile is below a lower one" for one in runs if _fall(one)),
        *(f"{a.figures}\n  against {b.figures}" for a, b in pairs if _disagree(a, b)),
    )


def as_run(m: Measurement, where: str) -> ImportedRun:
    """A measurement of ours as a run to compare with others."""
    return ImportedRun(
        where=where,
        tool="hetops bench",
        configuration=m.configuration,
        input_tokens=m.input_tokens,
        output_tokens=m.output_tokens,
        concurrency=m.concurrency,
        requests=m.requests,
        requests_per_second=m.requests_per_second,
        ttft_seconds=m.ttft_seconds,
        tpot_seconds=m.tpot_seconds,
    )


def changed(now: Sequence[ImportedRun], before: Sequence[Measurement]) -> Iterator[str]:
    """Runs that tell something else than what was recorded last of their load, each beside it."""
    known = [(as_run(m, f"recorded before, {m.measured_at}"), m.measured_at) for m in before]
    for run in now:
        alike = [(at, one) for one, at in known if _same_load(one, run)]
        last = max(alike, key=lambda pair: pair[0], default=None)
        if last and not _same_result(last[1], run):
            yield f"{last[1].figures}; now {run.figures}"


def _disagree(a: ImportedRun, b: ImportedRun) -> bool:
    """Whether two runs are of one load and tell different things of it."""
    return _same_load(a, b) and not _same_result(a, b)


def _impossible(runs: Sequence[ImportedRun]) -> Iterator[ImportedRun]:
    """Runs whose rate is far from what their latencies allow: units mixed up, or several replicas taken for one."""
    for one in runs:
        off = one.requests_per_second / _little(one)
        if not 1 / _MOST_OFF_LITTLE <= off <= _MOST_OFF_LITTLE:
            yield one


def _fall(one: ImportedRun) -> bool:
    return any(tuple(sorted(told)) != told for told in (one.ttft_seconds, one.tpot_seconds))


def _little(one: ImportedRun) -> float:
    """Requests a second that a replica completes with so many in flight and such latencies (Little's law)."""
    tpot = one.tpot_seconds[0] if one.tpot_seconds else 0.0
    return one.concurrency / (one.ttft_seconds[0] + max(0.0, one.output_tokens - 1.0) * tpot)


def _same_load(a: ImportedRun, b: ImportedRun) -> bool:
    return (
        a.configuration == b.configuration
        and a.concurrency == b.concurrency
        and _near(a.input_tokens, b.input_tokens, _SAME_LENGTHS)
        and _near(a.output_tokens, b.output_tokens, _SAME_LENGTHS)
    )


def _same_result(a: ImportedRun, b: ImportedRun) -> bool:
    decoded = zip(a.tpot_seconds[:1], b.tpot_seconds[:1], strict=False)
    return (
        _near(a.requests_per_second, b.requests_per_second, _SAME_SPEED)
        and all(_near(x, y, _SAME_SPEED) for x, y in decoded)
        and _near(a.ttft_seconds[0], b.ttft_seconds[0], _SAME_FIRST_TOKEN)
    )


def _near(a: float, b: float, share: float) -> bool:
    return abs(a - b) <= share * max(a, b)
