"""What changed between two looks: new, gone with the reason, another price, another stock; and what a silent source costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from hetops.catalog import tables
from hetops.domain.offer import Availability, AvailabilityState, Limits, Offer, QuotaShare
from hetops.offers.changes import Look, OfferChanges, nodes_left
from hetops.offers.listing import OfferListing
from hetops.offers.rank import Order, ranked
from hetops.offers.select import Reason, RefusedOffer
from hetops.offers.sources import SourceReport, SourceState
from tests.doubles.providers import NOW, list_offer, live_offer

GPUS = {g.name: g for g in tables.load().gpu_types}
A, B = live_offer("cloud", "a", "2.00"), live_offer("cloud", "b", "3.00", limits=Limits(max_count=3))


def listing(
    *offers: Offer, state: SourceState = SourceState.LIVE, detail: str = "", refused: tuple[Offer, ...] = ()
) -> OfferListing:
    source = SourceReport(provider="cloud", state=state, offers=len(offers), detail=detail)
    return OfferListing(
        created_at=NOW,
        coverage="as it was",
        sources=(source,),
        offers=ranked(offers, GPUS, Order.GPU),
        refused=tuple(RefusedOffer(offer=o, reason=Reason.NONE_LEFT, detail="none left") for o in refused),
    )


def after(*looks: OfferListing) -> OfferChanges:
    """What the last of the looks changed."""
    look = Look()
    for each in looks:
        look, changes = look.then(each)
    return changes


def test_of_the_first_look_everything_is_new() -> None:
    changes = after(listing(A, B))
    assert (changes.appeared, changes.count) == ((A, B), 2)


def test_the_same_again_is_no_change() -> None:
    assert after(listing(A, B), listing(B, A)).count == 0


def test_another_price_and_another_stock_are_told_with_what_they_were() -> None:
    dear = replace(A, usd_per_hour=Decimal("2.50"))
    fewer = replace(B, limits=Limits(max_count=1))
    changes = after(listing(A, B), listing(dear, fewer))
    (price,), (stock,) = changes.prices, changes.stock
    assert (price.offer, price.before, price.after) == (dear, 2, Decimal("2.50"))
    assert (stock.offer, stock.before, stock.after) == (fewer, 3, 1)
    assert changes.count == 2


def test_what_is_gone_says_why() -> None:
    changes = after(listing(A, B), listing(refused=(A,)))
    assert [(g.offer, g.reason) for g in changes.gone] == [(A, "none left"), (B, "not listed any more")]
    assert after(listing(A), listing(), listing(A)).appeared == (A,)


@pytest.mark.parametrize("stand_in", [(), (list_offer("cloud", "a"), list_offer("cloud", "c"))])
def test_a_source_that_refuses_takes_nothing_away_and_brings_nothing(stand_in: Any) -> None:
    silent = listing(*stand_in, state=SourceState.REFUSED, detail="no answer")
    assert after(listing(A, B), silent).count == 0
    dear = replace(A, usd_per_hour=Decimal(4))
    changes = after(listing(A, B), silent, listing(dear, B))
    assert [(p.before, p.after) for p in changes.prices] == [(2, 4)], "held against the last that it told"
    assert changes.count == 1


def test_what_a_source_that_failed_in_part_does_not_tell_is_not_gone() -> None:
    half = listing(A, detail="eu-west-1 refused")
    assert after(listing(A, B), half).count == 0
    assert [g.offer for g in after(listing(A, B), half, listing(A)).gone] == [B]


def test_nodes_left_is_the_tighter_of_stock_and_quota_and_unknown_is_never_many() -> None:
    quota = Limits(max_count=9, quotas=(QuotaShare(group="g", left=10, per_node=4),))
    gone = Availability(state=AvailabilityState.NONE)
    assert nodes_left(A) is None
    assert nodes_left(replace(A, limits=Limits(max_count=5))) == 5
    assert nodes_left(replace(A, limits=quota)) == 2
    assert nodes_left(replace(A, limits=quota, availability=gone)) == 0
