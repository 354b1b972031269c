"""What pools cost besides their nodes: it is minimised, counted by budgets, paid once a day, and told as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.domain import codec
from hetops.solver.answers.alone import alone
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.patience import Patience
from hetops.solver.periods.freed import answered, freed
from hetops.solver.problem import Mode, Problem
from hetops.solver.questions.explanation import Topic
from hetops.solver.questions.why import why
from hetops.solver.questions.why_none import why_none
from hetops.solver.search.start import relax
from hetops.solver.solution import Ended, Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Period, Service
from tests.solver.problems import column, demands, offer, small, solved, tiny
from tests.solver.test_bands import like
from tests.solver.test_why import case

some = settings(max_examples=25, deadline=None)
costs = st.sampled_from([Decimal("0.1"), Decimal("0.75"), Decimal(3)])


def priced(problem: Problem, usd: Decimal | str) -> Problem:
    """With what a pool costs."""
    return replace(problem, usd_per_pool_hour=Decimal(usd))


@some
@given(tiny())
def test_pools_that_cost_nothing_change_nothing(problem: Problem) -> None:
    free = priced(problem, "0.00")
    assert codec.digest(free) == codec.digest(priced(problem, "0"))
    told = [replace(answer, solve_seconds=0.0) for answer in (solve(free), solve(priced(problem, "0")))]
    assert told[0] == told[1]


@some
@given(tiny(), costs, costs)
def test_dearer_pools_are_never_more_and_their_nodes_never_cheaper(
    problem: Problem, one: Decimal, more: Decimal
) -> None:
    problem = replace(problem, budget_usd_per_hour=None)
    low, high = (solve(priced(problem, usd)) for usd in (one, one + more))
    assert isinstance(low, Solution) == isinstance(high, Solution)
    if isinstance(low, Solution) and isinstance(high, Solution):
        assert len(high.pools) <= len(low.pools)
        nodes = [s.usd_per_hour - s.pools_usd_per_hour for s in (low, high)]
        assert nodes[0] <= nodes[1]
        assert low.usd_per_hour <= high.usd_per_hour <= low.usd_per_hour + more * len(low.pools)


@some
@given(tiny(mode=Mode.MAX_THROUGHPUT), costs)
def test_the_rate_that_a_budget_buys_never_rises_with_what_pools_cost(problem: Problem, usd: Decimal) -> None:
    problem = replace(problem, budget_usd_per_hour=Decimal(6), usd_per_pool_hour=Decimal(0))
    free, paid = solve(problem), solve(priced(problem, usd))
    if isinstance(paid, Solution):
        assert isinstance(free, Solution)
        assert paid.requests_per_second <= free.requests_per_second * (1 + 1e-6)
        assert paid.usd_per_hour <= 6


def test_a_budget_for_the_largest_rate_pays_for_pools_too() -> None:
    """For 8 two of either would be had; with both pools paid for one is left of the dear one, and none of the cheap."""
    offers = (offer("a", "2", 2), offer("b", "2", 2))
    problem = Problem(
        mode=Mode.MAX_THROUGHPUT,
        offers=offers,
        configurations=("tp1",),
        classes=demands(chat=1.0),
        columns=tuple(column(o.id, chat=1.0) for o in offers),
        budget_usd_per_hour=Decimal(8),
    )
    assert solved(problem).requests_per_second == pytest.approx(4.0)
    paid = solved(priced(problem, "1"))
    assert paid.requests_per_second == pytest.approx(3.0)
    assert (paid.usd_per_hour, paid.pools_usd_per_hour) == (Decimal(8), Decimal(2))


def test_who_pays_more_per_node_for_one_pool_takes_what_stands_far_back_in_line() -> None:
    """Five nodes: of three offers with two each, or of the last of forty, which has enough."""
    line = like(40)
    last = replace(line.offers[-1], max_nodes=9)
    problem = priced(replace(line, offers=(*line.offers[:-1], last)), "1")
    found = solved(problem)
    assert found.nodes == {("o039", "tp1"): 5}
    assert found.usd_per_hour == 5 * Decimal("1.39") + 1
    assert found.gap == pytest.approx(0.0, abs=1e-9)


def night_and_day(usd: str, **terms: object) -> Problem:
    """Two nodes at night and five by day, two of each offer."""
    night, by_day = (
        Period(name=n, hours=12.0, requests_per_second={"chat": r})
        for n, r in (("night", 4.0), ("day", 10.0))
    )
    return priced(replace(like(4), periods=(night, by_day), **terms), usd)  # type: ignore[arg-type]


def test_a_pool_is_paid_for_all_day_where_it_has_nodes_in_any_period() -> None:
    """Which no plan of a period counts: each is what its nodes cost."""
    problem = night_and_day("0.01")
    found = solved(problem)
    assert [len(period.pools) for period in found.periods] == [1, 3]
    assert found.pools_usd_per_hour == Decimal("0.03")
    assert float(found.usd_per_hour) == pytest.approx((2.0 + 2.0 + 2 * 1.01 + 1.02) / 2 + 0.03)
    for one in alone(problem, found):
        assert one.problem.usd_per_pool_hour == one.solution.pools_usd_per_hour == 0


def test_a_budget_of_each_period_pays_for_all_pools_of_the_day() -> None:
    """By day 5.04 for nodes and 0.03 for pools."""
    enough = night_and_day("0.01", budget_usd_per_hour=Decimal("5.07"))
    found = solved(enough)
    assert found.usd_per_hour == solved(night_and_day("0.01")).usd_per_hour
    tight = replace(enough, budget_usd_per_hour=Decimal("5.069"))
    readdressed = replace(found, problem_digest=codec.digest(tight))
    assert {v.rule for v in certify(tight, readdressed)} == {"budget"}
    assert isinstance(solve(tight), Infeasible)


def test_a_mean_budget_pays_for_them_once() -> None:
    enough = night_and_day("0.01", mean_budget_usd_per_hour=Decimal("3.55"))
    found = solved(enough)
    assert float(found.usd_per_hour) == pytest.approx(3.55)
    assert isinstance(solve(replace(enough, mean_budget_usd_per_hour=Decimal("3.549"))), Infeasible)


def test_a_day_without_what_pools_cost_answers_it_with_that_paid_if_that_is_as_good_as_asked() -> None:
    problem = replace(night_and_day("0.001"), gap=5e-2)
    free = freed(problem)
    assert free is not None
    found = solve(free)
    paid = answered(problem, found)
    assert isinstance(paid, Solution)
    assert certify(problem, paid) == ()
    assert paid.ended is Ended.GAP
    assert paid.bound == found.bound  # type: ignore[union-attr]
    finer = answered(replace(problem, gap=0.0), found)
    assert isinstance(finer, Solution)
    assert finer.ended is Ended.TIME


@pytest.mark.parametrize(
    "tamper",
    [
        lambda s: replace(s, pools_usd_per_hour=Decimal(0)),
        lambda s: replace(s, pools_usd_per_hour=Decimal(1), usd_per_hour=s.usd_per_hour - 2),
        lambda s: replace(s, usd_per_hour=s.usd_per_hour - s.pools_usd_per_hour),
    ],
    ids=["pools alone", "with the sum", "the sum alone"],
)
def test_pools_that_are_said_to_cost_less_are_found_out(tamper: Callable[[Solution], Solution]) -> None:
    problem = priced(small(), "1.5")
    found = solved(problem)
    assert "cost and rate" in {v.rule for v in certify(problem, tamper(found))}


@pytest.mark.parametrize("usd", ["-1", "NaN", "Infinity", "1e16"])
def test_a_pool_that_costs_no_number_is_refused(usd: str) -> None:
    with pytest.raises(ValueError, match="usd_per_pool_hour: "):
        small(usd_per_pool_hour=Decimal(usd))


def test_why_says_what_pools_cost_and_what_the_fleet_would_without() -> None:
    told = why(case(priced(small(), "4")))
    assert told[0].text.startswith(
        "The fleet costs $12.00 per hour, $4.00 per hour of it for pools besides their nodes;"
    )
    (rule,) = (s for s in told if s.topic is Topic.POOLS)
    assert (rule.before, rule.after) == (12.0, 5.0)
    assert rule.text.startswith("Pools at no cost but their nodes' instead of $4.00 per hour each")


def test_too_little_for_any_pool_is_told_with_the_budget_that_does() -> None:
    problem = priced(small(budget_usd_per_hour=Decimal("11.99")), "4")
    assert isinstance(solve(problem), Infeasible)
    (budget,) = (s for s in why_none(problem) if s.topic is Topic.BUDGET)
    assert "from 11.99 to 12 usd_per_hour" in budget.text


def test_where_only_a_budget_limits_what_a_service_serves_pools_are_paid_out_of_it() -> None:
    """The relaxation keeps the budget though it counts no pools: without it there would be no largest rate."""
    problem = replace(
        priced(small(), "0.5"),
        mode=Mode.MAX_THROUGHPUT,
        budget_usd_per_hour=Decimal(20),
        periods=tuple(
            Period(name=n, hours=1.0, requests_per_second={"chat": 1.0, "code": 1.0})
            for n in ("day", "night")
        ),
        services=(Service(id="api", usd_per_request={n: Decimal("0.01") for n in ("chat", "code")}),),
    )
    formulation = formulate(problem)
    found, relaxed = solved(problem), relax(formulation, Patience.of(9.0))
    assert found.requests_per_second <= -relaxed.bound * formulation.unit
    assert 0 < found.usd_per_hour <= Decimal(20)
    assert found.pools_usd_per_hour == Decimal("0.5") * len({pool.key for pool in found.pools})
