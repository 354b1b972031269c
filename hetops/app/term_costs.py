"""What the rules of a policy cost: the fleet held against that of the same question without each of them. Decides no rule."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from decimal import Decimal

from hetops.app.pose import Posed
from hetops.domain.percent import percent
from hetops.domain.policy import TermCost
from hetops.errors import TimeoutExpiredError
from hetops.solver.problem import PricedOffer, Problem
from hetops.solver.questions.rules import bounds_of
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import Effort, solve
from hetops.solver.terms import Role


def term_costs(posed: Posed, solution: Solution, *, limit_seconds: float) -> tuple[TermCost, ...]:
    """One for each kind of rule that the question has; each is searched for `limit_seconds` at most."""
    return tuple(
        _held_against(text, _outcome(problem, limit_seconds), solution)
        for text, problem in _without(posed.problem, posed)
    )


def _held_against(text: str, without: Solution | Infeasible | None, solution: Solution) -> TermCost:
    return TermCost(
        text=text,
        usd_per_hour=solution.counted_usd_per_hour,
        usd_per_hour_without=without.counted_usd_per_hour if isinstance(without, Solution) else None,
        needed=isinstance(without, Infeasible),
    )


def cost_from_nothing(posed: Posed, *, limit_seconds: float) -> Decimal | None:
    """What the cheapest fleet costs that keeps nothing of the one that runs; None where none was found in time."""
    return cost_of(replace(posed.problem, migration=None), limit_seconds)


def _without(problem: Problem, posed: Posed) -> Iterator[tuple[str, Problem]]:
    """Each kind of rule in words, and the question without it."""
    if problem.losses:
        told = ", ".join(f"{loss.id} with {percent(loss.kept_share)} still served" for loss in problem.losses)
        yield f"bearing {told}", replace(problem, losses=())
    if problem.share_limits:
        told = ", ".join(f"{one.id} {bounds_of(one)}" for one in problem.share_limits)
        yield f"spreading ({told})", replace(problem, share_limits=())
    if problem.ramping:
        yield f"keeping to {_ramps(problem.ramping)}", _without_ramps(problem)
    if any(offer.lost_share for offer in problem.offers):
        steady = tuple(replace(offer, interruptions_per_hour=0.0) for offer in problem.offers)
        yield "counting on interruptions", replace(problem, offers=steady)
    if problem.services:
        told = ", ".join(service.id for service in problem.services)
        closed = tuple(replace(service, max_requests_per_second=0.0) for service in problem.services)
        yield f"overflow to {told}", replace(problem, services=closed)
    if problem.sheds_any:
        all_served = tuple(replace(c, shed_usd_per_request=None) for c in problem.classes)
        yield "turning requests away", replace(problem, classes=all_served)
    if posed.candidates.spec.engine.disaggregation:
        whole = tuple(
            c if c.role is Role.WHOLE else replace(c, requests_per_second={}) for c in problem.columns
        )
        yield "letting prefill and decode stand apart", replace(problem, columns=whole)
    if posed.candidates.spec.engine.across_nodes:
        within = tuple(replace(c, requests_per_second={}) if c.also else c for c in problem.columns)
        yield "letting replicas stand on several nodes", replace(problem, columns=within)
    if any(column.usd_per_request for column in problem.columns):
        yield (
            "egress",
            replace(problem, columns=tuple(replace(c, usd_per_request={}) for c in problem.columns)),
        )
    if posed.candidates.held.reserved:
        yield "paying for reserved nodes, used or not,", _unreserved(problem)


def _ramps(ramping: Collection[PricedOffer]) -> str:
    """What a spec says of all offers alike."""
    limits = (
        ("added", {o.max_added_nodes for o in ramping} - {None}),
        ("removed", {o.max_removed_nodes for o in ramping} - {None}),
    )
    told = (f"{' or '.join(map(str, most))} {done}" for done, most in limits if most)
    return f"at most {' and '.join(told)} nodes of an offer from one period to the next"


def _without_ramps(problem: Problem) -> Problem:
    freely = (replace(o, max_added_nodes=None, max_removed_nodes=None) for o in problem.offers)
    return replace(problem, offers=tuple(freely))


def _unreserved(problem: Problem) -> Problem:
    """The question to somebody who has reserved nothing."""
    offers = tuple(
        replace(offer, committed_nodes=0, max_nodes=0) if offer.committed_nodes else offer
        for offer in problem.offers
    )
    return replace(problem, offers=offers)


def cost_of(problem: Problem, limit_seconds: float) -> Decimal | None:
    """What the cheapest fleet for a question costs, what shedding counts for included, as found in time; None where none was,
    or there is none."""
    found = _outcome(problem, limit_seconds)
    return found.counted_usd_per_hour if isinstance(found, Solution) else None


def least_cost(problem: Problem, limit_seconds: float) -> Decimal | None:
    """As `cost_of`; None too where the search ended before it had proven as much as is asked for."""
    found = _outcome(problem, limit_seconds)
    return found.counted_usd_per_hour if isinstance(found, Solution) and found.within_gap else None


def _outcome(problem: Problem, limit_seconds: float) -> Solution | Infeasible | None:
    """None where neither was known in time."""
    try:
        return solve(problem, effort=Effort(limit_seconds=limit_seconds))
    except TimeoutExpiredError:
        return None
