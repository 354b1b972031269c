"""Prices over time: one line a look, appended whole; a GPU's history out of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.catalog import tables
from hetops.domain.offer import Market, Offer, PriceBasis
from hetops.errors import DocumentError, HetopsError, UnknownNameError
from hetops.offers import record
from hetops.offers.history import history_of
from hetops.offers.listing import OfferListing
from hetops.offers.rank import Order, ranked
from tests.doubles.providers import NOW, list_offer, live_offer

GPUS = {g.name: g for g in tables.load().gpu_types}
ONE = live_offer("cloud", "one", "3.00")
EIGHT = live_offer("cloud", "eight", "20.00", gpu_count=8, zone="us-east-1a")
SPOT = live_offer("cloud", "one", "1.00", market=Market.SPOT)
OTHER = live_offer("other", "l4", "0.60", gpu="L4")


def listing(*offers: Offer, minutes: int = 0) -> OfferListing:
    return OfferListing(
        created_at=NOW + timedelta(minutes=minutes),
        coverage="",
        sources=(),
        offers=ranked(offers, GPUS, Order.NODE),
    )


def test_a_look_is_remembered_by_the_cheapest_of_each_gpu_provider_and_market() -> None:
    found = record.record_of(listing(ONE, EIGHT, SPOT, OTHER))
    assert [(p.gpu, p.provider, p.market, p.sku, p.place, p.offers) for p in found.points] == [
        ("H100-SXM", "cloud", Market.ON_DEMAND, "eight", "us-east-1a", 2),
        ("H100-SXM", "cloud", Market.SPOT, "one", "us-east-1", 1),
        ("L4", "other", Market.ON_DEMAND, "l4", "us-east-1", 1),
    ]
    assert found.points[0].usd_per_gpu_hour == Decimal("2.5")


def test_list_prices_and_twins_of_them_are_not_remembered() -> None:
    twin = replace(ONE, basis=PriceBasis.LIST, emulated=True)
    assert record.record_of(listing(list_offer("cloud"), twin)).points == ()


def test_looks_are_appended_and_read_in_the_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "prices.jsonl"
    looks = [record.record_of(listing(ONE, minutes=m)) for m in (5, 0)]
    for each in looks:
        record.append(path, each)
    assert record.read(path) == tuple(reversed(looks))


def test_a_torn_line_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "prices.jsonl"
    look = record.record_of(listing(ONE))
    record.append(path, look)
    path.write_bytes(path.read_bytes() + b'{"format": "hetops.offer-rec')
    record.append(path, look)
    assert record.read(path) == (look, look)


def test_a_file_that_is_no_record_or_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("milk\n")
    with pytest.raises(DocumentError, match="is no record of prices"):
        record.read(tmp_path / "notes")
    with pytest.raises(HetopsError, match="cannot be read"):
        record.read(tmp_path / "nothing")
    with pytest.raises(HetopsError, match="cannot be written"):
        record.append(tmp_path / "notes" / "below", record.record_of(listing(ONE)))


def test_a_history_has_a_series_for_each_seller_with_gaps_where_it_sold_nothing() -> None:
    records = [
        record.record_of(listing(*offers, minutes=m))
        for m, offers in enumerate([(ONE, SPOT), (ONE,), (ONE, SPOT, OTHER)])
    ]
    history = history_of("H100-SXM", records)
    assert history.looks == tuple(r.at for r in records)
    assert [(s.provider, s.market) for s in history.series] == [
        ("cloud", Market.ON_DEMAND),
        ("cloud", Market.SPOT),
    ]
    assert [p and p.usd_per_gpu_hour for p in history.series[1].points] == [1, None, 1]


def test_a_gpu_that_the_record_does_not_have_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        history_of("H100", [record.record_of(listing(ONE))])
    assert caught.value.hint == "did you mean 'H100-SXM'?"
