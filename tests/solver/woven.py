"""Random problems as `varied`, with more of what special searches are for: losses, days, networks, offers in line. Each of a seed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

from hetops.solver.problem import Column, Demand, Mode, PricedOffer, Problem
from hetops.solver.terms import Billing, Loss, Period, Role
from tests.solver.varied import TRAITS, _sometimes, mixed, varied


def woven(seed: int) -> Problem:
    """As `varied` or `mixed`, with more of what special searches are for: losses, days, offers in line, what may be shed."""
    dice = Random(f"woven {seed}")
    problem = mixed(seed) if _sometimes(dice, 0.6) else varied(seed)
    for part, change in (
        (0.5, _more_losses),
        (0.4, _a_day),
        (0.4, _twins),
        (0.4, _sheds_some),
        (0.15, _of_a_budget),
    ):
        problem = change(dice, problem) if _sometimes(dice, part) else problem
    return problem


def dense(seed: int) -> Problem:
    """As `woven`, with more of what came last: networks of several offers, parts of many nodes, days that more ties than starts."""
    dice = Random(f"dense {seed}")
    problem = woven(seed)
    for part, change in ((0.4, _networks), (0.4, _many_parts), (0.5, _tied_day)):
        problem = change(dice, problem) if _sometimes(dice, part) else problem
    return _lighter(dice, problem) if _sometimes(dice, 0.7) else problem


def _lighter(dice: Random, problem: Problem) -> Problem:
    """With fewer of the limits that leave many problems without an answer."""
    losses, limits = (of[: dice.choice((0, 0, 1))] for of in (problem.losses, problem.share_limits))
    return replace(problem, losses=losses, share_limits=limits)


def _networks(dice: Random, problem: Problem) -> Problem:
    """Instead of links one network or two: columns of any role and format, on most offers of them and on some outside."""
    network = {o.id: dice.choice(("n0", "n0", "n1", "")) for o in problem.offers}
    roles = (Role.WHOLE, Role.PREFILL, Role.PREFILL, Role.DECODE, Role.DECODE)

    def any_role(column: Column) -> Column:
        role = Role.WHOLE if column.also else dice.choice(roles)
        return replace(column, role=role, kv_format=dice.choice(("", "", "x")))

    return replace(
        problem,
        offers=tuple(replace(o, network=network[o.id]) for o in problem.offers),
        columns=tuple(map(any_role, problem.columns)),
        links=(),
    )


def _many_parts(dice: Random, problem: Problem) -> Problem:
    """Nodes of most offers in parts that fill them together; columns on several offers stay as they are."""
    kept = {offer for c in problem.columns if c.also for offer in c.offers}
    sizes = {o.id: dice.choice(((1,), (1, 2, 3), (2, 3, 6), (2, 4, 6))) for o in problem.offers}
    columns = (
        c if c.offer in kept else replace(c, parts_per_node=dice.choice(sizes[c.offer]))
        for c in problem.columns
    )
    return replace(problem, columns=tuple(columns))


def _tied_day(dice: Random, problem: Problem) -> Problem:
    """A day whose periods share whatever they may: work that waits, lots that are reserved, budgets, pools, ramps."""
    problem = _a_day(dice, problem)
    ways = dice.sample((_waits, _reserves, _budgets, _few_pools, _steep), dice.choice((1, 1, 2, 3)))
    for way in ways:
        problem = way(dice, problem)
    return problem


def _waits(dice: Random, problem: Problem) -> Problem:
    hours = {c.name: dice.choice((None, 1.0, 8.0, 13.0, 24.0)) for c in problem.classes}
    return replace(problem, classes=tuple(replace(c, deadline_hours=hours[c.name]) for c in problem.classes))


def _reserves(dice: Random, problem: Problem) -> Problem:
    def some(offer: PricedOffer) -> PricedOffer:
        billing = dice.choice((offer.billing, Billing.RESERVED))
        return replace(offer, billing=billing, lot_nodes=dice.choice((1, 1, 2)))

    return replace(
        problem,
        offers=tuple(replace(some(o), max_added_nodes=None, max_removed_nodes=None) for o in problem.offers),
    )


def _budgets(dice: Random, problem: Problem) -> Problem:
    return replace(problem, mean_budget_usd_per_hour=Decimal(dice.randint(4, 25)))


def _few_pools(dice: Random, problem: Problem) -> Problem:
    return replace(problem, max_pools=dice.choice((1, 2, 3)))


def _steep(dice: Random, problem: Problem) -> Problem:
    def some(offer: PricedOffer) -> PricedOffer:
        lots = (None, 0, offer.lot_nodes, 2 * offer.lot_nodes)
        return replace(offer, max_added_nodes=dice.choice(lots), max_removed_nodes=dice.choice(lots))

    return replace(problem, offers=tuple(map(some, problem.offers)))


def _more_losses(dice: Random, problem: Problem) -> Problem:
    losses = (
        Loss(id=id_, trait=dice.choice(TRAITS), kept_share=dice.choice((0.0, 0.3, 0.5, 0.8, 1.0)))
        for id_ in ("any", "other")[: dice.choice((1, 1, 2))]
    )
    return replace(problem, losses=problem.losses or tuple(losses))


def _a_day(dice: Random, problem: Problem) -> Problem:
    """Four periods, in some of which some classes keep their rates, and in some none is asked for."""
    if problem.periods:
        return problem
    periods = []
    for i in range(4):
        factor = dice.choice((0.0, 0.4, 1.0, 1.6)) if i else 1.0
        rates = {
            c.name: round(c.requests_per_second * factor * dice.uniform(0.6, 1), 3) for c in problem.classes
        }
        kept = {name: rate for name, rate in rates.items() if _sometimes(dice, 0.9)}
        periods.append(Period(name=f"t{i}", hours=6.0, requests_per_second=kept))
    return replace(problem, periods=tuple(periods))


def _twins(dice: Random, problem: Problem) -> Problem:
    """Up to two more of two offers, as dear or dearer."""
    offers, columns = list(problem.offers), list(problem.columns)
    for one in dice.sample(problem.offers, 2):
        for k in range(dice.choice((1, 2))):
            usd = one.usd_per_hour + Decimal(dice.choice(("0", "0.01", "0.3")))
            offers.append(replace(one, id=f"{one.id}x{k}", usd_per_hour=usd))
            columns += [replace(c, offer=f"{one.id}x{k}") for c in problem.columns if c.offer == one.id]
    return replace(problem, offers=tuple(offers), columns=tuple(columns))


def _sheds_some(dice: Random, problem: Problem) -> Problem:
    def some(c: Demand) -> Demand:
        usd = dice.choice((None, Decimal(f"{dice.uniform(0.00002, 0.0006):.6f}")))
        return replace(c, shed_usd_per_request=usd, max_shed_share=dice.choice((1.0, 0.5, 0.1, 0.0)))

    return replace(problem, classes=tuple(map(some, problem.classes)))


def _of_a_budget(dice: Random, problem: Problem) -> Problem:
    return replace(problem, mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal(dice.randint(3, 20)))
