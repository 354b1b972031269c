"""The cheapest way around a ring: one choice at each place, each with a cost, as has each step to the next. Arithmetic alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hetops.solver.matrix import INFINITY, Floats


def cheapest(own: Sequence[Floats], steps: Sequence[Floats]) -> tuple[float, list[int]]:
    """What the cheapest way around costs, and which choice it makes at each place.

    `own` are the costs of the choices at each place, `steps[t]` those from each choice at the place before (rows) to
    each at place t (columns); before the first place comes the last.
    """
    least = min(range(len(own)), key=lambda t: len(own[t]))
    own, steps = [*own[least:], *own[:least]], [*steps[least:], *steps[:least]]
    rounds = (_from(own, steps, first) for first in range(len(own[0])))
    cost, path = min(rounds, key=lambda found: found[0])
    return cost, [*path[len(own) - least :], *path[: len(own) - least]]


def _from(own: Sequence[Floats], steps: Sequence[Floats], first: int) -> tuple[float, list[int]]:
    """The cheapest way that begins with one choice."""
    reached = np.full(len(own[0]), INFINITY)
    reached[first] = own[0][first]
    back: list[NDArray[np.int64]] = []
    for step, costs in zip(steps[1:], own[1:], strict=True):
        ways = reached[:, None] + step
        back.append(ways.argmin(axis=0))
        reached = ways.min(axis=0) + costs
    closed = reached + steps[0][:, first]
    path = [int(closed.argmin())]
    for best in reversed(back):
        path.append(int(best[path[-1]]))
    return float(closed.min()), path[::-1]
