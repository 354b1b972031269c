"""Days that are searched without ramps, mean budget and limit on pools first: what is proven of them holds, limits do too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.solver import highs
from hetops.solver import solve as solving
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.periods.freed import best as best_of
from hetops.solver.periods.freed import freed
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible
from hetops.solver.solve import solve
from tests.solver.problems import solved
from tests.solver.test_by_period import day


def small(**terms: object) -> Problem:
    """A day of two periods."""
    return day(periods=2, boot_seconds=3600.0, gap=1e-4, **terms)


def best(problem: Problem) -> float:
    """USD per hour of the best answer to the model as a whole."""
    formulation = formulate(problem)
    return highs.run(formulation.model).objective * formulation.unit


def ramped(**terms: object) -> Problem:
    """At most one node more of an offer from one period to the next."""
    problem = small(**terms)
    return replace(problem, offers=tuple(replace(o, max_added_nodes=1) for o in problem.offers))


@pytest.mark.parametrize(
    "posed", [lambda: small(max_pools=2), ramped, lambda: ramped(max_pools=2)], ids=["pools", "ramps", "both"]
)
def test_a_limit_that_binds_is_kept_and_what_is_proven_is_no_more_than_the_whole_models_optimum(
    posed: Callable[[], Problem],
) -> None:
    problem = posed()
    found, optimum = solved(problem), best(problem)
    assert found.bound <= optimum * (1 + 1e-6)
    assert found.objective == pytest.approx(optimum, rel=1e-4)


def test_a_mean_budget_is_kept_to_the_last_cent_and_what_no_day_keeps_is_ruled_out() -> None:
    free = solved(small())
    enough = free.usd_per_hour + Decimal("0.001")
    tight = solved(replace(small(mean_budget_usd_per_hour=enough), gap=0.2))
    assert tight.usd_per_hour <= enough
    short = small(mean_budget_usd_per_hour=Decimal(free.bound) * Decimal("0.999"))
    assert isinstance(solve(short), Infeasible)


def test_what_is_freed_leaves_all_other_limits() -> None:
    problem = small(max_pools=2, budget_usd_per_hour=Decimal(9), mean_budget_usd_per_hour=Decimal(8))
    fastest = replace(problem, mode=Mode.MAX_THROUGHPUT)
    assert freed(problem) == small(budget_usd_per_hour=Decimal(9))
    assert freed(fastest) == replace(fastest, max_pools=None)
    assert freed(small()) is None
    assert freed(replace(problem, periods=())) is None


def test_without_time_for_a_proof_of_its_own_a_day_of_few_pools_has_the_freed_days() -> None:
    """The bound of fewer limits is taken where it is the better one, and the gap is that to it."""
    free, few = solved(small()), solved(small(max_pools=2))
    late = replace(few, bound=0.0, certified_bound=0.0, gap=1.0, within_gap=False)
    found = best_of(small(max_pools=2), [late], free)
    assert (found.bound, found.certified_bound) == (free.bound, free.certified_bound)
    assert found.gap == pytest.approx(1 - free.bound / few.objective)
    assert certify(small(max_pools=2), found) == ()
    assert best_of(small(max_pools=2), [few], free).bound == few.bound
    dearer = replace(late, objective=few.objective * 2)
    assert best_of(small(max_pools=2), [dearer, few], free) == few


def test_a_freed_day_that_keeps_to_the_limits_and_is_not_proven_leaves_the_rest_of_the_time_to_the_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two nodes run all day, which is two pools: no more than the limit, but nothing says so yet that none is cheaper."""
    problem = small(max_pools=4)
    monkeypatch.setattr(solving, "FREED_PART", 0.0)
    assert solved(problem).within_gap
    assert solved(problem).objective == pytest.approx(best(problem), rel=1e-4)
