"""80 % intervals: between what a planned latency lies. Pure.

What is off comes from two sides, as independent errors. The step times: their half widths are the calibration's or the benchmark's
(`spread.py`). And the queue that makes percentiles of them, which errs on the safe side: replayed through the engine's core at 60 and
85 % of the sustained rate, 80 to 84 % of 70 cases lie within the half widths below, at the 90th and at the 95th percentile
(`benchmarks/performance_model.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hetops.domain.performance import Evidence, StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.performance.margins import widths_of
from hetops.performance.queueing import Load, Mixture
from hetops.performance.rate import Latencies, latencies_at

QUEUE_TTFT = (0.56, 0.14)
QUEUE_TPOT = (0.26, 0.14)
"""Half widths of what the queue is off by, to below and above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number, and between what it lies with a chance of 80 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one replica gives a class at a rate, at the target's percentiles, in seconds."""

    ttft: Range
    tpot: Range

    def from_afar(self, round_trip_seconds: float) -> Forecast:
        """The same as it is seen a round trip away; a stream's tokens come no slower for it."""
        near, trip = self.ttft, round_trip_seconds
        far = Range(value=near.value + trip, low=near.low + trip, high=near.high + trip)
        return Forecast(ttft=far, tpot=self.tpot)


def around(value: float, below: float, above: float | None = None) -> Range:
    """A number with these half widths, alike to both sides where only one is told."""
    return Range(
        value=value, low=value * math.exp(-below), high=value * math.exp(below if above is None else above)
    )


def stated(value: float) -> Range:
    """A number that somebody else promises: how far off it may be, nobody here knows."""
    return Range(value=value, low=value, high=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A class in a replica: at which rate it alone would take as much of it, and all that really shares it."""

    of: WorkloadClass
    requests_per_second: float
    mixture: Mixture | None = None
    """None where it is alone."""


def forecast(times: StepTimes, served: Served, known: Evidence) -> Forecast:
    """What one replica gives the class at a rate that it sustains, on this evidence of its step times.

    Where all steps take s times as long, latencies at a rate are s times those at s times the rate: slower steps queue more.
    Rates are reckoned class by class; where others share the replica, the interval reaches to what their queue gives.
    """
    pace, load = math.exp(widths_of(known).throughput), Load.of(served.of)
    paces = (1.0 / pace, 1.0, pace)
    alone = _ranges(latencies_at(times, load, [served.requests_per_second * p for p in paces]), known)
    if served.mixture is None:
        return alone
    rates = [served.mixture.requests_per_second * p for p in paces]
    found = _ranges(latencies_at(times, load.among(served.mixture), rates), known)
    return Forecast(ttft=_reaching(alone.ttft, found.ttft), tpot=_reaching(alone.tpot, found.tpot))


def _ranges(at_paces: Sequence[Latencies], known: Evidence) -> Forecast:
    """The middle ones, between those of quick and slow steps, and as far off as the queue may be."""
    widths = widths_of(known)
    return Forecast(
        ttft=_queued([one.ttft_seconds for one in at_paces], widths.ttft, QUEUE_TTFT),
        tpot=_queued([one.tpot_seconds for one in at_paces], widths.tpot, QUEUE_TPOT),
    )


def _queued(at_paces: Sequence[float], steps: float, queue: tuple[float, float]) -> Range:
    quick, found, slow = at_paces
    if math.isinf(found):
        return Range(value=found, low=found, high=found)
    below, above = math.log(found / quick) + steps, math.log(slow / found) + steps
    return around(found, math.hypot(below, queue[0]), math.hypot(above, queue[1]))


def _reaching(one: Range, other: Range) -> Range:
    """The one, as far as the other's ends; an endless one tells none."""
    low, high = min(one.low, other.low), max(v for v in (one.high, other.high, one.value) if math.isfinite(v))
    return Range(value=one.value, low=low, high=high)


def slowest(found: Sequence[tuple[float, Range]], percentile: float) -> Range:
    """The largest number of pools with their shares of a class, up to the highest end of all. Below, what the class has at its
    percentile may be that of any of the slowest pools that have as many of its requests as lie above the percentile.

    Raises:
        ValueError: no pool.
    """
    if not found:
        raise ValueError("a class goes to some pool")
    falling = sorted(found, key=lambda one: -one[1].value)
    tail, low, reached = 1.0 - percentile / 100.0, math.inf, 0.0
    for share, one in falling:
        low, reached = min(low, one.low), reached + share
        if reached >= tail:
            break
    return Range(value=falling[0][1].value, low=low, high=max(one.high for _, one in falling))
