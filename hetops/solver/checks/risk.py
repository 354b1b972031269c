"""Checks that classes are spread over places that fail, or are taken away, together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

from hetops.domain.percent import percent
from hetops.solver.checks.violation import TOLERANCE, Moment, Violation, moments, waits
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from hetops.solver.terms import Role, ShareLimit, exact

Key = tuple[str, str]
Served = defaultdict[str, Fraction]


def broken_share_limits(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Of each class between the least and the most share is served where a limit says so."""
    told = moments(problem, solution)
    for limit in problem.share_limits:
        for name, places in problem.places(limit.trait, limit.values).items():
            for moment in told:
                yield from _broken(problem, limit, moment.where(f"{limit.id}: {name}"), (moment,), places)
            if len(told) > 1:
                yield from _broken(problem, limit, f"{limit.id}: {name}", told, places)


def _broken(
    problem: Problem, limit: ShareLimit, subject: str, told: tuple[Moment, ...], places: frozenset[str]
) -> Iterator[Violation]:
    """The limit in a moment, for what is served as it comes; over several, for batch work."""
    over_all = len(told) == len(problem.stretches)
    names = [c.name for c in problem.classes if c.name in (limit.classes or (c.name,))]
    late = {c.name for c in problem.classes if waits(problem, c)}
    judged = [n for n in names if (over_all if n in late else len(told) == 1)]
    rates = {name: sum((m.part * m.asked(name) for m in told), Fraction(0)) for name in judged}
    stand = {column.key: {column.offer, *column.also} for column in problem.columns}
    stand |= {(service.id, ""): {service.id} for service in problem.services}
    partly = {key for key, offers in stand.items() if offers & places}
    wholly = {key for key, offers in stand.items() if offers <= places}
    for role in (Role.PREFILL, Role.DECODE):
        most, least = (_served(problem, told, keys, role) for keys in (partly, wholly))
        yield from _outside(limit, subject, (most, least), rates)


def _served(problem: Problem, told: tuple[Moment, ...], places: set[Key], role: Role) -> Served:
    """What is served of each class on the places, in requests per second, weighed by the length of the moments."""
    roles = {column.key: column.role for column in problem.columns}
    served: Served = defaultdict(Fraction)
    for moment in told:
        for share in moment.does.shares:
            if share.key in places and roles.get(share.key, Role.WHOLE) in (Role.WHOLE, role):
                rate = moment.asked(share.workload_class) * exact(share.share)
                served[share.workload_class] += rate * moment.part
    return served


def _outside(
    limit: ShareLimit, subject: str, served: tuple[Served, Served], rates: dict[str, Fraction]
) -> Iterator[Violation]:
    """`served` on columns that stand there with any offer, and with all of them."""
    for name, rate in rates.items():
        if rate <= 0:
            continue
        partly, wholly = (of[name] / rate for of in served)
        if partly > exact(limit.at_most) + TOLERANCE or wholly < exact(limit.at_least) - TOLERANCE:
            share = partly if partly > exact(limit.at_most) else wholly
            message = f"serves {percent(float(share), 4)} of {name}, must be {percent(limit.at_least, 2)} to {percent(limit.at_most, 2)}"
            yield Violation(rule="share limits", subject=subject, message=message)
