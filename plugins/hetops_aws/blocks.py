"""Capacity blocks: GPUs for a fixed time from a fixed day on, paid in advance. Pure.

One hour of a block is its fee over its hours and instances. It is a market of its own: the machines exist from its
start to its end and at no other time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from hetops.plugin import Refusal
from hetops_aws.prices import usd

_CURRENCY = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One capacity block that can be bought now."""

    instance_type: str
    zone: str
    """Its zone id, or its name where AWS tells no id."""
    instances: int
    hours: int
    starts_at: datetime
    fee_usd: Decimal

    @property
    def usd_per_hour(self) -> Decimal:
        """What one instance costs for an hour of the block."""
        return (self.fee_usd / (self.hours * self.instances)).quantize(Decimal("0.000001"))


def read_blocks(
    rows: Iterable[Mapping[str, Any]], region: str
) -> tuple[tuple[Block, ...], tuple[Refusal, ...]]:
    """The cheapest block of each zone and type, the earliest of equal ones, and the rows that are none."""
    best: dict[tuple[str, str], Block] = {}
    refusals: list[Refusal] = []
    for row in rows:
        try:
            block = _read(row)
        except (ValueError, TypeError, LookupError) as fault:
            subject = f"aws {row.get('InstanceType', 'an unnamed type')} capacity block in {region}"
            refusals.append(Refusal(subject=subject, reason=_reason(fault)))
            continue
        key = (block.zone, block.instance_type)
        if key not in best or _rank(block) < _rank(best[key]):
            best[key] = block
    return tuple(best.values()), tuple(refusals)


def _rank(block: Block) -> tuple[Decimal, datetime]:
    return block.usd_per_hour, block.starts_at


def _reason(fault: Exception) -> str:
    return str(fault) if isinstance(fault, ValueError) else f"the row cannot be read: {fault!r}"


def _read(row: Mapping[str, Any]) -> Block:
    currency = row.get("CurrencyCode", _CURRENCY)
    if currency != _CURRENCY:
        raise ValueError(f"is priced in {currency}, not in {_CURRENCY}")
    instances, hours = int(row["InstanceCount"]), int(row["CapacityBlockDurationHours"])
    if instances < 1 or hours < 1:
        raise ValueError(f"is of {instances} instances for {hours} hours")
    segments = row.get("CapacityBlockOfferingSegments") or ()
    zones = {s["AvailabilityZoneId"] for s in segments if s.get("AvailabilityZoneId")}
    return Block(
        instance_type=str(row["InstanceType"]),
        zone=zones.pop() if len(zones) == 1 else str(row["AvailabilityZone"]),
        instances=instances,
        hours=hours,
        starts_at=row["StartDate"],
        fee_usd=usd(row.get("UpfrontFee"), zero="has a fee of 0, which means not sold"),
    )
