"""Offer: what a provider rents out now. Price bases never mix silently: each price says its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Market(StrEnum):
    """The terms an offer is rented on."""

    ON_DEMAND = "on_demand"
    SPOT = "spot"
    RESERVED = "reserved"
    CAPACITY_BLOCK = "capacity_block"
    TOKEN = "token"


class Trait(StrEnum):
    """What offers have in common, or are told apart by."""

    OFFER = "offer"
    ZONE = "zone"
    PROVIDER = "provider"
    MARKET = "market"
    GPU = "gpu"


class PriceBasis(StrEnum):
    """Where a price comes from."""

    LIVE = "live"
    """Asked from the provider; `observed_at` says when."""
    LIST = "list"
    """A dated list price carried in the catalogue: good for a plan only."""
    NOMINAL = "nominal"
    """Set by the user or by hetops for hardware that nobody bills."""


class AvailabilityState(StrEnum):
    """Unknown is never unlimited."""

    AVAILABLE = "available"
    UNKNOWN = "unknown"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether an offer can be had; `score` runs from 0 to 1 where the provider gives one."""

    state: AvailabilityState = AvailabilityState.UNKNOWN
    score: float | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaShare:
    """What a node takes of one limit of the account that offers share by its name, and what is left of it.

    A limit that is not known has no share: unknown is not unlimited, and no number either.
    """

    group: str
    left: float
    per_node: float
    unit: str = ""

    @property
    def allows_one(self) -> bool:
        """Whether what is left lets one node be."""
        return self.left >= self.per_node and self.left > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of an offer one account can have: of the offer itself, and of what it shares with others."""

    max_count: int | None = None
    quotas: tuple[QuotaShare, ...] = ()
    """Every one of them counts: a family's in a region and one over all regions, say."""
    spend_usd_per_hour: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A node that a provider rents out: GPU type and count, region, market, price, how many are left.

    Raises:
        ValueError: price not above zero (a price of zero means "not sold"), no GPU, a time zone missing.
    """

    provider: str
    sku: str
    gpu: str
    gpu_count: int
    region: str
    zone: str = ""
    market: Market = Market.ON_DEMAND
    usd_per_hour: Decimal
    extra_usd_per_hour: Decimal = Decimal(0)
    basis: PriceBasis
    observed_at: datetime
    source: str
    ttl_seconds: int = 300
    nvlink: bool = False
    vcpu: float | None = None
    host_memory_gb: float | None = None
    availability: Availability = field(default_factory=Availability)
    limits: Limits = field(default_factory=Limits)
    interruptions_per_hour: float | None = None
    emulated: bool = False
    """Its nodes run an emulated engine: timings of the performance model, no tokens of a real model."""
    notes: str = ""

    def __post_init__(self) -> None:
        if math.isnan(self.usd_per_hour) or not self.usd_per_hour > 0:
            raise ValueError(
                f"offer {self.sku}: a price of {self.usd_per_hour} means 'not sold', never 'free'"
            )
        if self.gpu_count < 1:
            raise ValueError(f"offer {self.sku}: gpu_count must be at least 1")
        if self.observed_at.tzinfo is None:
            raise ValueError(f"offer {self.sku}: observed_at needs a time zone")

    @property
    def id(self) -> str:
        """Unique and stable over time: provider, region or zone, SKU, market."""
        return "/".join((self.provider, self.zone or self.region, self.sku, self.market))

    @property
    def place(self) -> str:
        """Where its nodes fail together: the zone, or the region where no zone is told, with its provider."""
        return f"{self.provider}/{self.zone or self.region}"

    def value(self, trait: Trait) -> str:
        """What the offer has of a trait; its place as the zone."""
        values = {Trait.OFFER: self.id, Trait.ZONE: self.place}
        return values[trait] if trait in values else str(getattr(self, trait))

    @property
    def total_usd_per_hour(self) -> Decimal:
        """Price of one node for an hour, extras included."""
        return self.usd_per_hour + self.extra_usd_per_hour

    @property
    def plan_only(self) -> bool:
        """A list price can be planned with and never provisioned on."""
        return self.basis is PriceBasis.LIST and not self.emulated

    def age_seconds(self, now: datetime) -> float:
        """Seconds since the price was observed."""
        return (now - self.observed_at).total_seconds()

    def stale(self, now: datetime) -> bool:
        """Whether a live price is older than it says it holds."""
        return self.basis is PriceBasis.LIVE and self.age_seconds(now) > self.ttl_seconds
