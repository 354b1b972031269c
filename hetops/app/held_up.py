"""Which classes the others of their pool keep from a target: rates are reckoned class by class, and what shares a replica shares its queue.

Reckoned in the queue of all that share, which takes their lengths as those of one class; what that makes late is then played, as the
router would send it, in virtual time, and that decides. Changes no plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np

from hetops.app.pose import Posed
from hetops.app.virtual_fleet import evaluate
from hetops.domain.configuration import Role
from hetops.domain.performance import StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.performance.queueing import Load, Mixture
from hetops.performance.rate import Latencies, latencies_at
from hetops.reports import quantities as q
from hetops.simulate.arrivals import of_classes
from hetops.simulate.fleet import VirtualPool
from hetops.simulate.outcome import ClassOutcome
from hetops.solver.solution import Solution, SolvedPeriod, SolvedPool

_MOST_REPLICAS = 8
"""Of more alike a part is played, with its part of the requests: that the emptiest takes the next helps hardly more."""
_REQUESTS, _MOST_REQUESTS = 2_000, 8_000
_OF_THE_RAREST = 300
"""So many requests of each class that may be late tell a 95th percentile to a percent or two of the requests."""
_LIVES = 6
"""A fleet that is empty at first fills in one life of a request."""
_SEED = 0


class Latency(StrEnum):
    """What has a target."""

    TTFT = "ttft"
    TPOT = "tpot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The bound of a class on one latency at a percentile, in seconds."""

    of: WorkloadClass
    latency: Latency
    seconds: float
    percentile: float
    away_seconds: float = 0.0
    """The round trip that is in a TTFT as the class sees it."""

    @property
    def tail(self) -> float:
        """The share of the class's requests that may break it."""
        return 1.0 - self.percentile / 100.0

    def seen(self, ttft_seconds: float | None, tpot_seconds: float | None) -> float:
        """That of both latencies at a replica which the target is of, as the class sees it; endless where nobody was answered."""
        own = ttft_seconds if self.latency is Latency.TTFT else tpot_seconds
        return math.inf if own is None else own + self.away_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldUp:
    """A class that misses a target in its pool, where it would keep it alone."""

    target: Target
    pool: SolvedPool
    mix: Mapping[str, float]
    """Requests a second of each class in each replica of the pool."""
    seconds: float
    """The latency at the target's percentile."""

    @property
    def name(self) -> str:
        """The class's."""
        return self.target.of.name

    def in_words(self, verb: str) -> str:
        """`p95 of its first token may come after 1.20 s, beyond its 0.40 s`, with `may` for the verb."""
        at, told = f"p{self.target.percentile:g}", q.seconds(self.seconds)
        what = (
            f"of its first token {verb} come after"
            if self.target.latency is Latency.TTFT
            else f"of its time per token {verb} be"
        )
        if math.isinf(self.seconds):
            what, told = f"of its requests {verb} be answered", "never"
        return f"{at} {what} {told}, beyond its {q.seconds(self.target.seconds)}"


def held_up(posed: Posed, solution: Solution) -> tuple[HeldUp, ...]:
    """The classes that others hold up so, of a day in each of its periods."""
    return tuple(
        one for period in solution.stretches for pool in period.pools for one in _of_pool(posed, period, pool)
    )


def reckoned_late(
    posed: Posed, pool: SolvedPool, mix: Mapping[str, float], classes: Iterable[WorkloadClass]
) -> Iterator[HeldUp]:
    """Those of the classes that would miss a target in the queue of such a mix in a pool's replicas, as reckoned."""
    times, mixture = posed.step_times(pool.configuration), _mixture(posed, mix)
    for one in classes:
        reckoned = _in_queue(times, mixture, one)
        for target in _targets(one, posed.ways.round_trip_seconds(one, pool.offer)):
            seconds = target.seen(reckoned.ttft_seconds, reckoned.tpot_seconds)
            if seconds > target.seconds:
                yield HeldUp(target=target, pool=pool, mix=mix, seconds=seconds)


def among(posed: Posed, configuration: str, mix: Mapping[str, float], one: WorkloadClass) -> Latencies:
    """What a class gets at its percentiles in the queue of what shares a replica, as reckoned."""
    return _in_queue(posed.step_times(configuration), _mixture(posed, mix), one)


