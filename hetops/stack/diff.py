"""What an `up` would change, as people and machines read it: pools, nodes, money, targets, drift. Pure.

The plans say what is meant, the preview says which nodes change, the survey says what the real world did meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from hetops.domain.added import ADDED
from hetops.domain.percent import signed_percent
from hetops.domain.plan import Plan, PlannedPool
from hetops.domain.service import PlannedService
from hetops.domain.units import usd_per_month
from hetops.domain.workload import LatencyTarget
from hetops.stack.changes import Changes, Drift, StepKind
from hetops.stack.render import ROUTER


class PoolChange(StrEnum):
    """What becomes of a pool."""

    ADDED = "added"
    CHANGED = "changed"
    """More or fewer nodes, or failed ones made anew; the others stay."""
    REPLACED = "replaced"
    """Every node is made anew: what runs on it changes."""
    REMOVED = "removed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDiff:
    """One pool before and after; a service is one without nodes."""

    name: str
    change: PoolChange
    gpu: str
    emulated: bool
    configuration: str
    nodes_before: int
    nodes_after: int
    usd_per_hour_before: Decimal
    usd_per_hour_after: Decimal
    model: str = field(default="", metadata=ADDED)
    """The one that it serves of several; empty where there is only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedDiff:
    """What the fleet's replicas are, before and after: every value that a pool has."""

    what: str
    """model, engine, weights (their precision), checkpoint, or context (tokens)."""
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDiff:
    """A class's targets before and after; None where the class is not served."""

    workload_class: str
    before: LatencyTarget | None
    after: LatencyTarget | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDiff:
    """The part of a class's requests that a pool gets, before and after."""

    workload_class: str
    pool: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDiff:
    """What an `up` would change."""

    FORMAT: ClassVar[str] = "hetops.diff"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    deployment: str
    has_changes: bool
    """Whether an `up` would do anything; drift that it mends counts."""
    summary: str
    pools: tuple[PoolDiff, ...]
    router: PoolChange
    routing_changed: bool
    """Whether requests would be shared out in another way over pools."""
    usd_per_hour_before: Decimal
    usd_per_hour_after: Decimal
    usd_per_month_before: Decimal
    usd_per_month_after: Decimal
    served: tuple[ServedDiff, ...] = ()
    """What differs of model, engines and weights; nothing where there is no fleet on one side."""
    relaunched: tuple[str, ...] = ()
    """Pools that are replaced though their configuration stays: their engine is started in another way."""
    targets: tuple[TargetDiff, ...] = ()
    """Classes whose targets differ."""
    shares: tuple[ShareDiff, ...] = ()
    """Shares that differ; without a fleet on one side, all of the other's."""
    drift: tuple[Drift, ...] = ()
    egress_usd_per_hour_before: Decimal = field(default=Decimal(0), metadata=ADDED)
    """Of the whole cost, what answers cost on their way to where requests come from."""
    egress_usd_per_hour_after: Decimal = field(default=Decimal(0), metadata=ADDED)


def fleet_diff(
    before: Plan | None, after: Plan | None, changes: Changes, drift: tuple[Drift, ...] = ()
) -> FleetDiff:
    """`before` is what is up (None: nothing), `after` what is wanted (None: nothing, a `down`).

    Raises:
        ValueError: both are None.
    """
    named = after or before
    if named is None:
        raise ValueError("a diff needs a plan on one side")
    pools = (*_pools(before, after, changes), *_services(before, after))
    router = _router(changes)
    routing = _routing(before) != _routing(after)
    targets = _targets(before, after)
    money_before, money_after = _usd_per_hour(before), _usd_per_hour(after)
    changed = any(p.change is not PoolChange.UNCHANGED for p in pools) or router is not PoolChange.UNCHANGED
    diff = FleetDiff(
        deployment=named.deployment,
        has_changes=changed or routing or bool(targets) or bool(drift) or changes.any,
        summary="",
        pools=pools,
        router=router,
        routing_changed=routing,
        usd_per_hour_before=money_before,
        usd_per_hour_after=money_after,
        usd_per_month_before=usd_per_month(money_before),
        usd_per_month_after=usd_per_month(money_after),
        served=_served(before, after),
        relaunched=_relaunched(before, after, pools),
        targets=targets,
        shares=_shares(before, after),
        drift=drift,
        egress_usd_per_hour_before=before.egress_usd_per_hour if before else Decimal(0),
        egress_usd_per_hour_after=after.egress_usd_per_hour if after else Decimal(0),
    )
    return replace(diff, summary=_summary(diff))


