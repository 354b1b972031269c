"""Edge: runs HiGHS on a matrix model, on one thread with a fixed seed so that the same model gives the same answer.

The only module that imports highspy. Never import ortools in one process with it: their symbols clash.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import highspy
import numpy as np
from numpy.typing import NDArray

from hetops.errors import HetopsError
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.patience import cancelled, stopped

Value = float | str | bool
"""Of an option of HiGHS."""

NAME = f"HiGHS {highspy.HIGHS_VERSION_MAJOR}.{highspy.HIGHS_VERSION_MINOR}.{highspy.HIGHS_VERSION_PATCH}"

FEASIBILITY_TOLERANCE = 1e-7
"""Absolute violation of a row or of integrality that the solver may take for none."""

WAIT_SECONDS = 0.1
"""How late Ctrl-C may be noticed; the end of a search is noticed at once."""

OVERTIME_SECONDS = 0.5
"""What a search may take to end, once its time is up or it was stopped."""

OVERTIME_PART = 0.1
"""And as much of its time: HiGHS does not look at the clock in all that it does, for tens of seconds where a model is large."""

GLANCE_NODES = 100
"""Of the tree that a glance sees."""


class Status(StrEnum):
    """How a run ended."""

    OPTIMAL = "optimal"
    """Within the wanted gap."""
    TIME_LIMIT = "time_limit"
    """A solution was found, its gap is larger than wanted."""
    INFEASIBLE = "infeasible"
    NOTHING_FOUND = "nothing_found"
    """The time ran out before a first solution."""
    INTERRUPTED = "interrupted"
    """It was stopped after a first solution; its gap is larger than wanted."""


class OnInterrupt(StrEnum):
    """What it means for a run to be stopped. A Ctrl-C that is not remembered (`patience`) cancels every run without a solution."""

    CANCEL = "cancel"
    TAKE_BEST = "take_best"
    """The best solution so far is the answer, its gap stated; without one it cancels."""
    FINISH = "finish"
    """It goes on: without its answer nothing could be said of the one that there is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What the solver said of a model, in the model's units. Without a solution the arrays are empty."""

    status: Status
    values: Floats
    objective: float
    bound: float
    row_duals: Floats
    """Empty for a model with integers."""
    seconds: float

    @property
    def found(self) -> bool:
        """Whether there are values."""
        return self.status in (Status.OPTIMAL, Status.TIME_LIMIT, Status.INTERRUPTED)


NOTHING = Answer(
    status=Status.NOTHING_FOUND,
    values=np.empty(0),
    objective=INFINITY,
    bound=-INFINITY,
    row_duals=np.empty(0),
    seconds=0.0,
)
"""What is known of a model that nothing was found out about."""


def run(
    model: MatrixModel,
    *,
    gap: float = 0.0,
    limit_seconds: float = 60.0,
    on_interrupt: OnInterrupt = OnInterrupt.CANCEL,
    tolerance: float = FEASIBILITY_TOLERANCE,
) -> Answer:
    """Minimise `model`; stop at a relative `gap` or after `limit_seconds`. Of rows and bounds no more than `tolerance` is violated.

    Raises:
        HetopsError: the solver failed in a way that says nothing of the model.
        KeyboardInterrupt: stopped, and there is no solution to take or none is to be taken; the search stops at once.
    """
    options = {**_options(gap, limit_seconds), "primal_feasibility_tolerance": tolerance}
    return _run(model, options, on_interrupt, np.empty(0))


def run_from(
    model: MatrixModel, start: Floats, *, gap: float, limit_seconds: float, on_interrupt: OnInterrupt
) -> Answer:
    """As `run`, with a solution to begin with; without one where it is empty."""
    return _run_from(model, start, {"mip_rel_gap": gap}, limit_seconds, on_interrupt)


def _run_from(
    model: MatrixModel,
    start: Floats,
    options: Mapping[str, Value],
    limit_seconds: float,
    on_interrupt: OnInterrupt,
) -> Answer:
    """HiGHS 1.16 can take a solution that it was given for cheaper than it is, and then for the best: without it, then."""
    answer = _run(model, {**_options(0.0, limit_seconds), **options}, on_interrupt, start)
    if not len(start) or not answer.found or _adds_up(model, answer):
        return answer
    left = max(limit_seconds - answer.seconds, 0.0)
    return _run(model, {**_options(0.0, left), **options}, on_interrupt, np.empty(0))


def _adds_up(model: MatrixModel, answer: Answer) -> bool:
    """Whether the values cost what the solver says."""
    cost = float((model.cost * answer.values).sum())
    return abs(cost - answer.objective) <= 1e-6 * max(abs(cost), 1.0)


