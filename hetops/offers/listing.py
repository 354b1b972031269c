"""The `hetops.offers` document: every offer that may be chosen with what its money buys, every other one with why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hetops.domain.plan import Refusal
from hetops.offers.rank import PricedOffer
from hetops.offers.select import RefusedOffer
from hetops.offers.sources import SourceReport


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferListing:
    """Offers as they are told to a user."""

    FORMAT: ClassVar[str] = "hetops.offers"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    created_at: datetime
    coverage: str
    """Where the offers came from and how old they are, in one line."""
    sources: tuple[SourceReport, ...]
    offers: tuple[PricedOffer, ...]
    """In the order asked for, cheapest first."""
    refused: tuple[RefusedOffer, ...] = ()
    """Offers that break a rule."""
    refusals: tuple[Refusal, ...] = ()
    """Providers that failed, and machine types that are no offer."""
    warnings: tuple[str, ...] = ()
