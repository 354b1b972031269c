"""Why there is no fleet: for each limit alone, the smallest change that lets one exist, found by solving for it.

Decides what to suggest and in which order, never by how much: that is always a fleet somebody could rent.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from hetops.domain.percent import signed_percent
from hetops.errors import InfeasibleError
from hetops.solver import highs
from hetops.solver.bands import Bands
from hetops.solver.formulate import Formulation, at_rate, formulate
from hetops.solver.highs import Answer
from hetops.solver.limit import OF_WHAT_IS_SERVED, Limit, LimitKind
from hetops.solver.matrix import INFINITY
from hetops.solver.patience import Patience
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import scarcity_prices
from hetops.solver.questions import lift, trials
from hetops.solver.questions.exact import Front
from hetops.solver.questions.relaxation import Loosen, Relaxation
from hetops.solver.search import start
from hetops.solver.search.begun import rented
from hetops.solver.side_by_side import each_of, side_by_side
from hetops.solver.solution import Infeasible
from hetops.solver.solve import unservable_classes
from hetops.solver.waiting import deferrable

MOST_PROBED = 8
"""Stocks and quotas that are solved for, the scarcest first: the tenth best suggestion helps nobody."""


def relaxations(
    problem: Problem, *, loosen: Loosen | None = None, limit_seconds: float = 30.0
) -> tuple[Relaxation, ...]:
    """Every single change that makes an infeasible problem feasible, the smallest factor first; of stocks of nothing the fewest.

    A problem of mode max_throughput is infeasible where it can serve nothing: the changes then let it serve a little.
    `loosen` gives the problem with looser latency targets; without it targets are not considered.
    """
    each = each_of(limit_seconds, MOST_PROBED + 4)
    fixed = problem if problem.mode is Mode.MIN_COST else _a_little(problem)
    front = Front(bands=Bands.of(fixed))
    servable = not unservable_classes(fixed)
    limits = tuple(_limits(front)) if servable else ()
    tried: list[Callable[[float], Iterator[Relaxation]]] = [
        *(partial(_lifted, front, limit) for limit in limits),
        *(
            partial(trial, fixed)
            for trial in (trials.more_assumed, trials.less_kept, trials.later_deadlines)
            if servable
        ),
        *([partial(trials.less_demand, problem)] if fixed is problem else []),
        *([partial(trials.looser_targets, loosen)] if loosen else []),
    ]
    found = itertools.chain.from_iterable(side_by_side(lambda of: tuple(of(each)), tried))
    return tuple(sorted(found, key=lambda r: (r.factor, r.kind, r.needed, r.subject)))


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
    details = tuple(f"{r.text} ({_change(r)})" for r in found)
    hint = found[0].text if found else _NOTHING_SERVES if infeasible.unservable else _NO_SINGLE_LIMIT
    return InfeasibleError(message, details=details[1:] and ("any one of:", *details), hint=hint)


_NOTHING_SERVES = "allow offers or configurations that serve it, loosen its targets, or leave it out"
_NO_SINGLE_LIMIT = "no single limit is to blame: allow more offers, or ask for less"


def _a_little(problem: Problem) -> Problem:
    """The mix at a rate that takes a hundredth of a node at most, or thereabouts."""
    rates = [max((c.rate(d.name) for c in problem.columns), default=0.0) for d in problem.classes]
    slowest = min((rate for rate in rates if rate > 0), default=1.0)
    return at_rate(problem, slowest / 100)


def _change(relaxation: Relaxation) -> str:
    """How much of the limit is changed: with as many digits as it takes not to say all of it where it is nearly so."""
    change = relaxation.change_share
    if change == INFINITY:
        told = "from nothing"
    elif change == -1:
        told = "all of it"
    else:
        told = signed_percent(change, max(1, math.ceil(-math.log10(1 + change)) - 2))
    return told + ("" if relaxation.smallest else ", maybe less")


def _limits(front: Front) -> Iterator[Limit]:
    """Limits worth lifting: budgets and pools always, stocks and quotas by how scarce the relaxation finds them."""
    problem = front.bands.problem
    if problem.budget_usd_per_hour is not None:
        yield Limit(kind=LimitKind.BUDGET)
    if problem.max_pools is not None:
        yield Limit(kind=LimitKind.POOLS)
    yield from lift.limits_of_terms(problem)
    for provider in sorted(problem.provider_budgets_usd_per_hour):
        yield Limit(kind=LimitKind.PROVIDER_BUDGET, subject=provider)
    seen = front.bands.searched  # of equal offers in line the cheapest stands for the stock of all
    prices = scarcity_prices(replace(seen, mode=Mode.MAX_THROUGHPUT))
    worth = {o.id: prices.stock.get(o.id, 0.0) * max(seen.max_nodes(o), 1) for o in seen.offers}
    stocks = [(usd, Limit(kind=LimitKind.STOCK, subject=offer)) for offer, usd in worth.items()]
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
    least = float(formulation.model.cost @ values) * formulation.unit
    current, needed = lift.current(problem, limit), lift.needed(problem, limit, least)
    text = lift.advice(problem, limit, needed)
    found = Relaxation.of(limit.kind, current, needed, text=text, subject=limit.subject)
    smallest = answer.status is highs.Status.OPTIMAL and not _maybe_less(problem, limit)
    yield replace(found, smallest=smallest)


def _maybe_less(problem: Problem, limit: Limit) -> bool:
    """Whether less of the limit might do: while it was minimised, nothing was shed that may be, and of losses nothing waited."""
    at_once = limit.kind is LimitKind.LOSS and any(deferrable(problem, c) for c in problem.classes)
    return at_once or (limit.kind in OF_WHAT_IS_SERVED and problem.sheds_any)


def _least(front: Front, limit: Limit, patience: Patience) -> tuple[Formulation, Answer]:
    """The fleet with least of the limit, of as few offers as suffice: what the relaxation rents is told apart first."""
    own = (limit.subject,) if limit.kind is LimitKind.STOCK else ()
    bands, parts_suffice = front.apart(own).bands, True
    while True:
        formulation = formulate(bands.searched, minimise=limit)
        if not formulation.frame.places:
            return formulation, highs.NOTHING
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
