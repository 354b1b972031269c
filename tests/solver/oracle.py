"""Brute force over every fleet of a tiny problem with two classes, in exact arithmetic and without any solver."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from hetops.solver.problem import Column, Problem

Fleet = tuple[tuple[Column, int], ...]


def cheapest(problem: Problem) -> Decimal | None:
    """Least cost of a fleet that serves the demand; None where there is none."""
    return min((cost(problem, f) for f in fleets(problem) if serves(problem, f, Fraction(1))), default=None)


def some_fleet_serves(problem: Problem, times: Fraction) -> bool:
    """Whether any fleet within the limits serves `times` the demand."""
    return any(serves(problem, fleet, times) for fleet in fleets(problem))


def fleets(problem: Problem) -> Iterator[Fleet]:
    """Every fleet within stock, quotas, budgets and number of pools."""
    counts = (range(problem.max_nodes(problem.offer(c.offer)) + 1) for c in problem.columns)
    for nodes in itertools.product(*counts):
        fleet = tuple((c, n) for c, n in zip(problem.columns, nodes, strict=True) if n)
        if _within_limits(problem, fleet):
            yield fleet


def cost(problem: Problem, fleet: Fleet) -> Decimal:
    """USD per hour."""
    of_nodes = (o.usd_per_hour * n for o, n in zip(problem.offers, _rented(problem, fleet), strict=True))
    return sum(of_nodes, problem.usd_per_pool_hour * len(fleet))


def serves(problem: Problem, fleet: Fleet, times: Fraction) -> bool:
    """Whether the fleet serves `times` the demand of both classes.

    By comparative advantage: the first class goes to pools in the order of how well they serve it relative to the
    second, which then gets all the time left. No other assignment leaves the second more.
    """
    first, second = (Fraction(c.requests_per_second) * times for c in problem.classes)
    x, y = (c.name for c in problem.classes)
    usable = [(c, n * problem.usable_share) for c, n in fleet]
    order = sorted(usable, key=lambda pool: _disadvantage(pool[0], x, y))
    for column, nodes in order:
        rate_x, rate_y = Fraction(column.rate(x)), Fraction(column.rate(y))
        used = min(nodes, first / rate_x) if rate_x else Fraction(0)
        first -= used * rate_x
        second -= (nodes - used) * rate_y
    return first <= 0 and second <= 0


def _disadvantage(column: Column, x: str, y: str) -> float | Fraction:
    rate_x, rate_y = Fraction(column.rate(x)), Fraction(column.rate(y))
    return rate_y / rate_x if rate_x else float("inf")


def _rented(problem: Problem, fleet: Fleet) -> list[int]:
    """Nodes of every offer: of its own columns, and of those that it goes with."""
    return [sum(n * ((c.offer == o.id) + c.also.get(o.id, 0)) for c, n in fleet) for o in problem.offers]


def _within_limits(problem: Problem, fleet: Fleet) -> bool:
    nodes_of = dict(zip((o.id for o in problem.offers), _rented(problem, fleet), strict=True))
    spent = {o.provider: Decimal(0) for o in problem.offers}
    for o in problem.offers:
        spent[o.provider] += o.usd_per_hour * nodes_of[o.id]
    return (
        all(nodes_of[o.id] <= problem.max_nodes(o) for o in problem.offers)
        and all(
            sum(o.quota_per_node.get(g.id, Decimal(0)) * nodes_of[o.id] for o in problem.offers) <= g.limit
            for g in problem.quota_groups
        )
        and all(spent[p] <= usd for p, usd in problem.provider_budgets_usd_per_hour.items())
        and (problem.budget_usd_per_hour is None or cost(problem, fleet) <= problem.budget_usd_per_hour)
        and (problem.max_pools is None or len(fleet) <= problem.max_pools)
    )
