"""The limits of a problem as they are met by a fleet: which are used up, and what lifts one a little or wholly.

Decides what counts as used up; what that is worth only a search can say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from hetops.solver.problem import Column, Mode, PricedOffer, Problem
from hetops.solver.questions.explanation import Topic, dollars
from hetops.solver.solution import Solution, SolvedPeriod
from hetops.solver.terms import Role

Change = Callable[[Problem], Problem]
"""What a question changes of a problem."""

PLENTY = 10**6
"""Nodes, pools or units of quota that no fleet needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liftable:
    """Something that a fleet is held to, and the problem without it."""

    topic: Topic
    subject: str = ""
    name: str
    """As what a sentence is about."""
    lifted: Change
    offers: frozenset[str] = frozenset()
    """Those of which it is one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met(Liftable):
    """A limit that leaves no room, and what gives a problem a little more of it."""

    state: str
    """How it is met, as a clause."""
    step: str
    """The little more, in words."""
    wider: Change


def met(problem: Problem, solution: Solution) -> Iterator[Met]:
    """Every limit that leaves the fleet no room for one node or pool more, in some period. The budget is not among them."""
    used = [_rented(problem, period) for period in solution.stretches]
    most = {o.id: max(nodes[o.id] for nodes in used) for o in problem.offers}
    steps = _steps(problem)
    for offer in problem.offers:
        step = steps.get(offer.id, 1)
        if most[offer.id] and most[offer.id] + step > problem.max_nodes(offer):
            yield _stock(problem, offer, most[offer.id], step)
    yield from _quotas(problem, used)
    yield from _provider_budgets(problem, used)
    if problem.max_pools is not None and len(solution.pools) >= problem.max_pools:
        yield _pools(problem.max_pools)


def shut(problem: Problem, solution: Solution) -> Iterator[Met]:
    """Stocks, and quotas, that nothing is taken of for want of room for even one node: all of a kind at once."""
    used = [_rented(problem, period) for period in solution.stretches]
    rented = {offer for nodes in used for offer, count in nodes.items() if count}
    steps, most = _steps(problem), {o.id: problem.max_nodes(o) for o in problem.offers}
    gone = {o: step for o, step in steps.items() if most[o] < step and o not in rented}
    if gone:
        yield Met(
            topic=Topic.STOCK,
            name="what is sold out",
            state=f"there is none left of {_some(list(gone))}",
            step="one node" if len(gone) == 1 else "one node of each",
            wider=partial(_with_stock, nodes=gone),
            lifted=partial(_with_stock, nodes=dict.fromkeys(gone, PLENTY)),
            offers=frozenset(gone),
        )
    needs = dict(_shut_quotas(problem, rented))
    if needs:
        some = _some([f"the quota {group}" for group in needs])
        yield Met(
            topic=Topic.QUOTA,
            name="quotas without room for a node",
            state=f"{some} {'leaves' if len(needs) == 1 else 'leave'} no room for a node",
            step="room for one" if len(needs) == 1 else "room for one in each",
            wider=partial(_with_quotas, limits=needs),
            lifted=partial(_with_quotas, limits=dict.fromkeys(needs, Decimal(PLENTY))),
        )


def _shut_quotas(problem: Problem, rented: Collection[str]) -> Iterator[tuple[str, Decimal]]:
    """Quotas that are less than any node takes, with what the least one does."""
    for group in problem.quota_groups:
        takes = {o.id: o.quota_per_node.get(group.id, Decimal(0)) for o in problem.offers}
        least = _least(problem, takes)
        if least is not None and group.limit < least and not any(takes[offer] for offer in rented):
            yield group.id, least


def _with_quotas(problem: Problem, *, limits: Mapping[str, Decimal]) -> Problem:
    groups = (replace(g, limit=limits.get(g.id, g.limit)) for g in problem.quota_groups)
    return replace(problem, quota_groups=tuple(groups))


def _some(names: list[str]) -> str:
    """All of them, or the first three and how many more."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _rented(problem: Problem, period: SolvedPeriod) -> dict[str, int]:
    """Nodes of every offer: those of the pools that stand on it, or what is paid for as a whole."""
    rented = {o.id: 0 for o in problem.offers}
    for pool in period.pools:
        for offer, nodes in pool.rented.items():
            rented[offer] += nodes
    return {**rented, **{rental.offer: rental.nodes for rental in period.rentals}}


