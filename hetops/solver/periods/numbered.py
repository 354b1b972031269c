"""Prices of starts by number: what a start of the first, the second, ... node of a line is worth between two windows.

One price for all starts of a line takes a mix of fleets with three and with five nodes for one with four: it sees their
mean. Priced by number, the fifth starts though the fourth does not stop. So these prices prove most of what starts cost,
where one price cannot. Of each start what the cheapest of its line costs is priced by number, what it costs beyond by
one part for the line. Decides nothing of how fleets are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.periods.fleets import Fleet, Fleets
from hetops.solver.periods.stairs import Stair

NONE = 1e-9
"""Below this starts of a line cost nothing beyond the cheapest of it."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lines:
    """The starts before a window, by line."""

    rows: Integers
    """Of the ties between windows."""
    line_of: Integers
    """By row."""
    least: Floats
    """By line: what a start costs of the cheapest."""
    beyond: Floats
    """By row: what it costs more."""

    @classmethod
    def of(cls, fleets: Fleets, window: int) -> _Lines:
        rows = np.flatnonzero(fleets.period_of == window)
        names, line_of = np.unique(fleets.alike[rows], return_inverse=True)
        least = np.full(len(names), INFINITY)
        np.minimum.at(least, line_of, fleets.start_costs[rows])
        return cls(rows=rows, line_of=line_of, least=least, beyond=fleets.start_costs[rows] - least[line_of])

    def nodes(self, ties: Floats) -> Integers:
        """By fleet and line: how many there are."""
        return self._by_line(ties[:, self.rows]).round().astype(np.int64)

    def costs_beyond(self, ties: Floats) -> Floats:
        """By fleet and line: what starts of all of them cost beyond the cheapest; minus that of fleets of the window before."""
        return self._by_line(ties[:, self.rows] * self.beyond)

    def _by_line(self, of_rows: Floats) -> Floats:
        summed = np.zeros((len(of_rows), len(self.least)))
        np.add.at(summed.T, self.line_of, of_rows.T)
        return summed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbered:
    """Prices of all ties, those of starts as parts of what they cost, from 0 to 1."""

    others: Floats
    """By tie: the price of one that counts no starts."""
    lines: tuple[_Lines, ...]
    """By window."""
    beyond: Floats
    """By window and line: the part of what starts cost beyond the cheapest of the line."""
    parts: Floats
    """By window, line and number: the part of what starts of the cheapest cost; the last is that of all numbers beyond."""

    @classmethod
    def of(cls, fleets: Fleets, prices: Floats) -> Numbered:
        """As prices that are the same for all starts of a line."""
        lines = tuple(_Lines.of(fleets, window) for window in range(fleets.periods))
        costs = fleets.start_costs
        part = np.divide(-prices, costs, out=np.zeros_like(prices), where=costs > 0)
        beyond = np.zeros((fleets.periods, len(lines[0].least)))
        for of_line, one in zip(beyond, lines, strict=True):
            of_line[one.line_of] = part[one.rows]
        return cls(
            others=np.where(fleets.others, prices, 0.0), lines=lines, beyond=beyond, parts=beyond[:, :, None]
        )

    @property
    def of_rows(self) -> Floats:
        """By tie: the price but for what is priced by number."""
        prices = self.others.copy()
        for part, one in zip(self.beyond, self.lines, strict=True):
            prices[one.rows] = -part[one.line_of] * one.beyond
        return prices

    def stairs(self, window: int, places: Integers) -> list[Stair]:
        """What nodes of a window cost by number, in a model in which those of each line are counted at these places."""
        costs = self._costs(window)
        return [Stair(variable=int(place), costs=own) for place, own in zip(places, costs, strict=True)]

    def costs_of(self, window: int, fleets: Sequence[Fleet], found: Fleets) -> Floats:
        """Of fleets of a window, at these prices."""
        ties, costs = np.array([fleet.ties for fleet in fleets]), self._costs(window)
        most = costs.shape[1]
        nodes = self.lines[window].nodes(ties)
        first = np.concatenate((np.zeros((len(costs), 1)), costs.cumsum(axis=1)), axis=1)
        by_number = first[np.arange(len(costs)), np.minimum(nodes, most)]
        by_number += np.maximum(nodes - most, 0) * costs[:, -1]
        prices = self.of_rows
        own = np.array([found.cost_at(fleet, prices) for fleet in fleets])
        costed: Floats = own + by_number.sum(axis=1)
        return costed

    def _costs(self, window: int) -> Floats:
        """By line and number: what a node adds to the cost of a window."""
        after = (window + 1) % len(self.lines)
        started = self.parts[window] * self.lines[window].least[:, None]
        costs: Floats = started - self.parts[after] * self.lines[after].least[:, None]
        return costs

    def better(self, fleets: Fleets, calm: float, limit_seconds: float) -> tuple[Numbered, float] | None:
        """Those at which the fleets known promise the best bound, and that; None where the time did not suffice.

        Where all starts are worth another part of what they cost, the bound has to be better by `calm`.
        """
        master = _Master.of(self, fleets, calm)
        answer = highs.run(master.model, limit_seconds=limit_seconds)
        if answer.status is not highs.Status.OPTIMAL:
            return None
        return master.prices(answer.row_duals), answer.objective + master.moved(answer.row_duals)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Master:
    """The cheapest mix of the fleets of each window, with the starts from each to the next by number."""

    model: MatrixModel
    before: Numbered
    """With a part for each number that some fleet has."""
    window: Integers
    """By row of starts: the window before which they are."""
    line: Integers
    number: Integers
    """By row of starts: of what number less 1; -1 for what starts cost beyond the cheapest."""
    at: Floats
    """By row of starts: the part that they were worth before."""
    slack: float

    @classmethod
    def of(cls, before: Numbered, fleets: Fleets, calm: float) -> _Master:
        """Its rows: one a window, and starts of each line and number of which fleets have unlike many.

        Starts may be a little more or less than they are, at the parts before: so these move only where that promises more.
        """
        ties = [np.array([fleet.ties for fleet in of.values()]) for of in fleets.by_nodes]
        nodes = [one.nodes(of) for one, of in zip(before.lines, ties, strict=True)]
        before = replace(before, parts=_extended(before.parts, max(int(of.max(initial=0)) for of in nodes)))
        starts = [
            replace(one, window=t)
            for t, lines in enumerate(before.lines)
            for one in (
                *_by_number(nodes[t - 1], nodes[t], lines.least),
                *_beyond(-lines.costs_beyond(ties[t - 1]), lines.costs_beyond(ties[t])),
            )
        ]
        window, line, number = (
            np.array([getattr(one, name) for one in starts], dtype=np.int64)
            for name in ("window", "line", "number")
        )
        at = np.where(number < 0, before.beyond[window, line], before.parts[window, line, number])
        costs = [
            np.array([fleets.cost_at(fleet, before.others) for fleet in of.values()])
            for of in fleets.by_nodes
        ]
        slack = calm / max(len(starts), 1)
        model = _model(costs, starts, at, slack)
        return cls(model=model, before=before, window=window, line=line, number=number, at=at, slack=slack)

    def moved(self, duals: Floats) -> float:
        """What the promise would be more by, did starts not have to be what they are a little less or more."""
        return self.slack * float(abs(self._parts(duals) - self.at).sum())

    def prices(self, duals: Floats) -> Numbered:
        """Of the ties between windows; those of numbers that no fleets tell apart are as before."""
        found, parts, beyond = self._parts(duals), self.before.parts.copy(), self.before.beyond.copy()
        own = self.number < 0
        beyond[self.window[own], self.line[own]] = found[own]
        parts[self.window[~own], self.line[~own], self.number[~own]] = found[~own]
        return replace(self.before, parts=parts, beyond=beyond)

    def _parts(self, duals: Floats) -> Floats:
        return np.clip(duals[: len(self.at)], 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Starts:
    """Of one line and number before a window, where fleets have unlike many."""

    window: int = 0
    line: int
    number: int
    """Less 1; -1 for what starts cost beyond the cheapest."""
    before: Floats
    """By fleet of the window before: what has been started."""
    after: Floats
    """And by fleet of this."""


def _by_number(before: Integers, after: Integers, least: Floats) -> list[_Starts]:
    most = np.maximum(before.max(axis=0), after.max(axis=0))
    fewest = np.minimum(before.min(axis=0), after.min(axis=0))
    return [
        _Starts(
            line=int(line),
            number=number,
            before=(before[:, line] > number) * least[line],
            after=(after[:, line] > number) * least[line],
        )
        for line in np.flatnonzero(most > fewest)
        for number in range(int(fewest[line]), int(most[line]))
    ]


def _beyond(before: Floats, after: Floats) -> list[_Starts]:
    some = (before.max(axis=0) > NONE) | (after.max(axis=0) > NONE)
    return [
        _Starts(line=int(line), number=-1, before=before[:, line], after=after[:, line])
        for line in np.flatnonzero(some)
    ]


def _model(costs: Sequence[Floats], starts: Sequence[_Starts], at: Floats, slack: float) -> MatrixModel:
    """Parts of fleets, what is started and what is stopped, and a little more or less of either; starts, then windows."""
    counts = np.array([len(own) for own in costs])
    begins, known = np.concatenate(([0], counts.cumsum()[:-1])), int(counts.sum())
    rows = [(len(starts) + np.repeat(np.arange(len(costs)), counts)).tolist()]
    columns, values = [list(range(known))], [[1.0] * known]
    for number, one in enumerate(starts):
        had, has = np.flatnonzero(one.before), np.flatnonzero(one.after)
        rows.append([number] * (len(had) + len(has) + 4))
        columns.append([*(begins[one.window - 1] + had).tolist(), *(begins[one.window] + has).tolist()])
        columns[-1] += [known + k * len(starts) + number for k in range(4)]
        values.append([*one.before[had].tolist(), *(-one.after[has]).tolist(), 1.0, -1.0, 1.0, -1.0])
    none, each = np.zeros(len(starts)), np.ones(len(starts))
    row, column, value = np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
    order, height = np.lexsort((column, row)), len(starts) + len(costs)
    width, held = known + 4 * len(starts), np.concatenate((none, np.ones(len(costs))))
    return MatrixModel(
        cost=np.concatenate((*costs, each, none, at, -at)),
        lower=np.zeros(width),
        upper=np.concatenate(
            (np.full(known, INFINITY), each * INFINITY, each * INFINITY, each * slack, each * slack)
        ),
        integer=np.zeros(width, dtype=bool),
        row_starts=np.concatenate(([0], np.cumsum(np.bincount(row, minlength=height)))).astype(np.int32),
        row_indices=column[order].astype(np.int32),
        row_values=value[order],
        row_lower=held,
        row_upper=held,
        subjects=("starts of fleets",) * height,
    )


def _extended(parts: Floats, most: int) -> Floats:
    """To one more than the most nodes: all beyond are as the last was."""
    missing = max(most + 1 - parts.shape[2], 0)
    return np.concatenate((parts, np.repeat(parts[:, :, -1:], missing, axis=2)), axis=2)
