"""HexGen-like (Jiang et al., ICML 2024, arXiv:2311.11514): a genetic search over how given GPUs are grouped.

The original cuts a fixed set of GPUs into groups by genetic search (merge, split, swap) and lays each group out by a
dynamic programme over stages; requests go to groups in proportion to their capacity, whatever their class. Here a group
is a node with those that go with it, and its layouts are the problem's columns, so the programme is a choice of the best
column for the average request, and fitness is the flow of average requests (there: attainment in a simulator). Unlike GPUs
are in one pipeline where a column is.

Decides groups, layouts and shares; which GPUs there are is given (`composition`).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from hetops.solver.baselines.answer import answer
from hetops.solver.baselines.blind import Block, blocks, proportional
from hetops.solver.baselines.composition import as_rented, evenly_split
from hetops.solver.baselines.room import Counts, Room
from hetops.solver.matrix import Floats
from hetops.solver.problem import Column, Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve

POPULATION = 24
GENERATIONS = 60
CHANGED = 2
"""Groups that a mutation dissolves: two that become one are a merge, one that becomes two a split."""


def hexgen(problem: Problem) -> Solution | Infeasible:
    """The search over the budget split evenly over the GPU types."""
    return search(problem, evenly_split(problem))


def hexgen_on_ours(problem: Problem) -> Solution | Infeasible:
    """The search over the GPUs of our own fleet."""
    ours = solve(problem)
    return search(problem, as_rented(problem, ours)) if isinstance(ours, Solution) else ours


def search(problem: Problem, given: Problem, seed: int = 0) -> Solution | Infeasible:
    """The best grouping within `given` that the search meets, as an answer to `problem`; equal seeds, equal answers."""
    pool = _Pool.of(given)
    if pool is None:
        return Infeasible()
    random = Random(seed)
    population = [pool.filled(pool.nothing, random) for _ in range(POPULATION)]
    for _ in range(GENERATIONS):
        parents = [_fitter(pool, population, random) for _ in range(2 * POPULATION)]
        children = [
            pool.filled(pool.mutated(pool.crossed(a, b, random), random), random)
            for a, b in zip(parents[::2], parents[1::2], strict=True)
        ]
        population = sorted((*population, *children), key=pool.fitness, reverse=True)[:POPULATION]
    nodes = {c.key: int(n) for c, n in zip(pool.room.columns, population[0], strict=True) if n}
    return answer(problem, nodes, proportional(problem, nodes), "hexgen")


def _fitter(pool: _Pool, population: list[Counts], random: Random) -> Counts:
    """The fitter of two drawn at random."""
    return max(random.choice(population), random.choice(population), key=pool.fitness)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pool:
    """What groups can be made of: the best layout of each kind of node for each block."""

    room: Room
    speeds: Floats
    """Row b: how many times a second a node of each column serves block b."""
    types: tuple[np.ndarray, ...]
    """Which columns belong to each GPU type, or to several together."""

    @classmethod
    def of(cls, given: Problem) -> _Pool | None:
        found = blocks(given)
        columns = [column for block in found for column in _best_layouts(given, block)]
        if not all(block.speeds for block in found):
            return None
        gpu_of = {offer.id: offer.gpu for offer in given.offers}
        gpus = np.array([" ".join(sorted({gpu_of[o] for o in column.offers})) for column in columns])
        return cls(
            room=Room.of(given, columns),
            speeds=np.array([[block.speeds.get(c.key, 0.0) for c in columns] for block in found]),
            types=tuple(gpus == gpu for gpu in dict.fromkeys(gpus)),
        )

    @property
    def nothing(self) -> Counts:
        return np.zeros(len(self.room.columns), dtype=np.int64)

    def fitness(self, counts: Counts) -> float:
        """How many times a second the worst served block's demand is served."""
        return float((self.speeds @ counts).min())

    def filled(self, counts: Counts, random: Random) -> Counts:
        """With random groups added, each for the block that is served worst, until none fits."""
        counts = counts.copy()
        while True:
            more = self.room.more(counts)
            open_to = [b for b, speeds in enumerate(self.speeds) if (more & (speeds > 0)).any()]
            if not open_to:
                return counts
            served = self.speeds @ counts
            worst = min(open_to, key=lambda b: served[b])
            able = np.flatnonzero(more & (self.speeds[worst] > 0))
            counts[random.choice(able.tolist())] += 1

    def mutated(self, counts: Counts, random: Random) -> Counts:
        """Without a few of its groups, whose GPUs are then grouped anew."""
        counts = counts.copy()
        for _ in range(CHANGED):
            there = np.flatnonzero(counts)
            if len(there):
                counts[random.choice(there.tolist())] -= 1
        return counts

    def crossed(self, a: Counts, b: Counts, random: Random) -> Counts:
        """Each GPU type grouped as in one of the parents; groups that no longer fit together are dissolved."""
        counts = a.copy()
        for type_ in self.types:
            if random.random() < 0.5:
                counts[type_] = b[type_]
        while not self.room.fits(counts):
            counts[random.choice(np.flatnonzero(counts).tolist())] -= 1
        return counts


def _best_layouts(given: Problem, block: Block) -> list[Column]:
    """The layout of each offer's node, or of each set of nodes, that serves the block's average request fastest."""
    columns = {column.key: column for column in given.columns}
    best: dict[object, Column] = {}
    for key, speed in block.speeds.items():
        group = frozenset(columns[key].takes.items())
        if group not in best or speed > block.speeds[best[group].key]:
            best[group] = columns[key]
    return list(best.values())
