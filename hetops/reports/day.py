"""A day as text and as JSON: the fleet of each period, its starts, what waits, and what one fleet all day would cost. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hetops.domain import codec
from hetops.domain.day import Day, DayPeriod, PoolBounds
from hetops.domain.percent import percent
from hetops.domain.plan import ClassForecast, Plan, PlannedPool
from hetops.domain.workload import WorkloadClass
from hetops.reports import plan as plan_report
from hetops.reports import plan_terms
from hetops.reports import quantities as q


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a day is held against that was asked for without some changes."""

    changes: tuple[str, ...]
    """As they are written on a command line."""
    usd_per_hour: Decimal
    """What the day without them costs on average."""


def as_json(day: Day, beside: Beside | None = None) -> dict[str, Any]:
    """The day document with its totals, on average: `usd_per_hour`, `usd_per_month` (730 h) and `starts_usd_per_hour`.

    Beside another it says its changes and what the other costs: `changes`, `instead_of_usd_per_hour`.
    """
    totals: dict[str, Any] = {
        "usd_per_hour": str(day.usd_per_hour),
        "usd_per_month": str(day.usd_per_month),
        "starts_usd_per_hour": str(day.starts_usd_per_hour),
    }
    if beside:
        totals |= {
            "changes": list(beside.changes),
            "instead_of_usd_per_hour": str(beside.usd_per_hour),
        }
    return {**codec.to_builtins(day), **totals}


def as_text(day: Day, beside: Beside | None = None) -> str:
    """The day for a terminal: periods, pools with their bounds, classes, waits, what it saves, proof, warnings."""
    sections = (
        _head(day),
        plan_report.considered(day.periods[0].plan),
        _periods(day),
        _pools(day),
        _classes(day),
        _waits(day),
        "\n".join(
            (*_migration(day), *_saved(day), *_beside(day, beside), *map(plan_terms.cost, day.term_costs))
        ),
        _proof(day),
        "\n".join(f"warning: {w}" for w in day.warnings),
    )
    return "\n\n".join(s for s in sections if s) + "\n"


def _head(day: Day) -> str:
    workload = day.periods[0].plan.workload
    begins = f" from {day.begins} UTC" if day.begins else ""
    line = (
        f"{day.deployment}: {day.model}, {q.many(len(workload.classes), 'class')}, {q.rate(day.requests_per_second)} requests"
        f" on average from {workload.source}; {day.hours:g} h{begins} in {q.many(len(day.periods), 'period')}"
    )
    return "\n".join([line, *(f"  {note}" for note in workload.notes)])


def _periods(day: Day) -> str:
    headers = ("period", "hours", "arrive", "served", "$/hour", "fleet", "starts", "$ once")
    rows = [_period_row(day, period) for period in day.periods]
    starts = f", {q.usd(day.starts_usd_per_hour)} /h of it for starts" if day.starts else ""
    pools = f"{q.usd(day.pools_usd_per_hour)} /h for {q.many(len(day.pools), 'pool')} besides their nodes"
    starts += f"{' and' if starts else ', of it'} {pools}" if day.usd_per_pool_hour else ""
    total = f"Total {q.usd_both(day.usd_per_hour)} (730 h) on average{starts}"
    return "\n".join((q.table(headers, rows, right=(1, 2, 3, 4, 7)), total, *_shed(day)))


def _shed(day: Day) -> Iterator[str]:
    """What is turned away in each period, and what all of it counts for."""
    for period in day.periods:
        for line in plan_report.shed((*period.plan.shed, *period.shed)):
            yield f"{period.name}: {line}"
    if day.shed_usd_per_hour:
        shed, counted = q.usd(day.shed_usd_per_hour), q.usd(day.counted_usd_per_hour)
        yield f"What is turned away counts for {shed} /h on average: with it the day is at {counted} /h, which fleets are compared by"


def _period_row(day: Day, period: DayPeriod) -> tuple[str, ...]:
    plan = period.plan
    starts = [s for s in day.starts if s.period == period.name]
    return (
        period.name,
        f"{period.hours:.4g}",
        q.rate(sum(period.arrivals.values())),
        q.rate(plan.workload.requests_per_second),
        q.usd(plan.usd_per_hour),
        ", ".join(_fleet(plan)) or "none",
        ", ".join(f"{q.nodes(s.nodes, plan.pool(s.pool).parts_per_node)} {s.pool}" for s in starts) or "-",
        q.usd(sum((s.usd for s in starts), Decimal(0))) if starts else "-",
    )


def _fleet(plan: Plan) -> Iterator[str]:
    yield from (f"{plan_report.nodes(pool)} {pool.name}" for pool in plan.pools)
    for one in (s for s in plan.services if s.usd_per_hour):
        yield f"{one.name} for {q.usd(one.usd_per_hour)} /h"
    for rental in plan.rentals:
        if idle := plan.idle_nodes(rental):
            yield f"{q.part(idle)} of {rental.offer.id} idle"


def _pools(day: Day) -> str:
    """Each pool with the nodes that it has at least and at most: the bounds of an autoscaler."""
    pools = {pool.name: (pool, period.plan) for period in day.periods for pool in period.plan.pools}
    headers = ("pool", "least", "most", "serves after", "offer", "a node", "configuration")
    return q.table(headers, [_pool_row(one, *pools[one.pool]) for one in day.pools], right=(1, 2, 3))


