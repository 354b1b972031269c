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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block
from hetops.solver.highs import FEASIBILITY_TOLERANCE, NOTHING, Answer, OnInterrupt, Status
from hetops.solver.lines import cost_of
from hetops.solver.matrix import INFINITY, Floats, MatrixModel
from hetops.solver.patience import Patience, stopped
from hetops.solver.periods import by_period
from hetops.solver.periods.apart import windows_of
from hetops.solver.periods.copies import Copies, in_common, least
from hetops.solver.periods.fleets import Fleets
from hetops.solver.periods.known import Known
from hetops.solver.periods.windows import Integers, Lined, Windows, first, improved
from hetops.solver.search import start
from hetops.solver.search.start import Relaxed

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
    begun = isinstance(known, _Grown) and known.formulation is formulation
    grown = known if isinstance(known, _Grown) and begun else _Grown.of(formulation, common, relaxed, known)
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
class _Box:
    """Bounds on the numbers, and what is known of the days within them."""

    lower: Floats
    upper: Floats
    copies: Floats
    """By period: the numbers of the fleet that is best there; below all bounds where none was searched for yet."""
    bounds: Floats
    """By period: what no fleet costs less than."""
    proven: float
    """What no day costs less than, as is known otherwise."""
    gap: float = INFINITY
    """That it was searched to as a day."""

    @property
    def bound(self) -> float:
        """What no day in it costs less than."""
        return max(float(self.bounds.sum()), self.proven)

    @property
    def unsearched(self) -> Integers:
        """The periods whose copies lie outside."""
        return np.flatnonzero(((self.copies < self.lower) | (self.copies > self.upper)).any(axis=1))

    @property
    def agrees(self) -> bool:
        """Whether all copies are the same."""
        return bool((self.copies == self.copies[0]).all())

    def split(self, at: int, below: float) -> tuple[_Box, _Box]:
        """At most so many of a number, and more."""
        upper, lower = self.upper.copy(), self.lower.copy()
        upper[at], lower[at] = below, below + 1
        whole = replace(self, gap=INFINITY)
        return replace(whole, upper=upper), replace(whole, lower=lower)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Grown(Known):
    """What is known of a formulation, and how far its tree has grown."""

    formulation: Formulation
    copies: Copies
    windows: Windows
    """Of the formulation with copies."""
    starts: Floats
    """By tie: prices."""
    fleets: Fleets
    boxes: tuple[_Box, ...]
    best: Answer
    """Its bound is that of the box in which it was found."""
    counts: Mapping[object, int]
    """How many of what is in common the best answer has, by name; at first that of an earlier search."""
    tried: frozenset[bytes] = frozenset()
    """The numbers that were searched as a day because all periods of a box together have them."""

    @classmethod
    def of(cls, formulation: Formulation, common: Integers, relaxed: Relaxed, known: Known) -> _Grown:
        """Nothing is searched yet."""
        model, answer = formulation.model, relaxed.answer
        solved = answer.status is Status.OPTIMAL
        duals = answer.row_duals if solved else np.zeros(len(model.row_lower))
        nodes = np.zeros(formulation.frame.sizes[Block.NODES])
        nodes = answer.values[: len(nodes)] if solved else nodes
        copies = Copies.of(formulation, common, duals, nodes)
        windows = windows_of(copies.formulation)
        usd = dict(zip(model.subjects, (float(d) * formulation.unit for d in duals), strict=True))
        bound = max(relaxed.bound, known.usd_per_hour / formulation.unit)
        root = _Box(
            lower=copies.lower,
            upper=copies.upper,
            copies=np.tile(copies.lower - 1, (windows.count, 1)),
            bounds=np.full(windows.count, -INFINITY),
            proven=bound,
        )
        return cls(
            by_period=known.by_period,
            usd_per_hour=bound * formulation.unit,
            prices=known.prices or usd,
            counts=known.counts if isinstance(known, _Grown) else {},
            formulation=formulation,
            copies=copies,
            windows=windows,
            starts=_of_starts(windows, known.prices or usd, formulation.unit),
            fleets=windows.no_fleets,
            boxes=(root,),
            best=NOTHING,
        )

    @property
    def bound(self) -> float:
        """What no answer costs less than."""
        return min((box.bound for box in self.boxes), default=INFINITY)

    def answer(self, gap: float, seconds: float) -> Answer:
        """The best, with what is proven of all."""
        if not self.best.found:
            return replace(NOTHING, status=Status.INFEASIBLE, seconds=seconds)
        bound = min(self.bound, self.best.objective)
        close = self.best.objective - bound <= gap * abs(self.best.objective)
        late = Status.INTERRUPTED if stopped() else Status.TIME_LIMIT
        return replace(self.best, status=Status.OPTIMAL if close else late, bound=bound, seconds=seconds)

    @property
    def told(self) -> _Grown:
        """With what another search needs to know."""
        return replace(self, usd_per_hour=min(self.bound, self.best.objective) * self.formulation.unit)

    def with_boxes(self, taken: _Box, *instead: _Box) -> _Grown:
        """With others in place of one."""
        kept = tuple(box for box in self.boxes if box is not taken)
        return replace(self, boxes=(*kept, *instead))

    def with_day(self, answer: Answer, known: Known) -> _Grown:
        """With what is known after a box was searched as a day, and its answer, if it is one of all and better."""
        values = self.copies.agreed(answer.values)
        cost = INFINITY if values is None else cost_of(self.formulation.model.cost, values)
        if values is None or cost >= self.best.objective:
            return self
        found = self.having(replace(answer, values=values, objective=cost))
        return replace(found, by_period=known.by_period, prices=known.prices)

    def having(self, best: Answer) -> _Grown:
        """With a better answer of all."""
        return replace(self, best=best, counts=self.copies.told(best.values[self.copies.common]))


