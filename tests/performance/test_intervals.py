"""Intervals of planned latencies hold what the emulated engine's core gives, as often as they say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from hetops.domain.performance import Evidence, EvidenceLayer, StepTimes
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance import measured
from hetops.performance.intervals import Served, around, forecast, slowest
from hetops.performance.margins import HalfWidths, founded_on, widths_of
from hetops.performance.queueing import Mixture
from hetops.performance.rate import sustained
from hetops.simulate.steps import slowed
from hetops.workloads.classes import lengths
from tests.performance.test_against_the_engine import Floats, replayed, replica
from tests.performance.test_measured import LONG, ONE_CORE, RUNS, SHORT

REQUESTS = 1500
Case = tuple[StepTimes, WorkloadClass, Floats, Floats]


def cases() -> Iterator[Case]:
    """Replicas of GPUs and of host cores under short and long requests."""
    replicas = (
        ("llama-3.1-8b", "L4", 1, 256),
        ("llama-3.1-70b", "H100-SXM", 4, 256),
        ("gemma-3-270m", "CPU", 1, 4),
    )
    for of, (inputs, outputs, spread) in itertools.product(replicas, ((300, 150, 0.5), (1000, 400, 0.8))):
        small, random = 0.1 if of[1] == "CPU" else 1.0, np.random.default_rng(3)
        drawn = [
            np.clip(np.round(random.lognormal(np.log(typical * small), spread, REQUESTS)), 2, 8000)
            for typical in (inputs, outputs)
        ]
        c = WorkloadClass(
            name="c",
            requests_per_second=1.0,
            input_tokens=lengths(drawn[0]),
            output_tokens=lengths(drawn[1]),
            target=LatencyTarget(ttft_seconds=4.0, tpot_seconds=0.3),
        )
        yield replica(*of), c, drawn[0], drawn[1]


def held(half_width: float, part: float, seed: int) -> Iterator[bool]:
    """Whether TTFT and TPOT of replays lie within their intervals, where steps are as far off as is known of them."""
    widths = HalfWidths(throughput=half_width, tpot=half_width, ttft=half_width)
    known, random = founded_on(EvidenceLayer.MEASURED, "", widths), np.random.default_rng(seed)
    for times, c, inputs, outputs in cases():
        rate = sustained([times], c, [12_000])[0].requests_per_second * part
        said = forecast(times, Served(of=c, requests_per_second=rate), known)
        really = slowed(times, random.lognormal(0.0, half_width / 1.2816))
        ttft, tpot = (float(np.percentile(v, 90)) for v in replayed(really, rate, inputs, outputs))
        yield said.ttft.low <= ttft <= said.ttft.high
        yield said.tpot.low <= tpot <= said.tpot.high


@pytest.mark.parametrize("half_width", [0.0, 0.1, 0.3])
def test_eight_in_ten_latencies_of_a_replay_lie_within_their_intervals(half_width: float) -> None:
    found = [one for part in (0.45, 0.65) for one in held(half_width, part, seed=round(100 * part))]
    assert np.mean(found) >= 0.8


def test_evidence_carries_the_half_widths_as_margins() -> None:
    widths = HalfWidths(throughput=0.33, tpot=0.1, ttft=0.7)
    known = founded_on(EvidenceLayer.CALIBRATED, "a fit", widths)
    found = widths_of(known)
    assert (found.throughput, found.tpot, found.ttft) == pytest.approx((0.33, 0.1, 0.7))
    rate = around(10.0, found.throughput)
    assert rate.low == pytest.approx(10.0 * (1.0 - known.margin))
    assert rate.high == pytest.approx(10.0 / (1.0 - known.margin))


def test_a_class_on_several_pools_is_promised_the_slowest_and_may_get_what_the_others_give() -> None:
    quick, slow = around(1.0, 0.5), around(2.0, 0.1)
    few, many = slowest([(0.96, quick), (0.04, slow)], 90.0), slowest([(0.5, quick), (0.5, slow)], 90.0)
    assert few.value == many.value == 2.0
    assert few.high == many.high == slow.high
    assert (few.low, many.low) == (quick.low, slow.low)


def test_less_is_known_of_a_latency_the_less_is_known_of_the_step_times() -> None:
    times, c, _, _ = next(cases())
    sure, unsure = (
        forecast(
            times,
            Served(of=c, requests_per_second=1.0),
            replace(Evidence(layer=EvidenceLayer.PRIOR, source=""), ttft_margin=m, tpot_margin=m),
        )
        for m in (0.0, 0.3)
    )
    assert sure.ttft.value == unsure.ttft.value
    assert unsure.ttft.low < sure.ttft.low < sure.ttft.value < sure.ttft.high < unsure.ttft.high
    assert unsure.tpot.low < sure.tpot.low < sure.tpot.value < sure.tpot.high < unsure.tpot.high


def test_where_others_share_the_replica_the_interval_reaches_to_what_their_queue_gives() -> None:
    """A short question that is served one after the other with long ones waits for these, whatever its own rate says."""
    times = measured.step_times(replace(ONE_CORE, max_sequences=1), RUNS[:2], 800)
    short, long = (
        WorkloadClass(
            name=str(tokens),
            requests_per_second=1.0,
            input_tokens=TokenLengths.fixed(tokens[0]),
            output_tokens=TokenLengths.fixed(tokens[1]),
            target=LatencyTarget(ttft_seconds=4.0, tpot_seconds=0.3),
        )
        for tokens in (SHORT, LONG)
    )
    known = Evidence(layer=EvidenceLayer.PRIOR, source="")
    both = Mixture.of([(short, 0.3), (long, 0.3)])
    alone = forecast(times, Served(of=short, requests_per_second=0.6), known)
    among = forecast(times, Served(of=short, requests_per_second=0.6, mixture=both), known)
    random = np.random.default_rng(4)
    kinds = random.random(REQUESTS) < 0.5
    inputs, outputs = (np.where(kinds, *pair) for pair in zip(SHORT, LONG, strict=True))
    ttft, _ = replayed(times, 0.6, inputs.astype(float), outputs.astype(float))
    found = float(np.percentile(ttft[kinds[REQUESTS // 5 :]], 90))
    assert among.ttft.value == alone.ttft.value < alone.ttft.high < found < among.ttft.high
    same = forecast(
        times, Served(of=short, requests_per_second=0.6, mixture=Mixture.of([(short, 0.6)])), known
    )
    assert (same.ttft.low, same.ttft.high) == pytest.approx((alone.ttft.low, alone.ttft.high))


def test_a_mixture_is_as_long_as_its_classes_on_average_and_as_uneven_as_all_of_them() -> None:
    short, long = (
        WorkloadClass(
            name=str(n),
            requests_per_second=1.0,
            input_tokens=TokenLengths.fixed(n),
            output_tokens=TokenLengths.fixed(n / 10),
            target=LatencyTarget(),
        )
        for n in (100.0, 300.0)
    )
    found = Mixture.of([(short, 3.0), (long, 1.0)])
    assert (found.requests_per_second, found.input_mean, found.output_mean) == pytest.approx(
        (4.0, 150.0, 15.0)
    )
    assert found.input_spread == pytest.approx(np.var([100, 100, 100, 300]) / 150.0**2)
    assert found.context == pytest.approx((3 * 10 * 105 + 30 * 315) / 60), "who runs longer is met more often"
    with pytest.raises(ValueError, match="without requests"):
        Mixture.of([])
