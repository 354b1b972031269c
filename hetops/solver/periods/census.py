"""What no sequence of fleets costs less than, once every cheap fleet of each window is known at some prices of its starts.

Between two fleets that are known starts cost what they cost. Whatever is not known costs at least what the census of its
window goes up to, and starts from and to it are no dearer than their prices say. So what the cheapest sequence costs, of
fleets known and not, is a bound on all; where it goes through what is not known, more has to be known there. Nodes of a
line count as one, whose starts cost as much as those of the cheapest of them. Decides nothing of how fleets are found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.periods import ring
from hetops.solver.periods.fleets import Fleets

MOST_TAKEN = 400
"""Fleets of a window that sequences are made of: beyond, the census goes up to the cheapest that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taken:
    """The census of a window: its fleets that cost less than `up_to`, at the prices, starts before and after included."""

    up_to: float
    costs: Floats
    ties: Floats
    """By fleet (rows): what it adds to each tie between windows."""

    def cut(self) -> Taken:
        """With no more fleets than sequences are made of."""
        if len(self.costs) <= MOST_TAKEN:
            return self
        order = np.argsort(self.costs)
        kept = order[:MOST_TAKEN]
        return Taken(up_to=float(self.costs[order[MOST_TAKEN]]), costs=self.costs[kept], ties=self.ties[kept])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Census:
    """Of all windows, at some prices."""

    steps: tuple[_Step, ...]
    """By window: to it from the one before."""
    taken: tuple[Taken, ...]

    @classmethod
    def of(cls, fleets: Fleets, prices: Floats, bounds: Floats) -> Census:
        """Nothing is known but what no fleet of each window costs less than."""
        nothing = np.zeros((0, len(fleets.alike)))
        return cls(
            steps=tuple(_Step.of(fleets, prices, t) for t in range(fleets.periods)),
            taken=tuple(Taken(up_to=float(b), costs=np.zeros(0), ties=nothing) for b in bounds),
        )

    def having(self, window: int, taken: Taken) -> Census:
        """With more known of one window."""
        return replace(self, taken=(*self.taken[:window], taken.cut(), *self.taken[window + 1 :]))

    def least(self) -> tuple[float, tuple[int, ...]]:
        """What no sequence costs less than, and the windows in which the cheapest goes through what is not known."""
        own = [np.append(one.costs, one.up_to) for one in self.taken]
        steps = [step.costs(self.taken[t - 1].ties, self.taken[t].ties) for t, step in enumerate(self.steps)]
        cost, path = ring.cheapest(own, steps)
        return cost, tuple(t for t, k in enumerate(path) if k == len(self.taken[t].costs))


def census_of_known(fleets: Fleets, prices: Floats) -> Census:
    """As if there were no fleets but those that are known: no census proves more."""
    census = Census.of(fleets, prices, np.full(fleets.periods, INFINITY))
    for window, found in enumerate(fleets.by_nodes):
        of = found.values()
        costs = np.array([fleets.cost_at(fleet, prices) for fleet in of])
        ties = np.array([fleet.ties for fleet in of])
        census = census.having(window, Taken(up_to=INFINITY, costs=costs, ties=ties))
    return census


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Step:
    """What starts before a window cost beyond their prices."""

    rows: NDArray[np.int64]
    """Of the ties between windows."""
    line_of: NDArray[np.int64]
    """By row."""
    more: Floats
    """By line: what one node more than in the window before costs beyond its price."""
    less: Floats
    """And one less, whose price is paid for nothing."""

    @classmethod
    def of(cls, fleets: Fleets, prices: Floats, window: int) -> _Step:
        rows = np.flatnonzero(fleets.period_of == window)
        names, line_of = np.unique(fleets.alike[rows], return_inverse=True)
        more, less = np.full(len(names), np.inf), np.full(len(names), np.inf)
        np.minimum.at(more, line_of, fleets.start_costs[rows] + prices[rows])
        np.minimum.at(less, line_of, -prices[rows])
        return cls(rows=rows, line_of=line_of, more=np.maximum(more, 0.0), less=np.maximum(less, 0.0))

    def costs(self, before: Floats, after: Floats) -> Floats:
        """From each fleet of the window before (rows) to each of this; nothing from and to what is not known, the last."""
        was, now = self._by_line(before), self._by_line(after)
        found = np.zeros((len(was) + 1, len(now) + 1))
        for k, one in enumerate(now):
            nodes = was + one
            found[:-1, k] = (np.maximum(nodes, 0.0) * self.more).sum(axis=1)
            found[:-1, k] += (np.maximum(-nodes, 0.0) * self.less).sum(axis=1)
        return found

    def _by_line(self, ties: Floats) -> Floats:
        summed = np.zeros((len(ties), len(self.more)))
        np.add.at(summed.T, self.line_of, ties[:, self.rows].T)
        return summed
