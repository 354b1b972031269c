"""Rates are those of the exact queue: every number in flight summed, the rate found by halving."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from hetops.catalog import tables
from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.performance import StepTimes
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance import measured
from hetops.performance.estimate import step_times
from hetops.performance.queueing import Load, Queue
from hetops.performance.rate import sustained
from hetops.performance.replicas import Crowd
from hetops.workloads.classes import lengths
from tests.performance.test_measured import ONE_CORE, RUNS

CATALOG = tables.load()


def replica(model: str, gpu: str, tensor: int, sequences: int) -> StepTimes:
    configuration = Configuration(
        model=model,
        engine="vllm",
        gpu=gpu,
        tensor_parallel=tensor,
        weights=Precision.FP8,
        kv=Precision.BF16,
        checkpoint="hub",
        max_sequences=sequences,
        max_context_tokens=8_000,
    )
    return step_times([configuration], CATALOG.model(model), {gpu: CATALOG.gpu(gpu)})[0]


def a_class(tokens: tuple[float, float], target: LatencyTarget, prefix_share: float = 0.0) -> WorkloadClass:
    return WorkloadClass(
        name="c",
        requests_per_second=1.0,
        input_tokens=TokenLengths.fixed(tokens[0]),
        output_tokens=TokenLengths.fixed(tokens[1]),
        target=target,
        prefix_share=prefix_share,
    )


class ExactQueue:
    """The queue of `hetops/performance/queueing.py`, number by number, for requests of one length."""

    def __init__(self, times: StepTimes, c: WorkloadClass) -> None:
        self.times, self.target = times, c.target
        self.inputs, self.outputs = c.input_tokens.mean, c.output_tokens.mean
        self.context = self.inputs + self.outputs / 2
        self.places = int(min(times.max_sequences, times.kv_capacity_tokens // times.kept(self.context)))
        self.computed = self.inputs * (1 - c.prefix_share)
        self.prefill = times.prefill_seconds(self.inputs, self.inputs * c.prefix_share)
        self.ripening = max(
            0.0,
            times.first_token_seconds + (times.first_token_factor - 1 / times.pipeline_stages) * self.prefill,
        )
        self.mu = [1 / (self.prompt(n) + self.own(n) / n) for n in range(1, self.places + 1)]

    def own(self, n: float) -> float:
        return self.outputs * self.step(n) + self.ripening

    def together(self, n: float) -> float:
        """Prompts in a step."""
        return min(max(1.0, n / self.outputs), max(1.0, 8192 / self.computed))

    def prompt(self, n: float) -> float:
        shared = self.times.overhead_seconds * (1 - 1 / self.together(n))
        return (self.prefill - shared) / self.times.pipeline_stages

    def step(self, n: float) -> float:
        return self.times.decode_seconds(n, self.context)

    def latencies(self, rate: float) -> tuple[float, float]:
        """TTFT and TPOT at the 90th percentile."""
        logs = [0.0]
        for mu in self.mu:
            logs.append(logs[-1] + math.log(rate / mu))
        mass = [math.exp(log - max(logs)) for log in logs]
        use = min(rate / self.mu[-1], 0.98)
        beyond = mass[-1] * use / (1 - use)
        whole = sum(mass) + beyond
        below, number = mass[0], 0
        while below < 0.9 * whole and number < self.places:
            number += 1
            below += mass[number]
        found: float = min(number + 1, self.places)
        if number <= 1 < self.places:
            found = 1 + self._company(mass[0] / whole, mass[1] / whole, rate)
        return self._ttft(rate, found, (mass[-1] + beyond) / whole), self._tpot(found)

    def _company(self, nobody: float, one: float, rate: float) -> float:
        """The part of its life in which the request at the 90th percentile has another beside it."""
        decoding = self.outputs * self._tpot(1)
        never = nobody * math.exp(-rate * decoding)
        partly = nobody + one * (1 - math.exp(-decoding / (decoding + self.prompt(1))))
        return min(1.0, max(0.0, (0.9 - never) / (partly - never)))

    def _tpot(self, found: float) -> float:
        z, steps = NormalDist().inv_cdf(0.9), max(self.outputs - 1, 1)
        met = (math.sqrt(z * z / 4 + max(found - 1, 1)) - z / 2) ** 2 * steps / self.outputs
        stalls = min(found - 1, 1) * (met + z * math.sqrt(met)) / steps
        return self.step(found) + self.times.prefill_interference * stalls * self.prompt(found)

    def _ttft(self, rate: float, found: float, waiting: float) -> float:
        together, prompt = self.together(found), self.prompt(found)
        service = prompt + self.times.prefill_interference * self.step(found) / together
        if rate * service > 0.98 or rate > 0.98 * self.mu[-1]:
            return math.inf
        behind = service / (2 * (1 - rate * service))
        free = 1 / (2 * (self.mu[-1] - rate))
        waits = behind * math.log(max(1.0, rate * service / 0.1)), free * math.log(max(1.0, waiting / 0.1))
        own = self.times.first_token_factor * self.prefill + self.step(found)
        beside = self.times.prefill_interference * (together - 1) * prompt
        return own + beside + self.times.first_token_seconds + max(waits)

    def kept(self, rate: float) -> bool:
        ttft, tpot = self.latencies(rate)
        return ttft <= (self.target.ttft_seconds or math.inf) and tpot <= (
            self.target.tpot_seconds or math.inf
        )

    def largest(self) -> float:
        low, high = 1e-6 * self.mu[-1], 0.98 * self.mu[-1] * (1 - 1e-12)
        if self.kept(high):
            return high
        if not self.kept(low):
            return 0.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.kept(middle) else (low, middle)
        return low


def cases() -> Iterator[tuple[StepTimes, WorkloadClass]]:
    replicas = (
        replica("llama-3.1-8b", "L4", 1, 256),
        replica("llama-3.1-8b", "H100-SXM", 1, 256),
        replica("llama-3.1-8b", "H100-SXM", 1, 3),
        replica("mixtral-8x7b", "H100-SXM", 2, 200),
        replica("llama-3.1-70b", "B200", 1, 64),
        replica("gemma-3-27b", "L40S", 1, 64),
    )
    targets = ((0.4, 0.03), (3.0, 0.2), (0.5, None), (None, 0.04))
    for times, tokens, (ttft, tpot) in product(
        replicas, ((150, 300), (1500, 100), (4000, 20), (100, 8), (300, 2)), targets
    ):
        yield times, a_class(tokens, LatencyTarget(ttft_seconds=ttft, tpot_seconds=tpot))


def test_rates_are_within_a_percent_of_the_exact_queue() -> None:
    off = []
    for times, c in cases():
        exact, found = ExactQueue(times, c).largest(), sustained([times], c, [8_000])[0].requests_per_second
        assert (found == 0) == (exact == 0)
        if exact:
            off.append(abs(found / exact - 1))
    assert len(off) > 30
    assert max(off) < 0.01


@pytest.mark.parametrize("places", [2, 4])
@pytest.mark.parametrize("tpot", [0.014, 0.02, 0.03, 0.05, 0.08])
def test_where_a_second_sequence_costs_much_the_rate_bears_it_for_a_part_of_a_request_s_life(
    places: int, tpot: float
) -> None:
    times = measured.step_times(
        replace(ONE_CORE, max_sequences=places), [m for m in RUNS if m.concurrency <= places], 8_000
    )
    c = a_class((34, 10), LatencyTarget(ttft_seconds=None, tpot_seconds=tpot))
    found = sustained([times], c, [8_000])[0]
    assert found.requests_per_second == pytest.approx(ExactQueue(times, c).largest(), rel=0.01)
    assert found.tpot_seconds <= tpot * 1.001


def test_a_prefix_in_the_cache_takes_its_tokens_out_of_the_prefill_and_leaves_its_kv_where_it_is() -> None:
    times = replica("llama-3.1-8b", "H100-SXM", 1, 256)
    target = LatencyTarget(ttft_seconds=0.5, tpot_seconds=0.05)
    rates = []
    for share in (0.0, 0.5, 0.9):
        c = a_class((4000, 50), target, share)
        rates.append(sustained([times], c, [8_000])[0].requests_per_second)
        assert rates[-1] == pytest.approx(ExactQueue(times, c).largest(), rel=0.01)
    assert rates[0] * 1.5 < rates[1] < rates[2]
    one_more_token = times.prefill_seconds(4000, 3999) - times.overhead_seconds
    assert one_more_token == pytest.approx(
        times.prefill_seconds_per_token + times.prefill_seconds_per_token_squared * 7999
    )


def test_unequal_lengths_hold_and_compute_what_their_requests_do_on_average() -> None:
    """Of drawn requests: KV held over the time that each runs, and seconds of their prompts, one by one."""
    random, steps = np.random.default_rng(3), replica("qwen3-30b-a3b", "H200-SXM", 1, 64)
    inputs, outputs = (
        np.round(np.clip(random.lognormal(np.log(n), 0.7, 20_000), 1, 30_000)) for n in (5000, 2000)
    )
    c = replace(
        a_class((1, 1), LatencyTarget()), input_tokens=lengths(inputs), output_tokens=lengths(outputs)
    )
    load = Load.of(c)
    held = float(((inputs + outputs / 2) * outputs).sum() / outputs.sum())
    assert load.context == pytest.approx(held, rel=0.02)
    assert held > 1.05 * (inputs.mean() + outputs.mean() / 2)
    prompts = [steps.prefill_seconds(n) for n in inputs.tolist()]
    found = float(Queue.of(Crowd.of([steps]), load).prompt(1.0)[0])
    assert found == pytest.approx(np.mean(prompts), rel=0.03)
    assert found > 1.1 * steps.prefill_seconds(inputs.mean())


def test_no_lengths_count_as_more_unequal_than_their_99th_percentile_lets_them_be() -> None:
    odd = TokenLengths(mean=100, p50=10, p90=300, p95=320, p99=400)
    load = Load.of(replace(a_class((100, 50), LatencyTarget()), output_tokens=odd))
    assert (load.input_spread, load.output_spread) == (0.0, pytest.approx(3.0))
    assert load.context == pytest.approx(100 + 100 * 4 / 2)
