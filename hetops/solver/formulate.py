"""The problem as one exact linear model with integers. Pure; the limits are functions of `rows`, mirrored in `checks`.

With D[w] the demand and h[j, w] the rate of one node, the load of a share is D[w] / h[j, w] nodes. Time shared between
classes adds up, so a node is full when its loads add up to 1 less the headroom. No product of variables appears: the
bilinear makespan of arXiv:2502.00722 (its T times y) becomes linear by working in rates. The variables are those of
`frame`, as `variables` lays them.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver.frame import Block, Frame, kinds
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import INFINITY, Floats, MatrixModel, Row, assemble, with_row, with_rows_where
from hetops.solver.problem import Column, Mode, Problem, running
from hetops.solver.rows.change import change_limit_rows, migration_rows, start_rows
from hetops.solver.rows.money import budget_rows, counted, mean_budget_rows, provider_budget_rows
from hetops.solver.rows.quality import mean_quality_rows
from hetops.solver.rows.risk import share_limit_rows
from hetops.solver.rows.serve import (
    capacity_rows,
    deferral_rows,
    demand_rows,
    handover_rows,
    link_rows,
    loss_rows,
    service_rows,
    service_token_rows,
    shed_rows,
    whole_class_rows,
)
from hetops.solver.rows.supply import (
    SMALLEST_UNIT,
    commitment_rows,
    opened_rows,
    pool_rows,
    quota_rows,
    ramp_rows,
    rental_rows,
    stock_rows,
)
from hetops.solver.variables import frame_of

__all__ = ["CONSTRAINTS", "SMALLEST_UNIT", "Formulation", "at_rate", "formulate"]

Constraint = Callable[[Frame], Iterator[Row]]

CONSTRAINTS: tuple[Constraint, ...] = (
    demand_rows,
    capacity_rows,
    whole_class_rows,
    stock_rows,
    quota_rows,
    budget_rows,
    provider_budget_rows,
    opened_rows,
    pool_rows,
    rental_rows,
    commitment_rows,
    service_rows,
    service_token_rows,
    share_limit_rows,
    mean_quality_rows,
    loss_rows,
    shed_rows,
    deferral_rows,
    mean_budget_rows,
    start_rows,
    ramp_rows,
    migration_rows,
    change_limit_rows,
    handover_rows,
    link_rows,
)
"""Every limit of the model, in the order of its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formulation:
    """The model, and which variable means what."""

    model: MatrixModel
    frame: Frame
    constraints: tuple[Constraint, ...]
    implied: NDArray[np.bool_]
    """The rows that hold of every answer anyway: they only tighten the relaxation."""
    unit: float
    """What one unit of the model's objective is worth in the problem's unit."""
    beyond: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """The stretch of each variable behind those that the frame knows."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that can be of use; column j's nodes in the first stretch are variable j."""
        return self.frame.columns

    @property
    def scale_index(self) -> int | None:
        """The variable that says how often the demand is served; None where it is to be served once."""
        return self.frame.scale_index

    @property
    def loose(self) -> MatrixModel:
        """The model without the rows that are implied: as exact, with fewer rows by far."""
        return with_rows_where(self.model, ~self.implied)

    def with_row(self, row: Row) -> Formulation:
        """With one limit more."""
        return replace(self, model=with_row(self.model, row), implied=np.append(self.implied, False))


def formulate(
    problem: Problem,
    *,
    minimise: Limit | None = None,
    constraints: tuple[Constraint, ...] = CONSTRAINTS,
    must_rent: Collection[str] = (),
) -> Formulation:
    """The model of `problem`, with every column by which a node of the offers in `must_rent` may be had.

    With `minimise`, that limit is not enforced and what it limits (USD per hour, nodes, quota, pools, a share) is
    minimised instead of the cost: the smallest value of the limit that lets the problem be solved.
    """
    with _uncollected():
        return _formulated(frame_of(problem, minimise, must_rent), constraints)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: hundreds of thousands of rows have none, and it takes as long as making them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _formulated(frame: Frame, constraints: tuple[Constraint, ...]) -> Formulation:
    minimise = frame.minimise
    told = [(row, of is whole_class_rows) for of in constraints for row in of(frame)]
    limited = [row for row, _ in told if minimise is not None and row.subject == minimise]
    enforced = [(row, implied) for row, implied in told if minimise is None or row.subject != minimise]
    enforced += [(row, False) for row in _widest(frame, limited)]
    cost, unit = _objective(frame, limited)
    rows = [row for row, _ in enforced]
    model = assemble(cost=cost, upper=_upper(frame), integers=frame.integers, rows=rows)
    return Formulation(
        model=replace(model, lines=tuple(_lines(frame))),
        frame=frame,
        constraints=constraints,
        implied=np.array([implied for _, implied in enforced], dtype=bool),
        unit=unit,
    )


