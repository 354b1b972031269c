"""Where a class goes and what it would cost elsewhere, each by a search of its own."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import HealthCheck, assume, given, settings

from hetops.solver.problem import Problem
from hetops.solver.questions.class_cost import class_cost
from tests.solver import oracle
from tests.solver.problems import TOY, demands, small, tiny
from tests.solver.test_why import case, feasible


def test_a_class_is_told_with_its_pool_its_own_cost_and_the_cost_elsewhere() -> None:
    told = class_cost(case(small()), "chat")
    assert [s.text for s in told] == [
        "All of chat, 2 requests per second, goes to tp1 on cheap.",
        "To serve no chat would save $1.00 per hour.",
        "All of chat on cheap would change nothing.",
        "All of chat on fast would cost $3.00 per hour more.",
    ]
    assert [(s.before, s.after) for s in told] == [(5.0, 5.0), (5.0, 4.0), (5.0, 5.0), (5.0, 8.0)]


def test_where_a_class_cannot_go_no_fleet_is_left() -> None:
    *_, last = class_cost(case(small()), "code")
    assert last.text == "All of code on cheap would leave no fleet at all."
    assert last.after is None


def test_all_of_a_class_is_served_elsewhere_even_where_some_of_it_may_be_shed() -> None:
    classes = (replace(c, shed_usd_per_request=Decimal("0.01")) for c in small().classes)
    *_, last = class_cost(case(small(classes=tuple(classes))), "code")
    assert last.text == "All of code on cheap would leave no fleet at all."


def test_a_class_without_demand_goes_nowhere() -> None:
    told = class_cost(case(small(classes=demands(chat=2.0, code=0.0))), "code")
    assert told[0].text == "code has no demand: it goes nowhere and costs nothing."


def test_when_maximising_shares_and_rates_are_told() -> None:
    told = class_cost(case(TOY), "w1")
    assert told[0].text.startswith("0.853 of w1, 2.4 requests per second, goes to tp2 on t2-pair")
    assert all("would serve" in s.text for s in told[2:])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(tiny())
def test_the_cost_elsewhere_is_what_brute_force_finds(problem: Problem) -> None:
    assume(feasible(problem))
    for told in class_cost(case(problem), "x"):
        if not told.text.startswith("All of x on "):
            continue
        columns = tuple(
            replace(c, requests_per_second={n: r for n, r in c.requests_per_second.items() if n != "x"})
            if problem.offer(c.offer).gpu != told.subject
            else c
            for c in problem.columns
        )
        least = oracle.cheapest(replace(problem, columns=columns))
        assert told.after == (None if least is None else float(least))
