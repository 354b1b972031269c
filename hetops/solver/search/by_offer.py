"""Whole nodes of offers first, of columns then: how fleets of few nodes are proven best.

How many nodes of each offer a fleet has says mostly what it costs; what each of them runs, whether it bears the losses.
So the first search has whole sums of nodes by offer, whose columns are anything: few whole numbers, and a bound far above
the relaxation's. Sums that bear every loss as long as columns are anything are then searched for whole columns, with
shares for each loss, and with them all fleets that have no more of any offer; where those columns are many, the few that
their relaxation uses come first, for mostly they hold a fleet as good. So much is known for good, and the first
search goes on among those that have more of some. Decides where to search; enforces no limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import Answer, Status
from hetops.solver.lines import in_lines
from hetops.solver.matrix import INFINITY, Floats, MatrixModel, Row, extended
from hetops.solver.patience import Patience, stopped
from hetops.solver.search import borne, start
from hetops.solver.search.start import FEW, Relaxed, Searched
from hetops.solver.search.told import ROUGHLY, Told

PART_OF_GAP = 0.25
"""Of the gap that is wanted: how near to the best each search comes."""

PART_OF_TIME = 0.7
"""Of the time that is left: what all of them may take."""

PART_OF_FEW = 0.5
"""Of the time that is left of that: what the few columns may take that come before many."""

MOST_ROUNDS = 8
"""Of rows for the same sums, after which whole columns decide."""

SLACK = 10 * highs.FEASIBILITY_TOLERANCE
"""Part of a bound that is none, and as much of 1 at least: a model that only reaches its bound by no more than what rows may be
violated by is found infeasible now and then."""

MOST_SHARES = 20000
"""Of columns with every loss: where there would be more, whole columns are for others to find."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What is known by the end: rows, what no fleet is below, and the best fleet that was found."""

    told: Told
    bound: float
    best: Searched | None = None

    def good(self, gap: float) -> bool:
        """Whether the fleet is as near to the bound as is wanted."""
        objective = self.best.answer.objective if self.best else INFINITY
        return objective < INFINITY and objective - self.bound <= gap * abs(objective)

    def with_fleet(self, fleet: Searched) -> Found:
        """With the better one."""
        best = self.best.answer.objective if self.best else INFINITY
        return replace(self, best=fleet) if fleet.answer.objective < best else self


def search(told: Told, relaxed: Relaxed, *, gap: float, patience: Patience) -> Found:
    """The best fleet that bears every loss, or what is known of it in time.

    Raises:
        KeyboardInterrupt: stopped, and nobody is content with what there is.
    """
    own, sums = Patience.of(patience.left * PART_OF_TIME), _Sums.of(told.base.frame)
    found, near = Found(told=told, bound=relaxed.bound), gap * PART_OF_GAP
    below, searched, refused = INFINITY, list[Floats](), list[Floats]()
    while own.left > 0 and not found.good(gap):
        answer = _run(sums.beyond(found.told.model, searched), near, own)
        others = INFINITY if answer.status is Status.INFEASIBLE else answer.bound
        found = replace(found, bound=max(found.bound, min(below, others)))
        if not answer.found:
            break
        most = sums.of_lines(found.told.model, answer.values)
        more, may_bear = _told_of(found.told, sums, most, own)
        found = replace(found, told=more)
        if not may_bear and not any(np.array_equal(most, one) for one in refused):
            refused.append(most)
            continue
        used = sums.used(most)
        if more.shares(used) > MOST_SHARES:
            break
        columns = borne.few(more, used)
        if columns.model.integer.sum() > FEW:
            few, best = _begun(more, columns, near, own)
            found = found.with_fleet(Searched(formulation=few, relaxed=relaxed, answer=best))
            if found.good(gap):
                break
        best = _run(sums.within(columns, most, others), near, own)
        found = found.with_fleet(Searched(formulation=columns, relaxed=relaxed, answer=best))
        below = min(below, INFINITY if best.status is Status.INFEASIBLE else max(best.bound, others))
        searched.append(most)
    return found


def _begun(told: Told, columns: Formulation, near: float, patience: Patience) -> tuple[Formulation, Answer]:
    """The best fleet of those of the columns that the relaxation of their model uses, if there is one."""
    own, count = Patience.of(patience.left * PART_OF_FEW), len(columns.columns)
    relaxed = start.relaxed(columns.model.linear, own)
    if not relaxed.answer.found:
        return columns, relaxed.answer
    used = np.flatnonzero(relaxed.used[: columns.frame.sizes[Block.NODES]]) % count
    keys = {columns.columns[j].key for j in used}
    few = borne.few(told, np.array([column.key in keys for column in told.base.columns]))
    return few, _run(few.model, near, own)


