"""What an `up` would change, as text and as JSON: pools, what they serve, money, targets, routing, drift. Pure; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from hetops.domain import codec
from hetops.domain.percent import percent
from hetops.domain.units import usd_per_month
from hetops.domain.workload import LatencyTarget
from hetops.reports import quantities as q
from hetops.stack.changes import Drift
from hetops.stack.diff import FleetDiff, PoolChange, PoolDiff, ShareDiff, TargetDiff, told

SIGNS: Mapping[PoolChange, str] = {
    PoolChange.ADDED: "+",
    PoolChange.CHANGED: "~",
    PoolChange.REPLACED: "-/+",
    PoolChange.REMOVED: "-",
    PoolChange.UNCHANGED: "",
}


def as_json(diff: FleetDiff) -> dict[str, Any]:
    """The diff document."""
    return codec.to_builtins(diff)


def as_text(diff: FleetDiff) -> str:
    """One line that says it all, then pools, targets, routing and, apart, drift."""
    sections = (
        f"{diff.deployment}: {diff.summary}",
        _pools(diff),
        _served(diff),
        _targets(diff) if _has_both_sides(diff) else "",
        _routing(diff) if _has_both_sides(diff) else "",
        _drift(diff.drift),
    )
    return "\n\n".join(s for s in sections if s) + "\n"


def _has_both_sides(diff: FleetDiff) -> bool:
    """Whether a fleet becomes another: of a new fleet, or one that goes, all targets and shares would differ."""
    return any(p.nodes_before for p in diff.pools) and any(p.nodes_after for p in diff.pools)


def _pools(diff: FleetDiff) -> str:
    if not diff.has_changes:
        return ""
    order = list(SIGNS)
    pools = sorted(diff.pools, key=lambda p: order.index(p.change))
    rows = [_pool_row(p) for p in pools]
    if diff.router is not PoolChange.UNCHANGED:
        rows.append((SIGNS[diff.router], "router", "", "", "", ""))
    egress = diff.egress_usd_per_hour_before, diff.egress_usd_per_hour_after
    if any(egress):
        rows.append(("", "egress", "", "", *_money(*egress)))
    rows.append(("", "total", "", "", *_money(diff.usd_per_hour_before, diff.usd_per_hour_after)))
    return q.table(("", "pool", "gpu", "nodes", "$/hour", "$/month"), rows, right=(0,), indent=2)


def _pool_row(pool: PoolDiff) -> tuple[str, ...]:
    return (
        SIGNS[pool.change],
        pool.name,
        q.served_on(pool.model, pool.gpu or "by the token") + " (emulated)" * pool.emulated,
        _before_after(str(pool.nodes_before), str(pool.nodes_after)),
        *_money(pool.usd_per_hour_before, pool.usd_per_hour_after),
    )


def _money(before: Decimal, after: Decimal) -> tuple[str, str]:
    """An hour's and a month's."""
    months = (_usd_month(usd_per_month(usd)) for usd in (before, after))
    return _before_after(q.usd(before), q.usd(after)), _before_after(*months)


def _before_after(before: str, after: str) -> str:
    return after if before == after else f"{before} → {after}"


def _usd_month(amount: Decimal) -> str:
    return f"${float(amount):,.0f}"


def _served(diff: FleetDiff) -> str:
    lines = [f"{s.what} {told(s)}" for s in diff.served]
    if diff.relaunched:
        lines.append(f"engine started in another way: {', '.join(diff.relaunched)}")
    return "\n".join(lines)


def _targets(diff: FleetDiff) -> str:
    rows = [line for t in diff.targets for line in _target_rows(t)]
    return q.table(("targets", "", "before", "after"), rows) if rows else ""


def _target_rows(target: TargetDiff) -> Iterator[tuple[str, str, str, str]]:
    before, after = _bounds(target.before), _bounds(target.after)
    for name in ("TTFT", "TPOT"):
        if before[name] != after[name]:
            yield target.workload_class, name, before[name], after[name]


def _bounds(target: LatencyTarget | None) -> dict[str, str]:
    if target is None:
        return {"TTFT": "not served", "TPOT": "not served"}
    return {
        "TTFT": _bound(target.ttft_seconds, target.ttft_percentile),
        "TPOT": _bound(target.tpot_seconds, target.tpot_percentile),
    }


def _bound(seconds: float | None, percentile: float) -> str:
    return "none" if seconds is None else f"p{percentile:g} {q.seconds(seconds)}"


def _routing(diff: FleetDiff) -> str:
    if not diff.routing_changed:
        return ""
    if not diff.shares:
        return "Routing: requests are told apart by other lengths or priorities"
    rows = [(s.workload_class, s.pool, moved) for s in diff.shares if (moved := _moved(s))]
    if not rows:
        return "Routing: shares move by less than a tenth of a per cent"
    return q.table(("routing", "pool", "share"), rows)


def _moved(share: ShareDiff) -> str:
    """`53 % → 57 %`, with a decimal where it takes one to see the difference; empty where that does not do."""
    whole = q.share(share.before), q.share(share.after)
    fine = tuple(percent(value, 1) for value in (share.before, share.after))
    before, after = whole if whole[0] != whole[1] else fine
    return "" if before == after else f"{before} → {after}"


def _drift(drift: tuple[Drift, ...]) -> str:
    if not drift:
        return ""
    rows = [(d.node, d.pool or "-", str(d.kind), d.message.partition("\n")[0]) for d in drift]
    return "\n".join(
        (
            "Drift: what runs is not what the state says; an up mends it",
            q.table(("node", "pool", "is", ""), rows, indent=2),
        )
    )
