"""From nodes to a solution, for problems without terms: fewest pools, shares that are even, costs, bounds.

Decides nothing that costs: of the fleets as good as the one that was found it takes the one with fewest pools.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from hetops.solver import highs
from hetops.solver.answers.balance import Balance, Key, balance
from hetops.solver.answers.cheapest import RATE_SLACK
from hetops.solver.certify import weak_duality_bound
from hetops.solver.formulate import SMALLEST_UNIT, Formulation, at_rate, formulate
from hetops.solver.highs import Answer, OnInterrupt
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import Proven, prices_of
from hetops.solver.search.start import Searched
from hetops.solver.solution import Ended, Solution, SolvedPool, SolvedShare


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the search left: nodes, shares, and the rate served."""

    nodes: Mapping[Key, int]
    balance: Balance
    requests_per_second: float


def read_plain(problem: Problem, digest: str, searched: Searched, tidy_seconds: float) -> Solution:
    """The solution that a search for `problem` found, with its bounds, not checked; `digest` is its problem's.

    With no time to tidy, pools and shares are as the search left them.
    """
    found = _found(problem, searched, tidy_seconds)
    formulation, answer = searched.formulation, searched.answer
    minimises = problem.mode is Mode.MIN_COST
    usd_per_hour = _cost(problem, found.nodes)
    objective = float(usd_per_hour) if minimises else found.requests_per_second
    certified = float(weak_duality_bound(problem, prices_of(formulation, searched.relaxed)))
    bound = answer.bound * formulation.unit
    proven = Proven.of(problem, objective, bound if minimises else -bound, certified)
    unknown = {offer.id for offer in problem.offers if offer.max_nodes is None}
    return Solution(
        mode=problem.mode,
        problem_digest=digest,
        pools=_pools(problem, found),
        shares=_shares(problem, found),
        usd_per_hour=usd_per_hour,
        requests_per_second=found.requests_per_second,
        objective=objective,
        bound=proven.bound,
        certified_bound=certified,
        gap=proven.gap,
        within_gap=proven.within_gap,
        assumed_offers=tuple(sorted(unknown & {offer for offer, _ in found.nodes})),
        solver=highs.NAME,
        solve_seconds=answer.seconds,
        ended=Ended.GAP if proven.within_gap else searched.ended,
    )


def _found(problem: Problem, searched: Searched, tidy_seconds: float) -> _Found:
    """The search's answer made tidy. When maximising, the rate is what the fleet serves when its fullest pool is full."""
    nodes = _nodes(searched.formulation, searched.answer)
    scale = searched.formulation.scale_index
    if scale is None:
        tidied = tidy(problem, nodes, tidy_seconds)
        spread, rate = balance(problem, tidied), problem.requests_per_second
    else:
        reached = float(searched.answer.values[scale]) * searched.formulation.unit
        served = at_rate(problem, reached * (1 - RATE_SLACK))
        tidied = tidy(served, nodes, tidy_seconds)
        spread = balance(served, tidied)
        rate = served.requests_per_second / spread.fullest
    return _Found(nodes=tidied, balance=spread, requests_per_second=rate)


def _nodes(formulation: Formulation, answer: Answer) -> dict[Key, int]:
    """Nodes by column."""
    counts = {column.key: round(float(answer.values[j])) for j, column in enumerate(formulation.columns)}
    return {key: count for key, count in counts.items() if count > 0}


def tidy(problem: Problem, nodes: Mapping[Key, int], seconds: float) -> dict[Key, int]:
    """Nodes that cost no more and make fewest pools, out of the columns in use; `nodes` where that takes too long."""
    if seconds <= 0:
        return dict(nodes)
    used = tuple(column for column in problem.columns if column.key in nodes)
    spent = _cost(problem, nodes)
    # The model rounds every price up to a whole step; without the slack `nodes` itself could be over the budget.
    slack = SMALLEST_UNIT * sum(nodes.values())
    formulation = formulate(
        replace(problem, columns=used, budget_usd_per_hour=spent + slack),
        minimise=Limit(kind=LimitKind.POOLS),
    )
    answer = highs.run(formulation.model, limit_seconds=seconds, on_interrupt=OnInterrupt.FINISH)
    if answer.status is not highs.Status.OPTIMAL:
        return dict(nodes)
    tidied = _nodes(formulation, answer)
    return tidied if tidied and _cost(problem, tidied) <= spent else dict(nodes)


def _cost(problem: Problem, nodes: Mapping[Key, int]) -> Decimal:
    prices = {offer.id: offer.usd_per_hour for offer in problem.offers}
    return sum((prices[offer] * count for (offer, _), count in nodes.items()), Decimal(0))


def _pools(problem: Problem, found: _Found) -> tuple[SolvedPool, ...]:
    prices = {offer.id: offer.usd_per_hour for offer in problem.offers}
    loads = _loads(problem, found)
    return tuple(
        SolvedPool(
            offer=column.offer,
            configuration=column.configuration,
            nodes=found.nodes[column.key],
            replicas_per_node=column.replicas_per_node,
            usd_per_hour=prices[column.offer] * found.nodes[column.key],
            utilisation=loads[column.key] / found.nodes[column.key],
        )
        for column in sorted(problem.columns, key=lambda c: c.key)
        if column.key in found.nodes
    )


def _loads(problem: Problem, found: _Found) -> dict[Key, float]:
    """Nodes' worth of work on each column."""
    columns = {column.key: column for column in problem.columns}
    rates = _rates(problem, found)
    parts: dict[Key, list[float]] = {key: [] for key in found.nodes}
    for (name, key), share in found.balance.shares.items():
        parts[key].append(share * rates[name] / columns[key].rate(name))
    return {key: math.fsum(loads) for key, loads in parts.items()}


def _shares(problem: Problem, found: _Found) -> tuple[SolvedShare, ...]:
    rates = _rates(problem, found)
    return tuple(
        SolvedShare(
            workload_class=name,
            offer=key[0],
            configuration=key[1],
            share=share,
            requests_per_second=share * rates[name],
        )
        for (name, key), share in sorted(found.balance.shares.items())
    )


def _rates(problem: Problem, found: _Found) -> dict[str, float]:
    factor = found.requests_per_second / problem.requests_per_second
    return {c.name: c.requests_per_second * factor for c in problem.classes}
