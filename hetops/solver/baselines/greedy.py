"""Greedy heuristics in the manner of GH and AGH (arXiv:2604.07472): one class after another on what is cheapest for it.

A single pass fills the room that rented nodes have left, best suited first, then rents node by node where a request of
the class costs least, a node's price being shared among the classes that are still to be served. Many starts try the classes in other orders and give back nodes that the others can do without.
Re-implemented from the paper's abstract: choice of model, precision and layout come in as columns.

Decides nodes and shares; proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

import numpy as np

from hetops.solver.answers.balance import Key, balance
from hetops.solver.baselines.answer import Shares
from hetops.solver.baselines.room import Counts, Room
from hetops.solver.baselines.scale import scored
from hetops.solver.matrix import Floats
from hetops.solver.problem import Demand, Problem
from hetops.solver.solution import Infeasible, Solution

STARTS = 16
"""Orders of the classes that many starts try."""

_NOTHING = 1e-9
"""Part of a node, or of a class, that counts as none."""


def greedy(problem: Problem) -> Solution | Infeasible:
    """One pass, the class with most work first."""
    return scored(problem, _one_pass, "greedy")


def greedy_many_starts(problem: Problem) -> Solution | Infeasible:
    """The cheapest of many passes, each without the nodes that the others can do without."""
    return scored(problem, _many_starts, "greedy, many starts")


def _one_pass(problem: Problem) -> tuple[dict[Key, int], Shares] | None:
    return _passed(problem, _Market.of(problem).order)


def _many_starts(problem: Problem) -> tuple[dict[Key, int], Shares] | None:
    order, random = list(_Market.of(problem).order), Random(0)
    found: list[tuple[Decimal, dict[Key, int]]] = []
    for _ in range(STARTS):
        passed = _passed(problem, tuple(order))
        if passed:
            nodes = _thinned(problem, passed[0])
            found.append((_cost(problem, nodes), nodes))
        random.shuffle(order)
    if not found:
        return None
    nodes = min(found, key=lambda f: f[0])[1]
    return nodes, balance(problem, nodes).shares


def _passed(problem: Problem, order: tuple[int, ...]) -> tuple[dict[Key, int], Shares] | None:
    filled = _Filled(market=_Market.of(problem))
    if not all(filled.serve(w) for w in order):
        return None
    keys = [column.key for column in filled.market.room.columns]
    nodes = {keys[j]: int(n) for j, n in enumerate(filled.counts) if n}
    names = [c.name for c in filled.market.classes]
    return nodes, {(names[w], keys[j]): share for (w, j), share in filled.shares.items()}


def _thinned(problem: Problem, nodes: dict[Key, int]) -> dict[Key, int]:
    """Without each node, dearest first, that the others can do without."""
    price = {offer.id: offer.usd_per_hour for offer in problem.offers}
    kept = dict(nodes)
    for key in sorted(nodes, key=lambda k: (-price[k[0]], k)):
        while kept.get(key):
            fewer = {k: n - (k == key) for k, n in kept.items() if n - (k == key) > 0}
            if not _serves(problem, fewer):
                break
            kept = fewer
    return kept


def _serves(problem: Problem, nodes: dict[Key, int]) -> bool:
    able = {
        name
        for column in problem.columns
        if column.key in nodes
        for name, rate in column.requests_per_second.items()
        if rate > 0
    }
    if any(c.requests_per_second > 0 and c.name not in able for c in problem.classes):
        return False
    return balance(problem, nodes).fullest <= 1.0


def _cost(problem: Problem, nodes: dict[Key, int]) -> Decimal:
    return sum((problem.offer(offer).usd_per_hour * n for (offer, _), n in nodes.items()), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Market:
    """What can be rented, and what it does: `rates[w, j]` requests per second of class w on one node of column j."""

    room: Room
    classes: tuple[Demand, ...]
    rates: Floats

    @classmethod
    def of(cls, problem: Problem) -> _Market:
        classes = tuple(c for c in problem.classes if c.requests_per_second > 0)
        usable = float(problem.usable_share)
        rates = [[column.rate(c.name) * usable for column in problem.columns] for c in classes]
        return cls(room=Room.of(problem, problem.columns), classes=classes, rates=np.array(rates))

    @property
    def order(self) -> tuple[int, ...]:
        """Classes by the money that their cheapest columns take, most first."""
        per_usd = (self.rates / self.room.usd_per_hour).max(axis=1)
        usd = np.array([c.requests_per_second for c in self.classes]) / np.maximum(per_usd, _NOTHING)
        return tuple(int(w) for w in np.argsort(-usd, kind="stable"))


@dataclass(slots=True, kw_only=True, eq=False)
class _Filled:
    """A fleet in the making: nodes, what they have left, and who serves what."""

    market: _Market
    counts: Counts = field(init=False)
    left: Floats = field(init=False)
    """Nodes' worth of time that each column has left."""
    due: Floats = field(init=False)
    """Requests per second of each class that are still to be served."""
    shares: dict[tuple[int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        width = len(self.market.room.columns)
        self.counts, self.left = np.zeros(width, dtype=np.int64), np.zeros(width)
        self.due = np.array([c.requests_per_second for c in self.market.classes])

    def serve(self, w: int) -> bool:
        """All of class w is served; False where what can still be rented does not suffice."""
        rates, whole = self.market.rates[w], self.market.classes[w].requests_per_second
        suited = rates / self.market.rates.max(axis=0, initial=_NOTHING)
        roomy = np.flatnonzero((self.left > _NOTHING) & (rates > 0)).tolist()
        for j in sorted(roomy, key=lambda j: -suited[j]):
            self._give(w, j)
        while self.due[w] > _NOTHING * whole:
            able = self.market.room.more(self.counts) & (rates > 0)
            if not able.any():
                return False
            cheapest = int(np.argmin(np.where(able, self._usd_per_request(w), np.inf)))
            self.counts[cheapest] += 1
            self.left[cheapest] += 1.0
            self._give(w, cheapest)
        return True

    def _usd_per_request(self, w: int) -> Floats:
        """Price of a request of class w on one node more of each column, as busy as all that is due would keep it."""
        rates = np.maximum(self.market.rates, _NOTHING)
        work = np.where(self.market.rates > 0, self.due[:, None] / rates, 0.0).sum(axis=0)
        usd: Floats = self.market.room.usd_per_hour / (rates[w] * np.clip(work, _NOTHING, 1.0))
        return usd

    def _give(self, w: int, j: int) -> None:
        """As much of class w as column j has room for."""
        rate = float(self.market.rates[w, j])
        given = min(float(self.due[w]), float(self.left[j]) * rate)
        self.left[j] -= given / rate
        self.due[w] -= given
        whole = self.market.classes[w].requests_per_second
        self.shares[w, j] = self.shares.get((w, j), 0.0) + given / whole
