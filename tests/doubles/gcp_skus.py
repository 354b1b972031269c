"""The Cloud Billing catalogue of the GCP double: what each component of a machine costs in each region, and its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

AMERICAS, NETHERLANDS, SINGAPORE = "us-central1", "europe-west4", "asia-southeast1"

_PLACES = {AMERICAS: "Americas", NETHERLANDS: "Netherlands", SINGAPORE: "Singapore"}

_PRICES: Mapping[str, tuple[str, str]] = {
    "N1 Predefined core": ("0.031611", "0.00771"),
    "N1 Predefined memory": ("0.004237", "0.00103"),
    "G2 core": ("0.024988", "0.00997"),
    "G2 memory": ("0.002927", "0.00117"),
    "A2 core": ("0.031611", "0.0127"),
    "A2 memory": ("0.004237", "0.0017"),
    "A3 core": ("0.0255", "0.0066"),
    "A3 memory": ("0.00222", "0.00057"),
    "A3Plus core": ("0.026924", "0.0067"),
    "A3Plus memory": ("0.002344", "0.00058"),
    "A3Ultra core": ("0.0275", "0.0071"),
    "A3Ultra memory": ("0.0024", "0.0006"),
    "G4 core": ("0.04", "0.016"),
    "G4 memory": ("0.0045", "0.0018"),
    "Nvidia Tesla T4 GPU": ("0.35", "0.1400"),
    "Nvidia L4 GPU": ("0.560016", "0.2231"),
    "Nvidia Tesla A100 GPU": ("2.933908", "1.1466"),
    "Nvidia Tesla A100 80GB GPU": ("3.92808", "1.5712"),
    "Nvidia H100 80GB GPU": ("9.796550569", "2.2200"),
    "Nvidia H100 80GB Mega GPU": ("10.344275712", "2.3800"),
    "H200 141GB GPU": ("9.31174", "3.7000"),
    "RTX 6000 96GB": ("2.1000", "0.8400"),
    "A4 Nvidia B200 (1 gpu slice)": ("16.11", "4.51"),
    "SSD backed Local Storage": ("0.08", "0.048"),
}
"""Part to its price on demand and on the spot market; SSD by GiB and month."""

_NEIGHBOURS = (
    ("Commitment v1: Nvidia L4 GPU running in {} for 1 Year", "Commit1Yr", "0.10"),
    ("Commitment v1: A4 Nvidia B200 (1 gpu slice) in {} for 1 Year", "Commit1Yr", "9"),
    ("Reserved Nvidia L4 GPU in {}", "OnDemand", "0.11"),
    ("Nvidia H100 Mega 80GB GPU attached to DWS Defined Duration VMs running in {}", "OnDemand", "4"),
    ("Nvidia H100 80GB GPU attached to DWS Calendar Mode VMs running in {}", "OnDemand", "4.1"),
    ("DWS Defined Duration RTX 6000 96GB running in {}", "OnDemand", "1.2"),
    ("DWS Calendar Mode A4 Nvidia B200 (1 gpu slice) running in {}", "OnDemand", "8"),
    ("Sole Tenancy Premium for N1 Predefined Instance Core running in {}", "OnDemand", "0.003"),
    ("N1 Predefined Sole Tenancy Instance Core running in {}", "OnDemand", "0.003"),
    ("Custom Instance Core running in {}", "OnDemand", "0.033"),
    ("G2 Custom Instance Core running in {}", "OnDemand", "0.002"),
    ("Nvidia L4 Workstation GPU running in {}", "OnDemand", "0.2"),
    ("VM state: suspended Nvidia L4 GPU running in {}", "OnDemand", "0.01"),
    ("VM state: preserved local SSD in {}", "OnDemand", "0.01"),
    ("NVIDIA RTX Pro 6000 GPU with no zonal redundancy in {}", "OnDemand", "0.5"),
    ("E2 Instance Core running in {}", "OnDemand", "0.02"),
)
"""SKUs that share the words of a wanted one, at prices that would be found out."""


def skus(prices: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """The catalogue; some prices may be others."""
    for region, place in _PLACES.items():
        for part, (on_demand, spot) in _PRICES.items():
            told = str((prices or {}).get(part, on_demand))
            yield sku(_text(part, place, on_demand=True), told, region, **_unit(part))
            yield sku(
                _text(part, place, on_demand=False), spot, region, usage_type=_filed(part), **_unit(part)
            )
        for text, usage_type, price in _NEIGHBOURS:
            yield sku(text.format(place), price, region, usage_type=usage_type)


def sku(description: str, price: str, region: str, **fields: Any) -> dict[str, Any]:
    """One SKU. `unit`, `usage_type`, `currency` and `effective` may be others."""
    amount = Decimal(price)
    money = {
        "currencyCode": fields.get("currency", "USD"),
        "units": str(int(amount)),
        "nanos": int((amount - int(amount)) * 10**9),
    }
    expression = {
        "usageUnit": fields.get("unit", "h"),
        "tieredRates": [{"startUsageAmount": 0, "unitPrice": money}],
    }
    effective = fields.get("effective", "2026-11-22T00:00:00Z")
    return {
        "description": description,
        "category": {"usageType": fields.get("usage_type", "OnDemand")},
        "serviceRegions": [region],
        "pricingInfo": [{"pricingExpression": expression, "effectiveTime": effective}],
    }


def _text(part: str, place: str, *, on_demand: bool) -> str:
    series, _, what = part.rpartition(" ")
    spot = "" if on_demand else "Spot Preemptible "
    attached = "" if on_demand else " attached to Spot Preemptible VMs"
    if what in ("core", "memory"):
        return f"{spot}{series} Instance {'Core' if what == 'core' else 'Ram'} running in {place}"
    if part.endswith("slice)"):
        return f"{spot}{part} running in {place}"
    if part.startswith("SSD"):
        return f"{part}{attached}" + ("" if place == "Americas" else f" in {place}")
    plus = place == "Netherlands" and "Mega" in part
    return f"{part.replace('Mega', 'Plus') if plus else part}{attached} running in {place}"


def _unit(part: str) -> dict[str, str]:
    if part.startswith("SSD"):
        return {"unit": "GiBy.mo"}
    return {"unit": "GiBy.h"} if part.endswith(" memory") else {}


def _filed(part: str) -> str:
    """Usage type of a spot SKU: the catalogue files some under OnDemand."""
    return "OnDemand" if part.startswith(("A4", "SSD")) else "Preemptible"
