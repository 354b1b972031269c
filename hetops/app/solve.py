"""Use case: solve an explicit problem file. Wires the file to the solver; decides nothing of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hetops.app.stopped import without_answer
from hetops.domain import codec
from hetops.errors import DocumentError
from hetops.files import read_bytes, write_whole
from hetops.solver.merge import with_few_classes
from hetops.solver.problem import Problem
from hetops.solver.pruned import pruning_of
from hetops.solver.questions.relax import infeasible_error, relaxations
from hetops.solver.questions.relaxation import Relaxation
from hetops.solver.reach import beyond_reach
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import Effort, solve


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """A problem with its answer."""

    problem: Problem
    solution: Solution


def read_problem(path: Path) -> Problem:
    """The `hetops.problem` document in `path`.

    Raises:
        HetopsError: the file cannot be read.
        DocumentError: it is not a sound problem.
    """
    content = read_bytes(path, what="problem")
    try:
        problem = codec.decode_strict(Problem, content, source=str(path))
    except DocumentError as fault:
        raise DocumentError(fault.message, details=fault.details, hint=fault.hint or _SOUND) from fault
    if faults := [f"${fault}" for fault in beyond_reach(problem)]:
        raise DocumentError(f"{path}: {faults[0]}", details=faults[1:], hint=_SOUND)
    return problem


_SOUND = "`hetops plan --write-problem FILE` writes a sound one, `hetops schema problem` describes it"


def solve_file(path: Path, *, effort: Effort | None = None) -> Solved:
    """The certified answer to the `hetops.problem` document in `path`.

    Raises:
        HetopsError: the file cannot be read.
        DocumentError: it is not a sound problem.
        InfeasibleError: no fleet exists; carries the smallest relaxation.
        TimeoutExpiredError: nothing was found in time.
        CancelledError: Ctrl-C before anything was found.
    """
    problem = read_problem(path)
    try:
        outcome = solve(problem, effort=effort)
    except KeyboardInterrupt as stop:
        raise without_answer("columns, classes or periods") from stop
    if isinstance(outcome, Infeasible):
        raise infeasible_error(problem, outcome, _relaxations(problem))
    return Solved(problem=problem, solution=replace(outcome, pruning=pruning_of(problem)))


def _relaxations(problem: Problem) -> tuple[Relaxation, ...]:
    """What would let a fleet exist; where classes are merged to find it, less may do."""
    few = with_few_classes(problem)
    found = relaxations(few)
    return found if few is problem else tuple(replace(change, smallest=False) for change in found)


def write_solution(solved: Solved, path: Path) -> None:
    """The solution as a `hetops.solution` document in `path`, whole or not at all."""
    write_whole(path, codec.encode(solved.solution))
