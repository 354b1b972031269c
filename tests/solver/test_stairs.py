"""Numbers that cost by number: the model with stairs has the optimum that trying every number finds."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hetops.solver import highs
from hetops.solver.matrix import Floats, MatrixModel, Row, assemble
from hetops.solver.periods.stairs import Stair, Stairs

MOST = 6


def made(seed: int) -> tuple[MatrixModel, tuple[Stair, ...]]:
    """Two whole numbers that cover a demand, and what each one of them costs besides: rising and falling."""
    dice = np.random.default_rng(seed)
    able = dice.uniform(0.5, 2.0, 2)
    row = Row(subject="demand", terms=[*enumerate(able.tolist())], lower=float(dice.uniform(2.0, 8.0)))
    model = assemble(cost=dice.uniform(1.0, 2.0, 2), upper=np.full(2, float(MOST)), integers=2, rows=[row])
    costs = [dice.choice([-0.5, 0.0, 0.7], int(dice.integers(1, MOST + 3))) for _ in range(2)]
    return model, tuple(Stair(variable=k, costs=own) for k, own in enumerate(costs))


def cost_of(model: MatrixModel, stairs: tuple[Stair, ...], numbers: tuple[int, ...]) -> float:
    """With what each one of the numbers costs besides, one after the other."""
    besides = sum(
        float(stair.costs[min(k, len(stair.costs) - 1)])
        for stair in stairs
        for k in range(numbers[stair.variable])
    )
    return float(model.cost @ np.array(numbers, dtype=float)) + besides


def enough(model: MatrixModel, numbers: tuple[int, ...]) -> bool:
    """Whether they cover the demand."""
    return bool((model.rows_of(np.array(numbers, dtype=float)) >= model.row_lower).all())


@pytest.mark.parametrize("seed", range(20))
def test_the_best_number_is_found_at_what_it_costs(seed: int) -> None:
    model, stairs = made(seed)
    every = [n for n in product(range(MOST + 1), repeat=2) if enough(model, n)]
    best = min(cost_of(model, stairs, numbers) for numbers in every)
    answer = highs.run(Stairs.on(model, stairs).model)
    assert answer.objective == pytest.approx(best)


@pytest.mark.parametrize("seed", range(6))
def test_what_values_are_filled_with_keeps_every_row_and_costs_what_it_should(seed: int) -> None:
    model, stairs = made(seed)
    on = Stairs.on(model, stairs)
    for numbers in product(range(MOST + 1), repeat=2):
        filled: Floats = on.filled(np.array(numbers, dtype=float))
        rows = on.model.rows_of(filled)[len(model.row_lower) :]
        assert (rows >= on.model.row_lower[len(model.row_lower) :] - 1e-9).all()
        assert (rows <= on.model.row_upper[len(model.row_lower) :] + 1e-9).all()
        assert (filled <= on.model.upper + 1e-9).all()
        assert on.model.cost @ filled == pytest.approx(cost_of(model, stairs, numbers))


def test_what_all_ones_cost_alike_needs_no_variables() -> None:
    model, _ = made(0)
    on = Stairs.on(model, (Stair(variable=0, costs=np.array([0.25, 0.25])),))
    assert len(on.model.cost) == len(model.cost)
    assert on.model.cost[0] == pytest.approx(model.cost[0] + 0.25)


def test_a_number_without_bounds_is_not_said_to_cost_more_than_it_does() -> None:
    """Its last ones cannot be held back: then the model costs no more than the cheapest."""
    model, _ = made(1)
    endless = replace(model, upper=np.array([np.inf, 0.0]))
    stairs = (Stair(variable=0, costs=np.array([0.7, -0.5])),)
    need = next(n for n in range(50) if enough(model, (n, 0)))
    answer = highs.run(Stairs.on(endless, stairs).model)
    assert answer.objective <= cost_of(model, stairs, (need, 0)) + 1e-9
