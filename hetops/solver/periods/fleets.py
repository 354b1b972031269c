"""Fleets found for windows of a few periods: which sequence of them is best, and what they cost at prices of what ties them.

Decides nothing about how fleets are found, and knows the rows that tie windows together only as numbers: one that counts
starts is at most zero once the number of starts is large enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.periods import ring

MOST_FLEETS = 120
"""Of one period that sequences are made of; the cheapest. The time that they take grows with its square."""


SAME = 6
"""Decimals to which fleets of the same nodes add as much to ties other than starts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """An answer for one window."""

    values: Floats
    """Of the window's variables."""
    cost: float
    """Without starts between windows."""
    ties: Floats
    """What it adds to each row that ties windows together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loose:
    """What is of no period and stands in rows that tie windows, but for starts: lots that are reserved, work that waits."""

    model: MatrixModel
    """Of these variables alone."""
    in_ties: Floats
    """What one of each adds to each tie that counts no starts: a row of numbers each."""
    lower: Floats
    upper: Floats
    """Of those ties."""

    def least(self, prices: Floats, limit_seconds: float) -> float:
        """What all of it comes to at least at prices of those ties, with what these are worth; nothing is known in no time."""
        worth = self.worth(prices)
        if not len(self.model.cost):
            return worth
        costs = self._costs(prices)
        whole = np.zeros_like(self.model.integer)
        answer = highs.run(replace(self.model, cost=costs, integer=whole), limit_seconds=limit_seconds)
        return worth + answer.objective if answer.status is highs.Status.OPTIMAL else -INFINITY

    def worth(self, prices: Floats) -> float:
        """What the limits of those ties are worth at their prices."""
        limits = np.where(prices > 0, self.lower, np.where(prices < 0, self.upper, 0.0))
        return float((prices * limits).sum())

    def only(self, kept: NDArray[np.bool_], prices: Floats) -> Loose:
        """With some of those ties alone, the others priced."""
        return Loose(
            model=replace(self.model, cost=self._costs(np.where(kept, 0.0, prices))),
            in_ties=self.in_ties[kept],
            lower=self.lower[kept],
            upper=self.upper[kept],
        )

    def _costs(self, prices: Floats) -> Floats:
        priced: Floats = (prices[:, None] * self.in_ties).sum(axis=0)
        return self.model.cost - priced


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleets:
    """All that were found, by window. They can only be added to."""

    start_costs: Floats
    """What a start costs; nothing where a tie counts none."""
    period_of: NDArray[np.int64]
    """The window before which its starts are; -1 where a tie counts none."""
    alike: NDArray[np.int64]
    """A number, the same for starts that are worth the same part of what they cost."""
    loose: Loose
    by_nodes: tuple[dict[bytes, Fleet], ...]
    """By window: those found, by their numbers of nodes."""

    @property
    def periods(self) -> int:
        """How many windows there are."""
        return len(self.by_nodes)

    @property
    def count(self) -> int:
        """How many are known, of all windows."""
        return sum(map(len, self.by_nodes))

    @property
    def others(self) -> NDArray[np.bool_]:
        """The ties that count no starts."""
        return self.period_of < 0

    def add(self, period: int, nodes: Floats, fleet: Fleet) -> None:
        """One more, or one like another of which the cheaper stays."""
        others = fleet.ties[self.others].round(SAME).tobytes()
        found, key = self.by_nodes[period], nodes.astype(np.int32).tobytes() + others
        if key not in found or fleet.cost < found[key].cost:
            found[key] = fleet

    def cost_at(self, fleet: Fleet, prices: Floats) -> float:
        """With what it adds to the ties between windows at their prices."""
        return fleet.cost - float((prices * fleet.ties).sum())

    def cheapest(self, period: int, prices: Floats, most: int) -> list[Fleet]:
        """Those of a window, the cheapest at the prices of all ties first."""
        return sorted(self.by_nodes[period].values(), key=lambda fleet: self.cost_at(fleet, prices))[:most]

    def best_sequence(self, prices: Floats) -> list[Fleet]:
        """One fleet for each window, at least cost with the starts from each to the next and from the last to the first.

        Ties of another kind count at their prices.
        """
        priced = np.zeros_like(prices)
        priced[self.others] = prices[self.others]
        choices = [self.cheapest(t, prices, MOST_FLEETS) for t in range(self.periods)]
        steps = [self.starts(choices[t - 1], choices[t], t) for t in range(self.periods)]
        own = [np.array([self.cost_at(fleet, priced) for fleet in found]) for found in choices]
        _, path = ring.cheapest(own, steps)
        return [found[k] for found, k in zip(choices, path, strict=True)]

    def starts(self, before: list[Fleet], after: list[Fleet], period: int) -> Floats:
        """What starts cost from each fleet of the window before to each of this."""
        rows = np.flatnonzero(self.period_of == period)
        was = np.array([fleet.ties[rows] for fleet in before])
        now = (fleet.ties[rows] for fleet in after)
        costs = [np.maximum(was + ties, 0.0) @ self.start_costs[rows] for ties in now]
        return np.array(costs).T
