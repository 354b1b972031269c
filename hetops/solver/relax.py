"""Why there is no fleet: for each limit alone, the smallest change that lets one exist, found by solving for it.

Decides what to suggest and in which order, never by how much: that is always a fleet somebody could rent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

from hetops.errors import InfeasibleError, TimeoutExpiredError
from hetops.solver import highs, lift, start
from hetops.solver.bands import Bands
from hetops.solver.exact import Front, rented
from hetops.solver.formulate import Formulation, Limit, LimitKind, at_rate, formulate
from hetops.solver.highs import Answer
from hetops.solver.matrix import INFINITY
from hetops.solver.patience import Patience
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import scarcity_prices
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve, unservable_classes

Loosen = Callable[[float], Problem]
"""The problem with every latency target multiplied by a factor."""

MOST_PROBED = 8
"""Stocks and quotas that are solved for, the scarcest first: the tenth best suggestion helps nobody."""

LOOSEST_FACTOR = 4096.0
"""Targets are loosened no further: milliseconds that were written for seconds are found out, a mistake beyond is not."""


class RelaxationKind(StrEnum):
    """What is changed: a limit, as `LimitKind` has them, or the question."""

    BUDGET = "budget"
    MEAN_BUDGET = "mean budget"
    PROVIDER_BUDGET = "provider budget"
    STOCK = "stock"
    QUOTA = "quota"
    POOLS = "pools"
    SHARE = "most share"
    LEAST_SHARE = "least share"
    QUALITY = "mean quality"
    LOSS = "loss"
    CHANGES = "changes"
    HEADROOM = "headroom"
    DEMAND = "demand"
    TARGETS = "targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """A change of one limit that makes the problem solvable.

    `current` and `needed` are in the limit's own unit (a factor of 1 for targets, a share of 1 for demand);
    `change_share` is the relative change of the limit, `factor` how many times what can be planned with it grows or
    the demand shrinks: what relaxations of different kinds are compared by. `smallest` is False where the time ran out before no smaller one was left.
    """

    kind: RelaxationKind
    subject: str = ""
    current: Decimal
    needed: Decimal
    change_share: float
    factor: float
    text: str
    """What to do, in words with both numbers."""
    smallest: bool = True


def relaxations(
    problem: Problem, *, loosen: Loosen | None = None, limit_seconds: float = 30.0
) -> tuple[Relaxation, ...]:
    """Every single change that makes an infeasible problem feasible, the smallest factor first.

    A problem of mode max_throughput is infeasible where it can serve nothing: the changes then let it serve a little.
    `loosen` gives the problem with looser latency targets; without it targets are not considered.
    """
    each = limit_seconds / (MOST_PROBED + 4)
    fixed = problem if problem.mode is Mode.MIN_COST else _a_little(problem)
    front = Front(bands=Bands.of(fixed))
    limits = () if unservable_classes(fixed) else _limits(fixed)
    found = [
        *(r for limit in limits for r in _lifted(front, limit, each)),
        *(_less_demand(problem, each) if fixed is problem else ()),
        *(_looser_targets(loosen, each) if loosen else ()),
    ]
    return tuple(sorted(found, key=lambda r: (r.factor, r.kind, r.subject)))


def relaxed(problem: Problem, change: Relaxation, loosen: Loosen | None = None) -> Problem:
    """The problem with the change made.

    Raises:
        ValueError: looser targets without `loosen`.
    """
    needed = change.needed
    if change.kind is RelaxationKind.DEMAND:
        return at_rate(problem, problem.requests_per_second * float(needed))
    if change.kind is RelaxationKind.TARGETS:
        if loosen is None:
            raise ValueError("targets can be loosened only where they are known")
        return loosen(float(needed))
    if change.kind is RelaxationKind.HEADROOM:
        return replace(problem, headroom=float(needed))
    return lift.having(problem, Limit(kind=LimitKind(change.kind), subject=change.subject), needed)


def infeasible_error(
    problem: Problem, infeasible: Infeasible, found: tuple[Relaxation, ...]
) -> InfeasibleError:
    """The error that names the smallest relaxation, and the others below it."""
    rate = f"{problem.requests_per_second:.4g} requests per second"
    if infeasible.unservable:
        classes = ", ".join(infeasible.unservable)
        message = f"no configuration on any offer serves {classes} within the targets"
    elif problem.mode is Mode.MAX_THROUGHPUT:
        message = "the limits leave no room for a single node of use"
    else:
        message = f"no fleet serves {rate} within the limits"
    details = tuple(f"{r.text} ({_percent(r)})" for r in found)
    hint = found[0].text if found else "no single limit is to blame: allow more offers, or ask for less"
    return InfeasibleError(message, details=details[1:] and ("any one of:", *details), hint=hint)


def _a_little(problem: Problem) -> Problem:
    """The mix at a rate that takes a hundredth of a node at most, or thereabouts."""
    rates = [max((c.rate(d.name) for c in problem.columns), default=0.0) for d in problem.classes]
    slowest = min((rate for rate in rates if rate > 0), default=1.0)
    return at_rate(problem, slowest / 100)


def _percent(relaxation: Relaxation) -> str:
    change = relaxation.change_share
    return (f"{change:+.1%}" if change < INFINITY else "from nothing") + (
        "" if relaxation.smallest else ", maybe less"
    )


def _limits(problem: Problem) -> Iterator[Limit]:
    """Limits worth lifting: budgets and pools always, stocks and quotas by how scarce the relaxation finds them."""
    if problem.budget_usd_per_hour is not None:
        yield Limit(kind=LimitKind.BUDGET)
    if problem.max_pools is not None:
        yield Limit(kind=LimitKind.POOLS)
    yield from lift.limits_of_terms(problem)
    for provider in sorted(problem.provider_budgets_usd_per_hour):
        yield Limit(kind=LimitKind.PROVIDER_BUDGET, subject=provider)
    prices = scarcity_prices(replace(problem, mode=Mode.MAX_THROUGHPUT))
    worth = {o.id: prices.stock.get(o.id, 0.0) * max(problem.max_nodes(o), 1) for o in problem.offers}
    stocks = [(worth[o.id], Limit(kind=LimitKind.STOCK, subject=o.id)) for o in problem.offers]
    quotas = [
        (prices.quota.get(g.id, 0.0) * float(g.limit), Limit(kind=LimitKind.QUOTA, subject=g.id))
        for g in problem.quota_groups
    ]
    ranked = sorted([*stocks, *quotas], key=lambda pair: (-pair[0], pair[1].kind, pair[1].subject))
    yield from (limit for _, limit in ranked[:MOST_PROBED])


def _lifted(front: Front, limit: Limit, limit_seconds: float) -> Iterator[Relaxation]:
    """The least of one limit that suffices; nothing where no amount of it does."""
    problem = front.bands.problem
    formulation, answer = _least(front, limit, Patience.of(limit_seconds))
    if not answer.found:
        return
    values = answer.values.copy()
    whole = formulation.frame.integers
    values[:whole] = values[:whole].round()
    needed = lift.needed(limit, float(formulation.model.cost @ values) * formulation.unit)
    current = lift.current(problem, limit)
    yield Relaxation(
        kind=RelaxationKind(limit.kind),
        subject=limit.subject,
        current=current,
        needed=needed,
        change_share=float(needed / current) - 1 if current else INFINITY,
        factor=_factor(needed, current),
        text=lift.advice(problem, limit, needed),
        smallest=answer.status is highs.Status.OPTIMAL,
    )


def _least(front: Front, limit: Limit, patience: Patience) -> tuple[Formulation, Answer]:
    """The fleet with least of the limit, of as few offers as suffice: what the relaxation rents is told apart first."""
    own = (limit.subject,) if limit.kind is LimitKind.STOCK else ()
    bands, parts_suffice = front.apart(own).bands, True
    while True:
        formulation = formulate(bands.searched, minimise=limit)
        if not formulation.frame.places:
            return formulation, start.NOTHING
        relaxed = start.relax(formulation, patience)
        answer = relaxed.answer
        if not parts_suffice:
            cancel = highs.OnInterrupt.CANCEL
            answer = start.search(
                formulation.model, relaxed, gap=bands.problem.gap, patience=patience, on_interrupt=cancel
            )
        finer = bands.finer_by(rented(formulation.frame, answer.values)) if answer.found else bands
        if finer == bands and not (parts_suffice and answer.found):
            return formulation, answer
        bands, parts_suffice = finer, parts_suffice and finer != bands


def _factor(needed: Decimal, current: Decimal) -> float:
    """How many times one is the other, whichever way the limit goes."""
    small, large = sorted((needed, current))
    return float(large / small) if small > 0 else INFINITY


def _less_demand(problem: Problem, limit_seconds: float) -> Iterator[Relaxation]:
    """The largest part of the demand that can be served, and the headroom that would do for all of it."""
    outcome = _within(replace(problem, mode=Mode.MAX_THROUGHPUT), limit_seconds)
    if not isinstance(outcome, Solution):
        return
    served = min(outcome.requests_per_second / problem.requests_per_second, 1.0)
    part = _floor(served)
    if part == 0:
        return
    rates = f"{float(part) * problem.requests_per_second:.4g} of {problem.requests_per_second:.4g} requests per second"
    yield Relaxation(
        kind=RelaxationKind.DEMAND,
        current=Decimal(1),
        needed=part,
        change_share=served - 1,
        factor=1 / served,
        text=f"serve {part:.1%} of the demand ({rates})",
        smallest=outcome.within_gap,
    )
    # Capacity is linear in the usable share, so a part s of the demand at usable share u is all of it at u / s.
    headroom = _floor(1 - float(problem.usable_share) / served)
    if problem.headroom > 0 and headroom >= 0:
        yield Relaxation(
            kind=RelaxationKind.HEADROOM,
            current=Decimal(repr(problem.headroom)),
            needed=headroom,
            change_share=float(headroom) / problem.headroom - 1,
            factor=1 / served,
            text=f"lower the headroom from {problem.headroom:.1%} to {headroom:.1%}",
            smallest=outcome.within_gap,
        )


def _floor(share: float) -> Decimal:
    """To the tenth of a percent that still suffices; rounding of the solver's does not cost one."""
    return Decimal(share + highs.FEASIBILITY_TOLERANCE).quantize(Decimal("0.001"), rounding=ROUND_FLOOR)


def _looser_targets(loosen: Loosen, limit_seconds: float) -> Iterator[Relaxation]:
    """The smallest factor on all latency targets, to two digits; more time for requests never makes a fleet dearer."""

    def feasible(factor: float) -> bool:
        return isinstance(_within(replace(loosen(factor), gap=0.999), limit_seconds), Solution)

    low, high = 1.0, 1.25
    while not feasible(high):
        low, high = high, high * 2
        if high > LOOSEST_FACTOR:
            return
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if feasible(middle) else (middle, high)
    needed = Decimal(high).quantize(Decimal("0.001"), rounding=ROUND_CEILING)
    yield Relaxation(
        kind=RelaxationKind.TARGETS,
        current=Decimal(1),
        needed=needed,
        change_share=float(needed) - 1,
        factor=float(needed),
        text=f"loosen the latency targets by a factor of {needed}",
    )


def _within(problem: Problem, limit_seconds: float) -> Solution | Infeasible | None:
    """The outcome, or None where there is none in time."""
    try:
        return solve(problem, limit_seconds=limit_seconds)
    except TimeoutExpiredError:
        return None
