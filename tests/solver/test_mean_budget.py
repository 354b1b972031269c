"""A day within a mean budget for which something may be shed: found at prices of money, held against the model as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from hetops.solver.certify import certify
from hetops.solver.patience import Patience
from hetops.solver.periods import freed, mean_budget
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import PROOF_GAP, Effort, solve
from tests.solver.test_oracle import proven
from tests.solver.test_woven import at_once
from tests.solver.varied import varied

EXACTLY = Effort(limit_seconds=2.0, most_gap=PROOF_GAP)


def exactly(problem: Problem, _: float = 2.0) -> Solution | Infeasible:
    return solve(problem, effort=EXACTLY)


def tight(seeds: range) -> Iterator[tuple[Problem, Problem, Solution]]:
    """Days of which anything may be shed, within a little less than they would cost: with them the freed ones and their answers."""
    for seed in seeds:
        problem = replace(varied(seed), mode=Mode.MIN_COST, mean_budget_usd_per_hour=None)
        usd = Decimal("0.0008")
        classes = (replace(c, shed_usd_per_request=usd, max_shed_share=1.0) for c in problem.classes)
        problem = replace(problem, classes=tuple(classes), max_pools=None, gap=1e-6)
        free = freed.freed(replace(problem, mean_budget_usd_per_hour=Decimal(1)))
        if free is None:
            continue
        best = exactly(free)
        if isinstance(best, Solution) and best.usd_per_hour > Decimal("0.5"):
            most = (best.usd_per_hour * Decimal("0.85")).quantize(Decimal("0.01"))
            offers = free.offers
            yield replace(problem, offers=offers, mean_budget_usd_per_hour=most), free, best


def test_what_prices_of_money_promise_and_find_has_the_optimum_between_it() -> None:
    found = 0
    for problem, free, best in tight(range(12)):
        told = mean_budget.search(problem, free, best, exactly, Patience.of(4.0))
        theirs = at_once(problem)
        if told is None:
            continue
        found += 1
        assert certify(problem, told) == ()
        assert told.bound <= theirs.most + 1e-5 * (1 + theirs.most)
        assert told.objective >= theirs.least - 1e-5 * (1 + theirs.most)
        outcome = exactly(problem)
        assert isinstance(outcome, Solution)
        assert proven(outcome.bound, outcome.objective).meets(theirs)
    assert found >= 2


def test_without_a_budget_or_shedding_there_is_nothing_to_price() -> None:
    problem = replace(varied(0), mode=Mode.MIN_COST)
    assert not mean_budget.asks(replace(problem, mean_budget_usd_per_hour=None))
    unshed = tuple(replace(c, shed_usd_per_request=None) for c in problem.classes)
    assert not mean_budget.asks(replace(problem, classes=unshed, mean_budget_usd_per_hour=Decimal(1)))
