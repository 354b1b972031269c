"""Changes that no model minimises, found by trying: demand, headroom, deadlines, assumed stock, latency targets.

Decides how far each is tried. Of each the smallest is told that a search found enough, on a grid that is stated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TypeVar

from hetops.domain.offer import Trait
from hetops.domain.percent import percent
from hetops.solver import highs
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.problem import Demand, Mode, Problem
from hetops.solver.questions import lift
from hetops.solver.questions.exact import outcome
from hetops.solver.questions.relaxation import Loosen, QuestionKind, Relaxation, waiting
from hetops.solver.solution import Solution
from hetops.solver.solve import Effort
from hetops.solver.waiting import deferrable

LOOSEST_FACTOR = 4096.0
"""Targets are loosened no further: milliseconds that were written for seconds are found out, a mistake beyond is not."""

MOST_ASSUMED = 4096
"""Nodes that are assumed of an offer, at most, where nobody knows how many there are."""

GRID = Decimal("0.001")
"""Steps of demand, headroom and what is kept through a loss."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Least:
    """Where in a row of values the first lies that suffices; not `sure` where a search before it had no time to say no."""

    at: int
    sure: bool


def less_demand(problem: Problem, limit_seconds: float) -> Iterator[Relaxation]:
    """The largest part of the demand that can be served in full, and the headroom that would do for all of it."""
    most = outcome(replace(problem, mode=Mode.MAX_THROUGHPUT), Effort(limit_seconds=limit_seconds))
    if not isinstance(most, Solution):
        return
    served = min(most.requests_per_second / problem.requests_per_second, 1.0)
    if served == 0:
        return
    part = _part(served)
    decimals = -2 - int(part.as_tuple().exponent)  # of per cent: all that the part has
    rates = f"{float(part) * problem.requests_per_second:.4g} of {problem.requests_per_second:.4g} requests per second"
    yield Relaxation(
        kind=QuestionKind.DEMAND,
        current=Decimal(1),
        needed=part,
        change_share=float(part - 1),
        factor=1 / served,
        text=f"serve {percent(part, decimals)} of the demand ({rates})",
        smallest=most.within_gap and not problem.sheds_any,
    )
    found = _headroom(problem, served, limit_seconds)
    if found is not None:
        headroom, sure = found
        now = percent(problem.headroom, 1)
        yield Relaxation(
            kind=QuestionKind.HEADROOM,
            current=Decimal(repr(problem.headroom)),
            needed=headroom,
            change_share=float(headroom) / problem.headroom - 1,
            factor=float((1 - headroom) / (1 - Decimal(repr(problem.headroom)))),
            text=f"lower the headroom from {now} to {percent(headroom, 1)}"
            if headroom
            else f"leave no headroom instead of {now}",
            smallest=sure and most.within_gap,
        )


def _headroom(problem: Problem, served: float, limit_seconds: float) -> tuple[Decimal, bool] | None:
    """The largest headroom that does, and whether that is sure; None where giving up all of it does not."""
    if problem.headroom <= 0:
        return None
    if _scales(problem):
        headroom = _floor(1 - float(problem.usable_share) / served)
        return (headroom, True) if headroom >= 0 else None
    steps = int(_floor(problem.headroom) / GRID)
    tried = [GRID * step for step in range(steps, -1, -1)]
    least = _least(tried, lambda headroom: _exists(replace(problem, headroom=float(headroom)), limit_seconds))
    return (tried[least.at], least.sure) if least else None


def _scales(problem: Problem) -> bool:
    """Whether a part s of the demand at a usable share u is all of it at u / s: where nodes alone serve all and are paid."""
    others = problem.services or problem.hands_over or problem.sheds_any
    return not (others or any(c.usd_per_request for c in problem.columns))


def more_assumed(problem: Problem, limit_seconds: float) -> Iterator[Relaxation]:
    """How many nodes would have to be assumed of the offers whose stock nobody knows; of one alone its stock is told."""
    served = {offer for column in problem.columns for offer in column.offers}
    if sum(offer.max_nodes is None and offer.id in served for offer in problem.offers) < 2:
        return
    now = problem.assumed_max_nodes
    tried = range(now + 1, MOST_ASSUMED + 1)
    least = _least(tried, lambda nodes: _exists(replace(problem, assumed_max_nodes=nodes), limit_seconds))
    if least:
        nodes = tried[least.at]
        text = f"assume {nodes} instead of {now} nodes of each offer whose stock nobody knows"
        found = Relaxation.of(QuestionKind.ASSUMED_STOCK, Decimal(now), Decimal(nodes), text=text)
        yield replace(found, smallest=least.sure)


