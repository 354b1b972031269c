"""The largest request rate of one replica that keeps a class's targets at their percentiles. Pure and vectorised.

How latencies follow from a rate is `queueing.py`'s. TPOT allows so many requests in flight, which is a smooth matter of the
rate; of the rates that keep it, the largest that keeps TTFT is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from hetops.domain.performance import Binding, StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.performance.first_token import HIGHEST_USE
from hetops.performance.queueing import IDLE, Load, Queue
from hetops.performance.replicas import Crowd, Floats, Integers, Replicas
from hetops.performance.search import Target, largest

_NONE = 1e-300
"""A share of requests that counts as none."""
_ALL = 1e-9
"""Short of a whole by as much counts as all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """TTFT and TPOT at a class's percentiles."""

    ttft_seconds: float
    tpot_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """What one replica sustains of one class, alone. Rate 0 comes with its reason."""

    requests_per_second: float
    ttft_seconds: float
    tpot_seconds: float
    concurrency: float
    binding: Binding
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """`Sustained` of many replicas, field by field; element i for replica i."""

    requests_per_second: Sequence[float]
    ttft_seconds: Sequence[float]
    tpot_seconds: Sequence[float]
    concurrency: Sequence[float]
    binding: Sequence[Binding]
    reason: Sequence[str]


def sustained(
    replicas: Sequence[StepTimes], workload_class: WorkloadClass, max_context: Sequence[int]
) -> list[Sustained]:
    """For each replica the largest rate of the class within its targets; element i for replicas[i]."""
    if not replicas:
        return []
    found = sustained_by(Crowd.of(replicas), workload_class, max_context)
    names = [f.name for f in fields(Columns)]
    rows = zip(*(getattr(found, name) for name in names), strict=True)
    return [Sustained(**dict(zip(names, row, strict=True))) for row in rows]


def sustained_by(crowd: Crowd, workload_class: WorkloadClass, max_context: Sequence[int]) -> Columns:
    """As `sustained`, for replicas that are asked about several classes."""
    queue = Queue.of(crowd, Load.of(workload_class))
    found = _Found.of(queue)
    longest = workload_class.input_tokens.p99 + workload_class.output_tokens.p50
    contexts = np.array(max_context)
    too_long = longest > contexts
    rate = np.where(too_long, 0.0, found.rate)
    binding, reason = found.binding, [""] * len(contexts)
    for i in np.flatnonzero(rate <= 0).tolist():
        binding[i], reason[i] = _too_long(longest, max_context[i]) if too_long[i] else found.why(i)
    in_flight = rate * (np.where(rate > 0, found.ttft, 0.0) + queue.load.output_mean * found.tpot)
    return Columns(
        requests_per_second=rate.tolist(),
        ttft_seconds=found.ttft.tolist(),
        tpot_seconds=found.tpot.tolist(),
        concurrency=in_flight.tolist(),
        binding=binding,
        reason=reason,
    )


def latencies(replica: StepTimes, workload_class: WorkloadClass, requests_per_second: float) -> Latencies:
    """What one replica gives the class, alone, at a rate that it sustains, at the target's percentiles."""
    return latencies_at(replica, Load.of(workload_class), [requests_per_second])[0]


def latencies_at(replica: StepTimes, load: Load, rates: Sequence[float]) -> tuple[Latencies, ...]:
    """What one replica gives a load at each of the rates; endless where that is more than it sustains."""
    queue = Queue.of(Crowd.of([replica] * len(rates)), load)
    found = queue.latencies(np.clip(np.array(rates), IDLE * queue.most, HIGHEST_USE * queue.most))
    return tuple(
        Latencies(ttft_seconds=ttft, tpot_seconds=tpot)
        for ttft, tpot in zip(found[0].tolist(), found[1].tolist(), strict=True)
    )


def gpu_seconds(replica: StepTimes, input_tokens: Floats, output_tokens: Floats) -> Floats:
    """What requests of these lengths cost in time of the replica when it is full; element by element."""
    context = input_tokens + output_tokens / 2.0
    mean = float(context.mean())
    batch = min(max(replica.kv_capacity_tokens / replica.kept(mean), 1.0), replica.max_sequences)
    read = replica.kv_seconds_per_token * replica.attended(mean)
    fixed = replica.decode_seconds(batch, mean) / batch - read
    one = Replicas.of([replica])
    prefill = (
        replica.prefill_seconds_per_token * input_tokens
        + replica.prefill_seconds_per_token_squared * one.squares(input_tokens)
    )
    cost: Floats = prefill + output_tokens * (fixed + one.kv * one.attended(context))
    return cost


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Crowded:
    """TPOT is kept where enough of the requests find few enough in flight."""

    queue: Queue
    many: Floats
    """Weights of the chance that a request finds too many."""

    @classmethod
    def of(cls, queue: Queue, most: Floats) -> _Crowded:
        """With the most in flight that keep the bound."""
        return cls(queue=queue, many=queue.levels.above(most - 1.0))

    def rows(self, which: Integers) -> _Crowded:
        return _Crowded(queue=self.queue.rows(which), many=self.many.take(which, axis=1))

    def broken(self, rate: Floats) -> tuple[Floats, Floats]:
        """The logarithm of the share of requests that find too many over the share that may."""
        crowded, rise = self.queue.levels.at(rate).chance(self.many)
        return np.log(np.maximum(crowded, _NONE) / (1.0 - self.queue.load.tpot_share)), rise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Accompanied:
    """Where another one throughout breaks TPOT, it is kept where enough requests bear one for a short enough part of their
    life."""

    queue: Queue
    part: Floats

    @classmethod
    def of(cls, queue: Queue) -> _Accompanied:
        alone, two = (queue.tpot(np.full(len(queue.places), n)) for n in (1.0, 2.0))
        part = (queue.load.tpot_bound - alone) / np.maximum(two - alone, _NONE)
        return cls(queue=queue, part=np.minimum(part, 1.0 - _ALL))

    def rows(self, which: Integers) -> _Accompanied:
        return _Accompanied(queue=self.queue.rows(which), part=self.part[which])

    def broken(self, rate: Floats) -> tuple[Floats, Floats]:
        """As of `_Crowded`."""
        crowded, rise = self.queue.accompanied(rate, self.part)
        return np.log(np.maximum(crowded, _NONE) / (1.0 - self.queue.load.tpot_share)), rise