def _steps(problem: Problem) -> dict[str, int]:
    """By offer, the fewest nodes of it that one node more of any column takes."""
    steps: dict[str, int] = {}
    for column in problem.columns:
        for offer, nodes in column.takes.items():
            steps[offer] = min(math.ceil(nodes), steps.get(offer, PLENTY))
    return steps


def barring(problem: Problem, offers: frozenset[str]) -> Iterator[Liftable]:
    """Every limit that could keep the offers, or what goes with them, out of a fleet altogether, whether or not it does."""
    together = {
        o for column in problem.columns if not column.offers.isdisjoint(offers) for o in column.offers
    }
    own, steps = [o for o in problem.offers if o.id in together | offers], _steps(problem)
    yield from _sold_out([offer for offer in own if problem.max_nodes(offer) < steps.get(offer.id, 1)])
    for group in problem.quota_groups:
        if any(o.quota_per_node.get(group.id, 0) > 0 for o in own):
            yield _quota(problem, group.id, Decimal(0), Decimal(1))
    for provider in sorted({o.provider for o in own} & set(problem.provider_budgets_usd_per_hour)):
        yield _provider_budget(problem, provider, Decimal(0))
    if problem.mode is Mode.MIN_COST:
        yield from _budgets(problem)
    elif problem.budget_usd_per_hour is not None:
        yield from _budget_for_one(problem, offers)
    if problem.max_pools is not None:
        yield _pools(problem.max_pools)


def _sold_out(offers: list[PricedOffer]) -> Iterator[Liftable]:
    """Their stock, all of it at once."""
    if offers:
        ids = frozenset(offer.id for offer in offers)
        subject = offers[0].id if len(offers) == 1 else ""
        name = f"the stock of {subject or f'{len(offers)} offers that are sold out'}"
        yield Liftable(
            topic=Topic.STOCK,
            subject=subject,
            name=name,
            lifted=partial(_with_stock, nodes=dict.fromkeys(ids, PLENTY)),
            offers=ids,
        )


def _budgets(problem: Problem) -> Iterator[Liftable]:
    if problem.budget_usd_per_hour is not None:
        yield Liftable(
            topic=Topic.BUDGET, name="the budget", lifted=partial(replace, budget_usd_per_hour=None)
        )
    if problem.mean_budget_usd_per_hour is not None:
        yield Liftable(
            topic=Topic.BUDGET,
            subject="mean",
            name="the mean budget",
            lifted=partial(replace, mean_budget_usd_per_hour=None),
        )


def _budget_for_one(problem: Problem, offers: frozenset[str]) -> Iterator[Liftable]:
    """Of the largest rate, a budget that no node of the offers fits into; lifted to what a fleet with one costs at least."""
    usd = {o.id: Decimal(0) if o.committed_nodes else o.usd_per_hour for o in problem.offers}
    lots = {o.id: o.lot_nodes for o in problem.offers}

    def price(column: Column) -> Decimal:
        return sum((usd[o] * max(math.ceil(n), lots[o]) for o, n in column.takes.items()), Decimal(0))

    serving = [c for c in problem.columns if any(c.requests_per_second.values())]
    feeds = {Role.PREFILL: Role.DECODE, Role.DECODE: Role.PREFILL}
    cheapest = {
        role: min((price(c) for c in serving if c.role is role), default=Decimal(0)) for role in feeds
    }
    own = (c for c in serving if not c.offers.isdisjoint(offers))
    of_pool = problem.usd_per_pool_hour
    each = (price(c) + of_pool + (cheapest[feeds[c.role]] + of_pool if c.role in feeds else 0) for c in own)
    anyway = sum((o.usd_per_hour * o.committed_nodes for o in problem.offers), Decimal(0))
    least = anyway + min(each, default=Decimal(0))
    if least > (problem.budget_usd_per_hour or 0):
        yield Liftable(
            topic=Topic.BUDGET,
            name=f"a budget below {dollars(least)} per hour",
            lifted=partial(replace, budget_usd_per_hour=least),
        )


def any_limit(problem: Problem) -> Iterator[Liftable]:
    """Stock, quotas, budgets and pools of the whole problem; the stock of all offers at once."""
    everything = frozenset(offer.id for offer in problem.offers)
    yield Liftable(
        topic=Topic.STOCK,
        name="the stock of every offer",
        lifted=partial(_with_stock, nodes=dict.fromkeys(everything, PLENTY)),
    )
    yield from (one for one in barring(problem, everything) if one.topic is not Topic.STOCK)


