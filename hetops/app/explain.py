"""Use case: explain an answer, a spec's or an explicit problem's, by what every other would cost. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hetops.app.candidates import Asked
from hetops.app.plan import pose, solved
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
    file = solve_file(path)
    return _explained(file.problem, file.solution)


def explain_spec(asked: Asked) -> Explained:
    """The answer to a spec's question, explained; errors as in `make_plan`."""
    posed = pose(asked)
    return _explained(posed.problem, solved(posed))


def _explained(problem: Problem, solution: Solution) -> Explained:
    weighed = weigh(problem, solution)
    return Explained(
        problem=problem,
        solution=weighed.solution,
        alternatives=weighed.alternatives,
        wider=what_if(problem, weighed.solution),
    )
