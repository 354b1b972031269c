"""Offers as text and JSON: every price with where it comes from, every refusal with its reason."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hetops.catalog import tables
from hetops.domain import codec
from hetops.domain.offer import Availability, AvailabilityState, Limits, Offer, PriceBasis, QuotaShare
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind
from hetops.offers.changes import ChangedPrice, ChangedStock, GoneOffer, OfferChanges
from hetops.offers.history import PriceHistory, history_of
from hetops.offers.listing import OfferListing
from hetops.offers.rank import Order, ranked
from hetops.offers.record import record_of
from hetops.offers.select import Reason, RefusedOffer
from hetops.offers.sources import Collected, SourceReport, SourceState
from hetops.reports import offers as report
from tests.doubles.providers import NOW, list_offer, live_offer

GPUS = {g.name: g for g in tables.load().gpu_types}
GPUS["CPU"] = replace(GPUS["CPU"], memory_gb=4.0, fp16_tflops=0.05, bandwidth_gb_per_second=10.0)
EIGHT = live_offer("cloud", "eight", "24.00", gpu_count=8, zone="us-east-1a", limits=Limits(max_count=3))
L4 = list_offer("aws", "g6.xlarge", "0.8048", gpu="L4", region="any")
TWIN = replace(L4, provider="local", sku="aws/g6.xlarge", emulated=True)
CORE = live_offer("local", "cpu-1", "0.04", gpu="CPU", region="local", basis=PriceBasis.NOMINAL)
SOURCES = (
    SourceReport(provider="cloud", state=SourceState.LIVE, offers=1, oldest=NOW, newest=NOW),
    SourceReport(
        provider="bad",
        state=SourceState.REFUSED,
        offers=0,
        error_kind=ErrorKind.AUTH,
        detail="no API key",
        hint="export BAD_API_KEY=...",
    ),
)


def listing(offers: Sequence[Offer] = (EIGHT, L4, TWIN, CORE), **fields) -> OfferListing:
    told = {
        "created_at": NOW,
        "coverage": Collected(collected_at=NOW, offers=(), sources=SOURCES).coverage,
        "sources": SOURCES,
        "offers": ranked(offers, GPUS, Order.GPU),
    }
    return OfferListing(**(told | fields))


TEXT = """\
PROVIDER  SKU            GPU           REGION      MARKET     LEFT   $/HOUR    $/GPU     $/GB  $/TFLOPS  $/TB/S  PRICE
local     cpu-1          1 x CPU       local       on_demand     ?  $0.0400  $0.0400  $0.0100     $0.80   $4.00  nominal
aws       g6.xlarge      1 x L4        any         on_demand     ?    $0.80    $0.80  $0.0335   $0.0067   $2.68  list 2026-01-19
local     aws/g6.xlarge  1 x L4        any         on_demand     ?    $0.80    $0.80  $0.0335   $0.0067   $2.68  list 2026-01-19, emulated
cloud     eight          8 x H100-SXM  us-east-1a  on_demand     3   $24.00    $3.00  $0.0375   $0.0030   $0.90  live, 0 ms old

4 offers; 0 refused (--refused says why)
Sources: 1 of 2 sources live (cloud); bad refused: no API key
  bad: export BAD_API_KEY=...
