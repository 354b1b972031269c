"""Two models that meet in stock, budget and on a node, with optima worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.reports import solution as report
from hetops.solver.certify import certify
from hetops.solver.problem import Column, Demand, PricedOffer, Problem
from hetops.solver.questions.why import Case, why
from hetops.solver.questions.why_not import why_not
from hetops.solver.solution import Infeasible, Solution, nodes_of
from hetops.solver.solve import solve
from hetops.solver.terms import Period

SMALL = PricedOffer(id="small", usd_per_hour=Decimal(1), max_nodes=1)
LARGE = PricedOffer(id="large", usd_per_hour=Decimal(3), max_nodes=2)
CLASSES = tuple(Demand(name=f"of {m}", requests_per_second=1.0, model=m) for m in "ab")


def column(offer: str, model: str, rate: float, parts: int = 1) -> Column:
    """A model on an offer, or on a part of its nodes."""
    return Column(
        offer=offer,
        configuration=model,
        requests_per_second={f"of {model}": rate},
        model=model,
        parts_per_node=parts,
    )


WHOLE = Problem(
    offers=(SMALL, LARGE),
    configurations=("a", "b"),
    classes=CLASSES,
    columns=tuple(column(o, m, r) for m in "ab" for o, r in (("small", 1.0), ("large", 2.0))),
)
"""Each model alone takes the one small node for $1; of both, one has to take a large one: $1 + $3."""

QUARTERS = tuple(
    replace(c, parts_per_node=4, requests_per_second={k: r / 4 for k, r in c.requests_per_second.items()})
    for c in WHOLE.columns
    if c.offer == "large"
)
SHARED = replace(WHOLE, columns=(*(c for c in WHOLE.columns if c.offer == "small"), *QUARTERS))
"""A quarter of a large node serves half a request a second, so two quarters each are one node for both: $3."""


def found(problem: Problem) -> Solution:
    """The certified answer."""
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    assert certify(problem, outcome) == ()
    return outcome


def only(model: str) -> Problem:
    """The question of one of the models."""
    return replace(
        WHOLE,
        configurations=(model,),
        classes=tuple(c for c in CLASSES if c.model == model),
        columns=tuple(c for c in WHOLE.columns if c.model == model),
    )


def test_two_models_have_one_stock() -> None:
    assert [found(only(m)).usd_per_hour for m in "ab"] == [1, 1]
    both = found(WHOLE)
    assert both.usd_per_hour == 4
    assert {(p.offer, p.nodes) for p in both.pools} == {("small", 1), ("large", 1)}


def test_two_models_have_one_budget() -> None:
    assert found(replace(WHOLE, budget_usd_per_hour=Decimal(4))).usd_per_hour == 4
    assert isinstance(solve(replace(WHOLE, budget_usd_per_hour=Decimal("3.99"))), Infeasible)


def test_two_models_have_one_node() -> None:
    both = found(SHARED)
    assert both.usd_per_hour == 3
    assert [(p.offer, p.configuration, p.nodes) for p in both.pools] == [("large", "a", 2), ("large", "b", 2)]
    assert [(r.offer, r.nodes) for r in both.rentals] == [("large", 1)]


def test_halves_and_thirds_fill_a_node_and_its_neighbour() -> None:
    """Of two nodes three halves are for one model, and of what they leave a third for the other: $6. Two thirds are a node more."""
    thirds = [(column("large", "a", 0.5, parts=2), 1.5), (column("large", "b", 0.25, parts=3), 0.25)]
    two = replace(
        WHOLE,
        columns=tuple(one for one, _ in thirds),
        classes=tuple(replace(c, requests_per_second=r) for c, (_, r) in zip(CLASSES, thirds, strict=True)),
    )
    both = found(two)
    assert {p.configuration: p.nodes for p in both.pools} == {"a": 3, "b": 1}
    assert [(r.offer, r.nodes, r.usd_per_hour) for r in both.rentals] == [("large", 2, 6)]
    more = replace(two, classes=(two.classes[0], replace(two.classes[1], requests_per_second=0.5)))
    assert isinstance(solve(more), Infeasible)
    third = replace(more, offers=(SMALL, replace(LARGE, max_nodes=3)))
    assert found(third).usd_per_hour == 9


def test_quarters_of_a_node_are_told_as_such() -> None:
    """In the table, in the explanation, and in what a period takes: one node for both."""
    day = (Period(name="day", hours=12), Period(name="night", hours=12))
    for problem in (SHARED, replace(SHARED, periods=day)):
        both = found(problem)
        assert nodes_of(problem, both.pools) == {"large": 1}
        told = [s.text for s in why(Case.of(problem, both))]
        assert any(text.startswith("2/4 node of large with a paid for as a whole, serves") for text in told)
        assert any("2/4" in line for line in report.as_text(problem, both).splitlines())
        assert not any("$0.00" in line for line in report.as_text(problem, both).splitlines())
    assert any(text.startswith("In night 1 node for $3.00 per hour serves") for text in told)


def test_exact_arithmetic_proves_what_parts_of_nodes_cost() -> None:
    """What rounding leaves of a lot's price counts for as many lots as there are: a third of a node and a sixth are in use."""
    lot = PricedOffer(id="large", usd_per_hour=Decimal("6.88"), max_nodes=64)
    parts = (
        column("large", "a", 15.497233613912124, parts=3),
        column("large", "b", 57.923635215813995, parts=6),
    )
    problem = replace(WHOLE, offers=(lot,), columns=parts)
    assert found(problem).certified_bound == pytest.approx(3.44)


def test_what_a_node_costs_that_models_share_is_told_as_a_whole() -> None:
    larger = PricedOffer(id="larger", usd_per_hour=Decimal(5), max_nodes=1)
    more = tuple(replace(c, offer="larger") for c in QUARTERS)
    problem = replace(SHARED, offers=(*SHARED.offers, larger), columns=(*SHARED.columns, *more))
    told = [s.text for s in why_not(Case.of(problem, found(problem)), "larger", frozenset({"larger"}))]
    assert "1 node of larger for $5.00 per hour and $3.00 less for all else" in told[-1]


def test_a_model_is_served_by_no_node_of_another() -> None:
    with pytest.raises(ValueError, match="has a rate for of b, which asks for b, not a"):
        replace(WHOLE, columns=(replace(column("large", "a", 1.0), requests_per_second={"of b": 1.0}),))
