"""Shares as even as the best allows, in problems with terms: of all that cost no more, those whose fullest pool is least full.

Then those whose next fullest is, in each period: no pool queues while another idles. Decides shares only, never nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hetops.solver import highs
from hetops.solver.answers.balance import TIGHT_DUAL
from hetops.solver.answers.cheapest import usd
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import Floats, MatrixModel, Row, assemble, with_row
from hetops.solver.rows.serve import capacity_rows
from hetops.solver.terms import Service

COST_SLACK = 1e-8
"""Part of the cost, or of a maximal rate, that evening out may give up: rounding of the solver's."""
DEARER = 1e-6
"""Part of the cost from which on a share with egress is dearer by its reduced cost, and gets none of that slack: egress costs so little
that the slack would pay for a share which is no noise, and a class is promised what its slowest pool gives."""

FINE = 1e-9
"""Part of what arrives of a class that is nothing even beside a thousandth of it, where all else is shed."""

MOST_LEVELLED = 20_000
"""Variables of a model in which pool after pool is made as empty as can be; beyond, only the fullest of each stretch."""


def evened(formulation: Formulation, whole: Floats, best: highs.Answer) -> Floats:
    """All variables, with the whole numbers fixed: as even as the best allows."""
    kept = _kept(formulation, whole, best.objective)
    values, frame = best.values, formulation.frame
    pools = np.flatnonzero(whole[: frame.sizes[Block.NODES]])
    settled: dict[int, float] = {}
    dearer = list(_dearer(frame, with_whole(formulation.model, whole), best))
    shed = frame.first[Block.SHED] + np.arange(len(frame.sheds))  # emptier pools are no reason to shed more
    for _ in pools if frame.size <= MOST_LEVELLED else pools[:1]:
        model = _level_model(formulation, whole, kept, settled)
        levelled = with_whole(model, whole)
        levelled.upper[dearer] = 0.0
        levelled.upper[shed] = best.values[shed]
        even = solved(frame, levelled)
        if not even.found:
            break  # a level settled a rounding error too low; the last answer stands
        values = even.values
        levels = values[frame.size :]
        tight = {
            row.nodes: float(levels[row.stretch])
            for row, dual in zip(model.subjects, even.row_duals, strict=True)
            if isinstance(row, _Levelled) and row.nodes not in settled and abs(dual) > TIGHT_DUAL
        }
        settled |= tight
        if not tight or len(settled) >= len(pools):
            break
    return values


def solved(frame: Frame, model: MatrixModel) -> highs.Answer:
    """The model solved; where little may be served, finer, for limits on what is served, if there is an answer to that."""
    little = frame.sheds or frame.scale_index is not None
    fine = highs.run(model, on_interrupt=OnInterrupt.FINISH, tolerance=FINE) if little else None
    return fine if fine and fine.found else highs.run(model, on_interrupt=OnInterrupt.FINISH)


def _dearer(frame: Frame, fixed: MatrixModel, best: highs.Answer) -> Iterator[int]:
    """Shares whose answers cost something on their way, and that nothing as good as can be has.

    A share's reduced cost is held against the least of its class there: a class that one pool has whole has no price of its own.
    """
    reduced = fixed.cost - fixed.weighed_rows(best.row_duals)
    least: dict[tuple[int, int], float] = {}
    for k, (n, _, w) in enumerate(frame.pairs):
        if fixed.upper[frame.share(k)] > 0:
            least[n, w] = min(least.get((n, w), math.inf), float(reduced[frame.share(k)]))
    places = frame.places
    for k, (n, place, w) in enumerate(frame.pairs):
        at, index = places[place], frame.share(k)
        egress = not isinstance(at, Service) and at.usd_per_request.get(frame.classes[w].name)
        if egress and reduced[index] - least.get((n, w), math.inf) > DEARER * max(abs(best.objective), 1.0):
            yield index


def _kept(formulation: Formulation, whole: Floats, best: float) -> tuple[Row, ...]:
    """What evening out may not make worse: the objective, and, where that is a rate, the money."""
    model = formulation.model
    good = _at_most("as good as can be", model.cost, best)
    if formulation.scale_index is None:
        return (good,)
    spent = usd(formulation)
    cheap = replace(with_row(model, good), cost=spent)
    least = highs.run(with_whole(cheap, whole), on_interrupt=OnInterrupt.FINISH)
    return (good, _at_most("no dearer", spent, least.objective)) if least.found else (good,)


def _at_most(subject: str, each: Floats, value: float) -> Row:
    terms = [(int(i), float(each[i])) for i in np.flatnonzero(each)]
    return Row(subject=subject, terms=terms, upper=value + COST_SLACK * max(abs(value), 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Levelled:
    """What a row says: a pool of a stretch, by the variable of its nodes, is no fuller than its level."""

    stretch: int
    nodes: int


def with_whole(model: MatrixModel, whole: Floats) -> MatrixModel:
    """The model with its first variables at those whole numbers, and no choice but the rest."""
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[: len(whole)] = upper[: len(whole)] = whole
    return replace(model.linear, lower=lower, upper=upper)


def _level_model(
    formulation: Formulation, whole: Floats, kept: tuple[Row, ...], settled: Mapping[int, float]
) -> MatrixModel:
    """The model with a level for each stretch, which the utilisation of every pool in it is below, but for those settled."""
    frame, model = formulation.frame, formulation.model
    rows = [
        row
        for constraint in formulation.constraints
        for row in (_levelled(frame, whole, settled) if constraint is capacity_rows else constraint(frame))
    ]
    levels = len(frame.stretches)
    cost = np.concatenate((np.zeros(frame.size), np.ones(levels)))
    upper = np.concatenate((model.upper, np.ones(levels)))
    return assemble(cost=cost, upper=upper, integers=0, rows=[*rows, *kept])


def _levelled(frame: Frame, whole: Floats, settled: Mapping[int, float]) -> Iterator[Row]:
    """Capacity with the level for what may be planned with; after a loss as it is."""
    for row in capacity_rows(frame):
        *loads, (nodes, usable) = row.terms
        if any(frame.layers[frame.pairs[i - frame.share(0)][0]].scenario for i, _ in loads[:1]):
            yield row
            continue
        stretch, room = nodes // max(len(frame.columns), 1), usable * float(whole[nodes])
        subject = _Levelled(stretch=stretch, nodes=nodes)
        if nodes in settled:
            yield replace(row, subject=subject, terms=loads, upper=-room * settled[nodes])
        else:
            yield replace(row, subject=subject, terms=[*loads, (frame.size + stretch, room)])
