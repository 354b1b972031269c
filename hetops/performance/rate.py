"""The largest request rate of one replica that keeps a class's targets at their percentiles. Pure and vectorised.

How latencies follow from a rate is `queueing.py`'s. TPOT allows so many requests in flight, which is a smooth matter of the
rate; of the rates that keep it, the largest that keeps TTFT is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hetops.domain.performance import Binding, StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.performance.queueing import HIGHEST_USE, IDLE, Load, Queue
from hetops.performance.replicas import Bools, Crowd, Floats, Integers, Replicas
from hetops.performance.search import largest

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


def sustained(
    replicas: Sequence[StepTimes], workload_class: WorkloadClass, max_context: Sequence[int]
) -> list[Sustained]:
    """For each replica the largest rate of the class within its targets; element i for replicas[i]."""
    return sustained_by(Crowd.of(replicas), workload_class, max_context) if replicas else []


def sustained_by(crowd: Crowd, workload_class: WorkloadClass, max_context: Sequence[int]) -> list[Sustained]:
    """As `sustained`, for replicas that are asked about several classes."""
    queue = Queue.of(crowd, Load.of(workload_class))
    found = _Found.of(queue)
    longest = workload_class.input_tokens.p99 + workload_class.output_tokens.p50
    too_long = {context: _too_long(longest, context) for context in set(max_context) if longest > context}
    return [too_long.get(context) or found.at(i) for i, context in enumerate(max_context)]


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
class _Tpot:
    """TPOT is kept where enough of the requests find few enough in flight."""

    queue: Queue
    many: Floats
    """Weights of the chance that a request finds too many."""
    part: Floats
    """Of a request's life, in which it bears another; above one where it bears one throughout."""
    always: Bools
    never: Bools

    @classmethod
    def of(cls, queue: Queue) -> _Tpot:
        most = _most_in_flight(queue)
        return cls(
            queue=queue,
            many=queue.above(np.maximum(most - 1.0, 0.0)),
            part=_part_in_company(queue, most),
            always=most >= queue.places,
            never=(queue.places < 1) | (most < 1),
        )

    def rows(self, which: Integers) -> _Tpot:
        return _Tpot(
            queue=self.queue.rows(which),
            many=self.many[which],
            part=self.part[which],
            always=self.always[which],
            never=self.never[which],
        )

    def broken(self, rate: Floats) -> Floats:
        """The logarithm of the share of requests that find too many over the share that may."""
        crowded = self.queue.chance(rate, self.many)
        if (self.part < 1.0).any():
            crowded = np.where(self.part < 1.0, 1.0 - self.queue.company(rate, self.part), crowded)
        over = np.log(np.maximum(crowded, _NONE) / (1.0 - self.queue.load.tpot_share))
        return np.where(self.never, np.inf, np.where(self.always, -np.inf, over))


def _most_in_flight(queue: Queue) -> Floats:
    """The most requests in flight with which TPOT keeps its bound; 0 where a lone one breaks it."""
    bound, last, each = queue.load.tpot_bound, queue.busy.shape[1] - 1, np.arange(len(queue.busy))
    kept = (queue.tpot[:, 1:] <= bound).sum(axis=1)
    low, high = queue.busy[each, kept], queue.busy[each, np.minimum(kept + 1, last)]
    while (high - low).max() > 1.0:
        middle = np.maximum(np.floor((low + high) / 2.0), 1.0)
        ok = queue.tpot_of(middle) <= bound
        low, high = np.where(ok, middle, low), np.where(ok, high, middle)
    most: Floats = low
    return most


def _part_in_company(queue: Queue, most: Floats) -> Floats:
    """The part of its life in which a request may have another beside it and keep the bound on TPOT."""
    alone, two = queue.tpot[:, 1], queue.tpot_of(np.full(len(most), 2.0))
    part = (queue.load.tpot_bound - alone) / np.maximum(two - alone, _NONE)
    return np.where(most == 1.0, np.minimum(part, 1.0 - _ALL), np.inf)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ttft:
    """TTFT is kept where it is at most its bound."""

    queue: Queue

    def rows(self, which: Integers) -> _Ttft:
        return _Ttft(queue=self.queue.rows(which))

    def broken(self, rate: Floats) -> Floats:
        """By how much the bound's share of TTFT is below one: near saturation that is a line in the rate."""
        if self.queue.load.ttft_bound == np.inf:
            return np.full(len(rate), -np.inf)
        over: Floats = 1.0 - self.queue.load.ttft_bound / self.queue.ttft(rate, self.queue.occupancy(rate))
        return over


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """The rates found and what they give, read one replica at a time."""

    queue: Queue
    rate: Sequence[float]
    ttft: Sequence[float]
    tpot: Sequence[float]
    binding: Sequence[Binding]
    """Where the rate is not zero."""

    @classmethod
    def of(cls, queue: Queue) -> _Found:
        """The largest rate that keeps both targets, and what binds there, by row of the queue."""
        lowest, highest = IDLE * queue.most, HIGHEST_USE * queue.most
        by_tpot = largest(_Tpot.of(queue), lowest, highest)
        by_ttft = largest(_Ttft(queue=queue), lowest, np.maximum(by_tpot, lowest))
        rate = np.minimum(by_tpot, by_ttft)
        ttft, tpot = queue.latencies(np.maximum(rate, lowest))
        roomy = np.where(queue.places < queue.replicas.max_sequences, Binding.KV_MEMORY, Binding.SEQUENCES)
        slow = np.where(by_ttft < by_tpot, Binding.TTFT, Binding.TPOT)
        names = np.where(rate >= highest, roomy, slow)
        return cls(
            queue=queue,
            rate=rate.tolist(),
            ttft=ttft.tolist(),
            tpot=tpot.tolist(),
            binding=[_BINDINGS[name] for name in names.tolist()],
        )

    def at(self, i: int) -> Sustained:
        """The answer for replica i."""
        rate, ttft, tpot = self.rate[i], self.ttft[i], self.tpot[i]
        if rate <= 0:
            return self._none(i)
        return Sustained(
            requests_per_second=rate,
            ttft_seconds=ttft,
            tpot_seconds=tpot,
            concurrency=rate * (ttft + self.queue.load.output_mean * tpot),
            binding=self.binding[i],
        )

    def _none(self, i: int) -> Sustained:
        binding, reason = self._why(i, self.queue.load)
        return Sustained(
            requests_per_second=0.0,
            ttft_seconds=self.ttft[i],
            tpot_seconds=self.tpot[i],
            concurrency=0.0,
            binding=binding,
            reason=reason,
        )

    def _why(self, i: int, load: Load) -> tuple[Binding, str]:
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


def _too_long(longest: float, context: int) -> Sustained:
    return Sustained(
        requests_per_second=0.0,
        ttft_seconds=float("inf"),
        tpot_seconds=float("inf"),
        concurrency=0.0,
        binding=Binding.KV_MEMORY,
        reason=f"requests of {longest:,.0f} tokens exceed the context of {context:,} tokens",
    )
