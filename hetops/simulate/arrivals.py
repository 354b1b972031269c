"""When requests come and how long they are: as recorded, drawn anew, or more of them for a while. Pure; chance is handed in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hetops.domain.workload import TokenLengths, WorkloadClass
from hetops.simulate.faults import Burst

Chance = np.random.Generator
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_BLOCK_SECONDS = 60.0
"""Stretches of a record that are drawn anew: longer than what makes a queue, so that its bursts stay what they are."""

_MOST_TOKENS = 1e9
"""Of a request that is drawn: longer than any context."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrivals:
    """Requests in order of arrival, arrays of one length; `seconds` is how long they were recorded or made for.

    Raises:
        ValueError: no request, arrays of different lengths, times that go back or lie outside, a request without tokens.
    """

    at_seconds: Floats
    input_tokens: Integers
    output_tokens: Integers
    seconds: float
    drawn_of: Integers | None = None
    """Of each the index of the class that it was drawn of; None for what was recorded."""
    asked: Integers | None = None
    """Of each the model that it asks for, by an index; None where there is only one."""

    def __post_init__(self) -> None:
        at = self.at_seconds
        if not len(at) == len(self.input_tokens) == len(self.output_tokens) > 0:
            raise ValueError("arrivals: three arrays of one length, and at least one request")
        if any(told is not None and len(told) != len(at) for told in (self.drawn_of, self.asked)):
            raise ValueError("arrivals: class and model of each request, or of none")
        if at[0] < 0 or (np.diff(at) < 0).any() or not at[-1] <= self.seconds:
            raise ValueError("arrivals: times must rise within the seconds")
        if self.input_tokens.min() < 1 or self.output_tokens.min() < 1:
            raise ValueError("arrivals: every request has at least one token in and out")

    def __len__(self) -> int:
        return len(self.at_seconds)

    @property
    def tokens(self) -> Integers:
        """Input and output of each together."""
        return self.input_tokens + self.output_tokens


def poisson(recorded: Arrivals, requests_per_second: float, chance: Chance) -> Arrivals:
    """Independent arrivals at a mean rate for as long as the record, each as long as one of its requests.

    Raises:
        ValueError: none comes in that time.
    """
    count = int(chance.poisson(requests_per_second * recorded.seconds))
    which = chance.integers(len(recorded), size=count)
    return _taken(recorded, which, np.sort(chance.uniform(0.0, recorded.seconds, count)))


def of_classes(classes: Sequence[WorkloadClass], seconds: float, chance: Chance) -> Arrivals:
    """Independent arrivals at the rate of each class, with lengths of its distribution: log-normal by median and p90.

    Raises:
        ValueError: none comes in that time.
    """
    times, lengths = [], []
    for c in classes:
        count = int(chance.poisson(c.requests_per_second * seconds))
        times.append(chance.uniform(0.0, seconds, count))
        lengths.append([_drawn(of, count, chance) for of in (c.input_tokens, c.output_tokens)])
    at_seconds = np.concatenate(times)
    order = np.argsort(at_seconds, kind="stable")
    inputs, outputs = (np.concatenate([of[side] for of in lengths])[order] for side in (0, 1))
    return Arrivals(
        at_seconds=at_seconds[order],
        input_tokens=inputs,
        output_tokens=outputs,
        seconds=seconds,
        drawn_of=np.repeat(np.arange(len(times)), [len(t) for t in times])[order],
    )


def redrawn(recorded: Arrivals, chance: Chance) -> Arrivals:
    """The record put together anew of its own minutes, drawn with replacement: as good a record of the same traffic.

    The moving-block bootstrap (Künsch 1989, Annals of Statistics 17): what hangs on the very trace shows as spread.
    """
    block = min(_BLOCK_SECONDS, recorded.seconds)
    times, which, start = [], [], 0.0
    while start < recorded.seconds:
        length = min(block, recorded.seconds - start)
        origin = chance.uniform(0.0, recorded.seconds - length)
        first, last = np.searchsorted(recorded.at_seconds, (origin, origin + length))
        moved = recorded.at_seconds[first:last] - origin + start
        times.append(np.clip(moved, start, min(start + length, recorded.seconds)))
        which.append(np.arange(first, last))
        start += block
    return _taken(recorded, np.concatenate(which), np.concatenate(times))


def with_burst(arrivals: Arrivals, fault: Burst) -> int:
    """How many requests there are with the burst among them."""
    first, last = _stretch(arrivals, fault)
    return len(arrivals) + round((fault.factor - 1.0) * (last - first))


def burst(arrivals: Arrivals, fault: Burst, chance: Chance) -> Arrivals:
    """The arrivals with a burst in them: more requests like those of its stretch, at any moment of it."""
    first, last = _stretch(arrivals, fault)
    count = with_burst(arrivals, fault) - len(arrivals)
    if not count:  # nothing comes in its stretch, which may lie after the end
        return arrivals
    end = min(fault.at_seconds + fault.for_seconds, arrivals.seconds)
    more = chance.uniform(fault.at_seconds, end, count)
    which = chance.integers(first, last, size=count)
    at_seconds = np.concatenate([arrivals.at_seconds, more])
    order = np.argsort(at_seconds, kind="stable")
    return _taken(arrivals, np.concatenate([np.arange(len(arrivals)), which])[order], at_seconds[order])


def _stretch(arrivals: Arrivals, fault: Burst) -> tuple[int, int]:
    """The first request of a burst's stretch, and the first after it."""
    ends = (fault.at_seconds, fault.at_seconds + fault.for_seconds)
    first, last = np.searchsorted(arrivals.at_seconds, ends)
    return int(first), int(last)


def _drawn(lengths: TokenLengths, count: int, chance: Chance) -> Integers:
    if not 0 < lengths.p50 < lengths.p90:
        return np.full(count, max(1, round(min(lengths.mean, _MOST_TOKENS))), dtype=np.int64)
    sigma = math.log(lengths.p90 / lengths.p50) / NormalDist().inv_cdf(0.9)
    drawn = np.minimum(chance.lognormal(math.log(lengths.p50), sigma, count), min(lengths.p99, _MOST_TOKENS))
    return np.maximum(1, np.rint(drawn)).astype(np.int64)


def _taken(recorded: Arrivals, which: Integers, at_seconds: Floats) -> Arrivals:
    return replace(
        recorded,
        at_seconds=at_seconds,
        input_tokens=recorded.input_tokens[which],
        output_tokens=recorded.output_tokens[which],
        drawn_of=None if recorded.drawn_of is None else recorded.drawn_of[which],
        asked=None if recorded.asked is None else recorded.asked[which],
    )