def glance(
    model: MatrixModel,
    *,
    gap: float = 0.0,
    limit_seconds: float = 60.0,
    on_interrupt: OnInterrupt = OnInterrupt.CANCEL,
) -> Answer:
    """As `run`, for no more than the first nodes of the tree: often a solution, seldom a proof.

    Where a glance ends depends on the model, not on what else the machine has to do.
    """
    options = {**_options(gap, limit_seconds), "mip_max_nodes": GLANCE_NODES}
    return _run(model, options, on_interrupt, np.empty(0))


def run_small(
    model: MatrixModel,
    start: Floats,
    *,
    gap: float,
    limit_seconds: float,
    on_interrupt: OnInterrupt = OnInterrupt.CANCEL,
) -> Answer:
    """As `run_from`, for one of many small models: without the heuristics, which would take longer than the search."""
    return _run_from(model, start, {"mip_rel_gap": gap, **_NO_HEURISTICS}, limit_seconds, on_interrupt)


_NO_HEURISTICS: dict[str, Value] = {
    "mip_heuristic_effort": 0.0,
    "mip_heuristic_run_feasibility_jump": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_heuristic_run_shifting": False,
    "mip_heuristic_run_zi_round": False,
    "mip_detect_symmetry": False,
    "mip_allow_restart": False,
}


def _run(model: MatrixModel, options: dict[str, Value], on_interrupt: OnInterrupt, start: Floats) -> Answer:
    began = time.monotonic()
    solver = _Quiet()
    for option, value in options.items():
        solver.setOptionValue(option, value)
    _pass(solver, model)
    if len(start):
        known = highspy.HighsSolution()
        known.col_value = start.tolist()
        solver.setSolution(known)
    late = began + float(options["time_limit"]) * (1 + OVERTIME_PART) + OVERTIME_SECONDS
    ended = _search(solver, on_interrupt, late)
    for option, value in _OTHER_WAYS:
        if not ended or solver.getModelStatus() not in _UNSURE:
            break
        solver.clearSolver()
        solver.setOptionValue(option, value)
        ended = _search(solver, on_interrupt, late)
    seconds = time.monotonic() - began
    return _answer(solver, model, seconds) if ended else replace(NOTHING, seconds=seconds)


_UNSURE = (highspy.HighsModelStatus.kSolveError, highspy.HighsModelStatus.kUnknown)
"""A model that is infeasible by a hair can be solved in presolve and found wanting after it; of one that is infeasible by
far, thousands of times what can be had being asked for, the dual simplex may trust no numbers of its own."""

_OTHER_WAYS = (("presolve", "off"), ("simplex_strategy", 4), ("solver", "ipm"))
"""What is tried then, one after the other: one tolerance throughout, the primal simplex, an interior point."""


class _Quiet(highspy.Highs):  # type: ignore[misc]  # highspy has no types
    """HiGHS that leaves standard output alone: 1.16 prints its banner while it enables callbacks, before any option."""

    def enableCallbacks(self) -> None:  # noqa: N802 - the name is highspy's
        self.silent()
        super().enableCallbacks()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vertex:
    """The best answer to a linear model within some bounds."""

    values: Floats
    reduced: Floats
    """By variable: what one more of it costs; of one at its upper bound, what one less saves is minus that."""
    objective: float


class Hot:
    """A linear model that is solved again and again within other bounds, each time from where the last one ended."""

    def __init__(self, model: MatrixModel, cutoff: float) -> None:
        """For answers that cost less than `cutoff`; whole numbers need not be whole."""
        self._solver, self._cutoff = _Quiet(), cutoff
        options = {
            **_options(0.0, INFINITY),
            "presolve": "off",
            "solver": "simplex",
            "objective_bound": cutoff,
        }
        for option, value in options.items():
            self._solver.setOptionValue(option, value)
        _pass(self._solver, model.linear)

    def within(self, variables: NDArray[np.int64], lower: Floats, upper: Floats) -> Vertex | None:
        """The best answer with these bounds of some variables, others as they were; None where none costs less.

        Raises:
            HetopsError: the solver failed in a way that says nothing of the model.
        """
        self._solver.changeColsBounds(len(variables), variables.astype(np.int32), lower, upper)
        self._solver.run()
        status = self._solver.getModelStatus()
        if status == highspy.HighsModelStatus.kObjectiveBound or _status(self._solver) is Status.INFEASIBLE:
            return None
        objective = float(self._solver.getInfo().objective_function_value)
        if objective >= self._cutoff:
            return None
        found = self._solver.getSolution()
        return Vertex(values=np.array(found.col_value), reduced=np.array(found.col_dual), objective=objective)


