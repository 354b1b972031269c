"""Of the fleets that are as good as the one found, out of its columns, the one with fewest pools; for any terms.

Decides nothing that costs: what comes out costs no more, serves as much, and keeps every limit, or it is as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.answers.cheapest import RATE_SLACK, usd
from hetops.solver.answers.levels import COST_SLACK, with_whole
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import Floats, Row
from hetops.solver.problem import running, with_sharers
from hetops.solver.search.start import Searched


def tidied(searched: Searched, seconds: float) -> Searched:
    """The search with the tidiest answer that the seconds suffice for."""
    formulation, answer = searched.formulation, searched.answer
    nodes = _nodes(formulation.frame, answer.values)
    used = nodes.max(axis=0, initial=0.0) > 0
    if seconds <= 0 or used.sum() < 2:
        return searched
    few = _of_columns(formulation, used)
    for row in _as_good(formulation, few, answer.values):
        few = few.with_row(row)
    found = highs.run(few.model, limit_seconds=seconds, on_interrupt=OnInterrupt.FINISH)
    if found.status is not Status.OPTIMAL or round(found.objective * few.unit) >= used.sum():
        return searched
    return replace(searched, answer=_taken_over(formulation, answer, few.frame, found.values))


def _nodes(frame: Frame, values: Floats) -> Floats:
    """Nodes by stretch and column."""
    return values[: frame.sizes[Block.NODES]].round().reshape(len(frame.stretches), -1)


def _of_columns(formulation: Formulation, used: NDArray[np.bool_]) -> Formulation:
    """The model of those columns, of what runs already, and of what shares the nodes of their offers: fewest pools."""
    frame = formulation.frame
    kept = {c.key for c, use in zip(frame.columns, used, strict=True) if use} | set(running(frame.problem))
    columns = with_sharers(frame.columns, kept)
    return formulate(replace(frame.problem, columns=columns), minimise=Limit(kind=LimitKind.POOLS))


def _as_good(formulation: Formulation, few: Formulation, values: Floats) -> Iterator[Row]:
    """No dearer than the fleet found, and no less served."""
    spent = float(usd(formulation) @ values)
    terms = [(int(i), float(amount)) for i, amount in enumerate(usd(few)) if amount]
    yield Row(subject="no dearer", terms=terms, upper=spent + COST_SLACK * max(spent, 1.0))
    frame, own = formulation.frame, few.frame
    if frame.scale_index is not None and own.scale_index is not None:
        served = float(values[frame.scale_index]) * frame.demand_unit / own.demand_unit
        yield Row(subject="as much", terms=[(own.scale_index, 1.0)], lower=served * (1 - RATE_SLACK))


def _taken_over(formulation: Formulation, answer: Answer, own: Frame, values: Floats) -> Answer:
    """The answer with the nodes of another model's; as it was where they are not as good after all."""
    frame = formulation.frame
    whole = np.zeros(frame.integers)
    places = {column.key: j for j, column in enumerate(frame.columns)}
    nodes, of_stretch = (
        _nodes(own, values),
        whole[: frame.sizes[Block.NODES]].reshape(len(frame.stretches), -1),
    )
    for j, column in enumerate(own.columns):
        of_stretch[:, places[column.key]] = nodes[:, j]
    if frame.sizes[Block.OPENED]:
        first = frame.first[Block.OPENED]
        whole[first : first + len(frame.columns)] = of_stretch.any(axis=0)
    rentals = {(r.offer.id, r.stretch): i for i, r in enumerate(frame.rentals)}
    for i, rental in enumerate(own.rentals):
        at = rentals[rental.offer.id, rental.stretch]
        whole[frame.first[Block.RENTED] + at] = values[own.first[Block.RENTED] + i].round()
    found = highs.run(with_whole(formulation.model, whole), on_interrupt=OnInterrupt.FINISH)
    worst = answer.objective + COST_SLACK * max(abs(answer.objective), 1.0)
    if not found.found or found.objective > worst:
        return answer
    return replace(answer, values=found.values, objective=found.objective)
