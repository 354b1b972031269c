"""Fleets of single periods: the sequence is the best of all, and the prices are the best that they allow."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hetops.solver.matrix import Floats, assemble
from hetops.solver.periods.alike import better
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
    prices = better(fleets, UNPRICED, 1.0, 10.0)
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


def test_of_fleets_with_equal_nodes_those_that_serve_other_work_stay() -> None:
    """Nothing but starts tells fleets of equal nodes apart; work that waits does, though all of them cost the same."""
    fleets = waiting()
    for served in (0.0, 0.5, 0.5, 1.0):
        fleets.add(0, np.ones(1), Fleet(values=np.ones(1), cost=1.0, ties=np.array([served])))
    assert [fleet.ties[0] for fleet in fleets.by_nodes[0].values()] == [0.0, 0.5, 1.0]


def waiting() -> Fleets:
    """Two periods, in either of which the same work may be served; nothing of it is loose."""
    return Fleets(
        start_costs=np.zeros(1),
        period_of=np.array([-1]),
        alike=np.array([-1]),
        loose=replace(NOTHING_LOOSE, in_ties=np.zeros((1, 0)), lower=np.ones(1), upper=np.ones(1)),
        by_nodes=({}, {}),
    )


def promise(fleets: Fleets, prices: Floats) -> Floats:
    """By period, what the cheapest of its fleets costs at the prices."""
    cheapest = (fleets.cheapest(period, prices, 1)[0] for period in range(fleets.periods))
    return np.array([fleets.cost_at(fleet, prices) for fleet in cheapest])


def test_work_that_may_wait_is_worth_what_the_cheapest_mix_serves_it_for() -> None:
    """Serving it costs 1 in the first period, where half of it is, and 3 in the second."""
    fleets = waiting()
    for period, served, cost in ((0, 0.0, 1.0), (0, 0.5, 1.5), (1, 0.0, 1.0), (1, 1.0, 4.0)):
        nodes = np.array([cost])
        fleets.add(period, nodes, Fleet(values=nodes, cost=cost, ties=np.array([served])))
    prices = better(fleets, np.zeros(1), 10.0, 10.0)
    assert prices is not None
    assert prices.of_rows == pytest.approx([3.0])
    assert prices.promised == pytest.approx(1.5 + 1.0 + 1.5)
    assert prices.promised == pytest.approx(3.0 + promise(fleets, prices.of_rows).sum())
    assert [len(of) for of in prices.mixed] == [1, 2]
    near = better(fleets, np.zeros(1), 2.0, 10.0)
    assert near is not None
    assert near.of_rows == pytest.approx([2.0])
    assert near.promised == pytest.approx(2.0 + promise(fleets, near.of_rows).sum())


def test_rows_that_are_alike_are_worth_the_same_part_of_a_start(found: Found) -> None:
    fleets, kept = found
    lines = replace(fleets, alike=fleets.period_of)
    prices = better(lines, UNPRICED, 1.0, 10.0)
    assert prices is not None
    parts = (prices.of_rows / fleets.start_costs).reshape(PERIODS, KINDS)
    assert np.ptp(parts, axis=1) == pytest.approx(0.0)
    apart = better(fleets, UNPRICED, 1.0, 10.0)
    assert apart is not None
    assert prices.promised <= apart.promised + 1e-9
    assert prices.promised <= min(cost_of(fleets, way) for way in product(*kept)) + 1e-9
