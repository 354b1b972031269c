"""What a census proves: never more than the cheapest sequence costs, and just that where all is known."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from hetops.solver.matrix import Floats
from hetops.solver.periods import ring
from hetops.solver.periods.census import Census, Taken, census_of_known
from hetops.solver.periods.fleets import Fleets
from tests.solver.test_fleets import PERIODS, cost_of, found, promise

__all__ = ["found"]


def taken(fleets: Fleets, window: int, prices: Floats, up_to: float) -> Taken:
    """Of all fleets of a window those that cost less."""
    costs = {id(f): fleets.cost_at(f, prices) for f in fleets.by_nodes[window].values()}
    of = [f for f in fleets.by_nodes[window].values() if costs[id(f)] < up_to]
    ties = np.array([f.ties for f in of]).reshape(len(of), len(prices))
    return Taken(up_to=up_to, costs=np.array([costs[id(f)] for f in of]), ties=ties)


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_a_census_proves_ever_more_and_never_more_than_there_is(
    found: tuple[Fleets, list[list[Floats]]], part: float
) -> None:
    fleets, kept = found
    prices = -part * fleets.start_costs
    least = min(cost_of(fleets, way) for way in product(*kept))
    bounds = promise(fleets, prices)
    census = Census.of(fleets, prices, bounds)
    proven = [census.least()[0]]
    assert proven[0] == pytest.approx(bounds.sum())
    for level in (0.5, 2.0, 8.0, 1000.0):
        for window in range(PERIODS):
            census = census.having(window, taken(fleets, window, prices, float(bounds[window]) + level))
        cost, unknown = census.least()
        assert cost <= least + 1e-9
        assert (cost == pytest.approx(least)) or unknown
        proven.append(cost)
    assert all(after >= before - 1e-9 for before, after in pairwise(proven))
    assert proven[-1] == pytest.approx(least)
    assert census_of_known(fleets, prices).least() == (pytest.approx(least), ())


def test_the_cheapest_way_around_is_that_of_all_ways() -> None:
    dice = np.random.default_rng(1)
    sizes = (3, 2, 4)
    own = [dice.uniform(0, 1, size) for size in sizes]
    steps = [dice.uniform(0, 1, (sizes[t - 1], size)) for t, size in enumerate(sizes)]

    def cost(way: tuple[int, ...]) -> float:
        return float(sum(own[t][k] + steps[t][way[t - 1], k] for t, k in enumerate(way)))

    best = min(product(*map(range, sizes)), key=cost)
    found_cost, path = ring.cheapest(own, steps)
    assert tuple(path) == best
    assert found_cost == pytest.approx(cost(best))
