"""Searches a problem of several periods one window at a time, with what ties windows together priced.

What ties them is priced instead of enforced (Lagrangian relaxation of the rows between windows): each window is then a
small problem of its own, and their bounds add up to one for all, whatever the prices. Every fleet that was found for a
window is kept (`fleets.py`): the best sequence of them, made better period by period (`neighbours.py`), is the answer,
and the next prices are those at which they promise the best bound, near those that proved most. Where prices cannot prove
enough, all cheap fleets of each window are counted (`every.py`), until no sequence of these and others costs less than
what is to be proven (`census.py`). Columns that only their offers tell apart make a line: their starts are worth the
same part of what they cost.

Decides how to search; knows the rows only as numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs, start
from hetops.solver.apart import starts_stand_alone, stretch_of, windows_of
from hetops.solver.census import Census, Taken, census_of_known
from hetops.solver.every import below
from hetops.solver.fleets import Fleets, Prices
from hetops.solver.formulate import Formulation
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.known import MOST_TOLD, Known, recall, told
from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.neighbours import Neighbourhood
from hetops.solver.patience import Patience, stopped
from hetops.solver.start import USED, Relaxed
from hetops.solver.terms import Billing
from hetops.solver.windows import LEAST_SECONDS, ROUNDING, Integers, Windows, cost_of, first, improved

WORTH_PROVING = 0.5
"""Where no prices can prove enough, fleets are counted once better prices promise less than this part of what is missing then."""

STEP = 0.5
"""How far the next prices of ties other than starts go from those that proved most towards those that promise most."""

CALM = 0.3
"""Part of what is missing that prices of starts must promise more where all of them move."""

FIRST_REACH = 0.2
"""How far the next prices of ties other than starts may be from the last, in parts of their mean."""

BOLDER, LESS_BOLD, LEAST_BOLD, MOST_BOLD = 2.0, 0.5, 0.05, 4.0
"""What that is multiplied by where prices proved more, and where they did not; searches are not made finer than by the last."""

STUCK = 0.25
"""How little bold a search is whose last prices have not proved more, one after the other."""

MOST_NEAR = 2
"""Neighbouring windows that are made better together, where other ties than starts are there."""

MIXED_EVERY = 3
"""Rounds from one search among mixes of fleets to the next, where other ties than starts are there."""

LEAST_INTEGERS = 200
"""Whole numbers below which the model as a whole is searched at once."""

WORTH_COUNTING = 0.2
"""Part of what is missing that fleets must be able to prove, with starts between them in full, for all of them to be counted."""

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
    if isinstance(known, _Went) and known.formulation is formulation:
        reached: _Reached | Answer = replace(known.reached, near=0)
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
    close = rounds.is_close(reached)
    answer = Answer(
        status=Status.OPTIMAL if close else status or Status.TIME_LIMIT,
        values=reached.values,
        objective=reached.cost,
        bound=min(reached.bound, reached.cost),
        row_duals=np.empty(0),
        seconds=time.monotonic() - began,
    )
    now_known = told(formulation, reached.values, answer.bound, reached.others())
    return answer, _Went(
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
class _Reached:
    """How far a search has come: windows and their fleets, the best answer, the best bound and the prices that proved it."""

    windows: Windows
    fleets: Fleets
    prices: Floats
    """By tie."""
    bounds: Floats
    """By window, at those prices; nothing before any were proven."""
    priced: float
    """What these bounds and what is loose come to."""
    bound: float
    """What is proven, by these prices or otherwise."""
    values: Floats
    cost: float
    bold: float = 1.0
    """How far the next prices may be from these, and how coarsely what they prove is searched for."""
    near: int = 0
    """How many neighbouring windows were made better together without a better answer."""
    counted: bool = False
    """Whether all fleets that may matter at the prices are known."""

    def proven(self, bounds: Floats, loose: float, prices: Floats) -> _Reached:
        """With what was proven at some prices, if it is more."""
        bound = float(bounds.sum()) + loose
        if bound <= self.priced:
            return replace(self, bold=self.bold * LESS_BOLD)
        return replace(
            self,
            bound=max(self.bound, bound),
            priced=bound,
            bounds=bounds,
            prices=prices,
            bold=min(self.bold * BOLDER, MOST_BOLD),
            counted=False,
        )

    def having(self, values: Floats) -> _Reached:
        """With an answer, if it is better."""
        cost = cost_of(self.windows.model.cost, values)
        return replace(self, values=values, cost=cost) if cost < self.cost * (1 - ROUNDING) else self

    def told_prices(self, unit: float) -> dict[object, float]:
        """The prices of ties between windows by what these limit, in units of the objective that are worth so much each."""
        subjects, rows = self.windows.model.subjects, self.windows.ties.rows
        return {subjects[row]: float(price) * unit for row, price in zip(rows, self.prices, strict=True)}

    def others(self) -> Iterator[Floats]:
        """Other answers for some of the periods, the best first."""
        cheapest = [self.fleets.cheapest(w, self.prices, MOST_TOLD) for w in range(self.windows.count)]
        for some in zip_longest(*cheapest):
            values = np.zeros(len(self.windows.model.cost))
            for members, fleet in zip(self.windows.members, some, strict=True):
                values[members] = 0.0 if fleet is None else fleet.values
            yield values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Went(Known):
    """What is known, and how far the search of a formulation has come: one to a smaller gap goes on from there."""

    formulation: Formulation
    reached: _Reached


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rounds:
    """What is searched, how near to the optimum to come, and until when."""

    formulation: Formulation
    gap: float
    patience: Patience

    def begun(self, relaxed: Relaxed, known: Known) -> _Reached | Answer:
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
        nothing = _Reached(
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

    def _few(self, reached: _Reached, used: NDArray[np.bool_]) -> _Reached:
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

    def before_whole(self, reached: _Reached) -> _Rounds:
        """With the time that rounds have before the whole model is searched, which proves more of other ties than starts."""
        if reached.windows.tied_by_starts_alone:
            return self
        return replace(self, patience=Patience.of(self.patience.left * ROUNDS_PART))

    def better(self, reached: _Reached) -> Iterator[_Reached]:
        """Ever further, until the gap is reached, or nothing is left to prove, or no time."""
        number = 0
        if not reached.windows.tied_by_starts_alone:
            reached = self._polished(reached)
            yield reached
        further = self._proven(reached, reached.prices)
        while further is not None:
            number += 1
            reached = self._answered(further)
            if not reached.windows.tied_by_starts_alone and number % MIXED_EVERY == 1:
                reached = self._mixed(reached)
            yield reached
            if not self.is_close(reached):
                reached = self._polished(reached)
                yield reached
            further = None if self.is_close(reached) else self._further(reached)

    def _further(self, reached: _Reached) -> _Reached | None:
        """With more proven: at better prices, or by counting fleets; None where neither is left, or no time."""
        promising = self._promising(reached)
        if promising is None:
            return None
        if not self._worth_proving(reached, promising) and not reached.counted:
            return self._counted(reached)
        if promising.promised - reached.priced <= ROUNDING * abs(reached.cost):
            return None
        if reached.bold < LEAST_BOLD and not reached.windows.tied_by_starts_alone:
            return None  # Nothing was better however near to the best prices.
        step = 1.0 if reached.windows.tied_by_starts_alone else STEP * min(reached.bold, 1.0)
        return self._proven(reached, reached.prices + step * (promising.of_rows - reached.prices))

    def _promising(self, reached: _Reached) -> Prices | None:
        """The best prices by the fleets known; those of ties other than starts not far away."""
        others = abs(reached.prices[~reached.windows.ties.count_starts])
        reach = FIRST_REACH * reached.bold * (float(others.sum()) / max(len(others), 1) or 1.0)
        calm = CALM * (reached.cost - max(reached.priced, 0.0))
        return reached.fleets.prices(reached.prices, reach, self.patience.left, calm)

    def at_once(self, relaxed: Relaxed) -> Answer:
        """What a search of the whole model finds, where no fleets of the windows were found that go together."""
        take_best, model = OnInterrupt.TAKE_BEST, self.formulation.model
        return start.search(model, relaxed, gap=self.gap, patience=self.patience, on_interrupt=take_best)

    def whole(self, reached: _Reached) -> _Reached:
        """With what the whole model says in the time that is left, where windows cannot prove enough."""
        if self.is_close(reached) or self.patience.left <= 0:
            return reached
        answer = highs.run_from(
            self.formulation.model,
            reached.values,
            gap=self.gap,
            limit_seconds=self.patience.left,
            on_interrupt=OnInterrupt.TAKE_BEST,
        )
        return replace(self._having(reached, answer), bound=max(reached.bound, answer.bound))

    def _having(self, reached: _Reached, answer: Answer) -> _Reached:
        """With an answer to the whole model, if there is one and it is better."""
        if not answer.found:
            return reached
        whole = np.where(self.formulation.model.integer, answer.values.round(), answer.values)
        return reached.having(reached.windows.with_starts(whole))

    def is_close(self, reached: _Reached) -> bool:
        """Whether the gap is reached."""
        return reached.cost - reached.bound <= self.gap * abs(reached.cost)

    def _answered(self, reached: _Reached) -> _Reached:
        """With the best sequence of the fleets."""
        windows = reached.windows
        values = windows.together(reached.fleets.best_sequence(reached.prices))
        return reached.having(values) if windows.tied_by_starts_alone else self._completed(reached, values)

    def _completed(self, reached: _Reached, values: Floats) -> _Reached:
        """With the nodes of these values and whatever else is best with them, if it is an answer and better."""
        nodes = reached.windows.with_starts(values)
        near = Neighbourhood.of(reached.windows, nodes, np.empty(0, dtype=np.int64))
        if not near.possible:
            return reached
        answer = highs.run_small(
            near.model, np.empty(0), gap=self.gap * PART_OF_GAP, limit_seconds=LEAST_SECONDS
        )
        return reached.having(near.filled(answer)) if answer.found else reached

    def _mixed(self, reached: _Reached) -> _Reached:
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

    def _polished(self, reached: _Reached) -> _Reached:
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

    def _improved(self, reached: _Reached, periods: Integers) -> _Reached:
        """With the best answer for some periods, while the nodes of all others stay."""
        near = Neighbourhood.of(reached.windows, reached.values, periods)
        answer = improved(
            near.model,
            near.lines,
            reached.values[near.variables],
            gap=self.gap * PART_OF_GAP,
            limit_seconds=self.patience.left,
        )
        return reached.having(near.filled(answer)) if answer.found else reached

    def _proven(self, reached: _Reached, prices: Floats) -> _Reached | None:
        """With the bound at some prices, if it is better, and with the fleets that prove it; None in no time."""
        fleets, windows = reached.fleets, reached.windows
        prices = windows.spread(prices)
        loose = fleets.loose.least(prices[fleets.others], max(self.patience.left, LEAST_SECONDS))
        costs, bounds = windows.costs(prices), fleets.promise(prices)
        for window in range(windows.count):
            bound = self._bound(reached, window, costs, prices)
            if bound is None:
                return None
            bounds[window] = bound
        return reached.proven(bounds, loose, prices)

    def _bound(self, reached: _Reached, window: int, costs: Floats, prices: Floats) -> float | None:
        """What no fleet of a window costs less than, at the prices that the costs are made of; the best found is kept."""
        windows, fleets = reached.windows, reached.fleets
        members = windows.members[window]
        (best,) = fleets.cheapest(window, prices, 1)
        if self.patience.left <= 0:
            return None
        answer = improved(
            replace(windows.parts[window], cost=costs[members]),
            windows.lines_in(members, np.array([window])),
            best.values,
            gap=self.gap * PART_OF_GAP * min(max(reached.bold, LEAST_BOLD), 1.0),
            limit_seconds=self.patience.left,
        )
        if not answer.found:
            return None
        windows.keep(window, answer.values, fleets)
        return answer.bound

    def _counted(self, reached: _Reached) -> _Reached:
        """With what all fleets prove that may matter at the prices, ever more of them as long as that proves too little."""
        counted, loose = replace(reached, counted=True), reached.priced - float(reached.bounds.sum())
        missing = reached.cost * (1 - self.gap) - reached.priced
        possible = census_of_known(reached.fleets, reached.prices).least()[0] + loose - reached.priced
        if possible < WORTH_COUNTING * missing:
            return counted
        census = Census.of(reached.fleets, reached.prices, reached.bounds)
        more = np.full(reached.windows.count, min(missing, possible) / reached.windows.count)
        while True:
            least, unknown = census.least()
            counted = replace(counted, bound=max(counted.bound, least + loose))
            if self.is_close(counted) or not unknown:
                return counted
            for window in unknown:
                taken = self._taken(counted, window, more[window])
                if taken is None:
                    return counted
                census = census.having(window, taken)
            more[list(unknown)] *= 2
            counted = self._answered(counted)

    def _taken(self, reached: _Reached, window: int, more: float) -> Taken | None:
        """The census of a window, up to so much more than its bound; those of its fleets that are whole are kept."""
        windows, members = reached.windows, reached.windows.members[window]
        up_to = reached.bounds[window] + more
        model = replace(windows.parts[window], cost=windows.costs(reached.prices)[members])
        found = below(model, windows.lines_in(members, np.array([window])), up_to, self.patience)
        if found is None:
            return None
        for point in found:
            off = abs(point.values - point.values.round())[model.integer]
            if off.max(initial=0.0) <= ROUNDING:
                windows.keep(window, point.values, reached.fleets)
        ties = np.zeros((len(found), len(reached.prices)))
        for row, point in zip(ties, found, strict=True):
            row[:] = windows.ties_of(window, point.values)
        return Taken(up_to=up_to, costs=np.array([point.cost for point in found]), ties=ties)

    def _worth_proving(self, reached: _Reached, promising: Prices) -> bool:
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
