"""Lambda's instance types as offers. Pure: one answer in, offers and reasons out.

Shapes: Lambda Cloud OpenAPI 1.10.0. Prices are US cents for a whole instance, the same in every region; a region is
listed for a type exactly as long as it has capacity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from hetops.plugin import (
    BYTES_PER_GIB,
    CENTS,
    Availability,
    AvailabilityState,
    Offer,
    PriceBasis,
    Refusal,
    usd,
)

PROVIDER = "lambda"

TTL_SECONDS = 300

NO_FIREWALL = frozenset({"us-south-1"})
"""Lambda's firewall does not reach these regions (OpenAPI, "List inbound firewall rules")."""

ANYWHERE = "any"
"""Region of a type that is sold out everywhere."""

GPUS: Mapping[str, str] = {
    "A10 (24 GB PCIe)": "A10",
    "A6000 (48 GB)": "A6000",
    "A6000 (48 GB PCIe)": "A6000",
    "RTX 6000 (24 GB)": "RTX6000-Turing",
    "Quadro RTX 6000 (24 GB)": "RTX6000-Turing",
    "Tesla V100 (16 GB)": "V100-16GB-SXM2",
    "V100 (16 GB SXM2)": "V100-16GB-SXM2",
    "A100 (40 GB PCIe)": "A100-40GB-PCIe",
    "A100 (40 GB SXM4)": "A100-40GB-SXM",
    "A100 (80 GB SXM4)": "A100-80GB-SXM",
    "H100 (80 GB PCIe)": "H100-PCIe",
    "H100 (80 GB SXM5)": "H100-SXM",
    "GH200 (96 GB)": "GH200-96GB",
    "B200 (180 GB SXM6)": "B200",
}
"""`gpu_description` to canonical GPU: exact matches only."""

_BY_NAME: Mapping[str, str] = {
    "a10": "A10",
    "a6000": "A6000",
    "rtx6000": "RTX6000-Turing",
    "v100": "V100-16GB-SXM2",
    "v100_n": "V100-16GB-SXM2",
    "a100_sxm4": "A100-40GB-SXM",
    "a100_80gb_sxm4": "A100-80GB-SXM",
    "h100_pcie": "H100-PCIe",
    "h100_sxm5": "H100-SXM",
    "h100_sxm5gdr": "H100-SXM",
    "gh200": "GH200-96GB",
    "b200_sxm6": "B200",
}
"""The part of a type's name after `gpu_<n>x_`, where it means one GPU only. Plain `a100` does not: it is PCIe or SXM."""

_NVLINK = frozenset({"V100-16GB-SXM2", "A100-40GB-SXM", "A100-80GB-SXM", "H100-SXM", "B200"})
_ARM = frozenset({"GH200-96GB"})

_NAME = re.compile(r"gpu_([1-9]\d*)x_(\w+)")


def gpus_of(name: str) -> int | None:
    """How many GPUs an instance type has, by its name; None where the name does not say."""
    found = _NAME.fullmatch(name)
    return int(found.group(1)) if found else None


def offers(said: Mapping[str, Any], now: datetime) -> tuple[Offer | Refusal, ...]:
    """The answer of `GET /api/v1/instance-types`, its `data`."""
    return tuple(found for name, row in sorted(said.items()) for found in _of_type(name, row, now))


def _of_type(name: str, row: Any, now: datetime) -> Iterator[Offer | Refusal]:
    """The offers of one type, one for each region with capacity."""
    try:
        regions = [region["name"] for region in row["regions_with_capacity_available"]]
        for region in regions or [ANYWHERE]:
            if region in NO_FIREWALL:
                yield Refusal(
                    subject=f"{PROVIDER} {name}",
                    reason=f"{region} has no firewall: the engines would be open to the world",
                )
            else:
                yield _offer(name, row["instance_type"], region, now)
    except ValueError as fault:
        yield Refusal(subject=f"{PROVIDER} {name}", reason=str(fault))
    except (KeyError, TypeError, AttributeError, ArithmeticError) as fault:
        yield Refusal(subject=f"{PROVIDER} {name}", reason=f"it cannot be understood: {fault!r}"[:160])


def _offer(name: str, kind: Mapping[str, Any], region: str, now: datetime) -> Offer:
    specs = kind["specs"]
    gpu, count = _gpu(name, kind["gpu_description"]), specs["gpus"]
    left = AvailabilityState.NONE if region == ANYWHERE else AvailabilityState.AVAILABLE
    return Offer(
        provider=PROVIDER,
        sku=name,
        gpu=gpu,
        gpu_count=count,
        region=region,
        usd_per_hour=usd(kind.get("price_cents_per_hour"), unit=CENTS, currency=kind.get("currency", "USD")),
        basis=PriceBasis.LIVE,
        observed_at=now,
        source="GET /api/v1/instance-types",
        ttl_seconds=TTL_SECONDS,
        nvlink=count > 1 and gpu in _NVLINK,
        vcpu=specs["vcpus"],
        host_memory_gb=round(specs["memory_gib"] * BYTES_PER_GIB / 1e9, 1),
        availability=Availability(state=left, observed_at=now),
        notes="the host is arm64: so must the image be" if gpu in _ARM else "",
    )


def _gpu(name: str, description: str) -> str:
    """The canonical GPU; where nobody knows it, or name and description mean two, the words as they are."""
    found = _NAME.fullmatch(name)
    by_name = _BY_NAME.get(found.group(2)) if found else None
    by_description = GPUS.get(description)
    if by_description and by_name in (None, by_description):
        return by_description
    return f"{description} of {name}" if by_description else description
