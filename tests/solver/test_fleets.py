"""Fleets of single periods: the sequence is the best of all, and the prices are the best that they allow."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hetops.solver.matrix import Floats, assemble
from hetops.solver.periods.fleets import Fleet, Fleets, Loose

PERIODS, KINDS = 4, 3
NOTHING_LOOSE = Loose(
    model=assemble(cost=np.zeros(0), upper=np.zeros(0), integers=0, rows=()),
    in_ties=np.zeros((0, 0)),
    lower=np.zeros(0),
    upper=np.zeros(0),
)
UNPRICED = np.zeros(PERIODS * KINDS)
Found = tuple[Fleets, list[list[Floats]]]


@pytest.fixture(params=range(5))
def found(request: pytest.FixtureRequest) -> Found:
    """Some fleets of three kinds of nodes for each of four periods, and their nodes."""
    dice = np.random.default_rng(request.param)
    fleets = Fleets(
        start_costs=dice.uniform(0.1, 1.0, PERIODS * KINDS),
        period_of=np.repeat(np.arange(PERIODS), KINDS),
        alike=np.arange(PERIODS * KINDS),
        loose=NOTHING_LOOSE,
        by_nodes=tuple({} for _ in range(PERIODS)),
    )
    kept: list[list[Floats]] = [[] for _ in range(PERIODS)]
    for period, _ in product(range(PERIODS), range(4)):
        nodes = dice.integers(0, 5, KINDS).astype(float)
        kept[period].append(nodes)
        fleets.add(period, nodes, Fleet(values=nodes, cost=float(nodes.sum()), ties=ties_of(nodes, period)))
    return fleets, kept


def ties_of(nodes: Floats, period: int) -> Floats:
    """More in its own rows, less in those of the period after it."""
    ties = np.zeros((PERIODS, KINDS))
    ties[period] += nodes
    ties[(period + 1) % PERIODS] -= nodes
    return ties.ravel()


def cost_of(fleets: Fleets, nodes: tuple[Floats, ...]) -> float:
    """Nodes, and all that starts from each period to the next, round the clock."""
    started = [np.maximum(nodes[t] - nodes[t - 1], 0.0) for t in range(PERIODS)]
    return float(sum(map(np.sum, nodes)) + np.concatenate(started) @ fleets.start_costs)


def test_no_other_sequence_of_the_same_fleets_is_cheaper(found: Found) -> None:
    fleets, kept = found
    best = tuple(fleet.values for fleet in fleets.best_sequence(UNPRICED))
    assert cost_of(fleets, best) == pytest.approx(min(cost_of(fleets, way) for way in product(*kept)))


def test_what_prices_promise_is_what_the_fleets_cost_at_them_and_no_sequence_is_below(found: Found) -> None:
    fleets, kept = found
    prices = fleets.prices(UNPRICED, 1.0, 10.0)
    assert prices is not None
    assert (prices.of_rows <= 0).all()
    assert (prices.of_rows >= -fleets.start_costs - 1e-9).all()
    promises = [
        min(fleet.cost - prices.of_rows @ fleet.ties for fleet in of_period.values())
        for of_period in fleets.by_nodes
    ]
    assert sum(promises) == pytest.approx(prices.promised)
    assert prices.promised <= min(cost_of(fleets, way) for way in product(*kept)) + 1e-9
    unpriced = sum(min(fleet.cost for fleet in of_period.values()) for of_period in fleets.by_nodes)
    assert prices.promised >= unpriced - 1e-9


def test_of_fleets_with_equal_nodes_the_cheaper_stays(found: Found) -> None:
    fleets, kept = found
    nodes = kept[0][0]
    for cost in (3.0, 1.0, 2.0):
        fleets.add(0, nodes, Fleet(values=nodes, cost=cost, ties=ties_of(nodes, 0)))
    assert 1.0 in {fleet.cost for fleet in fleets.by_nodes[0].values()}
    assert not {2.0, 3.0} & {f.cost for f in fleets.by_nodes[0].values() if (f.values == nodes).all()}


def test_rows_that_are_alike_are_worth_the_same_part_of_a_start(found: Found) -> None:
    fleets, kept = found
    alike = replace(fleets, alike=fleets.period_of)
    prices = alike.prices(UNPRICED, 1.0, 10.0)
    assert prices is not None
    parts = (prices.of_rows / fleets.start_costs).reshape(PERIODS, KINDS)
    assert np.ptp(parts, axis=1) == pytest.approx(0.0)
    apart = fleets.prices(UNPRICED, 1.0, 10.0)
    assert apart is not None
    assert prices.promised <= apart.promised + 1e-9
    assert prices.promised <= min(cost_of(fleets, way) for way in product(*kept)) + 1e-9
