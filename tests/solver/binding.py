"""One small problem for every limit in which it binds, with the optimum worked out by hand beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from hetops.solver.formulate import Constraint
from hetops.solver.problem import Mode, Problem, QuotaGroup
from hetops.solver.rows import change, money, quality, risk, serve, supply
from hetops.solver.terms import Link, Loss, Migration, Running, Service, ShareLimit, Trait
from tests.solver.problems import column, demands, offer, small
from tests.solver.termed import (
    BATCH,
    DAY_AND_NIGHT,
    MIXED,
    ON_DEMAND,
    PACKED,
    RESERVED,
    SPLIT,
    SPOT,
    ZONES,
    at,
    one,
    with_columns,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A problem in which a limit binds: without `constraint` the checker finds `rule` broken."""

    problem: Problem
    objective: float
    constraint: Constraint
    rule: str


BINDING: dict[str, Binding] = {
    "every class is served": Binding(
        problem=small(), objective=5.0, constraint=serve.demand_rows, rule="demand"
    ),
    # Either class would fit on a node.
    "nodes have so much time": Binding(
        problem=one(offer("o", "1"), chat=0.75, code=0.75),
        objective=2.0,
        constraint=serve.capacity_rows,
        rule="capacity",
    ),
    # 2 of the cheap, whichever their configuration, then a dear one.
    "stock": Binding(
        problem=replace(
            one(offer("cheap", "1", 2), offer("dear", "3"), chat=2.0, code=2.0),
            configurations=("tp1", "tp2"),
            columns=(
                column("cheap", "tp1", chat=1.0, code=0.1),
                column("cheap", "tp2", chat=0.1, code=1.0),
                column("dear", chat=1.0, code=1.0),
            ),
        ),
        objective=8.0,
        constraint=supply.stock_rows,
        rule="stock",
    ),
    "a quota that two offers share": Binding(
        problem=replace(
            one(offer("a", "1"), offer("b", "1"), offer("dear", "3"), chat=4.0),
            offers=(offer("a", "1", q="1"), offer("b", "1", q="1"), offer("dear", "3")),
            quota_groups=(QuotaGroup(id="q", limit=Decimal(3)),),
        ),
        objective=6.0,
        constraint=supply.quota_rows,
        rule="quota",
    ),
    # 5 of either.
    "a budget": Binding(
        problem=replace(
            one(offer("a", "1", 4), offer("b", "1", 4), chat=1.0),
            mode=Mode.MAX_THROUGHPUT,
            budget_usd_per_hour=Decimal("5.8"),
        ),
        objective=5.0,
        constraint=money.budget_rows,
        rule="budget",
    ),
    "a provider's budget": Binding(
        problem=replace(
            one(offer("a", "1", 2), offer("b", "1", 2), offer("dear", "2", 4, "other"), chat=4.0),
            provider_budgets_usd_per_hour={"acme": Decimal("3.5")},
        ),
        objective=5.0,
        constraint=money.provider_budget_rows,
        rule="provider budgets",
    ),
    "a number of pools": Binding(
        problem=small(max_pools=1, classes=demands(chat=2.0, code=4.0)),
        objective=8.0,
        constraint=supply.pool_rows,
        rule="number of pools",
    ),
    # Two of the fast for 8 and their pool for 4; one of each costs 5, and both pools 8.
    "every pool is paid for": Binding(
        problem=small(usd_per_pool_hour=Decimal(4), budget_usd_per_hour=Decimal(12)),
        objective=12.0,
        constraint=supply.opened_rows,
        rule="budget",
    ),
    # 2 nodes, and a tenth of a request per second at 3600 * 0.0005 USD an hour; but only half of it may go there.
    "a service takes so many requests": Binding(
        problem=replace(
            one(offer("o", "1"), chat=2.1),
            services=(
                Service(id="api", usd_per_request={"chat": Decimal("0.0005")}, max_requests_per_second=0.05),
            ),
        ),
        objective=3.0,
        constraint=serve.service_rows,
        rule="services",
    ),
    # The same, where a request counts for 300 tokens and 15 of them a second may go there.
    "a service takes so many tokens": Binding(
        problem=replace(
            one(offer("o", "1"), chat=2.1),
            services=(
                Service(
                    id="api",
                    usd_per_request={"chat": Decimal("0.0005")},
                    max_tokens_per_second=15.0,
                    tokens_per_request={"chat": 300.0},
                ),
            ),
        ),
        objective=3.0,
        constraint=serve.service_token_rows,
        rule="service tokens",
    ),
    "at most half on spot": Binding(
        problem=replace(
            one(ON_DEMAND, SPOT, chat=4.0),
            share_limits=(ShareLimit(id="spot", trait=Trait.MARKET, values=("spot",), at_most=0.5),),
        ),
        objective=6.0,
        constraint=risk.share_limit_rows,
        rule="share limits",
    ),
    "at least a quarter on demand": Binding(
        problem=replace(
            one(ON_DEMAND, SPOT, chat=4.0),
            share_limits=(ShareLimit(id="od", trait=Trait.MARKET, values=("on_demand",), at_least=0.25),),
        ),
        objective=5.0,
        constraint=risk.share_limit_rows,
        rule="share limits",
    ),
    "at most half in each zone": Binding(
        problem=replace(
            one(*ZONES, chat=4.0), share_limits=(ShareLimit(id="zones", trait=Trait.ZONE, at_most=0.5),)
        ),
        objective=5.0,
        constraint=risk.share_limit_rows,
        rule="share limits",
    ),
    # 0.95 is what half at 0.9 and half at 1 give.
    "quality on average": Binding(
        problem=MIXED, objective=8.0, constraint=quality.mean_quality_rows, rule="mean quality"
    ),
    # The same of a service, 3600 * 0.0001 USD an hour for each request per second at 0.9: it may serve half.
    "quality of a service": Binding(
        problem=replace(
            with_columns(MIXED, lambda _: {"quality": {}}),
            services=(Service(id="api", usd_per_request={"chat": Decimal("0.0001")}, quality={"chat": 0.9}),),
        ),
        objective=2.0 + 2 * 0.36,
        constraint=quality.mean_quality_rows,
        rule="mean quality",
    ),
    # Two nodes at 2, and a fifth of a request per second at 3600 * 0.001 USD an hour; but only a twentieth of 2.2 may go.
    "a twentieth may be shed": Binding(
        problem=replace(
            one(offer("o", "2"), chat=2.2),
            classes=tuple(
                replace(c, shed_usd_per_request=Decimal("0.001"), max_shed_share=0.05)
                for c in demands(chat=2.2)
            ),
        ),
        objective=6.0,
        constraint=serve.shed_rows,
        rule="shedding",
    ),
    # One in each of two zones instead of both in the cheapest.
    "half is served without any zone": Binding(
        problem=replace(one(*ZONES), losses=(Loss(id="zone", trait=Trait.ZONE, kept_share=0.5),)),
        objective=2.5,
        constraint=serve.loss_rows,
        rule="losses",
    ),
    "all is served without any provider": Binding(
        problem=replace(one(*ZONES), losses=(Loss(id="provider", trait=Trait.PROVIDER),)),
        objective=5.0,
        constraint=serve.loss_rows,
        rule="losses",
    ),
    "all is served without two offers": Binding(
        problem=replace(one(*ZONES), losses=(Loss(id="both", trait=Trait.OFFER, values=("a", "b")),)),
        objective=8.0,
        constraint=serve.loss_rows,
        rule="losses",
    ),
    # 4 by day and 1 by night; three boots a day of half an hour.
    "nodes that are started are paid for": Binding(
        problem=replace(
            with_columns(one(offer("o", "1", 9), chat=1.0), lambda _: {"boot_seconds": 1800.0}),
            periods=DAY_AND_NIGHT,
        ),
        objective=2.5 + 3 * 0.5 / 24,
        constraint=change.start_rows,
        rule="changes",
    ),
    # 4 by day; 2 by night instead of 1, or no 2 could be added in the morning.
    "so many nodes may be added": Binding(
        problem=replace(one(at(offer("o", "1", 9), max_added_nodes=2), chat=1.0), periods=DAY_AND_NIGHT),
        objective=3.0,
        constraint=supply.ramp_rows,
        rule="ramps",
    ),
    # 3 by night: only one goes in the evening.
    "so many nodes may be removed": Binding(
        problem=replace(one(at(offer("o", "1", 9), max_removed_nodes=1), chat=1.0), periods=DAY_AND_NIGHT),
        objective=3.5,
        constraint=supply.ramp_rows,
        rule="ramps",
    ),
    # One reserved for the night and the day, three more by the day.
    "reserved nodes are paid for by night as well": Binding(
        problem=replace(one(offer("o", "1", 9), RESERVED, chat=1.0), periods=DAY_AND_NIGHT),
        objective=0.6 + 1.5,
        constraint=supply.rental_rows,
        rule="rentals",
    ),
    "a block is had whole or not at all": Binding(
        problem=replace(
            one(offer("o", "1", 9), at(RESERVED, lot_nodes=4, max_nodes=4), chat=1.0), periods=DAY_AND_NIGHT
        ),
        objective=2.4,
        constraint=supply.rental_rows,
        rule="rentals",
    ),
    "what is committed is paid for": Binding(
        problem=replace(
            one(offer("o", "1", 9), at(RESERVED, committed_nodes=3), chat=1.0), periods=DAY_AND_NIGHT
        ),
        objective=1.8 + 0.5,
        constraint=supply.commitment_rows,
        rule="commitments",
    ),
    "two models share a node": Binding(
        problem=PACKED, objective=4.0, constraint=supply.rental_rows, rule="rentals"
    ),
    # Two nodes around the clock instead of the four that there are not.
    "batch work waits for the night": Binding(
        problem=BATCH, objective=2.0, constraint=serve.deferral_rows, rule="deadlines"
    ),
    # Two nodes in either offer day and night, of which two are left whichever is lost: as it comes, four would have to be by day.
    "what waits is served without any offer when it would have been": Binding(
        problem=replace(
            BATCH,
            offers=(offer("o", "1", 2), offer("p", "1.5", 2)),
            columns=(column("o", chat=1.0), column("p", chat=1.0)),
            losses=(Loss(id="any", trait=Trait.OFFER),),
        ),
        objective=5.0,
        constraint=serve.loss_rows,
        rule="losses",
    ),
    "a mean budget": Binding(
        problem=replace(
            one(offer("o", "1", 99), chat=1.0),
            mode=Mode.MAX_THROUGHPUT,
            periods=DAY_AND_NIGHT,
            mean_budget_usd_per_hour=Decimal(5),
        ),
        objective=5.0,
        constraint=money.mean_budget_rows,
        rule="mean budget",
    ),
    # Staying costs 2 a node and hour, going 1 and 30 in a day.
    "a change that costs more than it saves": Binding(
        problem=replace(
            one(offer("dear", "2"), offer("cheap", "1")),
            migration=Migration(
                running=(Running(offer="dear", configuration="tp1", nodes=2),), usd_per_added_node=Decimal(30)
            ),
        ),
        objective=4.0,
        constraint=change.migration_rows,
        rule="changes",
    ),
    # One goes, one comes.
    "so many nodes may change": Binding(
        problem=replace(
            one(offer("dear", "2"), offer("cheap", "1")),
            migration=Migration(
                running=(Running(offer="dear", configuration="tp1", nodes=2),), max_changed_nodes=3
            ),
        ),
        objective=3.0,
        constraint=change.change_limit_rows,
        rule="number of changes",
    ),
    # A whole node of quarters runs: two of them go, a half comes, so each is half a node: 24 / 24 + 48 / 24 halved, and 4.
    "a part of a node that changes counts as that part": Binding(
        problem=replace(
            PACKED,
            migration=Migration(
                running=(Running(offer="node", configuration="quarter", nodes=4),),
                usd_per_added_node=Decimal(24),
                usd_per_removed_node=Decimal(48),
            ),
        ),
        objective=5.5,
        constraint=change.migration_rows,
        rule="changes",
    ),
    # On the cheaper nodes a whole one would go, and a whole one come.
    "parts of a whole node may change": Binding(
        problem=replace(
            PACKED,
            offers=(*PACKED.offers, offer("cheap", "3")),
            columns=(*PACKED.columns, *(replace(c, offer="cheap") for c in PACKED.columns)),
            migration=Migration(
                running=(Running(offer="node", configuration="quarter", nodes=4),), max_changed_nodes=1
            ),
        ),
        objective=4.0,
        constraint=change.change_limit_rows,
        rule="number of changes",
    ),
    "decode serves what prefill hands over": Binding(
        problem=SPLIT, objective=3.0, constraint=serve.handover_rows, rule="handovers"
    ),
    "within a network as much is decoded as is prefilled": Binding(
        problem=replace(SPLIT, links=(), offers=tuple(replace(o, network="net") for o in SPLIT.offers)),
        objective=3.0,
        constraint=serve.handover_rows,
        rule="handovers",
    ),
    "a link carries so much": Binding(
        problem=replace(SPLIT, links=(Link(source="big", target="small", gb_per_second=0.1),)),
        objective=4.0,
        constraint=serve.link_rows,
        rule="links",
    ),
}
