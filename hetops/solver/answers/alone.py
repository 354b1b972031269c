"""A period of an answer as an answer of its own: the same fleet, for what it serves then, checked and bounded alone.

Decides no fleet and no share. What ties periods together, starts, waits, a mean budget, what pools cost besides their nodes, stays with the whole; what runs
already changes into the fleet of the first. Limits on
shares, and on the quality, of work that may wait hold over the whole, so they stay there too; what is shed of it is shed
where it arrives, before it waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from hetops.domain import codec
from hetops.errors import HetopsError
from hetops.solver.answers.reading import MICRO_USD
from hetops.solver.certify import TOLERANCE, certify, relative_gap, weak_duality_bound
from hetops.solver.checks.violation import waits
from hetops.solver.formulate import formulate
from hetops.solver.patience import Patience
from hetops.solver.problem import Problem, running
from hetops.solver.proof import Proven, certified_bound, prices_of
from hetops.solver.search import losses
from hetops.solver.search.start import relax
from hetops.solver.solution import Solution, SolvedPeriod, SolvedShed, usd_of_shed
from hetops.solver.terms import ShareLimit, exact

BOUND_SECONDS = 5.0
"""For the relaxation that bounds a period: far more than one takes."""

_WIDEST_GAP = 0.999999
"""A problem's gap is below one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """A period's question and its answer. Where nothing is asked for, the question is that of the busiest rates."""

    problem: Problem
    solution: Solution


def alone(problem: Problem, solution: Solution) -> tuple[Alone, ...]:
    """Each period of a problem at least cost with its part of the solution, in order.

    The bound of each is that of its relaxation: no fleet that serves the same in this period alone costs less.

    Raises:
        HetopsError: a period does not keep the limits by itself, which no checked solution of the whole may do.
    """
    periods = enumerate(solution.periods)
    return tuple(
        _alone(problem if t == 0 else replace(problem, migration=None), solution, period)
        for t, period in periods
    )


def waiting(problem: Problem) -> frozenset[str]:
    """Names of the classes that other periods than their own may serve."""
    return frozenset(c.name for c in problem.classes if waits(problem, c))


def served_rates(problem: Problem, solution: Solution, period: SolvedPeriod) -> dict[str, float]:
    """Requests per second of each class that a period is asked for: what arrives, of batch work what waits bring."""
    stretches, late = {s.name: s for s in problem.stretches}, waiting(problem)
    own = stretches[period.name]
    rates = {c.name: 0.0 if c.name in late else own.rates[c.name] for c in problem.classes}
    shed = {(p.name, one.workload_class): one.share for p in solution.periods for one in p.shed}
    for one in (w for w in solution.waits if w.served == period.name):
        then = stretches[one.arrived]
        served = one.share * (1 - shed.get((one.arrived, one.workload_class), 0.0))
        rates[one.workload_class] += then.rates[one.workload_class] * then.hours * served / own.hours
    shared = {share.workload_class for share in period.shares} | {one.workload_class for one in period.shed}
    # What waits bring may be less than the solver can tell from nothing: then nobody serves it.
    return {n: 0.0 if n not in shared and rate <= float(TOLERANCE) else rate for n, rate in rates.items()}


def _alone(problem: Problem, solution: Solution, period: SolvedPeriod) -> Alone:
    rates = served_rates(problem, solution, period)
    asked, late = any(rate > 0 for rate in rates.values()), waiting(problem)
    question = replace(
        problem,
        periods=(),
        classes=tuple(
            replace(
                c,
                requests_per_second=rates[c.name] if asked else c.requests_per_second,
                deadline_hours=None,
                mean_quality=None if c.name in late else c.mean_quality,
                shed_usd_per_request=None if c.name in late else c.shed_usd_per_request,
            )
            for c in problem.classes
        ),
        share_limits=tuple(_kept_alone(problem)),
        mean_budget_usd_per_hour=None,
        usd_per_pool_hour=Decimal(0),
    )
    proven = _proven(question, period) if asked else Proven(bound=0.0, gap=1.0, within_gap=False)
    # As near as is proven of it alone is all that is asked of it: what is wanted is asked of the whole.
    question = replace(question, gap=min(proven.gap, _WIDEST_GAP))
    answer = _answer(question, solution, period, proven)
    if asked:
        _demand_sound(question, answer, period.name)
    return Alone(problem=question, solution=answer)


def _kept_alone(problem: Problem) -> Iterator[ShareLimit]:
    """The limits on shares, of classes that do not wait."""
    late = waiting(problem)
    for limit in problem.share_limits:
        classes = tuple(c.name for c in problem.classes if not limit.classes or c.name in limit.classes)
        left = tuple(name for name in classes if name not in late)
        if left == classes:
            yield limit
        elif left:
            yield replace(limit, classes=left)


def _proven(question: Problem, period: SolvedPeriod) -> Proven:
    formulation = formulate(losses.untold(question))
    relaxed = relax(formulation, Patience.of(BOUND_SECONDS))
    bound = (
        float(weak_duality_bound(question, prices_of(formulation, relaxed)))
        if question.plain
        else certified_bound(question, formulation, relaxed)
    )
    return Proven.of(question, _objective(question, period), bound, bound)


def _shed(question: Problem, period: SolvedPeriod) -> tuple[SolvedShed, ...]:
    """What is turned away of what is served as it comes."""
    may_be = {c.name for c in question.classes if question.sheds(c)}
    return tuple(one for one in period.shed if one.workload_class in may_be)


def _objective(question: Problem, period: SolvedPeriod) -> float:
    return float(_usd_per_hour(question, period) + usd_of_shed(_shed(question, period)))


def _usd_per_hour(question: Problem, period: SolvedPeriod) -> Decimal:
    return period.usd_per_hour + _changes(question, period)


def _changes(question: Problem, period: SolvedPeriod) -> Decimal:
    """What it counts for in USD per hour to change what runs already into the period's fleet."""
    terms = question.migration
    if terms is None:
        return Decimal(0)
    now, then = running(question), {pool.key: pool.nodes for pool in period.pools}
    usd = Fraction(0)
    for column in (c for c in question.columns if c.key in now or c.key in then):
        more = column.size * (then.get(column.key, 0) - now.get(column.key, 0))
        usd += max(more, Fraction(0)) * Fraction(terms.usd_per_added_node)
        usd += max(-more, Fraction(0)) * Fraction(terms.usd_per_removed_node)
    usd /= exact(terms.horizon_hours)
    return (Decimal(usd.numerator) / usd.denominator).quantize(MICRO_USD)


