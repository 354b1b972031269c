"""Every offer is chosen or refused with a reason; what is unknown about an offer never satisfies a rule."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetops.catalog import tables
from hetops.domain.offer import Availability, AvailabilityState, Limits, Market, Offer, QuotaShare
from hetops.errors import UsageError
from hetops.offers.select import (
    GpuWanted,
    OfferRules,
    Reason,
    Selection,
    StalePrices,
    parse_gpu,
    select,
)
from tests.doubles.providers import NOW, list_offer, live_offer

GPUS = frozenset({"H100-SXM", "L4", "CPU"})


def chosen(*offers: Offer, listed: tuple[Offer, ...] = (), **rules: Any) -> Selection:
    return select(offers, OfferRules(**rules), now=NOW, gpus=GPUS, list_prices=listed)


SOLD_OUT = Availability(state=AvailabilityState.NONE)
ROOM = QuotaShare(group="anywhere", left=64, per_node=8, unit="GPUs")
QUOTA = Limits(quotas=(ROOM, QuotaShare(group="gpus", left=3, per_node=8, unit="GPUs")))


@pytest.mark.parametrize(
    ("fields", "rules", "reason", "detail"),
    [
        ({"gpu": "X900"}, {}, Reason.UNKNOWN_GPU, "the catalogue does not know the GPU type X900"),
        ({}, {"providers": ("b",)}, Reason.PROVIDER, "not a provider asked for"),
        ({}, {"gpus": (GpuWanted(gpu="L4"),)}, Reason.GPU, "not a GPU type asked for"),
        ({}, {"gpus": (GpuWanted(gpu="H100-SXM", count=8),)}, Reason.GPU, "a node has 1 H100-SXM"),
        ({}, {"regions": ("eu-*",)}, Reason.REGION, "not in a region asked for"),
        ({"region": "any"}, {"regions": ("eu-*",)}, Reason.REGION, "its region is not known"),
        ({}, {"markets": (Market.SPOT,)}, Reason.MARKET, "on the market on_demand"),
        ({}, {"max_usd_per_gpu_hour": Decimal("2.99")}, Reason.PRICE, "dearer than 2.99 usd_per_gpu_hour"),
        ({}, {"exclude": ("one-*",)}, Reason.EXCLUDED, "excluded by 'one-*'"),
        ({}, {"exclude": ("a/us-east-1/one-h100/on_demand",)}, Reason.EXCLUDED, "excluded by"),
        ({"availability": SOLD_OUT}, {}, Reason.NONE_LEFT, "none left"),
        ({"limits": Limits(max_count=0)}, {}, Reason.NONE_LEFT, "none left"),
        ({"limits": QUOTA}, {}, Reason.QUOTA, "3 GPUs left of quota gpus"),
        ({"observed_at": NOW - timedelta(hours=1)}, {"stale": StalePrices.REFUSE}, Reason.STALE, "300 s it holds"),
    ],
)  # fmt: skip
def test_an_offer_that_breaks_a_rule_is_refused_with_the_reason(fields, rules, reason, detail) -> None:
    offer = live_offer("a", **fields)
    found = chosen(offer, **rules)
    assert found.offers == ()
    (refused,) = found.refused
    assert (refused.offer, refused.reason) == (offer, reason)
    assert detail in refused.detail
    assert found.refusals[0].subject == "offers of a"


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"gpus": (GpuWanted(gpu="H100-SXM"),)},
        {"gpus": (GpuWanted(gpu="H100-SXM", count=8), GpuWanted(gpu="H100-SXM", count=1))},
        {"regions": ("us-*",)},
        {"regions": ("us-east-1b",)},
        {"markets": (Market.SPOT, Market.ON_DEMAND)},
        {"max_usd_per_gpu_hour": Decimal(3)},
        {"exclude": ("other",)},
        {"providers": ("a",)},
    ],
)
def test_an_offer_that_meets_the_rules_is_chosen(rules) -> None:
    offer = live_offer("a", zone="us-east-1b")
    assert chosen(offer, **rules).offers == (offer,)


def test_a_price_limit_counts_per_gpu_with_extras_and_without_rounding() -> None:
    third = live_offer("a", usd_per_hour="0.98", gpu_count=3, extra_usd_per_hour=Decimal("0.02"))
    assert chosen(third, max_usd_per_gpu_hour=Decimal("0.3333")).offers == ()
    assert chosen(third, max_usd_per_gpu_hour=Decimal("0.3334")).offers == (third,)


@pytest.mark.parametrize(
    ("price", "plausible"), [("0.30", False), ("0.31", True), ("29.99", True), ("30.00", False)]
)
def test_a_live_price_ten_times_off_its_list_price_is_refused(price: str, plausible: bool) -> None:
    offer = live_offer("a", usd_per_hour=price)
    found = chosen(offer, listed=(list_offer("a", usd_per_hour="3.00"),))
    assert bool(found.offers) is plausible
    if not plausible:
        assert found.refused[0].detail == f"{price} usd_per_hour is 10 times off the list price of 3.00"


@pytest.mark.parametrize(
    ("price", "plausible"), [("0.15", False), ("0.16", True), ("29.99", True), ("30.00", False)]
)
def test_a_spot_price_nobody_listed_is_held_against_the_on_demand_price(price: str, plausible: bool) -> None:
    offer = live_offer("a", usd_per_hour=price, market=Market.SPOT)
    listed = (list_offer("a", usd_per_hour="3.00"),)
    assert bool(chosen(offer, listed=listed).offers) is plausible
    its_own = list_offer("a", usd_per_hour="1.00", market=Market.SPOT)
    assert chosen(live_offer("a", usd_per_hour="0.15", market=Market.SPOT), listed=(*listed, its_own)).offers


def test_a_price_is_held_against_the_list_price_of_the_same_thing_only() -> None:
    listed = (
        list_offer("b", usd_per_hour="99"),
        list_offer("a", usd_per_hour="99", market=Market.SPOT),
        list_offer("a", usd_per_hour="99", sku="else", gpu="L4"),
    )
    assert len(chosen(live_offer("a"), listed=listed).offers) == 1


@pytest.mark.parametrize(
    ("price", "plausible"), [("0.60", False), ("0.61", True), ("79.99", True), ("80.00", False)]
)
def test_a_machine_nobody_listed_is_held_against_others_with_the_same_gpus(
    price: str, plausible: bool
) -> None:
    """Else a wrong price of one GPU would be found out in one machine and planned with in the next."""
    listed = (
        list_offer("a", usd_per_hour="3.00"),
        list_offer("a", usd_per_hour="32.00", sku="eight", gpu_count=8),
    )
    found = chosen(live_offer("a", usd_per_hour=price, sku="two", gpu_count=2), listed=listed)
    assert bool(found.offers) is plausible
    if price == "0.60":
        assert found.refused[0].detail == "0.30 USD for a H100-SXM is 10 times off its list price of 3.00"


def test_stale_prices_are_planned_with_and_said() -> None:
    old = live_offer("a", observed_at=NOW - timedelta(hours=1))
    found = chosen(old, live_offer("b"))
    assert len(found.offers) == 2
    assert found.warnings == ("1 price of a are older than they hold: ask again before `up`",)


def test_of_an_offer_told_twice_the_cheaper_counts() -> None:
    cheap, dear = live_offer("a", usd_per_hour="2"), live_offer("a", usd_per_hour="3")
    found = chosen(dear, cheap)
    assert found.offers == (cheap,)
    assert [(r.offer, r.reason) for r in found.refused] == [(dear, Reason.DOUBLE)]


def test_rules_that_no_offer_meets_are_pointed_out_with_the_nearest_name() -> None:
    found = chosen(
        live_offer("a"),
        regions=("us-east1",),
        gpus=(GpuWanted(gpu="L4"), GpuWanted(gpu="H100-SXM", count=8)),
        exclude=("one-h10",),
    )
    assert found.warnings == (
        "no offer is in region 'us-east1'; did you mean 'us-east-1'?",
        "nobody offers L4",
        "nobody offers H100-SXM in nodes of 8",
        "'one-h10' excludes nothing; did you mean 'one-h100'?",
    )


def test_like_refusals_are_told_together() -> None:
    found = chosen(*(live_offer("a", sku=f"s{i}", gpu="L4") for i in range(3)), live_offer("b"),
                   gpus=(GpuWanted(gpu="CPU"),))  # fmt: skip
    assert [(r.subject, r.reason, r.count) for r in found.refusals] == [
        ("offers of a", "not a GPU type asked for", 3),
        ("offers of b", "not a GPU type asked for", 1),
    ]


OFFERS = st.lists(
    st.builds(
        live_offer,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["s", "t"]),
        st.sampled_from(["0.5", "1", "2.25"]),
        gpu=st.sampled_from(["H100-SXM", "L4", "X900"]),
        gpu_count=st.sampled_from([1, 8]),
        region=st.sampled_from(["us", "eu", "any"]),
        market=st.sampled_from(list(Market)),
    ),
    max_size=12,
)
RULES = st.builds(
    OfferRules,
    gpus=st.sampled_from([(), (GpuWanted(gpu="L4"),), (GpuWanted(gpu="H100-SXM", count=8),)]),
    regions=st.sampled_from([(), ("us",), ("e*",)]),
    markets=st.sampled_from([(), (Market.SPOT,)]),
    max_usd_per_gpu_hour=st.sampled_from([None, Decimal(1)]),
    exclude=st.sampled_from([(), ("s",)]),
)


@given(OFFERS, RULES)
def test_every_offer_is_chosen_or_refused_and_order_does_not_count(offers, rules) -> None:
    found = select(offers, rules, now=NOW, gpus=GPUS)
    back = select(offers[::-1], rules, now=NOW, gpus=GPUS)
    assert len(found.offers) + len(found.refused) == len(offers)
    assert found.offers == back.offers
    assert len({o.id for o in found.offers}) == len(found.offers)


@given(OFFERS, RULES)
def test_a_rule_never_adds_an_offer(offers, rules) -> None:
    free = {o.id for o in select(offers, OfferRules(), now=NOW, gpus=GPUS).offers}
    assert {o.id for o in select(offers, rules, now=NOW, gpus=GPUS).offers} <= free


@pytest.mark.parametrize(
    ("asked", "covered"),
    [
        ("H100", {"H100-SXM", "H100-PCIe", "H100-NVL"}),
        ("h100-sxm", {"H100-SXM"}),
        ("L40", {"L40"}),
        ("A100-80GB", {"A100-80GB-SXM", "A100-80GB-PCIe"}),
        ("H10", set()),
    ],
)
def test_a_family_is_all_of_its_forms_and_no_other_gpu(asked: str, covered: set[str]) -> None:
    names = {g.name for g in tables.load().gpu_types}
    assert {name for name in names if parse_gpu(asked).covers(name)} == covered


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("H100-SXM", GpuWanted(gpu="H100-SXM")), (" H100-SXM:8 ", GpuWanted(gpu="H100-SXM", count=8))],
)
def test_a_gpu_may_be_asked_for_with_its_number(text: str, wanted: GpuWanted) -> None:
    assert parse_gpu(text) == wanted


@pytest.mark.parametrize("text", ["", ":8", "L4:", "L4:0", "L4:-1", "L4:x", "L4:1:2", "L4:²"])
def test_a_gpu_with_an_impossible_number_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is no GPU type"):
        parse_gpu(text)
