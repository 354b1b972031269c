"""Of the fleets that serve as much as was found, a cheap one: of its columns, and of those that the relaxation would use.

A search for the largest rate does not see what money buys beyond the limit that binds. Decides nothing that costs requests.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.highs import Answer, OnInterrupt
from hetops.solver.matrix import Floats, Row
from hetops.solver.patience import Patience
from hetops.solver.rows.money import counted
from hetops.solver.search.start import USED, relax

RATE_SLACK = 1e-7
"""Part of a maximal rate that saving money may give up; spreading wins it back. The solver's own tolerance."""

GAP = 1e-4
"""How near to the least cost of these columns."""


def cheapest(formulation: Formulation, answer: Answer, seconds: float) -> Answer:
    """The answer to a search for the largest rate, at no more than a fleet as good costs.

    As it was where cost is what is minimised anyway, where nothing can be saved, and where the seconds do not suffice.
    """
    scale = formulation.scale_index
    if scale is None or seconds <= 0:
        return answer
    as_much = Row(
        subject="as much as was found",
        terms=[(scale, 1.0)],
        lower=float(answer.values[scale]) * (1 - RATE_SLACK),
    )
    at_cost = replace(formulation, model=replace(formulation.model, cost=usd(formulation))).with_row(as_much)
    relaxed = relax(at_cost, Patience.of(seconds)).answer
    if not relaxed.found:
        return answer
    model = at_cost.model
    unused = model.integer & (answer.values < USED) & (relaxed.values < USED)
    few = replace(model, upper=np.where(unused, 0.0, model.upper))
    found = highs.run(few, gap=GAP, limit_seconds=seconds, on_interrupt=OnInterrupt.FINISH)
    if not found.found or found.objective >= float((model.cost * answer.values).sum()) * (1 - GAP):
        return answer
    return replace(answer, values=found.values)


def usd(formulation: Formulation) -> Floats:
    """USD per hour of each variable, as counted at least cost."""
    each = np.zeros(formulation.frame.size)
    for i, amount in counted(formulation.frame):
        each[i] += float(amount)
    return each
