"""Rivals where columns stand on several offers: they may use them, keep the limits, and are no better than we are."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from benchmarks.solver_mixed import cluster_problem
from hetops.solver.baselines.bilinear import binary_search
from hetops.solver.baselines.composition import as_rented
from hetops.solver.baselines.helix import max_flow
from hetops.solver.baselines.hexgen import search
from hetops.solver.baselines.homogeneous import homogeneous
from hetops.solver.baselines.rivals import RIVALS
from hetops.solver.baselines.room import Room
from hetops.solver.certify import certify
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from tests.solver.binding_mixed import PAIRED

BOUGHT = replace(PAIRED, mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal("9.5"))
"""Four of the mixed nodes for 8 USD, which serve 8 requests per second."""


def test_what_nodes_take_of_limits_is_what_all_that_they_stand_on_takes() -> None:
    room = Room.of(BOUGHT, BOUGHT.columns)
    assert room.usd_per_hour.tolist() == [2.0, 2.0, 3.0]
    assert room.most_nodes.tolist() == [4.0, 4.0, 3.0]
    assert room.fits(np.array([2, 2, 0]))
    assert not room.fits(np.array([3, 2, 0]))


@pytest.mark.parametrize("rival", [r for r in RIVALS if Mode.MAX_THROUGHPUT in r.modes], ids=lambda r: r.name)
def test_a_rival_keeps_the_limits_and_serves_no_more(rival) -> None:  # type: ignore[no-untyped-def]
    ours = solve(BOUGHT)
    assert isinstance(ours, Solution)
    assert ours.requests_per_second == pytest.approx(8.0)
    found = rival.answer(BOUGHT)
    if isinstance(found, Solution):
        assert certify(BOUGHT, found) == ()
        assert found.requests_per_second <= 8.0 * (1 + 1e-6)


def test_those_that_choose_among_all_columns_find_the_mixed_ones() -> None:
    ours = solve(BOUGHT)
    assert isinstance(ours, Solution)
    for found in (
        binary_search(BOUGHT),
        max_flow(BOUGHT, as_rented(BOUGHT, ours)),
        search(BOUGHT, as_rented(BOUGHT, ours)),
    ):
        assert isinstance(found, Solution)
        assert found.requests_per_second == pytest.approx(8.0)
        assert all(pool.also == {"b": 2 * pool.nodes} for pool in found.pools)


def test_a_fleet_of_one_type_has_no_mixed_column() -> None:
    found = homogeneous(BOUGHT)
    assert isinstance(found, Solution)
    assert {pool.offer for pool in found.pools} == {"dear"}
    only_mixed: Problem = replace(BOUGHT, columns=BOUGHT.columns[:2])
    assert isinstance(homogeneous(only_mixed), Infeasible)


@pytest.mark.slow
def test_on_a_cluster_of_unlike_nodes_flows_of_average_requests_serve_no_more() -> None:
    problem = cluster_problem("24 nodes", "trace 3")
    ours, theirs = solve(problem), max_flow(problem, problem)
    assert isinstance(ours, Solution)
    assert isinstance(theirs, Solution)
    assert certify(problem, theirs) == ()
    assert any(pool.also for pool in theirs.pools)
    assert theirs.requests_per_second <= ours.bound * (1 + 1e-6)
