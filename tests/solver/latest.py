"""Random problems in which the terms meet that came last: a fleet that runs, parts of nodes, roles, losses, work that waits, models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random

from hetops.domain.offer import Trait
from hetops.solver.problem import Column, Demand, Problem
from hetops.solver.terms import Link, Loss, Migration, Period, Role, Running
from tests.solver.varied import TRAITS, varied

Change = Callable[[Random, Problem], Problem]


def latest(seed: int) -> Problem:
    """As `varied` without its rarest limits, and with most of what may be asked for together; the same for the same seed."""
    dice = Random(f"latest {seed}")
    problem = _lighter(dice, varied(seed))
    for part, change in CHANGES:
        problem = change(dice, problem) if dice.random() < part else problem
    return problem


def _lighter(dice: Random, problem: Problem) -> Problem:
    """Without the limits that leave many problems without an answer, nor what is decided anew."""
    columns = (replace(c, role=Role.WHOLE, parts_per_node=1, kv_format="") for c in problem.columns)
    return replace(
        problem,
        columns=tuple(columns),
        offers=tuple(replace(o, network="") for o in problem.offers),
        links=(),
        losses=(),
        migration=None,
        share_limits=problem.share_limits if dice.random() < 0.3 else (),
        max_pools=problem.max_pools if dice.random() < 0.5 else None,
    )


def _models(dice: Random, problem: Problem) -> Problem:
    """Two models: a class asks for one, a column serves one; what may be shed is said by model."""
    asked = {c.name: dice.choice("ab") for c in problem.classes}
    shed = {
        model: (dice.choice((None, Decimal("0.0001"), Decimal("0.0004"))), dice.choice((1.0, 0.4)))
        for model in "ab"
    }

    def of_its_model(demand: Demand) -> Demand:
        usd, most = shed[asked[demand.name]]
        return replace(
            demand, model=asked[demand.name], shed_usd_per_request=usd, max_shed_share=most if usd else 1.0
        )

    def of_one(column: Column) -> Column:
        model = dice.choice(("a", "b", ""))
        rates = {n: r for n, r in column.requests_per_second.items() if model in ("", asked[n])}
        return replace(column, model=model, requests_per_second=rates)

    return replace(
        problem,
        classes=tuple(map(of_its_model, problem.classes)),
        columns=tuple(map(of_one, problem.columns)),
    )


def _parts(dice: Random, problem: Problem) -> Problem:
    """Nodes in parts that fill them together, whichever columns take them."""
    family = dice.choice(((1, 2, 4), (1, 2, 3, 6), (2, 3), (1, 3)))
    columns = tuple(replace(c, parts_per_node=dice.choice(family)) for c in problem.columns)
    return replace(problem, columns=columns)


def _also(dice: Random, problem: Problem) -> Problem:
    """Columns that stand on nodes of other offers besides, or, of whole nodes, on more of their own."""
    ids = [offer.id for offer in problem.offers]

    def stands(column: Column) -> Column:
        if dice.random() < 0.5:
            return column
        parts = column.parts_per_node
        others = [id_ for id_ in ids if parts == 1 or id_ != column.offer]
        more = dice.sample(others, dice.choice((1, 1, 2)))
        also = {id_: dice.choice((1, parts, 2 if parts == 1 else 1)) for id_ in more}
        return replace(column, also=also, requests_per_second=_times(column.requests_per_second, 1.8))

    return replace(problem, columns=tuple(map(stands, problem.columns)))


def _roles(dice: Random, problem: Problem) -> Problem:
    """Prefill and decode on offers of a network or two, or over links; columns on several offers serve whole requests."""
    roles = (Role.WHOLE, Role.PREFILL, Role.PREFILL, Role.DECODE, Role.DECODE)

    def any_role(column: Column) -> Column:
        role = Role.WHOLE if column.also else dice.choice(roles)
        faster = 1.0 if role is Role.WHOLE else 2.0
        rates = _times(column.requests_per_second, faster)
        return replace(column, role=role, kv_format=dice.choice(("", "", "x")), requests_per_second=rates)

    problem = replace(problem, columns=tuple(map(any_role, problem.columns)))
    if dice.random() < 0.6:
        network = {o.id: dice.choice(("n0", "n0", "n1")) for o in problem.offers}
        return replace(problem, offers=tuple(replace(o, network=network[o.id]) for o in problem.offers))
    ends = {
        role: sorted({c.offer for c in problem.columns if c.role is role})
        for role in (Role.PREFILL, Role.DECODE)
    }
    ways = [(one, other) for one in ends[Role.PREFILL] for other in ends[Role.DECODE] if dice.random() < 0.7]
    prices = ("0", "0", "0.0004")
    links = (
        Link(
            source=a,
            target=b,
            gb_per_second=dice.choice((None, 0.3, 2.0)),
            usd_per_gb=Decimal(dice.choice(prices)),
        )
        for a, b in ways
    )
    return replace(problem, links=tuple(links))


def _origins(dice: Random, problem: Problem) -> Problem:
    """Where a class comes from, some places are too far for it, and others slower or paid by the request."""

    def far(column: Column) -> Column:
        rates, usd = {}, {}
        for name, rate in column.requests_per_second.items():
            away = dice.choice((0, 0, 1, 2, 3))
            if away < 3:
                rates[name] = round(rate * (1.0, 0.8, 0.5)[away], 3)
                usd[name] = Decimal("0.00002") * away
        return replace(column, requests_per_second=rates, usd_per_request=usd)

    return replace(problem, columns=tuple(map(far, problem.columns)))


def _losses(dice: Random, problem: Problem) -> Problem:
    losses = (
        Loss(id=id_, trait=dice.choice(TRAITS), kept_share=dice.choice((0.0, 0.3, 0.5, 0.8)))
        for id_ in ("any", "other")[: dice.choice((1, 1, 2))]
    )
    return replace(problem, losses=tuple(losses))


def _offer_lost(dice: Random, problem: Problem) -> Problem:
    loss = Loss(id="offer", trait=Trait.OFFER, kept_share=dice.choice((0.25, 0.5, 0.75)))
    return replace(problem, losses=(loss,))


def _day(dice: Random, problem: Problem) -> Problem:
    """Two to four periods, some of them idle for some classes."""

    def rates() -> dict[str, float]:
        factor = dice.choice((0.0, 0.4, 1.0, 1.6))
        return {
            c.name: round(c.requests_per_second * factor * dice.uniform(0.6, 1), 3) for c in problem.classes
        }

    hours = dice.choice(((12.0, 12.0), (8.0, 8.0, 8.0), (5.0, 3.5, 15.5), (6.0, 6.0, 6.0, 6.0)))
    later = (Period(name=f"t{i}", hours=h, requests_per_second=rates()) for i, h in enumerate(hours[1:]))
    return replace(problem, periods=(Period(name="now", hours=hours[0]), *later))


def _waits(dice: Random, problem: Problem) -> Problem:
    hours = {c.name: dice.choice((None, 1.0, 8.0, 13.0, 24.0)) for c in problem.classes}
    return replace(problem, classes=tuple(replace(c, deadline_hours=hours[c.name]) for c in problem.classes))


def _runs(dice: Random, problem: Problem) -> Problem:
    """Some columns run, with up to two whole nodes of theirs."""
    running = tuple(
        Running(offer=c.offer, configuration=c.configuration, nodes=dice.randint(0, 2 * c.parts_per_node))
        for c in problem.columns
        if dice.random() < 0.4
    )
    migration = Migration(
        running=running,
        usd_per_added_node=Decimal(dice.choice(("0", "2", "20"))),
        usd_per_removed_node=Decimal(dice.choice(("0", "1"))),
        horizon_hours=dice.choice((24.0, 7.0)),
        max_changed_nodes=dice.choice((None, None, 2, 4, 6)),
    )
    return replace(problem, migration=migration)


CHANGES: tuple[tuple[float, Change], ...] = (
    (0.3, _models),
    (0.4, _parts),
    (0.4, _also),
    (0.4, _roles),
    (0.3, _origins),
    (0.4, _losses),
    (0.2, _offer_lost),
    (0.4, _day),
    (0.4, _waits),
    (0.6, _runs),
)


def _times(rates: Mapping[str, float], factor: float) -> dict[str, float]:
    return {name: round(rate * factor, 3) for name, rate in rates.items()}
