"""What is particular to each rival: the method that its paper describes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings

from benchmarks.solver_cells import PAPER_GRID, paper_problem
from hetops.solver.baselines.answer import answer
from hetops.solver.baselines.bilinear import Batch, binary_search
from hetops.solver.baselines.blind import blocks
from hetops.solver.baselines.composition import as_rented, evenly_split
from hetops.solver.baselines.greedy import greedy, greedy_many_starts
from hetops.solver.baselines.helix import helix_on_ours
from hetops.solver.baselines.hexgen import hexgen_on_ours
from hetops.solver.baselines.homogeneous import homogeneous, uncapped, uncapped_homogeneous
from hetops.solver.baselines.levers import (
    blind_assignment,
    round_robin,
    uniform_composition,
    uniform_deployment,
)
from hetops.solver.baselines.melange import Slicing, every_column, melange
from hetops.solver.certify import certify
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from tests.solver.problems import TOY, column, demands, offer, small, tiny

GRID = paper_problem(PAPER_GRID[4])
"""70B, trace 1, 30 USD per hour: six GPU types and nine classes."""


def solution(found: Solution | Infeasible) -> Solution:
    """The fleet that must be there."""
    assert isinstance(found, Solution)
    return found


# The evaluator


def test_the_evaluator_fills_the_fullest_pool_when_maximising() -> None:
    shares = {("w1", ("t1", "tp1")): 1.0, ("w2", ("t1", "tp1")): 1.0}
    found = solution(answer(TOY, {("t1", "tp1"): 2}, shares, "by hand"))
    seconds = (80 / 1.0 + 20 / 1.2) / 2
    assert found.requests_per_second == pytest.approx(100 / seconds)
    assert found.pools[0].utilisation == pytest.approx(1.0)
    assert certify(TOY, found) == ()


def test_the_evaluator_refuses_shares_that_overload_a_fleet_of_least_cost() -> None:
    problem = small()
    all_on_cheap = {("chat", ("cheap", "tp1")): 1.0, ("code", ("cheap", "tp1")): 1.0}
    assert isinstance(answer(problem, {("cheap", "tp1"): 3}, all_on_cheap, "by hand"), Infeasible)


def test_the_evaluator_refuses_a_class_without_shares() -> None:
    assert isinstance(
        answer(small(), {("fast", "tp1"): 3}, {("chat", ("fast", "tp1")): 1.0}, "by hand"), Infeasible
    )


def test_a_fleet_beyond_the_stock_is_answered_and_the_checker_says_so() -> None:
    shares = {("w1", ("t1", "tp1")): 1.0, ("w2", ("t1", "tp1")): 1.0}
    found = solution(answer(TOY, {("t1", "tp1"): 3}, shares, "by hand"))
    assert {v.rule for v in certify(TOY, found)} == {"stock", "budget"}


# The published algorithm


@pytest.mark.parametrize("tolerance", [1.0, 0.1, 0.01])
def test_the_published_search_ends_within_its_tolerance_of_the_true_makespan(tolerance: float) -> None:
    found = solution(binary_search(TOY, Batch(requests=100, tolerance_seconds=tolerance)))
    seconds = 100 / found.requests_per_second
    assert 28.4314 - 1e-4 <= seconds <= 28.4314 + tolerance


@settings(max_examples=20, deadline=None)
@given(tiny())
def test_the_published_search_ties_the_exact_model_within_its_tolerance(problem: Problem) -> None:
    problem = replace(problem, mode=Mode.MAX_THROUGHPUT, max_pools=None, usd_per_pool_hour=Decimal(0))
    ours, theirs = solve(problem), binary_search(problem, Batch(requests=1000, tolerance_seconds=1.0))
    assert isinstance(ours, Solution) == isinstance(theirs, Solution)
    if isinstance(ours, Solution) and isinstance(theirs, Solution):
        assert 1000 / theirs.requests_per_second <= 1000 / ours.requests_per_second + 1.0 + 1e-3


# One GPU type


def test_one_type_is_all_that_a_homogeneous_fleet_has() -> None:
    found = solution(homogeneous(GRID))
    gpu_of = {o.id: o.gpu for o in GRID.offers}
    assert len({gpu_of[pool.offer] for pool in found.pools}) == 1


def test_lifting_the_stock_never_hurts_one_type_and_breaks_the_stock() -> None:
    capped, lifted = solution(homogeneous(GRID)), solution(uncapped_homogeneous(GRID))
    assert lifted.objective >= capped.objective
    assert certify(uncapped(GRID), lifted) == ()
    assert lifted.usd_per_hour <= Decimal(30)


def test_the_stock_that_is_lifted_suffices_for_any_demand() -> None:
    problem = small(classes=demands(chat=200.0, code=4.0))
    assert isinstance(homogeneous(problem), Infeasible)
    assert solution(uncapped_homogeneous(problem)).usd_per_hour == Decimal(108)


# Slices


@settings(max_examples=25, deadline=None)
@given(tiny())
def test_counting_slices_costs_what_naming_each_costs(problem: Problem) -> None:
    problem = replace(problem, max_pools=None, usd_per_pool_hour=Decimal(0))
    named, counted = (every_column(problem, Slicing(slices=3, counted=c)) for c in (False, True))
    assert type(named) is type(counted)
    if isinstance(named, Solution) and isinstance(counted, Solution):
        assert named.usd_per_hour == counted.usd_per_hour


@settings(max_examples=25, deadline=None)
@given(tiny())
def test_finer_slices_and_more_layouts_never_cost_more(problem: Problem) -> None:
    problem = replace(problem, max_pools=None, usd_per_pool_hour=Decimal(0))
    coarse = every_column(problem, Slicing(slices=1, counted=True))
    fine = every_column(problem, Slicing(slices=4, counted=True))
    one_layout = melange(problem, Slicing(slices=1))
    if isinstance(one_layout, Solution):
        assert solution(coarse).usd_per_hour <= one_layout.usd_per_hour
    if isinstance(coarse, Solution):
        assert solution(fine).usd_per_hour <= coarse.usd_per_hour


def test_a_slice_lies_on_one_column_whole() -> None:
    found = solution(every_column(replace(TOY, gap=1e-3), Slicing(slices=4, counted=True)))
    assert {share.share for share in found.shares} <= {0.25, 0.5, 0.75, 1.0}


# Given GPUs


def test_an_even_split_spends_no_more_than_its_part_on_a_type() -> None:
    found = solution(solve(evenly_split(GRID)))
    gpu_of = {o.id: o.gpu for o in GRID.offers}
    spent: defaultdict[str, Decimal] = defaultdict(Decimal)
    for pool in found.pools:
        spent[gpu_of[pool.offer]] += pool.usd_per_hour
    assert len(spent) > 1
    assert max(spent.values()) <= Decimal(30) / len(spent)


def test_a_type_whose_part_pays_for_no_replica_gets_none() -> None:
    tight = replace(GRID, budget_usd_per_hour=Decimal(6))
    found = solution(solve(evenly_split(tight)))
    assert found.usd_per_hour > 0


def test_a_split_needs_a_budget() -> None:
    with pytest.raises(ValueError, match="budget_usd_per_hour"):
        evenly_split(small())


def test_the_gpus_of_a_fleet_are_enough_for_that_fleet_and_no_more() -> None:
    ours = solution(solve(GRID))
    again = solution(solve(as_rented(GRID, ours)))
    assert again.objective == pytest.approx(ours.objective, rel=1e-3)
    gpus = {o.id: (o.gpu, o.gpu_count) for o in GRID.offers}
    counted = [
        sum(p.nodes * gpus[p.offer][1] for p in s.pools if gpus[p.offer][0] == gpu)
        for s in (again, ours)
        for gpu in sorted({o.gpu for o in GRID.offers})
    ]
    assert all(a <= b for a, b in zip(counted[:6], counted[6:], strict=True))


# Class-blind serving


@pytest.mark.parametrize("blind", [hexgen_on_ours, helix_on_ours, blind_assignment])
def test_blind_serving_gives_every_class_the_same_shares(blind: object) -> None:
    found = solution(blind(GRID))  # type: ignore[operator]
    by_class: defaultdict[str, list[tuple[tuple[str, str], float]]] = defaultdict(list)
    for share in found.shares:
        by_class[share.workload_class].append((share.key, share.share))
    assert len(by_class) == 9
    assert len({tuple(shares) for shares in by_class.values()}) == 1


def test_a_search_over_groupings_never_beats_the_exact_flow() -> None:
    assert solution(hexgen_on_ours(GRID)).objective <= solution(helix_on_ours(GRID)).objective * (1 + 1e-3)


def test_classes_of_different_models_are_blocks_of_their_own() -> None:
    problem = small(
        classes=demands(chat=1.0, code=1.0, draw=1.0, idle=0.0),
        columns=(column("cheap", chat=2.0, code=1.0), column("fast", draw=2.0, idle=1.0)),
    )
    assert [block.name for block in blocks(problem)] == ["chat code", "draw"]


def test_a_column_that_cannot_serve_all_of_a_block_is_of_no_use_to_blind_serving() -> None:
    problem = small(columns=(column("cheap", chat=2.0), column("fast", chat=2.0, code=4.0)))
    (block,) = blocks(problem)
    assert set(block.speeds) == {("fast", "tp1")}
    assert block.speeds["fast", "tp1"] == pytest.approx(1 / (2 / 2 + 4 / 4))


# Greedy


@settings(max_examples=30, deadline=None)
@given(tiny())
def test_many_starts_never_cost_more_than_one_pass(problem: Problem) -> None:
    problem = replace(problem, max_pools=None, usd_per_pool_hour=Decimal(0))
    once, often = greedy(problem), greedy_many_starts(problem)
    if isinstance(once, Solution):
        assert solution(often).usd_per_hour <= once.usd_per_hour


def test_greedy_fills_the_room_it_has_before_it_rents_more() -> None:
    problem = small(offers=(offer("only", "1", 3),), columns=(column("only", chat=4.0, code=8.0),))
    assert solution(greedy(problem)).usd_per_hour == Decimal(1)


# Levers


def test_holding_a_lever_never_helps_and_each_costs_something_on_the_grid() -> None:
    ours = solution(solve(GRID))
    held = {
        "composition": solution(uniform_composition(GRID)),
        "deployment": solution(uniform_deployment(GRID, lambda c: "tp1" in c.configuration)),
        "assignment": solution(blind_assignment(GRID)),
        "round robin": solution(round_robin(GRID)),
    }
    assert all(certify(GRID, found) == () for found in held.values())
    losses = {name: 1 - found.objective / ours.objective for name, found in held.items()}
    assert min(losses.values()) >= -1e-6
    assert losses["round robin"] > losses["assignment"] > 0
    assert losses["composition"] > 0


def test_one_kind_of_replica_is_all_that_a_uniform_deployment_has() -> None:
    found = solution(uniform_deployment(GRID, lambda c: c.configuration.split("/")[3]))
    assert len({pool.configuration.split("/")[3] for pool in found.pools}) == 1
