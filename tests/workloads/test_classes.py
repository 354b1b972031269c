"""Classes keep the trace's rate, are the same each time, and say how much they misjudge the cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.domain.workload import LatencyTarget, Priority
from hetops.errors import TraceError
from hetops.workloads.classes import Clustering, TargetRule, cluster
from hetops.workloads.error import advice, class_error
from hetops.workloads.reader import read_trace
from hetops.workloads.trace import Trace, scale, window

TRACES = Path(__file__).parents[2] / "examples" / "traces"
CONV = read_trace(TRACES / "azure_llm_2023_conv.csv")
CODE = read_trace(TRACES / "azure_llm_2023_code.csv")
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


def cost(input_tokens: np.ndarray, output_tokens: np.ndarray) -> np.ndarray:
    return input_tokens * 1e-4 + input_tokens**2 * 1e-8 + output_tokens * (1e-3 + input_tokens * 1e-6)


def error_of(trace: Trace, count: int) -> float:
    return class_error(trace, cluster(trace, count=count, periods=1, target=TARGET), {"gpu": cost}).worst


def test_more_classes_misjudge_the_cost_less() -> None:
    errors = [error_of(CODE, k) for k in (1, 4, 16)]
    assert errors[0] > 1.5 * errors[1] > 2 * errors[2]
    assert errors[2] < 0.02


def test_a_cost_that_is_linear_in_the_lengths_is_never_misjudged() -> None:
    found = cluster(CONV, count=3, periods=1, target=TARGET)
    assert class_error(CONV, found, {"gpu": lambda i, o: 2 * i + 30 * o}).worst == pytest.approx(0, abs=1e-12)


def test_errors_of_classes_do_not_cancel_out() -> None:
    trace = made([(1, 1), (3, 1), (100, 1), (300, 1)] * 5)
    found = cluster(trace, count=2, periods=1, target=TARGET)
    known = (
        [1, 2, 3, 100, 200, 300],
        [1, 4, 9, 10, 11, 10],
    )  # the short class 2 too cheap, the long one 2 too dear
    bent = class_error(trace, found, {"gpu": lambda i, _: np.interp(i, *known)})
    assert bent.worst == pytest.approx(4 / 30)


def test_a_large_error_comes_with_the_number_of_classes_that_mends_it() -> None:
    trace = made([(1, 1), (10_000, 1)] * 20)
    costs = {"gpu": lambda i, o: i * i + o}

    def clustered(count: int) -> Clustering:
        return cluster(trace, count=count, periods=1, target=TARGET)

    error = class_error(trace, clustered(1), costs)
    assert error.much
    assert "workload.class_count = 2 makes it 0.0 %" in advice(trace, error, costs, clustered)
    assert advice(trace, class_error(trace, clustered(2), costs), costs, clustered) == ""


def test_an_error_that_no_number_of_classes_mends_is_said_so() -> None:
    trace = made([(100, 1), (101, 1)] * 20)
    costs = {"gpu": lambda i, _: np.where(i == 100, 0.0, 1.0)}
    error = class_error(trace, cluster(trace, count=1, periods=1, target=TARGET), costs)
    said = advice(trace, error, costs, lambda n: cluster(trace, count=n, periods=1, target=TARGET))
    assert said.endswith("64 classes still do by more than 5 %")


@pytest.mark.parametrize("count", [1, 2, 5, 64])
def test_lengths_that_are_all_alike_make_one_class(count: int) -> None:
    found = cluster(made([(700, 30)] * 9), count=count, periods=1, target=TARGET)
    assert [c.name for c in found.classes] == ["in700-out30"]
    assert set(found.labels) == {0}


def test_separate_groups_are_found_whatever_their_size() -> None:
    trace = made([(10, 5)] * 300 + [(5000, 900)] * 3 + [(5000, 5)] * 30)
    found = cluster(trace, count=3, periods=1, target=TARGET)
    assert {c.name for c in found.classes} == {"in10-out5", "in5k-out5", "in5k-out900"}


def test_classes_that_round_to_one_name_are_numbered() -> None:
    trace = made([(1000, 10), (1149, 10)] * 50)
    names = [c.name for c in cluster(trace, count=2, periods=1, target=TARGET).classes]
    assert len(set(names)) == 2


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
    assert part.notes == ("rates times 2", "lengths times 0.1")


def test_a_window_keeps_its_length_even_where_nothing_arrives_at_its_ends() -> None:
    trace = Trace(
        name="gap",
        at_seconds=np.array([0.0, 40.0, 50.0, 100.0]),
        input_tokens=np.full(4, 10.0),
        output_tokens=np.full(4, 10.0),
    )
    part = window(trace, 20, 60)
    assert (part.seconds, part.at_seconds.tolist()) == (60, [20, 30])
    (only,) = cluster(part, count=1, periods=2, target=TARGET).classes
    assert only.requests_per_second_by_period == (1 / 30, 1 / 30)


@pytest.mark.parametrize("stretch", [(1e9, None), (0, 0.001), (3600, 5)])
def test_a_window_without_requests_is_an_error_that_says_how_long_the_trace_is(stretch) -> None:
    with pytest.raises(TraceError, match="a rate needs two") as caught:
        window(CONV, *stretch)
    assert "the trace runs for 3,5" in caught.value.hint


@pytest.mark.parametrize(
    "arrays",
    [([0.0], [1.0], [1.0]), ([0.0, 1.0], [1.0], [1.0, 1.0]), ([1.0, 0.0], [1.0, 1.0], [1.0, 1.0]),
     ([0.0, 1.0], [0.0, 1.0], [1.0, 1.0]), ([0.0, 0.0], [1.0, 1.0], [1.0, 1.0])],
)  # fmt: skip
def test_an_impossible_trace_cannot_be_built(arrays) -> None:
    at, ins, outs = (np.array(a) for a in arrays)
    with pytest.raises(ValueError, match="trace x"):
        Trace(name="x", at_seconds=at, input_tokens=ins, output_tokens=outs)
