"""Checks a plan as it was handed over, in exact arithmetic and out of nothing but the plan: it may have been edited.

Shares no code with `formulate` nor with how a plan is made. Proves that the plan is sound and as it was certified; that
no other fleet is cheaper rests on the bound it carries. It guards against mistakes: whoever makes plans can seal them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hetops.domain import codec
from hetops.domain.day import DayCertificate
from hetops.domain.percent import percent
from hetops.domain.plan import Certificate, ClassShare, Plan, PlanLimits, PlannedPool, Shed
from hetops.solver.certify import TOLERANCE, Violation, relative_gap
from hetops.solver.recheck.network import broken_network, egress_to, round_trip
from hetops.solver.recheck.roles import broken_handovers
from hetops.solver.recheck.services import broken_services
from hetops.solver.recheck.terms import (
    broken_losses,
    broken_migration,
    broken_rentals,
    broken_shares,
    offers_of,
    rented_nodes,
    usable,
)
from hetops.solver.terms import exact

_STEP = Fraction(1, 10**6)
"""What requests count for is stated in millionths of a dollar."""


def seal(plan: Plan) -> Plan:
    """The plan with the digest of its contents."""
    return replace(plan, certificate=replace(plan.certificate, plan_digest=_digest(plan)))


def recheck(plan: Plan) -> tuple[Violation, ...]:
    """Every rule that the plan breaks, the most telling first; empty for one that is as it was certified."""
    limits = plan.certificate.limits
    if limits is None:
        message = f"a plan of hetops {plan.hetops_version} carries no limits to be checked against"
        return (Violation(rule="certificate", subject="limits", message=message),)
    strangers = tuple(_impossible_pools(plan))
    if strangers:
        return strangers
    return (
        *_unserved_classes(plan),
        *_overloaded_pools(plan, limits),
        *broken_handovers(plan),
        *broken_network(plan),
        *broken_services(plan, limits),
        *_broken_limits(plan, limits),
        *_broken_budgets(plan, limits),
        *_wrong_sheds(plan),
        *broken_shares(plan, limits),
        *broken_losses(plan, limits, _replica_rate),
        *broken_rentals(plan),
        *broken_migration(plan),
        *_wrong_totals(plan, limits),
        *_changed_contents(plan),
    )


def _impossible_pools(plan: Plan) -> Iterator[Violation]:
    for name, times in Counter(plan.destinations).items():
        if times > 1:
            yield Violation(rule="pools", subject=name, message="appears twice")
    for pool in plan.pools:
        if not _fits(pool):
            parts = pool.parts_per_node
            node = "a node" if parts == 1 else f"one of {parts} parts of a node"
            also = "".join(f" with {other.nodes} of {other.offer.id}" for other in pool.also)
            message = f"{pool.replicas_per_node} replicas of {pool.configuration.id} do not fit on {node} of {pool.offer.id}{also}"
            yield Violation(rule="pools", subject=pool.name, message=message)
    known = set(plan.destinations)
    models = {pool.name: pool.configuration.model for pool in plan.pools}
    keeping_off = {pool.name: pool.apart_from for pool in plan.pools}
    asked = {one.name: one for one in plan.workload.classes}
    for share in plan.shares:
        model, of = models.get(share.pool), asked.get(share.workload_class)
        if model and of and not of.asks_for(model):
            message = f"asks for {of.model}, the pool serves {model}"
            yield Violation(rule="pools", subject=_where(share), message=message)
        if share.workload_class in keeping_off.get(share.pool, ()):
            message = "keeps off this pool, where it would hold others up"
            yield Violation(rule="pools", subject=_where(share), message=message)
        if share.pool not in known:
            message = "serves a class and is no pool, nor a service"
            yield Violation(rule="pools", subject=share.pool, message=message)


def _fits(pool: PlannedPool) -> bool:
    """Whether a node of the pool, or its part of one, has room for its replicas; of a slice a replica has one."""
    offer, configuration, parts = pool.offer, pool.configuration, pool.parts_per_node
    if pool.also or configuration.stages:
        return _holds_stages(pool)
    mig, gpus = configuration.mig, configuration.gpu_count
    if mig is not None:
        named = (configuration.gpu, mig.of) == (mig.name, offer.gpu)
        return named and parts == offer.gpu_count * mig.parts and pool.replicas_per_node == gpus == 1
    room = offer.gpu_count // parts // gpus
    return configuration.gpu == offer.gpu and pool.replicas_per_node <= room and offer.gpu_count % parts == 0


def _holds_stages(pool: PlannedPool) -> bool:
    """Whether the nodes of a pool, all in one place, have room for all stages of its replicas, each within a node, and no other
    GPUs; the first stage is on the pool's own offer. Of a GPU type all stages are alike."""
    configuration = pool.configuration
    stages = Counter(configuration.stages)
    gpus = {stage.gpu for stage in stages}
    room = {
        stage: sum(
            offer.gpu_count // stage.tensor_parallel * n for offer, n in pool.takes if offer.gpu == stage.gpu
        )
        for stage in stages
    }
    return (
        len(gpus) == len(stages)
        and {offer.gpu for offer in pool.offers} == gpus
        and len({offer.place for offer in pool.offers}) == 1
        and pool.offer.gpu == configuration.gpu
        and all(room[stage] >= count * pool.replicas for stage, count in stages.items())
    )


