"""When a measurement is long enough, and how well a mean is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.load.stopping import Stop, StopRule, interval, stop

RULE = StopRule(max_seconds=10.0, max_requests=50, min_requests=3, precision=0.05)


def test_time_and_number_end_a_measurement() -> None:
    assert stop(RULE, 10.0, [1.0, 2.0, 3.0], 0) is Stop.SECONDS
    assert stop(RULE, 1.0, [1.0, 2.0] * 25, 0) is Stop.REQUESTS
    assert stop(RULE, 1.0, [1.0, 2.0, 3.0], 0) is None


def test_too_few_requests_get_more_time_but_not_for_ever() -> None:
    assert stop(RULE, 59.0, [1.0, 2.0], 0) is None
    assert stop(RULE, 60.0, [1.0, 2.0], 0) is Stop.SECONDS


def test_a_mean_known_well_enough_ends_a_measurement() -> None:
    assert stop(RULE, 1.0, [1.0, 1.01, 0.99, 1.0, 1.0] * 2, 0) is Stop.PRECISE
    assert stop(RULE, 1.0, [1.0, 2.0, 0.5, 1.0, 3.0], 0) is None


def test_requests_failing_one_after_the_other_end_a_measurement() -> None:
    assert stop(RULE, 0.1, [], 5) is Stop.FAILURES


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 100.0), min_size=2, max_size=60))
def test_an_interval_lies_around_its_mean(values: list[float]) -> None:
    found = interval(values)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.mean <= found.high
    assert min(values) * 0.999 <= found.mean <= max(values) * 1.001


@pytest.mark.parametrize("size", [2, 3, 4, 5, 8, 20])
def test_ninety_five_of_a_hundred_intervals_hold_the_true_mean(size: int) -> None:
    source = random.Random(size)
    held = 0
    for _ in range(2000):
        found = interval([source.gauss(1.0, 0.3) for _ in range(size)])
        held += (found.low or 0.0) <= 1.0 <= (found.high or 0.0)
    assert held / 2000 == pytest.approx(0.95, abs=0.02)


def test_requests_that_ran_beside_one_another_are_one_value() -> None:
    """Rounds of eight that share a good or a bad time: without `together` the interval is far too narrow."""
    source = random.Random(1)
    held = apart = 0
    for _ in range(500):
        rounds = [source.gauss(1.0, 0.2) for _ in range(12)]
        values = [one + source.gauss(0.0, 0.02) for one in rounds for _ in range(8)]
        found, alone = interval(values, together=8), interval(values)
        held += (found.low or 0.0) <= 1.0 <= (found.high or 0.0)
        apart += (alone.low or 0.0) <= 1.0 <= (alone.high or 0.0)
    assert held / 500 == pytest.approx(0.95, abs=0.03)
    assert held > apart


def test_less_than_two_rounds_bound_nothing() -> None:
    assert interval([1.0] * 15, together=8).low is None
    assert stop(RULE, 1.0, [1.0] * 40, 0, 8) is None
    assert stop(RULE, 1.0, [1.0] * 40, 0, 4) is Stop.PRECISE


def test_one_value_bounds_nothing() -> None:
    assert math.isinf(interval([1.0]).half_width_share)


def test_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        interval([])
