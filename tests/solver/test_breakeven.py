"""Break-even prices: just below the offer is worth it and just above it is not, by brute force."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings

from hetops.solver.breakeven import MOST_OFFERS, TOLERANCE, asked_about, breakeven, breakeven_of
from hetops.solver.exact import look
from hetops.solver.problem import Mode, PricedOffer, Problem
from tests.solver import oracle
from tests.solver.problems import TOY, column, offer, small, tiny
from tests.solver.test_why import case, day, feasible


def with_third() -> Problem:
    """`small` with an offer that is too dear to be in."""
    third = offer("third", "3", 2, gpu="L4")
    return small(
        offers=(*small().offers, third), columns=(*small().columns, column("third", chat=2.0, code=1.0))
    )


def test_what_is_asked_about_is_the_fleet_and_the_best_of_each_other_gpu_type() -> None:
    assert [o.id for o in asked_about(case(with_third()))] == ["cheap", "fast", "third"]


def test_an_offer_enters_below_the_price_of_what_it_replaces() -> None:
    problem = with_third()
    (told,) = breakeven(case(problem), (problem.offer("third"),))
    assert told.usd_per_hour == 1
    assert told.text == (
        "third enters the fleet below $1.00 per hour (-66.7% of its price now, $3.00; within 0.1%)."
    )
    assert (told.before, told.after) == (4.999, 5.0)


def test_an_offer_leaves_above_the_price_at_which_the_next_best_costs_the_same() -> None:
    (told,) = breakeven(case(small()), (small().offer("cheap"),))
    assert told.usd_per_hour == 4
    assert "leaves the fleet above $4.00 per hour (+300.0% of its price now, $1.00" in told.text


def test_what_cannot_be_done_without_is_in_at_any_price() -> None:
    (told,) = breakeven(case(small()), (small().offer("fast"),))
    assert told.text == "fast is in the fleet at any price: no fleet was found without it."
    assert told.after is None


def test_what_helps_at_no_price_is_said_to() -> None:
    problem = small(
        offers=(*small().offers, offer("slow", "1", 1)), columns=(*small().columns, column("slow", chat=0.1))
    )
    (told,) = breakeven(case(problem), (problem.offer("slow"),))
    assert told.text == "slow would not make the fleet better even at $0.000001 per hour."


def test_when_maximising_the_budget_decides() -> None:
    problem = replace(TOY, budget_usd_per_hour=Decimal(9))
    for told in breakeven(case(problem), asked_about(case(problem))):
        assert told.exact, told.text
        if " the fleet above $" in told.text or " the fleet below $" in told.text:
            assert told.usd_per_hour is not None
            one = problem.offer(told.subject)
            assert worth(problem, one, told.usd_per_hour * (1 - TOLERANCE) - Decimal("0.000001"))
            assert not worth(problem, one, told.usd_per_hour * (1 + TOLERANCE) + Decimal("0.000001"))


def worth(problem: Problem, one: PricedOffer, usd_per_hour: Decimal) -> bool:
    """Whether the offer at that price makes the best fleet better, by brute force."""
    offers = tuple(replace(o, usd_per_hour=usd_per_hour) if o.id == one.id else o for o in problem.offers)
    priced = replace(problem, offers=offers)
    without = replace(priced, columns=tuple(c for c in priced.columns if c.offer != one.id))
    if problem.mode is Mode.MIN_COST:
        return (oracle.cheapest(priced) or Decimal("Infinity")) < (
            oracle.cheapest(without) or Decimal("Infinity")
        )
    reached = case(without).solution.requests_per_second / problem.requests_per_second
    return oracle.some_fleet_serves(priced, oracle.Fraction(reached) * oracle.Fraction(1_000_010, 1_000_000))


def test_of_a_name_that_means_many_offers_the_nearest_are_told_and_how_many_are_not() -> None:
    dear = [offer(f"d{i:02}", f"{3 + i}", 1, provider="dear") for i in range(MOST_OFFERS + 3)]
    problem = small(
        offers=(*small().offers, *dear), columns=(*small().columns, *(column(o.id, chat=1.5) for o in dear))
    )
    *told, rest = breakeven_of(case(problem), "dear", frozenset(o.id for o in dear))
    assert [one.subject for one in told] == [o.id for o in dear[:MOST_OFFERS]]
    assert {one.usd_per_hour for one in told} == {told[0].usd_per_hour}
    assert rest.text.startswith("3 more offers of dear are farther from being worth their price")


def test_over_periods_a_price_counts_the_hours_and_starts_that_are_paid() -> None:
    problem = day()
    for told in breakeven(case(problem), problem.offers):
        assert told.exact, told.text
        price = told.usd_per_hour
        if price is None:
            continue
        without = look(
            replace(problem, columns=tuple(c for c in problem.columns if c.offer != told.subject)), 9.0
        )
        assert without.objective is not None
        for factor, is_worth in ((1 - TOLERANCE, True), (1 + TOLERANCE, False)):
            offers = tuple(
                replace(o, usd_per_hour=price * factor) if o.id == told.subject else o for o in problem.offers
            )
            found = look(replace(problem, offers=offers), 9.0)
            assert found.objective is not None
            assert (found.objective < without.objective * (1 - 3e-6)) is is_worth


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(tiny())
def test_a_break_even_price_is_one_by_brute_force(problem: Problem) -> None:
    problem = replace(problem, budget_usd_per_hour=None, provider_budgets_usd_per_hour={})
    assume(feasible(problem))
    asked = case(problem)
    for told in breakeven(asked, asked_about(asked)):
        if " the fleet above $" in told.text or " the fleet below $" in told.text:
            assert told.usd_per_hour is not None
            one = problem.offer(told.subject)
            assert worth(problem, one, told.usd_per_hour * (1 - TOLERANCE))
            assert not worth(problem, one, told.usd_per_hour * (1 + TOLERANCE))


@pytest.mark.parametrize("gpu", ["", "L4"])
def test_offers_without_a_use_are_not_asked_about(gpu: str) -> None:
    problem = small(offers=(*small().offers, offer("idle", "1", 1, gpu=gpu)))
    assert "idle" not in {o.id for o in asked_about(case(problem))}
