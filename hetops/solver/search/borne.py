"""Fleets that bear every loss: the best of few columns, in a model small enough to hold shares for each loss.

What is found here is an answer to the problem. Decides no columns.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Frame
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.patience import Patience
from hetops.solver.problem import running, with_sharers
from hetops.solver.search import start
from hetops.solver.search.start import Relaxed, Searched
from hetops.solver.search.told import Told

MENDED_PART = 0.25
"""Of the time that is left, what it may take to add to a fleet what it lacks."""


def mended(told: Told, relaxed: Relaxed, values: Floats, patience: Patience) -> Searched:
    """The fleet in the model of its columns with all losses; where it does not bear them, with what it lacks added."""
    frame = told.base.frame
    nodes = values[: len(frame.stretches) * len(frame.columns)].reshape(len(frame.stretches), -1)
    own = few(told, nodes.sum(axis=0) > 0)
    answer = highs.run(
        _between(own, frame, nodes, nodes), limit_seconds=start.LEAST_SECONDS, on_interrupt=OnInterrupt.FINISH
    )
    if not answer.found:
        near = relaxed.answer.values[: nodes.size].reshape(nodes.shape)
        own = few(told, (nodes + near).sum(axis=0) > start.USED)
        seconds = max(patience.left * MENDED_PART, start.LEAST_SECONDS)
        most = np.full(nodes.shape, INFINITY)
        model = _between(own, frame, nodes, most)
        answer = highs.run(
            model, gap=told.problem.gap, limit_seconds=seconds, on_interrupt=OnInterrupt.FINISH
        )
    return Searched(formulation=own, relaxed=relaxed, answer=answer)


def few(told: Told, used: NDArray[np.bool_]) -> Formulation:
    """The formulation of the columns in use, and of what runs already, with all losses; in the units of the base.

    Beside them stand those that share the nodes of an offer: such nodes are paid for as a whole whoever uses them.
    """
    base, runs = told.base, running(told.problem)
    kept = {c.key for c, use in zip(base.frame.columns, used, strict=True) if use or c.key in runs}
    columns = with_sharers(told.problem.columns, kept)
    own = told.form(replace(told.problem, columns=columns or told.problem.columns[:1]))
    model = replace(own.model, cost=own.model.cost * (own.unit / base.unit))
    return replace(own, model=model, unit=base.unit)


def _between(own: Formulation, frame: Frame, least: Floats, most: Floats) -> MatrixModel:
    """The model with bounds on nodes, by stretch and column of the frame."""
    lower, upper = own.model.lower.copy(), own.model.upper.copy()
    place = {column.key: j for j, column in enumerate(frame.columns)}
    for i, j in ((i, place[column.key]) for i, column in enumerate(own.columns) if column.key in place):
        for t in range(len(frame.stretches)):
            at = own.frame.nodes(t, i)
            lower[at] = least[t, j]
            upper[at] = max(min(upper[at], most[t, j]), lower[at])
    return replace(own.model, lower=lower, upper=upper)
