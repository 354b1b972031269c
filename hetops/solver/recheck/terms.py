"""Checks what a plan promises beyond price and stock, out of nothing but the plan: spread, losses, rentals, changes.

Shares no code with how rules become rows, nor with how a plan is made of an answer.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction

from hetops.domain.configuration import Role
from hetops.domain.offer import Market, Offer, Trait
from hetops.domain.parts import misfit
from hetops.domain.percent import percent
from hetops.domain.plan import ClassShare, Plan, PlanLimits, PlannedPool
from hetops.domain.policy import LossCover, LossRule, Migration, Rental, ShareRule
from hetops.solver.certify import TOLERANCE, Violation
from hetops.solver.recheck.services import overtaxed
from hetops.solver.terms import exact

RateOf = Callable[[Plan, str, str], Fraction]
"""Requests per second that one replica of a pool may be planned with of a class; 0 where it cannot serve it."""

_WHOLE = (Market.RESERVED, Market.CAPACITY_BLOCK)
"""Markets whose nodes are paid for as a whole."""


def usable(pool: PlannedPool, limits: PlanLimits) -> Fraction:
    """The share of a pool's capacity that counts: less headroom, less what interruptions take."""
    lost = exact(pool.interruptions_per_hour) * exact(pool.recovery_minutes) / 60
    return (1 - exact(limits.headroom)) * (1 - lost)


def broken_shares(plan: Plan, limits: PlanLimits) -> Iterator[Violation]:
    """Every class is spread as the rules say."""
    for rule in limits.shares:
        for values in _values(rule, plan):
            yield from _outside(rule, values, values_of(plan, rule.trait), plan)


def _values(rule: ShareRule | LossRule, plan: Plan) -> tuple[tuple[str, ...], ...]:
    """The groups of values that a rule speaks of: its own together, or each that the plan's places have."""
    if rule.values:
        return (rule.values,)
    return tuple((value,) for value in sorted(set().union(*values_of(plan, rule.trait).values())))


def values_of(plan: Plan, trait: Trait) -> dict[str, frozenset[str]]:
    """What each pool has of a trait, of all that it stands on, and each service with a share; a service that has none of it is
    left out."""
    served = {share.pool for share in plan.shares}
    services = {s.name: s.service.value(trait) for s in plan.services if s.name in served}
    pools = {pool.name: frozenset(offer.value(trait) for offer in pool.offers) for pool in plan.pools}
    return pools | {name: frozenset({value}) for name, value in services.items() if value}


def _outside(
    rule: ShareRule, values: tuple[str, ...], own: Mapping[str, frozenset[str]], plan: Plan
) -> Iterator[Violation]:
    """At most so much is on what has any of the values, at least so much on what has no other."""
    touched = {name for name, of in own.items() if not of.isdisjoint(values)}
    within = {name for name in touched if own[name].issubset(values)}
    for shares in dict.fromkeys((plan.shares, plan.answers)):
        most, least = _served_by(shares, touched), _served_by(shares, within)
        yield from _outside_of(rule, values, (least, most), plan)


def _served_by(shares: Iterable[ClassShare], within: set[str]) -> Mapping[str, Fraction]:
    served: defaultdict[str, Fraction] = defaultdict(Fraction)
    for share in shares:
        served[share.workload_class] += exact(share.share) * (share.pool in within)
    return served


def _outside_of(
    rule: ShareRule, values: tuple[str, ...], served: tuple[Mapping[str, Fraction], ...], plan: Plan
) -> Iterator[Violation]:
    """`served` is what lies on nothing else, and what lies on any of the values."""
    asked = [c.name for c in plan.workload.classes if c.requests_per_second > 0]
    for name in (n for n in asked if not rule.classes or n in rule.classes):
        least, most = (of[name] for of in served)
        too_little, too_much = (
            least < exact(rule.at_least) - TOLERANCE,
            most > exact(rule.at_most) + TOLERANCE,
        )
        if too_little or too_much:
            message = f"{percent(float(least if too_little else most), 2)} of {name} on {' or '.join(values)}, must be {percent(rule.at_least, 2)} to {percent(rule.at_most, 2)}"
            yield Violation(rule="share limits", subject=rule.id, message=message)


