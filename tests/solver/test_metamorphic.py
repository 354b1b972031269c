"""What must hold between two problems when throughput is maximised; of least cost `test_solve` holds the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.solver.problem import Demand, Mode, Problem
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from tests.solver.problems import column, offer, tiny

some = settings(max_examples=40, deadline=None)
fastest = tiny(mode=Mode.MAX_THROUGHPUT)


def rate(problem: Problem) -> float:
    """Requests per second of the best fleet; 0 where there is none."""
    outcome = solve(problem)
    return outcome.requests_per_second if isinstance(outcome, Solution) else 0.0


@some
@given(fastest, st.sampled_from(["stock", "budget", "a dollar", "offer", "headroom", "pools", "quota"]))
def test_the_rate_never_falls_when_a_limit_is_widened_or_an_offer_is_added(
    problem: Problem, what: str
) -> None:
    dollars = problem.budget_usd_per_hour
    wider: dict[str, Callable[[], Problem]] = {
        "stock": lambda: replace(problem, offers=tuple(replace(o, max_nodes=3) for o in problem.offers)),
        "budget": lambda: replace(problem, budget_usd_per_hour=None, provider_budgets_usd_per_hour={}),
        "a dollar": lambda: replace(problem, budget_usd_per_hour=None if dollars is None else dollars + 1),
        "offer": lambda: replace(
            problem,
            offers=(*problem.offers, offer("new", "1.5", 1)),
            columns=(*problem.columns, column("new", "a", x=1.0, y=1.0)),
        ),
        "headroom": lambda: replace(problem, headroom=0.0),
        "pools": lambda: replace(problem, max_pools=None),
        "quota": lambda: replace(
            problem, quota_groups=tuple(replace(g, limit=g.limit + 5) for g in problem.quota_groups)
        ),
    }
    assert rate(wider[what]()) >= rate(problem) * (1 - 1e-6)


@some
@given(fastest, st.sampled_from(["0.01", "3", "1000"]))
def test_prices_and_budgets_scaled_together_change_no_rate(problem: Problem, factor: str) -> None:
    times = Decimal(factor)  # coarse enough for the steps of a millionth that prices enter in
    budget = problem.budget_usd_per_hour
    dearer = replace(
        problem,
        offers=tuple(replace(o, usd_per_hour=o.usd_per_hour * times) for o in problem.offers),
        budget_usd_per_hour=None if budget is None else budget * times,
        provider_budgets_usd_per_hour={
            p: usd * times for p, usd in problem.provider_budgets_usd_per_hour.items()
        },
        usd_per_pool_hour=problem.usd_per_pool_hour * times,
    )
    assert rate(dearer) == pytest.approx(rate(problem), rel=1e-6)


@some
@given(fastest)
def test_splitting_a_class_changes_no_rate(problem: Problem) -> None:
    half = problem.classes[0].requests_per_second / 2
    split = replace(
        problem,
        classes=(
            Demand(name="x1", requests_per_second=half),
            Demand(name="x2", requests_per_second=half),
            *problem.classes[1:],
        ),
        columns=tuple(
            column(c.offer, c.configuration, x1=c.rate("x"), x2=c.rate("x"), y=c.rate("y"))
            for c in problem.columns
        ),
    )
    assert rate(split) == pytest.approx(rate(problem), rel=1e-6)


@some
@given(fastest, st.randoms(use_true_random=False))
def test_the_order_in_which_offers_are_written_changes_no_rate(problem: Problem, random: object) -> None:
    offers, columns = list(problem.offers), list(problem.columns)
    random.shuffle(offers)  # type: ignore[attr-defined]
    random.shuffle(columns)  # type: ignore[attr-defined]
    other = replace(problem, offers=tuple(offers), columns=tuple(columns))
    assert rate(other) == rate(problem)


@some
@given(tiny(), st.integers(1, 3))
def test_more_demand_never_costs_less(problem: Problem, times: int) -> None:
    more = replace(
        problem,
        classes=tuple(replace(c, requests_per_second=c.requests_per_second * times) for c in problem.classes),
    )
    assert cost(more) >= cost(problem)


def cost(problem: Problem) -> Decimal:
    """Cost of the best fleet; infinite where there is none."""
    outcome = solve(problem)
    return outcome.usd_per_hour if isinstance(outcome, Solution) else Decimal("Infinity")
