"""Equal offers in line: what is searched for as one offer gives the answer of searching for each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.errors import TimeoutExpiredError
from hetops.solver.bands import Bands, search_in_bands, too_late
from hetops.solver.certify import certify
from hetops.solver.problem import Column, Mode, PricedOffer, Problem, QuotaGroup
from hetops.solver.solution import Ended, Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Billing, Link, Loss, Migration, Period, Running, ShareLimit, Trait
from tests.solver.oracle import cheapest
from tests.solver.problems import PRICES, RATES, column, demands, offer

some = settings(max_examples=60, deadline=None)


@st.composite
def lines(draw: st.DrawFn, *, mode: Mode = Mode.MIN_COST) -> Problem:
    """Two kinds of nodes, each on up to four offers at different prices."""
    offers: list[PricedOffer] = []
    columns: list[Column] = []
    for kind in "ab":
        rates = {"x": draw(RATES), "y": draw(RATES)}
        for i in range(draw(st.integers(1, 4))):
            quota = draw(st.sampled_from("01")) if kind == "a" else "0"
            offers.append(
                offer(
                    f"{kind}{i}",
                    draw(PRICES),
                    draw(st.integers(0, 2)),
                    f"p{draw(st.integers(0, 1))}",
                    q=quota,
                )
            )
            columns.append(column(f"{kind}{i}", kind, **rates))
    providers = {o.provider for o in offers}
    return Problem(
        mode=mode,
        offers=tuple(offers),
        configurations=("a", "b"),
        classes=demands(x=draw(st.sampled_from((0.5, 2.0, 4.0))), y=draw(st.sampled_from((0.0, 1.0, 2.5)))),
        columns=tuple(columns),
        quota_groups=(QuotaGroup(id="q", limit=Decimal(draw(st.integers(0, 4)))),),
        budget_usd_per_hour=draw(st.sampled_from((None, Decimal(4), Decimal("7.5")))),
        provider_budgets_usd_per_hour={"p0": Decimal(3)} if "p0" in providers and draw(st.booleans()) else {},
        max_pools=draw(st.sampled_from((None, 2, 3))),
        usd_per_pool_hour=draw(st.sampled_from((Decimal(0), Decimal(0), Decimal("0.4"), Decimal(2)))),
        gap=0.0,
    )


def one_by_one(problem: Problem) -> Solution | Infeasible:
    """The answer where a quota of its own, never reached, tells every offer apart."""
    groups = tuple(QuotaGroup(id=o.id, limit=Decimal(99)) for o in problem.offers)
    offers = tuple(replace(o, quota_per_node={**o.quota_per_node, o.id: Decimal(1)}) for o in problem.offers)
    apart = replace(problem, offers=offers, quota_groups=(*problem.quota_groups, *groups))
    assert Bands.of(apart).waiting == 0
    return solve(apart)


@some
@given(lines())
def test_the_cost_in_bands_is_that_of_brute_force(problem: Problem) -> None:
    found = solve(problem)
    assert (found.usd_per_hour if isinstance(found, Solution) else None) == cheapest(problem)


def like(line: int, *, price: float = 1.0, step: float = 0.01, stock: int | None = 2) -> Problem:
    """So many equal offers, the next always a little dearer, for a demand that takes five nodes."""
    return Problem(
        offers=tuple(
            offer(f"o{i:03}", f"{price + step * i:.4f}", stock, provider=f"p{i}") for i in range(line)
        ),
        configurations=("tp1",),
        classes=demands(chat=10.0),
        columns=tuple(column(f"o{i:03}", chat=2.0) for i in range(line)),
        gap=0.0,
    )


def test_nobody_rents_from_the_second_before_the_first_is_rented_out() -> None:
    found = solve(like(40))
    assert isinstance(found, Solution)
    assert found.nodes == {("o000", "tp1"): 2, ("o001", "tp1"): 2, ("o002", "tp1"): 1}
    assert certify(like(40), found) == ()
    assert found.gap == 0


def test_a_line_is_one_offer_for_the_search() -> None:
    bands = Bands.of(like(40))
    assert bands.waiting == 39
    (only,) = bands.searched.offers
    assert (only.id, only.max_nodes) == ("o000", 80)


def test_stock_that_nobody_knows_counts_as_assumed_and_is_named() -> None:
    problem = replace(like(3, stock=None), assumed_max_nodes=2)
    found = solve(problem)
    assert isinstance(found, Solution)
    assert found.assumed_offers == ("o000", "o001", "o002")
    assert certify(problem, found) == ()


def test_of_them_one_that_is_paid_for_and_runs_nothing_is_named_too() -> None:
    four = replace(like(4, stock=None), assumed_max_nodes=9)
    dear = replace(four.offers[3], usd_per_hour=Decimal(9), billing=Billing.RESERVED, committed_nodes=1)
    worse = (*four.columns[:3], column("o003", chat=0.01))
    problem = replace(four, offers=(*four.offers[:3], dear), columns=worse)
    assert Bands.of(problem).waiting > 0
    found = solve(problem)
    assert isinstance(found, Solution)
    assert "o003" not in {pool.offer for pool in found.pools}
    assert found.assumed_offers == ("o000", "o003")
    assert certify(problem, found) == ()


@pytest.mark.parametrize(
    "told_apart",
    [
        lambda p: replace(p, columns=(column("o000", chat=2.5), *p.columns[1:])),
        lambda p: replace(
            p,
            quota_groups=(QuotaGroup(id="q", limit=Decimal(9)),),
            offers=(replace(p.offers[0], quota_per_node={"q": Decimal(1)}), *p.offers[1:]),
        ),
        lambda p: replace(p, provider_budgets_usd_per_hour={"p0": Decimal(9)}),
    ],
    ids=["rates", "quota", "provider's budget"],
)
def test_what_the_search_may_tell_apart_is_in_no_line(told_apart: Callable[[Problem], Problem]) -> None:
    problem = told_apart(like(4))
    assert Bands.of(problem).waiting == 2
    assert Bands.of(problem, apart=("o003",)).waiting == 1


@settings(max_examples=40, deadline=None)
@given(lines(), st.sampled_from((0.5, 0.9, 1.0)), st.booleans())
def test_a_fleet_that_bears_the_loss_of_any_offer_is_that_of_searching_for_each(
    problem: Problem, kept_share: float, zones: bool
) -> None:
    losses = (Loss(id="any offer", trait=Trait.OFFER, kept_share=kept_share),)
    other = (Loss(id="any provider", trait=Trait.PROVIDER, kept_share=0.2),) if zones else ()
    problem = replace(problem, max_pools=None, losses=(*losses, *other))
    found, apart = solve(problem), one_by_one(problem)
    assert isinstance(found, Infeasible) == isinstance(apart, Infeasible)
    if isinstance(found, Solution) and isinstance(apart, Solution):
        assert found.objective == pytest.approx(apart.objective)
        assert certify(problem, found) == ()
        assert {one.name for one in found.losses} <= {s.name for s in problem.scenarios}


ZONES = ("north", "north", "south", "south", "")


def test_work_waits_after_a_loss_as_before_and_offers_in_line_take_nothing() -> None:
    """At night nothing comes, so two nodes serve all of it day and night; of unlike offers, for either may be lost with half kept."""
    offers = [offer(f"a{i}", f"1.{i}", 2) for i in range(9)]
    classes = tuple(replace(c, deadline_hours=24.0) for c in demands(x=4.0))
    problem = Problem(
        offers=tuple(offers),
        configurations=("tp1",),
        classes=classes,
        columns=tuple(column(o.id, x=1.0) for o in offers),
        losses=(Loss(id="any", trait=Trait.OFFER, kept_share=0.5),),
        periods=(
            Period(name="day", hours=12.0),
            Period(name="night", hours=12.0, requests_per_second={"x": 0.0}),
        ),
        gap=0.0,
    )
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    assert outcome.objective == pytest.approx(2.1)
    assert {one.name for one in outcome.losses} >= {"any: a0", "any: a1"}
    apart = one_by_one(problem)
    assert isinstance(apart, Solution)
    assert outcome.objective == pytest.approx(apart.objective)


@pytest.mark.parametrize(
    ("terms", "waiting"),
    [
        ({}, 4),
        ({"losses": (Loss(id="any zone", trait=Trait.ZONE, kept_share=0.5),)}, 2),
        ({"losses": (Loss(id="any offer", trait=Trait.OFFER, kept_share=0.5),)}, 4),
        ({"losses": (Loss(id="one", trait=Trait.OFFER, values=("o001",), kept_share=0.5),)}, 0),
        ({"share_limits": (ShareLimit(id="south", trait=Trait.ZONE, values=("south",), at_most=0.5),)}, 2),
        ({"share_limits": (ShareLimit(id="spot", trait=Trait.MARKET, values=("spot",), at_most=0.5),)}, 4),
        ({"migration": Migration(running=(Running(offer="o002", configuration="tp1", nodes=1),))}, 3),
        ({"links": (Link(source="o000", target="o001"),)}, 2),
    ],
    ids=[
        "nothing",
        "a zone lost",
        "any offer lost",
        "one offer lost",
        "share of a zone",
        "share of a market",
        "running nodes",
        "links",
    ],
)
def test_offers_that_terms_tell_apart_or_name_are_in_no_line(terms: dict[str, object], waiting: int) -> None:
    five = like(5)
    offers = tuple(replace(o, zone=zone, market="spot") for o, zone in zip(five.offers, ZONES, strict=True))
    problem = replace(five, offers=offers, **terms)  # type: ignore[arg-type]
    assert Bands.of(problem).waiting == waiting


def test_each_period_rents_the_cheapest_of_a_line_first() -> None:
    night, day = (
        Period(name=n, hours=12.0, requests_per_second={"chat": r})
        for n, r in (("night", 4.0), ("day", 10.0))
    )
    problem = replace(like(40), periods=(night, day))
    found = solve(problem)
    assert isinstance(found, Solution)
    assert certify(problem, found) == ()
    assert found.nodes == {("o000", "tp1"): 2, ("o001", "tp1"): 2, ("o002", "tp1"): 1}
    assert float(found.usd_per_hour) == pytest.approx((2.0 + 2.0 + 2 * 1.01 + 1.02) / 2)


def test_the_loss_of_a_zone_costs_in_bands_what_it_costs_offer_by_offer() -> None:
    problem = replace(
        like(12, stock=1),
        losses=(Loss(id="any zone", trait=Trait.ZONE, kept_share=0.8),),
        offers=tuple(replace(o, zone="nsew"[i % 4]) for i, o in enumerate(like(12, stock=1).offers)),
    )
    banded, whole = solve(problem), one_by_one(problem)
    assert isinstance(banded, Solution)
    assert isinstance(whole, Solution)
    assert certify(problem, banded) == ()
    assert banded.usd_per_hour == whole.usd_per_hour > Decimal(5)


def test_an_offer_that_must_be_rented_is_rented_for_its_own_price() -> None:
    found = solve(like(40), must_rent=("o039",))
    assert isinstance(found, Solution)
    assert found.nodes["o039", "tp1"] == 1
    assert found.usd_per_hour == 2 * Decimal(1) + 2 * Decimal("1.01") + Decimal("1.39")


def test_reserved_offers_wait_in_a_line_of_their_own() -> None:
    """The first of the line is paid for as a whole, night and day, as long as it suffices; the next is rented beside it."""
    four = like(4, price=1.0)
    reserved = (
        replace(four.offers[1], billing=Billing.RESERVED),
        replace(four.offers[2], billing=Billing.RESERVED),
    )
    night, day = (
        Period(name=n, hours=12.0, requests_per_second={"chat": r})
        for n, r in (("night", 6.0), ("day", 10.0))
    )
    problem = replace(four, offers=(four.offers[0], *reserved, four.offers[3]), periods=(night, day), gap=0.0)
    assert Bands.of(problem).waiting == 2
    found = solve(problem)
    apart = one_by_one(problem)
    assert isinstance(found, Solution)
    assert isinstance(apart, Solution)
    assert certify(problem, found) == ()
    assert found.usd_per_hour == apart.usd_per_hour


def test_a_line_without_enough_nodes_serves_nobody() -> None:
    problem = like(2)
    found = solve(problem)
    assert isinstance(found, Infeasible)
    assert found.problem_digest


def test_a_search_that_runs_out_of_time_still_answers_with_real_offers() -> None:
    problem = like(40)

    def hasty(part: Problem, seconds: float) -> Solution | Infeasible:
        found = solve(part, limit_seconds=seconds)
        assert isinstance(found, Solution)
        return replace(found, ended=Ended.TIME, within_gap=False)

    found = search_in_bands(problem, hasty, limit_seconds=5.0)
    assert isinstance(found, Solution)
    assert found.nodes == {("o000", "tp1"): 2, ("o001", "tp1"): 2, ("o002", "tp1"): 1}
    assert certify(problem, found) == ()
    assert found.bound == 5.0, "five nodes at the price of the cheapest"
    assert (found.ended, found.within_gap) == (Ended.TIME, False)


def test_what_parts_of_nodes_rent_of_a_band_leaves_it_before_the_first_search() -> None:
    problem = like(40)
    seen: list[Problem] = []

    def in_parts(part: Problem, seconds: float) -> dict[str, int]:
        assert seconds > 0
        left = 5
        return {o.id: min(left - 2 * i, part.max_nodes(o)) for i, o in enumerate(part.offers) if left > 2 * i}

    def search(part: Problem, seconds: float) -> Solution | Infeasible:
        seen.append(part)
        return solve(part, limit_seconds=seconds)

    found = search_in_bands(problem, search, limit_seconds=30.0, in_parts=in_parts)
    assert isinstance(found, Solution)
    assert found.nodes == {("o000", "tp1"): 2, ("o001", "tp1"): 2, ("o002", "tp1"): 1}
    (only,) = seen
    assert [o.id for o in only.offers] == ["o000", "o001", "o002", "o003"]


def test_a_search_without_a_limit_of_time_gives_all_of_it_to_each_search_and_says_how_long_it_took() -> None:
    given: list[float] = []

    def search(part: Problem, seconds: float) -> Solution | Infeasible:
        given.append(seconds)
        return solve(part)

    outcome = search_in_bands(like(40), search, limit_seconds=math.inf)
    assert isinstance(outcome, Solution)
    assert set(given) == {math.inf}
    assert 0 <= outcome.solve_seconds < 60


def test_time_that_suffices_for_no_real_fleet_is_told() -> None:
    problem = replace(like(40, step=0.5), budget_usd_per_hour=Decimal(6))

    def hasty(part: Problem, seconds: float) -> Solution | Infeasible:
        found = solve(part, limit_seconds=seconds)
        return replace(found, ended=Ended.TIME) if isinstance(found, Solution) else found

    with pytest.raises(TimeoutExpiredError, match="no fleet was found within 5 s"):
        search_in_bands(problem, hasty, limit_seconds=5.0)


def test_a_loose_search_that_finds_no_fleet_in_its_part_of_the_time_leaves_the_rest_for_one() -> None:
    offers = tuple(offer(f"a{i}", f"1.{i}", 2) for i in range(9))
    problem = Problem(
        offers=offers,
        configurations=("tp1",),
        classes=demands(x=3.0),
        columns=tuple(column(o.id, x=1.0) for o in offers),
        losses=(Loss(id="any", trait=Trait.OFFER, kept_share=0.5),),
        gap=0.0,
    )
    given: list[float] = []

    def slow(part: Problem, seconds: float) -> Solution | Infeasible:
        given.append(part.gap)
        if part.gap > 0:
            raise too_late(seconds)
        return solve(part, limit_seconds=seconds)

    found = search_in_bands(problem, slow, limit_seconds=30.0)
    assert isinstance(found, Solution)
    assert (given[0], set(given[1:])) == (0.01, {0.0})

    def slower(_: Problem, seconds: float) -> Solution | Infeasible:
        raise too_late(seconds)

    with pytest.raises(TimeoutExpiredError, match="no fleet was found within 30 s"):
        search_in_bands(problem, slower, limit_seconds=30.0)


@some
@given(lines(mode=Mode.MAX_THROUGHPUT))
def test_the_rate_in_bands_is_that_of_every_offer_apart(problem: Problem) -> None:
    banded, whole = solve(problem), one_by_one(problem)
    assert type(banded) is type(whole)
    if isinstance(banded, Solution) and isinstance(whole, Solution):
        assert banded.requests_per_second == pytest.approx(whole.requests_per_second, rel=1e-6)
