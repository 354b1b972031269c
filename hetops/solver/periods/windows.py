"""A model of several periods taken apart into windows: runs of neighbouring periods, and what ties them to one another.

What ties them is starts of nodes, counted by a row each, and any other row with variables of several periods, or of one
and of none: what waits from one to another, what is reserved for all. Knows the rows only as numbers. Decides how a
window is searched; what the ties cost, and how long the windows are, others decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.highs import Answer, Status
from hetops.solver.lines import ROUNDING, Lines, cost_of, in_lines
from hetops.solver.matrix import Floats, MatrixModel, part, with_rows_where
from hetops.solver.periods.fleets import Fleet, Fleets, Loose
from hetops.solver.periods.stairs import Stair, Stairs
from hetops.solver.reduced import not_dearer

FIRST_GAP = 0.02
"""How good an answer to begin with is; the best is searched for from there."""

LEAST_SECONDS = 2.0
"""For an answer to begin with, even if no time is left."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ties:
    """The rows that tie periods to one another: they have variables of several periods, or of one and of none."""

    rows: Integers
    period: Integers
    """By row: where it counts starts, the period before which they are, whose first follows the last; else -1."""
    started: Integers
    """By row: the variable of the starts that it counts; -1 where it counts none."""
    alike: Integers
    """By row: a number, the same for starts of one line."""

    @property
    def count_starts(self) -> NDArray[np.bool_]:
        """By row."""
        return self.started >= 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Windows:
    """The model in windows, and what ties them."""

    model: MatrixModel
    ties: Ties
    """Between them."""
    period_of: Integers
    """By variable; -1 for those of none."""
    members: tuple[Integers, ...]
    """By window: its variables."""
    parts: tuple[MatrixModel, ...]
    """By window: its model."""
    lines: tuple[Integers, ...]
    """Variables that only prices tell apart; those of one line are of one period."""
    loose: Integers
    """Variables of no period, but for starts."""
    given: Floats
    """By variable: what it is, where it is of no period and can be but one value; else nothing."""

    @classmethod
    def of(cls, model: MatrixModel, ties: Ties, period_of: Integers, lines: tuple[Integers, ...]) -> Windows:
        """The model with each period as a window."""
        windows = range(int(period_of.max()) + 1)
        loose = period_of < 0
        loose[ties.started[ties.count_starts]] = False
        loose &= np.bincount(model.row_indices, minlength=len(model.cost)) > 0
        members = tuple(np.flatnonzero(period_of == period) for period in windows)
        given = np.where(are_given(model, period_of), model.lower, 0.0)
        wide = _with_loose_at_best(model, ties, period_of)
        return cls(
            model=model,
            ties=ties,
            period_of=period_of,
            members=members,
            parts=tuple(part(wide, own, given) for own in members),
            lines=lines,
            loose=np.flatnonzero(loose),
            given=given,
        )

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.members)

    @property
    def tied_by_starts_alone(self) -> bool:
        """Whether no other ties are there."""
        return bool(self.ties.count_starts.all())

    def lines_in(self, variables: Integers, periods: Integers) -> tuple[Integers, ...]:
        """Places among variables of those of each line in some periods, where there are several."""
        place = np.full(len(self.model.cost), -1)
        place[variables] = np.arange(len(variables))
        inside = np.isin([self.period_of[line[0]] for line in self.lines], periods)
        found = (place[self.lines[k]] for k in np.flatnonzero(inside))
        there = (line[line >= 0] for line in found)
        return tuple(line for line in there if len(line) > 1)

    def counted(self, window: int) -> Integers:
        """By tie that counts starts before a window: the place of what it counts in the window's model in lines."""
        members, rows = self.members[window], self.ties.rows[self.ties.period == window]
        places = np.searchsorted(members, self.model.row_indices[self.model.row_starts[rows]])
        line_of = np.arange(len(members))
        for number, line in enumerate(self.lines_in(members, np.array([window]))):
            line_of[line] = len(members) + number
        counted: Integers = line_of[places]
        return counted

    @property
    def no_fleets(self) -> Fleets:
        """To be added to."""
        rows, counts = self.ties.rows, self.ties.count_starts
        nothing, few = np.zeros(len(self.model.cost)), rows[~counts]
        entries = np.isin(self.model.row_of, few) & np.isin(self.model.row_indices, self.loose)
        in_ties = np.zeros((len(few), len(self.loose)))
        row, variable = self.model.row_of[entries], self.model.row_indices[entries]
        at = np.searchsorted(few, row), np.searchsorted(self.loose, variable)
        in_ties[at] = self.model.row_values[entries]
        untied = _with_ties(self.model, self.ties, np.zeros(len(self.ties.rows), dtype=bool))
        return Fleets(
            start_costs=np.where(counts, self.model.cost[self.ties.started], 0.0),
            period_of=np.where(counts, self.ties.period, -1),
            alike=self.ties.alike,
            loose=Loose(
                model=part(untied, self.loose, nothing),
                in_ties=in_ties,
                lower=self.model.row_lower[few],
                upper=self.model.row_upper[few],
            ),
            by_nodes=tuple({} for _ in self.members),
        )

    def keep(self, window: int, own: Floats, fleets: Fleets) -> None:
        """The answer for a window among `fleets`, told from others by its whole numbers."""
        members = self.members[window]
        whole = self.model.integer[members]
        own = np.where(whole, own.round(), own)
        cost, ties = cost_of(self.model.cost[members], own), self.ties_of(window, own)
        fleets.add(window, own[whole], Fleet(values=own, cost=cost, ties=ties))

    def ties_of(self, window: int, own: Floats) -> Floats:
        """What an answer for a window adds to each tie."""
        alone = np.zeros(len(self.model.cost))
        alone[self.members[window]] = own
        return self.model.rows_of(alone)[self.ties.rows]

    def keep_all(self, values: Floats, fleets: Fleets) -> None:
        """An answer for all periods as one for each window."""
        for window, members in enumerate(self.members):
            self.keep(window, values[members], fleets)

    def together(self, sequence: list[Fleet]) -> Floats:
        """Fleets of all windows with the starts that they cause; of what is loose only what is given."""
        values = self.given.copy()
        for members, fleet in zip(self.members, sequence, strict=True):
            values[members] = fleet.values
        return self.with_starts(values)

    def with_starts(self, values: Floats) -> Floats:
        """Fleets with the starts that they cause."""
        values, counts = values.copy(), self.ties.count_starts
        started = self.ties.started[counts]
        values[started] = 0.0
        values[started] = np.maximum(self.model.rows_of(values)[self.ties.rows[counts]], 0.0)
        return values

    def spread(self, prices: Floats) -> Floats:
        """Prices with what is left of the cost of loose variables beyond them spread evenly over the ties that these make room in.

        So reserved lots cost fleets in all periods together what they cost; no bound is lower for it. What must be there
        anyway is left out, and so is a tie in which several loose variables meet.
        """
        model, ties = self.model, self.ties
        place = np.full(len(model.row_lower), -1)
        place[ties.rows] = np.where(ties.count_starts, -1, np.arange(len(ties.rows)))
        row_of, loose = model.row_of, self.period_of[model.row_indices] < 0
        alone = np.bincount(row_of[loose], minlength=len(place)) == 1
        limits = (place >= 0) & alone & (model.row_lower == -np.inf) & (model.row_upper == 0)
        due = np.zeros(len(model.cost), dtype=bool)
        due[model.row_indices[(model.row_lower > 0)[row_of]]] = True
        due |= model.lower > 0
        room = loose & limits[row_of] & (model.row_values < 0) & ~due[model.row_indices]
        variables, rows = model.row_indices[room], row_of[room]
        each = np.bincount(variables, weights=-model.row_values[room], minlength=len(model.cost))
        left = np.maximum(self.costs(prices), 0.0) / np.where(each > 0, each, 1.0)
        dearer = prices.copy()
        dearer[place[rows]] -= left[variables]
        return dearer

    def costs(self, prices: Floats) -> Floats:
        """By variable, where the ties between windows are priced instead of enforced."""
        of_rows = np.zeros(len(self.model.row_lower))
        of_rows[self.ties.rows] = prices
        return self.model.cost - self.model.weighed_rows(of_rows)


