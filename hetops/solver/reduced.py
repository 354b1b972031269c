"""Reduced costs: what one more of a variable costs in a relaxation, and so how many of it a cheaper answer has at most.

Knows the rows only as numbers. Searches nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver.highs import Answer
from hetops.solver.lines import ROUNDING, Lines
from hetops.solver.matrix import Floats, MatrixModel


def not_dearer(
    lined: MatrixModel, integer: NDArray[np.bool_], lines: Lines, relaxed: Answer, most: float
) -> MatrixModel:
    """A model in lines, with no more of any whole number than an answer can have that costs no more than `most`.

    The whole numbers are those of the model before it was put in lines, and the sums of these. `relaxed` is the answer to the
    model in lines without its whole numbers.
    """
    size = len(integer)
    counts = np.zeros(len(lined.cost), dtype=bool)
    counts[:size] = integer
    counts[size : size + len(lines)] = True
    reduced = reduced_costs(lined, counts, relaxed.row_duals)
    room = max(most - relaxed.objective, 0.0) + ROUNDING * abs(relaxed.objective)
    limited = counts & (reduced > ROUNDING)
    enough = lined.lower + np.floor(room / np.where(limited, reduced, 1.0) + ROUNDING)
    upper = np.where(limited, np.minimum(lined.upper, enough), lined.upper)
    for number, line in enumerate(lines, size):
        upper[number] = min(upper[number], upper[line].sum())
    return replace(lined, upper=upper)


def reduced_costs(model: MatrixModel, counts: NDArray[np.bool_], row_duals: Floats) -> Floats:
    """By variable: what one more of it costs in a relaxation with these duals, as much of that as can be on `counts`.

    Where shares need nodes, and neither are there, the duals may leave the whole cost of a node to its shares, and nothing
    bounds the nodes. A row that may come to 0 at most gives a node back what its shares can spare: a dual nearer to 0 proves
    as much, as long as no reduced cost of what the row adds up falls below 0.
    """
    reduced = model.cost - model.weighed_rows(row_duals)
    spare = np.where(counts | (model.lower != 0), 0.0, np.maximum(reduced, 0.0))
    movable = (row_duals < 0) & (model.row_upper == 0)
    adds = movable[model.row_of] & (model.row_values > 0)
    rows, variables = model.row_of[adds], model.row_indices[adds]
    times = np.bincount(variables, minlength=len(reduced))
    nearer = np.where(movable, -row_duals, 0.0)
    np.minimum.at(nearer, rows, (spare / np.maximum(times, 1))[variables] / model.row_values[adds])
    found: Floats = model.cost - model.weighed_rows(row_duals + nearer)
    return found
