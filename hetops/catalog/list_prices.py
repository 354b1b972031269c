"""The dated list prices of the five clouds as offers to plan with. Every row is an offer or a refusal with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from hetops.catalog.tables import Catalog, Row, rows
from hetops.domain.offer import Availability, Market, Offer, PriceBasis
from hetops.domain.plan import Refusal

_NEVER_SOLD = re.compile(
    r"refuse|not for LLM serving|reservation only|capacity blocks only|not generally available on-demand",
    re.IGNORECASE,
)
_DAY = re.compile(r"(20\d\d)(?:-(0[1-9]|1[0-2])(?!\d)(?:-(\d\d))?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpricedRow:
    """A row of the snapshot, or one of its prices, that is no offer."""

    provider: str
    subject: str
    reason: str

    @property
    def refusal(self) -> Refusal:
        """The row among everything else that was not considered."""
        return Refusal(subject=f"{self.provider} {self.subject}", reason=self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPrices:
    """The offers of the snapshot, and the rows that are none."""

    offers: tuple[Offer, ...]
    refused: tuple[UnpricedRow, ...]

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers that have a list price."""
        return tuple(dict.fromkeys(o.provider for o in self.offers))


def list_prices(catalog: Catalog) -> ListPrices:
    """The snapshot. Its offers have basis LIST: good for a plan, never for provisioning."""
    known = {g.name for g in catalog.gpu_types}
    offers: list[Offer] = []
    refused: list[UnpricedRow] = []
    for row in rows("instance_types"):
        reason = _refused(row, known)
        found = () if reason else tuple(_offers(row))
        offers.extend(found)
        refused.extend(_unpriced(row, reason, found))
    return ListPrices(offers=tuple(offers), refused=tuple(refused))


_PRICES = {Market.ON_DEMAND: "list_price_usd_per_hour", Market.SPOT: "spot_price_if_known"}


def _refused(row: Row, known: set[str]) -> str:
    """Why a row is no offer; empty where it is one."""
    if _NEVER_SOLD.search(row["notes"]):
        return row["notes"]
    if row["gpu"] not in known:
        return f"no speeds are known for the GPU {row['gpu']}"
    if not row["gpu_count"].isdigit():
        return "a fraction of a GPU, or an unknown count"
    if all(_price(row[column]) is None for column in _PRICES.values()):
        return "no price is known"
    if _observed_at(row["price_date"]) is None:
        return "the price has no date"
    return ""


def _unpriced(row: Row, reason: str, found: tuple[Offer, ...]) -> Iterator[UnpricedRow]:
    """The row where it is no offer at all, else each of its prices that is only hearsay."""
    if reason:
        yield UnpricedRow(provider=row["provider"], subject=row["instance_type"], reason=reason)
        return
    markets = {o.market for o in found}
    for market, column in _PRICES.items():
        if row[column] and market not in markets:
            subject = f"{row['instance_type']} {market}"
            yield UnpricedRow(provider=row["provider"], subject=subject, reason=f"no price: {row[column]!r}")


def _offers(row: Row) -> Iterator[Offer]:
    """The on-demand and the spot offer of a row, where it has a price for each."""
    for market, column in _PRICES.items():
        price, observed_at = _price(row[column]), _observed_at(row["price_date"])
        if price is None or observed_at is None:
            continue
        plan_only = f"plan only, list price of {row['price_date']}"
        yield Offer(
            provider=row["provider"],
            sku=row["instance_type"],
            gpu=row["gpu"],
            gpu_count=int(row["gpu_count"]),
            region=_region(row["region"]),
            market=market,
            usd_per_hour=price,
            basis=PriceBasis.LIST,
            observed_at=observed_at,
            source=row["source"],
            ttl_seconds=0,
            nvlink=row["nvlink"] == "true",
            vcpu=float(row["vcpu"]) if row["vcpu"] else None,
            host_memory_gb=float(row["memory_gb"]) if row["memory_gb"] else None,
            availability=Availability(),
            notes=f"{plan_only}; {row['notes']}" if row["notes"] else plan_only,
        )


def _region(text: str) -> str:
    return "any" if text.startswith(("all", "any")) else text


def _price(text: str) -> Decimal | None:
    """A price column; None where it is empty, zero, or not plainly a number ("50 (us-west-2, approx)" is hearsay)."""
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    return price if price.is_finite() and price > 0 else None


def _observed_at(text: str) -> datetime | None:
    """The earliest day that a date such as `2026-02..03` or `2026 (undated)` can mean, at midnight UTC."""
    found = _DAY.match(text)
    if found is None:
        return None
    year, month, day = (int(part) if part else 1 for part in found.groups())
    return datetime(year, month, day, tzinfo=UTC)
