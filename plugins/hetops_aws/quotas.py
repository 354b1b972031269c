"""Service quotas of EC2: how many vCPUs of a family an account may run on a market of a region. Pure.

AWS counts vCPUs, not GPUs or instances, and one quota holds for several families: offers that share it share a group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hetops.plugin import Limits, Market, Quota, QuotaShare
from hetops_aws.shapes import family, generation

UNIT = "vCPU"

_NAMES = (
    (Market.ON_DEMAND, re.compile(r"Running On-Demand (.+) instances")),
    (Market.SPOT, re.compile(r"All (.+) Spot Instance Requests")),
)
"""`Running On-Demand G and VT instances`, `All P4, P3 and P2 Spot Instance Requests`: the names say which families."""

_AND = re.compile(r",\s*|\s+and\s+")
_RUNNING = {None: Market.ON_DEMAND, "spot": Market.SPOT}
"""`InstanceLifecycle`; capacity blocks and scheduled instances count for neither quota."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyQuota:
    """One limit: vCPUs of these families on this market of one region."""

    region: str
    market: Market
    families: tuple[str, ...]
    limit: float
    code: str = ""
    """AWS's own name for it: `L-417A185B`."""

    @property
    def ask(self) -> str:
        """The command that asks for more; the number is for the user to choose."""
        asking = "aws service-quotas request-service-quota-increase --service-code ec2"
        return f"{asking} --quota-code {self.code} --region {self.region} --desired-value VCPUS"

    @property
    def group(self) -> str:
        """What offers name it by: `aws/us-east-1/spot/P4+P3+P2`."""
        return f"aws/{self.region}/{self.market}/{'+'.join(self.families)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionQuotas:
    """The limits of one region and what of them running instances hold, where that is known."""

    limits: tuple[FamilyQuota, ...] = ()
    used: Mapping[str, float] | None = None
    """vCPUs by group; None where nobody could be asked."""

    def limit_of(self, instance_type: str, market: Market) -> FamilyQuota | None:
        """The quota that an instance of the type counts against; None where none is known."""
        return quota_of(self.limits, instance_type, market)

    def limits_on(self, instance_type: str, market: Market, vcpu: int) -> Limits:
        """How much of an offer is left."""
        found = self.limit_of(instance_type, market)
        if found is None:
            return Limits()
        share = QuotaShare(
            group=found.group,
            left=max(0.0, found.limit - (self.used or {}).get(found.group, 0.0)),
            per_node=float(vcpu),
            unit=UNIT,
        )
        return Limits(quotas=(share,))

    def told(self) -> tuple[Quota, ...]:
        """Every limit, as providers tell them."""
        used = self.used or {}
        return tuple(
            Quota(group=q.group, limit=q.limit, used=used.get(q.group, 0.0), unit=UNIT, ask=q.ask)
            for q in self.limits
        )


def read_quotas(rows: Iterable[Mapping[str, Any]], region: str) -> tuple[FamilyQuota, ...]:
    """The limits on GPU families in the rows of ListServiceQuotas; a row without a value says nothing."""
    found = (_read(row, region) for row in rows)
    return tuple(sorted((q for q in found if q), key=lambda q: q.group))


def used_by_group(
    instances: Iterable[Mapping[str, Any]], limits: Sequence[FamilyQuota], vcpu_of: Mapping[str, int]
) -> dict[str, float]:
    """vCPUs that running instances hold of each limit; an instance that tells none has those of its type."""
    used: Counter[str] = Counter()
    for instance in instances:
        market = _RUNNING.get(instance.get("InstanceLifecycle"))
        name = str(instance.get("InstanceType", ""))
        quota = quota_of(limits, name, market) if market else None
        cpu = instance.get("CpuOptions", {})
        vcpu = int(cpu.get("CoreCount", 0)) * int(cpu.get("ThreadsPerCore", 1))
        if quota is not None:
            used[quota.group] += vcpu or vcpu_of.get(name, 0)
    return {group: float(vcpu) for group, vcpu in used.items()}


def quota_of(limits: Iterable[FamilyQuota], instance_type: str, market: Market) -> FamilyQuota | None:
    """The limit that names the type's generation, else the one that names its family."""
    on_market = [q for q in limits if q.market is market]
    for name in (generation(instance_type), family(instance_type), family(instance_type)[:1]):
        for quota in on_market:
            if name in quota.families:
                return quota
    return None


def _read(row: Mapping[str, Any], region: str) -> FamilyQuota | None:
    value = row.get("Value")
    if not isinstance(value, int | float) or value < 0 or row.get("ErrorReason"):
        return None
    for market, pattern in _NAMES:
        found = pattern.fullmatch(str(row.get("QuotaName", "")))
        families = tuple(_AND.split(found.group(1))) if found else ()
        if any((f[:1] in ("P", "G") and f[1:].isdigit()) or f in ("P", "G") for f in families):
            code = str(row.get("QuotaCode", ""))
            return FamilyQuota(region=region, market=market, families=families, limit=float(value), code=code)
    return None
