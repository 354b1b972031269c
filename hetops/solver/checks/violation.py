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
    """Every stretch with what is to be served in it: what arrives and is not shed, or of batch work what waits for it."""
    kept = arrivals(problem, solution)
    hours = {stretch.name: Fraction(stretch.hours) for stretch in problem.stretches}
    found = []
    for stretch, does in zip(problem.stretches, solution.stretches, strict=True):
        rates = {c.name: kept[stretch.name][c.name] for c in problem.classes if not waits(problem, c)}
        for one in (w for w in solution.waits if w.served == stretch.name):
            arrived = kept.get(one.arrived, {}).get(one.workload_class, Fraction(0))
            brought = arrived * hours.get(one.arrived, Fraction(0)) * exact(one.share) / hours[stretch.name]
            rates[one.workload_class] = rates.get(one.workload_class, Fraction(0)) + brought
        found.append(Moment(part=stretch.part, rates=rates, does=does))
    return tuple(found)


def aftermaths(problem: Problem, solution: Solution) -> tuple[Moment, ...]:
    """Every stretch after every loss of anything in use: the pools that are left, with the shares that the solution has for it.

    Without shares for it nothing changes by a loss that has no part in what is served: the stretch is as it is.
    """
    told, now = {(one.name, one.period): one for one in solution.losses}, moments(problem, solution)
    found = []
    for scenario in problem.scenarios:
        for moment in now:
            does = moment.does
            then = told.get((scenario.name, does.name))
            if not then and _takes_nothing(does, scenario):
                continue
            left = replace(
                does,
                pools=tuple(pool for pool in does.pools if scenario.lost.isdisjoint(pool.rented)),
                shares=then.shares if then else (),
                handovers=then.handovers if then else (),
            )
            found.append(replace(moment, does=left, loss=scenario))
    return tuple(found)


def _takes_nothing(does: SolvedPeriod, scenario: Scenario) -> bool:
    """Whether all that serves in a period still does after a loss."""
    serves = {o for pool in does.pools for o in pool.rented} | {share.offer for share in does.shares}
    links = {end for one in does.handovers for end in (one.source, one.target)}
    return scenario.lost.isdisjoint(serves | links)


def arrivals(problem: Problem, solution: Solution) -> dict[str, dict[str, Fraction]]:
    """By stretch and class, what arrives and is served, then or later, in requests per second."""
    scale, kept = times(problem, solution), dict[str, dict[str, Fraction]]()
    for stretch, does in zip(problem.stretches, solution.stretches, strict=True):
        shed = {one.workload_class: exact(one.share) for one in does.shed}
        kept[stretch.name] = {
            name: Fraction(rate) * scale * (1 - shed.get(name, Fraction(0)))
            for name, rate in stretch.rates.items()
        }
    return kept


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