def are_given(model: MatrixModel, period_of: Integers) -> NDArray[np.bool_]:
    """Which variables are of no period and can be but one value."""
    given: NDArray[np.bool_] = (period_of < 0) & (model.lower == model.upper)
    return given


def _with_loose_at_best(model: MatrixModel, ties: Ties, period_of: Integers) -> MatrixModel:
    """The model without ties, but with what each says of one period whatever its variables of none are within their bounds."""
    of = period_of[model.row_indices]
    is_tie = np.zeros(len(model.row_lower), dtype=bool)
    is_tie[ties.rows] = True
    several = np.zeros_like(is_tie)
    several[ties.rows] = ties.count_starts
    first, last = np.full(len(is_tie), len(model.cost)), np.full(len(is_tie), -1)
    np.minimum.at(first, model.row_of[of >= 0], of[of >= 0])
    np.maximum.at(last, model.row_of, of)
    several |= is_tie & (first != last)
    loose = (
        is_tie[model.row_of] & (of < 0) & (model.row_values != 0)
    )  # nothing of what has no bound is nothing
    bounds = np.stack((model.lower, model.upper), axis=1)[model.row_indices]
    ends = np.multiply(model.row_values[:, None], bounds, out=np.zeros_like(bounds), where=loose[:, None])
    lowest, highest = ends.min(axis=1), ends.max(axis=1)
    size = len(is_tie)
    free = replace(
        model,
        row_values=np.where(loose, 0.0, model.row_values),
        row_lower=model.row_lower - np.bincount(model.row_of, weights=highest, minlength=size),
        row_upper=model.row_upper - np.bincount(model.row_of, weights=lowest, minlength=size),
    )
    return with_rows_where(free, ~several)


