"""Turns keep to their shares at every moment, whatever the shares are."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.router.apportion import Apportionment

weights = st.lists(st.integers(1, 1000), min_size=1, max_size=7)


def everybody(pool: str) -> bool:
    """All pools are able."""
    return bool(pool)


def turns(shares: dict[str, float], count: int) -> list[str]:
    """So many turns."""
    apportionment = Apportionment(shares)
    return [str(apportionment.next(everybody)) for _ in range(count)]


def furthest(sequence: list[str], shares: dict[str, Fraction]) -> Fraction:
    """The largest distance between count and share of all counts, over all prefixes and pools."""
    counts: Counter[str] = Counter()
    worst = Fraction(0)
    for number, pool in enumerate(sequence, start=1):
        counts[pool] += 1
        worst = max(worst, *(abs(counts[p] - number * s) for p, s in shares.items()))
    return worst


@given(weights)
@settings(max_examples=60, deadline=None)
def test_counts_stay_within_one_request_of_the_plan_at_every_moment(of: list[int]) -> None:
    shares = {f"p{i}": Fraction(w, sum(of)) for i, w in enumerate(of)}
    sequence = turns({p: float(s) for p, s in shares.items()}, 500)
    limit = 1 - Fraction(1, 2 * len(of) - 2) if len(of) > 1 else Fraction(0)
    assert furthest(sequence, shares) <= limit + Fraction(1, 10**9)


@given(st.integers(1, 99), st.integers(0, 300), st.integers(1, 200))
@settings(max_examples=100, deadline=None)
def test_two_pools_stay_within_one_request_over_any_window(percent: int, start: int, length: int) -> None:
    window = turns({"a": percent / 100, "b": 1 - percent / 100}, start + length)[start:]
    assert abs(window.count("a") - Fraction(percent, 100) * length) <= 1 + Fraction(1, 10**9)


@given(weights, st.integers(0, 300), st.integers(1, 200))
@settings(max_examples=100, deadline=None)
def test_more_pools_stay_within_two_requests_over_any_window(of: list[int], start: int, length: int) -> None:
    shares = {f"p{i}": Fraction(w, sum(of)) for i, w in enumerate(of)}
    window = turns({p: float(s) for p, s in shares.items()}, start + length)[start:]
    assert all(abs(window.count(p) - s * length) < 2 for p, s in shares.items())


def test_shares_that_do_not_add_up_to_one_are_taken_in_proportion() -> None:
    assert Counter(turns({"a": 0.3, "b": 0.1}, 400)) == {"a": 300, "b": 100}


def test_a_pool_without_a_share_never_has_a_turn() -> None:
    assert set(turns({"a": 1.0, "b": 0.0}, 50)) == {"a"}


def test_the_turns_of_a_pool_that_is_not_able_go_to_the_others_in_proportion() -> None:
    apportionment = Apportionment({"a": 0.5, "b": 0.3, "c": 0.2})
    counts = Counter(apportionment.next(lambda pool: pool != "a") for _ in range(500))
    assert counts["b"] == pytest.approx(300, abs=1)
    assert counts["c"] == pytest.approx(200, abs=1)


def test_a_pool_that_is_back_makes_nothing_up() -> None:
    apportionment = Apportionment({"a": 0.5, "b": 0.5})
    for _ in range(1000):
        apportionment.next(lambda pool: pool == "b")
    after = Counter(apportionment.next(everybody) for _ in range(10))
    assert after["a"] == pytest.approx(5, abs=1)


def test_there_is_no_turn_where_nobody_is_able() -> None:
    assert Apportionment({"a": 1.0}).next(lambda _: False) is None
