"""Checks that classes get the quality that they ask for on average."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from hetops.domain.percent import percent
from hetops.solver.checks.violation import TOLERANCE, Moment, Violation, moments, waits
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from hetops.solver.terms import FULL_QUALITY, Role, exact


def low_quality(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """What is served of a class has its mean quality: in every period, batch work over all of them together."""
    told = moments(problem, solution)
    for demand in problem.classes:
        if demand.mean_quality is None:
            continue
        least, name = exact(demand.mean_quality), demand.name
        together = {name: told} if waits(problem, demand) else {m.where(name): (m,) for m in told}
        for subject, some in together.items():
            means = [_mean(problem, name, some, role) for role in (Role.PREFILL, Role.DECODE)]
            mean = min((m for m in means if m is not None), default=least)
            if mean < least - TOLERANCE:
                message = f"gets {percent(float(mean), 4)} of the 16-bit score on average, must be {percent(float(least), 2)}"
                yield Violation(rule="mean quality", subject=subject, message=message)


def _mean(problem: Problem, name: str, told: tuple[Moment, ...], role: Role) -> Fraction | None:
    """Over the requests of a class; None where none of it is served."""
    roles = {column.key: column.role for column in problem.columns}
    quality = {column.key: column.quality for column in problem.columns}
    quality |= {(service.id, ""): service.quality for service in problem.services}
    served, score = Fraction(0), Fraction(0)
    for moment in told:
        for share in (one for one in moment.does.shares if one.workload_class == name):
            if roles.get(share.key, role) in (Role.WHOLE, role):
                requests = moment.part * moment.asked(name) * exact(share.share)
                served += requests
                score += requests * exact(quality.get(share.key, {}).get(name, FULL_QUALITY))
    return score / served if served else None
