"""Requests that are turned away at a price: when they are, what of them counts, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.domain import codec
from hetops.solver import highs
from hetops.solver.answers.alone import alone
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.limit import LimitKind
from hetops.solver.problem import Mode, Problem
from hetops.solver.questions.breakeven import breakeven
from hetops.solver.questions.class_cost import class_cost
from hetops.solver.questions.explain import weigh
from hetops.solver.questions.explanation import Topic
from hetops.solver.questions.goods import of_offer
from hetops.solver.questions.relax import relaxations
from hetops.solver.questions.relaxation import relaxed
from hetops.solver.questions.why import why
from hetops.solver.questions.why_none import why_none
from hetops.solver.solution import Infeasible, Solution, SolvedShed
from hetops.solver.solve import read_answer, solve
from hetops.solver.terms import Loss, Period, ShareLimit, Trait
from tests.solver.problems import column, demands, offer, solved
from tests.solver.termed import BATCH, MIXED, one
from tests.solver.test_by_period import batch, searched
from tests.solver.test_why import case


def shedding(problem: Problem, usd: str | None = "0.001", **terms: object) -> Problem:
    """The problem whose classes may all be shed, at that price of a request."""
    price = None if usd is None else Decimal(usd)
    classes = (replace(c, shed_usd_per_request=price, **terms) for c in problem.classes)  # type: ignore[arg-type]
    return replace(problem, classes=tuple(classes))


NODES = one(offer("o", "2"), chat=2.2)
"""A node for each request per second, at 2 USD an hour; at a thousandth of a dollar one that is shed costs 3.60."""


def test_what_a_third_node_would_serve_is_shed_where_that_costs_less() -> None:
    solution = solved(shedding(NODES))
    assert (solution.usd_per_hour, solution.requests_per_second) == (4, pytest.approx(2.0))
    assert solution.objective == pytest.approx(4 + 0.2 * 3.6)
    (shed,) = solution.shed
    assert (shed.workload_class, shed.usd_per_hour) == ("chat", Decimal("0.72"))
    assert shed.share == pytest.approx(0.2 / 2.2)
    assert sum(share.share for share in solution.shares) == 1
    assert solved(shedding(NODES, "0.01")).shed == ()


def test_without_a_price_or_a_share_nothing_is_shed_and_the_problem_is_what_it_was() -> None:
    assert codec.digest(shedding(NODES, None)) == codec.digest(NODES)
    assert shedding(NODES, max_shed_share=0.0).plain
    assert solved(shedding(NODES, max_shed_share=0.0)).usd_per_hour == 6


def test_a_budget_pays_for_no_request_that_is_shed() -> None:
    """Two nodes are all that it pays for, whatever it costs that the rest is turned away."""
    poor = replace(shedding(NODES, "1"), budget_usd_per_hour=Decimal(4), mean_budget_usd_per_hour=Decimal(4))
    solution = solved(poor)
    assert solution.usd_per_hour == 4
    assert solution.counted_usd_per_hour == Decimal("724.00")


def test_what_is_paid_is_told_apart_from_what_nobody_is_paid() -> None:
    told, pool, *_ = (s.text for s in why(case(shedding(NODES))))
    assert "serve all of what is served of chat" in pool
    begin = "The fleet costs $4.00 per hour and counts for $4.72 per hour with what is turned away"
    assert told == f"{begin}; none counts for less than $4.72 per hour."


def test_at_the_largest_rate_the_mix_is_served_as_it_is() -> None:
    most = replace(shedding(NODES), mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal(4))
    solution = solved(most)
    assert (solution.shed, solution.objective) == ((), pytest.approx(2.0))


def test_a_class_that_nothing_serves_is_shed_whole() -> None:
    problem = one(offer("o", "2"), chat=2.0, code=1.0)
    lame = replace(
        problem, columns=tuple(replace(c, requests_per_second={"chat": 1.0}) for c in problem.columns)
    )
    assert isinstance(solve(lame), Infeasible)
    solution = solved(shedding(lame, "0.01"))
    assert [(one.workload_class, one.share) for one in solution.shed] == [("code", 1.0)]
    assert {share.workload_class for share in solution.shares} == {"chat"}
    assert solve(shedding(lame, "0.01", max_shed_share=0.5)) == Infeasible(
        problem_digest=codec.digest(shedding(lame, "0.01", max_shed_share=0.5)), unservable=("code",)
    )


def test_each_period_sheds_for_itself() -> None:
    """One of four requests by day, for want of nodes, and by night none: on average a fifth of a fifth more of its hours."""
    day = Period(name="day", hours=12.0, requests_per_second={"chat": 4.0})
    night = Period(name="night", hours=12.0, requests_per_second={"chat": 1.0})
    solution = solved(shedding(replace(one(offer("o", "2", 3), chat=1.0), periods=(day, night))))
    assert [[one.share for one in period.shed] for period in solution.periods] == [[0.25], []]
    assert solution.shed == (
        SolvedShed(workload_class="chat", share=0.2, requests_per_second=0.5, usd_per_hour=Decimal("1.8")),
    )
    assert solution.requests_per_second == 2.0
    assert solution.objective == pytest.approx(3 + 1 + 0.5 * 3.6)


def test_a_period_alone_is_asked_for_what_arrives_and_serves_what_is_not_shed() -> None:
    day = Period(name="day", hours=12.0, requests_per_second={"chat": 4.0})
    night = Period(name="night", hours=12.0, requests_per_second={"chat": 1.0})
    problem = shedding(replace(one(offer("o", "2", 3), chat=1.0), periods=(day, night)))
    by_day, by_night = alone(problem, solved(problem))
    assert by_day.problem.classes[0].requests_per_second == 4.0
    assert (by_day.solution.requests_per_second, by_day.solution.objective) == (3.0, pytest.approx(9.6))
    assert (by_day.solution.shed[0].share, by_night.solution.shed) == (0.25, ())
    waiting = shedding(replace(BATCH, offers=(offer("o", "1", 1),)))
    assert [one.problem.classes[0].requests_per_second for one in alone(waiting, solved(waiting))] == [
        1.0,
        1.0,
    ]


def test_batch_work_waits_before_it_is_shed() -> None:
    """Four requests by day, none by night: one node around the clock serves half, and a dollar saves the rest of a fleet."""
    few = replace(BATCH, offers=(offer("o", "1", 1),))
    assert isinstance(solve(few), Infeasible)
    solution = solved(shedding(few))
    day, night = solution.periods
    assert [one.share for one in day.shed] == [0.5]
    assert (day.requests_per_second, night.requests_per_second) == (1.0, 1.0)
    assert {(w.arrived, w.served): w.share for w in solution.waits} == {
        ("day", "day"): 0.5,
        ("day", "night"): 0.5,
    }


def test_shares_and_quality_are_those_of_what_is_served() -> None:
    """Two fine nodes make up for two rough ones, whatever arrives beyond; and half of four goes to either offer."""
    few = (offer("rough", "1"), offer("fine", "3", 2))
    mixed = solved(
        shedding(
            replace(
                MIXED, offers=few, classes=tuple(replace(c, requests_per_second=5.0) for c in MIXED.classes)
            )
        )
    )
    assert mixed.objective == pytest.approx(8 + 3.6)
    halves = replace(
        one(offer("a", "1", 2), offer("b", "1.5", 9), chat=5.0),
        share_limits=(ShareLimit(id="half", trait=Trait.OFFER, at_most=0.5),),
    )
    assert solved(shedding(halves, "0.0004")).objective == pytest.approx(2 + 2 * 1.5 + 1.44)


def test_a_loss_keeps_its_share_of_what_is_served() -> None:
    """Two nodes each of two zones, of four: with either gone half of what is served is left, and of what is asked 0.4."""
    zones = (replace(offer("a", "1", 2), zone="a"), replace(offer("b", "1", 2), zone="b"))
    problem = replace(one(*zones, chat=5.0), losses=(Loss(id="zone", trait=Trait.ZONE, kept_share=0.5),))
    solution = solved(shedding(problem))
    assert [one.share for one in solution.shed] == [0.2]
    assert {loss.name: sum(s.share for s in loss.shares) for loss in solution.losses} == {
        "zone: a": pytest.approx(0.5),
        "zone: b": pytest.approx(0.5),
    }


def test_periods_searched_one_at_a_time_come_to_what_the_whole_model_finds() -> None:
    problem = shedding(batch(periods=2, boot_seconds=3600.0), "0.0002", max_shed_share=0.3)
    whole = highs.run(formulate(problem).model)
    found, _ = searched(formulate(problem), gap=1e-2, seconds=2.0)
    assert found.answer.bound <= whole.objective * (1 + 1e-6)
    assert whole.objective * (1 - 1e-6) <= found.answer.objective <= whole.objective * 1.15
    solution = read_answer(problem, codec.digest(problem), found)
    assert solution.shed
    assert (
        certify(
            replace(problem, gap=0.5),
            replace(solution, problem_digest=codec.digest(replace(problem, gap=0.5))),
        )
        == ()
    )


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"share": 0.5}, "chat"),
        ({"requests_per_second": 0.1}, "chat"),
        ({"usd_per_hour": Decimal("0.1")}, "chat"),
        ({"workload_class": "other"}, "other"),
    ],
)
def test_what_is_told_wrongly_of_it_is_found_out(change: dict[str, object], subject: str) -> None:
    problem = shedding(NODES)
    solution = solved(problem)
    wrong = replace(solution, shed=(replace(solution.shed[0], **change),))  # type: ignore[arg-type]
    assert any(v.rule == "shedding" and v.subject == subject for v in certify(problem, wrong))


def test_a_mean_that_is_none_is_found_out() -> None:
    periods = tuple(Period(name=name, hours=12.0) for name in ("day", "night"))
    problem = shedding(replace(NODES, periods=periods))
    solution = solved(problem)
    wrong = replace(solution, shed=(replace(solution.shed[0], share=0.2),))
    assert {v.rule for v in certify(problem, wrong)} == {"shedding"}
    assert "shedding" in {v.rule for v in certify(problem, replace(solution, shed=()))}


def test_why_says_what_is_shed_and_what_it_would_cost_to_serve_it() -> None:
    told = [s for s in why(case(shedding(NODES))) if s.topic is Topic.SHED]
    assert [s.text for s in told] == [
        "0.0909 of chat, 0.2 requests per second, is turned away at $0.72 per hour, which nobody is paid.",
        "To serve all of chat would cost $1.28 per hour more.",
    ]
    assert (told[1].before, told[1].after) == (pytest.approx(4.72), pytest.approx(6.0))
    capped = [s.text for s in why(case(shedding(NODES, max_shed_share=0.05))) if s.topic is Topic.SHED]
    assert capped == ["Any share of chat shed instead of at most 5.00 % would save $1.28 per hour."]
    assert any("turned away" in s.text for s in class_cost(case(shedding(NODES)), "chat"))


def test_a_dollar_more_and_less_is_told_with_what_turning_away_counts_for() -> None:
    """A third node for $1 would save $1.44 of what is shed, which the budget forbids; without the second one of two is shed."""
    cheap = replace(one(offer("o", "1"), chat=2.2), budget_usd_per_hour=Decimal(2))
    more, less = (
        s for s in why(case(shedding(cheap, "0.002"))) if s.topic is Topic.BUDGET and "$1 per" in s.text
    )
    assert more.text == "To pay up to $1 per hour more than $2.00 would save $0.44 per hour."
    assert less.text == "To pay up to $1 per hour less than $2.00 would cost $6.20 per hour more."
    assert [(s.before, s.after) for s in (more, less)] == [(3.44, 3.0), (3.44, pytest.approx(9.64))]


def test_alternatives_and_prices_count_what_shedding_costs() -> None:
    problem = shedding(one(offer("o", "2", 2), offer("dear", "3", 2), chat=2.2))
    weighed = weigh(problem, solved(problem))
    (without,) = [a for a in weighed.alternatives if a.description.startswith("without o")]
    assert without.description == "without o, $0.72 of it for what is turned away"
    assert without.usd_per_hour == Decimal("6.72")
    slow = replace(problem, columns=(problem.columns[0], column("dear", chat=0.2)))
    (told,) = breakeven(case(slow), (of_offer(slow.offer("dear")),))
    assert told.usd_per_hour == Decimal("0.72")


def test_where_no_fleet_exists_the_share_that_would_have_to_be_shed_is_told() -> None:
    few = shedding(replace(NODES, offers=(offer("o", "2", 1),)), max_shed_share=0.1)
    told = {r.kind: r for r in relaxations(few)}
    more = told[LimitKind.SHED]
    assert float(more.needed) == pytest.approx(1.2 / 2.2, abs=2e-6)
    assert more.text.startswith("let a share of 0.5454")
    assert isinstance(solve(relaxed(few, more)), Solution)
    assert any(s.topic is Topic.SHED for s in why_none(few))
    (dear, *_) = why_none(replace(shedding(NODES, max_shed_share=0.3), budget_usd_per_hour=Decimal(3)))
    begin = "Raise the budget from 3 to 4 usd_per_hour: then a fleet exists, at $4.00 per hour, "
    assert dear.text == f"{begin}$4.72 per hour with what is turned away."
    nothing = {r.kind for r in relaxations(shedding(few, max_shed_share=0.0))}
    assert LimitKind.SHED in nothing


@pytest.mark.parametrize(
    ("usd", "most", "message"),
    [("0", 1.0, "shed_usd_per_request 0 must be above 0"), ("1", 1.5, "max_shed_share 1.5 must be a share")],
)
def test_a_price_or_share_that_is_none_is_refused(usd: str, most: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(
            NODES,
            classes=tuple(
                replace(c, shed_usd_per_request=Decimal(usd), max_shed_share=most) for c in demands(chat=1.0)
            ),
        )
