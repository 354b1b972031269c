"""Where a search begins: with a fleet of the few columns that the relaxation uses, and never with a wrong bound."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings

from hetops.solver import highs
from hetops.solver.formulate import formulate
from hetops.solver.highs import OnInterrupt, Status
from hetops.solver.patience import Patience, stoppable, stopped
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import prices_of
from hetops.solver.search import start
from hetops.solver.weak_duality import weak_duality_bound
from tests.solver.problems import hard, tiny


def searched(problem: Problem, *, gap: float = 0.0, seconds: float = 30.0) -> highs.Answer:
    """The answer in the model's units."""
    formulation, patience = formulate(problem), Patience.of(seconds)
    relaxed = start.relax(formulation, patience)
    return start.search(
        formulation.model, relaxed, gap=gap, patience=patience, on_interrupt=OnInterrupt.CANCEL
    )


def as_without_a_start(problem: Problem) -> highs.Answer | None:
    """What a search finds, which is what one without a start does; None where no place serves anything."""
    formulation = formulate(problem)
    if not formulation.frame.places:
        return None
    plain, ours = highs.run(formulation.model), searched(problem)
    assert ours.found == plain.found
    assert not plain.found or ours.objective == pytest.approx(plain.objective, abs=1e-6)
    return ours


@settings(max_examples=40, deadline=None)
@given(tiny())
def test_it_finds_what_a_search_without_a_start_finds(problem: Problem) -> None:
    ours = as_without_a_start(problem)
    assert ours is None or not ours.found or ours.bound <= ours.objective


@settings(max_examples=20, deadline=None)
@given(tiny(mode=Mode.MAX_THROUGHPUT))
def test_it_finds_the_largest_rate_that_a_search_without_a_start_finds(problem: Problem) -> None:
    as_without_a_start(problem)


@pytest.mark.parametrize("mode", Mode)
def test_a_search_goes_on_among_the_nodes_of_fleets_no_dearer(mode: Mode) -> None:
    """In which the best fleet is, though the relaxation that is known is of fewer rows."""
    formulation, patience = (
        formulate(replace(hard(offers=12, configurations=3, classes=4), mode=mode)),
        Patience.of(30.0),
    )
    model, relaxed = formulation.model, start.relax(formulation, patience)
    near = highs.run(model, gap=0.02)
    few = start._no_dearer(model, relaxed, near, patience)
    assert start._free(few) < start._free(model) <= start.FEW
    assert highs.run(few, gap=1e-5).objective == pytest.approx(highs.run(model, gap=1e-5).objective, rel=3e-5)
    assert start._no_dearer(model, relaxed, highs.NOTHING, patience) is model


@pytest.mark.parametrize("mode", Mode)
def test_without_time_there_is_a_fleet_not_far_from_the_bound(mode: Mode) -> None:
    problem = replace(hard(offers=20, configurations=6), mode=mode)
    model = formulate(problem).model
    answer = searched(problem, gap=1e-6, seconds=0.0)
    assert answer.status is Status.TIME_LIMIT
    assert answer.objective - answer.bound < 0.1 * abs(answer.objective)
    assert model.integer.sum() == 120
    whole = answer.values[model.integer]
    assert whole == pytest.approx(whole.round(), abs=1e-6)
    rows = model.rows_of(answer.values)
    assert (rows >= model.row_lower - 1e-6).all()
    assert (rows <= model.row_upper + 1e-6).all()


def test_a_start_that_is_near_enough_is_the_answer() -> None:
    answer = searched(hard(), gap=0.05)
    assert answer.status is Status.OPTIMAL
    assert answer.objective - answer.bound <= 0.05 * answer.objective
    assert answer.seconds < 30


def test_rows_that_are_implied_are_no_part_of_the_loose_model() -> None:
    problem = hard(offers=4, configurations=2)
    little = tuple(replace(c, requests_per_second=c.requests_per_second / 9) for c in problem.classes)
    formulation = formulate(replace(problem, classes=little))
    implied = int(formulation.implied.sum())
    assert implied > 0
    assert len(formulation.loose.row_lower) == len(formulation.model.row_lower) - implied
    tight, loose = highs.run(formulation.model), highs.run(formulation.loose)
    assert loose.objective == pytest.approx(tight.objective)


@pytest.mark.parametrize("mode", Mode)
def test_without_a_relaxation_the_columns_that_serve_a_class_for_least_are_tried(mode: Mode) -> None:
    formulation = formulate(replace(hard(offers=40, configurations=4, classes=8), mode=mode))
    nothing = highs.run(formulation.model, limit_seconds=0.0)
    assert nothing.status is Status.NOTHING_FOUND
    likely = start._likely(formulation)
    relaxed = start.Relaxed(model=formulation.model, answer=nothing, used=likely)
    answer = start.search(
        formulation.model, relaxed, gap=1e-3, patience=Patience.of(0.0), on_interrupt=OnInterrupt.CANCEL
    )
    assert answer.found
    assert answer.objective != 0
    nodes = answer.values[: len(formulation.columns)]
    assert 0 < (nodes > 0.5).sum() <= likely[: len(nodes)].sum() < len(nodes)


@pytest.mark.parametrize("budget", [None, Decimal(50)])
def test_without_a_relaxation_money_or_stock_still_bound_the_largest_rate(budget: Decimal | None) -> None:
    problem = replace(hard(offers=12, configurations=2), mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=budget)
    formulation = formulate(problem)
    answer = highs.run(formulation.model, limit_seconds=0.0)
    nothing = start.Relaxed(model=formulation.model, answer=answer, used=np.empty(0, dtype=bool))
    guessed = weak_duality_bound(problem, prices_of(formulation, nothing))
    best = weak_duality_bound(problem, prices_of(formulation, start.relax(formulation, Patience.of(30.0))))
    assert best <= guessed < 4 * best


def test_whoever_stops_the_relaxation_still_gets_a_fleet() -> None:
    problem = hard(offers=40, configurations=4, classes=8)
    formulation, patience = formulate(problem), Patience.of(30.0)
    with stoppable():
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
        relaxed = start.relax(formulation, patience)
        while not stopped():  # where the relaxation was quicker
            relaxed = start.relax(formulation, patience)
        answer = start.search(
            formulation.model, relaxed, gap=1e-9, patience=patience, on_interrupt=OnInterrupt.TAKE_BEST
        )
    assert answer.found
    assert relaxed.bound <= answer.objective
