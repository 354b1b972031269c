"""A plan beside the plan that would be without some changes, as a document and as text. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any, ClassVar

from hetops.domain import codec
from hetops.domain.percent import percent
from hetops.domain.plan import Plan
from hetops.reports import plan as plan_report
from hetops.reports import quantities as q


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The plan of a question that was changed, and the plan of the one without the changes."""

    FORMAT: ClassVar[str] = "hetops.what_if"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    restrictions: tuple[str, ...]
    """What was changed, as it is written on a command line: restrictions, and fields of the spec that were set."""
    plan: Plan
    """The cheapest fleet under them."""
    instead_of: Plan
    """The cheapest fleet without them."""

    @property
    def difference_usd_per_hour(self) -> Decimal:
        """How much dearer the changes make the fleet."""
        return self.plan.usd_per_hour - self.instead_of.usd_per_hour

    @property
    def difference_share(self) -> float:
        """The difference relative to the fleet without them."""
        return float(self.difference_usd_per_hour / self.instead_of.usd_per_hour)


def as_json(told: WhatIf) -> dict[str, Any]:
    """The document with the difference."""
    difference = {
        "difference_usd_per_hour": str(told.difference_usd_per_hour),
        "difference_share": told.difference_share,
    }
    return {**codec.to_builtins(told), **difference}


def as_text(told: WhatIf) -> str:
    """Both fleets side by side, where each class goes, what it gets, and the difference."""
    words = " ".join(told.restrictions)
    by, share = told.difference_usd_per_hour, told.difference_share
    change = (
        f"{q.usd(abs(by))} /h {'more' if by > 0 else 'less'} ({q.change(share)})" if by else "the same cost"
    )
    parts = (
        f"{told.plan.deployment}: {words}",
        _fleets(told),
        f"{change}: {q.usd_both(told.plan.usd_per_hour)} instead of {q.usd_both(told.instead_of.usd_per_hour)} (730 h)"
        + _counted(told),
        _classes(told),
        f"Proof: {_proof(told.instead_of)} as it is, {_proof(told.plan)} changed",
        "\n".join(f"warning: {w}" for w in told.plan.warnings),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _counted(told: WhatIf) -> str:
    """What both count for, which they are the least of, where requests are turned away."""
    if not told.plan.shed and not told.instead_of.shed:
        return ""
    counted, before = told.plan.counted_usd_per_hour, told.instead_of.counted_usd_per_hour
    return f"\nwith what is turned away they count for {q.usd(counted)} /h instead of {q.usd(before)} /h"


_SIDES = ("as it is", "changed")


def _fleets(told: WhatIf) -> str:
    plans = (told.instead_of, told.plan)
    pools = {pool.name: pool for plan in plans for pool in plan.pools}
    rows = [
        (name, " + ".join(o.id for o in pool.offers), *_nodes(name, plans), *_costs(name, plans))
        for name, pool in pools.items()
    ]
    services = {one.name: one.service for plan in plans for one in plan.services}
    rows += [(n, s.url, "-", "-", *_service_costs(n, plans)) for n, s in services.items()]
    if any(plan.egress_usd_per_hour for plan in plans):
        rows.append(("egress", "", "-", "-", *(q.usd(plan.egress_usd_per_hour) for plan in plans)))
    if any(plan.pools_usd_per_hour for plan in plans):
        rows.append(("pools themselves", "", "-", "-", *(q.usd(plan.pools_usd_per_hour) for plan in plans)))
    total = ("total", "", *(str(_standing(plan)) for plan in plans))
    headers = ("pool", "offer", *(f"nodes {side}" for side in _SIDES), *(f"$/hour {side}" for side in _SIDES))
    return q.table(
        headers, [*rows, (*total, *(q.usd(plan.usd_per_hour) for plan in plans))], right=(2, 3, 4, 5)
    )


def _nodes(name: str, plans: tuple[Plan, Plan]) -> tuple[str, ...]:
    return tuple(next((plan_report.nodes(p) for p in plan.pools if p.name == name), "-") for plan in plans)


def _standing(plan: Plan) -> int:
    """Nodes that stand: parts of nodes fill them up."""
    taken: defaultdict[str, Fraction] = defaultdict(Fraction)
    for pool in plan.pools:
        for offer, nodes in pool.takes:
            taken[offer.id] += nodes
    return sum(ceil(nodes) for nodes in taken.values())


def _costs(name: str, plans: tuple[Plan, Plan]) -> tuple[str, ...]:
    return tuple(next((q.usd(p.usd_per_hour) for p in plan.pools if p.name == name), "-") for plan in plans)


def _service_costs(name: str, plans: tuple[Plan, Plan]) -> tuple[str, ...]:
    return tuple(
        next((q.usd(s.usd_per_hour) for s in plan.services if s.name == name), "-") for plan in plans
    )


def _classes(told: WhatIf) -> str:
    rows = []
    for one in told.plan.workload.classes:
        for side, plan in zip(_SIDES, (told.instead_of, told.plan), strict=True):
            rows.append((one.name, side, *_gets(one.name, plan)))
    return q.table(("class", "", "TTFT", "TPOT", "goes to"), rows, right=(2, 3))


def _gets(name: str, plan: Plan) -> tuple[str, str, str]:
    forecast = next((f for f in plan.forecasts if f.workload_class == name), None)
    return (
        q.seconds(forecast.ttft_seconds if forecast else None),
        q.seconds(forecast.tpot_seconds if forecast else None),
        plan_report.goes_to(name, plan) or "no demand",
    )


def _proof(plan: Plan) -> str:
    return f"{plan_report.proven_bound(plan.certificate)}, gap {percent(plan.certificate.gap, 2)}"
