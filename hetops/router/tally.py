"""Counts what the router did, by class and pool. Pure: holds no clock; bounded, whatever comes in."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from hetops.domain.observation import Observation, Outcome

TTFT_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
TPOT_BOUNDS = (0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)

_RECENT = 1024
"""Requests of a class that percentiles are taken over."""

RATE_SECONDS = 60.0
"""What a measured rate looks back on."""


@dataclass(slots=True)
class Histogram:
    """Counts of durations by upper bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Spot:
    """One class in one pool."""

    decided: int = 0
    """Requests sent there since the class's shares are what they are."""
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    ttft: Histogram = field(default_factory=lambda: Histogram(TTFT_BOUNDS))
    tpot: Histogram = field(default_factory=lambda: Histogram(TPOT_BOUNDS))


class Recent:
    """The last requests of a class, for what is measured now."""

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque(maxlen=_RECENT)
        self._ttft: deque[float] = deque(maxlen=_RECENT)
        self._tpot: deque[float] = deque(maxlen=_RECENT)

    def add(self, observation: Observation) -> None:
        """One more request has ended."""
        self._arrivals.append(observation.at)
        if observation.ttft_seconds is not None:
            self._ttft.append(observation.ttft_seconds)
        if observation.tpot_seconds is not None:
            self._tpot.append(observation.tpot_seconds)

    def requests_per_second(self, at: float, since: float) -> float:
        """Requests over the last minute, or over the time since `since` or the oldest that is remembered where shorter."""
        if not self._arrivals:
            return 0.0
        full = len(self._arrivals) == _RECENT
        start = max(at - RATE_SECONDS, min(self._arrivals) if full else since)
        counted = sum(1 for arrival in self._arrivals if arrival >= start)
        return counted / max(at - start, 1.0)

    def ttft_seconds(self, percentile: float) -> float | None:
        """Time to first token at a percentile; None where none was measured."""
        return _percentile(self._ttft, percentile)

    def tpot_seconds(self, percentile: float) -> float | None:
        """Time per output token at a percentile; None where none was measured."""
        return _percentile(self._tpot, percentile)


class Tally:
    """Everything counted since the start."""

    def __init__(self) -> None:
        self.spots: dict[tuple[str, str], Spot] = {}
        self.recent: dict[str, Recent] = {}
        self.outcomes: Counter[Outcome] = Counter()
        self.retries = 0
        self.unknown_origins = 0
        """Requests whose header names an origin that there is not."""
        self.spills: Counter[str] = Counter()
        """By class."""

    def spot(self, workload_class: str, pool: str) -> Spot:
        """The counts of a class in a pool."""
        found = self.spots.get((workload_class, pool))
        if found is None:
            found = self.spots[workload_class, pool] = Spot()
        return found

    def realised_share(self, workload_class: str, pool: str) -> float:
        """The part of the class's requests that went to the pool; 0 where there were none."""
        total = sum(s.decided for (name, _), s in self.spots.items() if name == workload_class)
        return self.spot(workload_class, pool).decided / total if total else 0.0

    def begin_anew(self, classes: Iterable[str]) -> None:
        """The shares of these classes are others now."""
        of = frozenset(classes)
        for (name, _), spot in self.spots.items():
            if name in of:
                spot.decided = 0

    def ended(self, observation: Observation) -> None:
        """A request is over."""
        self.outcomes[observation.outcome] += 1
        self.retries += observation.retries
        if not observation.workload_class:
            return
        recent = self.recent.get(observation.workload_class)
        if recent is None:
            recent = self.recent[observation.workload_class] = Recent()
        recent.add(observation)
        spot = self.spot(observation.workload_class, observation.pool)
        spot.outcomes[observation.outcome] += 1
        spot.input_tokens += observation.input_tokens
        spot.output_tokens += observation.output_tokens
        if observation.ttft_seconds is not None:
            spot.ttft.add(observation.ttft_seconds)
        if observation.tpot_seconds is not None:
            spot.tpot.add(observation.tpot_seconds)


def _percentile(values: Iterable[float], percentile: float) -> float | None:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    if not ordered:
        return None
    rank = -(-len(ordered) * percentile // 100)
    return ordered[min(max(int(rank), 1), len(ordered)) - 1]
