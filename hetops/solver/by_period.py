"""Searches a problem of several periods one period at a time, where nothing but starts of nodes ties them together.

What ties periods together is priced instead of enforced (Lagrangian relaxation of the rows of `start_rows`): each
period is then a small problem of its own, and their bounds add up to one for all, whatever the prices. Its fleets, with
the starts that they cause, are answers; each is made better one period at a time while the others stand still. Prices
move along the subgradient, by Polyak's step, until bound and answer meet.

Decides how to search; knows the rows only as numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.matrix import Floats, MatrixModel, part, with_rows_where

MOST_STALE = 12
"""Rounds without a better bound after which what is left of the time goes to the model as a whole."""

LEAST_INTEGERS = 200
"""Whole numbers below which the model as a whole is searched at once."""

IMPROVED_EVERY = 6
"""Rounds after which fleets are made better once more; the first round's are, too."""

PART_OF_GAP = 0.2
"""Each period is searched to this part of the gap wanted of all."""


def separable(formulation: Formulation) -> bool:
    """Whether the periods are tied together by starts of nodes alone, and are worth taking apart."""
    frame = formulation.frame
    if len(frame.stretches) < 2 or frame.scale_index is not None or frame.minimise is not None:
        return False
    if frame.integers < LEAST_INTEGERS:
        return False
    model = formulation.model
    tied = _tied(model, _stretch_of(frame))
    return all(_is_start(subject) for subject, is_tied in zip(model.subjects, tied, strict=True) if is_tied)


def _is_start(subject: object) -> bool:
    return isinstance(subject, tuple) and subject[0] == "started"


def _stretch_of(frame: Frame) -> NDArray[np.int64]:
    """The stretch that each variable belongs to; -1 for those of several."""
    of, stretches = np.full(frame.size, -1), np.arange(len(frame.stretches))
    nodes, missing = frame.first[Block.NODES], frame.first[Block.MISSING]
    of[nodes : nodes + frame.sizes[Block.NODES]] = np.repeat(stretches, len(frame.columns))
    of[missing : missing + frame.sizes[Block.MISSING]] = np.tile(stretches, len(frame.problem.scenarios))
    for r, rental in enumerate(frame.rentals):
        of[frame.first[Block.RENTED] + r] = -1 if rental.stretch is None else rental.stretch
    for k, (n, _, _) in enumerate(frame.pairs):
        of[frame.share(k)] = frame.layers[n].stretch
    for h, one in enumerate(frame.handovers):
        of[frame.first[Block.HANDED] + h] = frame.layers[one.layer].stretch
    return of


