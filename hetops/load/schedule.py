"""When requests are sent and how long they are: open loops from records or a Poisson process, closed loops. Pure.

An open loop sends whatever the engine does, as users do; a closed loop keeps so many requests in flight, as benchmarks
of a configuration need. Lengths are in tokens.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long one request is."""

    input_tokens: int
    output_tokens: int

    def __post_init__(self) -> None:
        if self.input_tokens < 1 or self.output_tokens < 1:
            raise ValueError("a request has at least one token in and out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A request of an open loop: when it comes, in seconds from the start, and how long it is."""

    at_seconds: float
    lengths: Lengths
    origin: str = ""
    """Where a router is told that it comes from; empty tells it nothing."""
    model: str = ""
    """The model that it asks for, where there are several."""


def recorded(
    at_seconds: Sequence[float], input_tokens: Sequence[float], output_tokens: Sequence[float]
) -> tuple[Arrival, ...]:
    """The requests of a record as they came, counted from its start."""
    rows = zip(at_seconds, input_tokens, output_tokens, strict=True)
    return tuple(
        Arrival(at_seconds=float(at), lengths=_lengths(wanted_in, wanted_out))
        for at, wanted_in, wanted_out in rows
    )


def typical_start(arrivals: Sequence[Arrival], seconds: float) -> float:
    """Where a slice of that length begins that is most like the whole in rate, tokens in and tokens out: the one whose
    largest relative deviation is smallest. Slices that would end after the last arrival are not looked at.

    Raises:
        ValueError: the whole is no longer than the slice.
    """
    whole = arrivals[-1].at_seconds if arrivals else 0.0
    if whole < seconds:
        raise ValueError(f"{whole:.0f} s of arrivals have no slice of {seconds:.0f} s")
    step = seconds / _STARTS_PER_SLICE
    starts = [number * step for number in range(int((whole - seconds) / step) + 1)]
    wanted = [total * seconds / whole for total in _totals(arrivals)]

    def deviation(start: float) -> float:
        first, last = (bisect.bisect_left(arrivals, at, key=_at) for at in (start, start + seconds))
        found = _totals(arrivals[first:last])
        return max(abs(f / w - 1.0) for f, w in zip(found, wanted, strict=True))

    return min(starts, key=deviation)


_STARTS_PER_SLICE = 4


def _at(arrival: Arrival) -> float:
    return arrival.at_seconds


def _totals(arrivals: Sequence[Arrival]) -> tuple[float, float, float]:
    """Requests, tokens in, tokens out."""
    lengths = [a.lengths for a in arrivals]
    return len(lengths), sum(n.input_tokens for n in lengths), sum(n.output_tokens for n in lengths)


def poisson(
    requests_per_second: float, seconds: float, lengths: Sequence[Lengths], seed: int = 0
) -> tuple[Arrival, ...]:
    """Independent arrivals at a mean rate for so long, each with one of the lengths, drawn at random; the same seed gives
    the same arrivals.

    Raises:
        ValueError: a rate that is not above zero, or no lengths.
    """
    return poisson_like(
        requests_per_second, seconds, [Arrival(at_seconds=0.0, lengths=one) for one in lengths], seed
    )


def poisson_like(
    requests_per_second: float, seconds: float, like: Sequence[Arrival], seed: int = 0
) -> tuple[Arrival, ...]:
    """As `poisson`, each like one of these requests but for its time."""
    if not 0 < requests_per_second < math.inf:
        raise ValueError(f"a rate of {requests_per_second} requests a second is none")
    if not like:
        raise ValueError("requests need lengths to draw from")
    source = random.Random(seed)
    gaps = (source.expovariate(requests_per_second) for _ in itertools.count())
    times = itertools.takewhile(lambda at: at < seconds, itertools.accumulate(gaps))
    return tuple(replace(source.choice(like), at_seconds=at) for at in times)


def closed(lengths: Lengths, place: int, concurrency: int) -> Iterator[Lengths]:
    """The requests that one of `concurrency` places sends one after the other. The first are of different lengths, so
    that the places do not go in step for ever after.

    Raises:
        ValueError: a place that there is not.
    """
    if not 0 <= place < concurrency:
        raise ValueError(f"{concurrency} requests in flight have no place {place}")
    first = max(1, round(lengths.output_tokens * (place + 1) / concurrency))
    yield Lengths(input_tokens=lengths.input_tokens, output_tokens=first)
    yield from itertools.repeat(lengths)


def _lengths(input_tokens: float, output_tokens: float) -> Lengths:
    return Lengths(input_tokens=max(1, round(input_tokens)), output_tokens=max(1, round(output_tokens)))