def _of_starts(windows: Windows, usd: Mapping[object, float], unit: float) -> Floats:
    """By tie, the price of starts that is known of it, no less than minus what they cost."""
    model, ties = windows.model, windows.ties
    found = np.array([usd.get(model.subjects[row], 0.0) / unit for row in ties.rows])
    prices: Floats = np.clip(found, -model.cost[ties.started], 0.0)
    return prices


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tree:
    """How near to the best to come, and until when."""

    gap: float
    patience: Patience
    relaxed: Relaxed

    def growing(self, grown: _Grown) -> Iterator[_Grown]:
        """Ever further, until the gap is reached, or no time is left, or nothing is left to split."""
        best = grown.best
        if not best.found or best.objective - best.bound > max(self.gap, FIRST_GAP) * abs(best.objective):
            grown = self._begun(grown)
            yield grown
        further: _Grown | None = grown
        while further is not None and self.patience.left > 0 and further.bound < self._enough(further):
            further = self._further(further)
            if further is not None:
                yield further

    def _enough(self, grown: _Grown) -> float:
        """The bound of which the gap is small enough."""
        best = grown.best
        return best.objective - self.gap * abs(best.objective) if best.found else INFINITY

    def _begun(self, grown: _Grown) -> _Grown:
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
        return replace(grown, starts=_of_starts(grown.windows, grown.prices, grown.formulation.unit))

    def _further(self, grown: _Grown) -> _Grown | None:
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

    def _with_all_used(self, grown: _Grown, box: _Box) -> _Grown:
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

    def _of_fewer(self, grown: _Grown) -> _Grown:
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

    def _day(self, grown: _Grown, box: _Box) -> tuple[tuple[_Box, ...], _Grown]:
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

    def _used(self, grown: _Grown) -> NDArray[np.bool_]:
        """Of the variables of the formulation with copies, those that are likely to be of use."""
        return np.append(self.relaxed.used, np.ones(len(grown.copies.formulation.beyond), dtype=bool))

    def _where(self, grown: _Grown, box: _Box) -> tuple[int, float]:
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

    def _bounded(self, grown: _Grown, box: _Box, periods: Integers) -> tuple[_Box, ...] | None:
        """A box with these periods searched, or as many as are enough; left out where one has no fleet. None in no time."""
        bounds, copies = box.bounds.copy(), box.copies.copy()
        for period in periods:
            answer = self._window(grown, int(period), box)
            if answer.status is Status.INFEASIBLE:
                return ()
            if not answer.found:
                return None
            bounds[period] = max(bounds[period], answer.bound)
            copies[period] = answer.values[-len(box.lower) :]
            if bounds.sum() >= self._enough(grown):
                break
        return (replace(box, bounds=bounds, copies=copies),)

    def _window(self, grown: _Grown, window: int, box: _Box) -> Answer:
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

    def _kept(self, grown: _Grown, window: int, own: MatrixModel, values: Floats) -> Floats:
        """A fleet with no more of what is in common than it needs, which is kept."""
        whole = np.where(own.integer, values.round(), values)
        lowered = least(own, whole, len(whole) - len(grown.copies.common))
        grown.windows.keep(window, lowered, grown.fleets)
        return lowered


def _within(model: MatrixModel, box: _Box) -> MatrixModel:
    """A period's model with a box's bounds on its copies, which are its last variables."""
    lower, upper, many = model.lower.copy(), model.upper.copy(), len(box.lower)
    lower[-many:], upper[-many:] = box.lower, box.upper
    return replace(model, lower=lower, upper=upper)


def _cheapest(grown: _Grown, window: int, own: MatrixModel, many: int) -> Floats:
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