def _tied(model: MatrixModel, stretch_of: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The rows with variables of more than one stretch, or of none."""
    of = stretch_of[model.row_indices]
    tied = np.zeros(len(model.row_lower), dtype=bool)
    for i, (start, end) in enumerate(zip(model.row_starts[:-1], model.row_starts[1:], strict=True)):
        tied[i] = end > start and (of[start] < 0 or bool((of[start:end] != of[start]).any()))
    return tied


def search(
    formulation: Formulation, *, gap: float, limit_seconds: float, on_interrupt: OnInterrupt
) -> Answer:
    """As `highs.run` on the formulation's model, which must be separable.

    Raises:
        KeyboardInterrupt: Ctrl-C, and there is no answer to take or none is to be taken.
    """
    rounds = _Rounds.of(formulation, gap=gap, until=time.monotonic() + limit_seconds)
    best = Answer(
        status=Status.NOTHING_FOUND,
        values=np.empty(0),
        objective=np.inf,
        bound=-np.inf,
        row_duals=np.empty(0),
        seconds=0.0,
    )
    began = time.monotonic()
    try:
        for found in rounds.answers():
            best = found
    except KeyboardInterrupt:
        if on_interrupt is OnInterrupt.CANCEL or not best.found:
            raise
        best = replace(best, status=Status.INTERRUPTED)
    return replace(best, seconds=time.monotonic() - began)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rounds:
    """The model taken apart, how near to the optimum to come, and until when."""

    model: MatrixModel
    untied: MatrixModel
    """Without the rows that tie periods together."""
    tied: NDArray[np.bool_]
    members: tuple[NDArray[np.int64], ...]
    """The variables of each period."""
    common: NDArray[np.int64]
    """The variables of none: starts."""
    gap: float
    until: float

    @classmethod
    def of(cls, formulation: Formulation, *, gap: float, until: float) -> _Rounds:
        """The formulation's model taken apart."""
        model, stretch_of = formulation.model, _stretch_of(formulation.frame)
        tied = _tied(model, stretch_of)
        return cls(
            model=model,
            untied=with_rows_where(model, ~tied),
            tied=tied,
            members=tuple(np.flatnonzero(stretch_of == t) for t in range(len(formulation.frame.stretches))),
            common=np.flatnonzero(stretch_of < 0),
            gap=gap,
            until=until,
        )

    def answers(self) -> Iterator[Answer]:
        """Ever better answers; the last one is within the gap, or the best that time allowed."""
        relaxed = highs.run(
            replace(self.model, integer=np.zeros_like(self.model.integer)), limit_seconds=self.left
        )
        if not relaxed.found:
            yield relaxed
            return
        prices, bound, stale = self._clipped(relaxed.row_duals), relaxed.objective, 0
        best: Floats | None = None
        for turn in count():
            proven, values = self._priced(prices)
            if values is None:
                return
            stale = 0 if proven > bound else stale + 1
            bound = max(bound, proven)
            for fleet in self._fleets(values, turn):
                best = fleet if best is None or self._cost(fleet) < self._cost(best) else best
                answer = self._answer(best, bound)
                yield answer
                if answer.status is Status.OPTIMAL or self.left <= 0:
                    return
            if stale > MOST_STALE and best is not None:
                yield self._as_a_whole(best, bound)
                return
            if best is not None:
                prices = self._moved(prices, values, 0.5 ** (stale // 3) * (self._cost(best) - proven))

    def _as_a_whole(self, best: Floats, bound: float) -> Answer:
        """The better of what was found and what a search of the whole model finds in the time that is left."""
        whole = highs.run(self.model, gap=self.gap, limit_seconds=self.left)
        better = whole.found and whole.objective < self._cost(best)
        return self._answer(whole.values if better else best, max(bound, whole.bound))

    def _fleets(self, values: Floats, turn: int) -> Iterator[Floats]:
        """The fleets of a round with their starts, and now and then, for that takes long, made better."""
        fleet = self._with_starts(values)
        yield fleet
        if turn % IMPROVED_EVERY == 0:
            yield self._improved(fleet)

    @property
    def left(self) -> float:
        """Seconds."""
        return max(self.until - time.monotonic(), 0.0)

    def _cost(self, values: Floats) -> float:
        return float(self.model.cost @ values)

    def _answer(self, values: Floats, bound: float) -> Answer:
        reached = self._cost(values)
        close = reached - bound <= self.gap * abs(reached)
        return Answer(
            status=Status.OPTIMAL if close else Status.TIME_LIMIT,
            values=values,
            objective=reached,
            bound=min(bound, reached),
            row_duals=np.empty(0),
            seconds=0.0,
        )

    def _clipped(self, prices: Floats) -> Floats:
        """Prices of the rows that tie, none that lets a start be worth more than it costs; the rows have upper bounds."""
        clipped = np.where(self.tied, np.minimum(prices, 0.0), 0.0)
        most = np.zeros(len(clipped))
        for i in np.flatnonzero(self.tied):
            most[i] = self.model.cost[self._started(int(i))]
        return np.maximum(clipped, -most)

    def _started(self, row: int) -> int:
        """The variable that counts the starts of a row, its last."""
        return int(self.model.row_indices[self.model.row_starts[row + 1] - 1])

    def _priced(self, prices: Floats) -> tuple[float, Floats | None]:
        """A bound on the cost of all periods, and the fleets that it comes from; none where time ran out before one."""
        cost = self.model.cost - self.model.weighed_rows(prices)
        bound, values = 0.0, np.zeros(len(cost))
        for members in self.members:
            own = replace(part(self.untied, members, values), cost=cost[members])
            answer = highs.run(own, gap=self.gap * PART_OF_GAP, limit_seconds=self.left)
            if not answer.found:
                return -np.inf, None
            bound += answer.bound
            values[members] = answer.values
            values[members[own.integer]] = values[members[own.integer]].round()
        return bound, values

    def _with_starts(self, values: Floats) -> Floats:
        """Fleets with the starts that they cause."""
        values = values.copy()
        values[self.common] = 0.0
        more = self.model.rows_of(values)
        for i in np.flatnonzero(self.tied):
            values[self._started(int(i))] = max(more[i], 0.0)
        return values

    def _improved(self, values: Floats) -> Floats:
        """Each period anew between its neighbours as they are, while that helps."""
        before = np.inf
        while self._cost(values) < before * (1 - self.gap * PART_OF_GAP):
            before = self._cost(values)
            for members in self.members:
                values = self._anew(values, members) if self.left > 0 else values
        return values

    def _anew(self, values: Floats, members: NDArray[np.int64]) -> Floats:
        own = np.union1d(members, self.common)
        answer = highs.run(part(self.model, own, values), gap=self.gap * PART_OF_GAP, limit_seconds=self.left)
        found = values.copy()
        if answer.found:
            found[own] = answer.values
            whole = own[self.model.integer[own]]
            found[whole] = found[whole].round()
            found = self._with_starts(found)
        return found if self._cost(found) < self._cost(values) else values

    def _moved(self, prices: Floats, values: Floats, ahead: float) -> Floats:
        """Prices a step along the subgradient: dearer where nodes are started, cheaper where they are stopped."""
        more = np.where(self.tied, self.model.rows_of(values), 0.0)
        more[(prices >= 0) & (more < 0)] = 0.0
        steepness = float(more @ more)
        return self._clipped(prices - ahead / steepness * more) if steepness > 0 else prices