def broken_losses(plan: Plan, limits: PlanLimits, rate_of: RateOf) -> Iterator[Violation]:
    """Whatever may fail, the rest can serve what is promised."""
    covers = Counter((cover.rule, cover.lost) for cover in plan.covers)
    for rule in limits.losses:
        for values in _values(rule, plan):
            lost = [of for of in values_of(plan, rule.trait).values() if not of.isdisjoint(values)]
            where = f"{rule.id}: {' or '.join(values)}"
            if lost and covers[rule.id, values] != 1:
                message = f"{covers[rule.id, values]} ways to serve without it, must be one"
                yield Violation(rule="losses", subject=where, message=message)
    rules = {rule.id: rule for rule in limits.losses}
    for cover in plan.covers:
        if cover.rule in rules:
            yield from _uncovered(plan, limits, cover, rules[cover.rule], rate_of)
        else:
            yield Violation(rule="losses", subject=cover.rule, message="is no rule of the plan")


def _uncovered(
    plan: Plan, limits: PlanLimits, cover: LossCover, rule: LossRule, rate_of: RateOf
) -> Iterator[Violation]:
    where = f"{rule.id}: {' or '.join(cover.lost)}"
    traits = values_of(plan, rule.trait)
    left = {p.name: p for p in plan.pools if traits[p.name].isdisjoint(cover.lost)}
    rates = {c.name: Fraction(c.requests_per_second) for c in plan.workload.classes}
    services = {s.name: s for s in plan.services if s.service.value(rule.trait) not in cover.lost}
    served: defaultdict[str, Fraction] = defaultdict(Fraction)
    loads: defaultdict[str, Fraction] = defaultdict(Fraction)
    taken: defaultdict[str, dict[str, Fraction]] = defaultdict(dict)
    for share in cover.shares:
        service = services.get(share.pool)
        replica = rate_of(plan, share.pool, share.workload_class) if share.pool in left else Fraction(0)
        able = share.workload_class in service.serves if service else replica > 0
        if not able or share.share < 0:
            message = f"{share.workload_class} cannot be served by {share.pool} then"
            yield Violation(rule="losses", subject=where, message=message)
            continue
        if not (share.pool in left and left[share.pool].configuration.role is Role.DECODE):
            served[share.workload_class] += exact(share.share)
        due = rates.get(share.workload_class, Fraction(0)) * exact(share.share)
        if service:
            taken[share.pool][share.workload_class] = due
        else:
            loads[share.pool] += due / replica
    for message in _torn(cover, left):
        yield Violation(rule="losses", subject=where, message=message)
    for name, of in taken.items():
        for fault in overtaxed(services[name], of, plan, limits):
            yield Violation(rule="losses", subject=where, message=f"{name} {fault} then")
    for name, rate in rates.items():
        if rate > 0 and served[name] < exact(rule.kept_share) - TOLERANCE:
            message = f"{percent(float(served[name]), 2)} of {name} is served, must be {percent(rule.kept_share, 2)}"
            yield Violation(rule="losses", subject=where, message=message)
    for name, pool in left.items():
        used, most = loads[name] / pool.replicas, usable(pool, limits)
        if used > most * (1 + TOLERANCE):
            message = f"{name} uses {percent(float(used), 4)} of its capacity then, may use {percent(float(most), 2)}"
            yield Violation(rule="losses", subject=where, message=message)


def _torn(cover: LossCover, left: Mapping[str, PlannedPool]) -> Iterator[str]:
    """Where prefill and decode are apart, what of a class is then prefilled, in one place and KV format, and not decoded there."""
    more: defaultdict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for share in cover.shares:
        role = left[share.pool].configuration.role if share.pool in left else Role.MIXED
        if role is not Role.MIXED:
            pool = left[share.pool]
            at = (share.workload_class, pool.offer.place, pool.configuration.kv_format)
            more[at] += exact(share.share) * (1 if role is Role.PREFILL else -1)
    for (name, where, _), rest in more.items():
        if abs(rest) > TOLERANCE:
            yield f"{percent(float(rest), 4)} of {name} more is prefilled than decoded in {where} then"


