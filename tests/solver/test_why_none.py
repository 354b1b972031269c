"""Why there is no fleet: each change is made and solved, and what is solved is what is told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings

from hetops.domain.offer import Trait
from hetops.solver.problem import Problem
from hetops.solver.questions.explanation import Topic
from hetops.solver.questions.relax import relaxations
from hetops.solver.questions.relaxation import QuestionKind, Relaxation, relaxed
from hetops.solver.questions.why_none import why_none
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import ShareLimit
from tests.solver.problems import column, offer, small, tiny
from tests.solver.termed import ZONES, at, one


def test_each_change_is_told_with_the_cost_of_the_fleet_that_it_lets_exist() -> None:
    told = why_none(small(budget_usd_per_hour=Decimal("4.9")))
    assert (
        told[0].text == "Raise the budget from 4.9 to 5 usd_per_hour: then a fleet exists, at $5.00 per hour."
    )
    assert [(s.topic, s.before, s.after) for s in told] == [
        (Topic.BUDGET, None, 5.0),
        (Topic.DEMAND, None, 4.0),
    ]


def test_a_problem_that_has_a_fleet_is_told_so() -> None:
    (told,) = why_none(small())
    assert told.text == "There is a fleet, at $5.00 per hour: nothing needs to be relaxed."


def test_a_class_that_nothing_serves_is_named() -> None:
    told = why_none(small(columns=(column("cheap", chat=2.0), column("fast", chat=2.0))))
    assert told[0].text == "No configuration on any offer serves code within the targets."


def test_two_limits_that_bar_together_are_named_together() -> None:
    problem = small(offers=(offer("cheap", "1", 0), offer("fast", "4", 0)), budget_usd_per_hour=Decimal(0))
    (told,) = why_none(problem)
    assert told.text == (
        "No single change lets a fleet exist. Without the stock of every offer and the budget together one does,"
        " at $5.00 per hour."
    )
    assert (told.before, told.after) == (None, 5.0)


def test_limits_that_need_not_go_are_not_named_among_those_that_bar_together() -> None:
    """Each zone has a node of three that are wanted, and the rule on zones holds whatever there is."""
    limit = ShareLimit(id="zones", trait=Trait.ZONE, at_most=0.25)
    few = tuple(at(o, max_nodes=1) for o in ZONES)
    problem = replace(one(*few, chat=8.0), share_limits=(limit,), max_pools=9)
    (told,) = why_none(replace(problem, budget_usd_per_hour=Decimal(100)))
    assert "Without the stock of every offer and the rule of at most 25 %" in told.text
    assert told.after == 8.0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(tiny())
def test_every_relaxation_of_an_infeasible_problem_solves(problem: Problem) -> None:
    assume(isinstance(solve(problem), Infeasible))
    for change in relaxations(problem):
        assert isinstance(solve(relaxed(problem, change)), Solution), change.text
    assert all(s.after is not None for s in why_none(problem) if "then a fleet exists" in s.text)


def test_looser_targets_need_to_be_known() -> None:
    change = Relaxation(
        kind=QuestionKind.TARGETS,
        current=Decimal(1),
        needed=Decimal(2),
        change_share=1.0,
        factor=2.0,
        text="loosen",
    )
    with pytest.raises(ValueError, match="where they are known"):
        relaxed(small(), change)
    assert relaxed(small(), change, lambda f: replace(small(), gap=f / 10)).gap == 0.2
