"""Answers near one that is known: some periods again while the nodes of all others stay.

Where nothing but starts ties periods together, all else of the others stays too. Otherwise work may move to whatever
nodes run in them, and what is loose changes with it. Knows the rows only as numbers. Decides what of an answer may
change, not when to ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.solver.highs import FEASIBILITY_TOLERANCE, Answer
from hetops.solver.matrix import Floats, MatrixModel, part
from hetops.solver.periods.windows import Integers, Windows

EMPTY = 1e-9
"""Room in a row below which there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbourhood:
    """The model of what may change, all else as it is."""

    windows: Windows
    stays: Floats
    """By variable of the whole; nothing where it may change."""
    variables: Integers
    model: MatrixModel
    lines: tuple[Integers, ...]

    @classmethod
    def of(cls, windows: Windows, values: Floats, periods: Integers) -> Neighbourhood:
        """In which the nodes of these periods may change."""
        free = _free(windows, periods)
        stays = np.where(free, 0.0, values)
        variables = np.flatnonzero(free & ~full(windows.model, free, stays))
        return cls(
            windows=windows,
            stays=stays,
            variables=variables,
            model=part(windows.model, variables, stays),
            lines=windows.lines_in(variables, periods),
        )

    @property
    def possible(self) -> bool:
        """Whether what stays keeps every row in which nothing changes."""
        whole = self.windows.model
        changes = np.zeros(len(whole.cost), dtype=bool)
        changes[self.variables] = True
        held = (
            np.bincount(whole.row_of, weights=changes[whole.row_indices], minlength=len(whole.row_lower)) == 0
        )
        rows = whole.rows_of(self.stays)[held]
        return bool(
            (rows >= whole.row_lower[held] - FEASIBILITY_TOLERANCE).all()
            and (rows <= whole.row_upper[held] + FEASIBILITY_TOLERANCE).all()
        )

    def filled(self, answer: Answer) -> Floats:
        """An answer to the model as one to the whole."""
        values = self.stays.copy()
        values[self.variables] = np.where(self.model.integer, answer.values.round(), answer.values)
        return self.windows.with_starts(values)


def _free(windows: Windows, periods: Integers) -> NDArray[np.bool_]:
    """What may change: the periods, their starts and those of the periods after them; with other ties than starts all but nodes."""
    ties, counts = windows.ties, windows.ties.count_starts
    free = np.isin(windows.period_of, periods)
    if not counts.all():
        free |= (windows.period_of >= 0) & ~windows.model.integer
        free[windows.loose] = True
    before = (ties.period - 1) % windows.count
    near = np.isin(ties.period, periods) | np.isin(before, periods)
    free[ties.started[counts & near]] = True
    return free


def full(model: MatrixModel, free: NDArray[np.bool_], stays: Floats) -> NDArray[np.bool_]:
    """What must be nothing, for it is in a row in which what stays leaves no room: shares on columns without nodes."""
    rows, of = model.row_of, free[model.row_indices]
    makes_room = np.bincount(rows[of & (model.row_values < 0)], minlength=len(model.row_lower)) > 0
    none = (model.row_upper - model.rows_of(stays) <= EMPTY) & ~makes_room
    full = np.zeros(len(free), dtype=bool)
    full[model.row_indices[none[rows] & of & (model.row_values > 0)]] = True
    return full & (model.lower <= 0)
