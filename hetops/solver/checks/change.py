"""Checks of what changes: from period to period, and from the fleet that runs already; how much, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from hetops.solver.checks.violation import TOLERANCE, Violation, moments
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from hetops.solver.terms import exact

Key = tuple[str, str]


def wrong_changes(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """What changes cost is what boots and migration cost, neither less nor more."""
    due = _boots(problem, solution) + _migration(problem, solution)
    said = Fraction(solution.changes_usd_per_hour)
    if abs(said - due) > Fraction(2, 10**6) + due * TOLERANCE:
        message = f"says {solution.changes_usd_per_hour} usd_per_hour, costs {float(due):.10g}"
        yield Violation(rule="changes", subject="changes_usd_per_hour", message=message)


def _boots(problem: Problem, solution: Solution) -> Fraction:
    """Starts from each period to the next, from the last to the first, as USD per hour."""
    price = {offer.id: Fraction(offer.usd_per_hour) for offer in problem.offers}
    counts = [{pool.key: pool.nodes for pool in moment.does.pools} for moment in moments(problem, solution)]
    used, total = {key for count in counts for key in count}, Fraction(0)
    columns = [column for column in problem.columns if column.key in used]
    for before, after in zip([counts[-1], *counts[:-1]], counts, strict=True):
        for column in columns:
            started = max(after.get(column.key, 0) - before.get(column.key, 0), 0)
            hours = exact(column.boot_seconds) / 3600
            total += started * hours * sum(price[offer] * nodes for offer, nodes in column.takes.items())
    window = sum((Fraction(period.hours) for period in problem.periods), Fraction(0))
    return total / window if window else Fraction(0)


def _changes(problem: Problem, solution: Solution) -> tuple[Fraction, Fraction]:
    """Nodes added and removed, with those that go with them; a part of a node is that part."""
    if problem.migration is None:
        return Fraction(0), Fraction(0)
    now = {one.key: one.nodes for one in problem.migration.running}
    then = {pool.key: pool.nodes for pool in solution.stretches[0].pools}
    size = {c.key: Fraction(1 + sum(c.also.values()), c.parts_per_node) for c in problem.columns}
    changes = [size[key] * (then.get(key, 0) - now.get(key, 0)) for key in {*now, *then}]
    return sum((c for c in changes if c > 0), Fraction(0)), -sum((c for c in changes if c < 0), Fraction(0))


def _migration(problem: Problem, solution: Solution) -> Fraction:
    if problem.migration is None:
        return Fraction(0)
    added, removed = _changes(problem, solution)
    usd = [
        Fraction(of) for of in (problem.migration.usd_per_added_node, problem.migration.usd_per_removed_node)
    ]
    return (added * usd[0] + removed * usd[1]) / exact(problem.migration.horizon_hours)


def too_many_changes(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """No more nodes are added and removed than allowed."""
    most = problem.migration.max_changed_nodes if problem.migration else None
    added, removed = _changes(problem, solution)
    if most is not None and added + removed > most:
        message = f"{float(added):g} nodes added and {float(removed):g} removed, at most {most} may change"
        yield Violation(rule="number of changes", subject="max_changed_nodes", message=message)
