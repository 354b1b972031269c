"""Every limit on columns that stand on several offers: a small problem in which it binds, its optimum worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hetops.solver.problem import Mode, Problem, QuotaGroup
from hetops.solver.rows import change, money, risk, serve, supply
from hetops.solver.terms import Billing, Loss, Migration, Period, Running, ShareLimit, Trait
from tests.solver.binding import Binding
from tests.solver.problems import column, demands, offer
from tests.solver.termed import at

PAIRED = Problem(
    offers=(
        at(offer("a", "1", 9, q="0"), market="on_demand"),
        at(offer("b", "0.5", 9, "other", q="1"), market="spot"),
        at(offer("a2", "1", 9), market="on_demand"),
        at(offer("dear", "3", 9), market="on_demand"),
    ),
    configurations=("tp1", "mixed"),
    classes=demands(chat=4.0),
    columns=(
        replace(column("a", "mixed", chat=2.0), also={"b": 2}),
        replace(column("a2", "mixed", chat=2.0), also={"b": 2}),
        column("dear", chat=1.0),
    ),
    quota_groups=(QuotaGroup(id="q", limit=Decimal(99)),),
    gap=0.0,
)
"""A node of a, or its equal a2, with two of b serves 2 requests per second for 2 USD an hour; a dear node serves 1 for 3."""

DAY_AND_NIGHT = (
    Period(name="day", hours=12.0, requests_per_second={"chat": 8.0}),
    Period(name="night", hours=12.0, requests_per_second={"chat": 2.0}),
)


def having(offer_id: str, problem: Problem = PAIRED, **terms: object) -> Problem:
    """The problem with terms of an offer."""
    return replace(problem, offers=tuple(at(o, **terms) if o.id == offer_id else o for o in problem.offers))


def mixed(problem: Problem = PAIRED, **terms: object) -> Problem:
    """The problem with terms of the columns that stand on two offers."""
    columns = tuple(replace(c, **terms) if c.also else c for c in problem.columns)  # type: ignore[arg-type]
    return replace(problem, columns=columns)


def running(units: int) -> tuple[Running, ...]:
    """Nodes of that column that run already."""
    return (Running(offer="a", configuration="mixed", nodes=units),)


MIXED_BINDING: dict[str, Binding] = {
    # 3 nodes of b are enough for one; two dear ones serve the rest.
    "stock of what goes with it": Binding(
        problem=having("b", max_nodes=3), objective=8.0, constraint=supply.stock_rows, rule="stock"
    ),
    # 4 of a, or 3 with one of a2: 5 are not enough for both.
    "more nodes of its own offer": Binding(
        problem=mixed(having("a", max_nodes=5, usd_per_hour=Decimal("0.5")), also={"a": 3}),
        objective=8.0,
        constraint=supply.stock_rows,
        rule="stock",
    ),
    "a quota of what goes with it": Binding(
        problem=replace(PAIRED, quota_groups=(QuotaGroup(id="q", limit=Decimal("3.5")),)),
        objective=8.0,
        constraint=supply.quota_rows,
        rule="quota",
    ),
    "a budget for all that it stands on": Binding(
        problem=replace(PAIRED, mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal("4.9")),
        objective=4.0,
        constraint=money.budget_rows,
        rule="budget",
    ),
    "a budget of whom else it stands on": Binding(
        problem=replace(PAIRED, provider_budgets_usd_per_hour={"other": Decimal("1.5")}),
        objective=8.0,
        constraint=money.provider_budget_rows,
        rule="provider budgets",
    ),
    # b is away an eighth of the time, and there are two of it: three quarters of 2 are less than 1.6.
    "it serves while none of its nodes is away": Binding(
        problem=replace(
            having("b", interruptions_per_hour=0.25, recovery_hours=0.5),
            classes=demands(chat=0.8, code=0.8),
            columns=tuple(
                replace(c, requests_per_second={"chat": 2.0, "code": 2.0}) for c in PAIRED.columns if c.also
            ),
        ),
        objective=4.0,
        constraint=serve.capacity_rows,
        rule="capacity",
    ),
    "with one spot node it is on spot": Binding(
        problem=replace(
            PAIRED,
            share_limits=(ShareLimit(id="spot", trait=Trait.MARKET, values=("spot",), at_most=0.5),),
        ),
        objective=8.0,
        constraint=risk.share_limit_rows,
        rule="share limits",
    ),
    # A quarter of 4 on a dear node, and two mixed ones for the rest.
    "with one spot node it is not on demand": Binding(
        problem=replace(
            PAIRED,
            share_limits=(ShareLimit(id="od", trait=Trait.MARKET, values=("on_demand",), at_least=0.25),),
        ),
        objective=7.0,
        constraint=risk.share_limit_rows,
        rule="share limits",
    ),
    "it is lost with any of its offers": Binding(
        problem=replace(PAIRED, losses=(Loss(id="b", trait=Trait.OFFER, values=("b",), kept_share=0.5),)),
        objective=8.0,
        constraint=serve.loss_rows,
        rule="losses",
    ),
    # 4 by day and 1 by night; three starts a day of half an hour at 2 USD.
    "all nodes are paid for while it starts": Binding(
        problem=replace(mixed(boot_seconds=1800.0), periods=DAY_AND_NIGHT),
        objective=5.0 + 3 * 0.5 * 2 / 24,
        constraint=change.start_rows,
        rule="changes",
    ),
    # 8 of b at all times; of a 4 by day and 1 by night.
    "what goes with it is reserved": Binding(
        problem=replace(
            having("b", billing=Billing.RESERVED, usd_per_hour=Decimal("0.25")), periods=DAY_AND_NIGHT
        ),
        objective=8 * 0.25 + 2.5,
        constraint=supply.rental_rows,
        rule="rentals",
    ),
    "what goes with it comes in lots": Binding(
        problem=having("b", lot_nodes=3),
        objective=2.0 + 6 * 0.5,
        constraint=supply.rental_rows,
        rule="rentals",
    ),
    "what goes with it is committed": Binding(
        problem=having("b", billing=Billing.RESERVED, committed_nodes=7),
        objective=2.0 + 7 * 0.5,
        constraint=supply.commitment_rows,
        rule="commitments",
    ),
    # 5 times a quarter of a node of a and half a node of b.
    "it takes parts of nodes of all": Binding(
        problem=replace(mixed(parts_per_node=4), classes=demands(chat=10.0)),
        objective=2.0 + 3 * 0.5,
        constraint=supply.rental_rows,
        rule="rentals",
    ),
    "a mean budget for all that it stands on": Binding(
        problem=replace(
            PAIRED,
            mode=Mode.MAX_THROUGHPUT,
            periods=DAY_AND_NIGHT,
            mean_budget_usd_per_hour=Decimal(5),
        ),
        objective=5.0,
        constraint=money.mean_budget_rows,
        rule="mean budget",
    ),
    # To stay costs 2; to go 1.5 and, with three nodes removed, 1.
    "every node that goes is paid for": Binding(
        problem=replace(
            having("dear", usd_per_hour=Decimal("0.75")),
            classes=demands(chat=2.0),
            migration=Migration(running=running(1), usd_per_removed_node=Decimal(8)),
        ),
        objective=2.0,
        constraint=change.migration_rows,
        rule="changes",
    ),
    # One goes, which is three nodes, and two come.
    "every node that goes is a change": Binding(
        problem=replace(
            having("dear", usd_per_hour=Decimal("0.5")),
            migration=Migration(running=running(2), max_changed_nodes=6),
        ),
        objective=3.0,
        constraint=change.change_limit_rows,
        rule="number of changes",
    ),
    "it is one pool": Binding(
        problem=replace(having("b", max_nodes=3), max_pools=1),
        objective=12.0,
        constraint=supply.pool_rows,
        rule="number of pools",
    ),
}
