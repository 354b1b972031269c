"""What the limits are worth where classes come by the thousand: scarcity prices found without a model of them all.

At given prices each class goes where it is cheapest, which is one line of arithmetic for all of them; how much that takes
of each limit says which way the prices must go. What was seen of the bound so far is a few planes above it, and the
next prices are those that promise most, not too far from the best (a trust region keeps planes that are still few from
sending them back and forth). At least cost alone. Decides no class and no fleet; any prices would be valid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetops.solver import highs
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.patience import Patience
from hetops.solver.problem import Problem
from hetops.solver.weak_duality import ScarcityPrices

MOST_STEPS = 300
"""Prices that are tried."""

ENOUGH = 1e-4
"""Part of the bound: prices that promise no more are good enough to group classes by."""

FARTHEST = 1e4
"""Times a node's own price that scarcity may move it in one step: beyond, no fleet keeps the limits."""

Limits = tuple[str, str]
"""The field of `ScarcityPrices` and the key in it; the budget has none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Market:
    """All classes on all columns, as arrays."""

    loads: Floats
    """Nodes that all of a class takes, by class and column; infinite where it is not served."""
    usd: Floats
    """By column, per node and hour."""
    taken: Floats
    """By limit and column: what a node takes of it."""
    limits: Floats

    def charges(self, prices: Floats) -> Floats:
        """What a node of each column costs with what it takes of the limits."""
        return self.usd + prices @ self.taken

    def seen(self, prices: Floats) -> _Plane:
        """The bound at these prices, and how it changes with each of them."""
        costs = self.loads * self.charges(prices)
        cheapest = costs.argmin(axis=1)
        everyone = np.arange(len(costs))
        nodes = np.bincount(cheapest, weights=self.loads[everyone, cheapest], minlength=len(self.usd))
        bound = float(costs[everyone, cheapest].sum() - prices @ self.limits)
        return _Plane(at=prices, bound=bound, slope=self.taken @ nodes - self.limits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plane:
    """The bound at some prices, and a plane through it that no bound is above."""

    at: Floats
    bound: float
    slope: Floats


def priced(problem: Problem, loads: Floats, patience: Patience) -> tuple[ScarcityPrices, Floats]:
    """Scarcity prices for `problem` at least cost, and what a node of each column costs with them, in USD per hour.

    `loads` are the nodes that all of a class takes, by class and column; each class must have a column.
    """
    names, market = _market(problem, loads)
    best, trust = market.seen(np.zeros(len(names))), 1.0
    planes = [best]
    scales = _scales(market)
    for _ in range(MOST_STEPS):
        if patience.left == 0 or trust > FARTHEST:
            break
        promised, prices = _next(planes, best, trust * scales)
        seen = market.seen(prices)
        planes.append(seen)
        if promised - best.bound <= ENOUGH * abs(best.bound):
            best = max(best, seen, key=lambda plane: plane.bound)
            break
        gained = (seen.bound - best.bound) / (promised - best.bound)
        trust = trust * 2 if gained > 0.5 else trust / 2 if gained < 0.1 else trust
        best = seen if gained > 0.1 else best
    return _named(names, best.at), market.charges(best.at)


def _market(problem: Problem, loads: Floats) -> tuple[list[Limits], _Market]:
    offers = {offer.id: offer for offer in problem.offers}
    of = [offers[column.offer] for column in problem.columns]
    usd = np.array([float(offer.usd_per_hour) for offer in of])
    rows: list[tuple[Limits, Floats, float]] = []
    for offer in offers.values():
        ours = np.array([float(one.id == offer.id) for one in of])
        rows.append((("stock", offer.id), ours, float(problem.max_nodes(offer))))
    for group in problem.quota_groups:
        takes = np.array([float(one.quota_per_node.get(group.id, 0)) for one in of])
        rows.append((("quota", group.id), takes, float(group.limit)))
    for provider, budget in problem.provider_budgets_usd_per_hour.items():
        paid = np.array([one.provider == provider for one in of]) * usd
        rows.append((("provider_budget", provider), paid, float(budget)))
    if problem.budget_usd_per_hour is not None:
        rows.append((("budget", ""), usd, float(problem.budget_usd_per_hour)))
    usable = np.array([float(share) for share in problem.usable(problem.columns).values()])
    market = _Market(
        loads=loads / usable,
        usd=usd,
        taken=np.array([takes for _, takes, _ in rows]),
        limits=np.array([limit for *_, limit in rows]),
    )
    return [name for name, *_ in rows], market


def _scales(market: _Market) -> Floats:
    """By limit, the price of a unit that makes nodes which take of it twice as dear."""
    most = market.taken.max(axis=1, initial=0.0)
    dearest = np.array([market.usd[row > 0].max(initial=0.0) for row in market.taken])
    return np.where(most > 0, dearest / np.where(most > 0, most, 1.0), 1.0)


def _next(planes: list[_Plane], best: _Plane, reach: Floats) -> tuple[float, Floats]:
    """The prices within reach of the best at which the planes allow the largest bound, and that bound."""
    size = len(best.at)
    entries = np.array([np.append(-plane.slope, 1.0) for plane in planes])
    most = np.array([plane.bound - plane.slope @ plane.at for plane in planes])
    answer = highs.run(
        MatrixModel(
            cost=np.append(np.zeros(size), -1.0),
            lower=np.append(np.maximum(best.at - reach, 0.0), -INFINITY),
            upper=np.append(best.at + reach, INFINITY),
            integer=np.zeros(size + 1, dtype=bool),
            row_starts=np.arange(0, entries.size + 1, size + 1).astype(np.int32),
            row_indices=np.tile(np.arange(size + 1), len(planes)).astype(np.int32),
            row_values=entries.ravel(),
            row_lower=np.full(len(planes), -INFINITY),
            row_upper=most,
            subjects=("a plane above the bound",) * len(planes),
        ),
        on_interrupt=OnInterrupt.FINISH,
    )
    if not answer.found:
        return best.bound, best.at
    return -answer.objective, np.maximum(answer.values[:size], 0.0)


def _named(names: list[Limits], prices: Floats) -> ScarcityPrices:
    """The prices by what they are of."""
    worth: dict[str, dict[str, float]] = {"stock": {}, "quota": {}, "provider_budget": {}, "budget": {}}
    for (field, key), price in zip(names, prices, strict=True):
        worth[field][key] = float(price)
    return ScarcityPrices(
        stock=worth["stock"],
        quota=worth["quota"],
        provider_budget=worth["provider_budget"],
        budget=worth["budget"].get("", 0.0),
    )