def _unserved_classes(plan: Plan) -> Iterator[Violation]:
    rates = {one.name: Fraction(one.requests_per_second) for one in plan.workload.classes}
    totals: defaultdict[str, Fraction] = defaultdict(Fraction)
    for share in plan.shares:
        totals[share.workload_class] += exact(share.share)
        due = rates.get(share.workload_class, Fraction(0)) * exact(share.share)
        if share.share <= 0 or abs(exact(share.requests_per_second) - due) > due * TOLERANCE:
            message = f"{share.requests_per_second} requests per second are not a share of {share.share}"
            yield Violation(rule="demand", subject=_where(share), message=message)
    pairs = Counter((share.workload_class, share.pool) for share in plan.shares)
    for (name, pool), times in pairs.items():
        if times > 1:
            yield Violation(rule="demand", subject=f"{name} on {pool}", message="appears twice")
    for name in {**rates, **totals}:
        wanted = int(rates.get(name, 0) > 0)
        if totals[name] != wanted:
            message = f"shares add up to {float(totals[name])}, not {wanted}"
            yield Violation(rule="demand", subject=name, message=message)


def _wrong_sheds(plan: Plan) -> Iterator[Violation]:
    """What is turned away is its share of what arrives, no more than may be, and counts for what it costs."""
    rates = {one.name: Fraction(one.requests_per_second) for one in plan.workload.classes}
    told = Counter(one.workload_class for one in plan.shed)
    for one in plan.shed:
        known = one.workload_class in rates and told[one.workload_class] == 1
        rate = rates.get(one.workload_class, Fraction(0)) + exact(one.requests_per_second)
        for message in faults_of_shed(one, rate) if known else ("is no class, or is told twice",):
            yield Violation(rule="shedding", subject=one.workload_class, message=message)


def faults_of_shed(one: Shed, arriving: Fraction) -> Iterator[str]:
    """What is wrong with what is turned away of a class, of which so much arrives."""
    rate, most = arriving * exact(one.share), exact(one.max_share)
    usd = exact(one.requests_per_second) * Fraction(one.usd_per_request) * 3600
    if not 0 < exact(one.share) <= most + TOLERANCE * (most < 1) or most > 1:
        yield f"{percent(one.share, 4)} is turned away, at most {percent(one.max_share, 2)} may be"
    if abs(rate - exact(one.requests_per_second)) > arriving * TOLERANCE:
        yield f"{one.requests_per_second} requests per second are not a share of {one.share}"
    if abs(usd - Fraction(one.usd_per_hour)) > _STEP + usd * TOLERANCE:
        yield f"says {one.usd_per_hour} usd_per_hour, counts for {float(usd):.10g}"


def _overloaded_pools(plan: Plan, limits: PlanLimits) -> Iterator[Violation]:
    loads = {pool.name: Fraction(0) for pool in plan.pools}
    rates = {one.name: Fraction(one.requests_per_second) for one in plan.workload.classes}
    for share in (s for s in plan.loads if s.pool in loads):
        replica = _replica_rate(plan, share.pool, share.workload_class)
        if replica <= 0:
            message = "no row of performance says that the pool can serve the class"
            yield Violation(rule="performance", subject=_where(share), message=message)
            continue
        loads[share.pool] += rates.get(share.workload_class, Fraction(0)) * exact(share.share) / replica
    for pool in plan.pools:
        yield from _load_of(pool, loads[pool.name] / pool.replicas, plan, limits)


def _load_of(pool: PlannedPool, used: Fraction, plan: Plan, limits: PlanLimits) -> Iterator[Violation]:
    most = usable(pool, limits)
    if used > most * (1 + TOLERANCE):
        message = f"uses {percent(float(used), 4)} of its capacity, may use {percent(float(most), 2)}"
        yield Violation(rule="capacity", subject=pool.name, message=message)
    said = plan.certificate.utilisation.get(pool.name)
    if said is None or abs(exact(said) - used) > TOLERANCE:
        message = f"was certified to use {said} of its capacity, uses {float(used)}"
        yield Violation(rule="capacity", subject=pool.name, message=message)


