"""Problems with terms against brute force over every fleet, and against what must hold between problems."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from hetops.solver.certify import certify
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from tests.solver.one_class import least_cost, some_problem


def cost(problem: Problem) -> float:
    """USD per hour of the solution, which is certified; infinite where there is none."""
    outcome = solve(problem)
    if not isinstance(outcome, Solution):
        return float("inf")
    assert certify(problem, outcome) == ()
    assert outcome.certified_bound <= outcome.objective * (1 + 1e-6) + 1e-9
    return outcome.objective


def compare(seeds: range) -> None:
    """Each problem's least cost is what brute force finds."""
    for seed in seeds:
        problem = some_problem(Random(seed))
        least = least_cost(problem)
        due = float("inf") if least is None else float(least)
        assert cost(problem) == pytest.approx(due, rel=2e-6, abs=2e-6), f"seed {seed}"


def test_least_cost_is_what_brute_force_finds() -> None:
    compare(range(150))


@pytest.mark.slow
def test_least_cost_is_what_brute_force_finds_thousands_of_times() -> None:
    compare(range(150, 3000))


@pytest.mark.parametrize("seed", range(12))
def test_a_problem_with_terms_keeps_its_cost_when_it_is_told_otherwise(seed: int) -> None:
    """Offers in another order, a class in two halves, all prices times three."""
    problem = some_problem(Random(seed))
    turned = replace(problem, offers=problem.offers[::-1], columns=problem.columns[::-1])
    assert cost(turned) == pytest.approx(cost(problem), rel=1e-5)
    assert cost(halved(problem)) == pytest.approx(cost(problem), rel=1e-5)
    assert cost(dearer(problem)) == pytest.approx(3 * cost(problem), rel=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_cost_never_rises_when_a_term_is_lifted(seed: int) -> None:
    problem = some_problem(Random(seed))
    least = cost(problem) * (1 + 1e-6)
    assert cost(replace(problem, share_limits=())) <= least
    assert cost(replace(problem, losses=())) <= least
    assert cost(replace(problem, migration=None)) <= least
    more = tuple(replace(o, max_nodes=(o.max_nodes or 0) + 1) for o in problem.offers)
    assert cost(replace(problem, offers=more)) <= least
    all_of_it = tuple(replace(c, max_shed_share=1.0) for c in problem.classes)
    assert cost(replace(problem, classes=all_of_it)) <= least


def halved(problem: Problem) -> Problem:
    """The class as two of half its rate."""
    half = problem.classes[0].requests_per_second / 2

    def both(value: object) -> dict[str, object]:
        return {"x": value, "y": value}

    return replace(
        problem,
        classes=tuple(replace(problem.classes[0], name=name, requests_per_second=half) for name in "xy"),
        columns=tuple(replace(c, requests_per_second=both(c.rate("chat"))) for c in problem.columns),
        services=tuple(replace(s, usd_per_request=both(s.usd_per_request["chat"])) for s in problem.services),
        periods=tuple(
            replace(
                p,
                requests_per_second=both(p.requests_per_second["chat"] / 2) if p.requests_per_second else {},
            )
            for p in problem.periods
        ),
    )


def dearer(problem: Problem) -> Problem:
    """Every price times three."""
    return replace(
        problem,
        offers=tuple(replace(o, usd_per_hour=o.usd_per_hour * 3) for o in problem.offers),
        classes=tuple(
            replace(c, shed_usd_per_request=c.shed_usd_per_request and c.shed_usd_per_request * 3)
            for c in problem.classes
        ),
        services=tuple(
            replace(s, usd_per_request={c: usd * 3 for c, usd in s.usd_per_request.items()})
            for s in problem.services
        ),
        migration=problem.migration
        and replace(
            problem.migration,
            usd_per_added_node=problem.migration.usd_per_added_node * Decimal(3),
            usd_per_removed_node=problem.migration.usd_per_removed_node * Decimal(3),
        ),
    )