def _by_tpot(queue: Queue, lowest: Floats, highest: Floats) -> Floats:
    """The largest rate that keeps the bound on TPOT; looked for only where as many in flight as there are places break it."""
    most = queue.most_in_flight()
    found = np.where((most >= 1) & (queue.places >= 1), highest, 0.0)
    searched = (found > 0) & (most < queue.places)
    several, one = np.flatnonzero(searched & (most > 1)), np.flatnonzero(searched & (most == 1))
    targets: list[tuple[Integers, Target]] = [
        (several, _Crowded.of(queue.rows(several), most[several])),
        (one, _Accompanied.of(queue.rows(one))),
    ]
    few = np.maximum(
        most - 2.0 * np.sqrt(most), 0.3
    )  # so many on average, and seldom more than the most, were they Poisson's
    first = np.clip(queue.completed(few), lowest, highest)
    for which, target in targets:
        found[which] = largest(target, lowest[which], highest[which], first[which])
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ttft:
    """TTFT is kept where it is at most its bound."""

    queue: Queue

    def rows(self, which: Integers) -> _Ttft:
        return _Ttft(queue=self.queue.rows(which))

    def broken(self, rate: Floats) -> tuple[Floats, Floats]:
        """As `FirstToken.over`."""
        now = self.queue.levels.at(rate)
        ttft = self.queue.first_token(now, rate, self.queue.found(now, rate))
        return ttft.over(self.queue.load.ttft_bound)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """The rates found and what they give."""

    queue: Queue
    rate: Floats
    ttft: Floats
    tpot: Floats
    binding: list[Binding]
    """Where the rate is not zero."""

    @classmethod
    def of(cls, queue: Queue) -> _Found:
        """The largest rate that keeps both targets, and what binds there."""
        lowest, highest = IDLE * queue.most, HIGHEST_USE * queue.most
        by_tpot = _by_tpot(queue, lowest, highest)
        rate = by_tpot.copy()
        ttft, tpot = queue.latencies(np.maximum(rate, lowest))
        late = np.flatnonzero((ttft > queue.load.ttft_bound) & (rate > 0))
        if len(late):
            waiting, floor = queue.rows(late), lowest[late]
            rate[late] = largest(_Ttft(queue=waiting), floor, rate[late], rate[late])
            ttft[late], tpot[late] = waiting.latencies(np.maximum(rate[late], floor))
        roomy = np.where(queue.places < queue.replicas.max_sequences, Binding.KV_MEMORY, Binding.SEQUENCES)
        slow = np.where(rate < by_tpot, Binding.TTFT, Binding.TPOT)
        names = np.where(rate >= highest, roomy, slow)
        return cls(
            queue=queue, rate=rate, ttft=ttft, tpot=tpot, binding=[_BINDINGS[name] for name in names.tolist()]
        )

    def why(self, i: int) -> tuple[Binding, str]:
        """Replica i sustains nothing: what keeps it from that, and why."""
        load = self.queue.load
        if self.queue.places[i] < 1.0:
            capacity = self.queue.replicas.kv_capacity[i]
            return Binding.KV_MEMORY, f"KV for {capacity:,.0f} tokens, a request holds {load.context:,.0f}"
        if self.tpot[i] > load.tpot_bound:
            step, target = self.tpot[i] * 1e3, load.tpot_bound * 1e3
            return Binding.TPOT, f"a decode step alone takes {step:.3g} ms > target {target:.3g} ms"
        return Binding.TTFT, (
            f"prefill of {load.input_high:,.0f} tokens and a step take {self.ttft[i]:.3g} s"
            f" > target {load.ttft_bound:.3g} s; a bigger batch will not help"
        )


_BINDINGS = {str(binding): binding for binding in Binding}


def _too_long(longest: float, context: int) -> tuple[Binding, str]:
    return (
        Binding.KV_MEMORY,
        f"requests of {longest:,.0f} tokens exceed the context of {context:,} tokens",
    )
