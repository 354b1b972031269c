"""How far a benchmark's figures may be off follows from how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from hetops.domain.performance import Measurement
from hetops.performance.margins import HalfWidths
from hetops.performance.measured import step_times
from hetops.performance.spread import half_widths
from tests.performance.test_measured import LONG, ONE_CORE, RUNS, SHORT, run

ALONE = RUNS[:2]
LATER = "2026-11-25T00:00:00Z"


def widths(runs: Sequence[Measurement], gpu_vendor: str = "cpu") -> HalfWidths:
    return half_widths(step_times(ONE_CORE, runs, 2048), runs, gpu_vendor)


def spread_out(m: Measurement, requests: int, p90: float = 1.5) -> Measurement:
    """The run with so many requests, whose 90th percentiles are so many times their medians."""
    return replace(
        m,
        requests=requests,
        ttft_seconds=(m.ttft_seconds[0], m.ttft_seconds[0] * p90),
        tpot_seconds=(m.tpot_seconds[0], m.tpot_seconds[0] * p90),
    )


def test_many_requests_narrow_the_interval_and_unequal_ones_widen_it() -> None:
    few, many = (widths([spread_out(m, requests) for m in ALONE]) for requests in (5, 500))
    alike = widths([spread_out(m, 5, p90=1.05) for m in ALONE])
    for metric in ("throughput", "tpot", "ttft"):
        assert getattr(many, metric) < getattr(alike, metric) < getattr(few, metric)


def test_repeats_that_agree_narrow_the_interval_and_those_that_differ_widen_it() -> None:
    once = widths(RUNS)
    again = [replace(m, measured_at=LATER) for m in RUNS]
    other = [
        replace(m, requests_per_second=m.requests_per_second * 1.6, tpot_seconds=(m.tpot_seconds[0] / 1.6,))
        for m in again
    ]
    same, differ = widths([*RUNS, *again]), widths([*RUNS, *other])
    assert same.throughput < once.throughput < differ.throughput
    assert same.tpot < once.tpot < differ.tpot


def test_loads_that_do_not_agree_on_one_step_widen_the_interval() -> None:
    agreeing = [m for m in RUNS if m.input_tokens == SHORT[0]]
    odd = run(LONG, 2, 0.3, 0.65, 0.2)
    assert widths([*agreeing, odd]).tpot > widths([*agreeing, RUNS[3]]).tpot > widths(agreeing).tpot


def test_what_is_known_of_such_hardware_stands_where_nothing_was_repeated() -> None:
    assert widths(ALONE).throughput < widths(RUNS).throughput, "on cores, company is what varies"
    assert widths(RUNS, "nvidia").throughput < widths(RUNS).throughput


@pytest.mark.parametrize("requests", [10, 40])
def test_the_truth_lies_within_the_interval_as_often_as_it_says(requests: int) -> None:
    """Benchmarks whose day and whose requests vary by known amounts, held against steps of cores that serve in company."""
    random, alone, inside = np.random.default_rng(5), 0.0125, 0
    for _ in range(400):
        truth = alone * random.lognormal(0.0, 0.26)
        day = alone * random.lognormal(0.0, 0.052)
        each = np.percentile(day * random.lognormal(0.0, 0.2, requests), (50, 90))
        m = replace(ALONE[0], requests=requests, tpot_seconds=tuple(map(float, each)))
        inside += abs(np.log(each[0] / truth)) <= widths([m]).tpot
    assert 0.74 < inside / 400 < 0.86
