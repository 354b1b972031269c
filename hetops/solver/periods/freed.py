"""A day without what no price takes apart into periods: a mean budget, a limit on pools, what they cost, ramps of many offers.

Without that the day is searched period by period. No answer is better than the best such day; where that keeps to the
limits, and is as good with its pools paid for, it is the answer. Decides what is left out and what follows; searches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from hetops.domain import codec
from hetops.solver.certify import TOLERANCE, certify
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import bounded
from hetops.solver.solution import Infeasible, Solution

MOST_RAMPED = 100
"""Offers whose ramps are priced: each stands in the model by itself, which takes longer than the whole search where they are many."""


def freed(problem: Problem) -> Problem | None:
    """The problem without those limits; None where it has none of them, or no periods that they tie.

    A mean budget stays for the largest rate: it is what the rate is bought with. Ramps of few offers stay at least cost,
    where they are priced.
    """
    if len(problem.periods) < 2:
        return None
    at_cost = problem.mode is Mode.MIN_COST
    unramped = tuple(replace(o, max_added_nodes=None, max_removed_nodes=None) for o in problem.offers)
    free = replace(
        problem,
        offers=problem.offers if at_cost and len(problem.offers) <= MOST_RAMPED else unramped,
        mean_budget_usd_per_hour=None if at_cost else problem.mean_budget_usd_per_hour,
        max_pools=None,
        usd_per_pool_hour=Decimal(0),
    )
    return None if free == problem else free


def answered(problem: Problem, found: Solution | Infeasible) -> Solution | Infeasible | None:
    """What the answer to the freed problem says of the problem; None where it breaks a limit and better ones may not.

    One whose pools cost more than what is left of the gap ends by time: better ones may be known with more of it.
    """
    if isinstance(found, Infeasible):
        return replace(found, problem_digest=codec.digest(problem))
    answer = paying_for_pools(problem, found)
    if not certify(problem, answer):
        return answer
    return Infeasible(problem_digest=answer.problem_digest) if _beyond_budget(problem, answer) else None


def paying_for_pools(problem: Problem, found: Solution) -> Solution:
    """An answer to the freed problem as one to the problem: with what its pools cost, and what is proven of it left as it is."""
    usd = problem.usd_per_pool_hour * len(found.pools)
    paid = replace(
        found,
        problem_digest=codec.digest(problem),
        usd_per_hour=found.usd_per_hour + usd,
        pools_usd_per_hour=usd,
    )
    if not usd or problem.mode is not Mode.MIN_COST:
        return paid
    dearer = replace(paid, objective=float(paid.counted_usd_per_hour))
    return bounded(dearer, found.bound, found.certified_bound, problem.gap)


def _beyond_budget(problem: Problem, found: Solution) -> bool:
    """Whether even the cheapest day costs more than its mean budget; what shedding counts for is not paid."""
    budget = problem.mean_budget_usd_per_hour
    at_cost = problem.mode is Mode.MIN_COST and not problem.sheds_any
    return at_cost and budget is not None and found.bound > float(budget) * (1 + float(TOLERANCE))


def best(problem: Problem, answers: Sequence[Solution], found: Solution) -> Solution:
    """The best of some answers to the problem, with the most that was proven of any of them or `found` of the freed one."""
    inner, outer = (min, max) if problem.mode is Mode.MIN_COST else (max, min)
    answer, proven = inner(answers, key=lambda one: one.objective), (*answers, found)
    bound, certified = (
        outer(values) for values in zip(*((one.bound, one.certified_bound) for one in proven), strict=True)
    )
    return bounded(answer, bound, certified, problem.gap)
