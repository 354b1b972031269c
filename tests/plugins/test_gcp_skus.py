"""Which SKU of Google's catalogue is the price of what: the texts are pinned, and so are those that must not match."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hetops_gcp.machines import CANONICAL
from hetops_gcp.skus import GPUS, SLICES, Component, component_of, read_prices

from hetops.domain.offer import Market
from tests.doubles.gcp_skus import sku as row
from tests.doubles.gcp_skus import skus
from tests.plugins.clouds import NOW

PAYLOADS = Path(__file__).parents[1] / "doubles" / "payloads"

WANTED = {
    "G2 Instance Core running in Americas": ("G2 core", Market.ON_DEMAND),
    "G2 Instance Ram running in Americas": ("G2 memory", Market.ON_DEMAND),
    "Spot Preemptible A2 Instance Core running in Americas": ("A2 core", Market.SPOT),
    "Spot Preemptible N1 Predefined Instance Ram running in Belgium": ("N1 Predefined memory", Market.SPOT),
    "A3Plus Instance Core running in Netherlands": ("A3Plus core", Market.ON_DEMAND),
    "A3Ultra Instance Ram running in Americas": ("A3Ultra memory", Market.ON_DEMAND),
    "Nvidia Tesla T4 GPU running in Americas": ("nvidia-tesla-t4", Market.ON_DEMAND),
    "Nvidia L4 GPU attached to Spot Preemptible VMs running in Hong Kong": ("nvidia-l4", Market.SPOT),
    "Nvidia Tesla A100 GPU running in Americas": ("nvidia-tesla-a100", Market.ON_DEMAND),
    "Nvidia Tesla A100 80GB GPU running in Columbus": ("nvidia-a100-80gb", Market.ON_DEMAND),
    "Nvidia H100 80GB GPU running in Americas": ("nvidia-h100-80gb", Market.ON_DEMAND),
    "Nvidia H100 80GB Mega GPU running in Frankfurt": ("nvidia-h100-mega-80gb", Market.ON_DEMAND),
    "Nvidia H100 Mega 80GB GPU running in Americas": ("nvidia-h100-mega-80gb", Market.ON_DEMAND),
    "Nvidia H100 80GB Plus GPU running in Americas": ("nvidia-h100-mega-80gb", Market.ON_DEMAND),
    "H200 141GB GPU running in Belgium": ("nvidia-h200-141gb", Market.ON_DEMAND),
    "RTX 6000 96GB running in Oregon": ("nvidia-rtx-pro-6000", Market.ON_DEMAND),
    "A4 Nvidia B200 (1 gpu slice) running in Netherlands": ("nvidia-b200", Market.ON_DEMAND),
    "Spot Preemptible A4 Nvidia B200 (1 gpu slice) running in Americas": ("nvidia-b200", Market.SPOT),
    "SSD backed Local Storage": ("local SSD", Market.ON_DEMAND),
    "SSD backed Local Storage in Paris": ("local SSD", Market.ON_DEMAND),
    "SSD backed Local Storage running in Paris": ("local SSD", Market.ON_DEMAND),
    "SSD backed Local Storage attached to Spot Preemptible VMs in Paris": ("local SSD", Market.SPOT),
    "SSD backed Local Storage attached to Spot Preemptible VMs": ("local SSD", Market.SPOT),
}

OTHERS = (
    "Commitment v1: Nvidia L4 GPU running in Americas for 1 Year",
    "Commitment v1: A4 Nvidia B200 (1 gpu slice) in Americas for 1 Year",
    "Commitment v1: Local SSD In Paris",
    "Reserved Nvidia L4 GPU in Americas",
    "Nvidia L4 GPU running in Americas Reserved",
    "Nvidia H100 Mega 80GB GPU attached to DWS Defined Duration VMs running in Americas",
    "Nvidia H100 80GB GPU attached to DWS Calendar Mode VMs running in Americas",
    "DWS Defined Duration RTX 6000 96GB running in Americas",
    "DWS Calendar Mode A4 Nvidia B200 (1 gpu slice) running in Americas",
    "A3 Instance Core running in Americas (Calendar Mode)",
    "Sole Tenancy Premium for N1 Predefined Instance Core running in Americas",
    "N1 Predefined Sole Tenancy Instance Core running in Americas",
    "Custom Instance Core running in Americas",
    "G2 Custom Instance Core running in Americas",
    "VM state: suspended Nvidia L4 GPU running in Americas",
    "VM state: preserved local SSD in Paris",
    "Nvidia L4 Workstation GPU running in Americas",
    "NVIDIA RTX Pro 6000 GPU with no zonal redundancy in us-central1",
    "Nvidia L40 GPU running in Netherlands",
    "Nvidia Tesla A100 80GB running in Americas",
    "E2 Instance Core running in Americas",
    "C4D Instance Local SSD running in Frankfurt",
    "SSD backed PD Capacity in Paris",
    "A3 Instance Core",
    "Spot Preemptible Nvidia L4 GPU running in Americas",
)


@pytest.mark.parametrize("text", WANTED)
def test_a_sku_is_the_price_of_one_component_on_the_market_of_its_text(text: str) -> None:
    assert component_of(text) == Component(*WANTED[text])


@pytest.mark.parametrize("text", OTHERS)
def test_a_sku_on_other_terms_or_of_something_else_is_none_of_ours(text: str) -> None:
    assert component_of(text) is None


def test_every_accelerator_that_has_a_price_has_a_canonical_gpu() -> None:
    assert {*GPUS, *SLICES} <= set(CANONICAL)


def priced(*rows: Any, what: str = "nvidia-l4", market: Market = Market.ON_DEMAND) -> Decimal | None:
    return read_prices(rows, NOW).of(what, market, "us-central1")


L4 = "Nvidia L4 GPU running in Americas"


def test_units_and_nanos_make_one_exact_price() -> None:
    assert priced(row(L4, "12.560016001", "us-central1")) == Decimal("12.560016001")


def test_a_monthly_price_is_divided_by_the_hours_that_google_counts() -> None:
    ssd = row("SSD backed Local Storage", "0.08", "us-central1", unit="GiBy.mo")
    assert priced(ssd, what="local SSD") == Decimal("0.08") / 730


def test_the_text_says_the_market_where_the_usage_type_does_not() -> None:
    text = "Spot Preemptible A4 Nvidia B200 (1 gpu slice) running in Americas"
    rows = (row(text, "4.51", "us-central1"),)
    assert priced(*rows, what="nvidia-b200", market=Market.SPOT) == Decimal("4.51")
    assert priced(*rows, what="nvidia-b200") is None


@pytest.mark.parametrize(
    ("price", "fields", "said"),
    [
        ("0", {}, "a price of zero means that it is not sold"),
        ("-1", {}, "its price is below zero"),
        ("0.5", {"currency": "EUR"}, "its price is in EUR, not in USD"),
        ("0.5", {"currency": None}, "its price is in None, not in USD"),
        ("0.5", {"unit": "mo"}, "its unit is mo, not h"),
        ("0.5", {"effective": "2026-12-24T00:00:00Z"}, "which is to come"),
        ("0.5", {"usage_type": "Preemptible"}, "it is filed under usage type Preemptible"),
        ("0.5", {"usage_type": "Commit1Yr"}, "it is filed under usage type Commit1Yr"),
    ],
)
def test_what_is_no_price_is_refused_with_its_reason(price: str, fields: dict[str, Any], said: str) -> None:
    found = read_prices([row(L4, price, "us-central1", **fields)], NOW)
    assert found.by_place == {}
    assert [said in r.reason for r in found.refusals] == [True], found.refusals


@pytest.mark.parametrize("broken", [{}, {"pricingInfo": []}, {"category": None}, {"serviceRegions": 3}])
def test_a_row_that_cannot_be_read_costs_itself(broken: dict[str, Any]) -> None:
    whole = row(L4, "0.5", "us-central1")
    bad = {"description": "Nvidia Tesla T4 GPU running in Americas"} if not broken else whole | broken
    found = read_prices([bad, None, 7, {"description": 3}, row(L4, "0.5", "europe-west4")], NOW)
    assert list(found.by_place.values()) == [Decimal("0.5")]
    assert [r for r in found.refusals if "it cannot be understood" in r.reason]


def tiers(*prices: str) -> dict[str, Any]:
    first, *others = (row(L4, price, "us-central1") for price in prices)
    rates = first["pricingInfo"][0]["pricingExpression"]["tieredRates"]
    for other in others:
        rates.extend(other["pricingInfo"][0]["pricingExpression"]["tieredRates"])
    return first


def test_a_free_allowance_is_no_price_and_prices_by_amount_are_none() -> None:
    assert priced(tiers("0", "0.5")) == Decimal("0.5")
    assert priced(tiers("0.6", "0.5")) is None
    (refusal,) = read_prices([tiers("0.6", "0.5")], NOW).refusals
    assert refusal.reason == "its price depends on how much is used"


def test_two_prices_for_one_thing_are_none() -> None:
    mega, plus = (
        row(f"Nvidia H100 80GB {name} GPU running in Americas", price, "us-central1")
        for name, price in (("Mega", "10.3"), ("Plus", "9.9"))
    )
    found = read_prices([mega, plus], NOW)
    assert found.by_place == {}
    assert [r.reason for r in found.refusals] == ["it has more than one price: 9.9 and 10.3"]
    assert priced(mega, mega, what="nvidia-h100-mega-80gb") == Decimal("10.3")


def test_none_of_the_neighbours_in_the_catalogue_is_taken_for_a_price() -> None:
    found = read_prices(list(skus()), NOW)
    assert found.refusals == ()
    assert found.of("nvidia-l4", Market.ON_DEMAND, "us-central1") == Decimal("0.560016")
    assert found.of("nvidia-h100-mega-80gb", Market.ON_DEMAND, "europe-west4") == Decimal("10.344275712")


def test_the_sample_page_gives_the_price_that_google_prints_for_its_machine() -> None:
    """g2-standard-4 has 4 cores, 16 GiB and one L4."""
    page = json.loads((PAYLOADS / "gcp_skus.json").read_text(encoding="utf-8"), parse_float=Decimal)
    found = read_prices(page["skus"], NOW)
    assert found.refusals == ()
    parts = {"G2 core": 4, "G2 memory": 16, "nvidia-l4": 1}
    prices = {what: found.of(what, Market.ON_DEMAND, "us-central1") or Decimal(0) for what in parts}
    assert round(sum(prices[what] * n for what, n in parts.items()), 4) == Decimal("0.7068")
    assert found.of("nvidia-b200", Market.SPOT, "us-central1") == Decimal("4.51")
    assert found.of("nvidia-rtx-pro-6000", Market.ON_DEMAND, "us-central1") is None, "sold by DWS only"
    ours = next(iter(skus()))
    assert ours.keys() <= page["skus"][0].keys(), "the fake speaks in the same fields"
