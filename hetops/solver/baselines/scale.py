"""Most throughput from a rival that only knows how to serve a demand: the largest rate whose fleet stays within limits.

Decides rates to try, by halving; what serves each of them is the rival's affair.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from hetops.solver.answers.balance import Key
from hetops.solver.baselines.answer import Shares, answer
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Infeasible, Solution

Serve = Callable[[Problem], tuple[dict[Key, int], Shares] | None]
"""Nodes and shares for a problem of least cost, within its limits; None where the rival finds none."""

PRECISION = 0.005
"""Relative distance between a rate that could be served and one that could not, at which the halving ends."""

SMALLEST = 1e-4
"""Part of the largest rate that the limits could allow below which nothing is taken to be served."""


def scored(problem: Problem, serve: Serve, solver: str) -> Solution | Infeasible:
    """What the rival answers to a problem of either mode; at most throughput its shares are scored on the rate reached."""
    if problem.mode is Mode.MIN_COST:
        found = serve(problem)
        return answer(problem, *found, solver) if found else Infeasible()
    most = _most(problem)
    low, high, kept = 0.0, most, None
    while high - low > PRECISION * high and high > SMALLEST * most:
        tried = (low + high) / 2
        found = serve(_demanded(problem, tried))
        low, high, kept = (tried, high, found) if found else (low, tried, kept)
    return answer(problem, *kept, solver) if kept else Infeasible()


ANY_FLEET = 0.99
"""The gap asked for while a rate is tried: whatever is within the limits will do."""


def _demanded(problem: Problem, times: float) -> Problem:
    classes = tuple(replace(c, requests_per_second=c.requests_per_second * times) for c in problem.classes)
    return replace(problem, mode=Mode.MIN_COST, classes=classes, gap=ANY_FLEET)


def _most(problem: Problem) -> float:
    """Times the demand that no fleet within stock and budget can exceed: every class alone on all that there is."""
    usd = problem.budget_usd_per_hour
    reach = []
    for demand in (c for c in problem.classes if c.requests_per_second > 0):
        rates: dict[str, float] = {}
        for column in problem.columns:
            rates[column.offer] = max(rates.get(column.offer, 0.0), column.rate(demand.name))
        stock = math.fsum(problem.max_nodes(problem.offer(o)) * rate for o, rate in rates.items())
        per_usd = max(rate / float(problem.offer(o).usd_per_hour) for o, rate in rates.items())
        bought = math.inf if usd is None else float(usd) * per_usd
        reach.append(min(stock, bought) / demand.requests_per_second)
    return min(reach) * (1 + PRECISION)
