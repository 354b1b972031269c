"""Class-blind serving: every pool gets every request in the same proportions, as where the router knows only capacity.

Decides what a problem looks like to somebody who knows requests by their average alone. A block is a set of classes
that columns serve together (all classes of one model); within it routing is blind, between blocks it cannot be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hetops.solver.answers.balance import Key
from hetops.solver.baselines.answer import Shares
from hetops.solver.problem import Column, Demand, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Classes that are served together, and how fast each column that serves all of them does so.

    `speeds` says how many times a second one node serves the block's whole demand: 1 / sum of demand / rate.
    """

    classes: tuple[Demand, ...]
    speeds: Mapping[Key, float]

    @property
    def name(self) -> str:
        """The names of its classes."""
        return " ".join(c.name for c in self.classes)

    @property
    def requests_per_second(self) -> float:
        """The demand of its classes together."""
        return math.fsum(c.requests_per_second for c in self.classes)


def blocks(problem: Problem) -> tuple[Block, ...]:
    """The classes with demand, parted where no column serves two of them."""
    parts: list[set[str]] = []
    for names in [{c.name} for c in problem.classes if c.requests_per_second > 0] + [
        {name for name, rate in column.requests_per_second.items() if rate > 0} for column in problem.columns
    ]:
        joined = [part for part in parts if part & names]
        parts = [part for part in parts if part not in joined] + [names.union(*joined)]
    found = (
        tuple(c for c in problem.classes if c.name in part and c.requests_per_second > 0) for part in parts
    )
    return tuple(
        Block(classes=classes, speeds=_speeds(classes, problem.columns)) for classes in found if classes
    )


def _speeds(classes: tuple[Demand, ...], columns: Iterable[Column]) -> dict[Key, float]:
    able = (column for column in columns if all(column.rate(c.name) > 0 for c in classes))
    return {
        column.key: 1.0 / math.fsum(c.requests_per_second / column.rate(c.name) for c in classes)
        for column in able
    }


def averaged(problem: Problem) -> Problem | None:
    """The problem with one class a block, of mix-averaged rates; None where a block has no column.

    On columns that serve no block as a whole nothing is left to serve, so they go.
    """
    found = blocks(problem)
    if not all(block.speeds for block in found):
        return None
    rates = {
        key: {block.name: speed * block.requests_per_second}
        for block in found
        for key, speed in block.speeds.items()
    }
    columns = tuple(replace(c, requests_per_second=rates[c.key]) for c in problem.columns if c.key in rates)
    classes = tuple(Demand(name=b.name, requests_per_second=b.requests_per_second) for b in found)
    return replace(problem, classes=classes, columns=columns)


def proportional(problem: Problem, nodes: Mapping[Key, int]) -> Shares:
    """Shares in proportion to each pool's capacity for the average request, the same for all classes of a block."""
    return {
        (c.name, key): block.speeds[key] * count
        for block in blocks(problem)
        for key, count in nodes.items()
        if key in block.speeds
        for c in block.classes
    }


def alike(problem: Problem, replicas: Mapping[Key, int]) -> Shares:
    """Round robin: every replica that can serve a class gets as much of it as every other one."""
    columns = {column.key: column for column in problem.columns}
    return {
        (c.name, key): float(count)
        for key, count in replicas.items()
        for c in problem.classes
        if c.requests_per_second > 0 and columns[key].rate(c.name) > 0
    }
