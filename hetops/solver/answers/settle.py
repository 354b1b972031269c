"""From what the search found to a solution: whole numbers are fixed, shares are made exact, costs are added up.

For problems with terms; decides shares only (`levels`), never nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np

from hetops.errors import HetopsError
from hetops.solver import highs
from hetops.solver.answers.levels import evened, solved, with_whole
from hetops.solver.answers.reading import losses_of, micro, not_shed, period_of, rates_of, waits_of
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Frame
from hetops.solver.matrix import Floats
from hetops.solver.rows.money import change_costs
from hetops.solver.solution import SolvedLoss, SolvedPeriod, SolvedWait


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The parts of a solution, by stretch and as a whole."""

    periods: tuple[SolvedPeriod, ...]
    """One a stretch."""
    waits: tuple[SolvedWait, ...]
    losses: tuple[SolvedLoss, ...]
    changes_usd_per_hour: Decimal
    requests_per_second: float


def settle(formulation: Formulation, values: Floats) -> Settled:
    """The settled answer to the formulation's problem, out of the variables that a search found.

    Raises:
        HetopsError: with its whole numbers the answer is none after all: of some class next to nothing is asked.
    """
    whole = np.round(values[: formulation.frame.integers])
    formulation = _where_nodes_are(formulation, whole)
    return _settled(formulation.frame, evened(formulation, whole, _best(formulation, whole)))


def settle_as_found(formulation: Formulation, values: Floats) -> Settled:
    """As `settle`, with shares as even as it happens: for an answer that is only looked at and searched on from."""
    whole = np.round(values[: formulation.frame.integers])
    return _settled(formulation.frame, _best(_where_nodes_are(formulation, whole), whole).values)


def _where_nodes_are(formulation: Formulation, whole: Floats) -> Formulation:
    """With shares on columns that have nodes alone: what loads one by next to nothing is no violation to the solver."""
    frame, model = formulation.frame, formulation.model
    upper = model.upper.copy()
    for k, (n, place, _) in enumerate(frame.pairs):
        if place < len(frame.columns) and whole[frame.nodes(frame.layers[n].stretch, place)] == 0:
            upper[frame.share(k)] = 0.0
    return replace(formulation, model=replace(model, upper=upper))


def _settled(frame: Frame, final: Floats) -> Settled:
    """The parts of a solution with these values of all variables."""
    scale = 1.0 if frame.scale_index is None else float(final[frame.scale_index])
    arrive = [not_shed(frame, final, scale, t) for t in range(len(frame.stretches))]
    waits = tuple(waits_of(frame, final))
    rates = [rates_of(frame, waits, arrive, t) for t in range(len(frame.stretches))]
    periods = tuple(period_of(frame, final, of, t) for t, of in enumerate(rates))
    shed = (
        stretch.part * Fraction(one.requests_per_second)
        for stretch, period in zip(frame.stretches, periods, strict=True)
        for one in period.shed
    )
    return Settled(
        periods=periods,
        waits=waits,
        losses=tuple(losses_of(frame, final, rates, scale)),
        changes_usd_per_hour=micro(
            sum((usd * Decimal(max(float(final[i]), 0.0)) for i, usd, _ in change_costs(frame)), Decimal(0))
        ),
        requests_per_second=frame.problem.requests_per_second
        * (scale * frame.demand_unit if frame.scale_index is not None else 1.0)
        - float(sum(shed)),
    )


def _best(formulation: Formulation, whole: Floats) -> highs.Answer:
    """As cheap or as fast as can be with these whole numbers."""
    best = solved(formulation.frame, with_whole(formulation.model, whole))
    if not best.found or serves_nothing(formulation, best):
        raise HetopsError(
            "a class takes less of a node than the solver can tell from nothing, a ten-millionth",
            hint="leave out the class that asks for least beside what a node serves of it, or ask for more of it",
        )
    return best


def serves_nothing(formulation: Formulation, answer: highs.Answer) -> bool:
    """Whether an answer for the largest rate serves none at all."""
    scale = formulation.scale_index
    return scale is not None and answer.found and bool(answer.values[scale] <= highs.FEASIBILITY_TOLERANCE)
