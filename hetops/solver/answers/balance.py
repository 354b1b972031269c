"""Shares for a given fleet: which pool serves how much of each class once the nodes are fixed.

Decides shares only, never nodes. Of all shares that serve the demand it takes those whose fullest pool is least full,
then whose next fullest is, and so on: the same cost, and no pool queues while another idles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hetops.errors import HetopsError
from hetops.solver import highs
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import INFINITY, Floats, MatrixModel, Row, assemble
from hetops.solver.problem import Column, Demand, Problem

Key = tuple[str, str]

SHARE_DECIMALS = 12
"""Shares are whole multiples of 10 ** -12: they add up to exactly 1 as decimals and survive JSON unchanged."""

TIGHT_DUAL = 1e-7
"""A pool whose dual is above this is as full in every optimal answer, so its level is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Shares by class and pool, and the largest utilisation, relative to what may be planned with."""

    shares: Mapping[tuple[str, Key], float]
    fullest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fleet:
    """Pools and classes in order, and the share variables between them."""

    pools: tuple[tuple[Column, float], ...]
    """Each with the nodes that may be planned with."""
    classes: tuple[Demand, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def level(self) -> int:
        """The variable that stands for the largest utilisation of the pools not yet settled."""
        return len(self.pairs)


def balance(problem: Problem, nodes: Mapping[Key, int]) -> Balance:
    """The evenest shares that serve the demand of `problem` on `nodes` of each column.

    `fullest` above 1 means that the nodes do not suffice; the shares then overload every pool that can help equally.

    Raises:
        HetopsError: a class with demand can be served by none of the pools.
    """
    fleet = _fleet(problem, nodes)
    settled: dict[int, float] = {}
    values = np.empty(0)
    while len(settled) < len(fleet.pools):
        answer = highs.run(_level_model(fleet, settled), on_interrupt=OnInterrupt.FINISH)
        if not answer.found:
            break  # a level settled a rounding error too low; the last answer stands
        values, level = answer.values, float(answer.values[fleet.level])
        tight = _tight_pools(fleet, settled, answer.row_duals)
        settled.update(dict.fromkeys(tight, level))
        if not tight or level <= 0:
            break
    if not len(values):
        raise HetopsError("the chosen fleet cannot serve every class", hint="report this problem file")
    return Balance(shares=_rounded(fleet, values), fullest=max(settled.values(), default=0.0))


def _fleet(problem: Problem, nodes: Mapping[Key, int]) -> _Fleet:
    used = sorted((c for c in problem.columns if nodes.get(c.key, 0) > 0), key=lambda c: c.key)
    classes = tuple(sorted((c for c in problem.classes if c.requests_per_second > 0), key=lambda c: c.name))
    usable = problem.usable(used)
    return _Fleet(
        pools=tuple((column, nodes[column.key] * float(usable[column.key])) for column in used),
        classes=classes,
        pairs=tuple(
            (j, w) for j, c in enumerate(used) for w, of in enumerate(classes) if c.rate(of.name) > 0
        ),
    )


def _level_model(fleet: _Fleet, settled: Mapping[int, float]) -> MatrixModel:
    cost = np.zeros(fleet.level + 1)
    cost[fleet.level] = 1.0
    upper = np.full(fleet.level + 1, INFINITY)
    return assemble(cost=cost, upper=upper, integers=0, rows=_rows(fleet, settled))


def _rows(fleet: _Fleet, settled: Mapping[int, float]) -> Iterator[Row]:
    for j, (column, usable_nodes) in enumerate(fleet.pools):
        loads = [
            (k, fleet.classes[w].requests_per_second / column.rate(fleet.classes[w].name) / usable_nodes)
            for k, (of, w) in enumerate(fleet.pairs)
            if of == j
        ]
        if j in settled:
            yield Row(subject=j, terms=loads, upper=settled[j] + highs.FEASIBILITY_TOLERANCE)
        else:
            yield Row(subject=j, terms=[*loads, (fleet.level, -1.0)], upper=0.0)
    for w, demand in enumerate(fleet.classes):
        terms = [(k, 1.0) for k, (_, of) in enumerate(fleet.pairs) if of == w]
        yield Row(subject=demand.name, terms=terms, lower=1.0, upper=1.0)


def _tight_pools(fleet: _Fleet, settled: Mapping[int, float], duals: Floats) -> list[int]:
    return [j for j in range(len(fleet.pools)) if j not in settled and abs(duals[j]) > TIGHT_DUAL]


def _rounded(fleet: _Fleet, values: Floats) -> dict[tuple[str, Key], float]:
    """Shares in whole steps that add up to exactly 1; the largest share of a class takes the rounding."""
    steps = 10**SHARE_DECIMALS
    shares: dict[tuple[str, Key], float] = {}
    for w, demand in enumerate(fleet.classes):
        parts = {j: round(max(values[k], 0.0) * steps) for k, (j, of) in enumerate(fleet.pairs) if of == w}
        # Below the solver's tolerance a share is noise, and a pool that serves noise is a route to nowhere.
        parts = {j: part for j, part in parts.items() if part > highs.FEASIBILITY_TOLERANCE * steps}
        largest = max(parts, key=lambda j: parts[j])
        parts[largest] += steps - sum(parts.values())
        for j, part in parts.items():
            shares[demand.name, fleet.pools[j][0].key] = float(Fraction(part, steps))
    return shares
