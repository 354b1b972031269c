"""Every fleet below a sum: none is left out, and each costs what it says."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from hetops.solver.matrix import INFINITY, MatrixModel, Row, assemble
from hetops.solver.patience import Patience
from hetops.solver.periods.every import Point, below

KINDS, MOST = 4, 3


def made(seed: int) -> MatrixModel:
    """Whole nodes of four kinds that cover two demands, of which a part may go elsewhere for money."""
    dice = np.random.default_rng(seed)
    able = dice.uniform(0.5, 3.0, (2, KINDS))
    rows = [
        Row(subject=w, terms=[*enumerate(able[w].tolist()), (KINDS + w, 1.0)], lower=float(wanted))
        for w, wanted in enumerate(dice.uniform(3.0, 6.0, 2))
    ]
    return assemble(
        cost=np.append(dice.uniform(1.0, 3.0, KINDS), [4.0, 5.0]),
        upper=np.append(np.full(KINDS, float(MOST)), [1.0, 1.0]),
        integers=KINDS,
        rows=rows,
    )


def cost_of(model: MatrixModel, nodes: tuple[int, ...]) -> float:
    """Of these nodes, with the least of each demand that has to go elsewhere; infinite where that is too much."""
    able = model.row_values.reshape(2, KINDS + 1)[:, :KINDS]
    rest = np.maximum(model.row_lower - able @ np.array(nodes, dtype=float), 0.0)
    return INFINITY if rest.max() > 1.0 else float(model.cost @ np.append(nodes, rest))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("more", [0.02, 0.3])
def test_all_that_costs_less_is_found_at_its_cost(seed: int, more: float) -> None:
    model = made(seed)
    all_costs = {nodes: cost_of(model, nodes) for nodes in product(range(MOST + 1), repeat=KINDS)}
    most = min(all_costs.values()) * (1 + more)
    found = below(model, (), most, Patience.of(30.0))
    assert found is not None
    costs = {tuple(point.values[:KINDS].round().astype(int).tolist()): point.cost for point in found}
    assert costs == pytest.approx({nodes: cost for nodes, cost in all_costs.items() if cost < most})
    assert all(model.cost @ point.values == pytest.approx(point.cost) for point in found)


def sums(points: tuple[Point, ...]) -> dict[tuple[float, ...], float]:
    """Cost by the sum of the first two, which are a line, and the other two."""
    return {
        (round(p.values[0] + p.values[1], 6), *p.values[2:KINDS].round(6).tolist()): p.cost for p in points
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_line_counts_as_one_number_at_its_cheapest(seed: int) -> None:
    model = made(seed)
    values = model.row_values.reshape(2, KINDS + 1).copy()
    values[:, 1] = values[:, 0]
    twins = assemble(
        cost=np.append([model.cost[0], model.cost[0] + 0.01], model.cost[2:]),
        upper=model.upper,
        integers=KINDS,
        rows=[
            Row(
                subject=w,
                terms=[*enumerate(values[w, :KINDS].tolist()), (KINDS + w, 1.0)],
                lower=model.row_lower[w],
            )
            for w in range(2)
        ],
    )
    apart = below(twins, (), 14.0, Patience.of(30.0))
    together = below(twins, (np.array([0, 1]),), 14.0, Patience.of(30.0))
    assert apart is not None
    assert together is not None
    cheapest: dict[tuple[float, ...], float] = {}
    for point in apart:
        (key,) = sums((point,))
        cheapest[key] = min(point.cost, cheapest.get(key, INFINITY))
    assert len(together) == len(cheapest) <= len(apart)
    assert sums(together) == pytest.approx(cheapest)


def test_where_nothing_is_worth_having_there_is_nothing() -> None:
    idle = assemble(cost=np.array([2.0, 3.0]), upper=np.array([3.0, 3.0]), integers=2, rows=[])
    (point,) = below(idle, (), 1.0, Patience.of(30.0)) or ()
    assert (point.cost, point.values.tolist()) == (0.0, [0.0, 0.0])


def test_in_no_time_nothing_is_said() -> None:
    assert below(made(0), (), 100.0, Patience.of(0.0)) is None
