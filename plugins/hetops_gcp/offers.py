"""Machines, prices, quotas and advice as offers. Pure: asks nobody; whatever is no offer is handed over with its reason.

On demand a region has one price and one offer, whose zones stand in its notes. On the spot market every zone has its own
offer: the price is the region's, what is left and taken back is the zone's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from hetops.plugin import Availability, Limits, Market, Offer, PriceBasis, Refusal
from hetops_gcp.machines import Machine
from hetops_gcp.quotas import Quotas
from hetops_gcp.settings import PROVIDER
from hetops_gcp.skus import LOCAL_SSD, Prices

TTL_SECONDS = 12 * 3600
"""Google renews its catalogue within so long."""
SPOT_TTL_SECONDS = 3600
_SOURCE = "Cloud Billing catalogue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Advice on one machine type in one zone on the spot market."""

    obtainability: float
    """From 0 to 1."""
    uptime_seconds: float | None = None
    """How long such machines are expected to live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything that was learnt. What was not asked, or did not answer, is empty."""

    machines: tuple[Machine, ...]
    prices: Prices
    quotas: Quotas = field(default_factory=Quotas)
    chances: Mapping[tuple[str, str], Chance] = field(default_factory=dict)
    """By machine type and zone."""


def offers_of(told: Told, markets: Iterable[Market], now: datetime) -> Iterator[Offer | Refusal]:
    """Every offer, and machines that have no price or are not sold."""
    missing: Counter[tuple[str, str]] = Counter()
    for market in markets:
        for place in _places(told.machines, market):
            machine = place[0]
            reason = machine.not_sold(market)
            try:
                price = None if reason else _price(machine, told.prices, market)
            except LookupError as fault:
                price, reason = None, str(fault.args[0])
            if price is None:
                missing[f"{PROVIDER} {machine.sku}", f"{market}: {reason}"] += 1
            else:
                yield _offer(_Sold(places=place, market=market, price=price), told, now)
    yield from (Refusal(subject=s, reason=r, count=n) for (s, r), n in sorted(missing.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sold:
    """A machine on a market: in one zone, or on demand in all zones of a region."""

    places: tuple[Machine, ...]
    market: Market
    price: Decimal


def _places(machines: Iterable[Machine], market: Market) -> Iterator[tuple[Machine, ...]]:
    """What makes one offer together: the zones of a region on demand, each by itself on the spot market."""
    together: dict[tuple[str, str], list[Machine]] = {}
    for machine in machines:
        where = machine.zone if market is Market.SPOT else machine.region
        together.setdefault((machine.sku, where), []).append(machine)
    return (tuple(found) for found in together.values())


def _price(machine: Machine, prices: Prices, market: Market) -> Decimal:
    """The sum of its parts; LookupError names the part that has no price."""
    wanted = {machine.accelerator: Decimal(machine.gpu_count)}
    if not machine.all_in_one:
        wanted |= {
            f"{machine.series.priced_as} core": Decimal(machine.vcpu),
            f"{machine.series.priced_as} memory": Decimal(str(machine.memory_gib)),
        }
    if machine.ssd_gib and not machine.all_in_one:
        wanted[LOCAL_SSD] = Decimal(machine.ssd_gib)
    return sum((_part(what, prices, market, machine.region) * n for what, n in wanted.items()), Decimal(0))


def _part(what: str, prices: Prices, market: Market, region: str) -> Decimal:
    price = prices.of(what, market, region)
    if price is None:
        raise LookupError(f"no price of {what}")
    return price


def _offer(sold: _Sold, told: Told, now: datetime) -> Offer:
    machine = sold.places[0]
    spot = sold.market is Market.SPOT
    chance = told.chances.get((machine.sku, machine.zone)) if spot else None
    return Offer(
        provider=PROVIDER,
        sku=machine.sku,
        gpu=machine.gpu,
        gpu_count=machine.gpu_count,
        region=machine.region,
        zone=machine.zone if spot else "",
        market=sold.market,
        usd_per_hour=sold.price.quantize(Decimal("0.000001")),
        basis=PriceBasis.LIVE,
        observed_at=now,
        source=_SOURCE,
        ttl_seconds=SPOT_TTL_SECONDS if spot else TTL_SECONDS,
        nvlink=machine.nvlink,
        vcpu=float(machine.vcpu),
        host_memory_gb=machine.memory_gib,
        availability=_availability(chance, now),
        limits=_limits(machine, sold.market, told.quotas),
        interruptions_per_hour=_interruptions(chance),
        notes="; ".join(_notes(sold)),
    )


def _limits(machine: Machine, market: Market, quotas: Quotas) -> Limits:
    return quotas.limits(machine.accelerator, machine.gpu_count, market, machine.region)


def _availability(chance: Chance | None, now: datetime) -> Availability:
    """A chance is no promise: the state stays unknown."""
    return Availability() if chance is None else Availability(score=chance.obtainability, observed_at=now)


def _interruptions(chance: Chance | None) -> float | None:
    uptime = chance.uptime_seconds if chance else None
    return 3600.0 / uptime if uptime else None


def _notes(sold: _Sold) -> Iterator[str]:
    machine = sold.places[0]
    if sold.market is Market.ON_DEMAND:
        yield f"in {', '.join(sorted(m.zone for m in sold.places))}"
    if machine.ssd_gib and not machine.all_in_one:
        yield f"with {machine.ssd_gib} GiB of local SSD"
    if machine.arm:
        yield "the host is arm64: so must the image be"
