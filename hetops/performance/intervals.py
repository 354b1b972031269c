"""80 % intervals: half widths as evidence carries them, and between what a planned latency lies. Pure.

What is off comes from two sides, as independent errors. The step times: their half widths are the calibration's or the benchmark's
(`spread.py`). And the queue that makes percentiles of them, which errs on the safe side: replayed through the engine's core at 60 and
85 % of the sustained rate, 80 % of 70 cases lay between e^-0.56 and e^0.14 of the promised TTFT and e^-0.26 and e^0.14 of the promised
TPOT, the wider of their 90th and 95th percentiles (`benchmarks/performance_model.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hetops.domain.performance import Evidence, EvidenceLayer, StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.performance.rate import latencies

_QUEUE_TTFT = (0.56, 0.14)
_QUEUE_TPOT = (0.26, 0.14)
"""Half widths to below and above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfWidths:
    """Half the width of an 80 % interval of each metric, in natural logarithms."""

    throughput: float
    tpot: float
    ttft: float


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


def founded_on(layer: EvidenceLayer, source: str, widths: HalfWidths) -> Evidence:
    """Evidence whose margins take each metric to the lower end of its interval."""
    return Evidence(
        layer=layer,
        source=source,
        margin=-math.expm1(-widths.throughput),
        tpot_margin=-math.expm1(-widths.tpot),
        ttft_margin=-math.expm1(-widths.ttft),
    )


def widths_of(known: Evidence) -> HalfWidths:
    """The half widths that evidence carries as margins."""
    return HalfWidths(
        throughput=-math.log1p(-known.margin),
        tpot=-math.log1p(-known.tpot_margin),
        ttft=-math.log1p(-known.ttft_margin),
    )


def around(value: float, below: float, above: float | None = None) -> Range:
    """A number with these half widths, alike to both sides where only one is told."""
    return Range(
        value=value, low=value * math.exp(-below), high=value * math.exp(below if above is None else above)
    )


def stated(value: float) -> Range:
    """A number that somebody else promises: how far off it may be, nobody here knows."""
    return Range(value=value, low=value, high=value)


def forecast(times: StepTimes, of: WorkloadClass, requests_per_second: float, known: Evidence) -> Forecast:
    """What one replica gives the class, alone, at a rate that it sustains, on this evidence of its step times.

    Where all steps take s times as long, latencies at a rate are s times those at s times the rate: slower steps queue more.
    """
    widths = widths_of(known)
    pace = math.exp(widths.throughput)
    quick, found, slow = (
        latencies(times, of, rate)
        for rate in (requests_per_second / pace, requests_per_second, requests_per_second * pace)
    )
    return Forecast(
        ttft=_queued((quick.ttft_seconds, found.ttft_seconds, slow.ttft_seconds), widths.ttft, _QUEUE_TTFT),
        tpot=_queued((quick.tpot_seconds, found.tpot_seconds, slow.tpot_seconds), widths.tpot, _QUEUE_TPOT),
    )


def _queued(at_rates: tuple[float, float, float], steps: float, queue: tuple[float, float]) -> Range:
    """The middle latency, between quick and slow ones on steps of this half width, and as far off as the queue may be."""
    quick, found, slow = at_rates
    below, above = math.log(found / quick) + steps, math.log(slow / found) + steps
    return around(found, math.hypot(below, queue[0]), math.hypot(above, queue[1]))


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
