"""A spec's question as the solver gets it: columns, prices, stocks and limits. Wires; solves nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from hetops.app.candidates import Asked, Candidates, candidates
from hetops.app.laid import Laid, laid_out
from hetops.app.naming import Place
from hetops.app.no_fleet import nothing_to_choose
from hetops.app.overflow import Overflow, overflow, priced_services
from hetops.app.periods import boot_seconds, over_the_day
from hetops.app.quality import kept_by
from hetops.app.roles import PART_OF, with_roles
from hetops.app.sharing import sharing
from hetops.app.shedding import may_be_shed
from hetops.app.shortlist import shortlist
from hetops.app.speeds import table_of, with_targets
from hetops.app.terms import (
    loss_rules,
    losses,
    migration,
    priced,
    share_limits,
    share_rules,
    standing_columns,
)
from hetops.app.twins import KeptApart, Twin, key_of, parted, running_twins, with_twins
from hetops.app.ways import Ways, ways_of
from hetops.domain.configuration import Configuration, Role
from hetops.domain.offer import Market, Offer
from hetops.domain.performance import PerformanceRow, StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.errors import SpecError
from hetops.performance.table import PerformanceTable
from hetops.solver.problem import Column, Demand, Problem, QuotaGroup
from hetops.solver.reach import LEAST, beyond_reach

_MADE_OF = "`hetops schema problem` says what these are made of: rates, prices, hours and sizes of the spec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posed:
    """A spec's question as the solver gets it, and what is needed to read the answer."""

    candidates: Candidates
    problem: Problem
    table: PerformanceTable
    configurations: Mapping[str, Configuration]
    """By the names that the problem's columns have them under."""
    offers: Mapping[str, Offer]
    overflow: tuple[Overflow, ...] = ()
    """Services of the spec, those too that may serve nothing."""
    ways: Ways = field(default_factory=Ways)
    twins: Mapping[str, Twin] = field(default_factory=dict)
    """By the names of configurations that are others', but for who keeps off."""
    kept_apart: KeptApart | None = None
    """Where it was asked again so."""

    @property
    def places(self) -> tuple[Place, ...]:
        """All that can serve, as rules speak of it."""
        return (*self.offers.values(), *(one.service for one in self.overflow if one.classes))

    def row(self, key: tuple[str, str], of: WorkloadClass) -> PerformanceRow:
        """What a replica of an offer and configuration does for a class, from where the offer lies."""
        offer, name = key
        configuration = self.configurations[name].id
        return self.table.row(configuration, of.name, self.ways.round_trip_seconds(of, offer))

    def step_times(self, name: str) -> StepTimes:
        """Those of a replica, by the configuration's name in the problem."""
        return self.table.step_times[self.configurations[name].id]

    def loosened(self, factor: float) -> Problem:
        """The problem with every latency target multiplied by a factor, and the same classes apart."""
        other = _pose(self.candidates, factor)
        problem, twins = other.problem, other.twins
        for cut in self.kept_apart.cuts if self.kept_apart else ():
            problem, new = parted(problem, cut, twins)
            twins = {**twins, **new}
        return problem


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
    shared = sharing(c)
    kept = shortlist(c, table, shared)
    laid = tuple(laid_out(c, kept, shared))
    twins = running_twins(c.held.running.pools) if c.held.running else {}
    columns = tuple(with_twins(_columns(c, laid, table, classes, ways), twins))
    services = overflow(c, classes, ways)
    if not columns and not any(one.classes for one in services):
        raise nothing_to_choose(c, table, services)
    columns = tuple(_booting(c, (*columns, *standing_columns(c, columns)), laid))
    offers = _offers(c, {offer for column in columns for offer in column.offers})
    named = {one.id: one for one in kept} | {one.name: one.configuration for one in laid}
    return Posed(
        candidates=c,
        problem=_sound(c, classes, columns, offers.values(), services),
        table=table,
        configurations=named | {name: named[twin.of] for name, twin in twins.items() if twin.of in named},
        offers=offers,
        overflow=services,
        ways=ways,
        twins=twins,
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
        raise SpecError(f"what the spec says makes no sound question: {fault}", hint=_MADE_OF) from fault
    if faults := tuple(beyond_reach(problem)):
        told = tuple(fault.removeprefix(".") for fault in faults)
        raise SpecError(
            f"what the spec says makes no sound question: {told[0]}",
            details=told[1:8],
            hint=_MADE_OF,
        )
    return problem


def _offers(c: Candidates, with_columns: Collection[str]) -> dict[str, Offer]:
    """The offers of the question by their ids: with columns, paid for anyway, or running though nobody offers them now."""
    gone = {pool.offer.id: pool.offer for pool in c.held.running.pools} if c.held.running else {}
    chosen = {o.id: o for o in c.gathered.selection.offers if o.id in with_columns}
    return {**gone, **chosen, **{one.offer.id: one.offer for one in c.held.reserved}}


def _columns(
    c: Candidates,
    laid: Iterable[Laid],
    table: PerformanceTable,
    classes: Sequence[WorkloadClass],
    ways: Ways,
) -> Iterator[Column]:
    """What each configuration sustains on the nodes that it lies on."""
    for lying in laid:
        one, offer = lying.configuration, lying.offer
        served = c.served(one)
        own = served.of_own(classes)
        far = {k.name: ways.round_trip_seconds(k, offer) for k in own}
        rates = {
            k.name: table.row(one.id, k.name, far[k.name]).planned_requests_per_second * lying.replicas
            for k in own
        }
        able = {name: rate for name, rate in rates.items() if rate >= LEAST}
        answered = able if one.role is not Role.PREFILL else {}  # answers come from what decodes
        egress = {k.name: ways.usd_per_request(k, offer) for k in own if k.name in answered}
        yield Column(
            offer=offer,
            configuration=lying.name,
            replicas_per_node=lying.replicas,
            requests_per_second=able,
            usd_per_request={name: usd for name, usd in egress.items() if usd},
            parts_per_node=lying.parts,
            model=one.model if len(c.models) > 1 else "",
            quality=kept_by(served.rules.floors, one.weights),
            role=PART_OF[one.role],
            kv_format="" if one.role is Role.MIXED else one.kv_format,
            also=lying.also,
        )


def _booting(c: Candidates, columns: Iterable[Column], laid: Iterable[Laid]) -> Iterator[Column]:
    """The columns with what their nodes take to start over a day; what is paid for day and night starts for nothing more."""
    day = c.spec.policy.day
    if day is None:
        yield from columns
        return
    seconds = boot_seconds(c, day)
    running = c.held.running.pools if c.held.running else ()
    ids = {one.name: one.configuration.id for one in laid} | {
        key_of(pool)[1]: pool.configuration.id for pool in running
    }
    offers = (*c.gathered.selection.offers, *(pool.offer for pool in running))
    whole = {o.id for o in offers if o.market in (Market.RESERVED, Market.CAPACITY_BLOCK)}
    for column in columns:
        name = ids.get(column.configuration, column.configuration)
        yield column if column.offers <= whole else replace(column, boot_seconds=seconds.get(name, 0.0))


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
        usd_per_pool_hour=policy.usd_per_pool_hour,
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
