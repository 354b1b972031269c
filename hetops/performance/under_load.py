"""What one replica does under a load as numbers: latencies with their percentiles, saturation, the rate within targets. Pure.

Latencies come from requests that went through the engine's queue in virtual time (whoever plays them: no noun here does);
saturation and the largest rate are those of the closed form that plans rest on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hetops.domain.performance import Binding, StepTimes
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.intervals import Range, around
from hetops.performance.margins import HalfWidths
from hetops.performance.queueing import Load as QueueLoad
from hetops.performance.queueing import Queue
from hetops.performance.rate import sustained
from hetops.performance.replicas import Crowd

PERCENTILES = (50.0, 90.0, 95.0, 99.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A latency in seconds, each number with its 80 % interval."""

    mean: Range
    p50: Range
    p90: Range
    p95: Range
    p99: Range

    @property
    def numbers(self) -> tuple[Range, ...]:
        """The mean, then the percentiles as they rise."""
        return self.mean, self.p50, self.p90, self.p95, self.p99


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replayed:
    """Requests that went through a replica's queue: seconds of each, and how many were in flight on average.

    TPOT is of those that have more than one token; there may be none.
    """

    ttft: Floats
    tpot: Floats
    in_flight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderLoad:
    """Latencies of a replica under a load."""

    requests_per_second: float | None
    """Of requests that come independently of one another; None where so many are kept at once."""
    in_flight: float
    """On average, those that wait among them."""
    ttft: Distribution
    tpot: Distribution | None
    """None where no answer has a second token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """What a replica completes with all its places taken."""

    requests_per_second: Range
    output_tokens_per_second: Range


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestRate:
    """The largest rate of independent requests that keeps targets."""

    target: LatencyTarget
    requests_per_second: Range
    binding: Binding
    reason: str
    """Why there is none, where it is 0."""


def kept_at_once(ttft: Range, tpot: Range, played: Replayed) -> UnderLoad:
    """Under so many requests at once: the estimates of mean TTFT and TPOT, spread as the queue spreads them."""

    def spread(of: Range, seconds: Floats) -> Distribution:
        mean = float(seconds.mean())
        return _distribution(lambda number: _times(of, number(seconds) / mean if mean else 1.0))

    return UnderLoad(
        requests_per_second=None,
        in_flight=played.in_flight,
        ttft=spread(ttft, played.ttft),
        tpot=spread(tpot, played.tpot) if len(played.tpot) else None,
    )


def at_rate(requests_per_second: float, played: Mapping[float, Replayed], widths: HalfWidths) -> UnderLoad:
    """Under independent requests, played at the paces of `paces`: where all steps take s times as long, latencies at a rate are
    s times those at s times the rate."""
    quick, found, slow = (played[pace] for pace in paces(widths))

    def between(of: Callable[[Replayed], Floats], width: float) -> Distribution:
        def number(read: Callable[[Floats], float]) -> Range:
            low, value, high = (read(of(one)) for one in (quick, found, slow))
            return Range(
                value=value,
                low=min(low, value) * math.exp(-width),
                high=max(high, value) * math.exp(width),
            )

        return _distribution(number)

    return UnderLoad(
        requests_per_second=requests_per_second,
        in_flight=found.in_flight,
        ttft=between(lambda one: one.ttft, widths.ttft),
        tpot=between(lambda one: one.tpot, widths.tpot) if len(found.tpot) else None,
    )


def endless(output_tokens: float) -> Replayed:
    """What requests get that come faster than they are completed."""
    return Replayed(
        ttft=np.array([math.inf]),
        tpot=np.array([math.inf] if output_tokens > 1.0 else []),
        in_flight=math.inf,
    )


def paces(widths: HalfWidths) -> tuple[float, float, float]:
    """Factors on the rate that stand for quick, estimated and slow steps."""
    pace = math.exp(widths.throughput)
    return 1.0 / pace, 1.0, pace


def saturation(times: StepTimes, of: WorkloadClass, widths: HalfWidths) -> Saturation:
    """What the replica completes of the class with all places taken; nothing where it has no place."""
    queue = Queue.of(Crowd.of([times]), QueueLoad.of(of))
    most = float(queue.most[0]) if queue.places[0] >= 1.0 else 0.0
    return Saturation(
        requests_per_second=around(most, widths.throughput),
        output_tokens_per_second=around(most * of.output_tokens.mean, widths.throughput),
    )


def largest_rate(times: StepTimes, of: WorkloadClass, widths: HalfWidths) -> LargestRate:
    """The largest rate that keeps the class's targets, as a plan reckons it before it takes its margin off."""
    found = sustained([times], of, [math.ceil(of.input_tokens.p99 + of.output_tokens.p99)])[0]
    return LargestRate(
        target=of.target,
        requests_per_second=around(found.requests_per_second, widths.throughput),
        binding=found.binding,
        reason=found.reason,
    )


def lengths(mean: float, spread: float) -> TokenLengths:
    """Log-normal lengths of such a mean, whose standard deviation is `spread` times the mean; 0 makes all alike."""
    of_logarithms = NormalDist(*log_normal(mean, spread)) if spread else None
    p50, p90, p95, p99 = (
        math.exp(of_logarithms.inv_cdf(percent / 100.0)) if of_logarithms else mean for percent in PERCENTILES
    )
    return TokenLengths(mean=mean, p50=p50, p90=p90, p95=p95, p99=p99)


def log_normal(mean: float, spread: float) -> tuple[float, float]:
    """Mean and standard deviation of the logarithms of such lengths."""
    sigma = math.sqrt(math.log1p(spread**2))
    return math.log(mean) - sigma**2 / 2.0, sigma


def _distribution(number: Callable[[Callable[[Floats], float]], Range]) -> Distribution:
    p50, p90, p95, p99 = (number(_percentile(percent)) for percent in PERCENTILES)
    return Distribution(
        mean=number(lambda seconds: float(seconds.mean())), p50=p50, p90=p90, p95=p95, p99=p99
    )


def _percentile(percent: float) -> Callable[[Floats], float]:
    return lambda seconds: float(np.percentile(seconds, percent, method="higher"))


def _times(of: Range, factor: float) -> Range:
    return Range(value=of.value * factor, low=of.low * factor, high=of.high * factor)
