"""What the reader of a plan is warned of: what it assumes, guesses, and cannot do yet. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hetops.app.held_up import held_up
from hetops.app.pose import Posed
from hetops.app.quality import in_words
from hetops.app.shedding import shed_in_words
from hetops.app.terms import interruptions
from hetops.app.twins import key_of
from hetops.domain.configuration import Configuration, Role
from hetops.domain.percent import percent
from hetops.domain.performance import EvidenceLayer
from hetops.domain.plan import Plan
from hetops.performance.generation import Generation, generation
from hetops.plugin.provider import for_planning_only
from hetops.solver.solution import Solution, nodes_of


def warnings_of(posed: Posed, solution: Solution, plan: Plan) -> Iterator[str]:
    """What to warn of, a sentence each: of the question, then of the answer and the plan that it means."""
    c = posed.candidates
    yield from (f"plugin {p.name} {p.version} cannot be used: {p.error}" for p in c.plugins.broken)
    yield from c.gathered.selection.warnings
    yield from c.recorded.warnings
    if c.spec.policy.share_gpus and not any(one.mig for one in posed.configurations.values()):
        useless = "no slice of a GPU on offer holds a model and serves a class within the targets"
        whole = "no provider of the offers lets its GPUs be cut"
        able = any(offer.provider in c.cutting for offer in posed.offers.values())
        yield f"policy.share_gpus says nothing here: {useless if able else whole}"
    chosen = [posed.offers[offer] for offer in nodes_of(posed.problem, solution.pools)]
    if any(offer.plan_only for offer in chosen):
        yield "list prices are for planning only: up needs live offers"
    live = {offer.provider for offer in chosen if not offer.plan_only}
    for provider in c.plugins.providers:
        if provider.name in live and for_planning_only(provider):
            yield f"{provider.name} is for planning only: up cannot provision on it yet"
    if not solution.within_gap:
        yield f"the search ended at a gap of {percent(solution.gap, 2)}, policy.gap asks for {percent(c.spec.policy.gap, 2)}"
    for offer in solution.assumed_offers:
        most = posed.problem.assumed_max_nodes
        yield f"nobody knows how many nodes of {offer} can be had: {most} are assumed (policy.max_nodes_per_offer)"
    yield from _guesses(posed, solution, plan)
    if untold := [o.id for o in chosen if not interruptions(c.spec.policy, o).known]:
        yield f"nobody says how often nodes of {', '.join(untold)} are taken away: the plan counts on never (policy.interruptions)"
    for idle in (one for one in posed.overflow if not one.classes):
        why = "; ".join(f"{of.subject}: {of.reason}" for of in idle.refusals[:1])
        yield f"{idle.service.name} may serve no class, and is left out: {why}"
    served = [one for one in plan.services if one.usd_per_hour]
    if c.floors and served:
        names = ", ".join(one.name for one in served)
        yield f"nobody says in which precision {names} serves: {in_words(c.floors)} does not cover it"
    yield from _held_up(posed, solution)
    yield from _untold_quality(posed, plan)
    yield from shed_in_words(solution.shed)
    yield from _leaving(posed)


def _guesses(posed: Posed, solution: Solution, plan: Plan) -> Iterator[str]:
    """What speeds the plan takes from something else than what runs, and whether a benchmark can tell better."""
    chosen = [posed.configurations[pool.configuration] for pool in solution.pools]
    sliced = {one.id for one in chosen if one.mig}
    apart = {one.id for one in chosen if one.role is not Role.MIXED}
    staged = {one.id for one in chosen if one.stages}
    if sliced:
        yield "speeds of slices are those of their GPU in proportion: nobody measured a slice"
    if apart:
        yield "speeds of prefill and decode apart are those of whole replicas without the rest: nobody measured them alone"
    if staged:
        yield "speeds of pipelines over several nodes are reckoned of each stage by itself: none is measured"
    crowded = {one.id for one in chosen if _in_slots(one) and posed.candidates.gpus[one.gpu].vendor != "cpu"}
    if crowded:
        yield "speeds of llama.cpp with several requests at once are reckoned: nobody measured them, hetops bench can"
    priors = {r.configuration for r in plan.performance if r.evidence.layer is EvidenceLayer.PRIOR}
    if priors - sliced - apart - staged - crowded:
        yield "some speeds are guesses from another GPU family: measure them with hetops bench"


def _in_slots(one: Configuration) -> bool:
    return generation(one.engine) is Generation.LLAMACPP and one.max_sequences > 1


def _held_up(posed: Posed, solution: Solution) -> Iterator[str]:
    """Classes that the others of their pool keep from a target, which rates that are reckoned class by class do not see."""
    for one in held_up(posed, solution):
        yield (
            f"{one.name} shares {one.pool.configuration} with classes that hold it up: {one.in_words('may')}"
            " (policy.headroom leaves more room)"
        )


def _untold_quality(posed: Posed, plan: Plan) -> Iterator[str]:
    """What is asked of quality says nothing of a precision that nobody scored: who gets it is told."""
    c, pools = posed.candidates, {pool.name: pool.configuration for pool in plan.pools}
    found: dict[tuple[str, str], list[str]] = {}
    for share in (s for s in plan.shares if s.share > 0 and s.pool in pools):
        of = pools[share.pool]
        floors = (f for f in c.served(of).rules.floors if f.workload_class == share.workload_class)
        if of.weights is not c.served(of).model.native and any(f.untold(of.weights) for f in floors):
            found.setdefault((of.model, of.weights), []).append(share.workload_class)
    for (model, precision), names in found.items():
        classes = ", ".join(dict.fromkeys(names))
        yield (
            f"no score of {model} at {precision} is known: {in_words(c.floors)} says nothing of it, and {classes} may get it"
            " (model.precisions can leave it out)"
        )


def _leaving(posed: Posed) -> Iterator[str]:
    """Pools that run and that the plan cannot keep."""
    running = posed.candidates.held.running
    able = {column.key for column in posed.problem.columns if column.requests_per_second}
    for pool in running.pools if running else ():
        if key_of(pool) not in able:
            yield f"{pool.name} runs and cannot stay: its offer or its configuration may not be chosen now"