def _mixture(posed: Posed, mix: Mapping[str, float]) -> Mixture:
    classes = {c.name: c for c in posed.candidates.workload.classes}
    return Mixture.of([(classes[name], rate) for name, rate in mix.items()])


def _in_queue(times: StepTimes, mixture: Mixture, one: WorkloadClass) -> Latencies:
    return latencies_at(times, Load.of(one).among(mixture), [mixture.requests_per_second])[0]


def _of_pool(posed: Posed, period: SolvedPeriod, pool: SolvedPool) -> Iterator[HeldUp]:
    shares = [s for s in period.shares if s.key == pool.key and s.requests_per_second > 0]
    configuration = posed.configurations[pool.configuration]
    if len(shares) < 2 or configuration.role is not Role.MIXED:
        return
    replicas = pool.nodes * pool.replicas_per_node
    mix = {s.workload_class: s.requests_per_second / replicas for s in shares}
    part = {s.workload_class: s.share for s in shares}
    classes = [c for c in posed.candidates.workload.classes if c.name in mix]
    suspected = [one for one in reckoned_late(posed, pool, mix, classes) if part[one.name] > one.target.tail]
    if suspected and configuration.stages:  # a virtual engine is within one node
        yield from suspected
    elif suspected:
        yield from _played(posed, suspected)


def _targets(one: WorkloadClass, away_seconds: float) -> Iterator[Target]:
    of = one.target
    if of.ttft_seconds is not None:
        yield Target(
            of=one,
            latency=Latency.TTFT,
            seconds=of.ttft_seconds,
            percentile=of.ttft_percentile,
            away_seconds=away_seconds,
        )
    if of.tpot_seconds is not None:
        yield Target(of=one, latency=Latency.TPOT, seconds=of.tpot_seconds, percentile=of.tpot_percentile)


def _played(posed: Posed, suspected: Sequence[HeldUp]) -> Iterator[HeldUp]:
    """Those of one pool that miss their target when it is played."""
    pool, mix = suspected[0].pool, suspected[0].mix
    replicas = min(pool.nodes * pool.replicas_per_node, _MOST_REPLICAS)
    by_name = {c.name: c for c in posed.candidates.workload.classes}
    classes = tuple(replace(by_name[name], requests_per_second=rate * replicas) for name, rate in mix.items())
    virtual = VirtualPool(
        name=pool.configuration,
        step_times=posed.step_times(pool.configuration),
        max_context_tokens=posed.configurations[pool.configuration].max_context_tokens,
        nodes=replicas,
    )
    found = {one.name: one for one in _outcomes(virtual, classes, _seconds(posed, suspected, replicas))}
    for one in suspected:
        seconds = one.target.seen(found[one.name].ttft_seconds, found[one.name].tpot_seconds)
        if seconds > one.target.seconds:
            yield replace(one, seconds=seconds)


@lru_cache(maxsize=64)
def _outcomes(
    pool: VirtualPool, classes: tuple[WorkloadClass, ...], seconds: float
) -> tuple[ClassOutcome, ...]:
    """What requests of the classes, independent of one another, get in the pool; who warns of a plan asks again what who made it did."""
    arrivals = of_classes(classes, seconds, np.random.default_rng(_SEED))
    assert arrivals.drawn_of is not None
    shares = {c.name: {pool.name: 1.0} for c in classes}
    return evaluate([pool], classes, shares, arrivals, arrivals.drawn_of.tolist())


def _seconds(posed: Posed, suspected: Sequence[HeldUp], replicas: int) -> float:
    """How long is played: enough for the rarest class, and for a fleet that fills first; not endlessly."""
    mix, classes = suspected[0].mix, {c.name: c for c in posed.candidates.workload.classes}
    rate = math.fsum(mix.values()) * replicas
    rarest = min(mix[one.name] for one in suspected) * replicas
    step = among(posed, suspected[0].pool.configuration, mix, suspected[0].target.of).tpot_seconds
    life = step * max(classes[name].output_tokens.mean for name in mix)
    return min(max(_REQUESTS / rate, _OF_THE_RAREST / rarest, _LIVES * life), _MOST_REQUESTS / rate)
