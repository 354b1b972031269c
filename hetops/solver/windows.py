"""A model of several periods taken apart into windows: runs of neighbouring periods, tied to one another by starts alone.

Knows the rows only as numbers. Decides how a window is searched; what the ties cost, and how long the windows are, others
decide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.fleets import Fleet, Fleets
from hetops.solver.highs import Answer, Status
from hetops.solver.matrix import Floats, MatrixModel, part, with_rows_where

ROUNDING = 1e-6
"""Part of a cost below which two costs are not told apart."""

FIRST_GAP = 0.02
"""How good an answer to begin with is; the best is searched for from there."""

LEAST_SECONDS = 2.0
"""For an answer to begin with, even if no time is left."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """The rows that count starts, each between two periods, and the variables that they count them in."""

    rows: Integers
    period: Integers
    """By row: the period before which the starts are; it follows the one before, and the first follows the last."""
    started: Integers
    """By row: its last variable."""
    alike: Integers
    """By row: a number, the same for rows of one line."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """The model in windows, and what ties them."""

    model: MatrixModel
    ties: Ties
    """Between periods, within windows as well."""
    period_of: Integers
    """By variable; -1 for starts."""
    window_of: Integers
    """By period."""
    between: Integers
    """Places in `ties` of those between windows."""
    members: tuple[Integers, ...]
    """By window: its variables, with the starts within it."""
    parts: tuple[MatrixModel, ...]
    """By window: its model."""
    lines: tuple[Integers, ...]
    """Variables that only prices tell apart; those of one line are of one period."""
    lines_of: tuple[tuple[Integers, ...], ...]
    """By window: places among its members of the variables of each line."""

    @classmethod
    def of(
        cls,
        model: MatrixModel,
        ties: Ties,
        period_of: Integers,
        window_of: Integers,
        lines: tuple[Integers, ...],
    ) -> Windows:
        """The model with the periods in windows as `window_of` says."""
        inner = window_of[ties.period] == window_of[ties.period - 1]
        window = np.where(period_of < 0, -1, window_of[period_of])
        window[ties.started[inner]] = window_of[ties.period[inner]]
        kept = np.ones(len(model.row_lower), dtype=bool)
        kept[ties.rows[~inner]] = False
        untied, nothing = with_rows_where(model, kept), np.zeros(len(model.cost))
        members = tuple(np.flatnonzero(window == w) for w in range(int(window_of.max()) + 1))
        return cls(
            model=model,
            ties=ties,
            period_of=period_of,
            window_of=window_of,
            between=np.flatnonzero(~inner),
            members=members,
            parts=tuple(part(untied, own, nothing) for own in members),
            lines=lines,
            lines_of=tuple(
                tuple(np.searchsorted(own, line) for line in lines if window[line[0]] == w)
                for w, own in enumerate(members)
            ),
        )

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.members)

    @property
    def doubled(self) -> Windows:
        """Of each two windows one."""
        return Windows.of(self.model, self.ties, self.period_of, self.window_of // 2, self.lines)

    @property
    def no_fleets(self) -> Fleets:
        """To be added to."""
        return Fleets(
            start_costs=self.model.cost[self.ties.started[self.between]],
            period_of=self.window_of[self.ties.period[self.between]],
            alike=self.ties.alike[self.between],
            by_nodes=tuple({} for _ in self.members),
        )

    def _fleet(self, window: int, own: Floats) -> Fleet:
        members = self.members[window]
        alone = np.zeros(len(self.model.cost))
        alone[members] = own
        ties = self.model.rows_of(alone)[self.ties.rows[self.between]]
        return Fleet(values=own, cost=cost_of(self.model.cost[members], own), ties=ties)

    def keep(self, window: int, own: Floats, fleets: Fleets) -> None:
        """The answer for a window among `fleets`, told from others by its whole numbers."""
        whole = self.model.integer[self.members[window]]
        own = np.where(whole, own.round(), own)
        fleets.add(window, own[whole], self._fleet(window, own))

    def keep_all(self, values: Floats, fleets: Fleets) -> None:
        """An answer for all periods as one for each window."""
        for window, members in enumerate(self.members):
            self.keep(window, values[members], fleets)

    def joined(self, sequence: list[Fleet]) -> Floats:
        """Fleets of all windows with the starts that they cause."""
        values = np.zeros(len(self.model.cost))
        for members, fleet in zip(self.members, sequence, strict=True):
            values[members] = fleet.values
        return self.with_starts(values)

    def with_starts(self, values: Floats) -> Floats:
        """Fleets with the starts that they cause."""
        values = values.copy()
        values[self.ties.started] = 0.0
        values[self.ties.started] = np.maximum(self.model.rows_of(values)[self.ties.rows], 0.0)
        return values

    def costs(self, prices: Floats) -> Floats:
        """By variable, where the ties between windows are priced instead of enforced."""
        of_rows = np.zeros(len(self.model.row_lower))
        of_rows[self.ties.rows[self.between]] = prices[self.between]
        return self.model.cost - self.model.weighed_rows(of_rows)


def cost_of(costs: Floats, values: Floats) -> float:
    """Their product. Not by `@`: of arrays this long BLAS makes threads, which then spin beside the search."""
    return float((costs * values).sum())


Lines = tuple[Integers, ...]


def in_lines(model: MatrixModel, lines: Lines) -> MatrixModel:
    """The model with a whole number more for each line, the sum of its variables, which need not be whole any more.

    Nodes that only prices tell apart are whole where their sum is: the cheapest are taken first. To branch on each of
    them instead proves next to nothing, for one less of one is one more of the next. Whatever the lines are, no bound on
    this model is above the model's own optimum.
    """
    size, more = len(model.cost), len(lines)
    indices = [np.append(line, size + k) for k, line in enumerate(lines)]
    values = [np.append(np.full(len(line), -1.0), 1.0) for line in lines]
    ends = model.row_starts[-1] + np.cumsum([len(one) for one in indices], dtype=np.int64)
    integer = np.append(model.integer, np.ones(more, dtype=bool))
    for line in lines:
        integer[line] = False
    return MatrixModel(
        cost=np.append(model.cost, np.zeros(more)),
        lower=np.append(model.lower, [model.lower[line].sum() for line in lines]),
        upper=np.append(model.upper, [model.upper[line].sum() for line in lines]),
        integer=integer,
        row_starts=np.concatenate((model.row_starts, ends)).astype(np.int32),
        row_indices=np.concatenate((model.row_indices, *indices)).astype(np.int32),
        row_values=np.concatenate((model.row_values, *values)),
        row_lower=np.append(model.row_lower, np.zeros(more)),
        row_upper=np.append(model.row_upper, np.zeros(more)),
        subjects=(*model.subjects, *(("line", k) for k in range(more))),
    )


def first(model: MatrixModel, used: NDArray[np.bool_], *, limit_seconds: float) -> Answer:
    """Any good answer to a window's model, found among the columns that a relaxation uses, if there is one."""
    seconds = max(limit_seconds, LEAST_SECONDS)
    few = replace(model, upper=np.where(model.integer & ~used, model.lower, model.upper))
    answer = highs.run_small(few, np.empty(0), gap=FIRST_GAP, limit_seconds=seconds)
    return (
        answer if answer.found else highs.run_small(model, np.empty(0), gap=FIRST_GAP, limit_seconds=seconds)
    )


