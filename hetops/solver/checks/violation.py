"""What a check finds, and what is served when. Decides no rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from hetops.solver.problem import Demand, Mode, Problem
from hetops.solver.solution import Solution, SolvedPeriod
from hetops.solver.terms import Scenario, exact

TOLERANCE = Fraction(1, 10**6)
"""Relative overload, or distance from a wanted gap, that counts as none: ten times the solver's tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that the solution breaks, and on what."""

    rule: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A stretch of the problem with what the solution does in it: as it is, or after a loss."""

    part: Fraction
    """Of the whole window."""
    rates: Mapping[str, Fraction]
    """What is to be served of each class, in requests per second."""
    does: SolvedPeriod
    loss: Scenario | None = None

    def where(self, subject: str) -> str:
        """The subject, in its period where there are several, without what is lost."""
        subject = f"{subject} in {self.does.name}" if self.does.name else subject
        return f"{subject} without {self.loss.name}" if self.loss else subject

    def asked(self, name: str) -> Fraction:
        """What is to be served of a class; 0 of one that the problem does not know."""
        return self.rates.get(name, Fraction(0))


def moments(problem: Problem, solution: Solution) -> tuple[Moment, ...]:
    """Every stretch with what is to be served in it: what arrives, or of batch work what waits for it."""
    asked, scale = problem.stretches, times(problem, solution)
    found = []
    for stretch, does in zip(asked, solution.stretches, strict=True):
        rates = {
            c.name: Fraction(stretch.rates[c.name]) * scale for c in problem.classes if not waits(problem, c)
        }
        for one in solution.waits:
            if one.served == stretch.name:
                rates[one.workload_class] = rates.get(one.workload_class, Fraction(0)) + _waited(
                    problem, one.workload_class, one.arrived, exact(one.share) * scale
                ) / Fraction(stretch.hours)
        found.append(Moment(part=stretch.part, rates=rates, does=does))
    return tuple(found)


def aftermaths(problem: Problem, solution: Solution) -> tuple[Moment, ...]:
    """Every stretch after every loss: the pools that are left, with the shares that the solution has for it.

    Where it has none, nothing changes if what is lost has no part in what is served, and no work would have waited.
    """
    told = {(one.name, one.period): one for one in solution.losses}
    scale = times(problem, solution)
    found = []
    for scenario in problem.scenarios:
        for stretch, does in zip(problem.stretches, solution.stretches, strict=True):
            then = told.get((scenario.name, stretch.name))
            untouched = not then and _takes_nothing(problem, does, scenario)
            left = replace(
                does,
                pools=tuple(pool for pool in does.pools if scenario.lost.isdisjoint(pool.rented)),
                shares=then.shares if then else does.shares * untouched,
                handovers=then.handovers if then else does.handovers * untouched,
            )
            rates = {name: Fraction(rate) * scale for name, rate in stretch.rates.items()}
            found.append(Moment(part=stretch.part, rates=rates, does=left, loss=scenario))
    return tuple(found)


def _takes_nothing(problem: Problem, does: SolvedPeriod, scenario: Scenario) -> bool:
    """Whether all that serves in a period still does after a loss."""
    serves = {o for pool in does.pools for o in pool.rented} | {share.offer for share in does.shares}
    links = {end for one in does.handovers for end in (one.source, one.target)}
    return scenario.lost.isdisjoint(serves | links) and not any(waits(problem, c) for c in problem.classes)


def _waited(problem: Problem, name: str, arrived: str, times_share: Fraction) -> Fraction:
    """Requests of a class per second that arrive in a period, times its hours, times the share that is meant."""
    stretch = next((s for s in problem.stretches if s.name == arrived), None)
    return Fraction(stretch.rates[name]) * Fraction(stretch.hours) * times_share if stretch else Fraction(0)


def times(problem: Problem, solution: Solution) -> Fraction:
    """How many times the demand is served."""
    if problem.mode is Mode.MIN_COST:
        return Fraction(1)
    asked = sum(
        (s.part * Fraction(rate) for s in problem.stretches for rate in s.rates.values()), Fraction(0)
    )
    return Fraction(solution.requests_per_second) / asked


def waits(problem: Problem, demand: Demand) -> bool:
    """Whether the class is batch work that periods other than its own may serve."""
    return demand.deadline_hours is not None and len(problem.periods) > 1


def close(a: float, b: float) -> bool:
    """Whether two numbers differ by no more than the last digits that floats carry."""
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def name_of(key: tuple[str, str]) -> str:
    """A pool or service in words."""
    return f"{key[1]} on {key[0]}" if key[1] else key[0]
