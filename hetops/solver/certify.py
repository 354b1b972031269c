"""Checks a solution against its problem in exact arithmetic, and bounds the optimum without trusting the solver.

Shares no code with `formulate` on purpose: an error there must not excuse itself here. Every limit of the problem has
its function; what it finds is a value with a text, never an exception.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from hetops.domain import codec
from hetops.solver.problem import Mode, PricedOffer, Problem
from hetops.solver.solution import Solution

TOLERANCE = Fraction(1, 10**6)
"""Relative overload, or distance from a wanted gap, that counts as none: ten times the solver's tolerance."""

CHECKS = (
    "problem",
    "pools",
    "demand",
    "capacity",
    "stock",
    "quota",
    "budget",
    "provider budgets",
    "number of pools",
    "cost and rate",
    "bounds",
)
"""The rules that `certify` recomputes, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that the solution breaks, and on what."""

    rule: str
    subject: str
    message: str


def certify(problem: Problem, solution: Solution) -> tuple[Violation, ...]:
    """Every rule that the solution breaks; empty for a sound one."""
    strangers = (*_wrong_problem(problem, solution), *_impossible_pools(problem, solution))
    if strangers:  # nothing else can be judged of pools that the problem does not know
        return strangers
    return (
        *_unserved_classes(problem, solution),
        *_overloaded_pools(problem, solution),
        *_oversold_offers(problem, solution),
        *_broken_quotas(problem, solution),
        *_broken_budgets(problem, solution),
        *_too_many_pools(problem, solution),
        *_wrong_totals(problem, solution),
        *_impossible_bounds(problem, solution),
    )


def _wrong_problem(problem: Problem, solution: Solution) -> Iterator[Violation]:
    if solution.problem_digest != codec.digest(problem):
        yield Violation(rule="problem", subject="digest", message="the solution answers another problem")
    if solution.mode is not problem.mode:
        yield Violation(rule="problem", subject="mode", message=f"{solution.mode}, asked was {problem.mode}")


def _impossible_pools(problem: Problem, solution: Solution) -> Iterator[Violation]:
    columns = {column.key: column for column in problem.columns}
    for key, times in Counter(pool.key for pool in solution.pools).items():
        if times > 1:
            yield Violation(rule="pools", subject=_name(key), message="appears twice")
    for pool in solution.pools:
        column = columns.get(pool.key)
        if column is None:
            yield Violation(rule="pools", subject=_name(pool.key), message="is no column of the problem")
        elif pool.nodes < 1:
            yield Violation(rule="pools", subject=_name(pool.key), message=f"has {pool.nodes} nodes")
        elif pool.replicas_per_node != column.replicas_per_node:
            yield Violation(
                rule="pools", subject=_name(pool.key), message="replicas_per_node is not the column's"
            )


def _unserved_classes(problem: Problem, solution: Solution) -> Iterator[Violation]:
    nodes, columns = solution.nodes, {column.key: column for column in problem.columns}
    totals: defaultdict[str, Fraction] = defaultdict(Fraction)
    for share in solution.shares:
        where = f"{share.workload_class} on {_name(share.key)}"
        if share.share <= 0:
            yield Violation(rule="demand", subject=where, message=f"share {share.share} is not above 0")
        if share.key not in nodes:
            yield Violation(rule="demand", subject=where, message="there is no such pool")
        elif columns[share.key].rate(share.workload_class) <= 0:
            yield Violation(rule="demand", subject=where, message="the pool cannot serve the class")
        totals[share.workload_class] += _exact(share.share)
    pairs = Counter((share.workload_class, share.key) for share in solution.shares)
    for (name, key), times in pairs.items():
        if times > 1:
            yield Violation(rule="demand", subject=f"{name} on {_name(key)}", message="appears twice")
    wanted = {c.name: Fraction(c.requests_per_second > 0) for c in problem.classes}
    for name in {**wanted, **totals}:
        due = wanted.get(name, Fraction(0))
        if totals[name] != due:
            message = f"shares add up to {float(totals[name])}, not {due}"
            yield Violation(rule="demand", subject=name, message=message)
    yield from _wrong_rates(problem, solution)


def _wrong_rates(problem: Problem, solution: Solution) -> Iterator[Violation]:
    demands = _demands(problem, solution)
    for share in solution.shares:
        due = demands.get(share.workload_class, Fraction(0)) * _exact(share.share)
        if abs(_exact(share.requests_per_second) - due) > due * TOLERANCE:
            yield Violation(
                rule="demand",
                subject=f"{share.workload_class} on {_name(share.key)}",
                message=f"{share.requests_per_second} requests per second are not its share, {float(due)}",
            )


