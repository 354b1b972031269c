"""A day whose periods have whole numbers in common, by branch and bound over these numbers.

A box is bounds on the numbers. In it each period is searched with a copy of its own (`copies.py`), at one set of prices of
starts: what the best fleets cost together bounds the box. Where their copies differ, it is split; in the parts only the
periods whose copy lies outside are searched again. Where all copies agree, it is searched as a day that starts alone tie
(`by_period.py`): what that proves holds of the box, and its fleets, with as much of each number as any period has, are an
answer. The box of which least is proven comes next; until there is an answer, the newest. Decides where to look; knows the
rows only as numbers.
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
from hetops.solver.highs import FEASIBILITY_TOLERANCE, NOTHING, Answer, OnInterrupt, Status
from hetops.solver.lines import cost_of
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.patience import Patience, stopped
from hetops.solver.periods import by_period
from hetops.solver.periods.copies import in_common, least
from hetops.solver.periods.grown import Box, Grown, of_starts
from hetops.solver.periods.known import Known
from hetops.solver.periods.windows import Integers, Lined, first, improved
from hetops.solver.search import start
from hetops.solver.search.start import Relaxed
from hetops.solver.side_by_side import side_by_side

FIRST_GAP = 5e-3
"""How good the day is to begin with, whose prices of starts all boxes are searched at."""

FIRST_PART = 0.4
"""Of the time: what that day may take."""

FEWER_PART = 0.2
"""Of the time that is left: what a search among the columns of the best answer may take."""

PART_OF_GAP = 0.5
"""Each period is searched to this part of the gap wanted of all."""

PART_OF_MISSING = 0.1
"""Or to this part of what is missing to a proof of its box."""

FIRST_MISSING = 0.05
"""What is missing where there is no answer yet."""

AT_ONCE = 8
"""Periods that are searched side by side before it is seen whether the box is proven to be of no use."""

FEW = 1e-6
"""What a number that costs nothing counts as, where it is decided which to split."""


def separable(formulation: Formulation) -> bool:
    """Whether the periods are worth taking apart; where pools are counted, only with what is in common told apart."""
    if not by_period.separable(formulation):
        return False
    return not formulation.frame.counts_pools or len(in_common(formulation)) > 0


def search(
    formulation: Formulation, relaxed: Relaxed, known: Known, *, gap: float, patience: Patience
) -> tuple[Answer, Known]:
    """As `by_period.search`, which it is where periods have no whole numbers in common.

    Raises:
        KeyboardInterrupt: Ctrl-C, and nobody asked for what there is by then.
    """
    common = in_common(formulation)
    if not len(common):
        return by_period.search(formulation, relaxed, known, gap=gap, patience=patience)
    if relaxed.answer.status is Status.INFEASIBLE:
        return relaxed.answer, known
    began = time.monotonic()
    begun = isinstance(known, Grown) and known.formulation is formulation
    grown = known if isinstance(known, Grown) and begun else Grown.of(formulation, common, relaxed, known)
    try:
        for more in _Tree(gap=gap, patience=patience, relaxed=relaxed).growing(grown):
            grown = more
    except KeyboardInterrupt:
        if not stopped():
            raise
    if not grown.best.found and grown.bound < INFINITY:
        take_best = OnInterrupt.TAKE_BEST
        whole = start.search(formulation.model, relaxed, gap=gap, patience=patience, on_interrupt=take_best)
        return whole, known
    return grown.answer(gap, time.monotonic() - began), grown.told


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tree:
    """How near to the best to come, and until when."""

    gap: float
    patience: Patience
    relaxed: Relaxed

    def growing(self, grown: Grown) -> Iterator[Grown]:
        """Ever further, until the gap is reached, or no time is left, or nothing is left to split."""
        best = grown.best
        if not best.found or best.objective - best.bound > max(self.gap, FIRST_GAP) * abs(best.objective):
            grown = self._begun(grown)
            yield grown
        further: Grown | None = grown
        while further is not None and self.patience.left > 0 and further.bound < self._enough(further):
            further = self._further(further)
            if further is not None:
                yield further

    def _enough(self, grown: Grown) -> float:
        """The bound of which the gap is small enough."""
        best = grown.best
        return best.objective - self.gap * abs(best.objective) if best.found else INFINITY

    def _begun(self, grown: Grown) -> Grown:
        """With a day of what is known to be good, or of what is likely, or of enough of everything; and its prices of starts."""
        root, relaxed = grown.boxes[0], self.relaxed.answer
        if grown.counts:
            points = [grown.copies.recalled(grown.counts)]
        else:
            searched = self._bounded(grown, root, root.unsearched)
            wanted = searched[0].copies.mean(axis=0) if searched else root.lower
            parts = relaxed.values[grown.copies.common] if relaxed.found else wanted
            points = [grown.copies.likely(counts, wanted) for counts in (wanted.round(), np.ceil(parts))]
        first_day = replace(
            self, gap=max(self.gap, FIRST_GAP), patience=Patience.of(self.patience.left * FIRST_PART)
        )
        for counts in points:
            _, grown = first_day._day(grown, replace(root, lower=counts, upper=counts))
            if grown.best.found:
                break
        grown = self._of_fewer(grown)
        return replace(grown, starts=of_starts(grown.windows, grown.prices, grown.formulation.unit))

    def _further(self, grown: Grown) -> Grown | None:
        """With more proven of one box, or an answer; None where nothing is left to split, or in no time."""
        box = min(grown.boxes, key=lambda one: one.bound) if grown.best.found else grown.boxes[-1]
        unsearched = box.unsearched
        if len(unsearched):
            bounded = self._bounded(grown, box, unsearched)
            if bounded is None:
                return None
            grown = grown.with_boxes(box, *bounded)
            return self._with_all_used(grown, bounded[0]) if bounded else grown
        if not box.agrees:
            return grown.with_boxes(box, *box.split(*self._where(grown, box)))
        if box.gap <= self.gap:
            return None
        searched, after = self._day(grown, box)
        return after.with_boxes(box, *searched)

    def _with_all_used(self, grown: Grown, box: Box) -> Grown:
        """Where pools cost something: with the day in which all may be used that any period uses, if it promises to be better."""
        counts, copies = box.copies.max(axis=0), grown.copies
        costs = copies.original.model.cost[copies.common]
        unpaid = float((costs * counts).sum() - (copies.shares * box.copies).sum())
        told = counts.tobytes()
        promises = box.bound + unpaid < self._enough(grown) and told not in grown.tried
        if not (copies.pays_for_pools and promises):
            return grown
        roughly = replace(
            self, gap=max(self.gap, FIRST_GAP), patience=Patience.of(self.patience.left * FIRST_PART)
        )
        _, after = roughly._day(grown, replace(box, lower=counts, upper=counts))
        after = replace(after, tried=after.tried | {told})
        return self._of_fewer(after) if after.best is not grown.best else after

    def _of_fewer(self, grown: Grown) -> Grown:
        """Where pools cost something: with the best answer among the columns of the one that is known, as far as little time brings it."""
        best, common = grown.best, grown.copies.common
        if not (best.found and grown.copies.pays_for_pools):
            return grown
        model = grown.formulation.model
        upper = model.upper.copy()
        upper[common] = np.minimum(upper[common], best.values[common].round())
        answer = highs.run_from(
            replace(model, upper=upper),
            best.values,
            gap=self.gap,
            limit_seconds=self.patience.left * FEWER_PART,
            on_interrupt=OnInterrupt.TAKE_BEST,
        )
        if not answer.found or answer.objective >= best.objective:
            return grown
        values = np.where(model.integer, answer.values.round(), answer.values)
        return grown.having(replace(best, values=values, objective=cost_of(model.cost, values)))

    def _day(self, grown: Grown, box: Box) -> tuple[tuple[Box, ...], Grown]:
        """A box searched as a day, which is left out where it has no answer; and what is known after it."""
        formulation, unit = grown.copies.within(box.lower, box.upper), grown.formulation.unit
        unrelaxed = Relaxed(model=formulation.model, answer=NOTHING, used=self._used(grown))
        known = Known(by_period=grown.by_period, usd_per_hour=box.bound * unit, prices=grown.prices)
        answer, known = by_period.search(formulation, unrelaxed, known, gap=self.gap, patience=self.patience)
        if answer.status is Status.INFEASIBLE:
            return (), grown
        searched = replace(box, gap=self.gap)
        if not answer.found:
            return (searched,), grown
        copies, proven = grown.copies.counts(answer.values), max(box.bound, answer.bound)
        return (replace(searched, copies=copies, proven=proven),), grown.with_day(answer, known)

    def _used(self, grown: Grown) -> NDArray[np.bool_]:
        """Of the variables of the formulation with copies, those that are likely to be of use."""
        return np.append(self.relaxed.used, np.ones(len(grown.copies.formulation.beyond), dtype=bool))

    def _where(self, grown: Grown, box: Box) -> tuple[int, float]:
        """A number that copies differ in, and the most of it in the first part."""
        worth = abs(grown.copies.shares) + FEW
        means = (box.copies * worth).sum(axis=0) / worth.sum(axis=0)
        least_of, most_of = box.copies.min(axis=0), box.copies.max(axis=0)
        below = np.clip(np.floor(means), least_of, np.maximum(most_of - 1, least_of))
        missing = self._enough(grown) - box.bound
        less = np.minimum((worth * np.maximum(box.copies - below, 0)).sum(axis=0), missing)
        more = np.minimum((worth * np.maximum(below + 1 - box.copies, 0)).sum(axis=0), missing)
        at = int(np.where(most_of > least_of, less * more, -1.0).argmax())
        return at, float(below[at])

    def _bounded(self, grown: Grown, box: Box, periods: Integers) -> tuple[Box, ...] | None:
        """A box with these periods searched, or as many as are enough; left out where one has no fleet. None in no time."""
        bounds, copies = box.bounds.copy(), box.copies.copy()
        for begin in range(0, len(periods), AT_ONCE):
            some = periods[begin : begin + AT_ONCE].tolist()
            for period, answer in zip(
                some, side_by_side(partial(self._window, grown, box), some), strict=True
            ):
                if answer.status is Status.INFEASIBLE:
                    return ()
                if not answer.found:
                    return None
                bounds[period] = max(bounds[period], answer.bound)
                copies[period] = answer.values[-len(box.lower) :]
            if bounds.sum() >= self._enough(grown):
                break
        return (replace(box, bounds=bounds, copies=copies),)

    def _window(self, grown: Grown, box: Box, window: int) -> Answer:
        """The best fleet of a period in a box, with no more of what is in common than it needs."""
        windows, members = grown.windows, grown.windows.members[window]
        if self.patience.left <= 0:
            return NOTHING
        own = _within(replace(windows.parts[window], cost=windows.costs(grown.starts)[members]), box)
        begun = _cheapest(grown, window, own, len(box.lower))
        if not len(begun):
            answer = first(own, self._used(grown)[members], limit_seconds=self.patience.left)
            if not answer.found:
                return answer
            begun = self._kept(grown, window, own, answer.values)
        best = grown.best
        missing = (self._enough(grown) - box.bound) / abs(best.objective) if best.found else FIRST_MISSING
        answer = improved(
            Lined(model=own, lines=windows.lines_in(members, np.array([window]))),
            begun,
            gap=max(self.gap * PART_OF_GAP, missing * PART_OF_MISSING),
            limit_seconds=self.patience.left,
        )
        return (
            replace(answer, values=self._kept(grown, window, own, answer.values)) if answer.found else answer
        )

    def _kept(self, grown: Grown, window: int, own: MatrixModel, values: Floats) -> Floats:
        """A fleet with no more of what is in common than it needs, which is kept."""
        whole = np.where(own.integer, values.round(), values)
        lowered = least(own, whole, len(whole) - len(grown.copies.common))
        grown.windows.keep(window, lowered, grown.fleets)
        return lowered


def _within(model: MatrixModel, box: Box) -> MatrixModel:
    """A period's model with a box's bounds on its copies, which are its last variables."""
    lower, upper, many = model.lower.copy(), model.upper.copy(), len(box.lower)
    lower[-many:], upper[-many:] = box.lower, box.upper
    return replace(model, lower=lower, upper=upper)


def _cheapest(grown: Grown, window: int, own: MatrixModel, many: int) -> Floats:
    """The cheapest fleet known of a period that its model allows, if need be with more of what is in common; empty where none is."""
    best, least_cost = np.zeros(0), INFINITY
    for fleet in grown.fleets.by_nodes[window].values():
        values = fleet.values.copy()
        values[-many:] = np.maximum(values[-many:], own.lower[-many:])
        cost = cost_of(own.cost, values)
        if cost >= least_cost or (values[-many:] > own.upper[-many:]).any():
            continue
        if own.beyond(values) <= FEASIBILITY_TOLERANCE:
            best, least_cost = values, cost
    return best
