"""Each period of an answer stands by itself: the same fleet answers the question of the period alone, and is bounded there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.solver.answers.alone import alone, served_rates
from hetops.solver.answers.reading import MICRO_USD
from hetops.solver.certify import certify
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from tests.solver.varied import varied


def days(first: int, wanted: int) -> Iterator[Problem]:
    """Random problems with periods, at least cost."""
    seed = first
    while wanted:
        problem = replace(varied(seed), mode=Mode.MIN_COST, gap=0.01)
        seed += 1
        if len(problem.periods) > 1:
            wanted -= 1
            yield problem


def stands(problem: Problem) -> int:
    """How many periods were held against their own questions."""
    found = solve(problem, limit_seconds=2.0)
    if isinstance(found, Infeasible):
        return 0
    each = alone(problem, found)
    assert len(each) == len(problem.periods)
    boots = found.changes_usd_per_hour - sum((one.solution.changes_usd_per_hour for one in each), Decimal(0))
    assert boots >= -2 * MICRO_USD
    for one, period in zip(each, found.periods, strict=True):
        _holds(problem, found, one.problem, one.solution)
        assert one.solution.usd_per_hour - one.solution.changes_usd_per_hour == period.usd_per_hour
        assert not one.solution.changes_usd_per_hour or period is found.periods[0]
        assert one.solution.objective == float(one.solution.counted_usd_per_hour)
        assert one.solution.bound <= one.solution.objective + 1e-9
    return sum(bool(one.solution.shares) for one in each)


def _holds(whole: Problem, found: Solution, question: Problem, answer: Solution) -> None:
    assert not question.periods
    if answer.shares:
        assert certify(question, answer) == ()
        asked = {c.name: c.requests_per_second for c in question.classes}
        assert asked in [served_rates(whole, found, period) for period in found.periods]


def test_periods_of_random_days_stand_by_themselves() -> None:
    assert sum(stands(problem) for problem in days(0, 12)) > 12


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 6000, 1000))
def test_periods_of_many_random_days_stand_by_themselves(first: int) -> None:
    assert sum(stands(problem) for problem in days(first, 60)) > 60
