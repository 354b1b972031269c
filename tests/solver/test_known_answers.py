"""What is known of a question beside what a search finds of it: no answer is told for proven that was proven of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetops.solver.questions.exact import Found, found, no_worse, or_known
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from tests.solver.problems import small


@pytest.fixture
def answer() -> Solution:
    """A proven one."""
    outcome = solve(small())
    assert isinstance(outcome, Solution)
    assert found(outcome).exact
    return outcome


def dearer(answer: Solution, bound: float) -> Found:
    """As a search that ended too early finds it."""
    return Found(solution=replace(answer, objective=answer.objective * 2, bound=bound), exact=False)


def test_an_answer_to_a_harder_question_is_no_proof_where_the_search_found_nothing(answer: Solution) -> None:
    after = no_worse(Found(solution=None, exact=False), found(answer))
    assert after.solution is not None
    assert after.objective == answer.objective
    assert after.solution.bound == 0
    assert not after.exact


def test_it_is_the_answer_as_far_as_the_search_proved_it(answer: Solution) -> None:
    half = no_worse(dearer(answer, answer.objective / 2), found(answer))
    assert half.solution is not None
    assert (half.objective, half.solution.bound, half.exact) == (
        answer.objective,
        answer.objective / 2,
        False,
    )
    assert no_worse(dearer(answer, answer.objective), found(answer)).exact


def test_a_better_fleet_stays_the_answer(answer: Solution) -> None:
    known = replace(answer, objective=answer.objective * 2, bound=0.0)
    assert no_worse(found(answer), found(known)) == found(answer)


def test_of_two_bounds_on_one_question_the_better_counts(answer: Solution) -> None:
    after = or_known(dearer(answer, answer.objective / 2), answer)
    assert after.exact
    assert no_worse(Found(solution=None, exact=True), Found(solution=None, exact=True)).exact
