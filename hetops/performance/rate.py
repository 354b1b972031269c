"""The largest request rate of one replica that keeps a class's targets at their percentiles. Pure and vectorised.

A replica that always has B requests in flight completes lambda(B) = 1 / (prefill / stages + output * step(B) / B)
requests a second: prompts of a batch share the compute, decoding shares one reading of the weights. Under Poisson
arrivals the number in flight varies by its square root, so TPOT is held at B + z sqrt(B). TTFT is the prefill of the
prompt at the target's percentile, one decode step, and two waits: for prefills ahead of it, an M/G/1 queue
(Pollaczek-Khinchine mean, exponential tail) over prefill times whose spread comes from the class's lengths; and for a
free sequence, an M/G/c queue (Sakasegawa 1977, An approximation formula Lq = a rho^b / (1 - rho)).
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

_HALVINGS = 40
_ALMOST_IDLE = 1e-3
"""Requests in flight, on average, of a replica that is idle but for one request now and then."""
_HIGHEST_USE = 0.98
"""Utilisation of the prefill queue above which its wait is taken as endless."""


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
    steps, load = _Steps.of(replicas), _Load.of(workload_class)
    most = np.maximum(np.minimum(steps.max_sequences, steps.kv_capacity / load.context), 0.0)
    in_flight = _largest(lambda b: _kept(steps, load, b), np.minimum(_ALMOST_IDLE, most), most)
    found = _Found(steps=steps, load=load, most=most, in_flight=in_flight)
    longest = workload_class.input_tokens.p99 + workload_class.output_tokens.p50
    return [
        found.at(i) if longest <= max_context[i] else _too_long(longest, max_context[i])
        for i in range(len(replicas))
    ]


def latencies(replica: StepTimes, workload_class: WorkloadClass, requests_per_second: float) -> Latencies:
    """What one replica gives the class, alone, at a rate that it sustains, at the target's percentiles."""
    steps, load = _Steps.of([replica]), _Load.of(workload_class)
    most = np.maximum(np.minimum(steps.max_sequences, steps.kv_capacity / load.context), _ALMOST_IDLE)
    in_flight = _largest(
        lambda b: _rate(steps, load, b) <= requests_per_second, np.full_like(most, _ALMOST_IDLE), most
    )
    in_flight = np.maximum(in_flight, _ALMOST_IDLE)
    return Latencies(
        ttft_seconds=float(_ttft(steps, load, in_flight)[0]),
        tpot_seconds=float(_tpot_high(steps, load, in_flight)[0]),
    )


def gpu_seconds(replica: StepTimes, input_tokens: Floats, output_tokens: Floats) -> Floats:
    """What requests of these lengths cost in time of the replica when it is full; element by element."""
    context = input_tokens + output_tokens / 2.0
    batch = np.clip(replica.kv_capacity_tokens / context.mean(), 1.0, replica.max_sequences)
    shared = max(replica.weights_seconds / batch, replica.compute_seconds_per_sequence)
    fixed = replica.overhead_seconds / batch + replica.overhead_seconds_per_sequence
    prefill = (
        replica.prefill_seconds_per_token * input_tokens
        + replica.prefill_seconds_per_token_squared * input_tokens**2
    )
    cost: Floats = prefill + output_tokens * (shared + replica.kv_seconds_per_token * context + fixed)
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
        )

    def decode(self, in_flight: Floats, context: float) -> Floats:
        """As `StepTimes.decode_seconds`."""
        return (
            np.maximum(self.weights, self.compute * in_flight)
            + self.kv * context * in_flight
            + self.overhead
            + self.per_sequence * in_flight
        )

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
    z: float
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
            z=max(0.0, NormalDist().inv_cdf(c.target.tpot_percentile / 100.0)),
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


def _rate(steps: _Steps, load: _Load, in_flight: Floats) -> Floats:
    """Requests a second with so many always in flight; less than one in flight is a share of the time."""
    busy = np.maximum(in_flight, 1.0)
    work = (
        steps.prefill_seconds(load.input_mean) / steps.stages
        + load.output_mean * steps.decode(busy, load.context) / busy
    )
    return np.minimum(in_flight, 1.0) / work


