"""Fleets found for single periods: which sequence of them is best, and what starts must cost to tell them apart.

Decides nothing about how fleets are found, and knows the rows that tie periods together only as numbers: each is at most
zero once the last variable in it, a start, is large enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.matrix import INFINITY, Floats, MatrixModel

MOST_FLEETS = 120
"""Of one period that sequences are made of; the cheapest. The time that they take grows with its square."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """An answer for one period."""

    values: Floats
    """Of the period's variables."""
    cost: float
    """Without starts."""
    ties: Floats
    """What it adds to each row that ties periods together."""

    def cost_at(self, prices: Floats) -> float:
        """With what it adds to those rows at their prices."""
        return self.cost - float((prices * self.ties).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prices:
    """What starts are priced at, and the bound that no prices can prove more than."""

    of_rows: Floats
    promised: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleets:
    """All that were found, by period. They can only be added to."""

    start_costs: Floats
    """By row that ties: what a start costs."""
    period_of: NDArray[np.int64]
    """By row that ties: the period before which its starts are."""
    alike: NDArray[np.int64]
    """By row that ties: a number, the same for rows that are worth the same part of what a start costs."""
    by_nodes: tuple[dict[bytes, Fleet], ...]
    """By period: those found, by their numbers of nodes."""

    @property
    def periods(self) -> int:
        """How many there are."""
        return len(self.by_nodes)

    def add(self, period: int, nodes: Floats, fleet: Fleet) -> None:
        """One more, or one like another of which the cheaper stays."""
        found, key = self.by_nodes[period], nodes.astype(np.int32).tobytes()
        if key not in found or fleet.cost < found[key].cost:
            found[key] = fleet

    def cheapest(self, period: int, prices: Floats, most: int) -> list[Fleet]:
        """Those of a period, the cheapest at the prices first."""
        return sorted(self.by_nodes[period].values(), key=lambda f: f.cost_at(prices))[:most]

    def best_sequence(self) -> list[Fleet]:
        """One fleet for each period, at least cost with the starts from each to the next and from the last to the first."""
        choices = [sorted(found.values(), key=lambda f: f.cost)[:MOST_FLEETS] for found in self.by_nodes]
        steps = [self._starts(choices[t - 1], choices[t], t) for t in range(self.periods)]
        own = [np.array([fleet.cost for fleet in found]) for found in choices]
        rounds = [self._round(steps, own, first) for first in range(len(choices[0]))]
        _, path = min(rounds, key=lambda found: found[0])
        return [found[k] for found, k in zip(choices, path, strict=True)]

    def _starts(self, before: list[Fleet], after: list[Fleet], period: int) -> Floats:
        """What starts cost from each fleet of the period before to each of this."""
        rows = np.flatnonzero(self.period_of == period)
        was = np.array([fleet.ties[rows] for fleet in before])
        costs = [np.maximum(was + fleet.ties[rows], 0.0) @ self.start_costs[rows] for fleet in after]
        return np.array(costs).T

    def _round(self, steps: list[Floats], own: list[Floats], first: int) -> tuple[float, list[int]]:
        """The cheapest sequence that begins with one fleet: its cost and its place in each period."""
        reached = np.full(len(own[0]), INFINITY)
        reached[first] = own[0][first]
        back: list[NDArray[np.int64]] = []
        for step, costs in zip(steps[1:], own[1:], strict=True):
            ways = reached[:, None] + step
            back.append(ways.argmin(axis=0))
            reached = ways.min(axis=0) + costs
        closed = reached + steps[0][:, first]
        path = [int(closed.argmin())]
        for best in reversed(back):
            path.append(int(best[path[-1]]))
        return float(closed.min()), path[::-1]

    def prices(self, before: Floats, limit_seconds: float) -> Prices | None:
        """Prices of the rows that tie, at which the fleets known so far promise the best bound (Kelley's cutting planes).

        Each is between minus what a start costs and 0; of rows that no fleet is in as it was `before`. None where the
        time did not suffice.
        """
        known = [(t, fleet) for t, found in enumerate(self.by_nodes) for fleet in found.values()]
        alike = np.unique(self.alike, return_inverse=True)[1]
        together = np.zeros((len(self.alike), int(alike.max(initial=-1)) + 1))
        together[np.arange(len(alike)), alike] = self.start_costs
        worth = np.array([fleet.ties for _, fleet in known]) @ together
        moving = abs(worth).max(axis=0, initial=0.0) > 0
        answer = highs.run(self._master(known, worth[:, moving]), limit_seconds=limit_seconds)
        if answer.status is not highs.Status.OPTIMAL:
            return None
        parts = np.zeros(len(moving))
        parts[moving] = answer.values[self.periods :]
        prices = np.where(moving[alike], parts[alike] * self.start_costs, before)
        return Prices(of_rows=prices, promised=-answer.objective)

    def _master(self, known: list[tuple[int, Fleet]], worth: Floats) -> MatrixModel:
        """Raise every period's promise as far as each of its fleets allows, where starts are worth parts of their costs."""
        of, size = self.periods, self.periods + worth.shape[1]
        entries = np.zeros((len(known), size))
        entries[np.arange(len(known)), [t for t, _ in known]] = 1.0
        entries[:, of:] = worth
        row, column = entries.nonzero()
        costs = np.array([fleet.cost for _, fleet in known])
        most = costs.max() + abs(worth).sum(axis=1).max()
        starts = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(known)))))
        return MatrixModel(
            cost=np.concatenate((np.full(of, -1.0), np.zeros(size - of))),
            lower=np.concatenate((np.full(of, -most), np.full(size - of, -1.0))),
            upper=np.concatenate((np.full(of, most), np.zeros(size - of))),
            integer=np.zeros(size, dtype=bool),
            row_starts=starts.astype(np.int32),
            row_indices=column.astype(np.int32),
            row_values=entries[row, column],
            row_lower=np.full(len(known), -INFINITY),
            row_upper=costs,
            subjects=("a fleet's promise",) * len(known),
        )
