"""Prices of starts by number: what a start of the first, the second, ... node of a line is worth between two windows.

One price for all starts of a line takes a mix of fleets with three and with five nodes for one with four: it sees their
mean. Priced by number, the fifth starts though the fourth does not stop. So these prices prove most of what starts cost,
where one price cannot. Of each start what the cheapest of its line costs is priced by number, what it costs beyond by
one part for the line. Decides nothing of how fleets are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.periods.fleets import Fleet, Fleets
from hetops.solver.periods.mixes import Near, Starts, cheapest
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

    def towards(self, other: Numbered, step: float) -> Numbered:
        """A part of the way to other prices, which know of as many numbers or more."""
        parts = _extended(self.parts, other.parts.shape[2] - 1)
        return replace(
            self,
            others=self.others + step * (other.others - self.others),
            beyond=self.beyond + step * (other.beyond - self.beyond),
            parts=parts + step * (other.parts - parts),
        )

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

    def better(
        self, fleets: Fleets, reach: float, limit_seconds: float, calm: float
    ) -> tuple[Numbered, float] | None:
        """Those at which the fleets known promise the best bound, and that; None where the time did not suffice.

        Ties other than starts go no further than `reach`; where all starts are worth another part of what they cost, the
        bound has to be better by `calm`.
        """
        ties = [np.array([fleet.ties for fleet in of.values()]) for of in fleets.by_nodes]
        nodes = [one.nodes(of) for one, of in zip(self.lines, ties, strict=True)]
        longer = replace(self, parts=_extended(self.parts, max(int(of.max(initial=0)) for of in nodes)))
        starts = [
            one
            for t, lines in enumerate(self.lines)
            for one in (
                *longer._by_number(t, nodes[t - 1], nodes[t]),
                *longer._beyond(t, -lines.costs_beyond(ties[t - 1]), lines.costs_beyond(ties[t])),
            )
        ]
        near = Near(others=self.others, reach=reach, calm=calm)
        mix = cheapest(fleets, [one.starts for one in starts], near, limit_seconds)
        if mix is None:
            return None
        parts, beyond = longer.parts.copy(), longer.beyond.copy()
        for one, part in zip(starts, mix.parts, strict=True):
            of = beyond if one.number < 0 else parts[:, :, one.number]
            of[one.starts.window, one.line] = part
        return replace(longer, others=mix.others, parts=parts, beyond=beyond), mix.promised

    def _by_number(self, window: int, before: Integers, after: Integers) -> Iterator[_OfLine]:
        """Of each line and number of which fleets have unlike many."""
        most = np.maximum(before.max(axis=0), after.max(axis=0))
        fewest = np.minimum(before.min(axis=0), after.min(axis=0))
        for line in np.flatnonzero(most > fewest):
            least = self.lines[window].least[line]
            for number in range(int(fewest[line]), int(most[line])):
                starts = Starts(
                    window=window,
                    before=(before[:, line] > number) * least,
                    after=(after[:, line] > number) * least,
                    at=float(self.parts[window, line, number]),
                )
                yield _OfLine(line=int(line), number=number, starts=starts)

    def _beyond(self, window: int, before: Floats, after: Floats) -> Iterator[_OfLine]:
        """Of each line of which some fleets' starts cost more than the cheapest."""
        some = (before.max(axis=0) > NONE) | (after.max(axis=0) > NONE)
        for line in np.flatnonzero(some):
            at = float(self.beyond[window, line])
            starts = Starts(window=window, before=before[:, line], after=after[:, line], at=at)
            yield _OfLine(line=int(line), number=-1, starts=starts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _OfLine:
    """Some starts of a line."""

    line: int
    number: int
    """Less 1; -1 for what starts cost beyond the cheapest."""
    starts: Starts


def _extended(parts: Floats, most: int) -> Floats:
    """To one more than the most nodes: all beyond are as the last was."""
    missing = max(most + 1 - parts.shape[2], 0)
    return np.concatenate((parts, np.repeat(parts[:, :, -1:], missing, axis=2)), axis=2)
