"""The Cloud Billing catalogue as prices of components: which SKU is the price of what. Pure.

A SKU says what it is in free text only, so the texts are pinned here; whatever matches none of them is not ours. Texts:
Cyclenerd's mapping.csv, gpuhunt, SkyPilot's fetch_gcp and SKUs quoted from the catalogue in 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from hetops.plugin import Market, Refusal, usd

HOURS_A_MONTH = 730
"""By which Google turns monthly prices into hourly ones."""

_CLOCK_TOLERANCE = timedelta(hours=1)
_NANOS = Decimal(1_000_000_000)

OTHER_TERMS = re.compile(
    r"commitment|reserved|reservation|sole tenancy|premium|custom|suspended|preserved|"
    r"\bdws\b|defined duration|calendar mode|flex[- ]?start|\bvws\b|workstation|vgpu",
    re.IGNORECASE,
)
"""Words of SKUs that are sold on other terms under the names of the wanted ones."""

SPOT_VMS = "attached to Spot Preemptible VMs"

SERIES = ("A2", "A3", "A3Plus", "A3Ultra", "G2", "G4", "N1 Predefined")
"""As cores and memory are called: `A3 Instance Core running in Americas`. A3Plus is a3-mega, A3Ultra has H200s."""

GPUS: Mapping[str, tuple[str, ...]] = {
    "nvidia-tesla-t4": ("Nvidia Tesla T4 GPU",),
    "nvidia-tesla-v100": ("Nvidia Tesla V100 GPU",),
    "nvidia-l4": ("Nvidia L4 GPU",),
    "nvidia-tesla-a100": ("Nvidia Tesla A100 GPU",),
    "nvidia-a100-80gb": ("Nvidia Tesla A100 80GB GPU",),
    "nvidia-h100-80gb": ("Nvidia H100 80GB GPU",),
    "nvidia-h100-mega-80gb": (
        "Nvidia H100 80GB Mega GPU",
        "Nvidia H100 Mega 80GB GPU",
        "Nvidia H100 80GB Plus GPU",
    ),
    "nvidia-h200-141gb": ("H200 141GB GPU", "Nvidia H200 141GB GPU"),
    "nvidia-rtx-pro-6000": ("RTX 6000 96GB", "RTX 6000 96GB GPU"),
}
"""Accelerator type to what its SKU is called, which differs between regions for the H100 of a3-mega."""

SLICES: Mapping[str, str] = {"nvidia-b200": "A4 Nvidia B200 (1 gpu slice)"}
"""GPUs that are sold with their share of cores, memory and SSD in one SKU."""

LOCAL_SSD = "local SSD"


class Component(NamedTuple):
    """What a SKU is the price of, for an hour of one core, GiB or GPU."""

    what: str
    """`A3 core`, `A3 memory`, an accelerator type, or `local SSD`."""
    market: Market


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """SKUs of one component, and in which unit they must be priced."""

    component: Component
    units: Mapping[str, Decimal]
    """Accepted usage units, and how many hours each is."""


_BY_HOUR = {"h": Decimal(1)}
_BY_GIB_HOUR = {"GiBy.h": Decimal(1)}
_BY_GIB = {"GiBy.mo": Decimal(HOURS_A_MONTH), "GiBy.h": Decimal(1)}


def _heads() -> Iterator[tuple[str, _Rule]]:
    """What stands before ` running in `."""
    for market, before, after in (
        (Market.ON_DEMAND, "", ""),
        (Market.SPOT, "Spot Preemptible ", f" {SPOT_VMS}"),
    ):
        for series in SERIES:
            core, memory = (Component(f"{series} {part}", market) for part in ("core", "memory"))
            yield f"{before}{series} Instance Core", _Rule(component=core, units=_BY_HOUR)
            yield f"{before}{series} Instance Ram", _Rule(component=memory, units=_BY_GIB_HOUR)
        for gpu, names in GPUS.items():
            rule = _Rule(component=Component(gpu, market), units=_BY_HOUR)
            yield from ((f"{name}{after}", rule) for name in names)
        for gpu, name in SLICES.items():
            yield f"{before}{name}", _Rule(component=Component(gpu, market), units=_BY_HOUR)


_BY_HEAD = {head.lower(): rule for head, rule in _heads()}
_SSD = re.compile(rf"ssd backed local storage(?P<spot> {SPOT_VMS}?)?( (running )?in .+)?", re.IGNORECASE)
"""Says its place in three ways, among them not at all."""


def component_of(description: str) -> Component | None:
    """What a SKU of this text is the price of; None where it is none of ours.

    The market is that of the text: some spot SKUs are filed under usage type OnDemand.
    """
    rule = _rule_of(description)
    return rule.component if rule else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices by component and region, and what in the catalogue is no price."""

    by_place: Mapping[tuple[Component, str], Decimal]
    refusals: tuple[Refusal, ...] = ()

    def of(self, what: str, market: Market, region: str) -> Decimal | None:
        """USD for an hour of it; None where it has no price there."""
        return self.by_place.get((Component(what, market), region))


