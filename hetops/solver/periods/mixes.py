"""The cheapest mix of fleets that keeps all ties (Dantzig-Wolfe's master): its prices are the next to search windows at.

Of each window it takes parts of the fleets that are known, with the starts from each to the next and whatever is loose.
Decides nothing of which starts are worth the same, nor how fleets are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.periods.fleets import Fleet, Fleets, Loose

TAKEN = 1e-6
"""Part of a fleet in a mix above which it is in it."""

Integers = NDArray[np.int64]
Entries = list[tuple[Integers, Integers, Floats]]
"""Rows, columns and values of a matrix."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Starts:
    """Some starts before a window that are worth the same part of what they cost."""

    window: int
    before: Floats
    """By fleet of the window before: what its nodes cost to start."""
    after: Floats
    """And by fleet of this."""
    at: float
    """The part of what they cost that they were worth so far."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Near:
    """How near to the last prices the next ones have to be."""

    others: Floats
    """The last price by tie; nothing where it counts starts."""
    reach: float
    """How far those go at most."""
    calm: float
    """How much better the bound has to be where all starts are worth another part of what they cost.

    Without it many prices are as good as the best, most of them far away.
    """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mix:
    """The mix, and the prices at which none is cheaper."""

    parts: Floats
    """By starts: the part of what they cost that they are worth, from 0 to 1."""
    others: Floats
    """By tie: its price; nothing where it counts starts, and as it was where no fleet is in it."""
    promised: float
    """The bound that no prices near these can prove more than."""
    fleets: tuple[tuple[Fleet, ...], ...]
    """By window: those that it takes a part of."""


def cheapest(fleets: Fleets, starts: Sequence[Starts], near: Near, limit_seconds: float) -> Mix | None:
    """Of all fleets known; None where the time did not suffice.

    Starts, and other ties, may be a little more or less than they are, at the last prices: so these move only where that
    promises more.
    """
    known = [(t, fleet) for t, found in enumerate(fleets.by_nodes) for fleet in found.values()]
    of = np.flatnonzero(fleets.others)
    ties = np.array([fleet.ties[of] for _, fleet in known])
    moving = abs(ties).max(axis=0, initial=0.0) > 0
    last, at = near.others[of], np.array([one.at for one in starts])
    tied = _Tied(
        fleets=fleets,
        starts=starts,
        ties=ties[:, moving].T,
        prices=last[moving],
        loose=fleets.loose.only(moving, last),
    )
    slack = near.calm / max(len(starts), 1)
    answer = highs.run(_model(tied, near.reach, slack), limit_seconds=limit_seconds)
    if answer.status is not highs.Status.OPTIMAL:
        return None
    parts, others = np.clip(answer.row_duals[: len(starts)], 0.0, 1.0), near.others.copy()
    others[of[moving]] = answer.row_duals[len(starts) : len(starts) + int(moving.sum())]
    taken = [known[k] for k in np.flatnonzero(answer.values[: len(known)] > TAKEN)]
    return Mix(
        parts=parts,
        others=others,
        promised=answer.objective
        + fleets.loose.worth(np.where(moving, 0.0, last))
        + slack * float(abs(parts - at).sum()),
        fleets=tuple(tuple(fleet for at, fleet in taken if at == t) for t in range(fleets.periods)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tied:
    """Fleets, and what ties them."""

    fleets: Fleets
    starts: Sequence[Starts]
    ties: Floats
    """By tie other than starts that some fleet is in, and by fleet: what it adds."""
    prices: Floats
    """Of those ties, so far."""
    loose: Loose


def _model(tied: _Tied, reach: float, slack: float) -> MatrixModel:
    """Parts of fleets; starts, stops, a little more and less of either; what is loose; a little more and less of other ties.

    Rows: starts, other ties, what is loose alone, windows.
    """
    costs = [fleet.cost for found in tied.fleets.by_nodes for fleet in found.values()]
    starts, others, loose = len(tied.starts), len(tied.prices), tied.loose.model
    entries = [*_of_starts(tied)]
    place = len(costs)
    for sign in (1.0, -1.0, 1.0, -1.0):
        entries.append(_each(0, place, np.full(starts, sign)))
        place += starts
    entries += [_dense(starts, 0, tied.ties), _dense(starts, place, tied.loose.in_ties)]
    entries.append(
        (starts + others + loose.row_of, place + loose.row_indices.astype(np.int64), loose.row_values)
    )
    place += len(loose.cost)
    for sign in (1.0, -1.0):
        entries.append(_each(starts, place, np.full(others, sign)))
        place += others
    first = starts + others + len(loose.row_lower)
    window_of = np.repeat(np.arange(tied.fleets.periods), [len(of) for of in tied.fleets.by_nodes])
    entries.append((first + window_of, np.arange(len(costs)), np.ones(len(costs))))
    none, each, at = np.zeros(starts), np.ones(starts), np.array([one.at for one in tied.starts])
    some, one = np.full(2 * others, INFINITY), np.ones(tied.fleets.periods)
    upper = (np.full(len(costs) + 2 * starts, INFINITY), np.full(2 * starts, slack), loose.upper, some)
    row, column, value = (np.concatenate(of) for of in zip(*entries, strict=True))
    order, lower = np.lexsort((column, row)), np.concatenate((none, tied.loose.lower, loose.row_lower, one))
    return MatrixModel(
        cost=np.concatenate(
            (costs, each, none, at, -at, loose.cost, reach + tied.prices, reach - tied.prices)
        ),
        lower=np.concatenate((np.zeros(len(costs) + 4 * starts), loose.lower, np.zeros(2 * others))),
        upper=np.concatenate(upper),
        integer=np.zeros(place, dtype=bool),
        row_starts=np.concatenate(([0], np.bincount(row, minlength=len(lower)).cumsum())).astype(np.int32),
        row_indices=column[order].astype(np.int32),
        row_values=value[order],
        row_lower=lower,
        row_upper=np.concatenate((none, tied.loose.upper, loose.row_upper, one)),
        subjects=("ties of fleets",) * len(lower),
    )


def _of_starts(tied: _Tied) -> Entries:
    """What fleets of the window before have started already, and those of this have started."""
    counts = [len(of) for of in tied.fleets.by_nodes]
    begins = np.concatenate(([0], np.cumsum(counts)[:-1]))
    entries = []
    for number, one in enumerate(tied.starts):
        had, has = np.flatnonzero(one.before), np.flatnonzero(one.after)
        columns = np.concatenate((begins[one.window - 1] + had, begins[one.window] + has))
        values = np.concatenate((one.before[had], -one.after[has]))
        entries.append((np.full(len(columns), number), columns, values))
    return entries


def _each(row: int, column: int, values: Floats) -> tuple[Integers, Integers, Floats]:
    """One after another in each row and column from these on."""
    places = np.arange(len(values))
    return row + places, column + places, values


def _dense(row: int, column: int, matrix: Floats) -> tuple[Integers, Integers, Floats]:
    """A whole matrix from this row and column on."""
    rows, columns = matrix.nonzero()
    return row + rows, column + columns, matrix[rows, columns]