def _overloaded_pools(problem: Problem, solution: Solution) -> Iterator[Violation]:
    columns = {column.key: column for column in problem.columns}
    demands = _demands(problem, solution)
    loads: dict[tuple[str, str], Fraction] = {pool.key: Fraction(0) for pool in solution.pools}
    for share in solution.shares:
        column = columns.get(share.key)
        if column and share.key in loads and column.rate(share.workload_class) > 0:
            part = demands.get(share.workload_class, Fraction(0)) * _exact(share.share)
            loads[share.key] += part / Fraction(column.rate(share.workload_class))
    for pool in solution.pools:
        utilisation = loads[pool.key] / pool.nodes
        if utilisation > problem.usable_share * (1 + TOLERANCE):
            message = (
                f"uses {float(utilisation):.6%} of its capacity, may use {float(problem.usable_share):.2%}"
            )
            yield Violation(rule="capacity", subject=_name(pool.key), message=message)
        if abs(_exact(pool.utilisation) - utilisation) > TOLERANCE:
            message = f"says utilisation {pool.utilisation}, has {float(utilisation)}"
            yield Violation(rule="capacity", subject=_name(pool.key), message=message)


def _oversold_offers(problem: Problem, solution: Solution) -> Iterator[Violation]:
    rented: Counter[str] = Counter()
    for pool in solution.pools:
        rented[pool.offer] += pool.nodes
    for offer in problem.offers:
        most = problem.assumed_max_nodes if offer.max_nodes is None else offer.max_nodes
        if rented[offer.id] > most:
            message = f"{rented[offer.id]} nodes rented, {most} to be had"
            yield Violation(rule="stock", subject=offer.id, message=message)
    unknown = {o.id for o in problem.offers if o.max_nodes is None and rented[o.id]}
    if set(solution.assumed_offers) != unknown:
        message = f"says {sorted(solution.assumed_offers)}, are {sorted(unknown)}"
        yield Violation(rule="stock", subject="offers of unknown stock", message=message)


def _broken_quotas(problem: Problem, solution: Solution) -> Iterator[Violation]:
    per_node = {offer.id: offer.quota_per_node for offer in problem.offers}
    for group in problem.quota_groups:
        taken = sum(
            (Fraction(per_node[p.offer].get(group.id, Decimal(0))) * p.nodes for p in solution.pools),
            Fraction(0),
        )
        if taken > Fraction(group.limit):
            message = f"takes {float(taken):g} {group.unit}, limit is {group.limit}".replace(" ,", ",")
            yield Violation(rule="quota", subject=group.id, message=message)


def _broken_budgets(problem: Problem, solution: Solution) -> Iterator[Violation]:
    provider_of = {offer.id: offer.provider for offer in problem.offers}
    costs = _costs(problem, solution)
    total = sum(costs.values(), Decimal(0))
    if problem.budget_usd_per_hour is not None and total > problem.budget_usd_per_hour:
        message = f"costs {total} usd_per_hour, budget is {problem.budget_usd_per_hour}"
        yield Violation(rule="budget", subject="budget_usd_per_hour", message=message)
    for provider, budget in problem.provider_budgets_usd_per_hour.items():
        cost = sum((usd for (offer, _), usd in costs.items() if provider_of[offer] == provider), Decimal(0))
        if cost > budget:
            message = f"costs {cost} usd_per_hour, budget is {budget}"
            yield Violation(rule="provider budgets", subject=provider, message=message)


def _too_many_pools(problem: Problem, solution: Solution) -> Iterator[Violation]:
    if problem.max_pools is not None and len(solution.pools) > problem.max_pools:
        message = f"{len(solution.pools)} pools, at most {problem.max_pools} allowed"
        yield Violation(rule="number of pools", subject="max_pools", message=message)


def _wrong_totals(problem: Problem, solution: Solution) -> Iterator[Violation]:
    costs = _costs(problem, solution)
    for pool in solution.pools:
        if pool.usd_per_hour != costs[pool.key]:
            message = f"says {pool.usd_per_hour} usd_per_hour, costs {costs[pool.key]}"
            yield Violation(rule="cost and rate", subject=_name(pool.key), message=message)
    total = sum(costs.values(), Decimal(0))
    if solution.usd_per_hour != total:
        message = f"says {solution.usd_per_hour} usd_per_hour, costs {total}"
        yield Violation(rule="cost and rate", subject="usd_per_hour", message=message)
    minimises = problem.mode is Mode.MIN_COST
    if minimises and not _close(solution.requests_per_second, problem.requests_per_second):
        message = f"says {solution.requests_per_second}, the demand is {problem.requests_per_second}"
        yield Violation(rule="cost and rate", subject="requests_per_second", message=message)
    due = float(total) if minimises else solution.requests_per_second
    if not _close(solution.objective, due):
        message = f"says {solution.objective}, is {due}"
        yield Violation(rule="cost and rate", subject="objective", message=message)


def _impossible_bounds(problem: Problem, solution: Solution) -> Iterator[Violation]:
    sign = 1 if problem.mode is Mode.MIN_COST else -1
    for name, bound in (("bound", solution.bound), ("certified_bound", solution.certified_bound)):
        if sign * (solution.objective - bound) < -abs(solution.objective) * float(TOLERANCE):
            message = f"{bound} is better than the objective {solution.objective} the wrong way round"
            yield Violation(rule="bounds", subject=name, message=message)
    gap = relative_gap(solution.objective, solution.bound)
    if abs(gap - solution.gap) > float(TOLERANCE):
        yield Violation(rule="bounds", subject="gap", message=f"says {solution.gap}, is {gap}")
    if solution.within_gap and gap > problem.gap + float(TOLERANCE):
        yield Violation(rule="bounds", subject="within_gap", message=f"gap {gap} is above {problem.gap}")


