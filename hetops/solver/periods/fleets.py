"""Fleets found for windows of a few periods: which sequence of them is best, and at which prices of what ties them.

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

TAKEN = 1e-6
"""Part of a fleet in a mix above which it is in it."""


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
class Prices:
    """What ties are priced at, and the bound that no prices near them can prove more than."""

    of_rows: Floats
    promised: float
    mixed: tuple[tuple[Fleet, ...], ...]
    """By window, the fleets that it takes a part of to keep that promise."""


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
        found, key = self.by_nodes[period], nodes.astype(np.int32).tobytes()
        if key not in found or fleet.cost < found[key].cost:
            found[key] = fleet

    def cost_at(self, fleet: Fleet, prices: Floats) -> float:
        """With what it adds to the ties between windows at their prices."""
        return fleet.cost - float((prices * fleet.ties).sum())

    def cheapest(self, period: int, prices: Floats, most: int) -> list[Fleet]:
        """Those of a window, the cheapest at the prices of all ties first."""
        return sorted(self.by_nodes[period].values(), key=lambda fleet: self.cost_at(fleet, prices))[:most]

    def promise(self, prices: Floats) -> Floats:
        """By window, what none of its fleets is below at the prices of all ties."""
        return np.array(
            [min(self.cost_at(fleet, prices) for fleet in found.values()) for found in self.by_nodes]
        )

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

    def prices(self, before: Floats, reach: float, limit_seconds: float, calm: float = 0.0) -> Prices | None:
        """Prices of all ties, at which the fleets known so far promise the best bound (Dantzig-Wolfe's master).

        A start's is between minus what it costs and 0; others go no further than `reach` from what they were `before`.
        Those of ties that no fleet is in stay. Where all starts are worth another part of what they cost, the bound has to
        be better by `calm`: without it many prices are as good as the best, most of them far away. None where the time did
        not suffice.
        """
        master = _Master.of(self, before, reach, calm)
        answer = highs.run(master.model, limit_seconds=limit_seconds)
        if answer.status is not highs.Status.OPTIMAL:
            return None
        prices = master.prices(answer.row_duals)
        still = self.others.copy()
        still[self.others] = ~master.others[self.others]
        worth = self.loose.worth(np.where(still, before, 0.0)[self.others])
        promised = answer.objective + worth + calm * master.moved(prices)
        return Prices(of_rows=prices, promised=promised, mixed=self._mixed(answer.values))

    def _mixed(self, parts: Floats) -> tuple[tuple[Fleet, ...], ...]:
        known = [(t, fleet) for t, found in enumerate(self.by_nodes) for fleet in found.values()]
        taken = [known[k] for k in np.flatnonzero(parts[: len(known)] > TAKEN)]
        return tuple(tuple(fleet for at, fleet in taken if at == t) for t in range(self.periods))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Master:
    """The cheapest mix of the fleets of each window that keeps all ties; its prices are what is wanted."""

    model: MatrixModel
    fleets: Fleets
    before: Floats
    kind_of: NDArray[np.int64]
    """By tie, the line of a start."""
    moving: NDArray[np.bool_]
    """By line: whether some fleet has nodes of it."""
    others: NDArray[np.bool_]
    """By tie: whether some fleet is in it and it counts no starts."""

    @classmethod
    def of(cls, fleets: Fleets, before: Floats, reach: float, calm: float) -> _Master:
        """Its rows: starts of each line that moves, other ties, what is loose alone, and one a window.

        Starts may be a little more or less than they are, at the prices before: so these move only where that promises more.
        """
        known = [(t, fleet) for t, found in enumerate(fleets.by_nodes) for fleet in found.values()]
        ties = np.array([fleet.ties for _, fleet in known])
        kind_of = np.unique(fleets.alike, return_inverse=True)[1]
        together = np.zeros((len(kind_of), int(kind_of.max(initial=-1)) + 1))
        together[np.arange(len(kind_of)), kind_of] = fleets.start_costs
        worth = ties @ together
        moving = abs(worth).max(axis=0, initial=0.0) > 0
        others = fleets.others & (abs(ties).max(axis=0, initial=0.0) > 0)
        loose = fleets.loose.only(others[fleets.others], before[fleets.others])
        of_window = np.zeros((fleets.periods, len(known)))
        of_window[[t for t, _ in known], np.arange(len(known))] = 1.0
        starts, free, more = int(moving.sum()), len(loose.model.cost), int(others.sum())
        own = np.zeros((len(loose.model.row_lower), free))
        own[loose.model.row_of, loose.model.row_indices] = loose.model.row_values
        unit, line = np.eye(more), np.eye(starts)
        part = np.divide(before, fleets.start_costs, out=np.zeros_like(before), where=fleets.start_costs > 0)
        at = np.zeros(together.shape[1])
        at[kind_of] = part
        at = at[moving]
        blocks = (
            (worth[:, moving].T, -line, None, None, None, line, -line),
            (ties[:, others].T, None, loose.in_ties, unit, -unit, None, None),
            (None, None, own, None, None, None, None),
            (of_window, None, None, None, None, None, None),
        )
        matrix = _of_blocks(blocks)
        cost = (
            [fleet.cost for _, fleet in known],
            np.ones(starts),
            loose.model.cost,
            before[others] + reach,
            reach - before[others],
            at,
            -at,
        )
        nothing, slack = np.zeros(len(known) + starts), np.zeros(2 * more)
        one = np.ones(fleets.periods)
        model = replace(
            _dense(matrix),
            cost=np.concatenate(cost),
            lower=np.concatenate((nothing, loose.model.lower, slack, np.zeros(2 * starts))),
            upper=np.concatenate(
                (
                    nothing + INFINITY,
                    loose.model.upper,
                    slack + INFINITY,
                    np.full(2 * starts, calm / max(starts, 1)),
                )
            ),
            row_lower=np.concatenate((np.full(starts, -INFINITY), loose.lower, loose.model.row_lower, one)),
            row_upper=np.concatenate((np.zeros(starts), loose.upper, loose.model.row_upper, one)),
        )
        return cls(model=model, fleets=fleets, before=before, kind_of=kind_of, moving=moving, others=others)

    def moved(self, prices: Floats) -> float:
        """By what part of what they cost starts are worth another, the mean of the lines that move."""
        costs = self.fleets.start_costs
        parts = np.divide(abs(prices - self.before), costs, out=np.zeros_like(costs), where=costs > 0)
        of_lines = np.zeros(len(self.moving))
        of_lines[self.kind_of] = parts
        return float(of_lines[self.moving].sum()) / max(int(self.moving.sum()), 1)

    def prices(self, duals: Floats) -> Floats:
        """Of the ties between windows."""
        parts, starts = np.zeros(len(self.moving)), int(self.moving.sum())
        parts[self.moving] = np.clip(duals[:starts], -1.0, 0.0)
        prices = np.where(
            self.moving[self.kind_of], parts[self.kind_of] * self.fleets.start_costs, self.before
        )
        prices[self.others] = duals[starts : starts + int(self.others.sum())]
        return prices


def _of_blocks(blocks: tuple[tuple[Floats | None, ...], ...]) -> Floats:
    """One matrix; where there is no block there is nothing. Every row and every column of blocks has one."""
    heights = [next(b.shape[0] for b in row if b is not None) for row in blocks]
    widths = [next(b.shape[1] for b in column if b is not None) for column in zip(*blocks, strict=True)]
    return np.vstack(
        [
            np.hstack([np.zeros((height, w)) if b is None else b for b, w in zip(row, widths, strict=True)])
            for row, height in zip(blocks, heights, strict=True)
        ]
    )


def _dense(matrix: Floats) -> MatrixModel:
    """A model with these rows that costs nothing, and is bounded by nothing."""
    row, column = matrix.nonzero()
    starts = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(matrix)))))
    height, width = matrix.shape
    return MatrixModel(
        cost=np.zeros(width),
        lower=np.zeros(width),
        upper=np.full(width, INFINITY),
        integer=np.zeros(width, dtype=bool),
        row_starts=starts.astype(np.int32),
        row_indices=column.astype(np.int32),
        row_values=matrix[row, column],
        row_lower=np.full(height, -INFINITY),
        row_upper=np.full(height, INFINITY),
        subjects=("ties of fleets",) * height,
    )