def later_deadlines(problem: Problem, limit_seconds: float) -> Iterator[Relaxation]:
    """How long each class that may wait would have to: as many hours as let one more period serve it."""
    for demand in (c for c in problem.classes if deferrable(problem, c)):
        tried, name = _waits(problem, demand), demand.name
        least = _least(tried, _enough_wait(problem, name, limit_seconds))
        if least:
            now, hours = demand.deadline_hours or 0.0, tried[least.at]
            text = f"let {name} wait {hours:g} instead of {now:g} hours"
            values = Decimal(repr(now)), Decimal(repr(hours))
            found = Relaxation.of(QuestionKind.DEADLINE, *values, text=text, subject=name)
            yield replace(found, smallest=least.sure)


def _enough_wait(problem: Problem, name: str, limit_seconds: float) -> Callable[[float], bool | None]:
    return lambda hours: _exists(waiting(problem, name, hours), limit_seconds)


def _waits(problem: Problem, demand: Demand) -> list[float]:
    """Deadlines beyond the class's own with which some period can serve what came in some other, and cannot before."""
    hours = [stretch.hours for stretch in problem.stretches]
    around = [hours[first:] + hours[:first] for first in range(len(hours))]
    ends = {end for turn in around for end in itertools.accumulate(turn)}
    return sorted(end for end in ends if end > (demand.deadline_hours or 0.0))


def less_kept(problem: Problem, limit_seconds: float) -> Iterator[Relaxation]:
    """The share that is still served where any one offer may be lost: too many losses, as a rule, to minimise over."""
    for loss in (o for o in problem.losses if o.trait is Trait.OFFER and not o.values):
        tried = [GRID * step for step in range(int(_floor(loss.kept_share) / GRID), -1, -1)]
        limit = Limit(kind=LimitKind.LOSS, subject=loss.id)
        least = _least(tried, _enough_kept(problem, limit, limit_seconds))
        if least:
            kept = tried[least.at]
            values, text = (lift.current(problem, limit), kept), lift.advice(problem, limit, kept)
            found = Relaxation.of(LimitKind.LOSS, *values, text=text, subject=loss.id)
            yield replace(found, smallest=least.sure)


def _enough_kept(problem: Problem, limit: Limit, limit_seconds: float) -> Callable[[Decimal], bool | None]:
    return lambda kept: _exists(lift.having(problem, limit, kept), limit_seconds)


def looser_targets(loosen: Loosen, limit_seconds: float) -> Iterator[Relaxation]:
    """The smallest factor on all latency targets, to two digits; more time for requests never makes a fleet dearer."""

    def feasible(factor: float) -> bool:
        return bool(_exists(loosen(factor), limit_seconds))

    low, high = 1.0, 1.25
    while not feasible(high):
        low, high = high, high * 2
        if high > LOOSEST_FACTOR:
            return
    while high / low > 1.02:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if feasible(middle) else (middle, high)
    needed = Decimal(high).quantize(Decimal("0.001"), rounding=ROUND_CEILING)
    text = f"loosen the latency targets by a factor of {needed}"
    yield Relaxation.of(QuestionKind.TARGETS, Decimal(1), needed, text=text)


def _least(values: Sequence[_T], suffices: Callable[[_T], bool | None]) -> _Least | None:
    """The first value that suffices, where every one behind it does too; None where the last does not.

    `suffices` says None where it had no time to tell.
    """
    if not values or not suffices(values[-1]):
        return None
    low, high, step, sure = 0, len(values) - 1, 1, True
    while low < high:
        middle = min(low + step - 1, (low + high) // 2)  # what suffices is near what there is as a rule
        enough = suffices(values[middle])
        sure = sure and enough is not None
        low, high, step = (low, middle, step) if enough else (middle + 1, high, 2 * step)
    return _Least(at=high, sure=sure)


def _floor(share: float) -> Decimal:
    """To the tenth of a percent that still suffices; rounding of the solver's does not cost one."""
    return Decimal(share + highs.FEASIBILITY_TOLERANCE).quantize(GRID, rounding=ROUND_FLOOR)


def _part(served: float) -> Decimal:
    """As `_floor`, with two digits at least: of a demand a thousand times too large a part can still be served."""
    exact = Decimal(served * (1 + highs.FEASIBILITY_TOLERANCE))
    return exact.quantize(min(GRID, Decimal(1).scaleb(exact.adjusted() - 1)), rounding=ROUND_FLOOR)


def _exists(problem: Problem, limit_seconds: float) -> bool | None:
    """Whether there is any fleet; None where there was no time to tell."""
    answer = outcome(replace(problem, gap=0.999), Effort(limit_seconds=limit_seconds))
    return None if answer is None else isinstance(answer, Solution)
