"""The largest request rate of one replica that keeps a class's targets at their percentiles. Pure and vectorised.

A replica with n requests in flight completes mu(n) = 1 / (prefill / stages + output * step(n) / n) requests a second:
prompts of a batch share the compute, decoding shares one reading of the weights. Under Poisson arrivals at rate r the
number in flight is that of a queue with load-dependent processor sharing, pi(n) ~ r^n / (mu(1) ... mu(n)), whatever the
distribution of lengths (Kelly 1979, Reversibility and Stochastic Networks, ch. 3); beyond the places requests wait.
TPOT is held with as many in flight as an arrival finds at the target's percentile. TTFT is the prefill of the prompt at
that percentile, one decode step, and the longer of two waits: for a place, and for the prompts ahead, an M/G/1 queue
(Pollaczek-Khinchine mean, exponential tail). Who waited for a place finds few prompts ahead: the waits do not add.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hetops.domain.performance import Binding, StepTimes
from hetops.domain.workload import TokenLengths, WorkloadClass

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_HALVINGS = 34
_NOTHING = 1e-12
"""Seconds that count as none."""
_HARD = 64.0
"""A sharpness at which the larger of two times is all of both, to 1 %."""
_IDLE = 1e-6
"""Part of the highest rate at which a replica is as good as idle."""
_HIGHEST_USE = 0.98
"""Utilisation above which a wait is taken as endless."""


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
    if not replicas:
        return []
    queue = _Queue.of(_Steps.of(replicas), _Load.of(workload_class))
    rate = _largest(queue.kept, _IDLE * queue.most, _HIGHEST_USE * queue.most)
    found = _Found.of(queue, rate)
    longest = workload_class.input_tokens.p99 + workload_class.output_tokens.p50
    return [
        found.at(i) if longest <= max_context[i] else _too_long(longest, max_context[i])
        for i in range(len(replicas))
    ]


def latencies(replica: StepTimes, workload_class: WorkloadClass, requests_per_second: float) -> Latencies:
    """What one replica gives the class, alone, at a rate that it sustains, at the target's percentiles."""
    queue = _Queue.of(_Steps.of([replica]), _Load.of(workload_class))
    rate = np.clip(requests_per_second, _IDLE * queue.most, _HIGHEST_USE * queue.most)
    ttft, tpot = queue.latencies(rate)
    return Latencies(ttft_seconds=float(ttft[0]), tpot_seconds=float(tpot[0]))


def gpu_seconds(replica: StepTimes, input_tokens: Floats, output_tokens: Floats) -> Floats:
    """What requests of these lengths cost in time of the replica when it is full; element by element."""
    context = input_tokens + output_tokens / 2.0
    mean = float(context.mean())
    batch = min(max(replica.kv_capacity_tokens / mean, 1.0), replica.max_sequences)
    fixed = (replica.decode_seconds(batch, mean) - replica.kv_seconds_per_token * mean * batch) / batch
    prefill = (
        replica.prefill_seconds_per_token * input_tokens
        + replica.prefill_seconds_per_token_squared * input_tokens**2
    )
    cost: Floats = prefill + output_tokens * (fixed + replica.kv_seconds_per_token * context)
    return cost


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """StepTimes of many replicas as arrays."""

    weights: Floats
    compute: Floats
    kv: Floats
    overhead: Floats
    per_sequence: Floats
    prefill: Floats
    prefill_squared: Floats
    kv_capacity: Floats
    max_sequences: Floats
    interference: Floats
    stages: Floats
    shared: Floats
    expert_share: Floats
    sharpness: Floats
    first_token: Floats
    first_token_factor: Floats

    @classmethod
    def of(cls, replicas: Sequence[StepTimes]) -> _Steps:
        def column(name: str) -> Floats:
            return np.array([getattr(r, name) for r in replicas], dtype=np.float64)

        return cls(
            weights=column("weights_seconds"),
            compute=column("compute_seconds_per_sequence"),
            kv=column("kv_seconds_per_token"),
            overhead=column("overhead_seconds"),
            per_sequence=column("overhead_seconds_per_sequence"),
            prefill=column("prefill_seconds_per_token"),
            prefill_squared=column("prefill_seconds_per_token_squared"),
            kv_capacity=column("kv_capacity_tokens"),
            max_sequences=column("max_sequences"),
            interference=column("prefill_interference"),
            stages=column("pipeline_stages"),
            shared=column("shared_weights"),
            expert_share=column("expert_share"),
            sharpness=np.array([_HARD if r.sharpness is None else r.sharpness for r in replicas]),
            first_token=column("first_token_seconds"),
            first_token_factor=column("first_token_factor"),
        )

    def decode(self, in_flight: Floats, context: float) -> Floats:
        """As `StepTimes.decode_seconds`, for one number in flight a replica, or a row of numbers each."""
        over = (slice(None),) + (None,) * (in_flight.ndim - 1)
        unchosen = (1.0 - self.expert_share[over]) ** (in_flight / self.stages[over])
        touched = self.shared[over] + (1.0 - self.shared[over]) * (1.0 - unchosen)
        read, done, s = self.weights[over] * touched, self.compute[over] * in_flight, self.sharpness[over]
        larger = np.maximum(np.maximum(read, done), _NOTHING)
        both = larger * ((read / larger) ** s + (done / larger) ** s) ** (1.0 / s)
        each = self.kv[over] * context + self.per_sequence[over]
        seconds: Floats = both + each * in_flight + self.overhead[over]
        return seconds

    def prefill_seconds(self, tokens: float) -> Floats:
        """As `StepTimes.prefill_seconds`."""
        return self.prefill * tokens + self.prefill_squared * tokens * tokens + self.overhead


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """What the formulas need of a class."""

    input_mean: float
    input_high: float
    input_spread: float
    """Squared coefficient of variation of the input length."""
    output_spread: float
    output_mean: float
    context: float
    """Mean tokens that a running request holds: its input and half its output."""
    tpot_share: float
    """Share of requests whose TPOT must keep the bound."""
    ttft_bound: float | None
    tail: float
    """Share of requests that may be slower to their first token than the bound."""
    tpot_bound: float | None

    @classmethod
    def of(cls, c: WorkloadClass) -> _Load:
        return cls(
            input_mean=c.input_tokens.mean,
            input_high=max(c.input_tokens.percentile(c.target.ttft_percentile), c.input_tokens.mean),
            input_spread=_spread(c.input_tokens),
            output_spread=_spread(c.output_tokens),
            output_mean=c.output_tokens.mean,
            context=c.input_tokens.mean + c.output_tokens.mean / 2.0,
            tpot_share=c.target.tpot_percentile / 100.0,
            ttft_bound=c.target.ttft_seconds,
            tail=1.0 - c.target.ttft_percentile / 100.0,
            tpot_bound=c.target.tpot_seconds,
        )


