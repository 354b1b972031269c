"""Prices of one GPU type over time, out of a record. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hetops.domain.offer import Market
from hetops.errors import UnknownNameError
from hetops.offers.record import PricePoint, PriceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSeries:
    """One provider and market: what was cheapest at each look, None where nothing was offered."""

    provider: str
    market: Market
    points: tuple[PricePoint | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHistory:
    """What a GPU type cost, look by look."""

    FORMAT: ClassVar[str] = "hetops.offer-history"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    gpu: str
    looks: tuple[datetime, ...]
    series: tuple[PriceSeries, ...]


def history_of(gpu: str, records: Sequence[PriceRecord]) -> PriceHistory:
    """The history of a GPU type.

    Raises:
        UnknownNameError: no record has it.
    """
    by_look = [{(p.provider, p.market): p for p in r.points if p.gpu == gpu} for r in records]
    sellers = sorted({seller for look in by_look for seller in look})
    if not sellers:
        raise UnknownNameError(
            "GPU type of the record", gpu, sorted({p.gpu for r in records for p in r.points})
        )
    return PriceHistory(
        gpu=gpu,
        looks=tuple(r.at for r in records),
        series=tuple(
            PriceSeries(
                provider=provider,
                market=market,
                points=tuple(look.get((provider, market)) for look in by_look),
            )
            for provider, market in sellers
        ),
    )
