"""Every fleet of a window that costs less than some sum: whatever else there is costs that much.

A tree of linear models, each with narrower bounds than the one above it. Where one is below the sum it either says which
whole numbers to tell apart next, or is a fleet; then what differs from that fleet is looked through as well. What one node
more of a column costs narrows the bounds on the way. Nodes of a line count as one number, their sum: which of them it
takes is told by their prices. Knows the rows only as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.highs import Status, Vertex
from hetops.solver.lines import ROUNDING, Lines, cost_of, in_lines
from hetops.solver.matrix import Floats, MatrixModel, part
from hetops.solver.patience import Patience
from hetops.solver.periods.neighbours import full
from hetops.solver.reduced import not_dearer

WHOLE = 1e-6
"""How near to a whole number is one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """The cheapest way to have some whole numbers, of a line their sum."""

    values: Floats
    """Of the window's variables; nodes of a line need not be whole."""
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Box:
    """Between which whole numbers to look."""

    lower: Floats
    upper: Floats

    def narrowed(self, counts: Floats, reduced: Floats, room: float) -> _Box:
        """Without what costs more than there is room for, by what one more or less of each costs."""
        steps = np.floor(room / np.maximum(abs(reduced), ROUNDING) + WHOLE)
        low = (reduced > ROUNDING) & (counts <= self.lower + WHOLE)
        high = (reduced < -ROUNDING) & (counts >= self.upper - WHOLE)
        return _Box(
            lower=np.where(high, np.maximum(self.lower, self.upper - steps), self.lower),
            upper=np.where(low, np.minimum(self.upper, self.lower + steps), self.upper),
        )

    def apart(self, place: int, *values: tuple[float, float]) -> Iterator[_Box]:
        """Parts in which one number lies between each two of these values, those that are not empty."""
        for low, high in values:
            lower, upper = self.lower.copy(), self.upper.copy()
            lower[place], upper[place] = max(low, lower[place]), min(high, upper[place])
            if lower[place] <= upper[place]:
                yield _Box(lower=lower, upper=upper)


def below(model: MatrixModel, lines: Lines, most: float, patience: Patience) -> tuple[Point, ...] | None:
    """All that there is for less than `most`, one for each choice of whole numbers; None in no time."""
    tree = _Tree.of(model, lines, most, patience.left)
    if tree is None:
        return None
    found: dict[bytes, Point] = {}
    boxes = [tree.root]
    while boxes:
        if patience.left <= 0:
            return None
        box = boxes.pop()
        vertex = tree.solver.within(tree.whole, box.lower, box.upper)
        if vertex is None:
            continue
        counts = vertex.values[tree.whole]
        box = box.narrowed(counts, vertex.reduced[tree.whole], tree.cutoff - vertex.objective)
        off = abs(counts - counts.round())
        if off.max(initial=0.0) > WHOLE:
            place = int((off * tree.weights).argmax())
            floor = float(np.floor(counts[place]))
            boxes += box.apart(place, (-np.inf, floor), (floor + 1, np.inf))
            continue
        found[counts.round().tobytes()] = tree.point(vertex, len(model.cost))
        boxes += _others(box, counts.round(), abs(vertex.reduced[tree.whole]))
    return tuple(found.values())


def _others(box: _Box, counts: Floats, reduced: Floats) -> Iterator[_Box]:
    """All but these counts, and these again as long as a number is not settled; the cheapest to change first."""
    free = np.flatnonzero(box.upper > box.lower)
    if len(free):
        place = int(free[reduced[free].argmin()])
        value = float(counts[place])
        yield from box.apart(place, (-np.inf, value - 1), (value + 1, np.inf), (value, value))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tree:
    """What is told apart, and the model without all that costs too much by itself."""

    solver: highs.Hot
    stays: Floats
    """By variable of the window, then by line: what is not in the model."""
    variables: NDArray[np.int64]
    whole: NDArray[np.int64]
    """Places among those of the model."""
    weights: Floats
    """What one of each costs: dear ones are told apart first, for they make the most of a difference."""
    root: _Box
    offset: float
    cutoff: float

    @classmethod
    def of(cls, model: MatrixModel, lines: Lines, most: float, seconds: float) -> _Tree | None:
        """None where time did not suffice."""
        lined = in_lines(model, lines)
        relaxed = highs.run(lined.linear, limit_seconds=seconds)
        if relaxed.status is not Status.OPTIMAL:
            return None
        few = not_dearer(lined, model.integer, lines, relaxed, most)
        counts = np.append(model.integer, np.ones(len(lines), dtype=bool))
        free = ~counts | (few.upper > few.lower)
        stays = np.where(free, 0.0, lined.lower)
        variables = np.flatnonzero(free & ~full(few, free, stays))
        own = part(few, variables, stays)
        whole = np.flatnonzero(own.integer)
        dear = np.append(model.cost, [model.cost[line].min() for line in lines])
        offset = cost_of(lined.cost, stays)
        return cls(
            solver=highs.Hot(own, most - offset),
            stays=stays,
            variables=variables,
            whole=whole,
            weights=np.maximum(abs(dear[variables[whole]]), ROUNDING),
            root=_Box(lower=own.lower[whole], upper=own.upper[whole]),
            offset=offset,
            cutoff=most - offset,
        )

    def point(self, vertex: Vertex, size: int) -> Point:
        """As one of the window, which has so many variables."""
        values = self.stays.copy()
        values[self.variables] = vertex.values
        return Point(values=values[:size], cost=vertex.objective + self.offset)
