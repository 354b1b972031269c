"""Batch work that may wait: which classes, and which stretches may serve what arrives in another. Solves nothing."""

from __future__ import annotations

import math

from hetops.solver.problem import Demand, Problem
from hetops.solver.terms import Stretch


def deferrable(problem: Problem, demand: Demand) -> bool:
    """Whether a class may wait for another period."""
    return demand.deadline_hours is not None and len(problem.periods) > 1


def window(stretches: tuple[Stretch, ...], arrival: int, deadline_hours: float) -> tuple[int, ...]:
    """The stretches that may serve what arrives in one: that one, and all that end before the earliest of it is late."""
    found, hours = [arrival], stretches[arrival].hours
    for step in range(1, len(stretches)):
        later = (arrival + step) % len(stretches)
        hours += stretches[later].hours
        if hours > deadline_hours * (1 + 1e-9):  # thirteenths of a day add up to a little more than one
            break
        found.append(later)
    return tuple(found)


def peak_rate(problem: Problem, stretches: tuple[Stretch, ...], t: int, demand: Demand) -> float:
    """The highest rate at which a class may be served in a stretch."""
    if not deferrable(problem, demand):
        return stretches[t].rates[demand.name]
    due = (
        s.rates[demand.name] * s.hours
        for at, s in enumerate(stretches)
        if t in window(stretches, at, demand.deadline_hours or 0.0)
    )
    return math.fsum(due) / stretches[t].hours