def improved(model: MatrixModel, lines: Lines, start: Floats, *, gap: float, limit_seconds: float) -> Answer:
    """The best answer to a window's model, from one that is known.

    What one node more of a column costs in the relaxation says how many of it a better answer has at most.
    """
    lined = in_lines(model, lines)
    relaxed = highs.run(replace(lined, integer=np.zeros_like(lined.integer)), limit_seconds=limit_seconds)
    if relaxed.status is not Status.OPTIMAL:
        return replace(relaxed, status=Status.NOTHING_FOUND)
    reduced = lined.cost - lined.weighed_rows(relaxed.row_duals)
    room = max(cost_of(model.cost, start) - relaxed.objective, 0.0) + ROUNDING * abs(relaxed.objective)
    limited = np.append(model.integer, np.ones(len(lines), dtype=bool)) & (reduced > ROUNDING)
    enough = lined.lower + np.floor(room / np.where(limited, reduced, 1.0) + ROUNDING)
    few = replace(lined, upper=np.where(limited, np.minimum(lined.upper, enough), lined.upper))
    begun = np.append(start, [start[line].sum() for line in lines])
    found = highs.run_small(few, begun, gap=gap, limit_seconds=limit_seconds)
    if not found.found:
        return found
    values = _whole(model, few, found.values, limit_seconds)
    better = len(values) > 0 and cost_of(model.cost, values) < cost_of(model.cost, start)
    return replace(found, values=values if better else start)


def _whole(model: MatrixModel, lined: MatrixModel, values: Floats, limit_seconds: float) -> Floats:
    """Values of the model out of those in lines: as they are where all that must be is whole; else with the lines' sums kept.

    Empty where there are none.
    """
    size = len(model.cost)
    own = values[:size]
    if np.abs(own - own.round())[model.integer].max(initial=0.0) <= ROUNDING:
        return own
    lower, upper = lined.lower.copy(), lined.upper.copy()
    lower[size:] = upper[size:] = values[size:].round()
    kept = replace(lined, lower=lower, upper=upper, integer=np.append(model.integer, lined.integer[size:]))
    answer = highs.run_small(kept, np.empty(0), gap=FIRST_GAP, limit_seconds=limit_seconds)
    return answer.values[:size] if answer.found else np.empty(0)