def _answer(question: Problem, whole: Solution, period: SolvedPeriod, proven: Proven) -> Solution:
    unknown = {offer.id for offer in question.offers if offer.max_nodes is None}
    objective = _objective(question, period)
    rented = {o for p in period.pools for o in p.rented} | {r.offer for r in period.rentals}
    return Solution(
        mode=whole.mode,
        problem_digest=codec.digest(question),
        pools=period.pools,
        shares=period.shares,
        usd_per_hour=_usd_per_hour(question, period),
        requests_per_second=period.requests_per_second,
        objective=objective,
        bound=proven.bound,
        certified_bound=proven.bound,
        gap=relative_gap(objective, proven.bound),
        within_gap=proven.gap <= question.gap,
        assumed_offers=tuple(sorted(unknown & rented)),
        solver=whole.solver,
        solve_seconds=whole.solve_seconds,
        ended=whole.ended,
        rentals=period.rentals,
        handovers=period.handovers,
        shed=_shed(question, period),
        changes_usd_per_hour=_changes(question, period),
        losses=tuple(replace(loss, period="") for loss in whole.losses if loss.period == period.name),
    )


def _demand_sound(question: Problem, answer: Solution, name: str) -> None:
    if broken := certify(question, answer):
        raise HetopsError(
            f"period {name} does not stand by itself: it breaks {broken[0].rule}",
            details=(f"{v.rule}: {v.subject}: {v.message}" for v in broken),
            hint="report this with the problem file (hetops plan --write-problem FILE)",
        )
