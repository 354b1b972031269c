"""Fleets that an earlier search found, told by offers and configurations: a search that sees more offers begins with them.

The earlier search may have seen several offers as one (`bands`). Nodes beyond the stock of an offer go to those whose
nodes are equal, the cheapest first; whether that makes a fleet is found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Frame, kinds
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.periods.fleets import Fleets
from hetops.solver.periods.windows import Windows

MOST_TOLD = 6
"""Fleets of each window that are worth telling: what makes a fleet of one takes as long as a small search."""

LEAST_SECONDS = 2.0
"""For one fleet, even if no time is left: far more than it takes."""

Nodes = Mapping[tuple[str, str], int]
"""By offer and configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the searches of a problem have found so far; nothing to begin with."""

    by_period: tuple[tuple[Nodes, ...], ...] = ()
    """Fleets of each period, the one of the best answer first."""
    usd_per_hour: float = -INFINITY
    """What no answer costs less than."""
    prices: Mapping[object, float] = field(default_factory=dict)
    """At which that was proven: USD per hour for one of what a row counts, by what it limits."""


def told(formulation: Formulation, values: Floats, bound: float, cheapest: Iterator[Floats]) -> Known:
    """The answer and its bound, and all other answers for some of the periods, in words that outlast the formulation."""
    frame = formulation.frame
    found: list[dict[tuple[tuple[tuple[str, str], int], ...], None]] = [{} for _ in frame.stretches]
    for answer in (values, *cheapest):
        for t, kept in enumerate(found):
            nodes = answer[frame.nodes(t, 0) : frame.nodes(t + 1, 0)]
            if nodes.any():
                kept[tuple((frame.columns[j].key, round(float(nodes[j]))) for j in np.flatnonzero(nodes))] = (
                    None
                )
    return Known(
        by_period=tuple(tuple(dict(nodes) for nodes in kept) for kept in found),
        usd_per_hour=bound * formulation.unit,
    )


def recall(known: Known, formulation: Formulation, windows: Windows, costs: Floats, fleets: Fleets) -> Floats:
    """What is known, as fleets of the formulation's periods, which are the windows; those that are none are left out.

    What they serve is what is best at these costs of all variables. Returns the nodes of the best answer that is known.
    """
    best = np.zeros(len(costs))
    columns = len(formulation.columns)
    twins = _twins(formulation.frame)
    for window, told_of in enumerate(known.by_period):
        priced = replace(windows.parts[window], cost=costs[windows.members[window]])
        for place, nodes in enumerate(told_of):
            counts = _counts(formulation.frame, twins, nodes)
            if place == 0:
                best[windows.members[window][:columns]] = counts
            answer = highs.run_small(
                _fixed(priced, counts, columns),
                np.empty(0),
                gap=0.0,
                limit_seconds=LEAST_SECONDS,
            )
            if answer.found:
                windows.keep(window, np.concatenate((counts, answer.values[columns:])), fleets)
    return best


def _fixed(model: MatrixModel, counts: Floats, columns: int) -> MatrixModel:
    """With these nodes of each column."""
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[:columns] = upper[:columns] = counts
    return replace(model, lower=lower, upper=upper)


def _twins(frame: Frame) -> tuple[tuple[int, ...], ...]:
    """By column: itself and those whose nodes do the same, are paid for alike and are no cheaper, the cheapest first."""
    from_itself = {j: kind[at:] for kind in kinds(frame) for at, j in enumerate(kind)}
    billing = [offer.billing for offer in frame.offers]
    return tuple(
        tuple(k for k in from_itself[j] if billing[k] is billing[j]) for j in range(len(frame.columns))
    )


def _counts(frame: Frame, twins: tuple[tuple[int, ...], ...], nodes: Nodes) -> Floats:
    """Nodes by column; what has no place anywhere is left out."""
    counts = np.zeros(len(frame.columns))
    place = {column.key: j for j, column in enumerate(frame.columns)}
    left = {o.id: float(frame.problem.max_nodes(o)) for o in frame.problem.offers}
    for key, count in nodes.items():
        wanted = float(count)
        for j in twins[place[key]] if key in place else ():
            offer, parts = frame.columns[j].offer, frame.columns[j].parts_per_node
            taken = min(wanted, left[offer] * parts)
            counts[j] += taken
            left[offer] -= taken / parts
            wanted -= taken
    return counts
