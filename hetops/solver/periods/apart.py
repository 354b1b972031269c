"""A formulation's model taken apart into its periods: which variables belong to which, and which rows tie them.

Knows which kinds of variables and rows there are; decides nothing of how windows are searched.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame, kinds
from hetops.solver.matrix import MatrixModel
from hetops.solver.periods.windows import Ties, Windows, are_given


def windows_of(formulation: Formulation) -> Windows:
    """The formulation's model with each period as a window."""
    frame, period_of = formulation.frame, np.append(stretch_of(formulation.frame), formulation.beyond)
    model, periods = _with_idle_at_least(formulation.model, period_of), len(frame.stretches)
    rows = np.flatnonzero(tied(model, period_of, ~are_given(model, period_of)[model.row_indices]))
    starts = np.array([_is_start(model.subjects[row]) for row in rows], dtype=bool)
    first, last = model.row_starts[rows], model.row_starts[rows + 1] - 1
    line_of = np.full(len(model.cost), -1)
    lines = [
        np.array(sorted(frame.nodes(t, j) for j in kind)) for t in range(periods) for kind in kinds(frame)
    ]
    for number, line in enumerate(lines):
        line_of[line] = number
    ties = Ties(
        rows=rows,
        period=np.where(starts, period_of[model.row_indices[first]], -1),
        started=np.where(starts, model.row_indices[last].astype(np.int64), -1),
        alike=np.where(starts, line_of[model.row_indices[first]], -1),
    )
    return Windows.of(model, ties, period_of, tuple(line for line in lines if len(line) > 1))


def _with_idle_at_least(model: MatrixModel, period_of: NDArray[np.int64]) -> MatrixModel:
    """With variables of no period that meet no other one at the least that they can be: lots which are paid for and serve nothing."""
    alone = np.bincount(model.row_of, minlength=len(model.row_lower)) == 1
    meets = np.bincount(model.row_indices[~alone[model.row_of]], minlength=len(model.cost)) > 0
    idle = (period_of < 0) & ~meets & (model.cost >= 0)
    at, row = model.row_indices, model.row_of
    bound = np.where(model.row_values > 0, model.row_lower[row], model.row_upper[row])
    limits = idle[at] & np.isfinite(bound) & (model.row_values != 0)
    least = model.lower.copy()
    np.maximum.at(least, at[limits], bound[limits] / model.row_values[limits])
    least = np.where(model.integer, np.ceil(least - 1e-9), least)
    return replace(model, lower=np.where(idle, least, model.lower), upper=np.where(idle, least, model.upper))


def starts_stand_alone(formulation: Formulation) -> bool:
    """Whether starts are in no rows but those that count them."""
    model, frame = formulation.model, formulation.frame
    starts = np.array([_is_start(subject) for subject in model.subjects])
    counted = np.bincount(model.row_indices[~starts[model.row_of]], minlength=len(model.cost)) > 0
    begins = frame.first[Block.STARTED]
    return not counted[begins : begins + frame.sizes[Block.STARTED]].any()


def _is_start(subject: object) -> bool:
    return isinstance(subject, tuple) and subject[0] == "started"


def stretch_of(frame: Frame) -> NDArray[np.int64]:
    """The stretch that each variable belongs to; -1 for those of several. What changes now does so in the first."""
    of, stretches = np.full(frame.size, -1), np.arange(len(frame.stretches))
    for block in (Block.ADDED, Block.REMOVED):
        of[frame.first[block] : frame.first[block] + frame.sizes[block]] = 0
    nodes, missing = frame.first[Block.NODES], frame.first[Block.MISSING]
    of[nodes : nodes + frame.sizes[Block.NODES]] = np.repeat(stretches, len(frame.columns))
    of[missing : missing + frame.sizes[Block.MISSING]] = np.tile(stretches, len(frame.problem.scenarios))
    for (t, _), k in frame.sheds.items():
        of[frame.first[Block.SHED] + k] = t
    for r, rental in enumerate(frame.rentals):
        of[frame.first[Block.RENTED] + r] = -1 if rental.stretch is None else rental.stretch
    for k, (n, _, _) in enumerate(frame.pairs):
        of[frame.share(k)] = frame.layers[n].stretch
    for h, one in enumerate(frame.handovers):
        of[frame.first[Block.HANDED] + h] = frame.layers[one.layer].stretch
    return of


def tied(model: MatrixModel, period_of: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rows with variables of more than one stretch, or of one and of none, as far as their entries are counted."""
    rows, of = model.row_of[counted], period_of[model.row_indices[counted]]
    first = np.full(len(model.row_lower), len(model.cost))
    last = np.full(len(model.row_lower), -1)
    np.minimum.at(first, rows, of)
    np.maximum.at(last, rows, of)
    found: NDArray[np.bool_] = (last >= 0) & (first != last)
    return found
