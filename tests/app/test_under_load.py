"""`hetops estimate` under a load: percentiles of requests through the engine's queue, saturation, the rate within targets."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from hetops.app.estimate import Estimated, Subject, estimate
from hetops.app.under_load import NOTHING_MORE, Asked
from hetops.domain.model import Precision
from hetops.domain.workload import LatencyTarget
from hetops.errors import HetopsError
from hetops.performance.breakdown import Breakdown, Load
from hetops.performance.under_load import lengths
from hetops.reports import estimate as report
from hetops.reports import roofline

SUBJECT = Subject(
    model="llama-3.1-8b",
    gpu="L4",
    engine="vllm",
    tensor_parallel=1,
    pipeline_parallel=1,
    weights=Precision.FP8,
    kv=Precision.BF16,
)
LOAD = Load(input_tokens=1000.0, output_tokens=200.0, concurrency=256.0)


def asked(load: Load = LOAD, beside: Asked = NOTHING_MORE, **subject: Any) -> Estimated:
    return estimate(replace(SUBJECT, **subject), load, beside)


def at(rate: float, load: Load = LOAD) -> Estimated:
    return asked(load, Asked(requests_per_second=rate))


def test_percentiles_rise_and_lie_in_intervals_and_more_requests_are_never_faster() -> None:
    few, many = at(0.5).answer.under_load, at(1.8).answer.under_load
    for of in (few.ttft, few.tpot, many.ttft, many.tpot):
        assert of
        assert [p.value for p in of.numbers[1:]] == sorted(p.value for p in of.numbers[1:])
        assert all(p.low < p.value < p.high for p in of.numbers)
    assert many.ttft.p90.value > few.ttft.p90.value
    assert many.tpot
    assert few.tpot
    assert many.tpot.p90.value > few.tpot.p90.value


def test_as_many_are_in_flight_as_come_in_the_time_that_each_takes() -> None:
    rate = 1.5
    found = at(rate).answer.under_load
    assert found.tpot
    each = found.ttft.mean.value + (LOAD.output_tokens - 1) * found.tpot.mean.value
    assert found.in_flight == pytest.approx(rate * each, rel=0.1)


def test_unequal_lengths_make_the_slowest_slower() -> None:
    alike, unequal = (at(1.5, replace(LOAD, spread=s)).answer.under_load for s in (0.0, 1.0))
    assert unequal.ttft.p99.value > 1.5 * alike.ttft.p99.value


def test_so_many_at_once_have_the_mean_that_a_benchmark_reports() -> None:
    found = asked(replace(LOAD, concurrency=32.0)).answer
    for of, mean in (
        (found.under_load.ttft, found.breakdown.ttft),
        (found.under_load.tpot, found.breakdown.tpot),
    ):
        assert of
        assert of.mean.value * 1e3 == pytest.approx(mean.value)
        assert of.mean.high * 1e3 == pytest.approx(mean.high)


def test_one_token_has_no_tpot() -> None:
    found = asked(replace(LOAD, output_tokens=1.0, concurrency=4.0))
    assert found.answer.under_load.tpot is None
    assert json.loads(json.dumps(report.as_json(found)))["under_load"]["tpot"] is None


def test_the_largest_rate_keeps_its_target_and_nothing_keeps_what_a_lone_step_breaks() -> None:
    target = LatencyTarget(ttft_seconds=2.0, tpot_seconds=0.08)
    largest = asked(beside=Asked(target=target)).answer.largest_rate
    assert largest
    rate = largest.requests_per_second
    assert rate.low < rate.value < asked().answer.saturation.requests_per_second.value
    there, beyond = (at(rate.value * part).answer.under_load.tpot for part in (0.9, 1.15))
    assert there
    assert beyond
    assert there.p90.value < 0.08 < beyond.p90.value
    none = asked(beside=Asked(target=LatencyTarget(tpot_seconds=0.001))).answer.largest_rate
    assert none
    assert none.requests_per_second.value == 0.0
    assert "a decode step alone takes" in report.as_text(asked(beside=Asked(target=none.target)))


def test_more_than_a_replica_completes_is_refused_and_what_slow_steps_would_not_complete_never_ends() -> None:
    most = asked().answer.saturation.requests_per_second.value
    with pytest.raises(HetopsError, match="more than one replica completes"):
        at(most)
    near = at(0.9 * most)
    assert math.isinf(near.answer.under_load.ttft.p90.high)
    told = json.loads(json.dumps(report.as_json(near), allow_nan=False))
    assert told["under_load"]["ttft"]["p90"]["high"] is None


def test_lengths_have_the_mean_and_spread_that_were_asked_for() -> None:
    assert lengths(500.0, 0.0).p99 == lengths(500.0, 0.0).p50 == pytest.approx(500.0)
    unequal = lengths(500.0, 1.0)
    assert unequal.p50 == pytest.approx(500.0 / math.sqrt(2.0))
    assert unequal.p99 > 4 * unequal.p50


@pytest.mark.parametrize(
    ("gpu", "concurrency"), [("L4", 1.0), ("L4", 64.0), ("B200", 200.0), ("MI300X", 16.0)]
)
def test_nothing_stands_above_its_roof(gpu: str, concurrency: float) -> None:
    found = asked(replace(LOAD, concurrency=concurrency), gpu=gpu).breakdown
    line = found.roofline
    for work in (line.decode, line.prefill):
        fed = work.operations_per_byte * line.bandwidth_bytes_per_second
        assert work.operations_per_second <= min(fed, line.peak_operations_per_second)
    picture = roofline.as_svg(replace(found, configuration="<a&b>"))
    assert "&lt;a&amp;b&gt;" in picture
    assert picture.count("<circle") == 2


def _part(found: Breakdown, name: str) -> float:
    return next(part.seconds for part in found.parts if part.name == name)


def test_stages_that_fewer_requests_than_they_are_leave_idle_are_a_bubble_and_their_links_no_all_reduce() -> (
    None
):
    few = asked(replace(LOAD, concurrency=1.0), pipeline_parallel=4).breakdown
    many = asked(replace(LOAD, concurrency=64.0), pipeline_parallel=4).breakdown
    alone = asked(replace(LOAD, concurrency=1.0)).breakdown
    assert _part(few, "pipeline bubble") == pytest.approx(0.75 * few.step_seconds, rel=0.05)
    assert _part(many, "pipeline bubble") < 0.1 * many.step_seconds, "of unequal stages alone"
    assert _part(few, "all-reduce") == pytest.approx(0.0)
    assert _part(few, "stage links") > 0.0
    assert _part(alone, "pipeline bubble") == _part(alone, "stage links") == 0.0


def test_memory_binds_where_more_could_run_than_it_holds_and_the_wait_is_told() -> None:
    tight = replace(LOAD, input_tokens=6000.0, concurrency=64.0)
    found, roomy = asked(tight).breakdown, asked(tight, gpu="H200-SXM").breakdown
    assert found.binding == "memory"
    assert 0.0 < found.memory_wait_seconds < (found.ttft.value or 0.0) / 1e3
    each = LOAD.output_tokens / (found.output_tokens_per_second.value or 0.0)
    assert found.memory_wait_seconds == pytest.approx((64.0 - found.in_flight) * each, rel=0.02)
    assert "Memory binds: the KV cache holds" in report.as_text(asked(tight))
    assert roomy.binding != "memory"
    assert roomy.memory_wait_seconds == 0.0
