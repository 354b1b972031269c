"""Checks that the bounds lie on the side of the objective that they claim, and that the gap is theirs."""

from __future__ import annotations

from collections.abc import Iterator

from hetops.solver.checks.violation import TOLERANCE, Violation
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Solution

AMOUNTS_ROUNDED_TO = 2e-6
"""USD per hour by which the sum of means and of prices of requests may be off."""


def impossible_bounds(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """No bound is beyond the objective, and the gap is the distance from it."""
    sign = 1 if problem.mode is Mode.MIN_COST else -1
    rounding = 0.0 if problem.plain else AMOUNTS_ROUNDED_TO
    for name, bound in (("bound", solution.bound), ("certified_bound", solution.certified_bound)):
        if sign * (solution.objective - bound) < -abs(solution.objective) * float(TOLERANCE) - rounding:
            message = f"{bound} is better than the objective {solution.objective} the wrong way round"
            yield Violation(rule="bounds", subject=name, message=message)
    gap = relative_gap(solution.objective, solution.bound)
    if abs(gap - solution.gap) > float(TOLERANCE):
        yield Violation(rule="bounds", subject="gap", message=f"says {solution.gap}, is {gap}")
    if solution.within_gap and gap > problem.gap + float(TOLERANCE):
        yield Violation(rule="bounds", subject="within_gap", message=f"gap {gap} is above {problem.gap}")


def relative_gap(objective: float, bound: float) -> float:
    """Distance of the objective from the bound, relative to the objective; never negative."""
    return abs(objective - bound) / abs(objective) if objective else 0.0
