"""RunPod's GPU catalogue as offers. Pure: answers in, offers and reasons out.

Shapes: RunPod OpenAPI 2.0.0. A price is USD for one GPU and hour, the same in every data centre; a pod with n GPUs costs
n times as much, and its disk besides. `maxCount` is the largest machine, not the stock. There is no spot market.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from hetops.plugin import Availability, AvailabilityState, Limits, Offer, PriceBasis, Refusal, usd
from hetops_runpod.settings import PROVIDER, RunPodSettings, Tier

TTL_SECONDS = 300

ANYWHERE = "any"
"""Region of a pod whose data centre RunPod chooses."""

GPUS: Mapping[str, str] = {
    "AMD Instinct MI300X OAM": "MI300X",
    "NVIDIA A100 80GB PCIe": "A100-80GB-PCIe",
    "NVIDIA A100-SXM4-80GB": "A100-80GB-SXM",
    "NVIDIA A30": "A30",
    "NVIDIA A40": "A40",
    "NVIDIA B200": "B200",
    "NVIDIA B300 SXM6 AC": "B300",
    "NVIDIA GeForce RTX 3090": "RTX3090",
    "NVIDIA GeForce RTX 4090": "RTX4090",
    "NVIDIA GeForce RTX 5090": "RTX5090",
    "NVIDIA H100 80GB HBM3": "H100-SXM",
    "NVIDIA H100 NVL": "H100-NVL",
    "NVIDIA H100 PCIe": "H100-PCIe",
    "NVIDIA H200": "H200-SXM",
    "NVIDIA H200 NVL": "H200-NVL",
    "NVIDIA L4": "L4",
    "NVIDIA L40": "L40",
    "NVIDIA L40S": "L40S",
    "NVIDIA RTX 6000 Ada Generation": "RTX6000-Ada",
    "NVIDIA RTX A4000": "A4000",
    "NVIDIA RTX A5000": "A5000",
    "NVIDIA RTX A6000": "A6000",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "RTXPRO6000-Server",
    "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": "RTXPRO6000-Workstation",
    "Tesla V100-PCIE-16GB": "V100-16GB-PCIe",
    "Tesla V100-SXM2-16GB": "V100-16GB-SXM2",
    "Tesla V100-SXM2-32GB": "V100-32GB-SXM2",
}
"""`id` to canonical GPU: exact matches only. Slices (`... MIG 1g.24gb`) are GPUs that nobody knows."""

_NVLINK = frozenset(
    {"A100-80GB-SXM", "B200", "B300", "H100-SXM", "H200-SXM", "MI300X", "V100-16GB-SXM2", "V100-32GB-SXM2"}
)
"""The API does not tell: derived from the form factor."""

_SCORES = {"HIGH": 0.9, "MEDIUM": 0.6, "LOW": 0.3}
"""RunPod's words as a score: a hint and no hold, its documentation says."""

_DISK_USD_PER_GB_MONTH = Decimal("0.10")
_HOURS_PER_MONTH = 730
_SYSTEM_DISK_GB = 40

_SKU = re.compile(r"(?P<gpu>.+?)(?: x(?P<count>[1-9]\d*))?(?P<community> community)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one pod runs on. `sku` writes it down, `machine` reads it again."""

    gpu_id: str
    count: int
    tier: Tier

    @property
    def sku(self) -> str:
        """As in `NVIDIA H100 80GB HBM3 x8 community`; what goes without saying is left out."""
        many = f" x{self.count}" if self.count > 1 else ""
        return self.gpu_id + many + (" community" if self.tier is Tier.COMMUNITY else "")


def machine(sku: str) -> Machine:
    """The machine of an offer's SKU."""
    found = _SKU.fullmatch(sku)
    assert found is not None, "every text is one"
    tier = Tier.COMMUNITY if found["community"] else Tier.SECURE
    return Machine(gpu_id=found["gpu"], count=int(found["count"] or 1), tier=tier)


def disk_gb(memory_gb: float, count: int) -> int:
    """The disk of a pod: what fits the GPUs' memory fits it, with room for the image."""
    return _SYSTEM_DISK_GB + math.ceil(1.2 * memory_gb * count)


def offers(
    rows: list[Any], tier: Tier, count: int, settings: RunPodSettings, now: datetime
) -> tuple[Offer | Refusal, ...]:
    """One answer of `GET /v2/catalog/gpus` for one tier and one count of GPUs."""
    return tuple(found for row in rows for found in _of_row(row, tier, count, settings, now))


def places(row: Mapping[str, Any]) -> dict[str, str]:
    """Availability by data centre, those without any left out; all that is known where no data centre is told."""
    told = {str(each["id"]): str(each.get("availability")) for each in row.get("dataCenters") or ()}
    there = {name: word for name, word in told.items() if word != "NONE"}
    return there or {ANYWHERE: "NONE" if told else str(row.get("availability"))}


def _of_row(
    row: Any, tier: Tier, count: int, settings: RunPodSettings, now: datetime
) -> Iterator[Offer | Refusal]:
    try:
        what = Machine(gpu_id=str(row["id"]), count=count, tier=tier)
        if (row["maxCount"].get(tier.lower()) or 0) < count and count > min(settings.gpu_counts):
            return
        anywhere = _offer(what, row, settings, now)
        for region, word in sorted(places(row).items()):
            yield replace(anywhere, region=region, availability=_availability(word, now))
    except ValueError as fault:
        yield Refusal(subject=f"{PROVIDER} {what.sku}", reason=str(fault))
    except (KeyError, TypeError, AttributeError, ArithmeticError) as fault:
        name = row.get("id", "a GPU type") if isinstance(row, Mapping) else "a GPU type"
        yield Refusal(subject=f"{PROVIDER} {name}", reason=f"it cannot be understood: {fault!r}"[:160])


def _offer(what: Machine, row: Mapping[str, Any], settings: RunPodSettings, now: datetime) -> Offer:
    """What is the same wherever it is rented."""
    price = usd(row["price"].get(what.tier.lower()), currency=row["price"].get("currency", "USD"))
    gpu = GPUS.get(what.gpu_id, what.gpu_id)
    disk = disk_gb(float(row["memory"]), what.count)
    return Offer(
        provider=PROVIDER,
        sku=what.sku,
        gpu=gpu,
        gpu_count=what.count,
        region=ANYWHERE,
        usd_per_hour=price * what.count,
        extra_usd_per_hour=(disk * _DISK_USD_PER_GB_MONTH / _HOURS_PER_MONTH).quantize(Decimal("0.0001")),
        basis=PriceBasis.LIVE,
        observed_at=now,
        source="GET /v2/catalog/gpus",
        ttl_seconds=TTL_SECONDS,
        nvlink=what.count > 1 and gpu in _NVLINK,
        limits=Limits(spend_usd_per_hour=settings.account_usd_per_hour),
        notes=f"with {disk} GB of disk",
    )


def _availability(word: str, now: datetime) -> Availability:
    if word == "NONE":
        return Availability(state=AvailabilityState.NONE, observed_at=now)
    score = _SCORES.get(word)
    state = AvailabilityState.UNKNOWN if score is None else AvailabilityState.AVAILABLE
    return Availability(state=state, score=score, observed_at=now)
