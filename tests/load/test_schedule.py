"""Schedules: when requests are sent, whatever the numbers."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.load.schedule import Arrival, Lengths, closed, poisson, recorded, typical_start

SHORT = Lengths(input_tokens=10, output_tokens=4)


@settings(deadline=None)
@given(st.floats(0.5, 50.0), st.integers(0, 1000))
def test_poisson_arrivals_rise_and_end_in_time(rate: float, seed: int) -> None:
    times = [a.at_seconds for a in poisson(rate, 20.0, [SHORT], seed)]
    assert times == sorted(times)
    assert all(0 <= at < 20.0 for at in times)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_the_same_seed_gives_the_same_arrivals(seed: int) -> None:
    assert poisson(2.0, 10.0, [SHORT], seed) == poisson(2.0, 10.0, [SHORT], seed)


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() -> None:
    counts = [len(poisson(5.0, 20.0, [SHORT], seed)) for seed in range(400)]
    mean = sum(counts) / len(counts)
    variance = sum((c - mean) ** 2 for c in counts) / len(counts)
    assert mean == pytest.approx(100.0, rel=0.03)
    assert variance == pytest.approx(100.0, rel=0.25)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="requests a second"):
        poisson(rate, 1.0, [SHORT])


def test_arrivals_without_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths to draw from"):
        poisson(1.0, 1.0, [])


def test_poisson_arrivals_draw_from_all_lengths_alike() -> None:
    long = Lengths(input_tokens=100, output_tokens=40)
    drawn = [a.lengths for a in poisson(50.0, 40.0, [SHORT, long], seed=3)]
    assert drawn.count(long) / len(drawn) == pytest.approx(0.5, abs=0.05)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0.1, 1e5), st.floats(0.1, 1e4)), max_size=30))
def test_a_record_is_sent_request_by_request_at_least_a_token_long(
    rows: list[tuple[float, float, float]],
) -> None:
    times, inputs, outputs = ([row[i] for row in rows] for i in range(3))
    sent = recorded(times, inputs, outputs)
    assert [a.at_seconds for a in sent] == times
    assert all(
        abs(a.lengths.input_tokens - max(1, wanted)) <= 0.5 for a, wanted in zip(sent, inputs, strict=True)
    )


@settings(deadline=None)
@given(st.integers(1, 64), st.integers(2, 500))
def test_the_places_of_a_closed_loop_begin_out_of_step_and_go_on_alike(
    places: int, output_tokens: int
) -> None:
    lengths = Lengths(input_tokens=7, output_tokens=output_tokens)
    firsts = [next(closed(lengths, place, places)).output_tokens for place in range(places)]
    assert firsts == sorted(firsts)
    assert 1 <= firsts[0] <= firsts[-1] == output_tokens
    assert set(itertools.islice(closed(lengths, 0, places), 1, 5)) == {lengths}


def test_a_place_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="have no place 2"):
        next(closed(SHORT, 2, 2))


@settings(deadline=None)
@given(st.integers(0, 7))
def test_the_typical_slice_is_found_between_two_that_are_not(busy: int) -> None:
    """Eight minutes of which one is three times as busy as the others: it is never taken."""
    gaps = [
        60.0 / (180 if minute == busy else 60)
        for minute in range(8)
        for _ in range(180 if minute == busy else 60)
    ]
    arrivals = [Arrival(at_seconds=at, lengths=SHORT) for at in itertools.accumulate(gaps)]
    start = typical_start(arrivals, 60.0)
    assert not busy * 60 - 30 < start < busy * 60 + 30


def test_a_record_shorter_than_the_slice_has_no_typical_one() -> None:
    with pytest.raises(ValueError, match="have no slice of 60 s"):
        typical_start([Arrival(at_seconds=5.0, lengths=SHORT)], 60.0)
