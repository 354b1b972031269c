"""Columns whose nodes go with nodes of other offers: what brute force says of them, what is refused, what is told."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given

from hetops.reports.solution import as_text
from hetops.solver.bands import Bands
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.periods.by_period import separable
from hetops.solver.problem import Mode, Problem
from hetops.solver.prune import undominated
from hetops.solver.questions.breakeven import breakeven
from hetops.solver.questions.class_cost import class_cost
from hetops.solver.questions.explain import weigh
from hetops.solver.questions.goods import of_offer
from hetops.solver.questions.why import why
from hetops.solver.questions.why_not import why_not
from hetops.solver.search import losses
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Role
from tests.solver import oracle
from tests.solver.binding_mixed import PAIRED, having, mixed
from tests.solver.problems import column, demands, offer, tiny
from tests.solver.test_by_period import day
from tests.solver.test_losses import objective
from tests.solver.test_solve import cost, some
from tests.solver.test_why import case
from tests.solver.varied import mixed as varied


@some
@given(tiny(mixed=1))
def test_least_cost_is_what_brute_force_finds(problem: Problem) -> None:
    assert cost(problem) == (oracle.cheapest(problem) or Decimal("Infinity"))


@some
@given(tiny(mode=Mode.MAX_THROUGHPUT, mixed=1))
def test_largest_throughput_is_what_brute_force_finds(problem: Problem) -> None:
    outcome = solve(problem)
    reached = outcome.requests_per_second if isinstance(outcome, Solution) else 0.0
    times = Fraction(reached) / Fraction(problem.requests_per_second)
    assert oracle.some_fleet_serves(problem, times * Fraction(999_999, 1_000_000))
    assert not oracle.some_fleet_serves(
        problem, max(times, Fraction(1, 1000)) * Fraction(1_000_001, 1_000_000)
    )


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"also": {"bee": 1}}, "column 'mixed' on 'a': also: unknown offer 'bee' (did you mean 'b'?)"),
        ({"also": {"b": 0}}, "also[b] 0 must be at least 1"),
        ({"role": Role.DECODE}, "also: a column of role decode stands on one offer"),
        ({"parts_per_node": 8, "also": {"b": 3}}, "3/8 of a node of 'b' is neither one even part of it nor"),
        ({"parts_per_node": 2, "also": {"a": 2}}, "3/2 of a node of 'a' is neither"),
    ],
)
def test_what_cannot_go_together_is_refused(terms: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        mixed(**terms)


def test_parts_of_one_offer_that_would_be_left_over_are_refused() -> None:
    fifths = replace(column("b", chat=1.0), parts_per_node=5)
    with pytest.raises(ValueError, match="offer 'b': parts of a node, 5 and 2, do not fill it"):
        replace(mixed(parts_per_node=4), columns=(*mixed(parts_per_node=4).columns, fifths))


def test_nodes_of_which_one_is_always_away_are_refused() -> None:
    with pytest.raises(ValueError, match="one of the nodes that it stands on is always interrupted"):
        having("b", interruptions_per_hour=1.0, recovery_hours=0.5)


def test_a_column_is_left_out_where_another_takes_no_more_of_any_offer() -> None:
    two = replace(column("a", "two", chat=2.0), also={"b": 2})
    one = replace(column("a", "one", chat=2.0), also={"b": 1})
    other = replace(column("a", "other", chat=2.0), also={"c": 1})
    slow = column("a", "alone", chat=1.0)
    left = undominated(PAIRED, (two, one, other, slow), demands(chat=1.0))
    assert left == (one, other, slow)


def test_losses_told_by_prices_find_what_copies_find(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = {seed: varied(seed) for seed in range(60)}
    asked = {
        seed: p for seed, p in problems.items() if p.losses and not p.links and any(c.also for c in p.columns)
    }
    found = 0
    for seed, problem in asked.items():
        monkeypatch.setattr(losses, "MOST_COPIED", 10**9)
        copied = objective(problem)
        monkeypatch.setattr(losses, "MOST_COPIED", -1)
        assert objective(problem) == (copied and pytest.approx(copied, rel=3e-6, abs=3e-6)), f"seed {seed}"
        found += copied is not None
    assert found >= 5


def test_a_day_is_searched_period_by_period_and_nothing_that_exists_is_below_its_bound() -> None:
    one = day()
    columns = tuple(
        replace(c, also={f"o{(i + 5) % 12}": 1}) if i % 3 == 0 else c for i, c in enumerate(one.columns)
    )
    doubled = tuple(
        replace(c, requests_per_second={k: 2.2 * v for k, v in c.requests_per_second.items()})
        if c.also
        else c
        for c in columns
    )
    problem = replace(one, columns=doubled)
    assert separable(formulate(problem))
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    assert outcome.within_gap
    assert any(pool.also for pool in outcome.pools)
    alone = replace(problem, columns=tuple(c for c in doubled if not c.also))
    left = solve(alone, limit_seconds=0.5)
    assert isinstance(left, Solution)
    assert outcome.bound <= left.objective


def test_offers_that_go_with_others_stand_in_no_line() -> None:
    equal = tuple(offer(f"b{i}", "0.5", 9, "other", "b", q="1") for i in range(3))
    problem = replace(
        PAIRED,
        offers=(*PAIRED.offers, *equal),
        columns=(*PAIRED.columns, *(column(o.id, chat=0.1) for o in equal)),
    )
    assert [tuple(o.id for o in line) for line in Bands.of(problem).lines if len(line) > 1] == [
        ("b0", "b1", "b2")
    ]
    named = tuple(replace(c, also={"b0": 2}) if c.also else c for c in problem.columns)
    lines = Bands.of(replace(problem, columns=named)).lines
    assert [tuple(o.id for o in line) for line in lines if len(line) > 1] == [("b1", "b2")]


def test_every_node_is_told_and_a_missing_one_is_found_out() -> None:
    outcome = solve(PAIRED)
    assert isinstance(outcome, Solution)
    assert sum(pool.nodes for pool in outcome.pools) == 2
    for pool in outcome.pools:
        assert pool.also == {"b": 2 * pool.nodes}
        assert pool.usd_per_hour == 2 * pool.nodes
    text = as_text(PAIRED, outcome)
    assert " + 2 b  mixed" in text
    first, *others = outcome.pools
    fewer = replace(outcome, pools=(replace(first, also={"b": 1}), *others))
    assert {v.rule for v in certify(PAIRED, fewer)} == {"pools"}


def test_it_is_explained_with_all_its_nodes() -> None:
    told = {s.text: s for s in why(case(having("b", max_nodes=3)))}
    assert any(
        "1 node of a and 2 nodes of b with mixed for $2.00 per hour serve" in text
        or "1 node of a2 and 2 nodes of b" in text
        for text in told
    )
    (stock,) = (s for s in told.values() if s.subject == "b")
    assert stock.text.startswith("2 of 3 nodes of b are rented: 2 more ")
    assert (stock.before, stock.after) == (8.0, 4.0)


def test_an_offer_that_only_goes_with_others_has_a_price_at_which_it_leaves() -> None:
    (told,) = breakeven(case(PAIRED), (of_offer(PAIRED.offer("b")),))
    assert told.usd_per_hour == Decimal("2.5")
    assert told.text.startswith("b leaves the fleet above $2.50 per hour")


def test_why_not_asks_for_a_node_of_it_wherever_it_stands() -> None:
    problem = having("b", usd_per_hour=Decimal(9))
    forced, price = why_not(case(problem), "b", frozenset({"b"}))
    assert (forced.before, forced.after) == (12.0, 19.0 + 6.0)
    assert price.text.startswith("No limit is to blame, its price is: 2 nodes of b for $18.00 per hour")
    assert why_not(case(PAIRED), "b", frozenset({"b"}))[0].text.startswith(
        "b is in the fleet already with 4 nodes: to do without"
    )


def test_without_an_offer_there_is_no_column_that_stands_on_it() -> None:
    outcome = solve(PAIRED)
    assert isinstance(outcome, Solution)
    told = {one.description: one.usd_per_hour for one in weigh(PAIRED, outcome).alternatives}
    assert told["without b"] == 12
    assert told["without provider other"] == 12
    assert told["only b"] is None
    at = {s.subject: s.after for s in class_cost(case(PAIRED), "chat")}
    assert at["a"] is None  # without b it serves nothing
    assert at["dear"] == 12.0
