"""A problem whose model alone would take the time has an answer of few of its columns."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from hetops.solver import highs, hurried
from hetops.solver.certify import certify
from hetops.solver.matrix import Row, assemble
from hetops.solver.problem import Mode
from hetops.solver.solution import Ended, Solution
from hetops.solver.solve import solve
from tests.solver.problems import hard, offer

LARGE = hard(offers=120, configurations=20)
"""Some 38,000 shares."""


@pytest.mark.parametrize("mode", Mode)
def test_a_fleet_of_few_columns_is_an_answer_to_the_whole_problem(mode: Mode) -> None:
    problem = replace(LARGE, mode=mode, budget_usd_per_hour=Decimal(10000))
    assert hurried.is_long(problem, 0.0)
    solution = solve(problem, limit_seconds=0.0)
    assert isinstance(solution, Solution)
    assert certify(problem, solution) == ()
    assert (solution.ended, solution.within_gap) == (Ended.TIME, False)
    assert {pool.key for pool in solution.pools} <= {c.key for c in next(hurried.few_of(problem, ())).columns}


def test_nothing_that_is_proven_of_it_is_wrong() -> None:
    rough, best = (solve(LARGE, limit_seconds=seconds) for seconds in (0.0, 2.0))
    assert isinstance(rough, Solution)
    assert isinstance(best, Solution)
    assert 0 < rough.bound <= best.objective
    assert best.bound <= rough.objective


def test_few_columns_are_enough_of_each_class_and_hold_what_must_be_rented() -> None:
    dear = offer("dear", "5000")
    column = replace(LARGE.columns[0], offer="dear")
    problem = replace(LARGE, offers=(*LARGE.offers, dear), columns=(*LARGE.columns, column))
    few = next(hurried.few_of(problem, ("dear",)))
    assert "dear" not in {c.offer for c in next(hurried.few_of(problem, ())).columns}
    assert "dear" in {c.offer for c in few.columns}
    stock = {o.id: problem.max_nodes(o) for o in problem.offers}
    for demand in problem.classes:
        best = {
            o: max(c.rate(demand.name) for c in few.columns if c.offer == o)
            for o in {c.offer for c in few.columns}
        }
        assert len(best) >= hurried.LIKELY
        assert sum(rate * stock[o] for o, rate in best.items()) >= demand.requests_per_second


def test_few_pools_of_offers_with_few_nodes_each_are_not_all_that_is_tried() -> None:
    """Each cheap offer has one node and three pools may be: only the dear one has enough."""
    alone = tuple(replace(o, max_nodes=1) for o in LARGE.offers)
    dear = replace(offer("dear", "50"), max_nodes=1000)
    column = replace(LARGE.columns[0], offer="dear", requests_per_second={c.name: 1.0 for c in LARGE.classes})
    problem = replace(LARGE, offers=(*alone, dear), columns=(*LARGE.columns, column), max_pools=3)
    cheap, large = hurried.few_of(problem, ())
    assert "dear" not in {c.offer for c in cheap.columns}
    assert "dear" in {c.offer for c in large.columns}
    solution = solve(problem, limit_seconds=0.0)
    assert isinstance(solution, Solution)
    assert "dear" in {pool.offer for pool in solution.pools}


def test_a_search_that_does_not_look_at_the_clock_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """HiGHS is slow to look up in what it does at the root of a large model; here it never does."""
    monkeypatch.setattr(highs, "OVERTIME_SECONDS", -1.0)
    random = np.random.default_rng(0)
    terms = [[(j, float(v)) for j, v in enumerate(random.integers(1, 99, 60))] for _ in range(6)]
    halves = [float(sum(v for _, v in of) // 2) for of in terms]
    rows = [
        Row(subject=i, terms=of, lower=h, upper=h)
        for i, (of, h) in enumerate(zip(terms, halves, strict=True))
    ]
    model = assemble(cost=random.uniform(1, 2, 60), upper=np.ones(60), integers=60, rows=rows)
    left = highs.run(model, limit_seconds=0.5)
    assert (left.status, left.found, left.bound) == (highs.Status.NOTHING_FOUND, False, -np.inf)
    small = assemble(
        cost=np.ones(1), upper=np.ones(1), integers=1, rows=[Row(subject=0, terms=[(0, 1.0)], lower=0.5)]
    )
    monkeypatch.undo()
    assert highs.run(small).objective == 1.0