def relative_gap(objective: float, bound: float) -> float:
    """Distance of the objective from the bound, relative to the objective; never negative."""
    return abs(objective - bound) / abs(objective) if objective else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScarcityPrices:
    """What one more unit of each limit would be worth, in the objective's unit: multipliers of a relaxation.

    Any non-negative numbers give a valid bound; good ones give a tight one. Negative ones count as 0.
    """

    stock: Mapping[str, float] = field(default_factory=dict)
    """Per node, by offer."""
    quota: Mapping[str, float] = field(default_factory=dict)
    """Per unit of quota, by group."""
    provider_budget: Mapping[str, float] = field(default_factory=dict)
    budget: float = 0.0
    """Per USD per hour."""


def weak_duality_bound(problem: Problem, prices: ScarcityPrices) -> Fraction:
    """A bound on the objective of every fleet, in exact arithmetic: below every cost, or above every rate.

    Each node is charged its scarcity on top of its cost; each class is then served on whatever column is cheapest for
    it. No fleet pays less. When minimising, the charge is paid back for all of every limit. When maximising, cost
    does not count, and what all limits are worth buys so many requests at the charge of the whole mix.
    """
    minimises = problem.mode is Mode.MIN_COST
    charge = {
        o.id: _charge(problem, o, prices) + Fraction(o.usd_per_hour) * minimises for o in problem.offers
    }
    serving = sum(
        (_cheapest(problem, name, charge) * rate for name, rate in _asked(problem).items()), Fraction(0)
    )
    worth = _worth_of_limits(problem, prices)
    if minimises:
        return max(serving - worth, Fraction(0))
    total = sum(_asked(problem).values(), Fraction(0))
    return worth / serving * total if serving > 0 else total * 10**12


def _charge(problem: Problem, offer: PricedOffer, prices: ScarcityPrices) -> Fraction:
    """What a node of the offer takes of every limit, at the scarcity prices."""
    usd = _price(prices.budget) * (problem.budget_usd_per_hour is not None)
    if offer.provider in problem.provider_budgets_usd_per_hour:
        usd += _price(prices.provider_budget.get(offer.provider, 0.0))
    quota = (
        Fraction(taken) * _price(prices.quota.get(group, 0.0))
        for group, taken in offer.quota_per_node.items()
    )
    return usd * Fraction(offer.usd_per_hour) + sum(quota, _price(prices.stock.get(offer.id, 0.0)))


def _cheapest(problem: Problem, name: str, charge: Mapping[str, Fraction]) -> Fraction:
    """Charge per request per second of a class where it is least: on the offer's column that serves it fastest."""
    fastest: dict[str, float] = {}
    for column in problem.columns:
        fastest[column.offer] = max(column.rate(name), fastest.get(column.offer, 0.0))
    able = (charge[offer] / Fraction(rate) for offer, rate in fastest.items() if rate > 0)
    return min(able, default=Fraction(0)) / problem.usable_share


def _worth_of_limits(problem: Problem, prices: ScarcityPrices) -> Fraction:
    stock = (_price(prices.stock.get(o.id, 0.0)) * problem.max_nodes(o) for o in problem.offers)
    quota = (_price(prices.quota.get(g.id, 0.0)) * Fraction(g.limit) for g in problem.quota_groups)
    budgets = (
        _price(prices.provider_budget.get(provider, 0.0)) * Fraction(usd)
        for provider, usd in problem.provider_budgets_usd_per_hour.items()
    )
    budget = _price(prices.budget) * Fraction(problem.budget_usd_per_hour or 0)
    return sum((*stock, *quota, *budgets), budget)


def _asked(problem: Problem) -> dict[str, Fraction]:
    return {c.name: Fraction(c.requests_per_second) for c in problem.classes if c.requests_per_second > 0}


def _price(value: float) -> Fraction:
    """A multiplier as a fraction of few digits, never negative: the bound holds for any."""
    return max(Fraction(value).limit_denominator(10**9), Fraction(0))


def _demands(problem: Problem, solution: Solution) -> dict[str, Fraction]:
    """What each class is served at: its demand, or its part of the rate reached."""
    asked = _asked(problem)
    if problem.mode is Mode.MIN_COST:
        return asked
    total = sum(asked.values(), Fraction(0))
    return {name: rate * Fraction(solution.requests_per_second) / total for name, rate in asked.items()}


def _costs(problem: Problem, solution: Solution) -> dict[tuple[str, str], Decimal]:
    price = {offer.id: offer.usd_per_hour for offer in problem.offers}
    return {pool.key: price[pool.offer] * pool.nodes for pool in solution.pools}


def _exact(value: float) -> Fraction:
    """The decimal number that `value` is written as."""
    return Fraction(repr(float(value)))


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def _name(key: tuple[str, str]) -> str:
    return f"{key[1]} on {key[0]}"
