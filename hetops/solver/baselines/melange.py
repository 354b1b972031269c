"""Mélange's integer programme (Griggs et al., arXiv:2404.14527): slices of the workload packed on GPU types.

The workload is cut into buckets by request size, a bucket into `slices` of equal rate. Each slice goes to exactly one
GPU type whole, a type's nodes are rented so that the loads of its slices fit, and the cost is least; the load of a
slice is its rate over what the type sustains of that size within the latency target. The original knows neither stock
nor quotas nor budgets, one layout a GPU type and one model. Here the problem's limits are rows of the programme, or its
fleets could not be rented, and a type's layout is the one that serves the average request of a model for least money;
`every_column` gives it all layouts as if each were a GPU type. The number of pools is no row.

Decides nodes and slices, by branch and bound to the problem's gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from hetops.solver import highs
from hetops.solver.answers.balance import Key
from hetops.solver.baselines.answer import Shares
from hetops.solver.baselines.blind import blocks
from hetops.solver.baselines.room import Room
from hetops.solver.baselines.scale import scored
from hetops.solver.matrix import MatrixModel, Row, assemble
from hetops.solver.problem import Column, Demand, Problem
from hetops.solver.solution import Infeasible, Solution

ADVISED_SLICES = 4
"""The slice factor that its authors advise."""

LIMIT_SECONDS = 2.0
"""Search time of one programme, after which the best packing so far is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicing:
    """How a bucket is cut.

    As published every slice has a variable of its own for each type. `counted` has one variable for how many slices of
    a bucket a type gets: the same packings without their permutations, which branch and bound otherwise walks through.
    """

    slices: int = ADVISED_SLICES
    counted: bool = False

    def items(self, demand: Demand) -> tuple[tuple[Demand, int], ...]:
        """Groups of slices that one variable a type speaks of, with the number of slices in each."""
        return ((demand, self.slices),) if self.counted else ((demand, 1),) * self.slices


def melange(problem: Problem, slicing: Slicing | None = None) -> Solution | Infeasible:
    """One layout a GPU type."""
    return _packed(problem, best_layouts(problem), slicing or Slicing(counted=True))


def every_column(problem: Problem, slicing: Slicing | None = None) -> Solution | Infeasible:
    """Every layout a GPU type of its own."""
    return _packed(problem, problem.columns, slicing or Slicing(counted=True))


def best_layouts(problem: Problem) -> tuple[Column, ...]:
    """For each GPU type and each model the column that serves the average request for least money."""
    offers = {offer.id: offer for offer in problem.offers}
    columns = {column.key: column for column in problem.columns}
    best: dict[tuple[str, str], tuple[float, Column]] = {}
    for block in blocks(problem):
        for key, speed in block.speeds.items():
            offer = offers[key[0]]
            worth, kind = speed / float(offer.usd_per_hour), (block.name, offer.gpu)
            if kind not in best or worth > best[kind][0]:
                best[kind] = worth, columns[key]
    return tuple(column for _, column in best.values())


def _packed(problem: Problem, columns: tuple[Column, ...], slicing: Slicing) -> Solution | Infeasible:
    return scored(problem, partial(_pack, columns=columns, slicing=slicing), "melange")


def _pack(
    problem: Problem, *, columns: tuple[Column, ...], slicing: Slicing
) -> tuple[dict[Key, int], Shares] | None:
    demands = tuple(c for c in problem.classes if c.requests_per_second > 0)
    items = tuple(item for demand in demands for item in slicing.items(demand))
    programme = _Programme(problem=problem, room=Room.of(problem, columns), items=items)
    if not all(any(column.rate(c.name) > 0 for column in columns) for c in demands):
        return None
    found = highs.run(programme.model(slicing.slices), gap=problem.gap, limit_seconds=LIMIT_SECONDS)
    if not found.found:
        return None
    counts = [round(float(value)) for value in found.values]
    nodes = {column.key: counts[j] for j, column in enumerate(columns) if counts[j] > 0}
    shares: dict[tuple[str, Key], float] = {}
    for k, (i, j) in enumerate(programme.pairs):
        place = items[i][0].name, columns[j].key
        shares[place] = shares.get(place, 0.0) + counts[len(columns) + k] / slicing.slices
    return nodes, {place: share for place, share in shares.items() if share > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Programme:
    """Variables: nodes of each column, then slices of each item on each column that can serve it."""

    problem: Problem
    room: Room
    items: tuple[tuple[Demand, int], ...]

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Item and column of each slice variable."""
        return tuple(
            (i, j)
            for i, (demand, _) in enumerate(self.items)
            for j, column in enumerate(self.room.columns)
            if column.rate(demand.name) > 0
        )

    def model(self, slices: int) -> MatrixModel:
        pairs = self.pairs
        cost = np.concatenate((self.room.usd_per_hour, np.zeros(len(pairs))))
        whole = np.array([float(self.items[i][1]) for i, _ in pairs])
        upper = np.concatenate((self.room.most_nodes, whole))
        return assemble(cost=cost, upper=upper, integers=len(cost), rows=list(self._rows(pairs, slices)))

    def _rows(self, pairs: tuple[tuple[int, int], ...], slices: int) -> Iterator[Row]:
        width, usable = len(self.room.columns), float(self.problem.usable_share)
        placed: list[list[tuple[int, float]]] = [[] for _ in self.items]
        loads: list[list[tuple[int, float]]] = [[] for _ in self.room.columns]
        for k, (i, j) in enumerate(pairs):
            demand = self.items[i][0]
            rate = self.room.columns[j].rate(demand.name) * usable
            placed[i].append((width + k, 1.0))
            loads[j].append((width + k, demand.requests_per_second / slices / rate))
        for (demand, count), terms in zip(self.items, placed, strict=True):
            yield Row(subject=demand.name, terms=terms, lower=float(count), upper=float(count))
        for j, terms in enumerate(loads):
            yield Row(subject=self.room.columns[j].key, terms=[*terms, (j, -1.0)], upper=0.0)
        yield from self.room.rows()