"""


def test_the_text_shows_each_offer_with_what_its_money_buys_and_where_its_price_comes_from() -> None:
    assert report.as_text(listing()) == TEXT


def test_a_chance_is_shown_where_somebody_tells_one() -> None:
    told = live_offer("cloud", "spot", "9.00", availability=Availability(score=0.6))
    header, first, second = report.as_text(listing([told, EIGHT])).splitlines()[:3]
    at = header.index("CHANCE")
    assert (second[at : at + 6].strip(), first[at : at + 6].strip()) == ("60 %", "-")
    assert "CHANCE" not in report.as_text(listing())


def test_a_price_that_no_longer_holds_says_so() -> None:
    old = live_offer("cloud", ttl_seconds=60, observed_at=NOW - timedelta(minutes=2))
    assert "live, 120 s old (stale)" in report.as_text(listing([old]))


def test_what_is_left_is_the_tighter_of_stock_and_quota_and_unknown_is_never_many() -> None:
    def left(**fields) -> str:
        row = report.as_text(listing([live_offer("cloud", **fields)])).splitlines()[1]
        return row.split("on_demand")[1].split()[0]

    quota = Limits(max_count=9, quotas=(QuotaShare(group="g", left=10, per_node=4),))
    assert left() == "?"
    assert left(limits=Limits(max_count=5)) == "5"
    assert left(limits=quota) == "2"
    assert left(availability=Availability(state=AvailabilityState.NONE), limits=quota) == "0"


def test_a_long_sku_is_cut_and_says_so() -> None:
    text = report.as_text(listing([live_offer("cloud", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition")]))
    assert "NVIDIA RTX PRO 6000 Blackwell Wor… " in text


def test_by_gpu_there_is_one_line_for_each_type() -> None:
    assert report.by_gpu_as_text(listing()).splitlines()[:4] == [
        "GPU       OFFERS  PROVIDERS     $/GPU  AT MOST  CHEAPEST       MARKET",
        "CPU            1  local       $0.0400  $0.0400  local cpu-1    on_demand",
        "L4             2  aws, local    $0.80    $0.80  aws g6.xlarge  on_demand",
        "H100-SXM       1  cloud         $3.00    $3.00  cloud eight    on_demand",
    ]


def test_everything_refused_is_told_with_its_reason() -> None:
    refused = (RefusedOffer(offer=EIGHT, reason=Reason.PRICE, detail="dearer than 2 usd_per_gpu_hour"),)
    refusals = (Refusal(subject="aws p3.2xlarge", reason="retired family", count=2),)
    text = report.refused_as_text(listing(refused=refused, refusals=refusals))
    assert text.splitlines()[:3] == [
        "REFUSED         SKU    GPU           REGION      MARKET     REASON",
        "cloud           eight  8 x H100-SXM  us-east-1a  on_demand  dearer than 2 usd_per_gpu_hour",
        "aws p3.2xlarge                                              retired family (2 times)",
    ]
    assert "4 offers; 3 refused" in text
    assert report.refused_as_text(listing()).startswith("Nothing was refused.")


def test_where_nothing_is_left_the_commonest_reasons_are_told() -> None:
    many = [RefusedOffer(offer=L4, reason=Reason.REGION, detail="not in a region asked for")] * 3
    few = [RefusedOffer(offer=L4, reason=Reason.GPU, detail="not a GPU type asked for")]
    empty = listing([], refused=(*few, *many))
    told = "No offer is left: 3 not in a region asked for; 1 not a GPU type asked for\n"
    assert report.as_text(empty).startswith(told)
    assert report.by_gpu_as_text(empty).startswith(told)
    assert report.as_text(listing([])).startswith("No offer is left.\n")


def test_warnings_stand_at_the_end() -> None:
    text = report.as_text(listing(warnings=("nobody offers L40S", "'x' excludes nothing")))
    assert text.endswith("warning: nobody offers L40S\nwarning: 'x' excludes nothing\n")


def test_no_line_has_trailing_blanks() -> None:
    for text in (report.as_text(listing()), report.by_gpu_as_text(listing())):
        assert all(line == line.rstrip() for line in text.splitlines())


def test_the_json_reads_back_as_the_same_listing() -> None:
    told = listing(warnings=("nobody offers L40S",))
    raw = codec.encode(told)
    assert json.loads(raw)["format"] == "hetops.offers"
    assert codec.decode(OfferListing, raw, source="test") == told
    assert json.loads(raw)["offers"][0]["offer"]["usd_per_hour"] == "0.04"
    assert isinstance(told.offers[0].usd_per_gpu_hour, Decimal)


def test_changes_are_told_one_a_line_with_what_they_were() -> None:
    offer = live_offer("cloud", "one", "3.00")
    changes = OfferChanges(
        at=NOW,
        coverage="1 of 1 source live (cloud)",
        appeared=(EIGHT,),
        gone=(GoneOffer(offer=L4, reason="none left"),),
        prices=(ChangedPrice(offer=offer, before=Decimal(2), after=Decimal(3)),),
        stock=(ChangedStock(offer=offer, before=None, after=0),),
    )
    assert report.changes_as_text(changes) == (
        "12:00:00  4 changes; 1 of 1 source live (cloud)\n"
        "  new    cloud/us-east-1a/eight/on_demand (8 x H100-SXM) at $24.00 /h\n"
        "  gone   aws/any/g6.xlarge/on_demand (1 x L4): none left\n"
        "  price  cloud/us-east-1/one/on_demand (1 x H100-SXM) $2.00 -> $3.00 /h (+50 %)\n"
        "  left   cloud/us-east-1/one/on_demand (1 x H100-SXM) ? -> 0\n"
    )


def a_history() -> PriceHistory:
    records = [
        record_of(replace(listing(offers), created_at=NOW + timedelta(hours=i)))
        for i, offers in enumerate(
            [
                [live_offer("cloud", "one", "2.00")],
                [live_offer("cloud", "one", "3.00"), live_offer("other", "x", "4.00")],
                [live_offer("cloud", "one", "2.50"), live_offer("other", "x", "4.00")],
                [live_offer("cloud", "one", "3.00")],
            ]
        )
    ]
    return history_of("H100-SXM", records)


def test_a_history_is_drawn_on_one_scale_with_gaps() -> None:
    assert report.history_as_text(a_history()) == (
        "H100-SXM, USD per GPU and hour, 4 looks from 2026-11-24 12:00 to 2026-11-24 15:00 UTC\n\n"
        "PROVIDER  MARKET     PRICES    NOW  LOWEST  HIGHEST  CHANGE  WHERE\n"
        "cloud     on_demand  ▁▅▃▅    $3.00   $2.00    $3.00   +50 %  one in us-east-1\n"
        "other     on_demand   ██         -   $4.00    $4.00  +0.0 %  x in us-east-1\n"
    )


def test_a_history_as_csv_has_a_row_for_each_look_and_seller() -> None:
    rows = list(csv.DictReader(io.StringIO(report.history_as_csv(a_history()))))
    assert [(r["at"], r["provider"], r["usd_per_gpu_hour"]) for r in rows[:2]] == [
        ("2026-11-24T12:00:00+00:00", "cloud", "2.00"),
        ("2026-11-24T13:00:00+00:00", "cloud", "3.00"),
    ]
    assert len(rows) == 6
    assert list(rows[0]) == ["at", "gpu", "provider", "market", "usd_per_gpu_hour", "sku", "place", "offers"]
