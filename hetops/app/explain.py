"""Use case: explain the answer to an explicit problem by what every other answer would cost. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hetops.app.solve import solve_file
from hetops.domain.plan import Alternative
from hetops.solver.explain import weigh, what_if
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A problem, its answer, the losers, and what wider limits would change."""

    problem: Problem
    solution: Solution
    alternatives: tuple[Alternative, ...]
    wider: tuple[Alternative, ...]


def explain_file(path: Path) -> Explained:
    """The answer to the `hetops.problem` document in `path`, explained; errors as in `solve_file`."""
    solved = solve_file(path)
    weighed = weigh(solved.problem, solved.solution)
    return Explained(
        problem=solved.problem,
        solution=weighed.solution,
        alternatives=weighed.alternatives,
        wider=what_if(solved.problem, weighed.solution),
    )