def _lines(frame: Frame) -> Iterator[NDArray[np.int64]]:
    """Nodes that do the same, in every stretch."""
    several = [kind for kind in kinds(frame) if len(kind) > 1]
    for t in range(len(frame.stretches)):
        yield from (np.array([frame.nodes(t, j) for j in kind]) for kind in several)


def _widest(frame: Frame, limited: list[Row]) -> Iterator[Row]:
    """Where the limit to be minimised has several rows, the largest of them counts; of what every class gets, what is lacking."""
    if not _counts_widest(frame, limited):
        return
    beyond = frame.minimise == Limit(kind=LimitKind.EVERY_QUALITY)
    for row in limited:
        terms = [*row.terms, (frame.first[Block.WIDEST], -1.0)]
        yield Row(subject=("widest", row.subject), terms=terms, upper=row.upper if beyond else 0.0)


def _counts_widest(frame: Frame, limited: list[Row]) -> bool:
    return len(limited) > 1 or frame.minimise == Limit(kind=LimitKind.EVERY_QUALITY)


def _objective(frame: Frame, limited: list[Row]) -> tuple[Floats, float]:
    """Coefficients near 1, and what one unit of their sum is worth: the solver's tolerances are absolute."""
    cost = np.zeros(frame.size)
    if frame.minimise is not None:
        widest = [(frame.first[Block.WIDEST], 1.0)] * bool(limited)
        terms = widest if _counts_widest(frame, limited) else [term for row in limited for term in row.terms]
        for j, value in terms:
            cost[j] = value
    elif frame.scale_index is not None:
        cost[frame.scale_index] = -1.0
        return cost, frame.demand_unit * frame.problem.requests_per_second
    else:
        for j, usd in counted(frame):
            cost[j] += float(usd)
    whole = cost[: frame.integers]
    told = whole if (whole > 0).any() else cost
    # A power of two keeps the coefficients' digits as they are.
    unit = 2.0 ** math.floor(math.log2(told[told > 0].min())) if (told > 0).any() else 1.0
    return cost / unit, unit


def _upper(frame: Frame) -> Floats:
    """Bounds that no answer worth having exceeds."""
    upper = np.full(frame.size, INFINITY)
    most = [max(caps) for caps in zip(*frame.caps, strict=True)]
    run = [running(frame.problem).get(column.key, 0) for column in frame.columns]

    def bound(block: Block, values: Sequence[float]) -> None:
        upper[frame.first[block] : frame.first[block] + len(values)] = values

    bound(Block.NODES, [cap for caps in frame.caps for cap in caps])
    bound(Block.OPENED, [1.0] * len(most) * frame.counts_pools)
    if frame.minimise is None:
        lots = [(frame.problem.max_nodes(one.offer), one.offer.lot_nodes) for one in frame.rentals]
        bound(Block.RENTED, [float(most_nodes // lot) for most_nodes, lot in lots])
    if len(frame.stretches) > 1:
        bound(Block.STARTED, most * len(frame.stretches))
    if frame.problem.migration is not None:
        bound(Block.ADDED, most)
        bound(Block.REMOVED, run)
    if frame.scale_index is None:
        shares = [
            [_most_of(frame, n, w) for w in range(len(frame.classes))] for n in range(len(frame.layers))
        ]
        bound(Block.SHARE, [shares[n][w] for n, _, w in frame.pairs])
        bound(Block.MISSING, [1.0] * frame.sizes[Block.MISSING])
        bound(Block.SHED, [1.0] * len(frame.sheds))
        bound(Block.DEFERRED, [1.0] * len(frame.waits))
        bound(Block.HANDED, [_most_of(frame, h.layer, h.workload_class) for h in frame.handovers])
    return upper


def _most_of(frame: Frame, layer: int, w: int) -> float:
    """The largest share: 1; of batch work, all that may be served in a stretch, relative to the mean."""
    if not frame.may_wait(w):
        return 1.0
    return 1.0 / float(frame.stretches[frame.layers[layer].stretch].part)


def at_rate(problem: Problem, requests_per_second: float) -> Problem:
    """The same mix at a fixed rate, to be served at least cost; all of it, where the largest rate was asked for."""
    factor = requests_per_second / problem.requests_per_second
    scaled = tuple(
        replace(
            c,
            requests_per_second=c.requests_per_second * factor,
            shed_usd_per_request=c.shed_usd_per_request if problem.sheds(c) else None,
        )
        for c in problem.classes
    )
    periods = tuple(
        replace(p, requests_per_second={c: rate * factor for c, rate in p.requests_per_second.items()})
        for p in problem.periods
    )
    return replace(problem, mode=Mode.MIN_COST, classes=scaled, periods=periods)
