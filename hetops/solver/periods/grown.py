"""How far the search of a day in boxes has come: bounds on the numbers that periods have in common, and what is known within them.

Decides nothing of where to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block
from hetops.solver.highs import NOTHING, Answer, Status
from hetops.solver.lines import cost_of
from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.patience import stopped
from hetops.solver.periods.apart import windows_of
from hetops.solver.periods.copies import Copies
from hetops.solver.periods.fleets import Fleets
from hetops.solver.periods.known import Known
from hetops.solver.periods.windows import Integers, Windows
from hetops.solver.search.start import Relaxed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Box:
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

    def split(self, at: int, below: float) -> tuple[Box, Box]:
        """At most so many of a number, and more."""
        upper, lower = self.upper.copy(), self.lower.copy()
        upper[at], lower[at] = below, below + 1
        whole = replace(self, gap=INFINITY)
        return replace(whole, upper=upper), replace(whole, lower=lower)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grown(Known):
    """What is known of a formulation, and how far its tree has grown."""

    formulation: Formulation
    copies: Copies
    windows: Windows
    """Of the formulation with copies."""
    starts: Floats
    """By tie: prices."""
    fleets: Fleets
    boxes: tuple[Box, ...]
    best: Answer
    """Its bound is that of the box in which it was found."""
    counts: Mapping[object, int]
    """How many of what is in common the best answer has, by name; at first that of an earlier search."""
    tried: frozenset[bytes] = frozenset()
    """The numbers that were searched as a day because all periods of a box together have them."""

    @classmethod
    def of(cls, formulation: Formulation, common: Integers, relaxed: Relaxed, known: Known) -> Grown:
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
        root = Box(
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
            counts=known.counts if isinstance(known, Grown) else {},
            formulation=formulation,
            copies=copies,
            windows=windows,
            starts=of_starts(windows, known.prices or usd, formulation.unit),
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
    def told(self) -> Grown:
        """With what another search needs to know."""
        return replace(self, usd_per_hour=min(self.bound, self.best.objective) * self.formulation.unit)

    def with_boxes(self, taken: Box, *instead: Box) -> Grown:
        """With others in place of one."""
        kept = tuple(box for box in self.boxes if box is not taken)
        return replace(self, boxes=(*kept, *instead))

    def with_day(self, answer: Answer, known: Known) -> Grown:
        """With what is known after a box was searched as a day, and its answer, if it is one of all and better."""
        values = self.copies.agreed(answer.values)
        cost = INFINITY if values is None else cost_of(self.formulation.model.cost, values)
        if values is None or cost >= self.best.objective:
            return self
        found = self.having(replace(answer, values=values, objective=cost))
        return replace(found, by_period=known.by_period, prices=known.prices)

    def having(self, best: Answer) -> Grown:
        """With a better answer of all."""
        return replace(self, best=best, counts=self.copies.told(best.values[self.copies.common]))


def of_starts(windows: Windows, usd: Mapping[object, float], unit: float) -> Floats:
    """By tie, the price of starts that is known of it, no less than minus what they cost."""
    model, ties = windows.model, windows.ties
    found = np.array([usd.get(model.subjects[row], 0.0) / unit for row in ties.rows])
    prices: Floats = np.clip(found, -model.cost[ties.started], 0.0)
    return prices
