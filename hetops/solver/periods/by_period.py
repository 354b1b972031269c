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

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.lines import ROUNDING
from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.patience import Patience, stopped
from hetops.solver.periods.apart import starts_stand_alone, stretch_of, windows_of
from hetops.solver.periods.fleets import Prices
from hetops.solver.periods.known import Known, recall, told
from hetops.solver.periods.neighbours import Neighbourhood
from hetops.solver.periods.proofs import CALM, Proofs
from hetops.solver.periods.reached import LEAST_BOLD, Reached
from hetops.solver.periods.windows import LEAST_SECONDS, Integers, Lined, Windows, first, improved
from hetops.solver.search import start
from hetops.solver.search.start import USED, Relaxed
from hetops.solver.terms import Billing

WORTH_PROVING = 0.5
"""Where no prices can prove enough, fleets are counted once better prices promise less than this part of what is missing then."""

STEP = 0.5
"""How far the next prices of ties other than starts go from those that proved most towards those that promise most."""

FIRST_REACH = 0.2
"""How far the next prices of ties other than starts may be from the last, in parts of their mean."""

STUCK = 0.25
"""How little bold a search is whose last prices have not proved more, one after the other."""

MOST_NEAR = 2
"""Neighbouring windows that are made better together, where other ties than starts are there."""

MIXED_EVERY = 3
"""Rounds from one search among mixes of fleets to the next, where other ties than starts are there."""

LEAST_INTEGERS = 200
"""Whole numbers below which the model as a whole is searched at once."""

PART_OF_TIME = 0.2
"""Of the time that is left: what one search among the fleets of all windows may take."""

FEW_PART = 0.5
"""And what the first search may take among the columns that the relaxation uses, where other ties than starts are there."""

ROUNDS_PART = 0.5
"""And what rounds may take then: the rest is for the model as a whole, whose cuts prove more than prices of such ties."""

PART_OF_GAP = 0.2
"""Each window is searched to this part of the gap wanted of all."""


