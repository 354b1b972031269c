"""Use case: the cheapest certified fleet for a spec. Wires table, problem, solver and bounds; decides nothing of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from hetops import __version__
from hetops.app.candidates import Asked, Candidates, candidates
from hetops.domain import codec
from hetops.domain.configuration import Configuration
from hetops.domain.offer import Offer
from hetops.domain.performance import Binding, EvidenceLayer, Measurement, PerformanceRow
from hetops.domain.plan import (
    Alternative,
    Certificate,
    ClassForecast,
    ClassShare,
    PeakUse,
    Plan,
    PlanLimits,
    PlannedPool,
)
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.errors import HetopsError, InfeasibleError
from hetops.files import write_whole
from hetops.performance import bounds
from hetops.performance.rate import latencies
from hetops.performance.table import Basis, PerformanceTable, barred, best_of_each, build
from hetops.plugin.provider import Capability, for_planning_only
from hetops.solver.certify import CHECKS
from hetops.solver.explain import Weighed, weigh
from hetops.solver.problem import Column, Demand, PricedOffer, Problem, QuotaGroup
from hetops.solver.recheck import seal
from hetops.solver.relax import infeasible_error, relaxations
from hetops.solver.solution import Ended, Infeasible, Solution
from hetops.solver.solve import DEFAULT_LIMIT_SECONDS, Effort, solve
from hetops.state import host, measurements

_WEIGH_SECONDS = 5.0
"""Time for the losers: what they cost is told, the plan does not hang on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posed:
    """A spec's question as the solver gets it, and what is needed to read the answer."""

    candidates: Candidates
    problem: Problem
    table: PerformanceTable
    configurations: Mapping[str, Configuration]
    offers: Mapping[str, Offer]

    def loosened(self, factor: float) -> Problem:
        """The problem with every latency target multiplied by a factor."""
        return _pose(self.candidates, factor).problem


def make_plan(asked: Asked, *, limit_seconds: float = DEFAULT_LIMIT_SECONDS) -> Plan:
    """The cheapest fleet that serves the spec's workload within its targets, certified.

    Raises:
        HetopsError: the spec, its trace or a name in it is wrong.
        InfeasibleError: no fleet exists; carries the smallest relaxation.
        TimeoutExpiredError: nothing was found in time.
    """
    return answer(pose(asked), limit_seconds=limit_seconds)


def pose(asked: Asked) -> Posed:
    """The spec's question, not yet answered; errors as `make_plan`, but for time."""
    return pose_of(candidates(asked))


def pose_of(found: Candidates) -> Posed:
    """The question what to choose of the candidates; errors as `pose`."""
    return _pose(found, 1.0)


def answer(posed: Posed, *, limit_seconds: float = DEFAULT_LIMIT_SECONDS) -> Plan:
    """The plan for a question; errors as `make_plan`."""
    return planned(posed, solved(posed, Effort(limit_seconds=limit_seconds)))


def planned(posed: Posed, found: Solution) -> Plan:
    """The plan that an answer means, held against the losers; whoever stopped the search waits for no loser."""
    stopped = found.ended is Ended.INTERRUPTED
    weighed = (
        Weighed(solution=found) if stopped else weigh(posed.problem, found, limit_seconds=_WEIGH_SECONDS)
    )
    plan = _plan(posed, weighed.solution, weighed.alternatives)
    hold_against_arithmetic(plan, posed.candidates)
    return plan


def solved(posed: Posed, effort: Effort | None = None) -> Solution:
    """The solver's certified answer; errors as `make_plan`."""
    outcome = solve(posed.problem, effort=effort)
    if isinstance(outcome, Infeasible):
        raise _infeasible(posed, outcome)
    return outcome


def write_plan(plan: Plan, path: Path) -> None:
    """The plan as a `hetops.plan` document, whole or not at all."""
    write_whole(path, codec.encode(plan))


def write_problem(posed: Posed, path: Path) -> None:
    """The problem as a `hetops.problem` document for `hetops solve`, whole or not at all."""
    write_whole(path, codec.encode(posed.problem))


def pool_name(offer: Offer, configuration: Configuration) -> str:
    """Stable over plans: what the pool is in short, and a digest of offer and configuration."""
    parallel = f"tp{configuration.tensor_parallel}"
    if configuration.pipeline_parallel > 1:
        parallel += f"pp{configuration.pipeline_parallel}"
    words = f"{configuration.gpu}-{parallel}-{configuration.weights}".lower()
    digest = hashlib.sha256(f"{offer.id} {configuration.id}".encode()).hexdigest()[:4]
    return f"{re.sub(r'[^a-z0-9]+', '-', words)}-{digest}"