def _run(model: MatrixModel, gap: float, patience: Patience) -> Answer:
    """The best values; nothing where it was stopped. Heuristics take as long as all else here, and find nothing more."""
    try:
        return highs.run_small(model, np.empty(0), gap=gap, limit_seconds=patience.left)
    except KeyboardInterrupt:
        if not stopped():
            raise
        return highs.NOTHING


def _told_of(told: Told, sums: _Sums, most: Floats, patience: Patience) -> tuple[Told, bool]:
    """With rows until nodes with those sums, whole or not, bear every loss or cannot; and whether they may."""
    for _ in range(MOST_ROUNDS):
        answer = _run(sums.exactly(told.model, most), 0.0, patience)
        if not answer.found:
            return told, False
        unborne = told.unborne(answer.values, ROUGHLY)
        if not unborne:
            break
        told = told.with_rows(unborne)
    return told, True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sums:
    """Nodes by offer in each stretch, as lines of a model."""

    frame: Frame
    lines: dict[tuple[int, str], NDArray[np.int64]]
    """Variables by stretch and offer."""

    @classmethod
    def of(cls, frame: Frame) -> _Sums:
        """All that the frame has."""
        of: dict[tuple[int, str], list[int]] = {}
        for t in range(len(frame.stretches)):
            for j, column in enumerate(frame.columns):
                of.setdefault((t, column.offer), []).append(frame.nodes(t, j))
        return cls(frame=frame, lines={key: np.array(line) for key, line in of.items()})

    def of_lines(self, model: MatrixModel, values: Floats) -> Floats:
        """The sums among the values of a model that was made of another."""
        first = len(model.cost)
        return values[first : first + len(self.lines)].round()

    def used(self, most: Floats) -> NDArray[np.bool_]:
        """The columns of offers with any nodes."""
        offers = {offer for (_, offer), nodes in zip(self.lines, most, strict=True) if nodes > 0}
        return np.array([column.offer in offers for column in self.frame.columns], dtype=bool)

    def exactly(self, model: MatrixModel, most: Floats) -> MatrixModel:
        """The model with those sums, and nothing else that is whole."""
        lined, size = self._lined(model), len(model.cost)
        lower, upper = np.append(lined.lower[:size], most), np.append(lined.upper[:size], most)
        return replace(lined.linear, lower=lower, upper=upper)

    def beyond(self, model: MatrixModel, searched: Sequence[Floats]) -> MatrixModel:
        """The model with whole sums, more of some than any of those that were searched."""
        lined, size = self._lined(model), len(model.cost)
        rows, chosen = list[Row](), len(lined.cost)
        for most in searched:
            able = [k for k, nodes in enumerate(most) if lined.upper[size + k] > nodes + 0.5]
            choices = range(chosen, chosen + len(able))
            rows.append(Row(subject="more of some offer", terms=[(z, 1.0) for z in choices], lower=1.0))
            rows += [
                Row(subject="more", terms=[(size + k, 1.0), (z, -(float(most[k]) + 1.0))], lower=0.0)
                for z, k in zip(choices, able, strict=True)
            ]
            chosen += len(able)
        model = extended(lined, rows, [1.0] * (chosen - len(lined.cost)))
        return replace(model, integer=np.append(lined.integer, np.ones(chosen - len(lined.cost), dtype=bool)))

    def within(self, own: Formulation, most: Floats, bound: float) -> MatrixModel:
        """The model of some columns with no more than those sums; told what no fleet is below, it ends at one that reaches it."""
        at_most = dict(zip(self.lines, most, strict=True))
        rows = [
            Row(subject="within", terms=[(int(j), 1.0) for j in line], upper=float(at_most.get(key, 0.0)))
            for key, line in _Sums.of(own.frame).lines.items()
        ]
        costs = [(int(j), float(own.model.cost[j])) for j in np.flatnonzero(own.model.cost)]
        reached = Row(subject="bound", terms=costs, lower=bound - SLACK * max(abs(bound), 1.0))
        return extended(own.model, [*rows, reached], ())

    def _lined(self, model: MatrixModel) -> MatrixModel:
        return in_lines(model, tuple(self.lines.values()))
