"""Fleets for thousands of classes without a model of them: what is proven is true, and what is found is what the model finds."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from decimal import Decimal
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hetops.solver import merge, patience
from hetops.solver.answers.balance import balance
from hetops.solver.certify import certify
from hetops.solver.patience import Patience
from hetops.solver.problem import Mode, Problem
from hetops.solver.search import crowd
from hetops.solver.search.worth import filled, lines
from hetops.solver.solution import Ended, Infeasible, Solution
from hetops.solver.solve import PROOF_GAP, Effort, solve
from tests.solver.test_merge import told_apart, uneven
from tests.solver.test_scarcity import scarce, unrelated

some = settings(max_examples=40, deadline=None)
PROVEN = Effort(most_gap=PROOF_GAP, limit_seconds=2.0)


def loads_of(problem: Problem) -> np.ndarray:
    """Nodes that all of a class takes."""
    return np.array(
        [
            [
                c.requests_per_second / (of.rate(c.name) * float(problem.usable_share))
                for of in problem.columns
            ]
            for c in problem.classes
        ]
    )


@pytest.mark.parametrize("nodes", [(1, 0, 2, 0, 1), (4, 4, 4, 4, 4), (0, 0, 0, 1, 0)])
def test_the_fullest_pool_is_as_full_as_the_model_of_all_shares_says(nodes: tuple[int, ...]) -> None:
    problem = replace(unrelated(60, 5), headroom=0.1)
    found = filled(loads_of(problem), np.array(nodes, dtype=float), enough=0.0, near=1e-7)
    keys = {c.key: n for c, n in zip(problem.columns, nodes, strict=True) if n}
    fullest = balance(problem, keys).fullest
    assert found.least == pytest.approx(fullest, rel=1e-6)
    assert found.most == pytest.approx(fullest, rel=1e-6)
    assert found.least <= found.most * (1 + 1e-12)


@pytest.mark.parametrize(("scale", "of"), [(1.0, 25.0), (0.3, 8.0)])
def test_no_fleet_that_serves_all_lies_beyond_a_line_and_the_one_that_does_not_does(
    scale: float, of: float
) -> None:
    loads = loads_of(unrelated(40, 3)) / of
    fleets = [np.array(nodes, dtype=float) for nodes in product(range(4), repeat=3)]
    tried = [filled(loads * scale, nodes, enough=1.0, near=1e-6) for nodes in fleets]
    able = np.array([nodes for nodes, one in zip(fleets, tried, strict=True) if one.most <= 1.0])
    unable = [(nodes, one) for nodes, one in zip(fleets, tried, strict=True) if one.least > 1.0]
    assert min(len(able), len(unable)) > 3
    for nodes, one in unable:
        due = one.worth.sum() * scale
        for line in lines(loads, one.worth, nodes, scale):
            assert line.anyway + line.per_node @ nodes < due
            assert (line.anyway + able @ line.per_node >= due * (1 - 1e-9)).all()


@some
@given(uneven(), st.booleans())
def test_what_is_found_is_what_a_model_of_all_classes_finds(problem: Problem, few_pools: bool) -> None:
    problem = replace(problem, max_pools=1 if few_pools else problem.max_pools)
    with told_apart(2):
        found = solve(problem, effort=PROVEN)
    apart = solve(problem, effort=PROVEN)
    assert isinstance(found, Infeasible) == isinstance(apart, Infeasible)
    assume(isinstance(found, Infeasible) or found.ended is Ended.GAP)
    assume(isinstance(apart, Infeasible) or apart.ended is Ended.GAP)
    if isinstance(found, Solution) and isinstance(apart, Solution):
        assert certify(problem, found) == ()
        assert found.objective == pytest.approx(apart.objective, rel=1e-5)
        assert found.bound == pytest.approx(apart.bound, rel=1e-5)


@some
@given(uneven())
def test_without_time_there_is_a_fleet_all_the_same_and_its_bound_is_true(problem: Problem) -> None:
    apart = solve(problem)
    assume(isinstance(apart, Solution))
    assert isinstance(apart, Solution)
    with told_apart(2), pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "PART_OF_TIME", 0.0)
        patch.setattr(merge, "LEAST_WORK_SECONDS", 0.0)
        found = solve(problem)
    assert isinstance(found, Solution)
    sign = 1 if problem.mode is Mode.MIN_COST else -1
    assert sign * found.bound <= sign * apart.objective + 1e-6 * apart.objective


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("part", [0.05, 0.3])
def test_a_few_nodes_for_hundreds_of_unrelated_classes_are_proven_best(mode: Mode, part: float) -> None:
    """The bound of the relaxation is up to 40 % away: it does not see that nodes are whole."""
    problem = unrelated(400, 12)
    classes = tuple(replace(c, requests_per_second=c.requests_per_second * part) for c in problem.classes)
    budget = Decimal(30) * Decimal(part) if mode is Mode.MAX_THROUGHPUT else None
    problem = replace(problem, classes=classes, mode=mode, budget_usd_per_hour=budget)
    found = solve(problem)
    assert isinstance(found, Solution)
    assert found.within_gap
    assert certify(problem, found) == ()
    assert abs(found.certified_bound - found.objective) > 0.02 * found.objective


def test_a_proven_fleet_is_served_by_few_classes_wherever_else_each_of_them_could_go() -> None:
    whole, random = unrelated(300, 12), Random(5)
    columns = tuple(
        replace(
            c, requests_per_second={k: r for k, r in c.requests_per_second.items() if random.random() < 0.9}
        )
        for c in whole.columns
    )
    problem = replace(whole, columns=columns)
    known = crowd.search(crowd.nodes_of(problem), gap=1e-3, patience=Patience.of(30.0))
    assert known.good
    assert known.best is not None
    filled_by = merge.as_filled(merge.Classes.of(problem), known, known.best)
    assert len(filled_by.members) < 50
    found = solve(problem)
    assert isinstance(found, Solution)
    assert found.within_gap
    assert found.searched_classes is None
    assert certify(problem, found) == ()


def test_limits_that_nothing_keeps_are_told_without_a_model_of_all_classes() -> None:
    problem = scarce(unrelated(400, 4), 1)
    found = crowd.search(crowd.nodes_of(problem), gap=1e-3, patience=Patience.of(30.0))
    assert found.impossible
    assert isinstance(solve(problem), Infeasible)


def test_whoever_stops_a_proof_has_the_fleet_found_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = scarce(unrelated(600, 12), 6)
    rounds = []

    def stop(*args: object, **kwargs: object) -> object:
        rounds.append(1)
        if len(rounds) == 2:
            stopping.set()
        return filled(*args, **kwargs)  # type: ignore[arg-type]

    stopping = threading.Event()
    monkeypatch.setattr(patience, "_stop", stopping)
    monkeypatch.setattr(crowd, "filled", stop)
    found = solve(problem, effort=Effort(limit_seconds=math.inf, most_gap=PROOF_GAP))
    assert isinstance(found, Solution)
    assert found.ended is Ended.INTERRUPTED
    assert not found.within_gap
    assert certify(problem, found) == ()
    assert len(rounds) == 2
