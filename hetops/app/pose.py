"""A spec's question as the solver gets it: columns, prices, stocks and limits. Wires; solves nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hetops.app.candidates import Asked, Candidates, candidates
from hetops.app.naming import Place
from hetops.app.no_fleet import nothing_to_choose
from hetops.app.overflow import Overflow, overflow, priced_services
from hetops.app.periods import over_the_day
from hetops.app.quality import kept_by
from hetops.app.roles import PART_OF, formats_unbeaten, with_roles
from hetops.app.sharing import sharing
from hetops.app.shedding import may_be_shed
from hetops.app.speeds import table_of, with_targets
from hetops.app.terms import (
    interruptions,
    loss_rules,
    losses,
    migration,
    priced,
    share_limits,
    share_rules,
    standing_columns,
)
from hetops.app.ways import Ways, ways_of
from hetops.domain.configuration import Configuration, Role
from hetops.domain.model import Precision
from hetops.domain.offer import Offer
from hetops.domain.performance import PerformanceRow
from hetops.domain.workload import WorkloadClass
from hetops.errors import SpecError
from hetops.performance.table import PerformanceTable, best_of_each
from hetops.solver.problem import Column, Demand, Problem, QuotaGroup
from hetops.solver.reach import LEAST, beyond_reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Posed:
    """A spec's question as the solver gets it, and what is needed to read the answer."""

    candidates: Candidates
    problem: Problem
    table: PerformanceTable
    configurations: Mapping[str, Configuration]
    offers: Mapping[str, Offer]
    overflow: tuple[Overflow, ...] = ()
    """Services of the spec, those too that may serve nothing."""
    ways: Ways = field(default_factory=Ways)

    @property
    def places(self) -> tuple[Place, ...]:
        """All that can serve, as rules speak of it."""
        return (*self.offers.values(), *(one.service for one in self.overflow if one.classes))

    def row(self, key: tuple[str, str], of: WorkloadClass) -> PerformanceRow:
        """What a replica of an offer and configuration does for a class, from where the offer lies."""
        offer, configuration = key
        return self.table.row(configuration, of.name, self.ways.round_trip_seconds(of, offer))

    def loosened(self, factor: float) -> Problem:
        """The problem with every latency target multiplied by a factor."""
        return _pose(self.candidates, factor).problem


def pose(asked: Asked) -> Posed:
    """The spec's question, not yet answered.

    Raises:
        HetopsError: the spec, its trace or a name in it is wrong.
        InfeasibleError: the rules leave no offer, nothing fits, or nothing is fast enough.
    """
    return pose_of(candidates(asked))


def pose_of(found: Candidates) -> Posed:
    """The question what to choose of the candidates; errors as `pose`."""
    return _pose(found, 1.0)


def _pose(c: Candidates, target_factor: float) -> Posed:
    c = with_roles(c)
    classes = tuple(with_targets(one, target_factor) for one in c.workload.classes)
    ways = ways_of(c)
    table = table_of(c, classes, ways)
    kept = _kept(c, table)
    columns = tuple(_columns(c, kept, table, classes, ways))
    services = overflow(c, classes, ways)
    if not columns and not any(one.classes for one in services):
        raise nothing_to_choose(c, table, services)
    columns = (*columns, *standing_columns(c, columns))
    offers = _offers(c, {column.offer for column in columns})
    return Posed(
        candidates=c,
        problem=_sound(c, classes, columns, offers.values(), services),
        table=table,
        configurations={one.id: one for one in kept},
        offers=offers,
        overflow=services,
        ways=ways,
    )


def _sound(
    c: Candidates,
    classes: Sequence[WorkloadClass],
    columns: tuple[Column, ...],
    offers: Iterable[Offer],
    services: tuple[Overflow, ...],
) -> Problem:
    """The question itself: what the spec says may each be allowed, and together lead to what nobody can reckon with."""
    try:
        problem = over_the_day(c, _problem(c, classes, columns, offers, services))
    except ValueError as fault:
        raise SpecError(f"what the spec says makes no sound question: {fault}") from fault
    if faults := tuple(beyond_reach(problem)):
        told = tuple(fault.removeprefix(".") for fault in faults)
        raise SpecError(
            f"what the spec says makes no sound question: {told[0]}",
            details=told[1:8],
            hint="`hetops schema problem` says what these are made of: rates, prices, hours and sizes of the spec",
        )
    return problem


def _kept(c: Candidates, table: PerformanceTable) -> tuple[Configuration, ...]:
    """The configurations that are worth offering to the solver: the best ones of each model, and those that run already.

    Where a mean quality is asked for, the best of each precision: what is slower may be what makes up for another. Of those that
    prefill, and that decode, alone the best of each KV format.
    """
    averaged = any(floor.mean is not None for floor in c.floors)
    kinds: dict[tuple[str, Precision | None], list[Configuration]] = {}
    for one in c.enumeration.configurations:
        kinds.setdefault((one.model, one.weights if averaged else None), []).append(one)
    best = tuple(
        one for kind in kinds.values() for group in _alike(kind, table) for one in best_of_each(group, table)
    )
    runs = {pool.configuration.id for pool in c.held.running.pools} if c.held.running else set()
    return (*best, *(one for one in c.enumeration.configurations if one.id in runs and one not in best))


