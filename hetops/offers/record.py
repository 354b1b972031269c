"""Edge: prices over time, JSON lines that are only ever appended to: one for each look at the offers.

Holds the cheapest offer of each GPU type, provider and market. List prices are left out: they stand still.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import msgspec

from hetops.domain import codec
from hetops.domain.offer import Market, PriceBasis
from hetops.errors import DocumentError
from hetops.files import append_line, make_private, read_bytes, unwritable
from hetops.offers.listing import OfferListing
from hetops.offers.rank import PricedOffer


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePoint:
    """The cheapest of a provider's offers of one GPU type on one market, and how many there are."""

    gpu: str
    provider: str
    market: Market
    usd_per_gpu_hour: Decimal
    sku: str
    place: str
    """Its zone, else its region."""
    offers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRecord:
    """One look."""

    FORMAT: ClassVar[str] = "hetops.offer-record"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    at: datetime
    points: tuple[PricePoint, ...]


def record_of(listing: OfferListing) -> PriceRecord:
    """What of a listing is worth remembering."""
    groups: dict[tuple[str, str, Market], list[PricedOffer]] = {}
    for priced in listing.offers:
        offer = priced.offer
        if offer.basis is not PriceBasis.LIST and not offer.emulated:
            groups.setdefault((offer.gpu, offer.provider, offer.market), []).append(priced)
    return PriceRecord(at=listing.created_at, points=tuple(_point(groups[key]) for key in sorted(groups)))


def append(path: Path, record: PriceRecord) -> None:
    """Adds a line; two commands at once never mix theirs.

    Raises:
        HetopsError: it cannot be written.
    """
    try:
        make_private(path.parent)
        append_line(path, msgspec.json.encode(codec.to_builtins(record)))
    except OSError as fault:
        raise unwritable(f"record {path}", fault) from fault


def read(path: Path) -> tuple[PriceRecord, ...]:
    """Every look, oldest first. A torn line (a kill, a full disk) is left out.

    Raises:
        HetopsError: there is no such file, or nothing in it is a record.
    """
    lines = [line for line in read_bytes(path, what="record of prices").splitlines() if line.strip()]
    found = sorted(_records(lines, str(path)), key=lambda record: record.at)
    if lines and not found:
        raise DocumentError(f"{path} is no record of prices", hint="hetops offers --record FILE writes one")
    return tuple(found)


def _records(lines: list[bytes], source: str) -> Iterator[PriceRecord]:
    for line in lines:
        try:
            yield codec.decode(PriceRecord, line, source=source)
        except DocumentError:
            continue


def _point(offers: list[PricedOffer]) -> PricePoint:
    best = min(offers, key=lambda p: (p.usd_per_gpu_hour, p.offer.id))
    return PricePoint(
        gpu=best.offer.gpu,
        provider=best.offer.provider,
        market=best.offer.market,
        usd_per_gpu_hour=best.usd_per_gpu_hour,
        sku=best.offer.sku,
        place=best.offer.zone or best.offer.region,
        offers=len(offers),
    )
