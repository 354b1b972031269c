"""When a measurement is long enough: bounds on time and number, and how well the mean is known. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

CONFIDENCE = 0.95


class Stop(StrEnum):
    """Why no further request is sent."""

    SECONDS = "the time is over"
    REQUESTS = "enough requests were sent"
    PRECISE = "the mean is known well enough"
    FAILURES = "request after request failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean, and between what it lies with 95 % confidence; None where too few values were there to bound it."""

    mean: float
    low: float | None
    high: float | None

    @property
    def half_width_share(self) -> float:
        """Half the interval's width as a share of the mean."""
        if self.low is None or self.high is None or not self.mean:
            return math.inf
        return (self.high - self.low) / 2.0 / self.mean


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """What is asked of a measurement. The first bound that is reached ends it, once `min_requests` were counted or
    six times `max_seconds` have gone by."""

    max_seconds: float
    max_requests: int = 1_000_000
    min_requests: int = 2
    precision: float = 0.0
    """Relative half width of the mean's interval that is good enough; 0 measures for the whole time."""
    max_failures: int = 5
    """So many requests failing one after the other end the measurement."""

    @property
    def most_seconds(self) -> float:
        """After so long it ends, whatever was counted and whatever is unanswered."""
        return self.max_seconds * _PATIENCE

    def __post_init__(self) -> None:
        if not self.max_seconds > 0 or self.max_requests < 1 or self.min_requests < 1 or self.precision < 0:
            raise ValueError("a measurement needs some time, some requests and a precision of at least 0")


_PATIENCE = 6.0
_FEWEST_FOR_PRECISION = 10
"""Independent values: of fewer, some agree by chance."""
_MOST_VALUES = 20
"""Independent values that an interval is reckoned with: the longer each lasts, the less it has to do with the next."""


def stop(
    rule: StopRule, seconds: float, durations: Sequence[float], failures_in_a_row: int, together: int = 1
) -> Stop | None:
    """Why to send no more after `seconds` and these durations of counted requests; None to go on. `together` as of `interval`."""
    if failures_in_a_row >= rule.max_failures:
        return Stop.FAILURES
    if len(durations) >= rule.max_requests:
        return Stop.REQUESTS
    few = len(durations) < min(rule.min_requests, rule.max_requests)
    if seconds >= (rule.most_seconds if few else rule.max_seconds):
        return Stop.SECONDS
    if few or not rule.precision or len(durations) < _FEWEST_FOR_PRECISION * together:
        return None
    return Stop.PRECISE if interval(durations, together).half_width_share <= rule.precision else None


def interval(values: Sequence[float], together: int = 1) -> Interval:
    """The mean with Student's interval of batch means (Schmeiser 1982): values in the order of time, of which as many as
    `together` ran beside one another and had the same good or bad time of it, so that they are one independent value.

    Raises:
        ValueError: no value at all.
    """
    if not values:
        raise ValueError("nothing was measured")
    mean, count = math.fsum(values) / len(values), min(len(values) // together, _MOST_VALUES)
    if count < 2:
        return Interval(mean=mean, low=None, high=None)
    edges = [round(number * len(values) / count) for number in range(count + 1)]
    means = [statistics.fmean(values[start:end]) for start, end in pairwise(edges)]
    half = _student(count - 1) * statistics.stdev(means) / math.sqrt(count)
    return Interval(mean=mean, low=mean - half, high=mean + half)


_STUDENT_FEW = (12.706, 4.303, 3.182)
"""97.5 % points for one to three degrees of freedom, where the expansion below is off."""


def _student(freedom: int) -> float:
    """The two-sided 95 % point: Cornish-Fisher expansion (Abramowitz and Stegun 26.7.5), good to 1 % from 4 on."""
    if freedom <= len(_STUDENT_FEW):
        return _STUDENT_FEW[freedom - 1]
    z = statistics.NormalDist().inv_cdf(0.5 + CONFIDENCE / 2.0)
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    third = (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / 384.0
    return z + first / freedom + second / freedom**2 + third / freedom**3