def _pose(c: Candidates, target_factor: float) -> Posed:
    classes = tuple(_with_targets(one, target_factor) for one in c.workload.classes)
    table = barred(build(c.enumeration.configurations, classes, _basis(c)), _too_lossy(c))
    kept = best_of_each(c.enumeration.configurations, table)
    columns = tuple(_columns(c, kept, table, classes))
    if not columns:
        raise _nothing_to_choose(c, table)
    offered = {column.offer for column in columns}
    offers = {o.id: o for o in c.gathered.selection.offers if o.id in offered}
    return Posed(
        candidates=c,
        problem=_problem(c, classes, columns, offers.values()),
        table=table,
        configurations={one.id: one for one in kept},
        offers=offers,
    )


def _too_lossy(c: Candidates) -> Mapping[tuple[str, str], str]:
    """Why a class must not get a configuration, by both; only where the spec sets quality floors."""
    quality = c.rules.quality(c.model)
    reasons = {
        (one.id, floor.workload_class): quality.refused(one.weights, floor)
        for one in c.enumeration.configurations
        for floor in c.rules.floors
    }
    return {key: reason for key, reason in reasons.items() if reason}


def _with_targets(c: WorkloadClass, factor: float) -> WorkloadClass:
    target = c.target
    seconds = {name: getattr(target, name) for name in ("ttft_seconds", "tpot_seconds")}
    looser: LatencyTarget = replace(target, **{n: s * factor for n, s in seconds.items() if s is not None})
    return replace(c, target=looser)


def _basis(c: Candidates) -> Basis:
    """What speeds are known: measurements count on the hardware that they were made on, and on no other."""
    here = host.fingerprint()
    gpu_of = {one.id: one.gpu for one in c.enumeration.configurations}
    valid = {one: here if c.gpus[gpu].vendor == "cpu" else gpu for one, gpu in gpu_of.items()}

    def holding(measured: Iterable[Measurement]) -> tuple[Measurement, ...]:
        return tuple(m for m in measured if valid.get(m.configuration) == m.host)

    return Basis(
        model=c.model,
        gpus=c.gpus,
        measurements=holding(measurements.read(c.home.measurements)),
        shipped=holding(c.plugins.measurements),
    )


def _columns(
    c: Candidates,
    configurations: Sequence[Configuration],
    table: PerformanceTable,
    classes: Sequence[WorkloadClass],
) -> Iterator[Column]:
    """Every configuration on every offer of its GPU type, as many replicas as a node has room for."""
    alone = {p.name for p in c.plugins.providers if Capability.ONE_ENGINE in p.capabilities}
    for offer in c.gathered.selection.offers:
        for one in configurations:
            room = offer.gpu_count // one.gpu_count
            replicas = min(room, 1) if offer.provider in alone else room
            if one.gpu != offer.gpu or replicas == 0:
                continue
            rates = {
                k.name: table.row(one.id, k.name).planned_requests_per_second * replicas for k in classes
            }
            yield Column(
                offer=offer.id,
                configuration=one.id,
                replicas_per_node=replicas,
                requests_per_second={name: rate for name, rate in rates.items() if rate > 0},
            )


def _problem(
    c: Candidates, classes: Sequence[WorkloadClass], columns: tuple[Column, ...], offers: Iterable[Offer]
) -> Problem:
    offers, policy = tuple(offers), c.spec.policy
    configurations = dict.fromkeys(column.configuration for column in columns)
    return Problem(
        offers=tuple(_priced(offer) for offer in offers),
        configurations=tuple(configurations),
        classes=tuple(Demand(name=one.name, requests_per_second=one.requests_per_second) for one in classes),
        columns=columns,
        quota_groups=tuple(_quota_groups(offers)),
        budget_usd_per_hour=c.spec.budget.limit_usd_per_hour,
        provider_budgets_usd_per_hour=_provider_budgets(offers),
        headroom=policy.headroom,
        max_pools=policy.max_pools,
        assumed_max_nodes=policy.max_nodes_per_offer,
        gap=policy.gap,
    )


