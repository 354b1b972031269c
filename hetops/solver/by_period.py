"""Searches a problem of several periods one period at a time, where nothing but starts of nodes ties them together.

What ties periods together is priced instead of enforced (Lagrangian relaxation of the rows of `start_rows`): each
period is then a small problem of its own, and their bounds add up to one for all, whatever the prices. Every fleet that
was found for a period is kept (`fleets.py`): the best sequence of them is the answer, the next prices are those at which
they promise the best bound. Now and then a sequence is made better one period at a time while the others stand still.

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
from hetops.solver.fleets import Fleet, Fleets
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.matrix import Floats, MatrixModel, part, with_rows_where

PROMISED = 0.1
"""Part of the wanted gap: prices that promise no more than this beyond the bound have nothing left to prove."""

LEAST_INTEGERS = 200
"""Whole numbers below which the model as a whole is searched at once."""

IMPROVED_EVERY = 6
"""Rounds after which the best sequence is made better once more."""

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
    ties: NDArray[np.int64]
    """Those rows."""
    started: NDArray[np.int64]
    """The variable that counts the starts of each of them, its last."""
    members: tuple[NDArray[np.int64], ...]
    """The variables of each period."""
    gap: float
    until: float

    @classmethod
    def of(cls, formulation: Formulation, *, gap: float, until: float) -> _Rounds:
        """The formulation's model taken apart."""
        model, stretch_of = formulation.model, _stretch_of(formulation.frame)
        tied = _tied(model, stretch_of)
        ties = np.flatnonzero(tied)
        return cls(
            model=model,
            untied=with_rows_where(model, ~tied),
            ties=ties,
            started=model.row_indices[model.row_starts[ties + 1] - 1].astype(np.int64),
            members=tuple(np.flatnonzero(stretch_of == t) for t in range(len(formulation.frame.stretches))),
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
        fleets, bound = self._no_fleets(), relaxed.objective
        of_rows = np.clip(relaxed.row_duals[self.ties], -fleets.start_costs, 0.0)
        for turn in count():
            proven = self._priced(of_rows, fleets)
            if proven is None:
                return
            bound = max(bound, proven)
            for best in self._sequences(fleets, turn):
                answer = self._answer(best, bound)
                yield answer
                if answer.status is Status.OPTIMAL or self.left <= 0:
                    return
            better = fleets.prices(self.left)
            if better is None or better.promised - bound <= self.gap * PROMISED * abs(bound):
                yield self._as_a_whole(best, bound)
                return
            of_rows = better.of_rows

    def _as_a_whole(self, best: Floats, bound: float) -> Answer:
        """The better of what was found and what a search of the whole model finds in the time that is left."""
        whole = highs.run(self.model, gap=self.gap, limit_seconds=self.left)
        better = whole.found and whole.objective < self._cost(best)
        return self._answer(whole.values if better else best, max(bound, whole.bound))

    def _sequences(self, fleets: Fleets, turn: int) -> Iterator[Floats]:
        """The best sequence of a round with its starts, and now and then, for that takes long, made better."""
        found = self._joined(fleets.best_sequence())
        yield found
        if turn % IMPROVED_EVERY == IMPROVED_EVERY - 1:
            better = self._improved(found)
            for period, members in enumerate(self.members):
                self._keep(period, better[members], fleets)
            yield self._joined(fleets.best_sequence())

    def _no_fleets(self) -> Fleets:
        period_of = np.empty(len(self.model.cost), dtype=np.int64)
        for t, members in enumerate(self.members):
            period_of[members] = t
        firsts = self.model.row_indices[self.model.row_starts[self.ties]]
        return Fleets(
            start_costs=self.model.cost[self.started],
            period_of=period_of[firsts],
            by_nodes=tuple({} for _ in self.members),
        )

    def _keep(self, period: int, own: Floats, fleets: Fleets) -> None:
        """The fleet of one period, told from others by its nodes."""
        members = self.members[period]
        alone = np.zeros(len(self.model.cost))
        alone[members] = own
        cost = float(self.model.cost[members] @ own)
        fleet = Fleet(values=own, cost=cost, ties=self.model.rows_of(alone)[self.ties])
        fleets.add(period, own[self.model.integer[members]], fleet)

    def _joined(self, sequence: list[Fleet]) -> Floats:
        """Fleets of all periods with the starts that they cause."""
        values = np.zeros(len(self.model.cost))
        for members, fleet in zip(self.members, sequence, strict=True):
            values[members] = fleet.values
        return self._with_starts(values)

    @property
    def left(self) -> float:
        """Seconds."""
        return max(self.until - time.monotonic(), 0.0)

    def _cost(self, values: Floats) -> float:
        # Not `@`: of products this long BLAS makes threads, which then spin beside the search.
        return float((self.model.cost * values).sum())

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

    def _priced(self, of_rows: Floats, fleets: Fleets) -> float | None:
        """A bound on the cost of all periods, whose fleets are kept; None where time ran out before one."""
        prices = np.zeros(len(self.model.row_lower))
        prices[self.ties] = of_rows
        cost = self.model.cost - self.model.weighed_rows(prices)
        bound, nothing = 0.0, np.zeros(len(cost))
        for period, members in enumerate(self.members):
            own = replace(part(self.untied, members, nothing), cost=cost[members])
            answer = highs.run(own, gap=self.gap * PART_OF_GAP, limit_seconds=self.left)
            if not answer.found:
                return None
            bound += answer.bound
            self._keep(period, np.where(own.integer, answer.values.round(), answer.values), fleets)
        return bound

    def _with_starts(self, values: Floats) -> Floats:
        """Fleets with the starts that they cause."""
        values = values.copy()
        values[self.started] = 0.0
        values[self.started] = np.maximum(self.model.rows_of(values)[self.ties], 0.0)
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
        own = np.union1d(members, self.started)
        answer = highs.run(part(self.model, own, values), gap=self.gap * PART_OF_GAP, limit_seconds=self.left)
        found = values.copy()
        if answer.found:
            found[own] = answer.values
            whole = own[self.model.integer[own]]
            found[whole] = found[whole].round()
            found = self._with_starts(found)
        return found if self._cost(found) < self._cost(values) else values