def _alike(kind: Sequence[Configuration], table: PerformanceTable) -> Iterator[tuple[Configuration, ...]]:
    """Configurations of which one can take another's place: those of whole requests, and each role of each KV format."""
    yield tuple(one for one in kind if one.role is Role.MIXED)
    for of in formats_unbeaten([one for one in kind if one.role is not Role.MIXED], table):
        yield from (tuple(one for one in of if one.role is role) for role in (Role.PREFILL, Role.DECODE))


def _offers(c: Candidates, with_columns: Collection[str]) -> dict[str, Offer]:
    """The offers of the question by their ids: with columns, paid for anyway, or running though nobody offers them now."""
    gone = {pool.offer.id: pool.offer for pool in c.held.running.pools} if c.held.running else {}
    chosen = {o.id: o for o in c.gathered.selection.offers if o.id in with_columns}
    return {**gone, **chosen, **{one.offer.id: one.offer for one in c.held.reserved}}


def _columns(
    c: Candidates,
    configurations: Sequence[Configuration],
    table: PerformanceTable,
    classes: Sequence[WorkloadClass],
    ways: Ways,
) -> Iterator[Column]:
    """Every configuration on every offer of its GPU type, as many replicas as a node, or a part of one, has room for."""
    shared = sharing(c)
    offers = c.gathered.selection.offers
    for offer in (o for o in offers if interruptions(c.spec.policy, o).lost_share < 1):
        far = {k.name: ways.round_trip_seconds(k, offer.id) for k in classes}
        egress = {k.name: usd for k in classes if (usd := ways.usd_per_request(k, offer.id))}
        for one in configurations:
            room = shared.room(offer, one)
            if room.replicas == 0:
                continue
            served = c.served(one)
            rates = {
                k.name: table.row(one.id, k.name, far[k.name]).planned_requests_per_second * room.replicas
                for k in served.of_own(classes)
            }
            yield Column(
                offer=offer.id,
                configuration=one.id,
                replicas_per_node=room.replicas,
                requests_per_second={name: rate for name, rate in rates.items() if rate >= LEAST},
                # Answers come from what decodes.
                usd_per_request={
                    name: usd
                    for name, usd in egress.items()
                    if one.role is not Role.PREFILL and rates.get(name, 0) >= LEAST
                },
                parts_per_node=room.parts,
                model=one.model if len(c.models) > 1 else "",
                quality=kept_by(served.rules.floors, one.weights),
                role=PART_OF[one.role],
                kv_format="" if one.role is Role.MIXED else one.kv_format,
            )


def _problem(
    c: Candidates,
    classes: Sequence[WorkloadClass],
    columns: tuple[Column, ...],
    offers: Iterable[Offer],
    services: tuple[Overflow, ...],
) -> Problem:
    offers, policy = tuple(offers), c.spec.policy
    places: tuple[Place, ...] = (*offers, *(one.service for one in services if one.classes))
    configurations = dict.fromkeys(column.configuration for column in columns)
    means = {floor.workload_class: floor.mean for floor in c.floors}
    return Problem(
        offers=tuple(priced(c, offer) for offer in offers),
        configurations=tuple(configurations),
        classes=tuple(
            Demand(
                name=one.name,
                requests_per_second=one.requests_per_second,
                model=one.model,
                mean_quality=means.get(one.name),
                shed_usd_per_request=may.usd_per_request,
                max_shed_share=may.max_share,
            )
            for one in classes
            for may in (may_be_shed(c.spec, one),)
        ),
        columns=columns,
        quota_groups=tuple(_quota_groups(offers)),
        budget_usd_per_hour=c.spec.budget.limit_usd_per_hour,
        provider_budgets_usd_per_hour=_provider_budgets(offers),
        headroom=policy.headroom,
        max_pools=policy.max_pools,
        assumed_max_nodes=policy.max_nodes_per_offer,
        gap=policy.gap,
        services=tuple(priced_services(services, policy.headroom)),
        share_limits=share_limits(share_rules(c, places)),
        losses=losses(loss_rules(c, places)),
        migration=migration(c, columns),
    )


def _quota_groups(offers: Iterable[Offer]) -> Iterator[QuotaGroup]:
    """One group a name; where its offers tell different amounts, the least counts."""
    left: dict[str, tuple[float, str]] = {}
    for share in (share for offer in offers for share in offer.limits.quotas):
        least, unit = left.get(share.group, (share.left, share.unit))
        left[share.group] = (min(share.left, least), unit)
    for name, (amount, unit) in left.items():
        yield QuotaGroup(id=name, limit=Decimal(repr(amount)), unit=unit)


def _provider_budgets(offers: Iterable[Offer]) -> dict[str, Decimal]:
    budgets: dict[str, Decimal] = {}
    for offer in offers:
        limit = offer.limits.spend_usd_per_hour
        if limit is not None:
            budgets[offer.provider] = min(limit, budgets.get(offer.provider, limit))
    return budgets
