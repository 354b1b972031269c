"""What a fleet can do for thousands of classes, and what that says of all others. Small linear models at most.

At given prices of the time on each pool every class goes to the pool where it is cheapest: one line of arithmetic for all
classes, and one way to share them out. The best mixture of such ways leaves the fullest pool as empty as can be, and the
prices at which no way is better prove it (Dantzig and Wolfe's decomposition, with a row for each pool).

Those prices say what each class is worth, and that tells of every fleet: what all classes are worth is no more than its
nodes could earn with them. What nodes of a column could earn at most is concave in how many they are, so at whole numbers
a line through two neighbours is never below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import INFINITY, Floats, Row, assemble

MOST_STEPS = 400
"""Prices that are tried for one fleet."""

NEAR_BEST = 0.5
"""How far new prices keep to the best ones so far: ways that are still few send them back and forth."""

NOISE = 1e-9
"""Part of a mixture, or of what is proven, that is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filled:
    """A fleet with all classes on it, its fullest pool as empty as can be."""

    least: float
    """Proven: in no way the fullest pool is emptier. Infinite where a class has no pool."""
    most: float
    """Reached by mixing the ways: 1 is full."""
    worth: Floats
    """By class, at the prices that prove it."""
    ways: NDArray[np.int64]
    """The column of each class (rows) in each way (columns) of the mixture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """What a fleet could earn at most: `anyway`, and so much for each node of a column."""

    anyway: float
    per_node: Floats


def filled(loads: Floats, nodes: Floats, *, enough: float, near: float) -> Filled:
    """All classes on so many nodes of each column.

    `loads` are the nodes that all of a class takes, by class and column, infinite where it cannot go. Ends as soon as the
    fullest pool can be as empty as `enough`; where it cannot, within `near` of the least.
    """
    used = np.flatnonzero(nodes > 0)
    own, count = loads[:, used], nodes[used]
    homeless = ~np.isfinite(own).any(axis=1)
    if homeless.any():
        nowhere = np.zeros((len(loads), 0), dtype=np.int64)
        return Filled(least=INFINITY, most=INFINITY, worth=homeless.astype(float), ways=nowhere)
    everyone, best = np.arange(len(own)), 1.0 / count / len(count)
    prices, least, most, parts = best, 0.0, INFINITY, np.zeros(0)
    ways: list[NDArray[np.int64]] = []
    taken: list[Floats] = []
    for _ in range(MOST_STEPS):
        costs = _costs(own, prices)
        ways.append(costs.argmin(axis=1))
        loaded = np.bincount(ways[-1], weights=own[everyone, ways[-1]], minlength=len(used))
        taken.append(loaded.astype(np.float64))
        if (cost := float(costs[everyone, ways[-1]].sum())) > least:
            least, best = cost, prices
        most, parts, promising = _mixed(np.array(taken), count)
        if most <= enough or most - least <= max(near * (least > enough), NOISE) * most:
            break
        prices = NEAR_BEST * best + (1.0 - NEAR_BEST) * promising
    mixture = np.array([way for way, part in zip(ways, parts, strict=True) if part > NOISE])
    return Filled(least=least, most=most, worth=_costs(own, best).min(axis=1), ways=used[mixture.T])


def lines(loads: Floats, worth: Floats, nodes: Floats, scale: float) -> Iterator[Line]:
    """What any fleet could earn where each class is worth that much and is asked for so many times as `loads` say.

    One line by what the next node of each column would earn, one by what the last one does; they meet at `nodes`.
    """
    earned = np.array([_earned(loads[:, j] * scale, worth * scale, at) for j, at in enumerate(nodes)])
    before, now, after = earned.T
    yield Line(anyway=float((now - nodes * (after - now)).sum()), per_node=after - now)
    last = np.where(nodes > 0, now - before, after - now)
    yield Line(anyway=float((now - nodes * last).sum()), per_node=last)


def _costs(loads: Floats, prices: Floats) -> Floats:
    """What each class costs on each column at prices of its time; infinite where it cannot go."""
    return np.multiply(loads, prices, out=np.full_like(loads, INFINITY), where=np.isfinite(loads))


def _mixed(taken: Floats, count: Floats) -> tuple[float, Floats, Floats]:
    """How full the fullest pool is at least where ways are mixed that take so much of each; their parts, and prices."""
    ways, pools = taken.shape
    rows = [
        Row(subject=j, terms=[*enumerate(of.tolist()), (ways, -float(n))], upper=0.0)
        for j, (of, n) in enumerate(zip(taken.T, count, strict=True))
    ]
    whole = Row(subject="whole", terms=[(i, 1.0) for i in range(ways)], lower=1.0, upper=1.0)
    answer = highs.run(
        assemble(
            cost=np.append(np.zeros(ways), 1.0),
            upper=np.full(ways + 1, INFINITY),
            integers=0,
            rows=[*rows, whole],
        ),
        on_interrupt=OnInterrupt.FINISH,
    )
    parts = np.maximum(answer.values[:ways], 0.0)
    parts /= parts.sum()
    return float((parts @ taken / count).max()), parts, np.maximum(-answer.row_duals[:pools], 0.0)


def _earned(loads: Floats, worth: Floats, nodes: float) -> tuple[float, float, float]:
    """The most that one node less, so many, and one more could earn with classes of which each can be served in parts."""
    able = np.isfinite(loads) & (worth > 0)
    ratio = worth[able] / loads[able]
    order = np.argsort(-ratio, kind="stable")
    full = np.append(0.0, np.cumsum(loads[able][order]))
    earned = np.append(0.0, np.cumsum(worth[able][order]))
    before, now, after = np.interp((max(nodes - 1.0, 0.0), nodes, nodes + 1.0), full, earned)
    return float(before), float(now), float(after)