def _spread(lengths: TokenLengths) -> float:
    """Squared coefficient of variation of a log-normal with these median and 90th percentile."""
    if lengths.p50 <= 0 or lengths.p90 <= lengths.p50:
        return 0.0
    sigma = np.log(lengths.p90 / lengths.p50) / NormalDist().inv_cdf(0.9)
    return float(np.expm1(min(sigma**2, 4.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Queue:
    """Replicas as queues of one class: rows are replicas, columns numbers of requests in flight from 1 on."""

    steps: _Steps
    load: _Load
    places: Floats
    """Requests that can be in flight at once: sequences allowed, or what the KV cache has room for."""
    in_flight: Floats
    """1, 2, 3, ..."""
    log_completed: Floats
    """Logarithm of mu(1) ... mu(n); mu stays that of all places beyond them."""
    most: Floats
    """Completions a second with all places taken."""

    @classmethod
    def of(cls, steps: _Steps, load: _Load) -> _Queue:
        places = np.floor(np.minimum(steps.max_sequences, steps.kv_capacity / load.context))
        served = np.maximum(places, 1.0)
        numbers = np.arange(1.0, served.max() + 1.0)
        busy = np.minimum(numbers[None, :], served[:, None])
        work = (steps.prefill_seconds(load.input_mean) / steps.stages)[:, None] + (
            load.output_mean * steps.decode(busy, load.context) / busy
        )
        return cls(
            steps=steps,
            load=load,
            places=places,
            in_flight=numbers,
            log_completed=np.cumsum(-np.log(work), axis=1),
            most=1.0 / work[:, -1],
        )

    def latencies(self, rate: Floats) -> tuple[Floats, Floats]:
        """TTFT and TPOT at the target's percentiles at these rates; endless where the queue would be."""
        found, waiting = self._found(rate)
        return self._ttft(rate, found, waiting), self._tpot(found)

    def kept(self, rate: Floats) -> Bools:
        """Where both targets hold; a higher rate never mends a broken one."""
        ttft, tpot = self.latencies(rate)
        kept: Bools = (
            (tpot <= _bound(self.load.tpot_bound))
            & (ttft <= _bound(self.load.ttft_bound))
            & (self.places >= 1)
        )
        return kept

    def _found(self, rate: Floats) -> tuple[Floats, Floats]:
        """In flight at the TPOT percentile as a request runs, itself counted; and the chance that all places are taken."""
        places = np.maximum(self.places, 1.0)[:, None]
        weight = self.in_flight[None, :] * np.log(rate)[:, None] - self.log_completed
        weight = np.where(self.in_flight[None, :] <= places, weight, -np.inf)
        top = np.maximum(weight.max(axis=1), 0.0)
        mass = np.exp(weight - top[:, None])
        use = np.minimum(rate / self.most, _HIGHEST_USE)
        last = np.take_along_axis(mass, places.astype(np.int64) - 1, axis=1)[:, 0]
        idle, beyond = np.exp(-top), last * use / (1.0 - use)
        whole = idle + mass.sum(axis=1) + beyond
        below = (idle[:, None] + np.cumsum(mass, axis=1)) / whole[:, None]
        found = np.minimum(
            (below < self.load.tpot_share).sum(axis=1) + 1.0 + (idle / whole < self.load.tpot_share),
            places[:, 0],
        )
        return found, (last + beyond) / whole

    def _tpot(self, found: Floats) -> Floats:
        stalls = self.steps.interference * (found - 1.0) / self.load.output_mean
        return (
            self.steps.decode(found, self.load.context)
            + stalls * self.steps.prefill_seconds(self.load.input_mean) / self.steps.stages
        )

    def _ttft(self, rate: Floats, found: Floats, waiting: Floats) -> Floats:
        """The prompt's own prefill, a step, and the longer wait."""
        load, tail = self.load, self.load.tail
        step = self.steps.decode(found, load.context)
        service = (
            self.steps.prefill_seconds(load.input_mean) / self.steps.stages + self.steps.interference * step
        )
        use = np.minimum(rate * service, _HIGHEST_USE)
        behind = service * (1.0 + load.input_spread) / (2.0 * (1.0 - use))
        free = (1.0 + load.output_spread) / (2.0 * (self.most - np.minimum(rate, _HIGHEST_USE * self.most)))
        with np.errstate(divide="ignore"):
            for_prompts = np.where(use > tail, behind * np.log(use / tail), 0.0)
            for_a_place = np.where(waiting > tail, free * np.log(waiting / tail), 0.0)
        own = self.steps.first_token_factor * self.steps.prefill_seconds(load.input_high) + step
        ttft: Floats = own + self.steps.first_token + np.maximum(for_prompts, for_a_place)
        return np.where(
            (rate * service > _HIGHEST_USE) | (rate > _HIGHEST_USE * self.most * (1 + 1e-9)), np.inf, ttft
        )


def _bound(seconds: float | None) -> float:
    return np.inf if seconds is None else seconds


def _largest(holds: Callable[[Floats], Bools], low: Floats, high: Floats) -> Floats:
    """The largest value in [low, high] for which a condition holds that, once broken, stays broken; where it is
    broken at `low` already, 0."""
    at_low, at_high = holds(low), holds(high)
    good, bad = low.copy(), high.copy()
    for _ in range(_HALVINGS):
        middle = (good + bad) / 2.0
        ok = holds(middle)
        good, bad = np.where(ok, middle, good), np.where(ok, bad, middle)
    found: Floats = np.where(at_high, high, np.where(at_low, good, 0.0))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The rates found and what they give, read one replica at a time."""

    queue: _Queue
    rate: Floats
    ttft: Floats
    tpot: Floats
    tpot_beyond: Floats
    """TPOT at a rate that is a little higher."""

    @classmethod
    def of(cls, queue: _Queue, rate: Floats) -> _Found:
        held = np.maximum(rate, _IDLE * queue.most)
        ttft, tpot = queue.latencies(held)
        _, beyond = queue.latencies(held * (1 + 1e-6))
        return cls(queue=queue, rate=rate, ttft=ttft, tpot=tpot, tpot_beyond=beyond)

    def at(self, i: int) -> Sustained:
        """The answer for replica i."""
        rate, ttft, tpot = float(self.rate[i]), float(self.ttft[i]), float(self.tpot[i])
        binding, reason = self._binding(i, ttft, tpot)
        return Sustained(
            requests_per_second=0.0 if reason else rate,
            ttft_seconds=ttft,
            tpot_seconds=tpot,
            concurrency=rate * (ttft + self.queue.load.output_mean * tpot),
            binding=binding,
            reason=reason,
        )

    def _binding(self, i: int, ttft: float, tpot: float) -> tuple[Binding, str]:
        queue, load = self.queue, self.queue.load
        if queue.places[i] < 1.0:
            capacity = queue.steps.kv_capacity[i]
            return Binding.KV_MEMORY, f"KV for {capacity:,.0f} tokens, a request holds {load.context:,.0f}"
        if self.rate[i] <= 0 and tpot > _bound(load.tpot_bound):
            step, target = tpot * 1e3, (load.tpot_bound or 0) * 1e3
            return Binding.TPOT, f"a decode step alone takes {step:.3g} ms > target {target:.3g} ms"
        if self.rate[i] <= 0:
            why = f"prefill of {load.input_high:,.0f} tokens and a step take {ttft:.3g} s > target {load.ttft_bound:.3g} s"
            return Binding.TTFT, f"{why}; a bigger batch will not help"
        if self.rate[i] >= _HIGHEST_USE * queue.most[i] * (1 - 1e-6):
            full = queue.places[i] >= queue.steps.max_sequences[i]
            return (Binding.SEQUENCES if full else Binding.KV_MEMORY), ""
        slow = self.tpot_beyond[i] > _bound(load.tpot_bound)
        return (Binding.TPOT if slow else Binding.TTFT), ""


def _too_long(longest: float, context: int) -> Sustained:
    return Sustained(
        requests_per_second=0.0,
        ttft_seconds=float("inf"),
        tpot_seconds=float("inf"),
        concurrency=0.0,
        binding=Binding.KV_MEMORY,
        reason=f"requests of {longest:,.0f} tokens exceed the context of {context:,} tokens",
    )
