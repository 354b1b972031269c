"""A search that lets the nodes of a line be anything as long as their sum is whole.

Nodes that only their offers tell apart do the same, so one less of one is one more of the next: to branch on each of them
proves next to nothing. What is proven without their whole numbers holds with them; and mostly nodes that add up to
whole sums are whole where the cheapest are taken first, or can be made so at no cost. Where they cannot, the answer is
not as good as what was proven, and says so. Knows the rows only as numbers.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hetops.solver import highs
from hetops.solver.highs import Answer, Status
from hetops.solver.lines import cost_of, in_lines
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.reduced import not_dearer


def search(
    model: MatrixModel, start: Floats, *, gap: float, limit_seconds: float, relaxed: Answer | None = None
) -> Answer:
    """An answer to a model with lines, and what was proven of all; none that is no better than `start`, one that is known or empty.

    `relaxed` is the answer to the model without its whole numbers, where that is known; otherwise it is searched for.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    lined = in_lines(model, model.lines)
    relaxed = _of_lines(relaxed, model) if relaxed else highs.run(lined.linear, limit_seconds=limit_seconds)
    if relaxed.status is not Status.OPTIMAL:
        return _nothing(relaxed, -INFINITY)
    begun = np.append(start, [start[line].sum() for line in model.lines]) if len(start) else start
    few = lined
    if len(start):
        few = not_dearer(lined, model.integer, model.lines, relaxed, cost_of(lined.cost, begun))
    left = max(limit_seconds - relaxed.seconds, 0.0)
    found = highs.run_small(few, begun, gap=gap, limit_seconds=left)
    if not found.found:
        return _nothing(found, relaxed.objective)
    values = _whole(model, few, found.values, gap, max(left - found.seconds, 0.0))
    if not len(values):
        return _nothing(found, found.bound)
    objective = cost_of(model.cost, values)
    close = objective - found.bound <= gap * abs(objective)
    return replace(
        found,
        status=Status.OPTIMAL if close else Status.TIME_LIMIT,
        values=values,
        objective=objective,
        bound=min(found.bound, objective),
    )


def _of_lines(relaxed: Answer, model: MatrixModel) -> Answer:
    """The relaxation of a model as that of its lines, whose sums cost nothing of their own."""
    return replace(relaxed, row_duals=np.append(relaxed.row_duals, np.zeros(len(model.lines))), seconds=0.0)


def _nothing(found: Answer, bound: float) -> Answer:
    nothing = np.empty(0)
    return replace(found, status=Status.NOTHING_FOUND, values=nothing, objective=INFINITY, bound=bound)


def _whole(model: MatrixModel, lined: MatrixModel, values: Floats, gap: float, seconds: float) -> Floats:
    """Values of the model out of those in lines: as they are where all that must be is whole; else with the lines' sums kept.

    Empty where there are none.
    """
    size = len(model.cost)
    own = values[:size]
    if np.abs(own - own.round())[model.integer].max(initial=0.0) <= highs.FEASIBILITY_TOLERANCE:
        return own
    lower, upper = lined.lower.copy(), lined.upper.copy()
    lower[size:] = upper[size:] = values[size:].round()
    integer = np.append(model.integer, lined.integer[size:])
    kept = replace(lined, lower=lower, upper=upper, integer=integer)
    answer = highs.run_small(kept, np.empty(0), gap=gap, limit_seconds=seconds)
    return answer.values[:size] if answer.found else np.empty(0)
