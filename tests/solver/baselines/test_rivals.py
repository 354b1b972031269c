"""Every rival stays within the limits, and none is ever better than the exact model."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.solver_cells import PAPER_GRID, PaperCell, paper_problem
from hetops.solver.baselines.rivals import RIVALS, Rival
from hetops.solver.certify import certify
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from tests.solver.problems import TOY, small, tiny

SLACK = 1e-6
"""Relative difference that counts as none: what the certificate allows."""

CELLS = (PAPER_GRID[0], PAPER_GRID[49], pytest.param(PAPER_GRID[99], marks=pytest.mark.slow))
"""One of each model mix, and all three traces; rivals take half a minute for two models at once."""


def never_better(rival: Solution | Infeasible, ours: Solution | Infeasible) -> bool:
    """Whether the exact answer is at least as good, to within rounding and its own gap."""
    if isinstance(rival, Infeasible):
        return True
    assert isinstance(ours, Solution), "the rival has a fleet where the exact search says there is none"
    slack = SLACK + ours.gap
    if ours.mode is Mode.MIN_COST:
        return rival.objective >= ours.objective * (1 - slack)
    return rival.objective <= ours.objective * (1 + slack)


@pytest.mark.parametrize("rival", RIVALS, ids=lambda r: r.name)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_no_rival_beats_the_exact_model_or_leaves_the_limits(rival: Rival, data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(sorted(rival.modes)))
    problem = replace(data.draw(tiny(mode=mode)), max_pools=None, usd_per_pool_hour=Decimal(0))
    if mode is Mode.MAX_THROUGHPUT:
        problem = replace(problem, budget_usd_per_hour=problem.budget_usd_per_hour or Decimal(9))
    found = rival.answer(problem)
    if isinstance(found, Solution):
        assert certify(problem, found) == ()
    assert never_better(found, solve(problem))


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_no_rival_beats_the_exact_model_on_the_paper_grid(cell: PaperCell) -> None:
    problem = paper_problem(cell)
    ours = solve(problem)
    assert isinstance(ours, Solution)
    assert ours.gap <= 1e-3
    for rival in RIVALS:
        if rival.name == "melange, 4 slices, every layout":
            continue  # seconds a cell; benchmarks/solver.py asks it on all of them
        found = rival.answer(problem)
        assert isinstance(found, Solution), rival.name
        assert certify(problem, found) == (), rival.name
        assert found.objective <= ours.objective * (1 + SLACK), rival.name


@pytest.mark.parametrize("rival", RIVALS, ids=lambda r: r.name)
def test_equal_problems_get_equal_answers(rival: Rival) -> None:
    problem = TOY if Mode.MIN_COST not in rival.modes else small()
    assert rival.answer(problem) == rival.answer(problem)


@pytest.mark.parametrize("rival", RIVALS, ids=lambda r: r.name)
def test_what_nobody_can_serve_no_rival_serves(rival: Rival) -> None:
    problem: Problem = replace(
        TOY, offers=tuple(replace(o, max_nodes=0) for o in TOY.offers), mode=max(rival.modes)
    )
    assert isinstance(rival.answer(problem), Infeasible)
