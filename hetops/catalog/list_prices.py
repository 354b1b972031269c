"""The dated list prices of the five clouds as offers to plan with. Every row is an offer or a refusal with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from hetops.catalog.tables import Catalog, rows
from hetops.domain.offer import Availability, Market, Offer, PriceBasis
from hetops.domain.plan import Refusal

_NEVER_SOLD = re.compile(r"refuse|not for LLM serving|reservation only|capacity blocks only", re.IGNORECASE)
_DAY = re.compile(r"(20\d\d)(?:-(0\d|1[0-2])(?!\d))?(?:-(\d\d))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPrices:
    """The offers of the snapshot, and the rows that are none."""

    offers: tuple[Offer, ...]
    refusals: tuple[Refusal, ...]


def list_prices(catalog: Catalog) -> ListPrices:
    """The snapshot. Its offers have basis LIST: good for a plan, never for provisioning."""
    known = {g.name for g in catalog.gpu_types}
    offers: list[Offer] = []
    refusals: list[Refusal] = []
    for row in rows("instance_types"):
        reason = _refused(row, known)
        if reason:
            refusals.append(Refusal(subject=f"{row['provider']} {row['instance_type']}", reason=reason))
        else:
            offers.extend(_offers(row))
    return ListPrices(offers=tuple(offers), refusals=tuple(refusals))


def _refused(row: Mapping[str, str], known: set[str]) -> str:
    """Why a row is no offer; empty where it is one."""
    if _NEVER_SOLD.search(row["notes"]):
        return row["notes"]
    if row["gpu"] not in known:
        return f"no speeds are known for the GPU {row['gpu']}"
    if not row["gpu_count"].isdigit():
        return "a fraction of a GPU, or an unknown count"
    if _price(row["list_price_usd_per_hour"]) is None and _price(row["spot_price_if_known"]) is None:
        return "no price is known"
    if _observed_at(row["price_date"]) is None:
        return "the price has no date"
    return ""


def _offers(row: Mapping[str, str]) -> Iterator[Offer]:
    """The on-demand and the spot offer of a row, where it has a price for each."""
    for market, column in (
        (Market.ON_DEMAND, "list_price_usd_per_hour"),
        (Market.SPOT, "spot_price_if_known"),
    ):
        price, observed_at = _price(row[column]), _observed_at(row["price_date"])
        if price is None or observed_at is None:
            continue
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
            notes=f"plan only, list price of {row['price_date']}",
        )


def _region(text: str) -> str:
    return "any" if text.startswith(("all", "any")) else text


def _price(text: str) -> Decimal | None:
    """The number at the start of a price column; None where there is none or it is zero."""
    try:
        price = Decimal(text.split(" ", maxsplit=1)[0])
    except (InvalidOperation, IndexError):
        return None
    return price if price > 0 else None


def _observed_at(text: str) -> datetime | None:
    """The earliest day that a date such as `2026-02..03` or `2026 (undated)` can mean, at midnight UTC."""
    found = _DAY.match(text)
    if found is None:
        return None
    year, month, day = (int(part) if part else 1 for part in found.groups())
    return datetime(year, month, day, tzinfo=UTC)
