"""Classes keep the trace's rate, are the same each time, and say how much they misjudge the cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.domain.workload import LatencyTarget, Priority
from hetops.errors import TraceError
from hetops.workloads.classes import TargetRule, cluster
from hetops.workloads.error import class_error
from hetops.workloads.reader import read_trace
from hetops.workloads.trace import Trace, scale, window

CONV = read_trace(Path(__file__).parents[2] / "examples" / "traces" / "azure_llm_2023_conv.csv")
TARGET = LatencyTarget(ttft_seconds=1.0, tpot_seconds=0.05)


def made(lengths: list[tuple[int, int]]) -> Trace:
    array = np.array(lengths, dtype=np.float64)
    return Trace(
        name="made",
        at_seconds=np.arange(len(array)) * 0.5,
        input_tokens=array[:, 0],
        output_tokens=array[:, 1],
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 2_000)), min_size=2, max_size=60),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_class_rates_add_up_to_the_traces(lengths: list[tuple[int, int]], count: int, periods: int) -> None:
    trace = made(lengths)
    found = cluster(trace, count=count, periods=periods, target=TARGET)
    assert len(found.classes) <= count
    by_period = [c.requests_per_second_by_period or (c.requests_per_second,) for c in found.classes]
    assert np.mean([sum(p) for p in zip(*by_period, strict=True)]) == pytest.approx(trace.requests_per_second)
    assert len({c.name for c in found.classes}) == len(found.classes)


def test_the_same_trace_gives_the_same_classes() -> None:
    assert (
        cluster(CONV, count=4, periods=3, target=TARGET).classes
        == cluster(CONV, count=4, periods=3, target=TARGET).classes
    )


def test_more_classes_misjudge_the_cost_less() -> None:
    def cost(input_tokens: np.ndarray, output_tokens: np.ndarray) -> np.ndarray:
        return input_tokens * 1e-4 + input_tokens**2 * 1e-8 + output_tokens * 1e-3

    errors = [
        class_error(CONV, cluster(CONV, count=k, periods=1, target=TARGET), {"gpu": cost}).worst
        for k in (1, 4, 8)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.02


def test_a_large_error_comes_with_advice() -> None:
    trace = made([(1, 1), (10_000, 1)] * 20)
    found = class_error(
        trace, cluster(trace, count=1, periods=1, target=TARGET), {"gpu": lambda i, o: i * i + o}
    )
    assert "raise workload.class_count" in found.advice


def test_the_planned_rate_is_the_busiest_periods() -> None:
    trace = Trace(
        name="burst",
        at_seconds=np.array([0.0, 50.0, 60, 70, 80, 90]),
        input_tokens=np.full(6, 10.0),
        output_tokens=np.full(6, 10.0),
    )
    (only,) = cluster(trace, count=1, periods=2, target=TARGET).classes
    assert only.requests_per_second == max(only.requests_per_second_by_period)
    assert only.requests_per_second > trace.requests_per_second


def test_rules_set_targets_by_length() -> None:
    trace = made([(10, 5), (1000, 500)] * 5)
    rules = (TargetRule(min_output_tokens=100, tpot_seconds=0.5, priority=Priority.BATCH),)
    short, long = cluster(trace, count=2, periods=1, target=TARGET, rules=rules).classes
    assert short.target == TARGET
    assert (long.target.tpot_seconds, long.target.ttft_seconds, long.priority) == (0.5, 1.0, Priority.BATCH)


def test_scaling_and_windows_say_what_they_did() -> None:
    part = scale(window(CONV, 60, 600), rate=2.0, length=0.1)
    assert part.requests_per_second == pytest.approx(2 * window(CONV, 60, 600).requests_per_second)
    assert part.input_tokens.min() >= 1
    assert (part.rate_scale, part.length_scale) == (2.0, 0.1)
    with pytest.raises(TraceError, match="a rate needs two"):
        window(CONV, 1e9, None)
