"""What changed between two looks at the offers. Pure.

A source that fails says nothing of its offers: what it told before still counts, and nothing of it is called gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from hetops.domain.offer import AvailabilityState, Offer
from hetops.offers.listing import OfferListing
from hetops.offers.sources import SourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneOffer:
    """An offer that may not be chosen any more, and why."""

    offer: Offer
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPrice:
    """An offer whose price is another: that of a node for an hour, extras included."""

    offer: Offer
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedStock:
    """An offer of which another number of nodes can be had; None where the provider does not say."""

    offer: Offer
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferChanges:
    """What became of the offers since the look before."""

    FORMAT: ClassVar[str] = "hetops.offer-changes"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    at: datetime
    coverage: str
    appeared: tuple[Offer, ...] = ()
    gone: tuple[GoneOffer, ...] = ()
    prices: tuple[ChangedPrice, ...] = ()
    stock: tuple[ChangedStock, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.appeared) + len(self.gone) + len(self.prices) + len(self.stock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of the offers after a look: the last that each source told, by offer id."""

    offers: Mapping[str, Offer] = field(default_factory=dict)

    def then(self, listing: OfferListing) -> tuple[Look, OfferChanges]:
        """The look after this one, and what changed."""
        silent = _silent(listing)
        told = {p.offer.id: p.offer for p in listing.offers if p.offer.provider not in silent}
        refused = {r.offer.id: r.detail for r in listing.refused if r.offer.provider not in silent}
        kept = {
            id_: offer
            for id_, offer in self.offers.items()
            if id_ not in told and id_ not in refused and offer.provider in _partly(listing)
        }
        both = [(self.offers[id_], offer) for id_, offer in told.items() if id_ in self.offers]
        changes = OfferChanges(
            at=listing.created_at,
            coverage=listing.coverage,
            appeared=tuple(offer for id_, offer in told.items() if id_ not in self.offers),
            gone=tuple(
                GoneOffer(offer=offer, reason=refused.get(id_, "not listed any more"))
                for id_, offer in self.offers.items()
                if id_ not in told and id_ not in kept
            ),
            prices=tuple(_prices(both)),
            stock=tuple(_stock(both)),
        )
        return replace(self, offers={**kept, **told}), changes


def nodes_left(offer: Offer) -> int | None:
    """How many nodes can be had, by stock and quota; None where the provider does not say, which is never unlimited."""
    limits = offer.limits
    if offer.availability.state is AvailabilityState.NONE:
        return 0
    known = [] if limits.max_count is None else [limits.max_count]
    known += [int(share.left // share.per_node) for share in limits.quotas if share.per_node > 0]
    return min(known, default=None)


def _silent(listing: OfferListing) -> frozenset[str]:
    """Sources that refused: what stands in their place is a list of another day."""
    return frozenset(s.provider for s in listing.sources if s.state is SourceState.REFUSED)


def _partly(listing: OfferListing) -> frozenset[str]:
    """Sources of which all or a part did not answer."""
    return frozenset(s.provider for s in listing.sources if s.detail)


def _prices(both: Iterable[tuple[Offer, Offer]]) -> Iterable[ChangedPrice]:
    for before, after in both:
        if before.total_usd_per_hour != after.total_usd_per_hour:
            yield ChangedPrice(offer=after, before=before.total_usd_per_hour, after=after.total_usd_per_hour)


def _stock(both: Iterable[tuple[Offer, Offer]]) -> Iterable[ChangedStock]:
    for before, after in both:
        if nodes_left(before) != nodes_left(after):
            yield ChangedStock(offer=after, before=nodes_left(before), after=nodes_left(after))
