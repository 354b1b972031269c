"""What a record says of each class: latencies, and how many requests kept their targets. Pure.

A request that was not answered has kept no target. Latencies are those of answered requests; one that was neither answered
nor failed when a simulation was stopped counts nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.domain.observation import Outcome
from hetops.domain.workload import WorkloadClass
from hetops.simulate.arrivals import Arrivals, Floats, Integers
from hetops.simulate.record import Record

Bools = NDArray[np.bool_]

_TOLERANCE_SECONDS = 1e-6
"""What is as long as its target is kept, whatever the digits of the time of day make of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """A latency over many requests, in seconds."""

    p50: float
    p90: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Floats) -> Percentiles | None:
        """Of a latency's values; None where there are none."""
        if not len(seconds):
            return None
        p50, p90, p95, p99 = (float(v) for v in np.percentile(seconds, (50, 90, 95, 99)))
        return cls(p50=p50, p90=p90, p95=p95, p99=p99)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOutcome:
    """One class, as it was served. None stands where no request has such a figure."""

    name: str
    requests: int
    """Those that are over, however they ended."""
    answered: int
    requests_per_second: float
    ttft: Percentiles | None
    tpot: Percentiles | None
    ttft_seconds: float | None
    """At the percentile of the class's target, as TPOT."""
    tpot_seconds: float | None
    ttft_attainment: float | None
    """Share of the requests that were answered within the target's TTFT, as for TPOT and for both."""
    tpot_attainment: float | None
    attainment: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """A record as arrays, one element a request."""

    label: Integers
    """The index of its class; -1 for one that never came."""
    over: Bools
    answered: Bools
    ttft: Floats
    """Endless where no first token came."""
    tpot: Floats
    """None of a number where there are fewer than two tokens."""
    ttft_kept: Bools
    """Answered within the TTFT of its class's target, as for TPOT."""
    tpot_kept: Bools

    @property
    def kept(self) -> Bools:
        """Answered within both."""
        return self.ttft_kept & self.tpot_kept


def served(
    arrivals: Arrivals,
    record: Record,
    classes: Sequence[WorkloadClass],
    label: Sequence[int],
    round_trips: Floats | None = None,
) -> Served:
    """The record of those arrivals; `label` is each one's class by its index. TTFT is as seen from where it came, with the seconds
    there and back, by class (rows) and pool."""
    first, ended = np.array(record.first_at), np.array(record.ended_at)
    answered = np.array([outcome is Outcome.OK for outcome in record.outcomes])
    gaps = arrivals.output_tokens - 1
    tpot = np.full(len(arrivals), np.nan)
    counted = answered & (gaps > 0)
    tpot[counted] = (ended[counted] - first[counted]) / gaps[counted]
    ttft, of = first - arrivals.at_seconds, np.array(label, dtype=np.int64)
    if round_trips is not None:
        pools = np.array(record.pools, dtype=np.int64)
        ttft = ttft + np.where(pools >= 0, round_trips[of, pools], 0.0)
    bounds = np.array([_bounds(c) for c in classes])[of]
    return Served(
        label=of,
        over=np.array([outcome is not None for outcome in record.outcomes]),
        answered=answered,
        ttft=ttft,
        tpot=tpot,
        ttft_kept=answered & (ttft <= bounds[:, 0] + _TOLERANCE_SECONDS),
        tpot_kept=answered & ~(tpot > bounds[:, 1] + _TOLERANCE_SECONDS),
    )


def class_outcomes(
    found: Served, classes: Sequence[WorkloadClass], seconds: float
) -> tuple[ClassOutcome, ...]:
    """Each class's outcome, in order; `seconds` is how long requests came."""
    return tuple(_outcome(found, index, c, seconds) for index, c in enumerate(classes))


def _bounds(c: WorkloadClass) -> tuple[float, float]:
    ttft, tpot = c.target.ttft_seconds, c.target.tpot_seconds
    return np.inf if ttft is None else ttft, np.inf if tpot is None else tpot


def _outcome(found: Served, index: int, c: WorkloadClass, seconds: float) -> ClassOutcome:
    over = found.over & (found.label == index)
    answered = over & found.answered
    ttft, tpot = found.ttft[answered], found.tpot[answered & ~np.isnan(found.tpot)]
    count = int(over.sum())
    return ClassOutcome(
        name=c.name,
        requests=count,
        answered=int(answered.sum()),
        requests_per_second=count / seconds if seconds else 0.0,
        ttft=Percentiles.of(ttft),
        tpot=Percentiles.of(tpot),
        ttft_seconds=_at(ttft, c.target.ttft_percentile),
        tpot_seconds=_at(tpot, c.target.tpot_percentile),
        ttft_attainment=_share(found.ttft_kept[over]),
        tpot_attainment=_share(found.tpot_kept[over]),
        attainment=_share(found.kept[over]),
    )


def _share(of: Bools) -> float | None:
    return float(of.mean()) if len(of) else None


def _at(seconds: Floats, percentile: float) -> float | None:
    return float(np.percentile(seconds, percentile)) if len(seconds) else None
