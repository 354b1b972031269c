"""Prices of ties at which all starts of a line before a window are worth the same part of what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hetops.solver.matrix import Floats
from hetops.solver.periods.fleets import Fleet, Fleets
from hetops.solver.periods.mixes import Near, Starts, cheapest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prices:
    """What ties are priced at, and the bound that no prices near them can prove more than."""

    of_rows: Floats
    promised: float
    mixed: tuple[tuple[Fleet, ...], ...]
    """By window, the fleets that the cheapest mix takes a part of."""


def better(
    fleets: Fleets, before: Floats, reach: float, limit_seconds: float, calm: float = 0.0
) -> Prices | None:
    """Those at which the fleets known promise the best bound; None where the time did not suffice.

    A start's is between minus what it costs and 0; others go no further than `reach` from what they were `before`.
    Where all starts are worth another part of what they cost, the bound has to be better by `calm`.
    """
    starts = dict(_starts(fleets, before))
    near = Near(others=np.where(fleets.others, before, 0.0), reach=reach, calm=calm)
    mix = cheapest(fleets, list(starts.values()), near, limit_seconds)
    if mix is None:
        return None
    prices = np.where(fleets.others, mix.others, before)
    for line, part in zip(starts, mix.parts, strict=True):
        rows = fleets.alike == line
        prices[rows] = -part * fleets.start_costs[rows]
    return Prices(of_rows=prices, promised=mix.promised, mixed=mix.fleets)


def _starts(fleets: Fleets, prices: Floats) -> Iterator[tuple[int, Starts]]:
    """Of each line before each window that some fleet has nodes of, by its number."""
    ties = [np.array([fleet.ties for fleet in of.values()]) for of in fleets.by_nodes]
    for line in np.unique(fleets.alike[~fleets.others]):
        rows = np.flatnonzero(fleets.alike == line)
        window, costs = int(fleets.period_of[rows[0]]), fleets.start_costs[rows]
        before, after = -ties[window - 1][:, rows] @ costs, ties[window][:, rows] @ costs
        if before.any() or after.any():
            at = -float(prices[rows[0]]) / float(costs[0]) if costs[0] > 0 else 0.0
            yield int(line), Starts(window=window, before=before, after=after, at=at)