def read_prices(rows: Sequence[Any], now: datetime) -> Prices:
    """The prices of a catalogue. Two prices for one thing are none: nobody can know which one is billed."""
    found: dict[tuple[Component, str], set[Decimal]] = {}
    refusals: list[Refusal] = []
    for row in rows:
        description = row.get("description") if isinstance(row, Mapping) else None
        rule = _rule_of(description) if isinstance(description, str) else None
        if rule is None:
            continue
        try:
            price = _price(row, rule, now)
            regions = [str(region) for region in row["serviceRegions"]]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as fault:
            reason = (
                str(fault) if isinstance(fault, ValueError) else f"it cannot be understood: {fault!r}"[:160]
            )
            refusals.append(Refusal(subject=f"gcp SKU {description}", reason=reason))
            continue
        for region in regions:
            found.setdefault((rule.component, region), set()).add(price)
    return Prices(
        by_place={place: next(iter(prices)) for place, prices in found.items() if len(prices) == 1},
        refusals=(*refusals, *_ambiguous(found)),
    )


def _ambiguous(found: Mapping[tuple[Component, str], set[Decimal]]) -> Iterator[Refusal]:
    for (component, region), prices in found.items():
        if len(prices) > 1:
            told = " and ".join(f"{price:f}" for price in sorted(prices))
            yield Refusal(
                subject=f"gcp {component.what} ({component.market}) in {region}",
                reason=f"it has more than one price: {told}",
            )


def _rule_of(description: str) -> _Rule | None:
    head, _, place = description.lower().partition(" running in ")
    rule = _BY_HEAD.get(head) if place else None
    ssd = _SSD.fullmatch(description)
    if ssd:
        market = Market.SPOT if ssd["spot"] else Market.ON_DEMAND
        rule = _Rule(component=Component(LOCAL_SSD, market), units=_BY_GIB)
    return None if rule is None or OTHER_TERMS.search(description) else rule


def _price(row: Mapping[str, Any], rule: _Rule, now: datetime) -> Decimal:
    """USD an hour; ValueError says why there is none."""
    usage = row["category"]["usageType"]
    accepted = {Market.ON_DEMAND: ("OnDemand",), Market.SPOT: ("Preemptible", "OnDemand")}
    if usage not in accepted[rule.component.market]:
        raise ValueError(f"it is filed under usage type {usage}")
    info = row["pricingInfo"][0]
    _require_in_force(info.get("effectiveTime"), now)
    expression = info["pricingExpression"]
    hours = rule.units.get(expression["usageUnit"])
    if hours is None:
        raise ValueError(f"its unit is {expression['usageUnit']}, not {' or '.join(rule.units)}")
    return _tier(expression["tieredRates"]) / hours


def _require_in_force(text: object, now: datetime) -> None:
    if isinstance(text, str) and datetime.fromisoformat(text) > now + _CLOCK_TOLERANCE:
        raise ValueError(f"its price is of {text}, which is to come")


def _tier(rates: Iterable[Mapping[str, Any]]) -> Decimal:
    """The one price. A first tier of zero before a price is an allowance; two prices depend on what is used."""
    amounts = [_amount(rate["unitPrice"]) for rate in rates]
    priced = {usd(amount) for amount in amounts if amount} or {usd(amount) for amount in amounts}
    if len(priced) != 1:
        raise ValueError("it has no price" if not priced else "its price depends on how much is used")
    return priced.pop()


def _amount(money: Mapping[str, Any]) -> Decimal:
    """`units` is an integer in text, `nanos` a billionth of it."""
    if money.get("currencyCode") != "USD":
        usd(1, currency=money.get("currencyCode"))
    return Decimal(str(money.get("units", 0))) + Decimal(int(money.get("nanos", 0))) / _NANOS