def separable(formulation: Formulation) -> bool:
    """Whether the periods are worth taking apart: few rows tie them but for starts of nodes."""
    frame = formulation.frame
    if len(frame.stretches) < 2 or frame.scale_index is not None or frame.minimise is not None:
        return False
    if frame.integers < LEAST_INTEGERS or frame.counts_pools or frame.problem.ramping:
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
        for better in rounds.before_whole(reached).better(reached):
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
        for window, (members, own) in enumerate(zip(windows.members, windows.parts, strict=True)):
            if fleets.by_nodes[window]:
                continue
            answer = first(
                replace(own, cost=costs[members]), relaxed.used[members], limit_seconds=self.patience.left
            )
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
        reached = self._few(reached, relaxed.used)
        return reached if reached.cost < INFINITY else _no_answer(Status.NOTHING_FOUND)

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

    def before_whole(self, reached: Reached) -> _Rounds:
        """With the time that rounds have before the whole model is searched, which proves more of other ties than starts."""
        if reached.windows.tied_by_starts_alone:
            return self
        return replace(self, patience=Patience.of(self.patience.left * ROUNDS_PART))

    def better(self, reached: Reached) -> Iterator[Reached]:
        """Ever further, until the gap is reached, or nothing is left to prove, or no time."""
        number = 0
        if not reached.windows.tied_by_starts_alone:
            reached = self._polished(reached)
            yield reached
        further = self._proofs.at(reached, reached.prices)
        while further is not None:
            number += 1
            reached = self._answered(further)
            if not reached.windows.tied_by_starts_alone and number % MIXED_EVERY == 1:
                reached = self._mixed(reached)
            yield reached
            if not reached.is_close(self.gap):
                reached = self._polished(reached)
                yield reached
            further = None if reached.is_close(self.gap) else self._further(reached)

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
        alone, known = reached.windows.tied_by_starts_alone, reached.fleets.count
        if reached.bold < LEAST_BOLD and not alone:
            return None  # Nothing was better however near to the best prices.
        step = 1.0 if alone else STEP * min(reached.bold, 1.0)
        further = self._proofs.at(reached, reached.prices + step * (promising.of_rows - reached.prices))
        if further is None or further.bold >= LEAST_BOLD or not alone or reached.fleets.count > known:
            return further
        # Windows prove less than their best fleets cost, however finely searched: sums of lines are whole, nodes are not.
        return None if reached.counted else self._otherwise(further)

    def _otherwise(self, reached: Reached) -> Reached:
        """With what is proven where one price for all starts of a line cannot prove enough."""
        return self._proofs.by_number(reached) or self._proofs.by_counting(reached)

    def _promising(self, reached: Reached) -> Prices | None:
        """The best prices by the fleets known; those of ties other than starts not far away."""
        others = abs(reached.prices[~reached.windows.ties.count_starts])
        reach = FIRST_REACH * reached.bold * (float(others.sum()) / max(len(others), 1) or 1.0)
        calm = CALM * (reached.cost - max(reached.priced, 0.0))
        return reached.fleets.prices(reached.prices, reach, self.patience.left, calm)

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
        """With the best answer whose nodes lie between those of the fleets of each window that promise most together."""
        windows, model = reached.windows, reached.windows.model
        promising = self._promising(reached)
        if promising is None:
            return reached
        lower, upper = reached.values.copy(), reached.values.copy()
        for window, members in enumerate(windows.members):
            for fleet in promising.mixed[window]:
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
            limit_seconds=self.patience.left * PART_OF_TIME,
            on_interrupt=OnInterrupt.TAKE_BEST,
        )
        return self._having(reached, answer)

    def _polished(self, reached: Reached) -> Reached:
        """With a better answer for one window after another, while the nodes of all others stay.

        Where that brought nothing before, and ties of many kinds leave no other way to good answers, for two after two.
        """
        windows, most = reached.windows, 1 if reached.windows.tied_by_starts_alone else MOST_NEAR
        size = reached.near + 1
        if size > most:
            return reached
        better = reached
        for window in range(0, windows.count, (size + 1) // 2):
            if self.patience.left <= 0:
                return better
            near = (window + np.arange(min(size, windows.count))) % windows.count
            better = self._improved(better, near)
        windows.keep_all(better.values, better.fleets)
        much = reached.cost - better.cost > self.gap * PART_OF_GAP * abs(better.cost)
        return better if much else replace(better, near=size)

    def _improved(self, reached: Reached, periods: Integers) -> Reached:
        """With the best answer for some periods, while the nodes of all others stay."""
        near = Neighbourhood.of(reached.windows, reached.values, periods)
        answer = improved(
            Lined(model=near.model, lines=near.lines),
            reached.values[near.variables],
            gap=self.gap * PART_OF_GAP,
            limit_seconds=self.patience.left,
        )
        return reached.having(near.filled(answer)) if answer.found else reached

    def _worth_proving(self, reached: Reached, promising: Prices) -> bool:
        """Whether better prices may prove enough, or at least more than counting fleets would in the same time."""
        left = promising.promised - reached.priced
        beyond = reached.cost - promising.promised
        stuck = reached.bold <= STUCK and not reached.windows.tied_by_starts_alone
        if left <= self.gap * PART_OF_GAP * abs(reached.cost) or stuck:
            return False  # No more than what single searches leave open, or nothing was better near the best prices.
        return beyond <= self.gap * abs(reached.cost) or left > beyond * WORTH_PROVING


def _prices(windows: Windows, found: Floats) -> Floats:
    """Of the ties, those of limits from above at most nothing; those of starts not below minus what they cost."""
    model, ties = windows.model, windows.ties
    lowest = np.where(model.row_upper[ties.rows] < INFINITY, -INFINITY, 0.0)
    highest = np.where(model.row_lower[ties.rows] > -INFINITY, INFINITY, 0.0)
    lowest[ties.count_starts] = -model.cost[ties.started[ties.count_starts]]
    return np.clip(found, lowest, highest)