def _priced(offer: Offer) -> PricedOffer:
    limits = offer.limits
    return PricedOffer(
        id=offer.id,
        usd_per_hour=offer.total_usd_per_hour,
        max_nodes=limits.max_count,
        quota_per_node={share.group: Decimal(repr(share.per_node)) for share in limits.quotas},
        provider=offer.provider,
        gpu=offer.gpu,
        gpu_count=offer.gpu_count,
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


def _plan(posed: Posed, solution: Solution, alternatives: tuple[Alternative, ...]) -> Plan:
    c = posed.candidates
    names = {
        p.key: pool_name(posed.offers[p.offer], posed.configurations[p.configuration]) for p in solution.pools
    }
    shares = tuple(
        ClassShare(
            workload_class=s.workload_class,
            pool=names[s.key],
            share=s.share,
            requests_per_second=s.requests_per_second,
        )
        for s in solution.shares
    )
    plan = Plan(
        deployment=c.spec.deployment.name,
        model=c.model.name,
        created_at=c.now,
        hetops_version=__version__,
        spec_digest=c.loaded.digest,
        workload=c.workload,
        pools=tuple(
            PlannedPool(
                name=names[p.key],
                offer=posed.offers[p.offer],
                configuration=posed.configurations[p.configuration],
                nodes=p.nodes,
                replicas_per_node=p.replicas_per_node,
                step_times=posed.table.step_times[p.configuration],
            )
            for p in solution.pools
        ),
        shares=shares,
        forecasts=tuple(_forecasts(posed, solution)),
        performance=tuple(_rows(posed, solution)),
        certificate=_certificate(posed.problem, solution, names),
        alternatives=alternatives,
        refusals=(*c.gathered.refusals, *c.enumeration.refusals),
        offers_considered=len(c.gathered.selection.offers),
        configurations_considered=len(c.enumeration.configurations),
        coverage=c.gathered.collected.coverage,
        warnings=tuple(_warnings(posed, solution)),
    )
    return seal(replace(plan, peak_uses=_peak_uses(plan, c)))


def _peak_uses(plan: Plan, c: Candidates) -> tuple[PeakUse, ...]:
    classes = {one.name: one for one in plan.workload.classes}
    return bounds.peak_uses(plan.pools, plan.shares, classes, c.model, c.gpus)


def _forecasts(posed: Posed, solution: Solution) -> Iterator[ClassForecast]:
    """What each class gets in the slowest pool that it goes to, at that pool's load of all classes."""
    used = {p.key: p.utilisation for p in solution.pools}
    for one in posed.candidates.workload.classes:
        found = []
        for share in (s for s in solution.shares if s.workload_class == one.name and s.share > 0):
            row = posed.table.row(share.configuration, one.name)
            rate = row.planned_requests_per_second * used[share.key]
            found.append(latencies(posed.table.step_times[share.configuration], one, rate))
        if found:
            yield ClassForecast(
                workload_class=one.name,
                ttft_seconds=max(f.ttft_seconds for f in found),
                tpot_seconds=max(f.tpot_seconds for f in found),
                tokens_per_second=one.requests_per_second * one.output_tokens.mean,
            )


def _rows(posed: Posed, solution: Solution) -> Iterator[PerformanceRow]:
    for configuration in dict.fromkeys(p.configuration for p in solution.pools):
        for one in posed.candidates.workload.classes:
            yield posed.table.row(configuration, one.name)


def _certificate(problem: Problem, solution: Solution, names: Mapping[tuple[str, str], str]) -> Certificate:
    return Certificate(
        objective=solution.objective,
        bound=solution.bound,
        gap=solution.gap,
        problem_digest=solution.problem_digest,
        checks=CHECKS,
        solver=solution.solver,
        solve_seconds=solution.solve_seconds,
        limits=PlanLimits(
            headroom=problem.headroom,
            max_pools=problem.max_pools,
            assumed_max_nodes=problem.assumed_max_nodes,
            budget_usd_per_hour=problem.budget_usd_per_hour,
            provider_budgets_usd_per_hour=problem.provider_budgets_usd_per_hour,
            quotas={group.id: group.limit for group in problem.quota_groups},
        ),
        utilisation={names[pool.key]: pool.utilisation for pool in solution.pools},
    )


def _warnings(posed: Posed, solution: Solution) -> Iterator[str]:
    c = posed.candidates
    yield from (f"plugin {p.name} {p.version} cannot be used: {p.error}" for p in c.plugins.broken)
    yield from c.gathered.selection.warnings
    chosen = [posed.offers[p.offer] for p in solution.pools]
    if any(offer.plan_only for offer in chosen):
        yield "list prices are for planning only: up needs live offers"
    live = {offer.provider for offer in chosen if not offer.plan_only}
    for provider in c.plugins.providers:
        if provider.name in live and for_planning_only(provider):
            yield f"{provider.name} is for planning only: up cannot provision on it yet"
    if not solution.within_gap:
        yield f"the search ended at a gap of {solution.gap:.2%}, policy.gap asks for {c.spec.policy.gap:.2%}"
    for offer in solution.assumed_offers:
        most = posed.problem.assumed_max_nodes
        yield f"nobody knows how many nodes of {offer} can be had: {most} are assumed (policy.max_nodes_per_offer)"
    layers = {
        posed.table.row(p.configuration, d.name).evidence.layer
        for p in solution.pools
        for d in posed.problem.classes
    }
    if EvidenceLayer.PRIOR in layers:
        yield "some speeds are guesses from another GPU family: measure them with hetops bench"
    if c.rules.floors and solution.ended is not Ended.INTERRUPTED:
        yield _floor_cost(posed, solution)


def _floor_cost(posed: Posed, solution: Solution) -> str:
    """What the quality floors cost: the fleet against that of the same question without them."""
    c = posed.candidates
    free = replace(c, enumeration=c.without_floors, rules=replace(c.rules, floors=()))
    outcome = solve(pose_of(free).problem, effort=Effort(limit_seconds=_WEIGH_SECONDS))
    if isinstance(outcome, Infeasible):
        return "what the quality floor costs is not known: nothing was found without it"
    with_floor, without = solution.usd_per_hour, outcome.usd_per_hour
    if with_floor <= without:
        return f"the quality floor costs nothing: {with_floor} usd_per_hour with it and without it"
    return f"the quality floor costs {with_floor - without} usd_per_hour: {with_floor} with it, {without} without it"


def _infeasible(posed: Posed, outcome: Infeasible) -> InfeasibleError:
    """The error with the smallest relaxation and, for classes that nothing serves, what comes nearest."""
    error = infeasible_error(posed.problem, outcome, relaxations(posed.problem, loosen=posed.loosened))
    nearest = tuple(_nearest(name, posed.table) for name in outcome.unservable)
    return InfeasibleError(error.message, details=(*nearest, *error.details), hint=error.hint)


def _nothing_to_choose(c: Candidates, table: PerformanceTable) -> InfeasibleError:
    """No column at all: the rules left no offer, nothing fits, or nothing is fast enough."""
    selection = c.gathered.selection
    if not selection.offers:
        told = (f"{r.subject}, {r.count} of them: {r.reason}" for r in selection.refusals[:6])
        return InfeasibleError(
            "no offer may be chosen",
            details=(c.gathered.collected.coverage, *told),
            hint="widen [offers] or [providers]; `hetops offers --refused` tells every reason",
        )
    if not c.enumeration.configurations:
        told = (f"{r.subject}: {r.reason}" for r in c.enumeration.refusals[:6])
        return InfeasibleError(
            f"no configuration of {c.model.name} runs on any GPU type on offer",
            details=told,
            hint="allow larger GPUs, other precisions (model.precisions) or other engines (engine.names)",
        )
    names = {name for _, name in table.rows}
    return InfeasibleError(
        "no configuration on any offer serves a single class within the targets",
        details=(_nearest(name, table) for name in sorted(names)),
        hint=_loosest_hint(c),
    )


def _loosest_hint(c: Candidates) -> str:
    """By how much the targets must be loosened until one replica can serve every class."""
    basis = _basis(c)

    def enough(factor: float) -> bool:
        looser = tuple(_with_targets(one, factor) for one in c.workload.classes)
        table = build(c.enumeration.configurations, looser, basis)
        return all(any(r.requests_per_second > 0 for r in _of(table, one.name)) for one in looser)

    high = next((2.0**power for power in range(1, 21) if enough(2.0**power)), None)
    if high is None:
        return "allow GPUs with more memory, or more of them: no looser target helps"
    low = high / 2
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if enough(middle) else (middle, high)
    return f"loosen the latency targets by a factor of {high:.4g}, or allow faster GPUs"


def _nearest(workload_class: str, table: PerformanceTable) -> str:
    """Why the configuration that comes nearest to a class's targets does not meet them."""
    rows = [r for r in _of(table, workload_class) if r.binding is not Binding.KV_MEMORY] or _of(
        table, workload_class
    )
    best = min(rows, key=lambda r: (r.ttft_seconds + 100 * r.tpot_seconds, r.configuration))
    return f"{workload_class}: nearest is {best.configuration}: {best.reason}"


def _of(table: PerformanceTable, workload_class: str) -> list[PerformanceRow]:
    return [row for (_, name), row in table.rows.items() if name == workload_class]


def hold_against_arithmetic(plan: Plan, c: Candidates) -> None:
    """No plan is shown that asks more of its GPUs than their peaks allow.

    Raises:
        HetopsError: it does; the numbers it rests on are wrong.
    """
    broken = bounds.violations(_peak_uses(plan, c))
    if broken:
        raise HetopsError(
            "the plan asks more of its GPUs than they can do: a measurement or a GPU's data is wrong",
            details=broken,
            hint="look at the measurements of these configurations, and measure again with hetops bench",
        )