def _replica_rate(plan: Plan, pool: str, workload_class: str) -> Fraction:
    """What one replica may be planned with, by the plan's own row; 0 where there is none, or more than one."""
    key = (plan.pool(pool).configuration.id, workload_class, round_trip(plan, workload_class, pool))
    rows = [
        row
        for row in plan.performance
        if (row.configuration, row.workload_class, row.round_trip_seconds) == key
    ]
    if len(rows) != 1:
        return Fraction(0)
    return exact(rows[0].requests_per_second) * (1 - exact(rows[0].evidence.margin))


def _broken_limits(plan: Plan, limits: PlanLimits) -> Iterator[Violation]:
    rented = rented_nodes(plan)
    taken: defaultdict[str, Fraction] = defaultdict(Fraction)
    offers = offers_of(plan)
    for name, nodes in rented.items():
        for share in offers[name].limits.quotas:
            taken[share.group] += exact(share.per_node) * nodes
    for name, nodes in rented.items():
        stock = offers[name].limits.max_count
        most = limits.assumed_max_nodes if stock is None else stock
        if nodes > most:
            yield Violation(rule="stock", subject=name, message=f"{nodes} nodes rented, {most} to be had")
    for group, most_taken in limits.quotas.items():
        if taken[group] > Fraction(most_taken):
            message = f"takes {float(taken[group]):g}, the limit is {most_taken}"
            yield Violation(rule="quota", subject=group, message=message)
    if limits.max_pools is not None and len(plan.pools) > limits.max_pools:
        message = f"{len(plan.pools)} pools, at most {limits.max_pools} allowed"
        yield Violation(rule="number of pools", subject="max_pools", message=message)


def _broken_budgets(plan: Plan, limits: PlanLimits) -> Iterator[Violation]:
    rented, offers = rented_nodes(plan), offers_of(plan)
    budget = limits.budget_usd_per_hour
    if budget is not None and plan.usd_per_hour > _with_rounding(budget, plan):
        message = f"costs {plan.usd_per_hour} usd_per_hour, the budget is {budget}"
        yield Violation(rule="budget", subject="budget_usd_per_hour", message=message)
    for provider, most in limits.provider_budgets_usd_per_hour.items():
        paid = (
            n * offers[name].total_usd_per_hour
            for name, n in rented.items()
            if offers[name].provider == provider
        )
        cost = sum(paid, egress_to(plan, provider))
        if cost > _with_rounding(most, plan):
            message = f"costs {cost} usd_per_hour, the budget is {most}"
            yield Violation(rule="provider budgets", subject=provider, message=message)


def _with_rounding(budget: Decimal, plan: Plan) -> Fraction:
    """A budget; where requests are paid for, with what rounding their cost may add."""
    paid = plan.egress_usd_per_hour or any(one.usd_per_hour for one in plan.services)
    return Fraction(budget) * (1 + TOLERANCE * bool(paid))


def _wrong_totals(plan: Plan, limits: PlanLimits) -> Iterator[Violation]:
    certificate = plan.certificate
    cost = plan.counted_usd_per_hour + (plan.migration.usd_per_hour if plan.migration else 0)
    if certificate.objective != float(cost):
        message = f"was certified at {certificate.objective} usd_per_hour, costs {cost}"
        yield Violation(rule="cost", subject="objective", message=message)
    yield from wrong_bounds(certificate)
    if not certificate.problem_digest or not 0 <= limits.headroom < 1:
        yield Violation(rule="certificate", subject="problem", message="names no problem that it answers")


def wrong_bounds(certificate: Certificate | DayCertificate) -> Iterator[Violation]:
    """Where a certificate's bound lies above its cost, or its gap is another than theirs."""
    if certificate.bound > certificate.objective * (1 + float(TOLERANCE)):
        message = f"the bound {certificate.bound} is above the cost {certificate.objective}"
        yield Violation(rule="bounds", subject="bound", message=message)
    gap = relative_gap(certificate.objective, certificate.bound)
    if abs(gap - certificate.gap) > float(TOLERANCE):
        yield Violation(rule="bounds", subject="gap", message=f"says {certificate.gap}, is {gap}")


def _changed_contents(plan: Plan) -> Iterator[Violation]:
    if plan.certificate.plan_digest != _digest(plan):
        message = f"the plan is not what was certified (made by hetops {plan.hetops_version})"
        yield Violation(rule="contents", subject="plan_digest", message=message)


def _digest(plan: Plan) -> str:
    """SHA-256 of the plan, but for the digest itself."""
    return codec.digest(replace(plan, certificate=replace(plan.certificate, plan_digest="")))


def _where(share: ClassShare) -> str:
    return f"{share.workload_class} on {share.pool}"
