"""What services are given by the minute: never more than they take, in whatever minute is looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hetops.router.allowance import Allowance
from hetops.router.config import RoutedService

STEPS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60), st.integers(0, 60)), max_size=60)
"""Seconds until the next request, tokens that it may take, tokens that it takes in the end."""


def allowance(requests: float | None = None, tokens: float | None = None) -> Allowance:
    return Allowance(RoutedService(model="m", requests_per_minute=requests, tokens_per_minute=tokens))


@given(STEPS, st.integers(1, 8), st.integers(20, 200))
def test_no_minute_ever_holds_more_than_the_limits(
    steps: list[tuple[int, int, int]], requests: int, tokens: int
) -> None:
    one, at = allowance(requests, tokens), 0
    given_then: list[tuple[int, int]] = []
    for wait, may_take, takes in steps:
        at += wait
        if one.allows(may_take, at):
            number = one.give(may_take, at)
            given_then.append((at, min(takes, may_take)))
            one.settle(number, min(takes, may_take))
    for start, _ in given_then:
        within = [took for when, took in given_then if start <= when < start + 60]
        assert len(within) <= requests
        assert sum(within) <= tokens


def test_all_of_a_limit_can_be_had_at_once_and_again_a_minute_later() -> None:
    one = allowance(requests=3)
    for _ in range(3):
        assert one.allows(10, 5.0)
        one.give(10, 5.0)
    assert not one.allows(10, 64.9)
    assert one.allows(10, 65.0)


def test_what_an_answer_did_not_take_can_be_had_by_others() -> None:
    one = allowance(tokens=1000)
    number = one.give(900, 0.0)
    assert not one.allows(200, 1.0)
    one.settle(number, 100)
    assert one.allows(900, 1.0)
    assert not one.allows(901, 1.0)


def test_an_answer_that_comes_after_its_minute_changes_nothing() -> None:
    one = allowance(tokens=100)
    number = one.give(100, 0.0)
    assert one.allows(100, 61.0)
    one.settle(number, 5_000)
    assert one.allows(100, 61.0)


def test_limits_may_change_and_what_was_given_counts_on() -> None:
    one = allowance(requests=2)
    one.give(1, 0.0)
    one.give(1, 0.0)
    more = one.under(RoutedService(model="m", requests_per_minute=3))
    assert more.allows(1, 1.0)
    more.give(1, 1.0)
    assert not more.allows(1, 1.0)


def test_a_service_that_rests_is_given_nothing_until_then() -> None:
    one = allowance(requests=5)
    one.rest(30.0)
    assert not one.allows(1, 29.9)
    assert one.allows(1, 30.0)
