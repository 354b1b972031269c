"""A day within a mean budget where requests may be shed: what a dollar of it is worth tells how much.

At a price of money every request that is shed counts for less beside it, and periods can be searched apart (Lagrangian
relaxation of the budget). Whatever the price, no day within the budget is better than what it promises; a day found at it
that is within the budget is an answer. The next price is that at which the best day within the budget and the cheapest
beyond it come out alike. Decides the prices; searches nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from hetops.solver.answers.overall import overall
from hetops.solver.answers.reading import MICRO_USD
from hetops.solver.certify import certify
from hetops.solver.patience import Patience
from hetops.solver.periods.freed import paying_for_pools
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import bounded
from hetops.solver.rows.money import per_hour
from hetops.solver.solution import Infeasible, Solution, SolvedShed, usd_of_shed

PART_OF_TIME = 0.35
"""Of the time that is left, what a search at one price may take."""

MOST_WORTH = Decimal(1000)
"""Beyond, a dollar of the budget is worth more than any shedding that a spec means."""

STEP = Decimal(2)
"""How many times as much a dollar is taken to be worth next, until a day is within the budget."""

NARROW = Decimal("1.02")
"""So near to one another, two worths of a dollar have nothing between them."""

STEPS_OF_PRICE = Decimal("1e-6")

INFINITE = Decimal("Infinity")

Search = Callable[[Problem, float], Solution | Infeasible | None]
"""The best day for a problem without the budget, in so many seconds; None where none is found."""


def asks(problem: Problem) -> bool:
    """Whether it is at least cost, within a mean budget, and something may be shed for it."""
    budget = problem.mean_budget_usd_per_hour
    return budget is not None and problem.mode is Mode.MIN_COST and problem.sheds_any


def search(
    problem: Problem, free: Problem, dear: Solution, of: Search, patience: Patience
) -> Solution | None:
    """The best day found for a problem that `asks`; None where none is.

    `free` is the problem without its budget, and whatever else no price takes apart; `dear` its best day, beyond the budget.
    """
    best, proven, worth = None, [dear.bound], Decimal(1)
    known = _Known(beyond=_told(problem, dear))
    while patience.left > 0 and worth <= MOST_WORTH:
        found = of(_at(free, worth), patience.left * PART_OF_TIME)
        if not isinstance(found, Solution):
            break
        told = _told(problem, found)
        proven.append(_promised(problem, found.bound, worth))
        broken = {violation.rule for violation in certify(problem, told)}
        if broken - {"mean budget"}:
            break  # it is not for want of money that the day is none
        if broken:
            known = replace(known, beyond=told, least=worth)
        else:
            known = replace(known, within=told, most=worth)
            best = told if best is None or told.objective < best.objective else best
        close = best is not None and best.objective - max(proven) <= problem.gap * best.objective
        if close or known.settled:
            break
        worth = known.next
    return best and _with_bound(problem, best, max(proven))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The days found on either side of the budget, and between what worths of a dollar the best one lies."""

    beyond: Solution
    within: Solution | None = None
    least: Decimal = Decimal(0)
    most: Decimal = INFINITE

    @property
    def settled(self) -> bool:
        """Whether nothing is left between both."""
        return self.most <= self.least * NARROW

    @property
    def next(self) -> Decimal:
        """Where both days come out alike; where that lies on no side of what is known, between."""
        if self.within is None:
            return max(self.least, Decimal(1)) * STEP
        saved = self.beyond.usd_per_hour - self.within.usd_per_hour
        if saved > 0:
            alike = Decimal(self.within.objective - self.beyond.objective) / saved
            if self.least * NARROW < alike * NARROW < self.most:
                return alike.quantize(STEPS_OF_PRICE)
        between = (self.least * self.most).sqrt() if self.least else self.most / STEP
        return between.quantize(STEPS_OF_PRICE)


def _at(free: Problem, worth: Decimal) -> Problem:
    """The problem where a dollar that is paid counts for one and `worth` more, so that shedding counts for less beside it."""
    classes = (
        replace(c, shed_usd_per_request=c.shed_usd_per_request and c.shed_usd_per_request / (1 + worth))
        for c in free.classes
    )
    return replace(free, classes=tuple(classes))


def _promised(problem: Problem, bound: float, worth: Decimal) -> float:
    """What no day within the budget counts for less than, by the bound at a price."""
    return bound * float(1 + worth) - float(worth * (problem.mean_budget_usd_per_hour or Decimal(0)))


def _told(problem: Problem, found: Solution) -> Solution:
    """A day with what its shedding counts for in the problem."""
    usd = {c.name: c.shed_usd_per_request or Decimal(0) for c in problem.classes}

    def counted(one: SolvedShed) -> SolvedShed:
        price = per_hour(usd[one.workload_class], one.requests_per_second)
        return replace(one, usd_per_hour=price.quantize(MICRO_USD))

    periods = tuple(replace(p, shed=tuple(map(counted, p.shed))) for p in found.periods)
    shed = overall(problem, periods).shed
    paid = paying_for_pools(problem, found)
    objective = float(paid.usd_per_hour + usd_of_shed(shed))
    told = replace(
        paid,
        periods=periods,
        shed=shed,
        objective=objective,
        certified_bound=0.0,
    )
    return _with_bound(problem, told, 0.0)


def _with_bound(problem: Problem, told: Solution, bound: float) -> Solution:
    return bounded(told, bound, told.certified_bound, problem.gap)
