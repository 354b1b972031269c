"""Checks a solution against its problem in exact arithmetic: every limit has its function in `checks`, none is trusted.

Decides which rules there are; what they find is a value with a text, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hetops.solver.checks.bounds import impossible_bounds, relative_gap
from hetops.solver.checks.change import too_many_changes, wrong_changes
from hetops.solver.checks.money import broken_budgets, broken_mean_budget, wrong_sheds, wrong_totals
from hetops.solver.checks.quality import low_quality
from hetops.solver.checks.risk import broken_share_limits
from hetops.solver.checks.serve import (
    broken_handovers,
    impossible_pools,
    late_work,
    overloaded_links,
    overloaded_pools,
    overloaded_services,
    overtaxed_services,
    uncovered_losses,
    unserved_classes,
    wrong_bounds_of_pools,
    wrong_problem,
)
from hetops.solver.checks.supply import (
    broken_quotas,
    broken_ramps,
    oversold_offers,
    too_many_pools,
    wrong_rentals,
)
from hetops.solver.checks.violation import TOLERANCE, Violation
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from hetops.solver.weak_duality import ScarcityPrices, weak_duality_bound

__all__ = [
    "CHECKS",
    "CHECKS_OF_TERMS",
    "TOLERANCE",
    "ScarcityPrices",
    "Violation",
    "certify",
    "relative_gap",
    "weak_duality_bound",
]

CHECKS = (
    "problem",
    "pools",
    "demand",
    "capacity",
    "stock",
    "quota",
    "budget",
    "provider budgets",
    "number of pools",
    "cost and rate",
    "bounds",
)
"""The rules that `certify` recomputes of every solution, in order."""

CHECKS_OF_TERMS = (
    "rentals",
    "commitments",
    "services",
    "service tokens",
    "share limits",
    "mean quality",
    "losses",
    "shedding",
    "deadlines",
    "mean budget",
    "changes",
    "ramps",
    "number of changes",
    "handovers",
    "links",
)
"""The rules beyond, which only a problem with terms can break."""

Check = Callable[[Problem, Solution], Iterator[Violation]]

_FIRST: tuple[Check, ...] = (wrong_problem, impossible_pools)
_RULES: tuple[Check, ...] = (
    wrong_bounds_of_pools,
    unserved_classes,
    overloaded_pools,
    oversold_offers,
    broken_quotas,
    broken_budgets,
    too_many_pools,
    wrong_totals,
    impossible_bounds,
    wrong_rentals,
    overloaded_services,
    overtaxed_services,
    broken_share_limits,
    low_quality,
    uncovered_losses,
    wrong_sheds,
    late_work,
    broken_mean_budget,
    wrong_changes,
    broken_ramps,
    too_many_changes,
    broken_handovers,
    overloaded_links,
)


def certify(problem: Problem, solution: Solution) -> tuple[Violation, ...]:
    """Every rule that the solution breaks; empty for a sound one."""
    strangers = tuple(v for check in _FIRST for v in check(problem, solution))
    if strangers:  # nothing else can be judged of pools that the problem does not know
        return strangers
    return tuple(v for check in _RULES for v in check(problem, solution))
