"""Offers as text. Every price says where it comes from and how old it is."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from hetops.domain.offer import Offer, PriceBasis
from hetops.domain.percent import percent
from hetops.domain.plan import Refusal
from hetops.offers.changes import ChangedPrice, OfferChanges, nodes_left
from hetops.offers.history import PriceHistory, PriceSeries
from hetops.offers.listing import OfferListing
from hetops.offers.rank import PricedOffer, grouped
from hetops.reports import quantities as q

_WIDEST_SKU = 34

_WHAT = ("provider", "sku", "gpu", "region", "market")
_LEFT, _CHANCE = "left", "chance"
_PRICES = ("$/hour", "$/gpu", "$/gb", "$/tflops", "$/tb/s")
_NUMBERS = frozenset({_LEFT, _CHANCE, *_PRICES})
"""Columns that stand to the right."""


def as_text(listing: OfferListing) -> str:
    """All offers for a terminal, then where they came from."""
    scored = any(priced.offer.availability.score is not None for priced in listing.offers)
    headers = (*_WHAT, _LEFT, *((_CHANCE,) if scored else ()), *_PRICES, "price")
    cells = [_cells(priced, listing.created_at) for priced in listing.offers]
    rows = [[of[header] for header in headers] for of in cells]
    right = tuple(i for i, header in enumerate(headers) if header in _NUMBERS)
    table = q.table(headers, rows, right=right) if rows else _nothing(listing)
    return _joined((table, _foot(listing)))


def by_gpu_as_text(listing: OfferListing) -> str:
    """One line for each GPU type: its cheapest offer, and how many there are."""
    groups = grouped(listing.offers)
    rows = [
        (
            group.gpu,
            str(group.offers),
            ", ".join(group.providers),
            q.usd(group.cheapest.usd_per_gpu_hour),
            q.usd(group.highest_usd_per_gpu_hour),
            f"{group.cheapest.offer.provider} {_short(group.cheapest.offer.sku)}",
            str(group.cheapest.offer.market),
        )
        for group in groups
    ]
    headers = ("gpu", "offers", "providers", "$/gpu", "at most", "cheapest", "market")
    table = q.table(headers, rows, right=(1, 3, 4)) if rows else _nothing(listing)
    return _joined((table, _foot(listing)))


def refused_as_text(listing: OfferListing) -> str:
    """Every offer that breaks a rule, and whatever is no offer, with the reason."""
    broken = [(*_what(r.offer), r.detail) for r in listing.refused]
    others = [(r.subject, "", "", "", "", _counted(r)) for r in listing.refusals]
    rows = [*broken, *others]
    headers = ("refused", *_WHAT[1:], "reason")
    table = q.table(headers, rows) if rows else "Nothing was refused."
    return _joined((table, _foot(listing)))


def changes_as_text(changes: OfferChanges) -> str:
    """A line with the time and how much changed, then one for each change."""
    lines = (
        f"{changes.at:%H:%M:%S}  {q.many(changes.count, 'change')}; {changes.coverage}",
        *(f"  new    {_named(o)} at {q.usd(o.total_usd_per_hour)} /h" for o in changes.appeared),
        *(f"  gone   {_named(g.offer)}: {g.reason}" for g in changes.gone),
        *(f"  price  {_named(p.offer)} {_moved(p)}" for p in changes.prices),
        *(f"  left   {_named(s.offer)} {_number(s.before)} -> {_number(s.after)}" for s in changes.stock),
    )
    return "\n".join(lines) + "\n"


def _named(offer: Offer) -> str:
    return f"{offer.id} ({_gpus(offer)})"


def _moved(price: ChangedPrice) -> str:
    relative = float(price.after / price.before - 1)
    return f"{q.usd(price.before)} -> {q.usd(price.after)} /h ({q.change(relative)})"


def history_as_text(history: PriceHistory) -> str:
    """One line for each provider and market, its prices drawn; the scale of all is one, so that heights compare."""
    first, last = min(history.looks), max(history.looks)
    looks = q.many(len(history.looks), "look")
    head = f"{history.gpu}, USD per GPU and hour, {looks} from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    prices = [p.usd_per_gpu_hour for s in history.series for p in s.points if p]
    scale = (min(prices), max(prices))
    rows = [_history_row(series, scale) for series in history.series]
    headers = ("provider", "market", "prices", "now", "lowest", "highest", "change", "where")
    return _joined((head, q.table(headers, rows, right=(3, 4, 5, 6))))


def _history_row(series: PriceSeries, scale: tuple[Decimal, Decimal]) -> Sequence[str]:
    told = [p for p in series.points if p]
    prices = [p.usd_per_gpu_hour for p in told]
    now = series.points[-1]
    return (
        series.provider,
        str(series.market),
        q.sparkline([p.usd_per_gpu_hour if p else None for p in series.points], scale),
        q.usd(now.usd_per_gpu_hour) if now else "-",
        q.usd(min(prices)),
        q.usd(max(prices)),
        q.change(float(prices[-1] / prices[0] - 1)),
        f"{_short(told[-1].sku)} in {told[-1].place}",
    )


def history_as_csv(history: PriceHistory) -> str:
    """One row for each look, provider and market that had an offer."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("at", "gpu", "provider", "market", "usd_per_gpu_hour", "sku", "place", "offers"))
    for i, at in enumerate(history.looks):
        for point in (s.points[i] for s in history.series):
            if point:
                price = f"{point.usd_per_gpu_hour:f}"
                told = (point.provider, point.market, price, point.sku, point.place, point.offers)
                writer.writerow((at.isoformat(), history.gpu, *told))
    return text.getvalue()


