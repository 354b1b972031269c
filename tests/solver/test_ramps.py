"""How many nodes of an offer may come and go from one period to the next: what counts, when it binds, what is said of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.domain import codec
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.limit import LimitKind
from hetops.solver.periods.by_period import separable
from hetops.solver.periods.freed import MOST_RAMPED, freed
from hetops.solver.problem import Column, PricedOffer, Problem
from hetops.solver.questions.explanation import Topic
from hetops.solver.questions.relax import relaxations
from hetops.solver.questions.relaxation import Relaxation, RelaxationKind, relaxed
from hetops.solver.questions.why import why
from hetops.solver.questions.why_none import why_none
from hetops.solver.solution import Infeasible
from hetops.solver.solve import solve
from hetops.solver.terms import Billing, Period
from tests.solver.problems import column, demands, offer, solved
from tests.solver.termed import DAY_AND_NIGHT, at, one
from tests.solver.test_by_period import day
from tests.solver.test_why import case


def ramped(*, usd: str = "1", **terms: object) -> Problem:
    """Four nodes by day and one by night, of an offer with terms."""
    return replace(one(at(offer("o", usd, 9), **terms), chat=1.0), periods=DAY_AND_NIGHT)


def nodes(problem: Problem) -> list[int]:
    """Of all pools, by period."""
    return [sum(pool.nodes for pool in period.pools) for period in solved(problem).periods]


@pytest.mark.parametrize(
    ("added", "removed", "by_night"),
    [(None, None, 1), (3, 3, 1), (2, None, 2), (None, 1, 3), (2, 1, 3), (0, None, 4), (None, 0, 4)],
)
def test_idle_nodes_are_kept_where_no_more_may_come_or_go(
    added: int | None, removed: int | None, by_night: int
) -> None:
    assert nodes(ramped(max_added_nodes=added, max_removed_nodes=removed)) == [4, by_night]


def test_nodes_of_an_offer_count_together_whatever_they_run() -> None:
    """Two of either kind by turns are the same two nodes; a third would be one more."""
    problem = Problem(
        offers=(at(offer("o", "1", 9), max_added_nodes=0),),
        configurations=("tp1", "tp2"),
        classes=demands(chat=2.0, code=2.0),
        columns=(column("o", "tp1", chat=1.0), column("o", "tp2", code=1.0)),
        periods=(
            Period(name="day", hours=12.0, requests_per_second={"code": 0.0}),
            Period(name="night", hours=12.0, requests_per_second={"chat": 0.0}),
        ),
        gap=0.0,
    )
    solution = solved(problem)
    assert [[(p.configuration, p.nodes) for p in period.pools] for period in solution.periods] == [
        [("tp1", 2)],
        [("tp2", 2)],
    ]


def test_what_serves_nothing_may_be_kept_for_what_does() -> None:
    """A node of `both` takes one of `plain`, of which none may be added: by night a column without rates keeps it for less."""
    both = Column(offer="dear", configuration="tp1", also={"plain": 1}, requests_per_second={"chat": 1.0})
    problem = replace(
        one(offer("dear", "5", 9), at(offer("plain", "1", 9), max_added_nodes=0), chat=1.0),
        columns=(both, column("plain")),
        periods=(
            Period(name="day", hours=12.0),
            Period(name="night", hours=12.0, requests_per_second={"chat": 0.0}),
        ),
    )
    assert solved(problem).objective == pytest.approx((6 + 1) / 2)


@pytest.mark.parametrize("periods", [(), (Period(name="always", hours=24.0),)])
def test_without_another_period_there_is_nothing_that_changes(periods: tuple[Period, ...]) -> None:
    free = one(offer("o", "1", 9), chat=2.0)
    held = replace(free, offers=(at(offer("o", "1", 9), max_added_nodes=0, max_removed_nodes=0),))
    assert solved(replace(held, periods=periods)).objective == solved(free).objective == 2.0
    assert held.plain


def test_what_is_reserved_never_changes() -> None:
    problem = ramped(max_added_nodes=0, billing=Billing.RESERVED)
    assert not problem.ramping
    assert solved(problem).objective == 4.0


def test_what_may_change_is_priced_where_offers_are_few_and_left_out_first_where_they_are_many() -> None:
    free = day()
    held = replace(free, offers=tuple(replace(o, max_added_nodes=1) for o in free.offers))
    others = tuple(replace(o, id=f"{o.id} {k}") for o in held.offers for k in range(MOST_RAMPED))
    many = replace(held, offers=(*held.offers, *others))
    assert separable(formulate(held))
    assert freed(held) is None
    assert freed(many) == replace(
        many, offers=tuple(replace(o, max_added_nodes=None, max_removed_nodes=None) for o in many.offers)
    )


def test_what_keeps_to_them_unasked_is_as_good_as_without() -> None:
    free = day()
    held = replace(free, offers=tuple(replace(o, max_added_nodes=99) for o in free.offers))
    without, kept = solved(free), solved(held)
    assert kept.bound <= without.objective * (1 + 1e-9)
    assert without.bound <= kept.objective * (1 + 1e-9)


def test_an_answer_that_changes_too_fast_is_found_out() -> None:
    free, held = ramped(), ramped(max_added_nodes=2, max_removed_nodes=2)
    broken = certify(held, replace(solved(free), problem_digest=codec.digest(held)))
    assert [(v.rule, v.subject, v.message) for v in broken] == [
        ("ramps", "o in day", "1 nodes before, then 4: max_added_nodes is 2"),
        ("ramps", "o in night", "4 nodes before, then 1: max_removed_nodes is 2"),
    ]


def test_why_says_what_each_limit_costs() -> None:
    told = [s for s in why(case(ramped(max_added_nodes=2, max_removed_nodes=3))) if s.topic is Topic.CHANGES]
    assert [s.text for s in told] == [
        "Any number of nodes of an offer added from one period to the next instead of at most 2 would save $0.50 per hour.",
        "Any number of nodes of an offer removed from one period to the next instead of at most 3 would change nothing.",
    ]


def by_kind(problem: Problem) -> dict[RelaxationKind, Relaxation]:
    return {r.kind: r for r in relaxations(problem)}


@pytest.mark.parametrize(
    ("field", "kind", "done"),
    [
        ("max_added_nodes", LimitKind.ADDED_NODES, "added"),
        ("max_removed_nodes", LimitKind.REMOVED_NODES, "removed"),
    ],
)
def test_where_no_fleet_exists_the_least_change_that_would_have_to_be_allowed_is_told(
    field: str, kind: RelaxationKind, done: str
) -> None:
    """A mean of 2.9 is less than four nodes by day and two by night."""
    problem = replace(ramped(**{field: 0}), mean_budget_usd_per_hour=Decimal("2.9"))
    assert isinstance(solve(problem), Infeasible)
    change = by_kind(problem)[kind]
    assert (change.current, change.needed, change.smallest) == (0, 3, True)
    assert change.text == f"let 3 nodes of an offer be {done} from one period to the next instead of 0"
    assert nodes(relaxed(problem, change)) == [4, 1]
    assert any(s.topic is Topic.CHANGES for s in why_none(problem))


def test_offers_that_are_held_to_the_same_are_one_limit_and_are_raised_to_whole_lots() -> None:
    offers: tuple[PricedOffer, ...] = (
        at(offer("o", "1", 9), max_added_nodes=0),
        at(offer("lots", "9", 9), max_added_nodes=0, lot_nodes=4),
        at(offer("free", "9", 9), max_added_nodes=7),
    )
    problem = replace(one(*offers, chat=1.0), periods=DAY_AND_NIGHT, mean_budget_usd_per_hour=Decimal("2.9"))
    (change,) = [r for r in relaxations(problem) if r.kind is LimitKind.ADDED_NODES]
    assert (change.subject, change.current, change.needed, change.smallest) == ("0", 0, 3, True)
    assert [o.max_added_nodes for o in relaxed(problem, change).offers] == [3, 4, 7]


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"max_added_nodes": -1}, "offer 'o': max_added_nodes -1 must be at least 0, or null for any"),
        ({"max_removed_nodes": -2}, "offer 'o': max_removed_nodes -2 must be at least 0"),
        ({"max_added_nodes": 3, "lot_nodes": 4}, "max_added_nodes 3 are less than a lot, lot_nodes 4"),
    ],
)
def test_a_limit_that_is_none_is_refused(terms: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ramped(**terms)
