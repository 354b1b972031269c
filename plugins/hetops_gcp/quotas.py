"""Quotas of a project as limits of offers. Pure.

GPUs are limited by region, kind and market, and all together over all regions: an offer takes of both. A quota that is
not told is not known, which is never unlimited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hetops.plugin import Limits, Market, Quota, QuotaShare

EVERYWHERE = "GPUS_ALL_REGIONS"
_UNIT = "GPUs"

ASK = "https://console.cloud.google.com/iam-admin/quotas, with this name as the filter"
"""Where more is asked for."""

METRICS: Mapping[str, str] = {
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-tesla-v100": "NVIDIA_V100_GPUS",
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
    "nvidia-h100-80gb": "NVIDIA_H100_GPUS",
    "nvidia-h100-mega-80gb": "NVIDIA_H100_MEGA_GPUS",
    "nvidia-h200-141gb": "NVIDIA_H200_GPUS",
    "nvidia-b200": "NVIDIA_B200_GPUS",
    "nvidia-rtx-pro-6000": "NVIDIA_RTX_PRO_6000_GPUS",
}
"""Accelerator type to its metric. The Compute API leaves those of the newest GPUs out."""

_SPOT = "PREEMPTIBLE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One quota: how much there is, and how much of it is used."""

    limit: float
    used: float

    @property
    def left(self) -> float:
        """Never below zero: a quota may have been lowered under what runs."""
        return max(0.0, self.limit - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The quotas of a project: by region and metric, and those that count everywhere by metric."""

    by_region: Mapping[str, Mapping[str, Limit]] = field(default_factory=dict)
    everywhere: Mapping[str, Limit] = field(default_factory=dict)

    def limits(self, accelerator: str, count: int, market: Market, region: str) -> Limits:
        """What limits machines with so many GPUs of a kind."""
        metric = _metric(accelerator, market)
        known = {
            f"{region} {metric}": self.by_region.get(region, {}).get(metric),
            EVERYWHERE: self.everywhere.get(EVERYWHERE),
        }
        told = {group: limit for group, limit in known.items() if limit is not None}
        return Limits(
            quotas=tuple(
                QuotaShare(group=group, left=limit.left, per_node=float(count), unit=_UNIT)
                for group, limit in told.items()
            )
        )

    def told(self, wanted: Callable[[str], bool]) -> Iterator[Quota]:
        """Every quota that an offer of a wanted region may name."""
        for region, limits in sorted(self.by_region.items()):
            for metric, limit in sorted(limits.items() if wanted(region) else ()):
                if metric.removeprefix(_SPOT) in METRICS.values():
                    yield _quota(f"{region} {metric}", limit)
        if EVERYWHERE in self.everywhere:
            yield _quota(EVERYWHERE, self.everywhere[EVERYWHERE])


def read_limits(rows: Any) -> dict[str, Limit]:
    """`quotas` of a region or a project; a row that is none is left out: what it limits stays unknown."""
    found: dict[str, Limit] = {}
    for row in rows if isinstance(rows, list) else ():
        try:
            limit = Limit(limit=float(row["limit"]), used=float(row.get("usage", 0)))
            found[str(row["metric"])] = limit
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return found


def _metric(accelerator: str, market: Market) -> str:
    metric = METRICS.get(accelerator, "")
    return f"{_SPOT}{metric}" if market is Market.SPOT else metric


def _quota(group: str, limit: Limit) -> Quota:
    return Quota(group=group, limit=max(0.0, limit.limit), used=max(0.0, limit.used), unit=_UNIT, ask=ASK)
