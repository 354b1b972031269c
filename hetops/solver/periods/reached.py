"""How far the search of a problem in windows has come. Decides nothing of how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from hetops.solver.lines import ROUNDING, cost_of
from hetops.solver.matrix import Floats
from hetops.solver.periods.fleets import Fleets
from hetops.solver.periods.known import MOST_TOLD
from hetops.solver.periods.numbered import Numbered
from hetops.solver.periods.windows import Windows

BOLDER, LESS_BOLD, LEAST_BOLD, MOST_BOLD = 2.0, 0.5, 0.05, 4.0
"""What that is multiplied by where prices proved more, and where they did not; searches are not made finer than by the last."""

SHORTER, SHORTEST = 0.5, 0.25
"""What the step to the next prices is multiplied by where they did not prove more, and the least that it becomes."""

FIRST_REACH = 0.2
"""How far the next prices of ties other than starts may be from the first, in parts of their mean, or of what starts cost where that is more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """Prices of starts by number, and what they prove."""

    prices: Numbered
    bound: float
    step: float = 1.0
    """As `Reached.step`, of these."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reached:
    """How far a search has come: windows and their fleets, the best answer, the best bound and the prices that proved it."""

    windows: Windows
    fleets: Fleets
    prices: Floats
    """By tie."""
    bounds: Floats
    """By window, at those prices; nothing before any were proven."""
    priced: float
    """What these bounds and what is loose come to."""
    bound: float
    """What is proven, by these prices or otherwise."""
    values: Floats
    cost: float
    bold: float = 1.0
    """How far the next prices may be from these, and how coarsely what they prove is searched for."""
    step: float = 1.0
    """How far the next prices of starts go from these towards those that promise most: all the way as long as that proves more."""
    near: int = 0
    """How many neighbouring windows were made better together without a better answer."""
    numbered: Numbers | None = None
    """Prices of starts by number, once one price for all of a line proves too little."""
    counted: bool = False
    """Whether all fleets that may matter at the prices are known."""

    @property
    def reach(self) -> float:
        """How far the next prices of ties other than starts may be from these."""
        starts = self.windows.ties.count_starts
        others, costs = abs(self.prices[~starts]), self.fleets.start_costs[starts]
        means = (float(of.sum()) / max(len(of), 1) for of in (others, costs))
        return FIRST_REACH * self.bold * (max(means) or 1.0)

    def proven(self, bounds: Floats, loose: float, prices: Floats) -> Reached:
        """With what was proven at some prices, if it is more."""
        bound = float(bounds.sum()) + loose
        if bound <= self.priced:
            shorter = max(self.step * SHORTER, SHORTEST)
            return replace(self, bold=self.bold * LESS_BOLD, step=shorter)
        return replace(
            self,
            bound=max(self.bound, bound),
            priced=bound,
            bounds=bounds,
            prices=prices,
            bold=min(self.bold * BOLDER, MOST_BOLD),
            numbered=None,
            counted=False,
        )

    def having(self, values: Floats) -> Reached:
        """With an answer, if it is better."""
        cost = cost_of(self.windows.model.cost, values)
        return replace(self, values=values, cost=cost) if cost < self.cost * (1 - ROUNDING) else self

    def is_close(self, gap: float) -> bool:
        """Whether the gap is reached."""
        return self.cost - self.bound <= gap * abs(self.cost)

    def told_prices(self, unit: float) -> dict[object, float]:
        """The prices of ties between windows by what these limit, in units of the objective that are worth so much each."""
        subjects, rows = self.windows.model.subjects, self.windows.ties.rows
        return {subjects[row]: float(price) * unit for row, price in zip(rows, self.prices, strict=True)}

    def others(self) -> Iterator[Floats]:
        """Other answers for some of the periods, the best first."""
        cheapest = [self.fleets.cheapest(w, self.prices, MOST_TOLD) for w in range(self.windows.count)]
        for some in zip_longest(*cheapest):
            values = np.zeros(len(self.windows.model.cost))
            for members, fleet in zip(self.windows.members, some, strict=True):
                values[members] = 0.0 if fleet is None else fleet.values
            yield values
