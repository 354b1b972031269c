"""What the terms of a problem ask of a fleet beyond stock and money, each as something that a question can lift.

Decides how each is spoken of; whether it costs anything only a search can say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial, reduce
from typing import TypeVar

from hetops.domain.percent import percent
from hetops.solver.problem import Demand, Mode, PricedOffer, Problem
from hetops.solver.questions.explanation import Topic, dollars
from hetops.solver.questions.limits import Liftable
from hetops.solver.questions.relaxation import waiting
from hetops.solver.terms import Link, Migration, Service, ShareLimit
from hetops.solver.waiting import deferrable

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Liftable):
    """Something that a fleet must keep to or bear, and the question without it."""

    freed: str
    """The question without it, as what a sentence begins with."""


def rules(problem: Problem, offers: Collection[str]) -> Iterator[Rule]:
    """Every rule of the problem; of lots those that the offers come in."""
    yield from _losses(problem)
    yield from map(_share_limit, problem.share_limits)
    yield from _qualities(problem)
    yield from _sheds(problem)
    yield from _changes(problem)
    yield from _ramps(problem)
    yield from _deadlines(problem)
    for service in problem.services:
        yield from _service(service)
    yield from (_link(link) for link in problem.links if link.gb_per_second is not None)
    yield from _reserved(problem, offers)
    yield from _budget_of_a_period(problem)
    yield from _pools_cost(problem)


def without_all(problem: Problem, lifted: Collection[Liftable]) -> Problem:
    """The problem without any of them."""
    return reduce(lambda left, one: one.lifted(left), lifted, problem)


def together(
    held: tuple[Liftable, ...],
    lifting: Callable[[tuple[Liftable, ...]], T],
    enough: Callable[[T], bool],
) -> tuple[tuple[Liftable, ...], T]:
    """Limits of which none may stay for it to be enough, and what there is without them; all of them, where even that is not.

    Each is taken back that need not go, given those that are lifted still: another set may do as well.
    """
    lifted, after = held, lifting(held)
    for one in held if enough(after) else ():
        left = tuple(other for other in lifted if other is not one)
        if left and enough(without_it := lifting(left)):
            lifted, after = left, without_it
    return lifted, after


def listed(lifted: tuple[Liftable, ...]) -> str:
    """Their names, in a sentence."""
    *first, last = (one.name for one in lifted)
    return f"{', '.join(first)} and {last}" if first else last


def _losses(problem: Problem) -> Iterator[Rule]:
    for loss in problem.losses:
        kept = f"{loss.id} ({percent(loss.kept_share)} still served)"
        yield Rule(
            topic=Topic.LOSS,
            subject=loss.id,
            name=f"bearing {kept}",
            freed=f"Not to bear {kept}",
            lifted=partial(_without_loss, loss=loss.id),
        )


def _without_loss(problem: Problem, *, loss: str) -> Problem:
    """Without the loss, and without those that it is of offers which stand for themselves (`bands`)."""
    left = (o for o in problem.losses if o.id != loss and o.id not in {f"{loss}: {at}" for at in o.values})
    return replace(problem, losses=tuple(left))


def _share_limit(limit: ShareLimit) -> Rule:
    of = f" of {', '.join(limit.classes)}" if limit.classes else " of a class"
    bounds = bounds_of(limit)
    return Rule(
        topic=Topic.SHARE,
        subject=limit.id,
        name=f"the rule of {bounds}{of} on {limit.id}",
        freed=f"Any share{of} on {limit.id} instead of {bounds}",
        lifted=partial(_without_share_limit, limit=limit.id),
    )


def bounds_of(limit: ShareLimit) -> str:
    """Its bounds in words."""
    least, most = f"at least {percent(limit.at_least)}", f"at most {percent(limit.at_most)}"
    return " and ".join((*([least] if limit.at_least > 0 else ()), *([most] if limit.at_most < 1 else ())))


def _without_share_limit(problem: Problem, *, limit: str) -> Problem:
    return replace(problem, share_limits=tuple(one for one in problem.share_limits if one.id != limit))


def _qualities(problem: Problem) -> Iterator[Rule]:
    """That of each class, and of several that of all of them together."""
    asking = [c for c in problem.classes if c.mean_quality is not None]
    yield from map(_quality, asking)
    if len(asking) > 1:
        yield Rule(
            topic=Topic.QUALITY,
            name="the mean quality of every class",
            freed="Any quality of every class",
            lifted=partial(_of_any_quality, names=frozenset(c.name for c in asking)),
        )


def _quality(demand: Demand) -> Rule:
    return Rule(
        topic=Topic.QUALITY,
        subject=demand.name,
        name=f"the mean quality of {demand.name}",
        freed=f"Any quality of {demand.name} instead of {percent(demand.mean_quality or 0.0, 2)} on average",
        lifted=partial(_of_any_quality, names=frozenset((demand.name,))),
    )


def _of_any_quality(problem: Problem, *, names: Collection[str]) -> Problem:
    classes = (replace(c, mean_quality=None) if c.name in names else c for c in problem.classes)
    return replace(problem, classes=tuple(classes))


def _sheds(problem: Problem) -> Iterator[Rule]:
    for demand in problem.classes:
        if problem.sheds(demand) and demand.max_shed_share < 1:
            yield Rule(
                topic=Topic.SHED,
                subject=demand.name,
                name=f"the limit on what is shed of {demand.name}",
                freed=f"Any share of {demand.name} shed instead of at most {percent(demand.max_shed_share, 2)}",
                lifted=partial(_shedding_any, name=demand.name),
            )


def _shedding_any(problem: Problem, *, name: str) -> Problem:
    classes = (replace(c, max_shed_share=1.0) if c.name == name else c for c in problem.classes)
    return replace(problem, classes=tuple(classes))


def _changes(problem: Problem) -> Iterator[Rule]:
    migration = problem.migration
    if migration is None:
        return
    if migration.max_changed_nodes is not None:
        yield Rule(
            topic=Topic.CHANGES,
            name="the limit on changes",
            freed=f"Any number of nodes added and removed instead of at most {migration.max_changed_nodes}",
            lifted=partial(_migrating, change=_any_number),
        )
    if migration.usd_per_added_node or migration.usd_per_removed_node:
        yield Rule(
            topic=Topic.CHANGES,
            subject="cost",
            name="what it costs to change the fleet that runs",
            freed="Nodes added and removed at no cost",
            lifted=partial(_migrating, change=_at_no_cost),
        )


def _any_number(migration: Migration) -> Migration:
    return replace(migration, max_changed_nodes=None)


def _at_no_cost(migration: Migration) -> Migration:
    return replace(migration, usd_per_added_node=Decimal(0), usd_per_removed_node=Decimal(0))


def _migrating(problem: Problem, *, change: Callable[[Migration], Migration]) -> Problem:
    return replace(problem, migration=problem.migration and change(problem.migration))


def _ramps(problem: Problem) -> Iterator[Rule]:
    """Those of all offers at once, apart for nodes added and removed."""
    for done, limits, change in (
        ("added", [o.max_added_nodes for o in problem.ramping], _added_freely),
        ("removed", [o.max_removed_nodes for o in problem.ramping], _removed_freely),
    ):
        told = sorted({most for most in limits if most is not None})
        if told:
            what = f"nodes of an offer {done} from one period to the next"
            yield Rule(
                topic=Topic.CHANGES,
                subject=f"{done} nodes",
                name=f"the limit on {what}",
                freed=f"Any number of {what} instead of at most {' or '.join(map(str, told))}",
                lifted=partial(_ramping, change=change),
            )


def _added_freely(offer: PricedOffer) -> PricedOffer:
    return replace(offer, max_added_nodes=None)


def _removed_freely(offer: PricedOffer) -> PricedOffer:
    return replace(offer, max_removed_nodes=None)


def _ramping(problem: Problem, *, change: Callable[[PricedOffer], PricedOffer]) -> Problem:
    return replace(problem, offers=tuple(map(change, problem.offers)))


def _deadlines(problem: Problem) -> Iterator[Rule]:
    hours = sum(stretch.hours for stretch in problem.stretches)
    for demand in (c for c in problem.classes if deferrable(problem, c)):
        deadline = demand.deadline_hours or 0.0
        if deadline < hours:
            yield Rule(
                topic=Topic.DEADLINE,
                subject=demand.name,
                name=f"the deadline of {demand.name}",
                freed=f"{demand.name} waiting up to {hours:g} hours instead of {deadline:g}",
                lifted=partial(waiting, name=demand.name, hours=hours),
            )


def _service(service: Service) -> Iterator[Rule]:
    for what, most, change in (
        ("requests", service.max_requests_per_second, _any_requests),
        ("tokens", service.max_tokens_per_second, _any_tokens),
    ):
        if most is not None:
            yield Rule(
                topic=Topic.SERVICE,
                subject=f"{service.id} {what}",
                name=f"the limit on {what} of {service.id}",
                freed=f"Any number of {what} to {service.id} instead of {most:.4g} per second",
                lifted=partial(_serving, service=service.id, change=change),
            )


def _any_requests(service: Service) -> Service:
    return replace(service, max_requests_per_second=None)


def _any_tokens(service: Service) -> Service:
    return replace(service, max_tokens_per_second=None)


def _serving(problem: Problem, *, service: str, change: Callable[[Service], Service]) -> Problem:
    services = (change(one) if one.id == service else one for one in problem.services)
    return replace(problem, services=tuple(services))


def _link(link: Link) -> Rule:
    where = f"from {link.source} to {link.target}"
    return Rule(
        topic=Topic.LINK,
        subject=" to ".join(link.key),
        name=f"the link {where}",
        freed=f"A link {where} without a limit instead of {link.gb_per_second:g} GB per second",
        lifted=partial(_linked_by_any, key=link.key),
    )


def _linked_by_any(problem: Problem, *, key: tuple[str, str]) -> Problem:
    links = (replace(one, gb_per_second=None) if one.key == key else one for one in problem.links)
    return replace(problem, links=tuple(links))


def _reserved(problem: Problem, offers: Collection[str]) -> Iterator[Rule]:
    """What is paid for anyway, and lots."""
    for offer in problem.offers:
        if offer.committed_nodes:
            nodes = f"for {offer.committed_nodes} nodes of {offer.id}, used or not"
            yield Rule(
                topic=Topic.COMMITMENT,
                subject=offer.id,
                name=f"paying {nodes},",
                freed=f"Not to pay {nodes},",
                lifted=partial(_sold, offer=offer.id, change=_uncommitted),
                offers=frozenset((offer.id,)),
            )
        if offer.lot_nodes > 1 and offer.id in offers:
            yield Rule(
                topic=Topic.LOT,
                subject=offer.id,
                name=f"that {offer.id} comes in lots of {offer.lot_nodes} nodes",
                freed=f"Nodes of {offer.id} one by one instead of in lots of {offer.lot_nodes}",
                lifted=partial(_sold, offer=offer.id, change=_one_by_one),
                offers=frozenset((offer.id,)),
            )


def _uncommitted(offer: PricedOffer) -> PricedOffer:
    return replace(offer, committed_nodes=0)


def _one_by_one(offer: PricedOffer) -> PricedOffer:
    return replace(offer, lot_nodes=1)


def _sold(problem: Problem, *, offer: str, change: Callable[[PricedOffer], PricedOffer]) -> Problem:
    return replace(problem, offers=tuple(change(o) if o.id == offer else o for o in problem.offers))


def _budget_of_a_period(problem: Problem) -> Iterator[Rule]:
    """Where a fleet is paid for over periods, or changes are, the cheapest may not be the one that keeps to a budget."""
    budget, over_time = problem.budget_usd_per_hour, problem.periods or problem.migration is not None
    if budget is not None and over_time and problem.mode is Mode.MIN_COST:
        yield Rule(
            topic=Topic.BUDGET,
            name="the budget",
            freed=f"Any spending instead of {dollars(budget)} per hour at most",
            lifted=partial(replace, budget_usd_per_hour=None),
        )


def _pools_cost(problem: Problem) -> Iterator[Rule]:
    if problem.usd_per_pool_hour:
        yield Rule(
            topic=Topic.POOLS,
            subject="cost",
            name="what pools cost besides their nodes",
            freed=f"Pools at no cost but their nodes' instead of {dollars(problem.usd_per_pool_hour)} per hour each",
            lifted=partial(replace, usd_per_pool_hour=Decimal(0)),
        )