def _search(solver: highspy.Highs, on_interrupt: OnInterrupt, late: float) -> bool:
    """In a thread of its own, or Ctrl-C would wait for the end of the search.

    False where it has not ended by the time that is `late`: it is left alone, and ends when it looks at the clock.
    """
    if cancelled():
        raise KeyboardInterrupt
    solver.HandleUserInterrupt = True
    ended = threading.Event()
    thread = threading.Thread(target=_solve, args=(solver, ended), daemon=True)
    thread.start()
    try:
        while not ended.wait(WAIT_SECONDS):
            if cancelled() or (stopped() and on_interrupt is not OnInterrupt.FINISH):
                raise KeyboardInterrupt
            if time.monotonic() > late:
                _leave_alone(solver, thread)
                return False
    except KeyboardInterrupt:
        _leave_alone(solver, thread)
        heard = ended.wait(OVERTIME_SECONDS)
        if on_interrupt is not OnInterrupt.TAKE_BEST or not heard or not _feasible(solver):
            raise
    return True


def _leave_alone(solver: highspy.Highs, thread: threading.Thread) -> None:
    """Asks a search to end. A script that is done waits for it, for C++ aborts a process that ends under its threads."""
    solver.cancelSolve()
    atexit.register(thread.join)


def _solve(solver: highspy.Highs, ended: threading.Event) -> None:
    """As `startSolve` of highspy, whose searches all wait for one lock: none could begin while another is left alone."""
    try:
        solver.run()
        solver.resetThreadScheduler(False)
    finally:
        ended.set()


def _options(gap: float, limit_seconds: float) -> dict[str, Value]:
    return {
        "output_flag": False,
        "threads": 1,
        "random_seed": 0,
        "time_limit": limit_seconds,
        "mip_rel_gap": gap,
        "mip_abs_gap": 1e-9,
        "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
    }


def _pass(solver: highspy.Highs, model: MatrixModel) -> None:
    """Hands the model over; HiGHS takes no coefficient of 1e15 or more, and would go on with none at all."""
    if solver.passModel(_lp(model)) == highspy.HighsStatus.kError:
        most = max(float(np.abs(of).max(initial=0.0)) for of in (model.row_values, model.cost))
        raise HetopsError(
            f"what the numbers make of each other, {most:.3g} times as much at most, is beyond the solver",
            hint="leave out what is that slow, or that dear, beside what is asked for",
        )


def _lp(model: MatrixModel) -> highspy.HighsLp:
    lp = highspy.HighsLp()
    lp.num_col_ = len(model.cost)
    lp.num_row_ = len(model.row_lower)
    lp.col_cost_ = model.cost
    lp.col_lower_ = model.lower
    lp.col_upper_ = model.upper
    lp.row_lower_ = model.row_lower
    lp.row_upper_ = model.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = model.row_starts
    lp.a_matrix_.index_ = model.row_indices
    lp.a_matrix_.value_ = model.row_values
    if model.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(whole)] for whole in model.integer]
    return lp


def _answer(solver: highspy.Highs, model: MatrixModel, seconds: float) -> Answer:
    info, status = solver.getInfo(), _status(solver)
    solution = solver.getSolution()
    whole = bool(model.integer.any())
    found = status in (Status.OPTIMAL, Status.TIME_LIMIT, Status.INTERRUPTED)
    return Answer(
        status=status,
        values=np.array(solution.col_value) if found else np.empty(0),
        objective=float(info.objective_function_value) if found else float("inf"),
        bound=float(info.mip_dual_bound if whole else _bound_of(info.objective_function_value, status)),
        row_duals=np.empty(0) if whole or not found else np.array(solution.row_dual),
        seconds=seconds,
    )


def _bound_of(objective: float, status: Status) -> float:
    """What the search of a linear model proves: nothing, where it ended too early."""
    return objective if status in (Status.OPTIMAL, Status.INFEASIBLE) else -INFINITY


def _status(solver: highspy.Highs) -> Status:
    status = solver.getModelStatus()
    known = highspy.HighsModelStatus
    if status in (known.kOptimal, known.kModelEmpty):
        return Status.OPTIMAL
    if status in (known.kInfeasible, known.kUnboundedOrInfeasible):
        return Status.INFEASIBLE
    if status in (known.kTimeLimit, known.kSolutionLimit):
        return Status.TIME_LIMIT if _feasible(solver) else Status.NOTHING_FOUND
    if status == known.kInterrupt and _feasible(solver):
        return Status.INTERRUPTED
    if status == known.kInterrupt:
        raise KeyboardInterrupt
    raise HetopsError(
        f"the solver stopped with {solver.modelStatusToString(status)!r}",
        hint="write the problem to a file and report it: hetops plan --write-problem FILE",
    )


def _feasible(solver: highspy.Highs) -> bool:
    """Whether the search has a solution."""
    status = solver.getInfo().primal_solution_status
    return bool(status == highspy.SolutionStatus.kSolutionStatusFeasible)
