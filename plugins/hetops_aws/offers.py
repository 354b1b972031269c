"""What was learnt of a region as offers. Pure: asks nobody; whatever is no offer is handed over with its reason.

On demand a region has one price, so one offer, whose zones stand in its notes. On the spot market every zone has its
own price and its own offer. Zones go by their id (`use1-az6`): names are shuffled from account to account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from hetops.plugin import Availability, AvailabilityState, Limits, Market, Offer, PriceBasis, Refusal
from hetops_aws.blocks import Block
from hetops_aws.prices import ListedPrice, OnDemandPrices, SpotPrice, SpotPrices
from hetops_aws.quotas import RegionQuotas
from hetops_aws.settings import PROVIDER
from hetops_aws.shapes import Shape

ON_DEMAND_TTL_SECONDS = 24 * 3600
SPOT_TTL_SECONDS = 600
BLOCK_TTL_SECONDS = 600

_BEST_SCORE = 10
_ORDINARY_ZONE = re.compile(r"[a-z]+\d+-az\d+")
"""`use1-az6`. Local and Wavelength zones (`use1-bos1-az1`) have prices and a price list of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """What one region told. What it was not asked, or did not answer, is empty."""

    name: str
    zones_of: Mapping[str, tuple[str, ...]]
    """The zone ids where each instance type is offered at all."""
    sold_on_demand: bool = True
    """Whether on-demand offers are wanted; their prices are what spot prices are held against as well."""
    on_demand: OnDemandPrices = field(default_factory=lambda: OnDemandPrices(by_type={}))
    spot: SpotPrices = field(default_factory=lambda: SpotPrices(by_zone_and_type={}))
    blocks: tuple[Block, ...] = ()
    quotas: RegionQuotas = field(default_factory=RegionQuotas)
    scores: Mapping[str, int] = field(default_factory=dict)
    """Spot placement scores of the group of `scored` types, 1 to 10, by zone id."""
    scored: tuple[str, ...] = ()


def offers_of(region: Region, shapes: Mapping[str, Shape], now: datetime) -> Iterator[Offer | Refusal]:
    """Every offer of the region whose instance type is known, and the rows that are none."""
    of_gpus = {name: zones for name, zones in region.zones_of.items() if name in shapes}
    for name, zones in sorted(of_gpus.items()):
        ordinary = tuple(zone for zone in zones if _ORDINARY_ZONE.fullmatch(zone))
        listed = region.on_demand.by_type.get(name)
        if region.sold_on_demand and listed is not None and ordinary:
            yield _on_demand(region, shapes[name], listed, ordinary, now)
        for zone in ordinary:
            price = region.spot.by_zone_and_type.get((zone, name))
            if price is not None:
                yield _spot(region, shapes[name], price, zone, now)
    yield from (_block(region, shapes[b.instance_type], b, now) for b in region.blocks)
    yield from (*region.on_demand.refusals, *region.spot.refusals)


def _on_demand(
    region: Region, shape: Shape, listed: ListedPrice, zones: tuple[str, ...], now: datetime
) -> Offer:
    source = "AWS price list" + (f" of {listed.published}" if listed.published else "")
    return _offer(
        _Terms(
            market=Market.ON_DEMAND,
            usd_per_hour=listed.usd_per_hour,
            observed_at=now,
            source=source,
            ttl_seconds=ON_DEMAND_TTL_SECONDS,
            availability=Availability(),
            limits=region.quotas.limits_on(shape.name, Market.ON_DEMAND, shape.vcpu),
            notes=(f"in {', '.join(zones)}",),
        ),
        region,
        shape,
    )


def _spot(region: Region, shape: Shape, price: SpotPrice, zone: str, now: datetime) -> Offer:
    score = region.scores.get(zone) if shape.name in region.scored else None
    listed = region.on_demand.by_type.get(shape.name)
    scarce = listed is not None and price.usd_per_hour >= listed.usd_per_hour
    return _offer(
        _Terms(
            market=Market.SPOT,
            zone=zone,
            usd_per_hour=price.usd_per_hour,
            observed_at=max(now, price.changed_at),
            source=f"EC2 spot price since {price.changed_at:%Y-%m-%d %H:%M} UTC",
            ttl_seconds=SPOT_TTL_SECONDS,
            availability=Availability(
                score=None if score is None else score / _BEST_SCORE,
                observed_at=None if score is None else now,
            ),
            limits=region.quotas.limits_on(shape.name, Market.SPOT, shape.vcpu),
            notes=(
                *(("no cheaper than on demand: little capacity to spare",) if scarce else ()),
                *((f"the score is of {' or '.join(region.scored)}",) if score is not None else ()),
            ),
        ),
        region,
        shape,
    )


def _block(region: Region, shape: Shape, block: Block, now: datetime) -> Offer:
    return _offer(
        _Terms(
            market=Market.CAPACITY_BLOCK,
            zone=block.zone,
            usd_per_hour=block.usd_per_hour,
            observed_at=now,
            source="EC2 capacity block offerings",
            ttl_seconds=BLOCK_TTL_SECONDS,
            availability=Availability(state=AvailabilityState.AVAILABLE, observed_at=now),
            limits=Limits(max_count=block.instances),
            notes=(
                f"{block.hours} h from {block.starts_at:%Y-%m-%d %H:%M} UTC, {block.fee_usd} USD in advance",
            ),
        ),
        region,
        shape,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What tells one offer of a shape in a region from another."""

    market: Market
    usd_per_hour: Decimal
    observed_at: datetime
    source: str
    ttl_seconds: int
    availability: Availability
    limits: Limits
    zone: str = ""
    notes: tuple[str, ...] = ()


def _offer(terms: _Terms, region: Region, shape: Shape) -> Offer:
    arm = ("arm64 host: images must be arm64",) if shape.architecture == "arm64" else ()
    return Offer(
        provider=PROVIDER,
        sku=shape.name,
        gpu=shape.gpu,
        gpu_count=shape.gpu_count,
        region=region.name,
        zone=terms.zone,
        market=terms.market,
        usd_per_hour=terms.usd_per_hour,
        basis=PriceBasis.LIVE,
        observed_at=terms.observed_at,
        source=terms.source,
        ttl_seconds=terms.ttl_seconds,
        nvlink=shape.nvlink,
        vcpu=float(shape.vcpu),
        host_memory_gb=shape.memory_gib,
        availability=terms.availability,
        limits=terms.limits,
        notes="; ".join((*terms.notes, *arm)),
    )