def _with_ties(model: MatrixModel, ties: Ties, kept: NDArray[np.bool_]) -> MatrixModel:
    """The model with no other ties than these."""
    rows = np.ones(len(model.row_lower), dtype=bool)
    rows[ties.rows[~kept]] = False
    return with_rows_where(model, rows)


def first(model: MatrixModel, used: NDArray[np.bool_], *, limit_seconds: float) -> Answer:
    """Any good answer to a window's model, found among the columns that a relaxation uses, if there is one."""
    seconds = max(limit_seconds, LEAST_SECONDS)
    few = replace(model, upper=np.where(model.integer & ~used, model.lower, model.upper))
    answer = highs.run_small(few, np.empty(0), gap=FIRST_GAP, limit_seconds=seconds)
    return (
        answer if answer.found else highs.run_small(model, np.empty(0), gap=FIRST_GAP, limit_seconds=seconds)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lined:
    """A window's model, seen in lines."""

    model: MatrixModel
    lines: Lines
    stairs: Sequence[Stair] = ()
    """What numbers of the model in lines cost besides."""

    def seen(self, values: Floats) -> Floats:
        """Values of the model as those of the model in lines."""
        return np.append(values, [values[line].sum() for line in self.lines])


def improved(window: Lined, start: Floats, *, gap: float, limit_seconds: float) -> Answer:
    """The best answer to a window's model, from one that is known.

    What one node more of a column costs in the relaxation says how many of it a better answer has at most.
    """
    model, lines = window.model, window.lines
    on = Stairs.on(in_lines(model, lines), window.stairs)
    lined, begun = on.model, on.filled(window.seen(start))
    relaxed = highs.run(lined.linear, limit_seconds=limit_seconds)
    if relaxed.status is not Status.OPTIMAL:
        return replace(relaxed, status=Status.NOTHING_FOUND)
    few = not_dearer(lined, model.integer, lines, relaxed, cost_of(lined.cost, begun))
    found = highs.run_small(few, begun, gap=gap, limit_seconds=limit_seconds)
    if not found.found:
        return found
    values = _whole(model, few, found.values, limit_seconds)
    better = len(values) > 0 and cost_of(lined.cost, on.filled(window.seen(values))) < cost_of(
        lined.cost, begun
    )
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
