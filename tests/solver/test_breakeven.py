"""Break-even prices: just below the offer is worth it and just above it is not, by brute force."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings

from hetops.domain.offer import Trait
from hetops.solver.problem import Mode, PricedOffer, Problem
from hetops.solver.questions.breakeven import MOST_OFFERS, TOLERANCE, asked_about, breakeven, breakeven_of
from hetops.solver.questions.exact import Change, Found, look
from hetops.solver.questions.goods import of_offer, of_service
from hetops.solver.questions.why import Case
from hetops.solver.rows.supply import SMALLEST_UNIT
from hetops.solver.terms import Loss, Service
from tests.solver import oracle
from tests.solver.problems import TOY, column, demands, offer, small, tiny
from tests.solver.termed import DAY_AND_NIGHT, RESERVED, at, one
from tests.solver.test_why import case, day, feasible


def with_third() -> Problem:
    """`small` with an offer that is too dear to be in."""
    third = offer("third", "3", 2, gpu="L4")
    return small(
        offers=(*small().offers, third), columns=(*small().columns, column("third", chat=2.0, code=1.0))
    )


def test_what_is_asked_about_is_the_fleet_and_the_best_of_each_other_gpu_type() -> None:
    assert [one.id for one in asked_about(case(with_third()))] == ["cheap", "fast", "third"]


def test_an_offer_enters_below_the_price_of_what_it_replaces() -> None:
    problem = with_third()
    (told,) = breakeven(case(problem), (of_offer(problem.offer("third")),))
    assert told.usd_per_hour == 1
    assert told.text == (
        "third enters the fleet below $1.00 per hour (66.7 % below its price now, $3.00 per hour; within 0.1 %)."
    )
    assert (told.before, told.after) == (4.999, 5.0)


def test_an_offer_leaves_above_the_price_at_which_the_next_best_costs_the_same() -> None:
    (told,) = breakeven(case(small()), (of_offer(small().offer("cheap")),))
    assert told.usd_per_hour == 4
    assert "leaves the fleet above $4.00 per hour (300.0 % above its price now, $1.00 per hour" in told.text


def test_what_cannot_be_done_without_is_in_at_any_price() -> None:
    (told,) = breakeven(case(small()), (of_offer(small().offer("fast")),))
    assert told.text == "fast is in the fleet at any price: no fleet was found without it."
    assert told.after is None


def test_what_helps_at_no_price_is_said_to() -> None:
    problem = small(
        offers=(*small().offers, offer("slow", "1", 1)), columns=(*small().columns, column("slow", chat=0.1))
    )
    (told,) = breakeven(case(problem), (of_offer(problem.offer("slow")),))
    assert told.text == "slow would not make the fleet better however low its price."


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
    for told in breakeven(case(problem), tuple(of_offer(o) for o in problem.offers)):
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
            inside = max((told.usd_per_hour * (1 - TOLERANCE)).quantize(SMALLEST_UNIT), SMALLEST_UNIT)
            for price, cost in ((inside, told.before), (told.usd_per_hour, told.after)):
                assert cost == pytest.approx(float(cheapest_at(problem, one, price)), rel=2e-6)


def cheapest_at(problem: Problem, one: PricedOffer, usd_per_hour: Decimal) -> Decimal:
    """The least cost with the offer at that price, by brute force."""
    offers = tuple(replace(o, usd_per_hour=usd_per_hour) if o.id == one.id else o for o in problem.offers)
    return oracle.cheapest(replace(problem, offers=offers)) or Decimal("Infinity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Case):
    """A case that keeps what it is asked."""

    asked: list[Change]

    def ask(self, change: Change, *, about: Collection[str] = (), must_rent: Collection[str] = ()) -> Found:
        """As `Case.ask`."""
        self.asked.append(change)
        return Case.ask(self, change, about=about, must_rent=must_rent)


@pytest.mark.parametrize(("budget", "searches"), [(None, 2), (Decimal(9), 3)])
def test_the_cost_between_two_prices_is_not_searched_for_where_one_fleet_is_best_at_both(
    budget: Decimal | None, searches: int
) -> None:
    """Of a budget a higher price leaves less: then what is best at both may be no fleet between."""
    problem, asked = replace(with_third(), budget_usd_per_hour=budget), list[Change]()
    about = case(problem)
    counted = Counted(problem=problem, solution=about.solution, front=about.front, asked=asked)
    (told,) = breakeven(counted, (of_offer(problem.offer("third")),))
    assert (told.before, told.after) == (4.999, 5.0)
    assert len(asked) == searches


@pytest.mark.parametrize("gpu", ["", "L4"])
def test_offers_without_a_use_are_not_asked_about(gpu: str) -> None:
    problem = small(offers=(*small().offers, offer("idle", "1", 1, gpu=gpu)))
    assert "idle" not in {o.id for o in asked_about(case(problem))}


def beside_a_service(usd_per_request: str, **terms: object) -> Problem:
    """Two nodes and a tenth of a request per second, which a third node would serve for a dollar."""
    api = Service(id="api", usd_per_request={"chat": Decimal(usd_per_request)}, **terms)  # type: ignore[arg-type]
    return replace(one(offer("o", "1"), chat=2.1), services=(api,))


@pytest.mark.parametrize(
    ("price", "verb"), [("0.0005", "leaves the fleet above"), ("0.005", "enters the fleet below")]
)
def test_a_service_is_worth_what_the_node_costs_that_it_saves(price: str, verb: str) -> None:
    problem = beside_a_service(price)
    told, node = breakeven(case(problem), asked_about(case(problem)))
    assert told.text.startswith(f"api {verb} $0.002778 a request of chat (")
    assert told.usd_per_hour is None
    assert node.subject == "o"
    for factor, is_worth in ((Decimal("0.999"), True), (Decimal("1.001"), False)):
        priced = beside_a_service(str(Decimal(1) / 360 * factor))
        assert (case(priced).solution.objective < 3.0 - 1e-9) is is_worth


def test_of_services_alone_each_is_worth_what_the_next_one_costs() -> None:
    prices = {"a": "0.001", "b": "0.002"}
    services = tuple(Service(id=name, usd_per_request={"chat": Decimal(usd)}) for name, usd in prices.items())
    problem = Problem(offers=(), configurations=(), classes=demands(chat=1.0), columns=(), services=services)
    first, second = (s.text for s in breakeven(case(problem), asked_about(case(problem))))
    assert first.startswith("a leaves the fleet above $0.002 a request of chat (100.0 % above its price now")
    assert second.startswith("b enters the fleet below $0.001 a request of chat (50.0 % below its price now")


def test_a_service_that_only_stands_by_is_worth_any_price() -> None:
    """Were the node lost, all would go to the service, or to a node of the dear offer."""
    losable = replace(
        beside_a_service("9"),
        offers=(offer("o", "1"), offer("d", "4")),
        columns=(column("o", chat=3.0), column("d", chat=3.0)),
        losses=(Loss(id="o", trait=Trait.OFFER, values=("o",)),),
    )
    (told,) = breakeven(case(losable), (of_service(losable.services[0]),))
    assert told.text == "api makes the fleet better at any price."
    assert (told.before, told.after) == (1.0, 4.0)


def test_what_is_paid_for_anyway_has_no_break_even_price() -> None:
    problem = replace(
        one(at(RESERVED, committed_nodes=3), offer("o", "1", 9), chat=1.0), periods=DAY_AND_NIGHT
    )
    (told,) = breakeven(case(problem), (of_offer(problem.offer("reserved")),))
    assert told.text == "reserved has no break-even price: 3 nodes of it are paid for, used or not."


def test_a_price_at_which_a_budget_leaves_no_room_is_halved_to() -> None:
    """In one pool, four cheap nodes for at most 6 dollars: above 1.5 each they are out, though four dear ones cost 16."""
    problem = replace(
        one(offer("cheap", "1"), chat=4.0),
        max_pools=1,
        provider_budgets_usd_per_hour={"acme": Decimal(6)},
        offers=(offer("cheap", "1"), offer("dear", "4", provider="other")),
        columns=(column("cheap", chat=1.0), column("dear", chat=1.0)),
    )
    (told,) = breakeven(case(problem), (of_offer(problem.offer("cheap")),))
    assert told.usd_per_hour is not None
    assert told.exact
    assert (told.before, told.after) == (pytest.approx(6.0, rel=1e-3), 16.0)
