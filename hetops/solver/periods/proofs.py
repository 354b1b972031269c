"""What is proven of a problem in windows: at some prices of what ties these, at prices of starts by number, or by counting fleets.

Decides how a proof is made and which fleets are kept on the way, not which comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hetops.solver.lines import ROUNDING
from hetops.solver.matrix import Floats
from hetops.solver.patience import Patience
from hetops.solver.periods.census import Census, Taken, census_of_known
from hetops.solver.periods.every import below
from hetops.solver.periods.numbered import Numbered
from hetops.solver.periods.reached import LEAST_BOLD, SHORTER, SHORTEST, Numbers, Reached
from hetops.solver.periods.windows import LEAST_SECONDS, Lined, Windows, improved
from hetops.solver.side_by_side import side_by_side

CALM = 0.3
"""Part of what is missing that prices of starts must promise more where all of them move."""

WORTH_NUMBERING = 0.1
"""Part of what is missing that prices by number must promise more."""

WORTH_COUNTING = 0.2
"""Part of what is missing that fleets must be able to prove, with starts between them in full, for all of them to be counted."""

WINDOW_PART = 0.1
"""Each window is searched to this part of the gap wanted of all: what it leaves open is left open of the whole."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Proofs:
    """To which gap, until when, and how an answer is made of fleets."""

    gap: float
    patience: Patience
    answered: Callable[[Reached], Reached]
    """With the best sequence of the fleets."""

    def calm(self, reached: Reached, bound: float) -> float:
        """What prices must promise more than a bound where all of those of starts move."""
        missing = reached.cost * (1 - self.gap) - max(bound, 0.0)
        return CALM * (missing if reached.windows.tied_by_starts_alone else self.gap * abs(reached.cost))

    def at(self, reached: Reached, prices: Floats) -> Reached | None:
        """With the bound at some prices, if it is better, and with the fleets that prove it; None in no time."""
        fleets, windows = reached.fleets, reached.windows
        prices = windows.spread(prices)
        loose = fleets.loose.least(prices[fleets.others], max(self.patience.left, LEAST_SECONDS))
        costs = windows.costs(prices)
        bounds = _of_all(windows, lambda window: self._bound(reached, window, costs, prices))
        return None if bounds is None else reached.proven(bounds, loose, prices)

    def _bound(self, reached: Reached, window: int, costs: Floats, prices: Floats) -> float | None:
        """What no fleet of a window costs less than, at the prices that the costs are made of; the best found is kept."""
        windows, fleets = reached.windows, reached.fleets
        members = windows.members[window]
        (best,) = fleets.cheapest(window, prices, 1)
        if self.patience.left <= 0:
            return None
        lines = windows.lines_in(members, np.array([window]))
        answer = improved(
            Lined(model=replace(windows.parts[window], cost=costs[members]), lines=lines),
            best.values,
            gap=self.gap * WINDOW_PART * min(max(reached.bold, LEAST_BOLD), 1.0),
            limit_seconds=self.patience.left,
        )
        if not answer.found:
            return None
        windows.keep(window, answer.values, fleets)
        return answer.bound

    def by_number(self, reached: Reached) -> Reached | None:
        """With what better prices of starts by number prove; None where none promise more, nothing new is found, or in no time."""
        fleets, windows = reached.fleets, reached.windows
        known = reached.numbered or Numbers(prices=Numbered.of(fleets, reached.prices), bound=reached.priced)
        found = known.prices.better(
            fleets, reached.reach, self.patience.left, self.calm(reached, known.bound)
        )
        if found is None:
            return None
        promising, promised = found
        if promised - known.bound <= WORTH_NUMBERING * (reached.cost - reached.bound):
            return None
        prices, many = known.prices.towards(promising, known.step), fleets.count
        prices = replace(prices, others=windows.spread(prices.others))
        bound = fleets.loose.least(prices.others[fleets.others], max(self.patience.left, LEAST_SECONDS))
        bounds = _of_all(windows, lambda window: self._bound_by_number(reached, window, prices))
        if bounds is None:
            return None
        bound += float(bounds.sum())
        if bound <= known.bound and fleets.count == many:
            return None
        better = replace(known, step=max(known.step * SHORTER, SHORTEST))
        if bound > known.bound:
            better = replace(known, prices=prices, bound=bound)
        return replace(reached, numbered=better, bound=max(reached.bound, bound))

    def _bound_by_number(self, reached: Reached, window: int, prices: Numbered) -> float | None:
        """As `_bound`, at prices of starts by number."""
        windows, fleets = reached.windows, reached.fleets
        members, known = windows.members[window], list(fleets.by_nodes[window].values())
        best = known[int(prices.costs_of(window, known, fleets).argmin())]
        places = np.zeros(len(prices.lines[window].least), dtype=np.int64)
        places[prices.lines[window].line_of] = windows.counted(window)
        if self.patience.left <= 0:
            return None
        answer = improved(
            Lined(
                model=replace(windows.parts[window], cost=windows.costs(prices.of_rows)[members]),
                lines=windows.lines_in(members, np.array([window])),
                stairs=prices.stairs(window, places),
            ),
            best.values,
            gap=self.gap * WINDOW_PART,
            limit_seconds=self.patience.left,
        )
        if not answer.found:
            return None
        windows.keep(window, answer.values, fleets)
        return answer.bound

    def by_counting(self, reached: Reached) -> Reached:
        """With what all fleets prove that may matter at the prices, ever more of them as long as that proves too little."""
        counted, loose = replace(reached, counted=True), reached.priced - float(reached.bounds.sum())
        missing = reached.cost * (1 - self.gap) - reached.priced
        possible = census_of_known(reached.fleets, reached.prices).least()[0] + loose - reached.priced
        if possible < WORTH_COUNTING * missing:
            return counted
        census = Census.of(reached.fleets, reached.prices, reached.bounds)
        more = np.full(reached.windows.count, min(missing, possible) / reached.windows.count)
        while True:
            least, unknown = census.least()
            counted = replace(counted, bound=max(counted.bound, least + loose))
            if counted.is_close(self.gap) or not unknown:
                return counted
            enough = partial(self._taken, counted, more)
            for window, taken in zip(unknown, side_by_side(enough, unknown), strict=True):
                if taken is None:
                    return counted
                census = census.having(window, taken)
            more[list(unknown)] *= 2
            counted = self.answered(counted)

    def _taken(self, reached: Reached, more: Floats, window: int) -> Taken | None:
        """The census of a window, up to so much more than its bound; those of its fleets that are whole are kept."""
        windows, members = reached.windows, reached.windows.members[window]
        up_to = reached.bounds[window] + more[window]
        model = replace(windows.parts[window], cost=windows.costs(reached.prices)[members])
        found = below(model, windows.lines_in(members, np.array([window])), up_to, self.patience)
        if found is None:
            return None
        for point in found:
            off = abs(point.values - point.values.round())[model.integer]
            if off.max(initial=0.0) <= ROUNDING:
                windows.keep(window, point.values, reached.fleets)
        ties = np.zeros((len(found), len(reached.prices)))
        for row, point in zip(ties, found, strict=True):
            row[:] = windows.ties_of(window, point.values)
        return Taken(up_to=up_to, costs=np.array([point.cost for point in found]), ties=ties)


def _of_all(windows: Windows, bound: Callable[[int], float | None]) -> Floats | None:
    """The bound of each window; None where the time did not suffice for one."""
    found = [one for one in side_by_side(bound, range(windows.count)) if one is not None]
    return np.array(found) if len(found) == windows.count else None
