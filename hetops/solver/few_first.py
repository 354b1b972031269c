"""A search with few columns before the one with all of them, where that takes long, or after it where it brings no fleet.

Decides which of the two gets how much of the time, and what is proven of the better answer; how they search is not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from hetops.domain import codec
from hetops.errors import TimeoutExpiredError
from hetops.solver import hurried
from hetops.solver.patience import Pace, Patience, stopped
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import bound_of_anything, bounded
from hetops.solver.solution import Ended, Infeasible, Solution

Search = Callable[[Problem, float], Solution | Infeasible]
"""The answer to a problem within so many seconds; raises TimeoutExpiredError where none is found in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FewFirst:
    """Both searches, and how fast this machine is now."""

    whole: Search
    few: Search
    """Of a problem of few columns, which knows nothing of other searches."""
    must_rent: Collection[str]
    pace: Pace = field(default_factory=Pace.now)

    def search(self, problem: Problem, seconds: float) -> Solution | Infeasible:
        """By all columns; by few before that where it takes long, or after it where it brings no fleet. Errors as those of `whole`."""
        pace, patience, first = self.pace, Patience.of(seconds), None
        if hurried.is_long(problem, seconds / pace.slowness):
            first = self._of_few(problem, hurried.first_seconds(seconds, pace))
        if first is not None and hurried.seconds_of(problem) * pace.slowness > patience.left:
            return first
        try:
            found = self.whole(problem, patience.left)
        except TimeoutExpiredError:
            first = first or self._of_few(problem, max(patience.left, hurried.first_seconds(0.0, pace)))
            if first is None:
                raise
            return first
        except KeyboardInterrupt:
            if first is None or not stopped():
                raise
            return first
        return _better(problem, first, found) if first else found

    def _of_few(self, problem: Problem, seconds: float) -> Solution | None:
        """A fleet of few columns as one of the problem; None where none is found in time."""
        for few in hurried.few_of(problem, self.must_rent):
            found = self._in_time(few, seconds) if len(few.columns) < len(problem.columns) else None
            if isinstance(found, Solution):
                bound = bound_of_anything(problem)
                ended = Ended.INTERRUPTED if stopped() else Ended.TIME
                own = replace(found, problem_digest=codec.digest(problem), ended=ended)
                return bounded(own, bound, bound, problem.gap)
        return None

    def _in_time(self, few: Problem, seconds: float) -> Solution | Infeasible | None:
        try:
            return self.few(few, seconds)
        except TimeoutExpiredError:
            return None


def _better(problem: Problem, first: Solution, found: Solution | Infeasible) -> Solution | Infeasible:
    """The better of two answers to one problem, with what the search for the second one proved: not that there is none."""
    if not isinstance(found, Solution):
        return first
    sign = 1 if problem.mode is Mode.MIN_COST else -1
    if sign * found.objective <= sign * first.objective:
        return found
    return bounded(replace(first, ended=found.ended), found.bound, found.certified_bound, problem.gap)