def _tpot_high(steps: _Steps, load: _Load, in_flight: Floats) -> Floats:
    """TPOT at the target's percentile: the step of a batch that is larger than its mean by z standard deviations."""
    high = np.minimum(in_flight + load.z * np.sqrt(in_flight), np.maximum(steps.max_sequences, 1.0))
    stalls = steps.interference * np.maximum(high - 1.0, 0.0) / load.output_mean
    return (
        steps.decode(np.maximum(high, 1.0), load.context)
        + stalls * steps.prefill_seconds(load.input_mean) / steps.stages
    )


def _ttft(steps: _Steps, load: _Load, in_flight: Floats) -> Floats:
    """TTFT at the target's percentile with so many in flight, and so at the rate that they make."""
    service = steps.prefill_seconds(load.input_mean) / steps.stages
    asked = _rate(steps, load, in_flight) * service
    use = np.minimum(asked, _HIGHEST_USE)
    mean_wait = use * service * (1.0 + load.input_spread) / (2.0 * (1.0 - use))
    with np.errstate(divide="ignore", invalid="ignore"):
        high_wait = np.where(use > load.tail, mean_wait / use * np.log(use / load.tail), 0.0)
    high_wait = high_wait + _sequence_wait(steps, load, in_flight)
    own = steps.prefill_seconds(load.input_high) + steps.decode(np.maximum(in_flight, 1.0), load.context)
    return np.where(asked > _HIGHEST_USE, np.inf, own + high_wait)


def _sequence_wait(steps: _Steps, load: _Load, in_flight: Floats) -> Floats:
    """The wait for one of the sequences that a replica can run at once, at the TTFT target's percentile."""
    places = np.maximum(np.minimum(steps.max_sequences, steps.kv_capacity / load.context), 1.0)
    asked = in_flight / places
    use = np.minimum(asked, _HIGHEST_USE)
    waits = use ** (np.sqrt(2.0 * (places + 1.0)) - 1.0)
    service = in_flight / _rate(steps, load, in_flight)
    mean_of_waiting = service * (1.0 + load.output_spread) / (2.0 * places * (1.0 - use))
    wait: Floats = np.where(waits > load.tail, mean_of_waiting * np.log(waits / load.tail), 0.0)
    return np.where(asked > _HIGHEST_USE, np.inf, wait)


def _kept(steps: _Steps, load: _Load, in_flight: Floats) -> Bools:
    """Where both targets hold with so many in flight; more in flight never mends a broken one."""
    kept: Bools = (_tpot_high(steps, load, in_flight) <= _bound(load.tpot_bound)) & (
        _ttft(steps, load, in_flight) <= _bound(load.ttft_bound)
    )
    return kept


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
    """The arrays of an answer, read one replica at a time."""

    steps: _Steps
    load: _Load
    most: Floats
    in_flight: Floats

    def at(self, i: int) -> Sustained:
        """The answer for replica i."""
        held = np.maximum(self.in_flight, _ALMOST_IDLE)
        tpot = float(_tpot_high(self.steps, self.load, held)[i])
        ttft = float(_ttft(self.steps, self.load, held)[i])
        binding, reason = self._binding(i, tpot, ttft)
        return Sustained(
            requests_per_second=0.0 if reason else float(_rate(self.steps, self.load, held)[i]),
            ttft_seconds=ttft,
            tpot_seconds=tpot,
            concurrency=float(self.in_flight[i]),
            binding=binding,
            reason=reason,
        )

    def _binding(self, i: int, tpot: float, ttft: float) -> tuple[Binding, str]:
        load = self.load
        if self.most[i] < 1.0:
            return (
                Binding.KV_MEMORY,
                f"KV for {self.steps.kv_capacity[i]:,.0f} tokens, a request holds {load.context:,.0f}",
            )
        if self.in_flight[i] <= 0 and tpot > _bound(load.tpot_bound):
            return (
                Binding.TPOT,
                f"a decode step alone takes {tpot * 1e3:.1f} ms > target {(load.tpot_bound or 0) * 1e3:.1f} ms",
            )
        if self.in_flight[i] <= 0:
            why = f"prefill of {load.input_high:,.0f} tokens and a step take {ttft:.3g} s > target {load.ttft_bound:.3g} s"
            return Binding.TTFT, f"{why}; a bigger batch will not help"
        if self.in_flight[i] >= self.most[i] * (1 - 1e-9):
            full = self.most[i] >= self.steps.max_sequences[i]
            return (Binding.SEQUENCES if full else Binding.KV_MEMORY), ""
        more = self.in_flight * (1 + 1e-6)
        slow = bool(_tpot_high(self.steps, load, more)[i] > _bound(load.tpot_bound))
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