def _nothing(listing: OfferListing) -> str:
    """Why no offer is left: the commonest reasons."""
    counts = Counter(r.detail for r in listing.refused).most_common(4)
    reasons = "; ".join(f"{count:,} {detail}" for detail, count in counts)
    return f"No offer is left: {reasons}" if reasons else "No offer is left."


def _joined(sections: Iterable[str]) -> str:
    return "\n\n".join(section for section in sections if section) + "\n"


def _foot(listing: OfferListing) -> str:
    refused = len(listing.refused) + sum(r.count for r in listing.refusals)
    lines = (
        f"{q.many(len(listing.offers), 'offer')}; {refused:,} refused (--refused says why)",
        f"Sources: {listing.coverage}" if listing.coverage else "",
        *(f"  {s.provider}: {s.hint}" for s in listing.sources if s.hint),
        *(f"warning: {warning}" for warning in listing.warnings),
    )
    return "\n".join(line for line in lines if line)


def _cells(priced: PricedOffer, now: datetime) -> dict[str, str]:
    """What a line may show, by its header."""
    offer, score = priced.offer, priced.offer.availability.score
    return {
        **dict(zip(_WHAT, _what(offer), strict=True)),
        _LEFT: _left(offer),
        _CHANCE: "-" if score is None else percent(score),
        "$/hour": q.usd(offer.total_usd_per_hour),
        "$/gpu": q.usd(priced.usd_per_gpu_hour),
        "$/gb": q.usd(priced.usd_per_gb_hour),
        "$/tflops": q.usd(priced.usd_per_tflops_hour),
        "$/tb/s": q.usd(priced.usd_per_tb_per_second_hour),
        "price": _basis(offer, now),
    }


def _what(offer: Offer) -> tuple[str, str, str, str, str]:
    """What is offered, by whom and where."""
    place = offer.zone or offer.region
    return offer.provider, _short(offer.sku), _gpus(offer), place, str(offer.market)


def _short(sku: str) -> str:
    return sku if len(sku) <= _WIDEST_SKU else f"{sku[: _WIDEST_SKU - 1]}…"


def _gpus(offer: Offer) -> str:
    return f"{offer.gpu_count} x {offer.gpu}"


def _left(offer: Offer) -> str:
    """How many nodes can be had; `?` where the provider does not say."""
    return _number(nodes_left(offer))


def _number(left: int | None) -> str:
    return "?" if left is None else str(left)


def _basis(offer: Offer, now: datetime) -> str:
    if offer.basis is PriceBasis.LIST:
        return f"list {offer.observed_at:%Y-%m-%d}" + (", emulated" if offer.emulated else "")
    if offer.basis is PriceBasis.NOMINAL:
        return "nominal"
    return f"live, {q.seconds(max(0.0, offer.age_seconds(now)))} old" + " (stale)" * offer.stale(now)


def _counted(refusal: Refusal) -> str:
    return refusal.reason if refusal.count == 1 else f"{refusal.reason} ({refusal.count:,} times)"