def _with_stock(problem: Problem, *, nodes: Mapping[str, int]) -> Problem:
    sold = (replace(o, max_nodes=nodes[o.id]) if o.id in nodes else o for o in problem.offers)
    return replace(problem, offers=tuple(sold))


def unlimited(problem: Problem) -> Problem:
    """The problem without stock, quotas, budgets of providers and a number of pools; when maximising the budget stays."""
    return replace(
        problem,
        offers=tuple(replace(o, max_nodes=PLENTY, quota_per_node={}) for o in problem.offers),
        quota_groups=(),
        provider_budgets_usd_per_hour={},
        max_pools=None,
        budget_usd_per_hour=problem.budget_usd_per_hour if problem.mode is Mode.MAX_THROUGHPUT else None,
    )


def _pools(most: int) -> Met:
    return Met(
        topic=Topic.POOLS,
        name="the number of pools",
        state=f"the fleet has as many pools as it may, {most}",
        step="one more",
        wider=partial(replace, max_pools=most + 1),
        lifted=partial(replace, max_pools=None),
    )


def _stock(problem: Problem, offer: PricedOffer, rented: int, step: int) -> Met:
    most = problem.max_nodes(offer)
    known = "" if offer.max_nodes is not None else ", which is assumed: nobody knows the stock"

    return Met(
        topic=Topic.STOCK,
        subject=offer.id,
        name=f"the stock of {offer.id}",
        state=f"{rented} of {most} nodes of {offer.id} are rented{known}",
        step="one more" if step == 1 else f"{step} more",
        wider=partial(_with_stock, nodes={offer.id: most + step}),
        lifted=partial(_with_stock, nodes={offer.id: PLENTY}),
        offers=frozenset((offer.id,)),
    )


def _quotas(problem: Problem, used: list[dict[str, int]]) -> Iterator[Met]:
    for group in problem.quota_groups:
        takes = {o.id: o.quota_per_node.get(group.id, Decimal(0)) for o in problem.offers}
        taken = max(sum((takes[o] * nodes for o, nodes in rented.items()), Decimal(0)) for rented in used)
        least = _least(problem, takes)
        if least is not None and taken and taken + least > group.limit:
            yield _quota(problem, group.id, taken, least)


def _least(problem: Problem, of_node: Mapping[str, Decimal]) -> Decimal | None:
    """The least of something that one node more of a column takes, by what a node of each offer does; None where none does."""
    each = (
        sum((of_node.get(o, Decimal(0)) * math.ceil(n) for o, n in c.takes.items()), Decimal(0))
        for c in problem.columns
    )
    return min((amount for amount in each if amount > 0), default=None)


def _quota(problem: Problem, group_id: str, taken: Decimal, step: Decimal) -> Met:
    group = next(g for g in problem.quota_groups if g.id == group_id)

    return Met(
        topic=Topic.QUOTA,
        subject=group_id,
        name=f"the quota {group_id}",
        state=f"{taken:f} of {group.limit:f} {group.unit} of the quota {group_id} are taken".replace(
            "  ", " "
        ),
        step=f"{step:f} more",
        wider=partial(_with_quotas, limits={group_id: group.limit + step}),
        lifted=partial(_with_quotas, limits={group_id: Decimal(PLENTY)}),
    )


def _provider_budgets(problem: Problem, used: list[dict[str, int]]) -> Iterator[Met]:
    for provider, budget in sorted(problem.provider_budgets_usd_per_hour.items()):
        own = [o for o in problem.offers if o.provider == provider]
        spent = max(sum((o.usd_per_hour * rented[o.id] for o in own), Decimal(0)) for rented in used)
        cheapest = _least(problem, {o.id: o.usd_per_hour for o in own})
        if cheapest is not None and spent and spent + cheapest > budget:
            yield _provider_budget(problem, provider, spent)


def _provider_budget(problem: Problem, provider: str, spent: Decimal) -> Met:
    budgets = problem.provider_budgets_usd_per_hour
    wider = {**budgets, provider: budgets[provider] + 1}
    lifted = {name: usd for name, usd in budgets.items() if name != provider}
    return Met(
        topic=Topic.PROVIDER_BUDGET,
        subject=provider,
        name=f"the budget of {provider}",
        state=f"{dollars(spent)} of the {dollars(budgets[provider])} per hour for {provider} are spent",
        step="$1 per hour more",
        wider=partial(replace, provider_budgets_usd_per_hour=wider),
        lifted=partial(replace, provider_budgets_usd_per_hour=lifted),
    )
