"""Why not something else: the forced fleet against brute force, and the limit that is named against lifting it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings

from hetops.solver import highs
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.problem import Mode, Problem, QuotaGroup
from hetops.solver.questions.class_cost import class_cost
from hetops.solver.questions.explanation import Topic
from hetops.solver.questions.why_not import meant, why_not
from hetops.solver.search.begun import renting
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import PROOF_GAP, Effort, solve
from hetops.solver.terms import Migration, Running, ShareLimit, Trait
from tests.solver import oracle
from tests.solver.problems import column, demands, offer, small, tiny
from tests.solver.test_why import case
from tests.solver.woven import dense


def dear(**changes: object) -> Problem:
    """`small` with an offer that no cheapest fleet has."""
    problem = small(
        offers=(*small().offers, offer("dear", "3", 2, provider="third", gpu="H100-SXM", q="1")),
        columns=(*small().columns, column("dear", chat=2.0, code=1.0)),
        quota_groups=(QuotaGroup(id="q", limit=Decimal(8)),),
    )
    return replace(problem, **changes)


DEAR = frozenset({"dear"})


def test_a_name_means_an_offer_a_gpu_type_its_family_or_a_provider() -> None:
    assert meant(dear(), "dear") == meant(dear(), "h100-sxm") == meant(dear(), "H100") == DEAR
    assert meant(dear(), "third") == DEAR
    assert meant(dear(), "H10") == frozenset()


def test_what_is_dear_is_told_with_what_it_costs_and_that_its_price_pays() -> None:
    forced, price = why_not(case(dear()), "H100-SXM", DEAR)
    assert forced.text == "At least one node of H100-SXM would cost $2.00 per hour more."
    assert (forced.before, forced.after) == (5.0, 7.0)
    assert price.topic is Topic.PRICE
    assert "1 node of H100-SXM for $3.00 per hour and $1.00 less for all else" in price.text


def test_what_is_in_already_is_told_with_what_doing_without_costs() -> None:
    (told,) = why_not(case(dear()), "cheap", frozenset({"cheap"}))
    assert (
        told.text
        == "cheap is in the fleet already with 1 node: to do without would cost $2.00 per hour more."
    )


def test_what_serves_nothing_is_said_to() -> None:
    idle = dear(columns=(*small().columns, column("dear", chat=0.0)))
    (told,) = why_not(case(idle), "H100-SXM", DEAR)
    assert told.text == "Nothing on H100-SXM serves any class within the targets."
    assert (told.before, told.after) == (5.0, None)


@pytest.mark.parametrize(
    ("changes", "topic"),
    [
        ({"budget_usd_per_hour": Decimal(6)}, Topic.BUDGET),
        ({"provider_budgets_usd_per_hour": {"third": Decimal(2)}}, Topic.PROVIDER_BUDGET),
        ({"quota_groups": (QuotaGroup(id="q", limit=Decimal(0)),)}, Topic.QUOTA),
        ({"offers": (*dear().offers[:2], replace(dear().offers[2], max_nodes=0))}, Topic.STOCK),
    ],
)
def test_the_limit_that_keeps_it_out_is_named_and_was_lifted(
    changes: dict[str, object], topic: Topic
) -> None:
    forced, blamed = why_not(case(dear(**changes)), "H100-SXM", DEAR)
    assert (forced.before, forced.after) == (5.0, None)
    assert (blamed.topic, blamed.after) == (topic, 7.0)
    assert "keeps it out" in blamed.text


def test_several_limits_that_keep_it_out_together_are_said_to() -> None:
    both = dear(budget_usd_per_hour=Decimal(6), quota_groups=(QuotaGroup(id="q", limit=Decimal(0)),))
    *_, said = why_not(case(both), "H100-SXM", DEAR)
    assert said.text == (
        "The quota q and the budget keep it out together: without both a node of H100-SXM would cost $2.00 per hour more."
    )
    assert (said.before, said.after) == (5.0, 7.0)


def test_a_budget_that_none_of_it_fits_into_is_told_with_what_the_least_that_has_one_serves() -> None:
    problem = dear(mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal(2))
    quota = QuotaGroup(id="q", limit=Decimal(0))
    asked = case(problem)
    forced, blamed = why_not(asked, "H100-SXM", DEAR)
    assert forced.after is None
    richer = solve(replace(problem, budget_usd_per_hour=Decimal(3)), must_rent=DEAR)
    assert isinstance(richer, Solution)
    assert (blamed.topic, blamed.after) == (Topic.BUDGET, richer.objective)
    assert blamed.text.startswith(
        "A budget below $3.00 per hour keeps it out: without that a node of H100-SXM"
    )
    *_, both = why_not(case(replace(problem, quota_groups=(quota,))), "H100-SXM", DEAR)
    assert both.text.startswith("The quota q and a budget below $3.00 per hour keep it out together")
    (told, _) = why_not(case(replace(problem, budget_usd_per_hour=Decimal(3))), "H100-SXM", DEAR)
    assert told.after == richer.objective


def test_a_limit_that_makes_it_dear_is_the_one_that_pays() -> None:
    problem = dear(max_pools=2)
    forced, pays = why_not(case(problem), "H100-SXM", DEAR)
    assert (forced.after, pays.topic, pays.after) == (7.0, Topic.PRICE, 7.0)


def test_limits_that_make_it_dear_only_together_are_said_to() -> None:
    """Alone a node of it would serve everything for $3; its GPU type and its provider may each have a tenth at most."""
    few = (
        ShareLimit(id="gpu", trait=Trait.GPU, values=("H100-SXM",), at_most=0.1),
        ShareLimit(id="third", trait=Trait.PROVIDER, values=("third",), at_most=0.1),
    )
    problem = dear(
        columns=(*small().columns, column("dear", chat=4.0, code=8.0)), share_limits=few, max_pools=5
    )
    forced, told = why_not(case(problem), "H100-SXM", DEAR)
    assert (forced.before, forced.after) == (5.0, 8.0)
    assert (told.topic, told.before, told.after) == (Topic.LIMITS, 8.0, 3.0)
    assert told.text == (
        "The rule of at most 10 % of a class on gpu and the rule of at most 10 % of a class on third together are to blame:"
        " without them a fleet with a node of H100-SXM is at $3.00 per hour instead of $8.00 per hour, and no fleet is better."
    )


@settings(max_examples=40, deadline=None)
@given(tiny(mixed=2))
def test_the_forced_fleet_is_the_cheapest_that_has_a_node_of_it_that_can_serve(problem: Problem) -> None:
    wanted = problem.offers[0].id
    asked = [c.name for c in problem.classes if c.requests_per_second > 0]
    of_use = {
        c.key for c in problem.columns if wanted in c.offers and any(c.rate(name) > 0 for name in asked)
    }
    costs = [
        oracle.cost(problem, fleet)
        for fleet in oracle.fleets(problem)
        if any(c.key in of_use for c, _ in fleet) and oracle.serves(problem, fleet, oracle.Fraction(1))
    ]
    forced = solve(problem, must_rent={wanted})
    if costs:
        assert isinstance(forced, Solution)
        assert forced.usd_per_hour == min(costs)
        assert certify(problem, forced) == ()
    else:
        assert isinstance(forced, Infeasible)


def test_a_node_that_is_had_with_another_alone_is_asked_about_though_neither_is_of_use() -> None:
    """A pair that does half of what the first node of it does alone: 2.00 more than 1.00, and no limit keeps it out."""
    pair = replace(column("cheap", "pair", chat=1.0), also={"fast": 1})
    problem = small(
        configurations=("tp1", "pair"),
        classes=demands(chat=2.0),
        columns=(column("cheap", chat=2.0), pair),
        offers=tuple(replace(o, usd_per_hour=Decimal(1)) for o in small().offers),
    )
    told = why_not(case(problem), "fast", frozenset(("fast",)))
    assert told[0].text == "At least one node of fast would cost $2.00 per hour more."
    assert (told[0].before, told[0].after) == (1.0, 3.0)


def test_an_idle_node_where_nodes_may_only_change_so_fast_is_no_node_of_it() -> None:
    """One that serves is started once a day, for a cent; one that cannot is not, and would be the cheapest to have."""
    problem = dense(16)
    forced = solve(problem, must_rent=("o3",), effort=Effort(most_gap=PROOF_GAP))
    whole = renting(formulate(problem, must_rent=("o3",)), ("o3",))
    assert isinstance(forced, Solution)
    assert whole is not None
    assert forced.bound == pytest.approx(highs.run(whole.model, gap=1e-9).objective * whole.unit, rel=2e-6)


def test_what_runs_already_on_offers_that_a_question_leaves_out_serves_nothing_and_goes() -> None:
    runs = (Running(offer="cheap", configuration="tp1", nodes=1),)
    asked = case(small(migration=Migration(running=runs, usd_per_removed_node=Decimal(24))))
    (told,) = why_not(asked, "cheap", frozenset(("cheap",)))
    assert (
        told.text
        == "cheap is in the fleet already with 1 node: to do without would cost $4.00 per hour more."
    )
    assert told.after == 9.0
    (_, *elsewhere) = class_cost(asked, "chat")
    assert {s.subject: s.after for s in elsewhere if s.subject in ("cheap", "fast")} == {
        "cheap": 5.0,
        "fast": 9.0,
    }