def settled(before: Plan | None, after: Plan) -> Plan:
    """`before` where `after` means the same fleet, else `after`.

    Two plans of one spec differ in when and how fast they were made; that alone must change no file and no stack.
    """
    return before if before is not None and _meaning(before) == _meaning(after) else after


def _meaning(plan: Plan) -> object:
    """What of a plan decides which nodes run, what they cost and how requests are shared out."""
    pools = tuple(
        (p.name, p.offer.id, p.usd_per_hour, p.configuration, p.nodes, p.replicas_per_node, p.step_times)
        for p in plan.pools
    )
    return (
        plan.deployment,
        plan.model,
        plan.workload,
        plan.shares,
        plan.forecasts,
        pools,
        plan.services,
        plan.network,
    )


def _pools(before: Plan | None, after: Plan | None, changes: Changes) -> tuple[PoolDiff, ...]:
    old = {p.name: p for p in before.pools} if before else {}
    new = {p.name: p for p in after.pools} if after else {}
    names = (*new, *(name for name in old if name not in new))
    several = any(len(plan.models) > 1 for plan in (before, after) if plan)
    found = tuple(_pool(name, old.get(name), new.get(name), changes) for name in names)
    return found if several else tuple(replace(one, model="") for one in found)


def _pool(name: str, old: PlannedPool | None, new: PlannedPool | None, changes: Changes) -> PoolDiff:
    shown = new or old
    assert shown is not None
    return PoolDiff(
        name=name,
        change=_pool_change(old, new, changes),
        gpu=shown.offer.gpu,
        emulated=shown.offer.emulated,
        configuration=shown.configuration.id,
        model=shown.configuration.model,
        nodes_before=old.nodes if old else 0,
        nodes_after=new.nodes if new else 0,
        usd_per_hour_before=old.usd_per_hour if old else Decimal(0),
        usd_per_hour_after=new.usd_per_hour if new else Decimal(0),
    )


def _pool_change(old: PlannedPool | None, new: PlannedPool | None, changes: Changes) -> PoolChange:
    if old is None or new is None:
        return PoolChange.ADDED if old is None else PoolChange.REMOVED
    kinds = [step.kind for step in changes.of(new.name)]
    if kinds.count(StepKind.REPLACE) >= min(old.nodes, new.nodes):
        return PoolChange.REPLACED
    moved = {StepKind.CREATE, StepKind.DELETE, StepKind.REPLACE} & set(kinds)
    return PoolChange.CHANGED if moved or old.nodes != new.nodes else PoolChange.UNCHANGED


def _services(before: Plan | None, after: Plan | None) -> tuple[PoolDiff, ...]:
    """Services as pools without nodes."""
    old, new = ({s.name: s for s in plan.services} if plan else {} for plan in (before, after))
    return tuple(_service(old.get(name), new.get(name)) for name in dict.fromkeys((*new, *old)))


def _service(old: PlannedService | None, new: PlannedService | None) -> PoolDiff:
    shown = new or old
    assert shown is not None
    kept = PoolChange.UNCHANGED if old == new else PoolChange.CHANGED
    return PoolDiff(
        name=shown.name,
        change=PoolChange.ADDED if old is None else PoolChange.REMOVED if new is None else kept,
        gpu="",
        emulated=False,
        configuration=f"{shown.service.model} at {shown.service.url}",
        nodes_before=0,
        nodes_after=0,
        usd_per_hour_before=old.usd_per_hour if old else Decimal(0),
        usd_per_hour_after=new.usd_per_hour if new else Decimal(0),
    )


def _router(changes: Changes) -> PoolChange:
    kinds = {step.kind for step in changes.of(ROUTER)}
    if StepKind.REPLACE in kinds or {StepKind.CREATE, StepKind.DELETE} <= kinds:
        return PoolChange.REPLACED
    if StepKind.CREATE in kinds:
        return PoolChange.ADDED
    return PoolChange.REMOVED if StepKind.DELETE in kinds else PoolChange.UNCHANGED


def _served(before: Plan | None, after: Plan | None) -> tuple[ServedDiff, ...]:
    if before is None or after is None:
        return ()
    old, new = _replicas(before), _replicas(after)
    return tuple(
        ServedDiff(what=what, before=old[what], after=new[what]) for what in new if old[what] != new[what]
    )


