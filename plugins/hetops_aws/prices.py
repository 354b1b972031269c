"""On-demand and spot prices out of what AWS answers. Pure: every row is a price or has its reason for being none.

The price list holds many rows for one instance type: other tenancies and systems, reservations at a price of zero,
local zones. The request asks for one of them, and each answer is held against the same question again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from hetops.plugin import Refusal

PRICE_LIST_FILTERS: Mapping[str, str] = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
    "operation": "RunInstances",
    "locationType": "AWS Region",
}
"""What tells the row of an ordinary instance from all others of its type and region."""

SPOT_PRODUCT = "Linux/UNIX"

_CURRENCY = "USD"
_HOURS = "Hrs"
_CLOCK_TOLERANCE = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPrice:
    """What an instance type costs in one region, and the day of the price list that says so."""

    usd_per_hour: Decimal
    published: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotPrice:
    """What an instance type costs on the spot market of one zone since `changed_at`."""

    usd_per_hour: Decimal
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemandPrices:
    """The price list of one region by instance type, and the rows that are no price."""

    by_type: Mapping[str, ListedPrice]
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotPrices:
    """The spot prices of one region by zone id and instance type, and the rows that are no price."""

    by_zone_and_type: Mapping[tuple[str, str], SpotPrice]
    refusals: tuple[Refusal, ...] = ()


def read_price_list(rows: Iterable[str], region: str, now: datetime) -> OnDemandPrices:
    """The on-demand prices in the JSON strings of GetProducts."""
    found: dict[str, set[ListedPrice]] = {}
    refusals: list[Refusal] = []
    for row in rows:
        try:
            product = json.loads(row)
            attributes = product["product"]["attributes"]
            if _is_other(attributes, region):
                continue
            subject, price = str(attributes["instanceType"]), _listed(product, now)
        except _NoPriceError as fault:
            refusals.append(Refusal(subject=f"aws {subject_of(attributes, region)}", reason=str(fault)))
        except (ValueError, TypeError, LookupError, AttributeError):
            refusals.append(
                Refusal(subject=f"aws price list of {region}", reason="a row that cannot be read")
            )
        else:
            found.setdefault(subject, set()).add(price)
    refusals.extend(_ambiguous(found, region))
    return OnDemandPrices(
        by_type={name: price for name, (price, *others) in _sorted(found) if not others},
        refusals=tuple(refusals),
    )


def subject_of(attributes: Mapping[str, Any], region: str) -> str:
    """The row's instance type and region, as refusals name it."""
    return f"{attributes.get('instanceType', 'an unnamed type')} in {region}"


def read_spot_history(rows: Iterable[Mapping[str, Any]], region: str) -> SpotPrices:
    """The latest price of each zone and type in the rows of DescribeSpotPriceHistory."""
    latest: dict[tuple[str, str], SpotPrice] = {}
    refusals: list[Refusal] = []
    for row in rows:
        if row.get("ProductDescription") != SPOT_PRODUCT:
            continue
        where = f"{row.get('InstanceType', 'an unnamed type')} spot in {row.get('AvailabilityZone', region)}"
        try:
            key, price = _spot(row)
        except _NoPriceError as fault:
            refusals.append(Refusal(subject=f"aws {where}", reason=str(fault)))
            continue
        if key not in latest or latest[key].changed_at < price.changed_at:
            latest[key] = price
    return SpotPrices(by_zone_and_type=latest, refusals=tuple(refusals))


class _NoPriceError(Exception):
    """Why a row that should hold a price holds none."""


def usd(text: object, *, zero: str = "listed at a price of 0, which means not sold") -> Decimal:
    """A price as AWS writes it, a decimal string.

    Raises:
        ValueError: it is none, with the reason.
    """
    try:
        price = Decimal(text) if isinstance(text, str) else Decimal("NaN")
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or price < 0:
        raise ValueError(f"its price is {text!r}")
    if price == 0:
        raise ValueError(zero)
    return price


def _is_other(attributes: Mapping[str, Any], region: str) -> bool:
    """Whether the row is of another region, system, tenancy or purchase: an absent field asks for nothing."""
    asked = {**PRICE_LIST_FILTERS, "regionCode": region}
    return any(
        attributes.get(field, value) != value and not (field == "preInstalledSw" and attributes[field] == "")
        for field, value in asked.items()
    )


def _listed(product: Mapping[str, Any], now: datetime) -> ListedPrice:
    dimensions = list(_dimensions(product, now))
    if len(dimensions) != 1:
        raise _NoPriceError(
            f"has {len(dimensions)} on-demand prices" if dimensions else "has no on-demand price"
        )
    (dimension,) = dimensions
    if dimension.get("unit") != _HOURS:
        raise _NoPriceError(f"is priced per {dimension.get('unit')!r}, not per hour")
    prices = dimension.get("pricePerUnit", {})
    if _CURRENCY not in prices:
        raise _NoPriceError(f"is priced in {', '.join(prices) or 'no currency'}, not in {_CURRENCY}")
    try:
        price = usd(prices[_CURRENCY])
    except ValueError as fault:
        raise _NoPriceError(str(fault)) from fault
    return ListedPrice(usd_per_hour=price, published=str(product.get("publicationDate", ""))[:10])


def _dimensions(product: Mapping[str, Any], now: datetime) -> Iterator[Mapping[str, Any]]:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        starts = str(term.get("effectiveDate", ""))
        if starts and datetime.fromisoformat(starts) > now + _CLOCK_TOLERANCE:
            raise _NoPriceError(f"its price holds from {starts}, which is to come")
        yield from term.get("priceDimensions", {}).values()


def _sorted(found: Mapping[str, set[ListedPrice]]) -> Iterator[tuple[str, list[ListedPrice]]]:
    for name, prices in sorted(found.items()):
        yield name, sorted(prices, key=lambda p: p.usd_per_hour)


def _ambiguous(found: Mapping[str, set[ListedPrice]], region: str) -> Iterator[Refusal]:
    for name, prices in _sorted(found):
        if len(prices) > 1:
            told = ", ".join(str(p.usd_per_hour) for p in prices)
            yield Refusal(subject=f"aws {name} in {region}", reason=f"has several on-demand prices: {told}")


def _spot(row: Mapping[str, Any]) -> tuple[tuple[str, str], SpotPrice]:
    zone, name, changed_at = row.get("AvailabilityZoneId"), row.get("InstanceType"), row.get("Timestamp")
    if not zone or not name:
        raise _NoPriceError("the row names no zone id or no instance type")
    if not isinstance(changed_at, datetime) or changed_at.tzinfo is None:
        raise _NoPriceError("the row has no time")
    try:
        price = usd(row.get("SpotPrice"))
    except ValueError as fault:
        raise _NoPriceError(str(fault)) from fault
    return (zone, name), SpotPrice(usd_per_hour=price, changed_at=changed_at)
