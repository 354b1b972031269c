"""The one evaluator of all rivals: nodes and shares, however they were chosen, as a `Solution` of the problem.

Decides what a fleet with these shares costs and serves, on the problem's rates. Proves nothing: the bounds of such a
solution are the trivial ones, and its gap says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from hetops.domain import codec
from hetops.solver.answers.balance import SHARE_DECIMALS, Key
from hetops.solver.certify import ScarcityPrices, relative_gap, weak_duality_bound
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Ended, Infeasible, Solution, SolvedPool, SolvedShare

Shares = Mapping[tuple[str, Key], float]
"""The part of a class, by its name, that a column serves."""

OVERLOAD = 1e-7
"""Relative overload that counts as none: what the solver's tolerance leaves."""


def answer(problem: Problem, nodes: Mapping[Key, int], shares: Shares, solver: str) -> Solution | Infeasible:
    """The solution that `nodes` with `shares` are; `Infeasible` where they do not serve the demand.

    The shares of each class are taken relative to their sum. When maximising, the rate is the largest at which no pool
    is overloaded with these shares. Limits are not looked at: `certify` finds those that are broken.
    """
    digest = codec.digest(problem)
    rounded = _rounded(problem, nodes, shares)
    times = _times_served(problem, nodes, rounded)
    minimises = problem.mode is Mode.MIN_COST
    if times <= 0 or (minimises and times < 1 - OVERLOAD):
        return Infeasible(problem_digest=digest)
    scale = 1.0 if minimises else times
    pools = _pools(problem, nodes, rounded, scale)
    of_pools = problem.usd_per_pool_hour * len(pools)
    usd_per_hour = sum((pool.usd_per_hour for pool in pools), of_pools)
    rate = problem.requests_per_second * scale
    objective = float(usd_per_hour) if minimises else rate
    bound = float(weak_duality_bound(problem, ScarcityPrices()))
    bound = min(bound, objective) if minimises else max(bound, objective)
    gap = relative_gap(objective, bound)
    demands = {c.name: c.requests_per_second * scale for c in problem.classes}
    unknown = {offer.id for offer in problem.offers if offer.max_nodes is None}
    return Solution(
        mode=problem.mode,
        problem_digest=digest,
        pools=pools,
        shares=tuple(
            SolvedShare(
                workload_class=name,
                offer=key[0],
                configuration=key[1],
                share=share,
                requests_per_second=share * demands[name],
            )
            for (name, key), share in sorted(rounded.items())
        ),
        usd_per_hour=usd_per_hour,
        requests_per_second=rate,
        objective=objective,
        bound=bound,
        certified_bound=bound,
        gap=gap,
        within_gap=gap <= problem.gap,
        assumed_offers=tuple(sorted(unknown & {offer for pool in pools for offer in pool.rented})),
        solver=solver,
        solve_seconds=0.0,
        ended=Ended.GAP,
        pools_usd_per_hour=of_pools,
    )


def restated(problem: Problem, found: Solution | Infeasible, solver: str) -> Solution | Infeasible:
    """What was found for a narrower problem, as an answer to `problem`: same nodes, same shares, nothing proven."""
    if isinstance(found, Infeasible):
        return Infeasible(problem_digest=codec.digest(problem))
    shares = {(share.workload_class, share.key): share.share for share in found.shares}
    return answer(problem, found.nodes, shares, solver)


def _rounded(problem: Problem, nodes: Mapping[Key, int], shares: Shares) -> dict[tuple[str, Key], float]:
    """Shares in whole steps that add up to exactly 1; the largest share of a class takes the rounding."""
    steps = 10**SHARE_DECIMALS
    found: dict[tuple[str, Key], float] = {}
    for demand in (c for c in problem.classes if c.requests_per_second > 0):
        of = {key: v for (name, key), v in shares.items() if name == demand.name and nodes.get(key, 0) > 0}
        total = math.fsum(of.values())
        parts = {key: round(value / total * steps) for key, value in of.items()} if total > 0 else {}
        parts = {key: part for key, part in parts.items() if part > OVERLOAD * steps}
        if parts:
            largest = max(parts, key=lambda key: parts[key])
            parts[largest] += steps - sum(parts.values())
        found |= {(demand.name, key): float(Fraction(part, steps)) for key, part in parts.items()}
    return found


def _times_served(problem: Problem, nodes: Mapping[Key, int], shares: Shares) -> float:
    """How many times the demand is served when the fullest pool is full; 0 where a class has no share."""
    served = {name for name, _ in shares}
    if any(c.requests_per_second > 0 and c.name not in served for c in problem.classes):
        return 0.0
    loads = _loads(problem, shares)
    usable = float(problem.usable_share)
    return min((nodes[key] * usable / load for key, load in loads.items()), default=0.0)


def _loads(problem: Problem, shares: Shares) -> dict[Key, float]:
    """Nodes' worth of work on each column, at the demand; endless where it cannot serve a class that it gets."""
    columns = {column.key: column for column in problem.columns}
    demands = {c.name: c.requests_per_second for c in problem.classes}
    parts: dict[Key, list[float]] = {}
    for (name, key), share in shares.items():
        rate = columns[key].rate(name)
        parts.setdefault(key, []).append(share * demands[name] / rate if rate > 0 else math.inf)
    return {key: math.fsum(loads) for key, loads in parts.items()}


def _pools(
    problem: Problem, nodes: Mapping[Key, int], shares: Shares, scale: float
) -> tuple[SolvedPool, ...]:
    """Every pool that was rented, used or not."""
    price = {offer.id: offer.usd_per_hour for offer in problem.offers}
    loads = _loads(problem, shares)
    return tuple(
        SolvedPool(
            offer=column.offer,
            configuration=column.configuration,
            nodes=nodes[column.key],
            replicas_per_node=column.replicas_per_node,
            usd_per_hour=nodes[column.key]
            * sum((price[o] * n.numerator for o, n in column.takes.items()), Decimal(0)),
            utilisation=loads.get(column.key, 0.0) * scale / nodes[column.key],
            also={offer: count * nodes[column.key] for offer, count in column.also.items()},
        )
        for column in sorted(problem.columns, key=lambda c: c.key)
        if nodes.get(column.key, 0) > 0
    )
