"""The best fleet for thousands of classes, found without a model that holds them.

A model of whole nodes alone, with the limits on them, says which fleet is best as far as is known; what that fleet cannot
do (`worth`) says more of all fleets. So it goes on until a fleet can do what is asked (at least cost), or as much as is
proven to be possible (at the largest rate). Every bound on the way is one of the problem, whole nodes included. For
problems without terms; decides no shares.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from hetops.solver import highs
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.frame import Frame
from hetops.solver.highs import Answer, Status
from hetops.solver.matrix import INFINITY, Floats, MatrixModel, Row, extended, part
from hetops.solver.patience import Patience, stopped
from hetops.solver.problem import Column, Mode, Problem
from hetops.solver.rows.money import budget_rows, provider_budget_rows
from hetops.solver.rows.supply import pool_rows, quota_rows, stock_rows
from hetops.solver.search.worth import Filled, Line, filled, lines

PART_OF_GAP = 0.25
"""Fleets are searched to this part of the gap that is wanted."""

SOUND = 1e-8
"""By how much more than its time a pool may be full: less than the checker allows for."""

CERTAIN = 1e-9
"""Part of what classes are worth that rounding may make of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What is known of a problem by the end of a search."""

    bound: float
    """No fleet is better: USD per hour, or requests per second."""
    columns: tuple[Column, ...]
    """Those that the ways of `best` speak of, by their numbers."""
    best: Filled | None = None
    """The best fleet; at least cost, where none was found that serves all, the last one that was tried."""
    good: bool = False
    """Whether that fleet does what is asked, and is as good as the bound to within the wanted gap."""
    impossible: bool = False
    """Whether no fleet does what is asked."""


def nodes_of(problem: Problem, must_rent: Collection[str] = ()) -> Formulation:
    """The model of nodes and of the limits on them, in which some of these offers can be had: it holds nothing of classes."""
    return formulate(problem, constraints=(_node_rows,), must_rent=must_rent)


def _node_rows(frame: Frame) -> Iterator[Row]:
    bare = replace(frame, pairs=())
    for rows in (stock_rows, quota_rows, budget_rows, provider_budget_rows, pool_rows):
        yield from rows(bare)


def search(formulation: Formulation, *, gap: float, patience: Patience) -> Found:
    """The best fleet for a problem, of which `formulation` is the model of its nodes, or what is known of it in time.

    Raises:
        KeyboardInterrupt: stopped, and nobody is content with what there is.
    """
    asked = _Asked.of(formulation)
    found = Found(bound=0.0 if asked.minimises else INFINITY, columns=formulation.columns)
    if not np.isfinite(asked.loads).any(axis=1).all():
        return replace(found, impossible=True)  # the limits leave nothing that serves one of them
    model = asked.with_lines(asked.nodes, *asked.at_list_prices())
    while patience.left > 0:
        answer = _answer(model, gap * PART_OF_GAP, patience)
        if answer.status is Status.INFEASIBLE:
            return replace(found, impossible=True)
        found = replace(found, bound=asked.bound(found, answer))
        if not answer.found:
            break
        nodes = answer.values[: len(asked.usd)].round()
        one = filled(asked.loads, nodes, enough=asked.enough, near=gap * PART_OF_GAP)
        found = asked.better(found, one, gap)
        told = list(lines(asked.loads, one.worth, nodes, asked.most_scale(found)))
        if found.good or not asked.tells(told[0], one, answer):
            break
        model = asked.with_lines(model, told, one.worth)
    return found


def _answer(model: MatrixModel, gap: float, patience: Patience) -> Answer:
    """The best nodes as far as is known; nothing where it was stopped."""
    try:
        return highs.run(model, gap=gap, limit_seconds=patience.left)
    except KeyboardInterrupt:
        if not stopped():
            raise
        empty = np.empty(0)
        return Answer(
            status=Status.NOTHING_FOUND,
            values=empty,
            objective=INFINITY,
            bound=-INFINITY,
            row_duals=empty,
            seconds=0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """A problem as arrays: what its classes take, what its nodes cost."""

    minimises: bool
    nodes: MatrixModel
    """Their numbers by column, and last, at the largest rate, how often the demand is served in units of `scale_unit`."""
    loads: Floats
    """Nodes that all of a class takes, by class and column; infinite where it cannot go."""
    usd: Floats
    requests_per_second: float
    unit: float
    scale_unit: float

    @classmethod
    def of(cls, formulation: Formulation) -> _Asked:
        """What a formulation asks."""
        frame, scale = formulation.frame, formulation.scale_index
        kept = [*range(frame.integers), *(() if scale is None else (scale,))]
        rates = np.array([[c.rate(k.name) for c in frame.columns] for k in frame.classes])
        demand = np.array([[k.requests_per_second] for k in frame.classes])
        loads = np.full(rates.shape, INFINITY)
        np.divide(demand, rates * np.array(frame.usable), out=loads, where=rates > 0)
        return cls(
            minimises=frame.problem.mode is Mode.MIN_COST,
            nodes=part(formulation.model, np.array(kept), np.zeros(frame.size)),
            loads=loads,
            usd=np.array([float(offer.usd_per_hour) for offer in frame.offers]),
            requests_per_second=frame.problem.requests_per_second,
            unit=formulation.unit,
            scale_unit=frame.demand_unit,
        )

    @property
    def enough(self) -> float:
        """How empty the fullest pool must be for a fleet to be an answer; at the largest rate emptier is better."""
        return 1.0 + SOUND if self.minimises else 0.0

    def at_list_prices(self) -> tuple[list[Line], Floats]:
        """What nodes could earn is what they cost, where each class is worth what it costs on its cheapest column."""
        costs = np.where(np.isfinite(self.loads), self.loads * self.usd, INFINITY)
        return [Line(anyway=0.0, per_node=self.usd)], costs.min(axis=1)

    def bound(self, found: Found, answer: Answer) -> float:
        """The better one of that so far and what an answer proves."""
        proven = answer.bound * self.unit
        return max(found.bound, proven) if self.minimises else min(found.bound, -proven)

    def most_scale(self, found: Found) -> float:
        """No fleet serves the demand more often than so; once, where it is to be served once."""
        return 1.0 if self.minimises else found.bound / self.requests_per_second

    def better(self, found: Found, one: Filled, gap: float) -> Found:
        """With a fleet that was tried, if it is the best so far."""
        if self.minimises:
            return replace(found, best=one, good=one.most <= self.enough)
        best = one if found.best is None or one.most < found.best.most else found.best
        rate = self.requests_per_second / best.most
        return replace(found, best=best, good=found.bound - rate <= gap * rate)

    def tells(self, line: Line, one: Filled, answer: Answer) -> bool:
        """Whether the line says that the nodes of an answer cannot do what it takes them for."""
        scale = 1.0 if self.minimises else float(answer.values[-1]) * self.scale_unit
        earned = line.anyway + float(line.per_node @ answer.values[: len(self.usd)].round())
        return earned < float(one.worth.sum()) * scale * (1 - CERTAIN)

    def with_lines(self, model: MatrixModel, told: Iterable[Line], worth: Floats) -> MatrixModel:
        """The model with fleets alone that could earn what all classes are worth."""
        due = float(worth.sum()) * (1 - CERTAIN)
        scale = [] if self.minimises else [(len(model.cost) - 1, -self.scale_unit)]
        rows = [
            Row(
                subject="what classes are worth",
                terms=[*((j, float(usd) / due) for j, usd in enumerate(line.per_node) if usd > 0), *scale],
                lower=(due if self.minimises else 0.0) / due - line.anyway / due,
            )
            for line in told
        ]
        return extended(model, rows, ())
