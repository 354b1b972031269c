"""A model in which the first, the second, ... of a whole number cost unlike sums: variables and rows for them.

A number is the sum of its steps, each of which is some ones that cost alike. Where a step costs less than one before it, a
whole number more says that those before it are taken in full. Between whole numbers such a model counts what the cheapest
mix of its bounds does, and no more can be had of a linear one. Knows the rows only as numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hetops.solver.matrix import Floats, MatrixModel, Row, extended

EQUAL = 1e-9
"""Costs that differ by less are one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stair:
    """What each one of a variable costs besides what it costs in the model."""

    variable: int
    costs: Floats
    """Of the first, the second, ...; all after the last cost as much as that."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stairs:
    """A model with stairs, and how its other variables tell those that the stairs add."""

    model: MatrixModel
    climbed: tuple[_Climbed, ...]

    @classmethod
    def on(cls, model: MatrixModel, stairs: Sequence[Stair]) -> Stairs:
        """The model, in which what all ones of a variable cost alike is its own cost."""
        cost, of = model.cost.copy(), len(model.cost)
        climbed, rows = [], []
        for stair in stairs:
            cost[stair.variable] += stair.costs[-1]
            one = _Climbed.of(stair, float(model.upper[stair.variable]), of)
            if one.steps:
                climbed.append(one)
                rows += one.rows
                of += one.size
        uppers = [upper for one in climbed for upper in one.uppers]
        more = extended(replace(model, cost=cost), rows, uppers)
        added = [step.cost for one in climbed for step in one.padded]
        tells = [tell for one in climbed for tell in one.tells]
        size = len(model.cost)
        return cls(
            model=replace(
                more,
                cost=np.append(cost, added),
                integer=np.append(more.integer[:size], np.array(tells, dtype=bool)),
            ),
            climbed=tuple(climbed),
        )

    def filled(self, values: Floats) -> Floats:
        """Values of the model, whose numbers are whole, with those that the stairs add."""
        found = [step for one in self.climbed for step in one.filled(float(values[one.variable]))]
        return np.append(values, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """So many ones at a cost each."""

    cost: float
    length: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Climbed:
    """The steps of one variable, and after them a whole number for each flight but the last: 1 where it is full."""

    variable: int
    first: int
    """Of the variables that it adds."""
    steps: tuple[_Step, ...]
    flights: tuple[range, ...]
    """Steps one after the other of which none costs less than the one before it."""

    @classmethod
    def of(cls, stair: Stair, upper: float, first: int) -> _Climbed:
        steps = tuple(_steps(stair.costs - stair.costs[-1], upper))
        falls = [k for k in range(1, len(steps)) if steps[k].cost < steps[k - 1].cost]
        bounds = [0, *falls, len(steps)]
        flights = tuple(range(a, b) for a, b in pairwise(bounds))
        return cls(variable=stair.variable, first=first, steps=steps, flights=flights)

    @property
    def size(self) -> int:
        """Variables that it adds."""
        return len(self.steps) + len(self.flights) - 1

    @property
    def padded(self) -> tuple[_Step, ...]:
        """What each of these costs, and how much of it there is."""
        return (*self.steps, *(_Step(cost=0.0, length=1.0) for _ in self.flights[1:]))

    @property
    def uppers(self) -> list[float]:
        """Of these."""
        return [step.length for step in self.padded]

    @property
    def tells(self) -> list[bool]:
        """Whether each of these must be whole: steps are where the others are."""
        return [False] * len(self.steps) + [True] * (len(self.flights) - 1)

    @property
    def rows(self) -> list[Row]:
        """The number is the sum of its steps, and no flight begins before the one below it is full."""
        steps = range(self.first, self.first + len(self.steps))
        rows = [
            Row(
                subject="steps",
                terms=[(self.variable, 1.0), *((k, -1.0) for k in steps)],
                lower=0.0,
                upper=0.0,
            )
        ]
        for number, (below, above) in enumerate(pairwise(self.flights)):
            full = self.first + len(self.steps) + number
            rows += [self._held(k, full, lower=0.0) for k in below]
            rows += [self._held(k, full, upper=0.0) for k in above if np.isfinite(self.steps[k].length)]
        return rows

    def _held(self, step: int, full: int, **bounds: float) -> Row:
        terms = [(self.first + step, 1.0), (full, -self.steps[step].length)]
        return Row(subject="full", terms=terms, **bounds)

    def filled(self, number: float) -> list[float]:
        """What of each step is taken, and which flights are full."""
        taken, left = [], number
        for step in self.steps:
            taken.append(min(left, step.length))
            left -= taken[-1]
        full = [
            float(all(taken[k] >= self.steps[k].length - EQUAL for k in one)) for one in self.flights[:-1]
        ]
        return [*taken, *full]


def _steps(costs: Floats, upper: float) -> list[_Step]:
    """Ones that cost alike, one after the other, as many as there may be; none where all cost nothing."""
    count = len(costs) if upper > len(costs) else int(upper)
    costs = costs[:count]
    if not count or abs(costs).max() <= EQUAL:
        return []
    begins = [0, *(np.flatnonzero(abs(np.diff(costs)) > EQUAL) + 1).tolist()]
    ends = [*begins[1:], upper]
    return [_Step(cost=float(costs[a]), length=float(b - a)) for a, b in zip(begins, ends, strict=True)]
