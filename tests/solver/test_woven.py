"""Where terms meet: whatever the search, it proves what HiGHS alone does of the whole model, and a second solver of a second."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hetops.errors import TimeoutExpiredError
from hetops.solver import highs
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.highs import OnInterrupt
from hetops.solver.patience import stoppable
from hetops.solver.periods import by_period
from hetops.solver.problem import Mode, Problem
from hetops.solver.search import losses
from hetops.solver.solution import Solution
from hetops.solver.solve import PROOF_GAP, Effort, solve, unservable_classes
from tests.solver.latest import latest
from tests.solver.test_oracle import NO_ANSWER, Proven, compare, proven
from tests.solver.woven import dense, woven

BRIEFLY = Effort(limit_seconds=4.0, most_gap=PROOF_GAP)


@pytest.fixture
def specially(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are told by prices, and days are searched period by period, however small the problem."""
    monkeypatch.setattr(losses, "MOST_COPIED", 0)
    monkeypatch.setattr(by_period, "LEAST_INTEGERS", 0)


def at_once(problem: Problem) -> Proven:
    """What HiGHS proves of the whole model, in half a minute."""
    formulation, sign = formulate(problem), 1 if problem.mode is Mode.MIN_COST else -1
    if unservable_classes(problem) or not formulation.frame.places:
        return NO_ANSWER
    answer = highs.run(formulation.model, gap=1e-9, limit_seconds=30.0)
    unit = sign * formulation.unit
    return proven(answer.bound * unit, answer.objective * unit) if answer.found else NO_ANSWER


def searched(problem: Problem) -> Proven | None:
    """What the search proves, with its answer and both its bounds checked; None where it found nothing in time."""
    try:
        outcome = solve(problem, effort=BRIEFLY)
    except TimeoutExpiredError:
        return None
    if not isinstance(outcome, Solution):
        return NO_ANSWER
    assert certify(problem, outcome) == ()
    return proven(outcome.bound, outcome.objective)


def same(seeds: range, made: Callable[[int], Problem] = woven) -> int:
    """The search and HiGHS prove the same of each problem; how many have an answer."""
    found = 0
    for seed in seeds:
        problem = made(seed)
        ours, theirs = searched(problem), at_once(problem)
        assert ours is None or ours.meets(theirs), f"seed {seed}: {ours} and {theirs}"
        found += ours not in (None, NO_ANSWER)
    return found


@pytest.mark.usefixtures("specially")
def test_special_searches_find_what_one_search_of_the_whole_model_does() -> None:
    assert same(range(2498, 2510)) >= 7


def test_what_little_is_left_of_a_class_that_is_shed_keeps_to_its_limits() -> None:
    """Of 4 % that are served 60 % may be on one market: a ten-millionth of what arrives is no longer nothing beside that."""
    problem = woven(2523)
    outcome = solve(problem, effort=BRIEFLY)
    assert isinstance(outcome, Solution)
    assert 0.95 < outcome.shed[0].share < 1
    assert certify(problem, outcome) == ()


@pytest.mark.usefixtures("specially")
def test_windows_in_which_lines_alone_are_whole_leave_time_for_the_whole_model() -> None:
    """What such windows prove is less than any fleet costs, at whatever prices."""
    outcome = solve(dense(1428), effort=BRIEFLY)
    assert isinstance(outcome, Solution)
    assert outcome.within_gap


@pytest.mark.usefixtures("specially")
def test_a_day_pays_for_lots_that_no_class_can_use() -> None:
    """Two offers have two nodes each that are paid for, and none of their columns serves: a service serves all."""
    assert same(range(881, 882), dense) == 1


@pytest.mark.usefixtures("specially")
def test_they_find_it_of_fleets_that_run_in_parts_and_roles_where_much_may_be_lost_or_wait() -> None:
    assert same(range(12), latest) >= 7


def test_where_decode_alone_is_left_of_a_budget_nothing_is_served() -> None:
    """Work that may wait is served by nobody: no period says so by itself."""
    assert searched(latest(85)) == NO_ANSWER


@pytest.mark.usefixtures("specially")
def test_whoever_stops_a_search_that_found_nothing_is_not_told_that_its_time_was_up() -> None:
    effort = replace(BRIEFLY, on_interrupt=OnInterrupt.TAKE_BEST)
    with stoppable():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            solve(latest(18), effort=effort)


@pytest.mark.slow
@pytest.mark.usefixtures("specially")
@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_they_find_it_a_thousand_times(first: int) -> None:
    assert same(range(first, first + 100)) >= 40


@pytest.mark.slow
@pytest.mark.usefixtures("specially")
@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_they_find_it_where_the_latest_terms_meet(first: int) -> None:
    assert same(range(first, first + 100), dense) >= 40


@pytest.mark.slow
@pytest.mark.usefixtures("specially")
@pytest.mark.parametrize("first", range(0, 2000, 250))
def test_they_find_it_two_thousand_times_of_fleets_that_run(first: int) -> None:
    assert same(range(first, first + 250), latest) >= 140


@pytest.mark.slow
@pytest.mark.usefixtures("specially")
def test_a_second_solver_on_a_second_model_finds_the_same(tmp_path: Path) -> None:
    problems = {f"w{seed:04}": woven(seed) for seed in range(60)}
    compare(tmp_path, problems | {f"d{seed:04}": dense(seed) for seed in range(30)}, BRIEFLY)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 300, 100))
def test_it_does_where_a_fleet_runs(tmp_path: Path, first: int) -> None:
    compare(tmp_path, {f"{seed:04}": latest(seed) for seed in range(first, first + 100)}, BRIEFLY)