def broken_rentals(plan: Plan) -> Iterator[Violation]:
    """Nodes in use are among those paid for; blocks are whole, commitments are kept."""
    rentals = {rental.offer.id: rental for rental in plan.rentals}
    if len(rentals) < len(plan.rentals):
        yield Violation(rule="rentals", subject="rentals", message="an offer appears twice")
    for pool in plan.pools:
        for message in filter(None, (_unpaid(pool, one, rentals.get(one.id)) for one in pool.offers)):
            yield Violation(rule="rentals", subject=pool.name, message=message)
    for rental in plan.rentals:
        yield from _wrong_rental(plan, rental)


def _unpaid(pool: PlannedPool, offer: Offer, rental: Rental | None) -> str:
    """Why a pool's nodes of an offer are not among those that a rental pays for; nothing where they are, or need none."""
    if rental is not None:
        return "is of another offer than its rental" if offer != rental.offer else ""
    if offer.market in _WHOLE:
        return "its nodes are paid for as a whole, and nothing says how many"
    return "its nodes are shared, and nothing says how many are paid for" if pool.parts_per_node > 1 else ""


def _wrong_rental(plan: Plan, rental: Rental) -> Iterator[Violation]:
    parts = {p.parts_per_node for p in plan.pools if rental.offer.id in {o.id for o in p.offers}}
    wrong = (
        (misfit(parts) is not None, "rentals", "parts that do not fill a node together"),
        (plan.idle_nodes(rental) < 0, "rentals", "more nodes in use than paid for"),
        (
            rental.lot_nodes < 1 or rental.nodes % rental.lot_nodes > 0,
            "rentals",
            "not a whole number of blocks",
        ),
        (rental.nodes < rental.committed_nodes, "commitments", "fewer nodes than are paid for anyway"),
    )
    for broken, rule, message in wrong:
        if broken:
            told = f"{message}: {rental.nodes} nodes"
            yield Violation(rule=rule, subject=rental.offer.id, message=told)


def broken_migration(plan: Plan) -> Iterator[Violation]:
    """No more changes than allowed, and they count for what they cost."""
    terms = plan.migration
    if terms is None:
        return
    for pool in (p for p in plan.pools if terms.parts_per_node.get(p.name, 1) != p.parts_per_node):
        message = f"counts parts of {terms.parts_per_node.get(pool.name, 1)}, its nodes fall into {pool.parts_per_node}"
        yield Violation(rule="changes", subject=pool.name, message=message)
    added, removed = terms.added(plan.nodes), terms.removed(plan.nodes)
    if terms.max_changed_nodes is not None and added + removed > terms.max_changed_nodes:
        told = f"{float(added):g} nodes added and {float(removed):g} removed"
        message = f"{told}, at most {terms.max_changed_nodes} may change"
        yield Violation(rule="number of changes", subject="max_changed_nodes", message=message)
    due = _due(terms, added, removed)
    if abs(Fraction(terms.usd_per_hour) - due) > Fraction(2, 10**6) + due * TOLERANCE:
        message = f"says {terms.usd_per_hour} usd_per_hour, counts for {float(due):.10g}"
        yield Violation(rule="changes", subject="migration", message=message)


def _due(terms: Migration, added: Fraction, removed: Fraction) -> Fraction:
    once = added * Fraction(terms.usd_per_added_node) + removed * Fraction(terms.usd_per_removed_node)
    return once / exact(terms.horizon_hours)


def offers_of(plan: Plan) -> dict[str, Offer]:
    """The offers that the plan rents of, by their ids."""
    rented = {rental.offer.id: rental.offer for rental in plan.rentals}
    return rented | {offer.id: offer for pool in plan.pools for offer in pool.offers}


def rented_nodes(plan: Plan) -> Mapping[str, int]:
    """Nodes that are paid for, in use or idle, by offer."""
    taken: defaultdict[str, Fraction] = defaultdict(Fraction)
    for offer, nodes in (one for pool in plan.pools for one in pool.takes):
        taken[offer.id] += nodes
    rented = {name: math.ceil(nodes) for name, nodes in taken.items()}
    return {**rented, **{rental.offer.id: rental.nodes for rental in plan.rentals}}
