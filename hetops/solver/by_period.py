"""Searches a problem of several periods one window at a time, where nothing but starts of nodes ties periods together.

What ties windows together is priced instead of enforced (Lagrangian relaxation of the rows of `start_rows`): each
window is then a small problem of its own, and their bounds add up to one for all, whatever the prices. Every fleet that
was found for a window is kept (`fleets.py`): the best sequence of them is the answer, the next prices are those at which
they promise the best bound. Windows begin as single periods. Where prices cannot prove enough, two neighbouring windows
become one, within which starts count in full; one window of all periods would be the whole model. Columns that only
their offers tell apart make a line: their starts are worth the same part of what they cost.

Decides how to search; knows the rows only as numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product, zip_longest

import numpy as np
from numpy.typing import NDArray

from hetops.solver.fleets import Fleet, Fleets, Prices
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame, kinds
from hetops.solver.highs import Answer, Status
from hetops.solver.known import MOST_TOLD, Known, recall, told
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.patience import Patience, stopped
from hetops.solver.start import USED, Relaxed
from hetops.solver.windows import Ties, Windows, cost_of, first, improved

WORTH_PROVING = 0.5
"""Where no prices can prove enough, windows grow once better prices promise less than this part of what is missing then."""

STEP = 0.5
"""How far the next prices go from those that proved most towards those that promise most."""

LEAST_INTEGERS = 200
"""Whole numbers below which the model as a whole is searched at once."""

PART_OF_GAP = 0.2
"""Each window is searched to this part of the gap wanted of all."""

MOST_JOINED = 8
"""Fleets of each of two windows that are joined to fleets of both; the time that it takes grows with its square."""


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
    formulation: Formulation, relaxed: Relaxed, known: Known, *, gap: float, patience: Patience
) -> tuple[Answer, Known]:
    """As `highs.run` on the formulation's model, which must be separable; and what is known of the problem after it.

    What is known before it is begun with, so that there is an answer however little time is left.

    Raises:
        KeyboardInterrupt: Ctrl-C, and nobody asked for what there is by then.
    """
    began, rounds = time.monotonic(), _Rounds(formulation=formulation, gap=gap, patience=patience)
    if relaxed.bound == -INFINITY:
        infeasible = relaxed.answer.status is Status.INFEASIBLE
        return _no_answer(Status.INFEASIBLE if infeasible else Status.NOTHING_FOUND), known
    reached = rounds.begun(relaxed, known)
    if isinstance(reached, Answer):
        return reached, known
    status = None
    try:
        for better in rounds.better(reached):
            reached = better
    except KeyboardInterrupt:
        if not stopped():
            raise
        status = Status.INTERRUPTED
    close = reached.cost - reached.bound <= gap * abs(reached.cost)
    answer = Answer(
        status=Status.OPTIMAL if close else status or Status.TIME_LIMIT,
        values=reached.values,
        objective=reached.cost,
        bound=min(reached.bound, reached.cost),
        row_duals=np.empty(0),
        seconds=time.monotonic() - began,
    )
    return answer, told(formulation, reached.values, answer.bound, reached.others())


def _no_answer(status: Status) -> Answer:
    nothing = np.empty(0)
    return Answer(
        status=status, values=nothing, objective=INFINITY, bound=-INFINITY, row_duals=nothing, seconds=0.0
    )


def _single(formulation: Formulation) -> Windows:
    """The formulation's model with each period as a window."""
    model, frame = formulation.model, formulation.frame
    period_of, periods = _stretch_of(frame), len(frame.stretches)
    rows = np.flatnonzero(_tied(model, period_of))
    first, last = model.row_starts[rows], model.row_starts[rows + 1] - 1
    line_of = np.full(len(model.cost), -1)
    lines = [
        np.array(sorted(frame.nodes(t, j) for j in kind)) for t in range(periods) for kind in kinds(frame)
    ]
    for number, line in enumerate(lines):
        line_of[line] = number
    ties = Ties(
        rows=rows,
        period=period_of[model.row_indices[first]],
        started=model.row_indices[last].astype(np.int64),
        alike=line_of[model.row_indices[first]],
    )
    several = tuple(line for line in lines if len(line) > 1)
    return Windows.of(model, ties, period_of, np.arange(periods), several)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Reached:
    """How far a search has come: its windows and their fleets, the best answer, the bound, the prices that proved it."""

    windows: Windows
    fleets: Fleets
    prices: Floats
    """By tie."""
    bound: float
    values: Floats
    cost: float

    @classmethod
    def of(cls, windows: Windows, fleets: Fleets, prices: Floats, bound: float) -> _Reached:
        """With the best sequence of the fleets."""
        values = windows.joined(fleets.best_sequence())
        cost = cost_of(windows.model.cost, values)
        return cls(windows=windows, fleets=fleets, prices=prices, bound=bound, values=values, cost=cost)

    def after(self, bound: float, prices: Floats) -> _Reached:
        """With the fleets that were found since, and what was proven by them."""
        prices, bound = (prices, bound) if bound > self.bound else (self.prices, self.bound)
        return _Reached.of(self.windows, self.fleets, prices, bound)

    def doubled(self) -> _Reached:
        """With longer windows, whose fleets are joined out of those that are best for each at the prices."""
        windows = self.windows.doubled
        fleets = windows.no_fleets
        for window in range(windows.count):
            pair = [w for w in (2 * window, 2 * window + 1) if w < self.windows.count]
            for choice in product(*(self._cheapest(w, MOST_JOINED) for w in pair)):
                values = np.zeros(len(windows.model.cost))
                for w, fleet in zip(pair, choice, strict=True):
                    values[self.windows.members[w]] = fleet.values
                windows.keep(window, windows.with_starts(values)[windows.members[window]], fleets)
        windows.keep_all(self.values, fleets)
        return _Reached.of(windows, fleets, self.prices, self.bound)

    def others(self) -> Iterator[Floats]:
        """Other answers for some of the periods, the best first."""
        cheapest = [self._cheapest(w, MOST_TOLD) for w in range(self.windows.count)]
        for some in zip_longest(*cheapest):
            values = np.zeros(len(self.windows.model.cost))
            for members, fleet in zip(self.windows.members, some, strict=True):
                values[members] = 0.0 if fleet is None else fleet.values
            yield values

    def _cheapest(self, window: int, most: int) -> list[Fleet]:
        return self.fleets.cheapest(window, self.prices[self.windows.between], most)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rounds:
    """What is searched, how near to the optimum to come, and until when."""

    formulation: Formulation
    gap: float
    patience: Patience

    def begun(self, relaxed: Relaxed, known: Known) -> _Reached | Answer:
        """A first answer, out of what is known and what the relaxation says; or why there is none."""
        windows = _single(self.formulation)
        started = self.formulation.model.cost[windows.ties.started]
        prices = np.clip(relaxed.answer.row_duals[windows.ties.rows], -started, 0.0)
        fleets = windows.no_fleets
        recall(known, self.formulation, windows, fleets)
        costs = windows.costs(prices)
        for window, (members, own) in enumerate(zip(windows.members, windows.parts, strict=True)):
            if fleets.by_nodes[window]:
                continue
            used = relaxed.answer.values[members] > USED
            answer = first(replace(own, cost=costs[members]), used, limit_seconds=self.patience.left)
            if not answer.found:
                return _no_answer(answer.status)
            windows.keep(window, answer.values, fleets)
        bound = max(relaxed.bound, known.usd_per_hour / self.formulation.unit)
        return _Reached.of(windows, fleets, prices, bound)

    def better(self, reached: _Reached) -> Iterator[_Reached]:
        """Ever further, until the gap is reached, or nothing is left to prove, or no time."""
        prices = reached.prices
        while not self._is_close(reached):
            bound = self._priced(reached, prices)
            if bound is None:
                return
            reached = reached.after(bound, prices)
            yield reached
            between = reached.windows.between
            promising = reached.fleets.prices(prices[between], self.patience.left)
            if promising is None or (reached.windows.count == 1 and not len(between)):
                return
            if self._worth_proving(reached, promising):
                prices = reached.prices.copy()
                prices[between] += STEP * (promising.of_rows - prices[between])
            else:
                reached, prices = reached.doubled(), reached.prices

    def _is_close(self, reached: _Reached) -> bool:
        return reached.cost - reached.bound <= self.gap * abs(reached.cost)

    def _priced(self, reached: _Reached, prices: Floats) -> float | None:
        """A bound on the cost of all windows, whose fleets are kept; None where time ran out before one."""
        windows, fleets = reached.windows, reached.fleets
        costs, bound = windows.costs(prices), 0.0
        for window, (members, own) in enumerate(zip(windows.members, windows.parts, strict=True)):
            if self.patience.left <= 0:
                return None
            (start,) = fleets.cheapest(window, prices[windows.between], 1)
            answer = improved(
                replace(own, cost=costs[members]),
                windows.lines_of[window],
                start.values,
                gap=self.gap * PART_OF_GAP,
                limit_seconds=self.patience.left,
            )
            if not answer.found:
                return None
            bound += answer.bound
            windows.keep(window, answer.values, fleets)
        return bound

    def _worth_proving(self, reached: _Reached, promising: Prices) -> bool:
        """Whether better prices may prove enough, or at least more than longer windows would in the same time."""
        left = promising.promised - reached.bound
        beyond = reached.cost - promising.promised
        if left <= self.gap * PART_OF_GAP * abs(reached.cost):
            return False  # No more than what single searches leave open.
        return beyond <= self.gap * abs(reached.cost) or left > beyond * WORTH_PROVING