def _pool_row(one: PoolBounds, pool: PlannedPool, plan: Plan) -> tuple[str, ...]:
    replicas = f"{pool.replicas_per_node} x {plan_report.gpus(pool.configuration)}"
    replicas += f" on 1/{pool.parts_per_node} of it" * (pool.parts_per_node > 1)
    return (
        one.pool,
        q.nodes(one.least_nodes, pool.parts_per_node),
        q.nodes(one.most_nodes, pool.parts_per_node),
        q.seconds(one.boot_seconds),
        plan_report.where(pool),
        replicas,
        plan_report.what(pool, plan),
    )


def _classes(day: Day) -> str:
    headers = (
        "class",
        "in",
        "out",
        "arrive by period",
        "TTFT (80 %)",
        "target",
        "TPOT (80 %)",
        "target",
        "may wait",
    )
    rows = [_class_row(day, c) for c in day.periods[0].plan.workload.classes]
    return (
        q.table(headers, rows, right=(1, 2, 5, 7, 8))
        + "\nTTFT and TPOT are those of the period in which they are longest"
    )


def _class_row(day: Day, c: WorkloadClass) -> tuple[str, ...]:
    forecasts = [f for p in day.periods for f in p.plan.forecasts if f.workload_class == c.name]
    ttft = max(forecasts, key=lambda f: f.ttft_seconds, default=None)
    tpot = max(forecasts, key=lambda f: f.tpot_seconds, default=None)
    deadline = day.deadlines.get(c.name)
    return (
        c.name,
        q.tokens(c.input_tokens.mean),
        q.tokens(c.output_tokens.mean),
        plan_report.course(tuple(period.arrivals[c.name] for period in day.periods)),
        f"p{c.target.ttft_percentile:g} {_ttft(ttft)}",
        plan_report.bound(c.target.ttft_seconds),
        f"p{c.target.tpot_percentile:g} {_tpot(tpot)}",
        plan_report.bound(c.target.tpot_seconds),
        "-" if deadline is None else f"{deadline:g} h",
    )


def _ttft(f: ClassForecast | None) -> str:
    return q.within(f.ttft_seconds, f.ttft_seconds_low, f.ttft_seconds_high, q.seconds) if f else "-"


def _tpot(f: ClassForecast | None) -> str:
    return q.within(f.tpot_seconds, f.tpot_seconds_low, f.tpot_seconds_high, q.seconds) if f else "-"


def _waits(day: Day) -> str:
    """Of batch work that arrives in a period: what part is served when. What is served as it comes is not told."""
    headers = ("batch class", "arrives in", "served in")
    rows = []
    for name, arrived in dict.fromkeys((w.workload_class, w.arrived) for w in day.waits):
        parts = [w for w in day.waits if (w.workload_class, w.arrived) == (name, arrived)]
        if any(w.served != arrived for w in parts):
            rows.append((name, arrived, ", ".join(f"{w.served} {q.share(w.share)}" for w in parts)))
    return q.table(headers, rows) if rows else ""


def _migration(day: Day) -> Iterator[str]:
    """What the first period keeps of a fleet that ran."""
    first = day.periods[0]
    yield from (f"{first.name}: {line}" for line in plan_terms.migration(first.plan))


def _saved(day: Day) -> Iterator[str]:
    """The day beside one fleet that is kept all day, in two ways to come by one; what is turned away counts in all."""
    for words, cost in (
        ("One fleet kept all day that serves every period", day.steady_usd_per_hour),
        (
            "One fleet for all classes at their busiest at once, as without [policy.day],",
            day.busiest_usd_per_hour,
        ),
    ):
        if cost is None:
            yield f"{words} is not known: it was not found in time"
        else:
            yield f"{words} costs {q.usd(cost)} /h: {_saving(cost, day.counted_usd_per_hour)}"


def _saving(cost: Decimal, of_day: Decimal) -> str:
    if of_day > cost:
        return f"the day costs {q.usd(of_day - cost)} /h more, search it longer (--time-limit)"
    return (
        f"the day saves {q.usd(cost - of_day)} /h ({q.share(float((cost - of_day) / cost)) if cost else '-'})"
    )


def _beside(day: Day, beside: Beside | None) -> Iterator[str]:
    if beside:
        by = day.usd_per_hour - beside.usd_per_hour
        change = f"{q.usd(abs(by))} /h {'more' if by > 0 else 'less'}" if by else "the same"
        yield f"{' '.join(beside.changes)}: {change}, {q.usd(day.usd_per_hour)} /h instead of {q.usd(beside.usd_per_hour)} /h"


def _proof(day: Day) -> str:
    c = day.certificate
    budget = c.mean_budget_usd_per_hour
    within = f", within {q.usd(budget)} /h on average" if budget is not None else ""
    evidence = dict.fromkeys(e for period in day.periods for e in period.plan.evidence)
    return "\n".join(
        (
            f"Proof: cost {c.objective:.4f} on average, {plan_report.proven_bound(c)}, gap {percent(c.gap, 2)}{within}; {len(c.checks)} rules"
            f" checked in exact arithmetic; {c.solver}, {c.solve_seconds:.2f} s; problem {c.problem_digest[:12]}",
            *(f"Evidence: {plan_report.evidence(e)}" for e in evidence),
        )
    )
