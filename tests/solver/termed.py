"""Small problems with terms that tests share, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hetops.solver.problem import Column, PricedOffer, Problem
from hetops.solver.terms import Billing, Link, Period, Role
from tests.solver.problems import column, demands, offer


def one(*offers: PricedOffer, rate: float = 1.0, **demand: float) -> Problem:
    """Every node serves `rate` requests per second of every class."""
    return Problem(
        offers=offers,
        configurations=("tp1",),
        classes=demands(**(demand or {"chat": 2.0})),
        columns=tuple(column(o.id, **dict.fromkeys(demand or {"chat": 2.0}, rate)) for o in offers),
        gap=0.0,
    )


def at(one_offer: PricedOffer, **terms: object) -> PricedOffer:
    """The offer with terms."""
    return replace(one_offer, **terms)  # type: ignore[arg-type]


def with_columns(problem: Problem, change_of: Callable[[Column], dict[str, object]]) -> Problem:
    """The problem with terms of its columns."""
    columns = tuple(replace(c, **change_of(c)) for c in problem.columns)  # type: ignore[arg-type]
    return replace(problem, columns=columns)


DAY_AND_NIGHT = (
    Period(name="day", hours=12.0, requests_per_second={"chat": 4.0}),
    Period(name="night", hours=12.0, requests_per_second={"chat": 1.0}),
)

ON_DEMAND, SPOT = at(offer("od", "2", 9), market="on_demand"), at(offer("spot", "1", 9), market="spot")
ZONES = tuple(
    at(offer(zone, usd, 9, f"of-{zone}"), zone=zone) for zone, usd in (("a", "1"), ("b", "1.5"), ("c", "4"))
)

RESERVED = at(offer("reserved", "0.6", 9), billing=Billing.RESERVED)

SPLIT = Problem(
    offers=(offer("big", "2"), offer("small", "0.5"), offer("whole", "1", 9)),
    configurations=("tp1",),
    classes=tuple(replace(c, kv_gb_per_request=0.1) for c in demands(chat=2.0)),
    columns=(
        replace(column("big", chat=2.0), role=Role.PREFILL),
        replace(column("small", chat=1.0), role=Role.DECODE),
        column("whole", chat=0.5),
    ),
    links=(Link(source="big", target="small", gb_per_second=0.2),),
    gap=0.0,
)

PACKED = Problem(
    offers=(offer("node", "4"),),
    configurations=("quarter", "half"),
    classes=demands(chat=2.0, code=1.0),
    columns=(
        replace(column("node", "quarter", chat=1.0), parts_per_node=4),
        replace(column("node", "half", code=1.0), parts_per_node=2),
    ),
    gap=0.0,
)

BATCH = replace(
    one(offer("o", "1", 2), chat=1.0),
    classes=tuple(replace(c, deadline_hours=24.0) for c in demands(chat=1.0)),
    periods=(
        Period(name="day", hours=12.0, requests_per_second={"chat": 4.0}),
        Period(name="night", hours=12.0, requests_per_second={"chat": 0.0}),
    ),
)

MIXED = replace(
    one(offer("rough", "1"), offer("fine", "3"), chat=4.0),
    classes=tuple(replace(c, mean_quality=0.95) for c in demands(chat=4.0)),
    columns=(replace(column("rough", chat=1.0), quality={"chat": 0.9}), column("fine", chat=1.0)),
)
