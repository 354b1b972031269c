"""Prices of starts by number: what they promise is what fleets cost at them, below every sequence, above one price for all."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hetops.solver.matrix import Floats
from hetops.solver.periods.alike import better as better_alike
from hetops.solver.periods.fleets import Fleet, Fleets
from hetops.solver.periods.numbered import Numbered
from tests.solver.test_fleets import NOTHING_LOOSE, PERIODS, cost_of, found

__all__ = ["found"]


def promised(fleets: Fleets, prices: Numbered) -> float:
    """What no sequence of the fleets costs less than, at the prices."""
    return float(
        sum(
            prices.costs_of(window, list(of.values()), fleets).min()
            for window, of in enumerate(fleets.by_nodes)
        )
    )


def in_pairs(fleets: Fleets) -> Fleets:
    """The first two kinds of nodes as a line."""
    alike = np.tile([0, 0, 2], PERIODS) + np.repeat(np.arange(PERIODS) * 3, 3)
    return replace(fleets, alike=alike)


@pytest.mark.parametrize("lined", [False, True])
@pytest.mark.parametrize("calm", [0.0, 0.2])
def test_what_they_promise_holds_of_every_sequence_and_is_no_less_than_one_price_for_all_promises(
    found: tuple[Fleets, list[list[Floats]]], lined: bool, calm: float
) -> None:
    fleets, kept = found
    fleets = in_pairs(fleets) if lined else fleets
    alike = better_alike(fleets, np.zeros(len(fleets.start_costs)), 1.0, 10.0)
    assert alike is not None
    begun = Numbered.of(fleets, alike.of_rows)
    assert promised(fleets, begun) == pytest.approx(alike.promised)
    better = begun.better(fleets, 1.0, 10.0, calm)
    assert better is not None
    prices, promise = better
    assert promised(fleets, prices) == pytest.approx(promise)
    assert promise <= min(cost_of(fleets, way) for way in product(*kept)) + 1e-9
    assert promise >= alike.promised - calm - 1e-9
    assert ((prices.parts >= 0) & (prices.parts <= 1)).all()


def test_a_mix_of_three_and_five_is_no_four() -> None:
    """One price for all starts proves nothing of what it costs to come from four to three or five."""
    fleets = Fleets(
        start_costs=np.ones(2),
        period_of=np.arange(2),
        alike=np.arange(2),
        loose=NOTHING_LOOSE,
        by_nodes=({}, {}),
    )
    for window, counts in enumerate(((4,), (3, 5))):
        for count in counts:
            ties = np.array([count, -count]) if window == 0 else np.array([-count, count])
            fleets.add(
                window, np.array([float(count)]), Fleet(values=ties, cost=10.0, ties=ties.astype(float))
            )
    begun = Numbered.of(fleets, np.full(2, -0.5))
    assert promised(fleets, begun) == pytest.approx(20.0)
    better = begun.better(fleets, 1.0, 10.0, 0.0)
    assert better is not None
    assert better[1] == pytest.approx(21.0)
    assert promised(fleets, better[0]) == pytest.approx(21.0)
