"""Questions about answers in which terms meet: each is a search, and finds what HiGHS alone does of the whole changed problem."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random

import pytest

from hetops.errors import TimeoutExpiredError
from hetops.solver import highs
from hetops.solver.certify import TOLERANCE
from hetops.solver.formulate import formulate
from hetops.solver.problem import Mode, Problem
from hetops.solver.questions.breakeven import asked_about, breakeven
from hetops.solver.questions.exact import Change, Front
from hetops.solver.questions.why import Case, why
from hetops.solver.questions.why_not import why_not
from hetops.solver.search.begun import renting
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import Effort, solve, unservable_classes
from tests.solver.test_oracle import NO_ANSWER, UNKNOWN, Proven, proven
from tests.solver.test_woven import BRIEFLY
from tests.solver.woven import dense


def whole(problem: Problem, must_rent: Collection[str]) -> Proven:
    """What HiGHS proves of the whole model, with a node of the offers."""
    if unservable_classes(problem):
        return NO_ANSWER
    formulation = renting(formulate(problem, must_rent=must_rent), must_rent)
    if formulation is None:
        return NO_ANSWER
    answer = highs.run(formulation.model, gap=1e-9, limit_seconds=15.0)
    if not answer.found:
        return NO_ANSWER if answer.status is highs.Status.INFEASIBLE else UNKNOWN
    unit = formulation.unit if problem.mode is Mode.MIN_COST else -formulation.unit
    return proven(answer.bound * unit, answer.objective * unit)


def eased(problem: Problem) -> Problem:
    """With budgets as wide as the checker takes them: the cost of a fleet, rounded down by less than that, still buys it."""
    budgets = ("budget_usd_per_hour", "mean_budget_usd_per_hour")
    told = {name: getattr(problem, name) for name in budgets}
    return replace(
        problem, **{n: usd * (1 + Decimal(str(float(TOLERANCE)))) for n, usd in told.items() if usd}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Front):
    """A front of which every search is held against the whole model."""

    def search(
        self, change: Change, effort: Effort, *, must_rent: Collection[str] = ()
    ) -> Solution | Infeasible | None:
        """As `Front.search`."""
        outcome = Front.search(self, change, effort, must_rent=must_rent)
        problem = change(self.bands.problem)
        due = NO_ANSWER if problem is None else whole(problem, must_rent)
        if outcome is not None:
            found = NO_ANSWER
            if isinstance(outcome, Solution):
                found = proven(outcome.bound, outcome.objective)
            if problem is not None and not found.meets(due):
                due = whole(eased(problem), must_rent)
            assert found.meets(due), f"{change} with {must_rent}: {found} and {due}"
        return outcome


def answer_to(problem: Problem) -> Solution | None:
    """The best fleet, where there is one and it is proven in time."""
    try:
        outcome = solve(problem, effort=BRIEFLY)
    except TimeoutExpiredError:
        return None
    return outcome if isinstance(outcome, Solution) and outcome.within_gap else None


def questions(seeds: range) -> int:
    """All that `why` asks of each problem, `why-not` of two offers, and a break-even price; how many have an answer."""
    found = 0
    for seed in seeds:
        problem, dice = dense(seed), Random(seed)
        outcome = answer_to(problem)
        if outcome is None:
            continue
        found += 1
        case = Case(
            problem=problem,
            solution=outcome,
            front=Checked.of(problem, outcome),
            seconds=BRIEFLY.limit_seconds,
        )
        assert why(case)
        for offer in dice.sample(problem.offers, 2):
            assert why_not(case, offer.id, frozenset((offer.id,)))
        breakeven(case, asked_about(case)[:1])
    return found


def test_every_search_behind_an_explanation_finds_what_the_whole_model_says() -> None:
    assert questions(range(19, 21)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 60, 10))
def test_hundreds_of_them_do(first: int) -> None:
    assert questions(range(first, first + 10)) >= 3
