"""Hyperbolic's rental options as offers. Pure: one answer in, offers and reasons out.

Shapes: field names that public clients of the v2 API use (September 2026); its own OpenAPI document was not read. A
price is taken to be of a whole option, in US cents. Where that cannot be, the option is refused and not reinterpreted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from hetops.plugin import (
    CENTS,
    Availability,
    AvailabilityState,
    Limits,
    Offer,
    PriceBasis,
    Refusal,
    usd,
)

PROVIDER = "hyperbolic"

TTL_SECONDS = 300

GPUS: Mapping[tuple[str, str], str] = {
    ("h100", "sxm"): "H100-SXM",
    ("h100", "sxm5"): "H100-SXM",
    ("h100", "pcie"): "H100-PCIe",
    ("h200", "sxm"): "H200-SXM",
    ("h200", "sxm5"): "H200-SXM",
    ("b200", "sxm"): "B200",
    ("b200", "sxm6"): "B200",
}
"""(`gpuType`, `gpuFormFactor`) to canonical GPU: exact matches only."""

_NVLINK = frozenset({"H100-SXM", "H200-SXM", "B200"})
_VIRTUAL = "virtual-machine"
_USUAL_NETWORK = "ethernet"

_LEAST_OF_SEVERAL = Decimal("1.5")
"""Several GPUs for less than so many times the price of one: then the price is of one GPU, or wrong."""

_SKU = re.compile(r"(?P<gpu>\S+) \(virtual-machine, (?P<count>[1-9]\d*) GPU(?:, (?P<network>\S+))?\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A virtual machine that can be rented. `sku` writes it down, `option` reads it again."""

    gpu_type: str
    count: int
    network: str = _USUAL_NETWORK

    @property
    def sku(self) -> str:
        """As in `h100 (virtual-machine, 1 GPU)`; a network is named where it is not the usual one."""
        network = "" if self.network == _USUAL_NETWORK else f", {self.network}"
        return f"{self.gpu_type} ({_VIRTUAL}, {self.count} GPU{network})"

    def matches(self, row: Mapping[str, Any], region: str) -> bool:
        """Whether a row of the list is this option, in that region."""
        told = (row.get("machineType"), row.get("region"), row.get("gpuType"), row.get("gpuCount"))
        network = row.get("connectionType") or _USUAL_NETWORK
        return (*told, network) == (_VIRTUAL, region, self.gpu_type, self.count, self.network)


def option(sku: str) -> Option | None:
    """The option of an offer's SKU; None where it is none of ours."""
    found = _SKU.fullmatch(sku)
    if found is None:
        return None
    return Option(
        gpu_type=found["gpu"], count=int(found["count"]), network=found["network"] or _USUAL_NETWORK
    )


def of_row(row: Mapping[str, Any]) -> Option:
    """The option that a row of the list is."""
    network = row.get("connectionType") or _USUAL_NETWORK
    return Option(gpu_type=str(row["gpuType"]), count=int(row["gpuCount"]), network=str(network))


def offers(rows: list[Any], now: datetime) -> tuple[Offer | Refusal, ...]:
    """The answer of `GET /v2/on-demand/rental-options`."""
    told = [row for row in rows if isinstance(row, dict)]
    odd = Refusal(
        subject=f"{PROVIDER} options", reason="they cannot be understood", count=len(rows) - len(told)
    )
    found = (offer for row in told for offer in _of_row(row, told, now))
    return (*found, odd) if odd.count else tuple(found)


def _of_row(row: Mapping[str, Any], rows: list[dict[str, Any]], now: datetime) -> Iterator[Offer | Refusal]:
    name = f"{PROVIDER} {row.get('gpuCount', '?')} x {row.get('gpuType', '?')} in {row.get('region', '?')}"
    try:
        if row["machineType"] != _VIRTUAL:
            yield Refusal(subject=name, reason=f"{row['machineType']}: hetops rents virtual machines only")
        else:
            yield _offer(row, rows, now)
    except ValueError as fault:
        yield Refusal(subject=name, reason=str(fault))
    except (KeyError, TypeError, AttributeError, ArithmeticError) as fault:
        yield Refusal(subject=name, reason=f"it cannot be understood: {fault!r}"[:160])


def _offer(row: Mapping[str, Any], rows: list[dict[str, Any]], now: datetime) -> Offer:
    what = of_row(row)
    price = usd(row.get("costPerHourCents"), unit=CENTS, currency=row.get("currency", "USD"))
    _refuse_ambiguous(row, price, rows)
    form = str(row["gpuFormFactor"])
    gpu = GPUS.get((what.gpu_type, form.lower()), f"{what.gpu_type} {form}")
    host: Mapping[str, Any] = next(
        (each for each in row.get("nodes") or () if each.get("gpuCount") == what.count), {}
    )
    return Offer(
        provider=PROVIDER,
        sku=what.sku,
        gpu=gpu,
        gpu_count=what.count,
        region=str(row["region"]),
        usd_per_hour=price,
        basis=PriceBasis.LIVE,
        observed_at=now,
        source="GET /v2/on-demand/rental-options",
        ttl_seconds=TTL_SECONDS,
        nvlink=what.count > 1 and gpu in _NVLINK,
        vcpu=host.get("vcpuCount"),
        host_memory_gb=host.get("ramGb"),
        availability=_availability(row, now),
        limits=Limits(max_count=_most(row, what.count)),
        notes="the price is taken to be of the whole machine" if what.count > 1 else "",
    )


def _refuse_ambiguous(row: Mapping[str, Any], price: Decimal, rows: list[dict[str, Any]]) -> None:
    """ValueError where the price of several GPUs is so near to that of one that it may be of each."""
    if row["gpuCount"] == 1:
        return
    same = (each for each in rows if each.get("gpuCount") == 1 and each.get("gpuType") == row["gpuType"])
    singles = [each.get("costPerHourCents") for each in same]
    one = max((cents * CENTS for cents in singles if isinstance(cents, int)), default=None)
    if one is not None and price < one * _LEAST_OF_SEVERAL:
        raise ValueError(
            f"{row['gpuCount']} GPUs at {price} USD where one is {one}: of each GPU or of all, nobody can tell"
        )


def _availability(row: Mapping[str, Any], now: datetime) -> Availability:
    left = row.get("totalAvailable")
    if not row.get("enabled") or left == 0:
        return Availability(state=AvailabilityState.NONE, observed_at=now)
    state = AvailabilityState.AVAILABLE if isinstance(left, int) else AvailabilityState.UNKNOWN
    return Availability(state=state, observed_at=now)


def _most(row: Mapping[str, Any], count: int) -> int | None:
    """Machines left: whether the API counts them or their GPUs is not known, so the smaller number counts."""
    left = row.get("totalAvailable")
    if not isinstance(left, int):
        return None
    return max(1, left // count) if left > 0 else 0
