"""Searches a problem of several periods one window at a time, with what ties windows together priced.

What ties them is priced instead of enforced (Lagrangian relaxation of the rows between windows): each window is then a
small problem of its own, and their bounds add up to one for all, whatever the prices. Every fleet that was found for a
window is kept (`fleets.py`): the best sequence of them, made better period by period (`neighbours.py`), is the answer,
and the next prices are those at which they promise the best bound, near those that proved most. Columns that only their
offers tell apart make a line: their starts are worth the same part of what they cost. Where such prices cannot prove
enough, starts of the first, the second, ... node of a line are worth unlike parts (`numbered.py`); and where that is not
enough, all cheap fleets of each window are counted (`every.py`), until no sequence of these and others costs less than
what is to be proven (`census.py`).

Decides how to search; knows the rows only as numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.lines import ROUNDING
from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.patience import Patience, stopped
from hetops.solver.periods import alike
from hetops.solver.periods.alike import Prices
from hetops.solver.periods.apart import starts_stand_alone, stretch_of, windows_of
from hetops.solver.periods.known import Known, recall, told
from hetops.solver.periods.neighbours import Neighbourhood
from hetops.solver.periods.polish import polished
from hetops.solver.periods.proofs import Proofs
from hetops.solver.periods.reached import LEAST_BOLD, Reached
from hetops.solver.periods.windows import LEAST_SECONDS, Windows, first
from hetops.solver.search import start
from hetops.solver.search.start import USED, Relaxed
from hetops.solver.side_by_side import side_by_side
from hetops.solver.terms import Billing

WORTH_PROVING = 0.5
"""Where no prices can prove enough, fleets are counted once better prices promise less than this part of what is missing then."""

STEP = 0.7
"""How far the next prices go from those that proved most towards those that promise most, where other ties than starts are there."""

STUCK = 0.25
"""How little bold a search is whose last prices have not proved more, one after the other."""

LEAST_INTEGERS = 200
"""Whole numbers below which the model as a whole is searched at once."""

ROUNDS_PART = 0.7
"""Of the time that is left: what proofs at better prices may take before answers are searched near their mixes."""

MIXED_PART = 0.5
"""And what such a search may take then."""

FEW_PART = 0.5
"""And what a first search may take among the columns that the relaxation uses, where other ties than starts are there."""

PART_OF_GAP = 0.2
"""Each window is searched to this part of the gap wanted of all."""


def separable(formulation: Formulation) -> bool:
    """Whether the periods are worth taking apart: few rows tie them but for starts of nodes."""
    frame = formulation.frame
    if len(frame.stretches) < 2 or frame.scale_index is not None or frame.minimise is not None:
        return False
    if frame.integers < LEAST_INTEGERS:
        return False
    if all(offer.billing is Billing.RESERVED for offer in frame.offers):
        return False  # One fleet serves all of them: there is nothing to price apart.
    return starts_stand_alone(formulation) and bool((stretch_of(frame) >= 0).any())


def search(
    formulation: Formulation, relaxed: Relaxed, known: Known, *, gap: float, patience: Patience
) -> tuple[Answer, Known]:
    """As `highs.run` on the formulation's model, which must be separable; and what is known of the problem after it.

    What is known before it is begun with, so that there is an answer however little time is left.

    Raises:
        KeyboardInterrupt: Ctrl-C, and nobody asked for what there is by then.
    """
    began, rounds = time.monotonic(), _Rounds(formulation=formulation, gap=gap, patience=patience)
    if relaxed.answer.status is Status.INFEASIBLE:
        return _no_answer(Status.INFEASIBLE), known
    if isinstance(known, Went) and known.formulation is formulation:
        reached: Reached | Answer = replace(known.reached, near=0)
    else:
        reached = rounds.begun(relaxed, known)
    if isinstance(reached, Answer):
        return rounds.at_once(relaxed) if reached.status is Status.NOTHING_FOUND else reached, known
    status = None
    try:
        for better in rounds.better(reached):
            reached = better
        reached = rounds.whole(reached)
    except KeyboardInterrupt:
        if not stopped():
            raise
        status = Status.INTERRUPTED
    close = reached.is_close(gap)
    answer = Answer(
        status=Status.OPTIMAL if close else status or Status.TIME_LIMIT,
        values=reached.values,
        objective=reached.cost,
        bound=min(reached.bound, reached.cost),
        row_duals=np.empty(0),
        seconds=time.monotonic() - began,
    )
    now_known = told(formulation, reached.values, answer.bound, reached.others())
    return answer, Went(
        by_period=now_known.by_period,
        usd_per_hour=now_known.usd_per_hour,
        prices=reached.told_prices(formulation.unit),
        formulation=formulation,
        reached=reached,
    )


def _no_answer(status: Status) -> Answer:
    nothing = np.empty(0)
    return Answer(
        status=status, values=nothing, objective=INFINITY, bound=-INFINITY, row_duals=nothing, seconds=0.0
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Went(Known):
    """What is known, and how far the search of a formulation has come: one to a smaller gap goes on from there."""

    formulation: Formulation
    reached: Reached


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rounds:
    """What is searched, how near to the optimum to come, and until when."""

    formulation: Formulation
    gap: float
    patience: Patience

    def begun(self, relaxed: Relaxed, known: Known) -> Reached | Answer:
        """A first answer, out of what is known and what the relaxation says; or why there is none."""
        windows = windows_of(self.formulation)
        model = windows.model
        duals = relaxed.answer.row_duals if relaxed.bound > -INFINITY else np.zeros(len(model.row_lower))
        unit = self.formulation.unit
        found = duals[windows.ties.rows]
        if (
            known.usd_per_hour / unit > relaxed.bound
        ):  # What was proven before is more, and so are its prices.
            usd = [known.prices.get(model.subjects[row]) for row in windows.ties.rows]
            found = np.array([d if u is None else u / unit for u, d in zip(usd, found, strict=True)])
        prices = windows.spread(_prices(windows, found))
        costs, fleets = windows.costs(prices), windows.no_fleets
        best = recall(known, self.formulation, windows, costs, fleets)
        unknown = [window for window in range(windows.count) if not fleets.by_nodes[window]]
        begin = partial(self._first, windows, costs, relaxed.used)
        for window, answer in zip(unknown, side_by_side(begin, unknown), strict=True):
            if not answer.found:
                return _no_answer(answer.status)
            windows.keep(window, answer.values, fleets)
        nothing = Reached(
            windows=windows,
            fleets=fleets,
            prices=prices,
            bounds=np.empty(0),
            priced=-INFINITY,
            bound=max(relaxed.bound, known.usd_per_hour / unit),
            values=np.empty(0),
            cost=INFINITY,
        )
        reached = self._answered(nothing)
        if windows.tied_by_starts_alone:
            return reached
        reached = self._completed(reached, best)
        if relaxed.answer.found:
            up = np.where(model.integer, np.ceil(relaxed.answer.values - USED), 0.0)
            reached = self._completed(reached, up)
        if reached.cost == INFINITY:
            reached = self._few(reached, relaxed.used)
        return reached if reached.cost < INFINITY else _no_answer(Status.NOTHING_FOUND)

    def _first(self, windows: Windows, costs: Floats, used: NDArray[np.bool_], window: int) -> Answer:
        """Any good answer for one window, at the costs."""
        members = windows.members[window]
        own = replace(windows.parts[window], cost=costs[members])
        return first(own, used[members], limit_seconds=self.patience.left)

    def _few(self, reached: Reached, used: NDArray[np.bool_]) -> Reached:
        """With the best answer among the columns that the relaxation uses, if there is one and it is better."""
        model = self.formulation.model
        few = replace(model, upper=np.where(model.integer & ~used, model.lower, model.upper))
        seconds = self.patience.left * FEW_PART
        seconds = seconds if reached.cost < INFINITY else max(seconds, LEAST_SECONDS)
        answer = highs.run(
            few,
            gap=self.gap * PART_OF_GAP,
            limit_seconds=seconds,
            on_interrupt=OnInterrupt.TAKE_BEST,
        )
        return self._having(reached, answer)

    @property
    def _proofs(self) -> Proofs:
        return Proofs(gap=self.gap, patience=self.patience, answered=self._answered)

    def better(self, reached: Reached) -> Iterator[Reached]:
        """Ever further, until the gap is reached, or nothing is left to prove, or no time."""
        if not reached.windows.tied_by_starts_alone:
            yield from self._better_mixes(reached)
            return
        further = self._proofs.at(reached, reached.prices)
        while further is not None:
            reached = self._answered(further)
            yield reached
            if not reached.is_close(self.gap):
                reached = polished(reached, self.gap * PART_OF_GAP, self.patience)
                yield reached
            further = None if reached.is_close(self.gap) else self._further(reached)

    def _better_mixes(self, reached: Reached) -> Iterator[Reached]:
        """Where other ties than starts are there: mixes of fleets keep those, sequences seldom do; answers lie near mixes."""
        for proof in (_Rounds._at_better_prices, _Rounds._by_number):
            rounds = replace(self, patience=Patience.of(self.patience.left * ROUNDS_PART))
            further: Reached | None = reached
            while further is not None and not further.is_close(self.gap):
                reached = further
                further = proof(rounds, reached)
                yield further or reached
            reached = further or reached
            if not reached.is_close(self.gap):
                reached = self._mixed(reached)
                yield reached

    def _at_better_prices(self, reached: Reached) -> Reached | None:
        """With more proven at better prices; None where no more is promised, or nothing was better near the best, or no time."""
        if not len(reached.bounds):
            return self._proofs.at(reached, reached.prices)
        promising = None if reached.bold <= STUCK else self._promising(reached)
        if promising is None or promising.promised - reached.priced <= self.gap * PART_OF_GAP * reached.cost:
            return None
        step = STEP * (promising.of_rows - reached.prices)
        further = self._proofs.at(reached, reached.prices + step)
        return further and self._answered(further)

    def _by_number(self, reached: Reached) -> Reached | None:
        """With more proven at prices of starts by number; None where none is left, or no time."""
        return self._proofs.by_number(reached)

    def _further(self, reached: Reached) -> Reached | None:
        """With more proven: at better prices, by number, or by counting fleets; None where none is left, or no time."""
        if reached.numbered is not None and not reached.counted:
            return self._otherwise(reached)
        promising = self._promising(reached)
        if promising is None:
            return None
        if not self._worth_proving(reached, promising) and not reached.counted:
            return self._otherwise(reached)
        if promising.promised - reached.priced <= ROUNDING * abs(reached.cost):
            return None
        return self._nearer(reached, promising)

    def _nearer(self, reached: Reached, promising: Prices) -> Reached | None:
        """With what is proven at better prices; where that is no more, and no fleet is new either, otherwise."""
        known = reached.fleets.count
        step = reached.step * (promising.of_rows - reached.prices)
        further = self._proofs.at(reached, reached.prices + step)
        if further is None or further.bold >= LEAST_BOLD or reached.fleets.count > known:
            return further
        # Windows prove less than their best fleets cost, however finely searched: sums of lines are whole, nodes are not.
        return None if reached.counted else self._otherwise(further)

    def _otherwise(self, reached: Reached) -> Reached:
        """With what is proven where one price for all starts of a line cannot prove enough."""
        return self._proofs.by_number(reached) or self._proofs.by_counting(reached)

    def _promising(self, reached: Reached) -> Prices | None:
        """The best prices by the fleets known; those of ties other than starts not far away."""
        calm = self._proofs.calm(reached, reached.priced)
        return alike.better(reached.fleets, reached.prices, reached.reach, self.patience.left, calm)

    def at_once(self, relaxed: Relaxed) -> Answer:
        """What a search of the whole model finds, where no fleets of the windows were found that go together."""
        take_best, model = OnInterrupt.TAKE_BEST, self.formulation.model
        return start.search(model, relaxed, gap=self.gap, patience=self.patience, on_interrupt=take_best)

    def whole(self, reached: Reached) -> Reached:
        """With what the whole model says in the time that is left, where windows cannot prove enough."""
        if reached.is_close(self.gap) or self.patience.left <= 0:
            return reached
        answer = highs.run_from(
            self.formulation.model,
            reached.values,
            gap=self.gap,
            limit_seconds=self.patience.left,
            on_interrupt=OnInterrupt.TAKE_BEST,
        )
        return replace(self._having(reached, answer), bound=max(reached.bound, answer.bound))

    def _having(self, reached: Reached, answer: Answer) -> Reached:
        """With an answer to the whole model, if there is one and it is better."""
        if not answer.found:
            return reached
        whole = np.where(self.formulation.model.integer, answer.values.round(), answer.values)
        return reached.having(reached.windows.with_starts(whole))

    def _answered(self, reached: Reached) -> Reached:
        """With the best sequence of the fleets."""
        windows = reached.windows
        values = windows.together(reached.fleets.best_sequence(reached.prices))
        return reached.having(values) if windows.tied_by_starts_alone else self._completed(reached, values)

    def _completed(self, reached: Reached, values: Floats) -> Reached:
        """With the nodes of these values and whatever else is best with them, if it is an answer and better."""
        nodes = reached.windows.with_starts(values)
        near = Neighbourhood.of(reached.windows, nodes, np.empty(0, dtype=np.int64))
        if not near.possible:
            return reached
        answer = highs.run_small(
            near.model, np.empty(0), gap=self.gap * PART_OF_GAP, limit_seconds=LEAST_SECONDS
        )
        return reached.having(near.filled(answer)) if answer.found else reached

    def _mixed(self, reached: Reached) -> Reached:
        """With the best answer whose nodes lie between those of the last one and the fleets that promise most together."""
        windows, model = reached.windows, reached.windows.model
        promising = self._promising(reached)
        if promising is None:
            return reached
        lower, upper = reached.values.copy(), reached.values.copy()
        for members, mixed in zip(windows.members, promising.mixed, strict=True):
            for fleet in mixed:
                lower[members] = np.minimum(lower[members], fleet.values)
                upper[members] = np.maximum(upper[members], fleet.values)
        nodes = model.integer & (windows.period_of >= 0)
        few = replace(
            model,
            lower=np.where(nodes, lower.round(), model.lower),
            upper=np.where(nodes, upper.round(), model.upper),
        )
        answer = highs.run_from(
            few,
            reached.values,
            gap=self.gap * PART_OF_GAP,
            limit_seconds=self.patience.left * MIXED_PART,
            on_interrupt=OnInterrupt.TAKE_BEST,
        )
        return polished(self._having(reached, answer), self.gap * PART_OF_GAP, self.patience)

    def _worth_proving(self, reached: Reached, promising: Prices) -> bool:
        """Whether better prices may prove enough, or at least more than counting fleets would in the same time."""
        left = promising.promised - reached.priced
        beyond = reached.cost - promising.promised
        if left <= self.gap * PART_OF_GAP * abs(reached.cost):
            return False  # No more than what single searches leave open.
        return beyond <= self.gap * abs(reached.cost) or left > beyond * WORTH_PROVING


def _prices(windows: Windows, found: Floats) -> Floats:
    """Of the ties, those of limits from above at most nothing; of starts of a line all the same part of what they cost, the most."""
    model, ties = windows.model, windows.ties
    lowest = np.where(model.row_upper[ties.rows] < INFINITY, -INFINITY, 0.0)
    highest = np.where(model.row_lower[ties.rows] > -INFINITY, INFINITY, 0.0)
    prices, starts = np.clip(found, lowest, highest), ties.count_starts
    costs = model.cost[ties.started[starts]]
    parts = np.divide(-prices[starts], costs, out=np.zeros_like(costs), where=costs > 0)
    names, line_of = np.unique(ties.alike[starts], return_inverse=True)
    most = np.zeros(len(names))
    np.maximum.at(most, line_of, np.minimum(parts, 1.0))
    prices[starts] = -most[line_of] * costs
    return prices
