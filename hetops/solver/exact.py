"""The searches that explanations are made of: each is a whole search to a millionth, within its seconds.

Decides nothing: what a search finds is a value, the absence of a fleet too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from hetops.errors import TimeoutExpiredError
from hetops.solver.bands import Bands
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Solution
from hetops.solver.solve import PROOF_GAP, Effort, solve

ROUNDING = 2 * PROOF_GAP
"""Relative difference of two objectives below which neither fleet is shown to be better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found. No solution and `exact`: there is none; not `exact`: there was none in time."""

    solution: Solution | None
    exact: bool

    @property
    def objective(self) -> float | None:
        """USD per hour or requests per second; None without a solution."""
        return self.solution.objective if self.solution else None


def look(problem: Problem, seconds: float, *, must_rent: Collection[str] = ()) -> Found:
    """The best fleet; with `must_rent` the best that has a node of those offers."""
    effort = Effort(limit_seconds=seconds, most_gap=PROOF_GAP)
    try:
        outcome = solve(problem, effort=effort, must_rent=must_rent)
    except TimeoutExpiredError:
        return Found(solution=None, exact=False)
    if not isinstance(outcome, Solution):
        return Found(solution=None, exact=True)
    return found(outcome)


def found(solution: Solution) -> Found:
    """A solution as a search would have found it."""
    return Found(solution=solution, exact=solution.gap <= PROOF_GAP)


def best(mode: Mode, *found: Found) -> Found:
    """The better of several answers to the same question: a fleet under a limit is one without it, too."""
    sign = 1 if mode is Mode.MIN_COST else -1
    solved = [f for f in found if f.solution]
    return min(solved, key=lambda f: sign * (f.objective or 0.0)) if solved else found[0]


def better(mode: Mode, one: Found, than: Found) -> bool:
    """Whether the first is better, by more than rounding; any fleet is better than none."""
    if one.objective is None or than.objective is None:
        return one.objective is not None and than.objective is None
    ahead = than.objective - one.objective if mode is Mode.MIN_COST else one.objective - than.objective
    return ahead > ROUNDING * abs(than.objective)


def look_without(problem: Problem, offers: Collection[str], seconds: float) -> Found:
    """The best fleet that has no node of the offers."""
    columns = tuple(column for column in problem.columns if column.offer not in offers)
    if not columns:
        return Found(solution=None, exact=True)
    return look(replace(problem, columns=columns), seconds)


def in_front(problem: Problem, solution: Solution) -> Bands:
    """Of each line of equal offers those up to the last that is rented, each for itself."""
    bands = Bands.of(problem)
    rented = {pool.offer for stretch in solution.stretches for pool in stretch.pools}
    last = (max((i + 1 for i, o in enumerate(line) if o.id in rented), default=0) for line in bands.lines)
    return replace(bands, alone=tuple(last))
