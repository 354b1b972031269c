"""What a benchmark of configurations consists of, and what its results say. Pure; starts and measures nothing.

Configurations that differ only in their number of sequences are one engine with more or fewer places: it is started once,
with the most, and what it does with B requests in flight holds for each that has B places (an empty place takes no part in
an engine's step).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import ClassVar

from hetops.domain.added import ADDED
from hetops.domain.configuration import Configuration
from hetops.domain.performance import Measurement
from hetops.domain.workload import WorkloadClass
from hetops.load.open_loops import OpenLoop
from hetops.load.samples import Figures
from hetops.load.schedule import Lengths
from hetops.load.stopping import Interval, StopRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Configurations that one engine stands for. `started` has the most sequences."""

    members: tuple[Configuration, ...]

    @property
    def started(self) -> Configuration:
        """What is started to measure them all."""
        return max(self.members, key=lambda c: c.max_sequences)

    @property
    def levels(self) -> tuple[int, ...]:
        """The concurrencies to measure at: alone, full for each member and, where there is one, between."""
        full = {c.max_sequences for c in self.members}
        between = {math.isqrt(*full)} if len(full) == 1 else set()
        return tuple(sorted({1, *between, *full}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One measurement: a class's mean lengths, always so many in flight in each replica."""

    workload_class: str
    lengths: Lengths
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What a trial measured, per replica; the estimates are those that a plan would have gone by without it."""

    trial: Trial
    configuration: str
    """`Configuration.id` of what was started."""
    replicas: int
    """Measured at once, so that each had the others as neighbours."""
    figures: Figures
    requests_per_second: Interval
    estimated_requests_per_second: float | None = None
    estimated_tpot_seconds: float | None = None
    engine_version: str = field(default="", metadata=ADDED)
    """As the engine tells it; empty where it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """What a benchmark measured."""

    FORMAT: ClassVar[str] = "hetops.bench"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    measured_at: datetime
    host: str
    results: tuple[TrialResult, ...]
    measurements: tuple[Measurement, ...]
    """As they were recorded for planning."""
    open_loops: tuple[OpenLoop, ...] = ()
    """At the rates that were asked for."""
    warnings: tuple[str, ...] = ()


def families(configurations: Iterable[Configuration]) -> tuple[Family, ...]:
    """The configurations, together where one engine stands for several."""
    ordered = sorted(configurations, key=lambda c: (c.gpu_count, _without_sequences(c)))
    grouped = groupby(ordered, key=_without_sequences)
    return tuple(Family(members=tuple(group)) for _, group in grouped)


def _without_sequences(configuration: Configuration) -> str:
    return replace(configuration, max_sequences=1).id


def trials(family: Family, classes: Sequence[WorkloadClass]) -> tuple[Trial, ...]:
    """Every class at every concurrency, alone first."""
    return tuple(
        Trial(
            workload_class=c.name,
            lengths=Lengths(
                input_tokens=max(1, round(c.input_tokens.mean)),
                output_tokens=max(2, round(c.output_tokens.mean)),
            ),
            concurrency=level,
        )
        for level in family.levels
        for c in classes
    )


def worth_it(trial: Trial, done: Sequence[TrialResult]) -> bool:
    """Whether to measure it still: not where the last two fuller loads of its class brought no higher rate than the best
    before them. A replica that full only answers later, and a line through what is known says how much."""
    rates = [r.requests_per_second.mean for r in done if r.trial.workload_class == trial.workload_class]
    return len(rates) < 3 or max(rates[-2:]) > _RISE * max(rates[:-2])


_RISE = 1.05


def rule(trial: Trial, seconds: float, requests: int, precision: float = 0.0) -> StopRule:
    """When a trial has measured enough: a fuller replica answers later, so it is given time for half a round at least, and as
    many requests as make two rounds are never too many."""
    fewest = min(requests, max(2, trial.concurrency // 2))
    enough = max(requests, 2 * trial.concurrency)
    return StopRule(max_seconds=seconds, max_requests=enough, min_requests=fewest, precision=precision)


def rate(figures: Figures, concurrency: int) -> Interval:
    """Requests a second of a replica with always so many in flight (Little's law)."""
    took = figures.seconds
    return Interval(
        mean=concurrency / took.mean,
        low=concurrency / took.high if took.high else None,
        high=concurrency / took.low if took.low and took.low > 0 else None,
    )


def measurements(
    family: Family, result: TrialResult, *, offer_sku: str, host: str, measured_at: datetime
) -> Iterator[Measurement]:
    """The result as evidence for each configuration that has as many places."""
    for member in family.members:
        if member.max_sequences >= result.trial.concurrency:
            yield measurement(member.id, result, offer_sku=offer_sku, host=host, measured_at=measured_at)


def measurement(
    configuration: str, result: TrialResult, *, offer_sku: str, host: str, measured_at: datetime
) -> Measurement:
    """The result as evidence for one configuration."""
    figures = result.figures
    return Measurement(
        configuration=configuration,
        offer_sku=offer_sku,
        host=host,
        input_tokens=figures.input_tokens,
        output_tokens=figures.output_tokens,
        concurrency=result.trial.concurrency,
        requests=figures.requests,
        requests_per_second=result.requests_per_second.mean,
        ttft_seconds=figures.ttft_seconds,
        tpot_seconds=figures.tpot_seconds,
        measured_at=measured_at.isoformat(),
        engine_version=result.engine_version,
    )
