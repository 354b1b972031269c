"""The best answer once more, a window or two at a time, while the nodes of all others stay. Decides which, and when it is enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from hetops.solver.highs import Answer
from hetops.solver.patience import Patience
from hetops.solver.periods.neighbours import Neighbourhood
from hetops.solver.periods.reached import Reached
from hetops.solver.periods.windows import Integers, Lined, Windows, improved
from hetops.solver.side_by_side import side_by_side

MOST_NEAR = 2
"""Neighbouring windows that are made better together, where other ties than starts are there."""


def polished(reached: Reached, gap: float, patience: Patience) -> Reached:
    """With a better answer for one window after another, each searched to a gap, while the nodes of all others stay.

    Where that brought nothing before, and ties of many kinds leave no other way to good answers, for two after two.
    """
    windows, size = reached.windows, reached.near + 1
    if size > (1 if windows.tied_by_starts_alone else MOST_NEAR):
        return reached
    better = reached
    for parts in _at_once(windows, size):
        if patience.left <= 0:
            return better
        better = _improved(better, parts, gap, patience)
    windows.keep_all(better.values, better.fleets)
    much = reached.cost - better.cost > gap * abs(better.cost)
    return better if much else replace(better, near=size)


def _at_once(windows: Windows, size: int) -> Iterator[Sequence[Integers]]:
    """Every so many neighbouring windows: those together of which none changes what the others are between."""
    every = [
        (window + np.arange(min(size, windows.count))) % windows.count
        for window in range(0, windows.count, (size + 1) // 2)
    ]
    if windows.tied_by_starts_alone:  # Every second lies between two that stay; the last may meet the first.
        yield from (every[:-1:2], every[1:-1:2], every[-1:])
    else:
        yield from ([one] for one in every)


def _improved(reached: Reached, parts: Sequence[Integers], gap: float, patience: Patience) -> Reached:
    values = reached.values.copy()
    again = partial(_again, reached, gap, patience)
    for near, answer in side_by_side(again, parts):
        if answer.found:
            values[near.variables] = near.filled(answer)[near.variables]
    return reached.having(reached.windows.with_starts(values))


def _again(
    reached: Reached, gap: float, patience: Patience, periods: Integers
) -> tuple[Neighbourhood, Answer]:
    """The best answer for some periods, and what of the whole it is about."""
    near = Neighbourhood.of(reached.windows, reached.values, periods)
    own = Lined(model=near.model, lines=near.lines)
    return near, improved(own, reached.values[near.variables], gap=gap, limit_seconds=patience.left)