def _replicas(plan: Plan) -> dict[str, tuple[str, ...]]:
    found = [p.configuration for p in plan.pools]
    each = {
        "model": set(plan.models),
        "engine": {c.engine for c in found},
        "weights": {str(c.weights) for c in found},
        "checkpoint": {c.checkpoint for c in found},
        "context": {str(c.max_context_tokens) for c in found},
    }
    return {what: tuple(sorted(values)) for what, values in each.items()}


def _relaunched(before: Plan | None, after: Plan | None, pools: tuple[PoolDiff, ...]) -> tuple[str, ...]:
    old, new = ({p.name: p.configuration for p in plan.pools} if plan else {} for plan in (before, after))
    replaced = (p.name for p in pools if p.change is PoolChange.REPLACED)
    return tuple(name for name in replaced if old[name] == new[name])


def _routing(plan: Plan | None) -> object:
    """What the router goes by: shares, services, and the lengths that it knows classes by."""
    if plan is None:
        return None
    shares = {(s.workload_class, s.pool): round(s.share, 9) for s in plan.shares}
    lengths = {c.name: (c.input_tokens, c.output_tokens, c.priority, c.model) for c in plan.workload.classes}
    return shares, lengths, tuple((s.service, s.serves) for s in plan.services)


def _shares(before: Plan | None, after: Plan | None) -> tuple[ShareDiff, ...]:
    """Every share that differs by more than what floats lose."""
    old, new = (
        {(s.workload_class, s.pool): s.share for s in plan.shares} if plan else {} for plan in (before, after)
    )
    return tuple(
        ShareDiff(workload_class=c, pool=p, before=old.get((c, p), 0.0), after=new.get((c, p), 0.0))
        for c, p in dict.fromkeys((*new, *old))
        if round(old.get((c, p), 0.0) - new.get((c, p), 0.0), 9) != 0
    )


def _targets(before: Plan | None, after: Plan | None) -> tuple[TargetDiff, ...]:
    old = {c.name: c.target for c in before.workload.classes} if before else {}
    new = {c.name: c.target for c in after.workload.classes} if after else {}
    return tuple(
        TargetDiff(workload_class=name, before=old.get(name), after=new.get(name))
        for name in dict.fromkeys((*new, *old))
        if old.get(name) != new.get(name)
    )


def _usd_per_hour(plan: Plan | None) -> Decimal:
    return plan.usd_per_hour if plan else Decimal(0)


def told(served: ServedDiff) -> str:
    """`llama-3-8b → qwen3-8b`; of several, all."""
    return f"{', '.join(served.before)} → {', '.join(served.after)}"


_VERBS = (
    (PoolChange.ADDED, "add"),
    (PoolChange.CHANGED, "change"),
    (PoolChange.REPLACED, "replace"),
    (PoolChange.REMOVED, "remove"),
)


def _summary(diff: FleetDiff) -> str:
    """One line: "2 pools to add, 1 to change, 0 to remove · $9.42 → $8.08 /h ($6,877 → $5,900 /month, -14 %)".

    A model that becomes another one is said between the two.
    """
    model = [f"model {told(s)}" for s in diff.served if s.what == "model"]
    parts = [_counts(diff), *model, _money(diff)]
    if diff.drift:
        parts.append(f"{len(diff.drift)} {'node has' if len(diff.drift) == 1 else 'nodes have'} drifted")
    return " · ".join(parts)


def _counts(diff: FleetDiff) -> str:
    if not diff.has_changes:
        return "no changes"
    counts = {change: sum(p.change is change for p in diff.pools) for change, _ in _VERBS}
    if not any(counts.values()):
        router = diff.router is not PoolChange.UNCHANGED
        return (
            "router to replace"
            if router
            else "routing to change"
            if diff.routing_changed
            else "no pools to change"
        )
    # Replacing is rare; the other three are always told, as people look for the zero at "remove".
    shown = [
        (counts[change], verb)
        for change, verb in _VERBS
        if counts[change] or change is not PoolChange.REPLACED
    ]
    (count, verb), *rest = shown
    first = f"{count} {'pool' if count == 1 else 'pools'} to {verb}"
    return ", ".join((first, *(f"{n} to {v}" for n, v in rest)))


def _money(diff: FleetDiff) -> str:
    before, after = diff.usd_per_hour_before, diff.usd_per_hour_after
    if before == after:
        return f"${after:,.2f} /h (${diff.usd_per_month_after:,.0f} /month)"
    share = f", {signed_percent((after - before) / before)}" if before else ""
    months = f"${diff.usd_per_month_before:,.0f} → ${diff.usd_per_month_after:,.0f} /month"
    return f"${before:,.2f} → ${after:,.2f} /h ({months}{share})"
