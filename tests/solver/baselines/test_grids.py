"""Slices of the grids that benchmarks/solver.py prints in full: properties, never times."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.solver_catalogue import catalogue_problem
from benchmarks.solver_cells import PAPER_GRID, paper_problem
from benchmarks.solver_hard import toy
from benchmarks.solver_paper import LOSSY
from benchmarks.solver_replay import Requests, replay
from benchmarks.solver_sizes import SIZE_GRID, SizeCell, bucket_of, size_problem, size_rates
from hetops.solver.bands import Bands
from hetops.solver.baselines.rivals import RIVALS
from hetops.solver.certify import certify
from hetops.solver.problem import Mode
from hetops.solver.solution import Solution
from hetops.solver.solve import solve


def test_the_worked_example_of_the_paper_takes_what_it_takes() -> None:
    found = solve(toy())
    assert isinstance(found, Solution)
    assert 100 / found.requests_per_second == pytest.approx(28.4314, abs=5e-5)


@pytest.mark.parametrize("cell", SIZE_GRID[4::11], ids=str)
def test_no_rival_is_cheaper_on_the_grid_of_request_sizes(cell: SizeCell) -> None:
    problem = size_problem(cell)
    ours = solve(problem)
    assert isinstance(ours, Solution)
    for rival in (r for r in RIVALS if Mode.MIN_COST in r.modes):
        found = rival.answer(problem)
        assert isinstance(found, Solution), rival.name
        assert certify(problem, found) == (), rival.name
        assert found.usd_per_hour >= ours.usd_per_hour, rival.name


def test_more_precisions_never_serve_less() -> None:
    cell = PAPER_GRID[40]
    half, all_of_them = solve(paper_problem(cell)), solve(paper_problem(cell, precisions=LOSSY))
    assert isinstance(half, Solution)
    assert isinstance(all_of_them, Solution)
    assert all_of_them.objective >= half.objective * (1 - 1e-4)


def test_a_catalogue_of_thousands_is_solved_to_its_gap_with_real_offers() -> None:
    problem = catalogue_problem(offers=3000, requests_per_second=20.0).problem
    found = solve(problem)
    assert isinstance(found, Solution)
    assert certify(problem, found) == ()
    assert found.gap <= 1e-3
    assert len(problem.offers) == 3000
    assert Bands.of(problem).waiting > 2900


def test_a_replay_has_every_request_answered_by_who_has_a_share() -> None:
    cell = SizeCell(mix="chat", requests_per_second=4, tpot_seconds=0.12)
    found, rated = solve(size_problem(cell)), size_rates(0.12)
    assert isinstance(found, Solution)
    name = f"{rated.model.name} {bucket_of('chat', 405, 122)}"
    count = 200
    alone = Requests(
        at=np.arange(count) * 60.0,
        classes=(name,) * count,
        input_tokens=[405] * count,
        output_tokens=[122] * count,
    )
    replayed = replay(found, rated.table.step_times, alone)
    assert np.isfinite(replayed.ttft).all()
    assert np.isfinite(replayed.tpot).all()
    assert replayed.tpot.max() <= 0.12, "a request that is alone is within the bound"
    hurried = replay(
        found,
        rated.table.step_times,
        Requests(
            at=np.arange(count) * 0.01,
            classes=alone.classes,
            input_tokens=alone.input_tokens,
            output_tokens=alone.output_tokens,
        ),
    )
    assert hurried.ttft.mean() > replayed.ttft.mean(), "a burst queues"
