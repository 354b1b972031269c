"""What is wrong with a problem: numbers out of their range, names of nothing, terms that contradict each other.

Decides what a sound problem is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from hetops.domain.offer import Trait
from hetops.domain.parts import misfit
from hetops.solver.terms import Billing, Declared, Role, repeated, unknown

if TYPE_CHECKING:
    from hetops.solver.problem import Column, PricedOffer, Problem

MOST_IN_LOT = 10_000
"""Parts of nodes in all that is had of an offer at once: of one part in more the solver cannot tell that a lot is paid for."""


def faults(problem: Problem) -> Iterator[str]:
    """Each with the field that it is of."""
    yield from _faults_of_limits(problem)
    yield from _faults_of_offers(problem)
    yield from _faults_of_classes(problem)
    yield from _faults_of_columns(problem)
    yield from _faults_of_terms(problem)


def _faults_of_limits(problem: Problem) -> Iterator[str]:
    if not 0 <= problem.headroom < 1:
        yield f"headroom: {problem.headroom} must be at least 0 and below 1"
    if not 0 <= problem.gap < 1:
        yield f"gap: {problem.gap} must be at least 0 and below 1"
    if problem.max_pools is not None and problem.max_pools < 1:
        yield f"max_pools: {problem.max_pools} must be at least 1"
    if not _budget(problem.usd_per_pool_hour):
        yield f"usd_per_pool_hour: {problem.usd_per_pool_hour} must be a number from 0 to 1e15"
    if problem.assumed_max_nodes < 0:
        yield f"assumed_max_nodes: {problem.assumed_max_nodes} must be at least 0"
    for name in ("budget_usd_per_hour", "mean_budget_usd_per_hour"):
        budget: Decimal | None = getattr(problem, name)
        if budget is not None and not _budget(budget):
            yield f"{name}: {budget} must be a number from 0 to 1e15, or null for none"
    providers = {place.provider for place in problem.everywhere}
    for provider, usd in problem.provider_budgets_usd_per_hour.items():
        if not _budget(usd):
            yield f"provider_budgets_usd_per_hour[{provider}]: {usd} must be a number from 0 to 1e15"
        yield from unknown("provider", (provider,), providers, "provider_budgets_usd_per_hour")
    yield from repeated("quota group", (g.id for g in problem.quota_groups))
    for group in problem.quota_groups:
        if not _amount(group.limit):
            yield f"quota group {group.id!r}: limit {group.limit} must be a number of at least 0"


def _faults_of_offers(problem: Problem) -> Iterator[str]:
    if not problem.everywhere:
        yield "offers: at least one is needed, or a service"
    yield from repeated("offer", (o.id for o in problem.offers))
    groups = {group.id for group in problem.quota_groups}
    for offer in problem.offers:
        if not offer.usd_per_hour.is_finite() or offer.usd_per_hour <= 0:
            yield f"offer {offer.id!r}: usd_per_hour {offer.usd_per_hour} must be above 0 (0 means not sold)"
        if offer.max_nodes is not None and offer.max_nodes < 0:
            yield f"offer {offer.id!r}: max_nodes {offer.max_nodes} must be at least 0, or null where unknown"
        if offer.gpu_count < 1:
            yield f"offer {offer.id!r}: gpu_count {offer.gpu_count} must be at least 1"
        for group, amount in offer.quota_per_node.items():
            yield from unknown("quota group", (group,), groups, f"offer {offer.id!r}")
            if not _amount(amount):
                yield f"offer {offer.id!r}: quota_per_node[{group}] {amount} must be a number of at least 0"
        yield from (f"offer {offer.id!r}: {fault}" for fault in _faults_of_market(offer))


def _faults_of_market(offer: PricedOffer) -> Iterator[str]:
    for name in ("interruptions_per_hour", "recovery_hours"):
        if not _rate(getattr(offer, name)):
            yield f"{name} {getattr(offer, name)} must be a number of at least 0"
            return
    if offer.lost_share >= 1:
        yield f"interrupted {offer.interruptions_per_hour} times an hour for {offer.recovery_hours} h each, it never serves"
    if offer.lot_nodes < 1:
        yield f"lot_nodes {offer.lot_nodes} must be at least 1"
    for name in ("max_added_nodes", "max_removed_nodes"):
        most: int | None = getattr(offer, name)
        if most is not None and most < 0:
            yield f"{name} {most} must be at least 0, or null for any"
        elif most and most < offer.lot_nodes:
            yield f"{name} {most} are less than a lot, lot_nodes {offer.lot_nodes}: at least as many, or 0 for none"
    if offer.committed_nodes < 0 or (offer.committed_nodes and offer.billing is not Billing.RESERVED):
        yield f"committed_nodes {offer.committed_nodes} must be at least 0, and 0 where billing is not reserved"
    elif offer.max_nodes is not None and offer.committed_nodes > offer.max_nodes:
        yield f"committed_nodes {offer.committed_nodes} are more than max_nodes {offer.max_nodes}"


def _faults_of_classes(problem: Problem) -> Iterator[str]:
    yield from repeated("class", (c.name for c in problem.classes))
    for demand in problem.classes:
        if not _rate(demand.requests_per_second):
            yield f"class {demand.name!r}: requests_per_second {demand.requests_per_second} must be a number of at least 0"
        if demand.deadline_hours is not None and not _rate(demand.deadline_hours):
            yield f"class {demand.name!r}: deadline_hours {demand.deadline_hours} must be a number of at least 0"
        if not _rate(demand.kv_gb_per_request):
            yield f"class {demand.name!r}: kv_gb_per_request {demand.kv_gb_per_request} must be a number of at least 0"
        if demand.mean_quality is not None and not _rate(demand.mean_quality):
            yield f"class {demand.name!r}: mean_quality {demand.mean_quality} must be a share of at least 0, or null for none"
        usd = demand.shed_usd_per_request
        if usd is not None and not (_amount(usd) and usd > 0):
            yield f"class {demand.name!r}: shed_usd_per_request {usd} must be above 0, or null where all must be served"
        if not 0 <= demand.max_shed_share <= 1:
            yield f"class {demand.name!r}: max_shed_share {demand.max_shed_share} must be a share from 0 to 1"
    if not any(rate > 0 for stretch in problem.stretches for rate in stretch.rates.values()):
        yield "classes: at least one needs requests_per_second above 0"


def _faults_of_columns(problem: Problem) -> Iterator[str]:
    if not problem.columns and not problem.services:
        yield "columns: at least one is needed, or a service"
    lost = {o.id: o.lost_share for o in problem.offers}
    configurations = set(problem.configurations)
    classes, model_of = frozenset(c.name for c in problem.classes), {c.name: c.model for c in problem.classes}
    yield from repeated("configuration", problem.configurations)
    yield from repeated("column", (" on ".join(reversed(c.key)) for c in problem.columns))
    for column in problem.columns:
        where = f"column {column.configuration!r} on {column.offer!r}"
        yield from unknown("offer", (column.offer,), lost, where)
        yield from unknown("configuration", (column.configuration,), configurations, where)
        if column.replicas_per_node < 1:
            yield f"{where}: replicas_per_node {column.replicas_per_node} must be at least 1"
        yield from unknown("class", column.requests_per_second, classes, where)
        for name, rate in column.requests_per_second.items():
            if not 0 <= rate < math.inf:
                yield f"{where}: requests_per_second[{name}] {rate} must be a number of at least 0"
        yield from (f"{where}: {fault}" for fault in _faults_of_service(model_of, column))
        yield from (f"{where}: {fault}" for fault in _faults_of_also(lost, column))
    yield from _faults_of_parts(problem)


def _faults_of_also(lost: Mapping[str, Fraction], column: Column) -> Iterator[str]:
    """What is wrong with the nodes that go with those of a column; `lost` is the lost share of each offer."""
    if not column.also:
        return
    yield from unknown("offer", column.also, lost, "also")
    for offer, count in column.also.items():
        if count < 1:
            yield f"also[{offer}] {count} must be at least 1"
    if column.role is not Role.WHOLE:
        yield f"also: a column of role {column.role} stands on one offer, where its links begin or end"
    if column.parts_per_node >= 1 and column.offers <= lost.keys() and column.lost_share(lost) >= 1:
        yield "one of the nodes that it stands on is always interrupted: it never serves"


def _faults_of_service(model_of: Mapping[str, str], column: Column) -> Iterator[str]:
    """What is wrong with the prices, parts, quality and model of a column; what each class asks for."""
    yield from unknown("class", column.usd_per_request, model_of, "usd_per_request")
    yield from unknown("class", column.quality, model_of, "quality")
    for name, share in column.quality.items():
        if not _rate(share):
            yield f"quality[{name}] {share} must be a share of at least 0"
    for name, usd in column.usd_per_request.items():
        if not _amount(usd):
            yield f"usd_per_request[{name}] {usd} must be a number of at least 0"
    if not _rate(column.boot_seconds):
        yield f"boot_seconds {column.boot_seconds} must be a number of at least 0"
    for name, rate in column.requests_per_second.items() if column.model else ():
        asked = model_of.get(name, "")
        if rate > 0 and asked and asked != column.model:
            yield f"has a rate for {name}, which asks for {asked}, not {column.model}"
    if column.parts_per_node < 1:
        yield f"parts_per_node {column.parts_per_node} must be at least 1"


def _faults_of_parts(problem: Problem) -> Iterator[str]:
    """Parts of a node of which some would always be left over."""
    parts: dict[str, set[int]] = {}
    for column in (c for c in problem.columns if c.parts_per_node >= 1):
        for offer, nodes in column.takes.items():
            parts.setdefault(offer, set()).add(nodes.denominator)
            if nodes.numerator > 1 and nodes.denominator > 1:
                yield f"column {column.configuration!r} on {column.offer!r}: {nodes} of a node of {offer!r} is neither one even part of it nor whole nodes"
    lots = {offer.id: offer.lot_nodes for offer in problem.offers}
    for offer, counts in parts.items():
        most = max(counts) * lots.get(offer, 1)
        if most > MOST_IN_LOT:
            yield f"offer {offer!r}: nodes in lots of {lots.get(offer, 1)} and {max(counts)} parts each make {most} in a lot, more than {MOST_IN_LOT} that can be told from nothing"
        if unlike := misfit(counts):
            many, few = unlike
            yield f"offer {offer!r}: parts of a node, {many} and {few}, do not fill it together: one must be a multiple of the other, or both halves and thirds of one thing"


def _faults_of_terms(problem: Problem) -> Iterator[str]:
    declared = Declared(
        classes=frozenset(c.name for c in problem.classes),
        offers=frozenset(o.id for o in problem.offers),
        columns=frozenset(c.key for c in problem.columns),
        values={trait: problem.values(trait) for trait in Trait},
    )
    terms = (*problem.services, *problem.share_limits, *problem.losses, *problem.periods, *problem.links)
    for term in (*terms, *((problem.migration,) if problem.migration else ())):
        yield from term.strangers(declared)
    yield from repeated("service", (one.id for one in problem.services))
    yield from repeated("share limit", (one.id for one in problem.share_limits))
    yield from repeated("loss", (one.id for one in problem.losses))
    yield from repeated("period", (one.name for one in problem.periods))
    yield from repeated("link", (" to ".join(one.key) for one in problem.links))
    window = math.fsum(one.hours for one in problem.periods)
    for one in problem.periods:
        if one.hours < window * 1e-6:
            yield f"period {one.name!r}: hours {one.hours} are under a millionth of all {window}: leave it out"
    networks = {offer.id: offer.network for offer in problem.offers if offer.network}
    for end in sorted({end for link in problem.links for end in link.key} & networks.keys()):
        yield f"offer {end!r}: of a network, {networks[end]}, it hands over within that and has no links"


def _rate(value: float) -> bool:
    return 0 <= value < math.inf


def _amount(value: Decimal) -> bool:
    return value.is_finite() and value >= 0


def _budget(usd: Decimal) -> bool:
    """Whether it may be reckoned with: beyond, a Decimal's 28 digits hold no cent of it."""
    return _amount(usd) and usd <= Decimal("1e15")
