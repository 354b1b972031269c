"""Many observations to one summary: rates, realised shares and latencies per class and per pool. Pure.

Must not hold them against a plan; that is the reports'. Latencies and tokens count requests that were answered; shares
count every request that was given to a pool, for that is what the router decided.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from hetops.domain.observation import Observation, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A latency over many requests, in seconds."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float

    def percentile(self, percent: float) -> float:
        """The latency at a percentile, linear between the known ones; at or below 50 the median."""
        known = ((50.0, self.p50), (90.0, self.p90), (95.0, self.p95), (99.0, self.p99))
        if percent <= 50.0:
            return self.p50
        for (low, at_low), (high, at_high) in itertools.pairwise(known):
            if percent <= high:
                return at_low + (at_high - at_low) * (percent - low) / (high - low)
        return self.p99

    def percentile_range(self, percent: float) -> tuple[float | None, float | None]:
        """What so many requests tell of the percentile of all there could be, with 80 %; None where they tell no end.

        Of independent latencies the number below the percentile is binomial; its normal approximation says which of those that
        were measured lie around it. Where it is likely that all lie below, they tell no upper end.
        """
        share = percent / 100.0
        off = 100.0 * _Z80 * math.sqrt(share * (1.0 - share) / self.count)
        low = self.percentile(percent - off) if percent - off >= 50.0 else None
        high = self.percentile(percent + off) if share**self.count <= _TAIL else None
        return low, high


_TAIL = 0.1
_Z80 = NormalDist().inv_cdf(1.0 - _TAIL)
"""Standard deviations to either side of the middle that hold 80 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was measured of some requests: all, a class's or a pool's. Latencies are None where none was measured."""

    name: str
    requests: int
    answered: int
    requests_per_second: float
    answered_per_second: float
    input_tokens_per_second: float
    output_tokens_per_second: float
    ttft_seconds: Latency | None
    tpot_seconds: Latency | None
    outcomes: Mapping[Outcome, int]

    @property
    def tokens_per_second(self) -> float:
        """Input and output together."""
        return self.input_tokens_per_second + self.output_tokens_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class RealisedShare:
    """The part of a class's forwarded requests that a pool was given."""

    workload_class: str
    pool: str
    requests: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was measured from `since` until before `until`, both UNIX seconds."""

    since: float
    until: float
    total: Tally
    classes: tuple[Tally, ...]
    pools: tuple[Tally, ...]
    shares: tuple[RealisedShare, ...]

    @property
    def seconds(self) -> float:
        """How long was looked at."""
        return self.until - self.since

    def workload_class(self, name: str) -> Tally | None:
        """What was measured of a class; None where no request was of it."""
        return next((c for c in self.classes if c.name == name), None)

    def pool(self, name: str) -> Tally | None:
        """What was measured of a pool; None where it was given no request."""
        return next((p for p in self.pools if p.name == name), None)

    def share(self, workload_class: str, pool: str) -> float:
        """The share of a class that a pool was given, 0 where none."""
        found = (s.share for s in self.shares if (s.workload_class, s.pool) == (workload_class, pool))
        return next(found, 0.0)


def summarize(observations: Iterable[Observation], *, since: float, until: float) -> Summary:
    """The summary of all observations of requests that came in the window; the others are passed over.

    Raises:
        ValueError: the window is empty.
    """
    if not until > since:
        raise ValueError(f"nothing lies between {since} and {until}")
    inside = [o for o in observations if since <= o.at < until]
    seconds = until - since
    return Summary(
        since=since,
        until=until,
        total=_tally("", inside, seconds),
        classes=_tallies(inside, lambda o: o.workload_class, seconds),
        pools=_tallies(inside, lambda o: o.pool, seconds),
        shares=_shares(inside),
    )


def _tallies(
    observations: Sequence[Observation], name: Callable[[Observation], str], seconds: float
) -> tuple[Tally, ...]:
    """A tally for each name, in order; what has none (refused before a class or pool was found) is in the total only."""
    ordered = sorted((o for o in observations if name(o)), key=name)
    return tuple(_tally(key, list(group), seconds) for key, group in itertools.groupby(ordered, key=name))


def _tally(name: str, observations: Sequence[Observation], seconds: float) -> Tally:
    answered = [o for o in observations if o.outcome is Outcome.OK]
    return Tally(
        name=name,
        requests=len(observations),
        answered=len(answered),
        requests_per_second=len(observations) / seconds,
        answered_per_second=len(answered) / seconds,
        input_tokens_per_second=sum(o.input_tokens for o in answered) / seconds,
        output_tokens_per_second=sum(o.output_tokens for o in answered) / seconds,
        ttft_seconds=latency(o.ttft_seconds for o in answered),
        tpot_seconds=latency(o.tpot_seconds for o in answered),
        outcomes=dict(sorted(Counter(o.outcome for o in observations).items())),
    )


def _shares(observations: Sequence[Observation]) -> tuple[RealisedShare, ...]:
    given = Counter((o.workload_class, o.pool) for o in observations if o.workload_class and o.pool)
    of_class: Counter[str] = Counter()
    for (workload_class, _), requests in given.items():
        of_class[workload_class] += requests
    return tuple(
        RealisedShare(workload_class=c, pool=p, requests=n, share=n / of_class[c])
        for (c, p), n in sorted(given.items())
    )


def latency(values: Iterable[float | None]) -> Latency | None:
    """Mean and percentiles of the values that are there, linear between neighbours; None where there is none."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    return Latency(
        count=len(ordered),
        mean=math.fsum(ordered) / len(ordered),
        p50=_percentile(ordered, 50.0),
        p90=_percentile(ordered, 90.0),
        p95=_percentile(ordered, 95.0),
        p99=_percentile(ordered, 99.0),
    )


def _percentile(ordered: Sequence[float], percent: float) -> float:
    place = (len(ordered) - 1) * percent / 100.0
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
