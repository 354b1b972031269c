"""Use case: the cheapest certified fleet for a spec. Wires question, solver and bounds; decides nothing of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from hetops import __version__
from hetops.app.candidates import Asked, Candidates
from hetops.app.forecasts import class_forecasts, pool_forecasts
from hetops.app.keep_apart import cost_apart, kept_apart, proven
from hetops.app.no_fleet import no_fleet
from hetops.app.overflow import planned_service
from hetops.app.pose import Posed, pose, pose_of
from hetops.app.pruning import pruned
from hetops.app.quality import in_words
from hetops.app.roles import asked_first, handovers
from hetops.app.shedding import demand_served, served_of, shed_of
from hetops.app.speeds import transfer_for
from hetops.app.term_costs import cost_from_nothing, term_costs
from hetops.app.terms import interruptions, loss_rules, share_rules
from hetops.app.twins import key_of
from hetops.app.warnings import warnings_of
from hetops.app.ways import network, unsaid
from hetops.domain import codec
from hetops.domain.configuration import Configuration, Role
from hetops.domain.offer import Offer
from hetops.domain.performance import PerformanceRow
from hetops.domain.plan import (
    Alternative,
    Certificate,
    ClassShare,
    Handover,
    NodesOf,
    PeakUse,
    Plan,
    PlanLimits,
    PlannedPool,
)
from hetops.domain.policy import FallbackShare, LossCover, Migration, Rental
from hetops.domain.service import PlannedService
from hetops.errors import HetopsError, UsageError
from hetops.files import write_whole
from hetops.performance import bounds
from hetops.solver.certify import CHECKS, CHECKS_OF_TERMS, relative_gap
from hetops.solver.questions.explain import Weighed, weigh
from hetops.solver.recheck.plan import seal
from hetops.solver.solution import Ended, Infeasible, Solution, SolvedPool
from hetops.solver.solve import DEFAULT_LIMIT_SECONDS, Effort, solve

WEIGH_SECONDS = 5.0
"""Time for the losers: what they cost is told, the plan does not hang on it."""


def make_plan(asked: Asked, *, limit_seconds: float = DEFAULT_LIMIT_SECONDS) -> Plan:
    """The cheapest fleet that serves the spec's workload within its targets, certified.

    Raises:
        HetopsError: the spec, its trace or a name in it is wrong.
        InfeasibleError: no fleet exists; carries the smallest relaxation.
        TimeoutExpiredError: nothing was found in time.
    """
    return answer(pose(asked), limit_seconds=limit_seconds)


def answer(posed: Posed, *, limit_seconds: float = DEFAULT_LIMIT_SECONDS) -> Plan:
    """The plan for a question of one stretch; errors as `make_plan`."""
    if posed.problem.periods:
        raise UsageError("a day has a plan for each of its periods", hint="say which: --period NAME")
    return planned(*solved(posed, Effort(limit_seconds=limit_seconds)))


def planned(posed: Posed, found: Solution) -> Plan:
    """The plan that an answer means, held against the losers; whoever stopped the search waits for no loser."""
    stopped = found.ended is Ended.INTERRUPTED
    weighed = Weighed(solution=found) if stopped else weigh(posed.problem, found, limit_seconds=WEIGH_SECONDS)
    plan = replace(unsealed(posed, weighed.solution, weighed.alternatives), pruning=pruned(posed))
    if not stopped:
        plan = _with_costs(plan, posed, weighed.solution)
    plan = seal(plan)
    hold_against_arithmetic(plan, posed.candidates)
    return plan


def solved(posed: Posed, effort: Effort | None = None) -> tuple[Posed, Solution]:
    """The question, with pools for classes that would hold one another up, and its certified answer; errors as `make_plan`."""
    effort = effort or Effort()
    outcome = solve(posed.problem, effort=effort)
    if isinstance(outcome, Infeasible):
        raise no_fleet(posed.candidates, posed.table, posed.problem, outcome, posed.loosened)
    demand_served(outcome)
    return kept_apart(posed, outcome, effort)


def write_plan(plan: Plan, path: Path) -> None:
    """The plan as a `hetops.plan` document, whole or not at all."""
    write_whole(path, codec.encode(plan))


def write_problem(posed: Posed, path: Path) -> None:
    """The problem as a `hetops.problem` document for `hetops solve`, whole or not at all."""
    write_whole(path, codec.encode(posed.problem))


def pool_name(
    offer: Offer,
    configuration: Configuration,
    also: Iterable[NodesOf] = (),
    apart_from: Iterable[str] = (),
) -> str:
    """Stable over plans: what the pool is in short, and a digest of offers, configuration and who keeps off."""
    gpus = "-".join(dict.fromkeys(stage.gpu for stage in configuration.each_stage))
    role = "" if configuration.role is Role.MIXED else f"-{configuration.role}"
    words = f"{gpus}-{configuration.layout}-{configuration.weights}{role}".lower()
    off = (f"apart from {name}" for name in apart_from)
    meant = " ".join((offer.id, configuration.id, *(other.offer.id for other in also), *off))
    digest = hashlib.sha256(meant.encode()).hexdigest()[:4]
    return f"{re.sub(r'[^a-z0-9]+', '-', words)}-{digest}"


def unsealed(posed: Posed, solution: Solution, alternatives: tuple[Alternative, ...] = ()) -> Plan:
    """The plan that a solution of one stretch means, without what its rules cost and without its seal."""
    c = posed.candidates
    names = _names(posed, solution)
    workload = served_of(c.workload, solution)
    shares = tuple(
        ClassShare(
            workload_class=s.workload_class,
            pool=names[s.key],
            share=s.share,
            requests_per_second=s.requests_per_second,
        )
        for s in asked_first(posed.problem, solution.shares)
    )
    plan = Plan(
        deployment=c.spec.deployment.name,
        model=c.names,
        created_at=c.now,
        hetops_version=__version__,
        spec_digest=c.loaded.digest,
        workload=workload,
        pools=tuple(_pools(posed, solution, names)),
        shares=shares,
        forecasts=tuple(class_forecasts(posed, solution)),
        performance=tuple(_rows(posed, solution)),
        certificate=_certificate(posed, solution, names),
        alternatives=alternatives,
        refusals=(
            *c.gathered.refusals,
            *c.enumeration.refusals,
            *(refusal for one in posed.overflow for refusal in one.refusals),
        ),
        offers_considered=len(c.gathered.selection.offers),
        configurations_considered=len(c.enumeration.configurations),
        coverage=c.gathered.collected.coverage,
        rentals=tuple(_rentals(posed, solution)),
        migration=_migration(posed, solution),
        services=tuple(_services(posed, solution)),
        shed=shed_of(posed.problem, solution.shed),
        network=network(c, posed.ways, solution, names),
        handovers=tuple(_handovers(posed, solution, names)),
        usd_per_pool_hour=posed.problem.usd_per_pool_hour,
    )
    return replace(
        plan,
        warnings=(*warnings_of(posed, solution, plan), *unsaid(posed.ways, plan)),
        covers=tuple(_covers(posed, solution, plan)),
        pool_forecasts=tuple(pool_forecasts(plan)),
        peak_uses=_peak_uses(plan, c),
    )


def _handovers(posed: Posed, solution: Solution, names: Mapping[tuple[str, str], str]) -> Iterator[Handover]:
    """Which pool feeds which, and how long KV caches are on their way."""
    classes = {one.name: one for one in posed.candidates.workload.classes}
    for one in handovers(posed.problem, solution, names):
        way = transfer_for(posed.candidates, classes[one.workload_class])
        yield (
            replace(one, seconds_per_prompt=way.seconds(0.0), seconds_per_token=way.seconds_per_token)
            if way
            else one
        )


def _names(posed: Posed, solution: Solution) -> dict[tuple[str, str], str]:
    """The names of the pools and services, by offer and configuration; that of a service is empty."""
    pools = {
        p.key: pool_name(
            posed.offers[p.offer],
            posed.configurations[p.configuration],
            _also(posed, p),
            _apart_from(posed, p),
        )
        for p in solution.pools
    }
    return pools | {(one.service.name, ""): one.service.name for one in posed.overflow if one.classes}


def _pools(posed: Posed, solution: Solution, names: Mapping[tuple[str, str], str]) -> Iterator[PlannedPool]:
    parts = {column.key: column.parts_per_node for column in posed.problem.columns}
    for p in solution.pools:
        offer = posed.offers[p.offer]
        lost = interruptions(posed.candidates.spec.policy, offer)
        yield PlannedPool(
            name=names[p.key],
            offer=offer,
            configuration=posed.configurations[p.configuration],
            nodes=p.nodes,
            replicas_per_node=p.replicas_per_node,
            step_times=posed.step_times(p.configuration),
            interruptions_per_hour=lost.per_hour,
            recovery_minutes=lost.recovery_minutes,
            parts_per_node=parts[p.key],
            also=_also(posed, p),
            apart_from=_apart_from(posed, p),
        )


def _apart_from(posed: Posed, pool: SolvedPool) -> tuple[str, ...]:
    """The classes that keep off a pool."""
    twin = posed.twins.get(pool.configuration)
    return twin.apart_from if twin else ()


def _also(posed: Posed, pool: SolvedPool) -> tuple[NodesOf, ...]:
    """What goes with each node of a pool."""
    each = ((offer, count // pool.nodes) for offer, count in pool.also.items())
    return tuple(NodesOf(offer=posed.offers[offer], nodes=count) for offer, count in each)


def _services(posed: Posed, solution: Solution) -> Iterator[PlannedService]:
    """Services that serve any class: those without a share stand by, and cost nothing until they are needed."""
    for one in (o for o in posed.overflow if o.classes):
        shares = (s for s in solution.shares if s.key == (one.service.name, ""))
        yield planned_service(one, sum((s.usd_per_hour for s in shares), Decimal(0)))


def _rentals(posed: Posed, solution: Solution) -> Iterator[Rental]:
    for rental in solution.rentals:
        offer = posed.problem.offer(rental.offer)
        yield Rental(
            offer=posed.offers[rental.offer],
            nodes=rental.nodes,
            committed_nodes=offer.committed_nodes,
            lot_nodes=offer.lot_nodes,
        )


def _covers(posed: Posed, solution: Solution, plan: Plan) -> Iterator[LossCover]:
    """Who serves what after each loss that takes something of the fleet."""
    names = _names(posed, solution)
    rules = {rule.id: rule for rule in loss_rules(posed.candidates, posed.places)}
    after = {one.name: one for one in solution.losses}
    used = {share.offer for share in solution.shares}
    used |= {offer.id for pool in plan.pools for offer in pool.offers}
    for scenario in posed.problem.scenarios:
        rule = rules[scenario.loss]
        if used & scenario.lost:
            yield LossCover(
                rule=rule.id,
                lost=rule.values or (scenario.name.removeprefix(f"{rule.id}: "),),
                shares=tuple(
                    FallbackShare(workload_class=s.workload_class, pool=names[s.key], share=s.share)
                    for s in after[scenario.name].shares
                ),
            )


def _migration(posed: Posed, solution: Solution) -> Migration | None:
    asked, running = posed.problem.migration, posed.candidates.held.running
    if asked is None or running is None:
        return None
    parts = {column.key: column.parts_per_node for column in posed.problem.columns}
    names = {key_of(p): p.name for p in running.pools}
    pools = {**names, **_names(posed, solution)}
    return Migration(
        running={names[one.key]: one.nodes for one in asked.running},
        parts_per_node={name: parts[key] for key, name in pools.items() if parts.get(key, 1) > 1},
        usd_per_added_node=asked.usd_per_added_node,
        usd_per_removed_node=asked.usd_per_removed_node,
        horizon_hours=asked.horizon_hours,
        max_changed_nodes=asked.max_changed_nodes,
        usd_per_hour=solution.changes_usd_per_hour,
    )


def _with_costs(plan: Plan, posed: Posed, solution: Solution) -> Plan:
    """The plan with what its rules cost, and what a fleet from nothing would."""
    plan = replace(
        plan,
        term_costs=(*cost_apart(posed, solution), *term_costs(posed, solution, limit_seconds=WEIGH_SECONDS)),
        warnings=(*plan.warnings, *floor_cost(posed, solution)),
    )
    if plan.migration is None:
        return plan
    free = cost_from_nothing(posed, limit_seconds=WEIGH_SECONDS)
    return replace(plan, migration=replace(plan.migration, usd_per_hour_from_nothing=free))


def _peak_uses(plan: Plan, c: Candidates) -> tuple[PeakUse, ...]:
    classes = {one.name: one for one in plan.workload.classes}
    models = {one.model.name: one.model for one in c.models}
    return bounds.peak_uses(plan.pools, plan.loads, classes, models, c.gpus)


def _rows(posed: Posed, solution: Solution) -> Iterator[PerformanceRow]:
    """By configuration and class; where pools of a configuration are not equally far from a class, one for each distance."""
    chosen = {pool.key: posed.configurations[pool.configuration] for pool in solution.pools}
    for configuration in dict.fromkeys(chosen.values()):
        keys = [key for key, of in chosen.items() if of == configuration]
        for one in (k for k in posed.candidates.workload.classes if k.asks_for(configuration.model)):
            yield from dict.fromkeys(posed.row(key, one) for key in keys)


def _certificate(posed: Posed, solution: Solution, names: Mapping[tuple[str, str], str]) -> Certificate:
    problem, bounding = posed.problem, proven(posed, solution)
    return Certificate(
        objective=solution.objective,
        bound=bounding.bound,
        gap=relative_gap(solution.objective, bounding.bound),
        all_may_share=posed.kept_apart is not None,
        problem_digest=bounding.problem_digest,
        checks=CHECKS if problem.plain else (*CHECKS, *CHECKS_OF_TERMS),
        solver=solution.solver,
        solve_seconds=solution.solve_seconds,
        limits=PlanLimits(
            headroom=problem.headroom,
            max_pools=problem.max_pools,
            assumed_max_nodes=problem.assumed_max_nodes,
            budget_usd_per_hour=problem.budget_usd_per_hour,
            provider_budgets_usd_per_hour=problem.provider_budgets_usd_per_hour,
            quotas={group.id: group.limit for group in problem.quota_groups},
            shares=share_rules(posed.candidates, posed.places),
            losses=loss_rules(posed.candidates, posed.places),
        ),
        utilisation={names[pool.key]: pool.utilisation for pool in solution.pools},
    )


def floor_cost(posed: Posed, solution: Solution) -> tuple[str, ...]:
    """What is asked of quality costs, in words: the fleet against that of the same question without it. Empty without any."""
    c = posed.candidates
    return (_floor_cost(posed, proven(posed, solution)),) if c.floors else ()


def _floor_cost(posed: Posed, solution: Solution) -> str:
    c, asked = posed.candidates, in_words(posed.candidates.floors)
    free = replace(c, models=tuple(one.unfloored for one in c.models))
    outcome = solve(pose_of(free).problem, effort=Effort(limit_seconds=WEIGH_SECONDS))
    if isinstance(outcome, Infeasible):
        return f"what {asked} costs is not known: nothing was found without it"
    with_floor, without = solution.counted_usd_per_hour, outcome.counted_usd_per_hour
    if with_floor <= without:
        return f"{asked} costs nothing: {with_floor} usd_per_hour with it and without it"
    return f"{asked} costs {with_floor - without} usd_per_hour: {with_floor} with it, {without} without it"


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
