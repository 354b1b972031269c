"""A search that begins with a fleet: one of the few columns that the linear relaxation uses.

With the nodes of all other columns at zero the model is small, and its best fleet is found at once. Mostly it is as near
to the relaxation's own bound as is wanted. Only where it is not, the model itself is searched, from that fleet on, among
the nodes that a fleet no dearer can have; and where time brings no better one, that fleet is the answer. So there is one
however little time is given, unless the few columns hold none. Decides where to search first; knows the rows only as numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import nsmallest

import numpy as np
from numpy.typing import NDArray

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.matrix import INFINITY, MatrixModel
from hetops.solver.patience import Patience, stopped
from hetops.solver.reduced import not_dearer
from hetops.solver.search import lined
from hetops.solver.solution import Ended

LEAST_SECONDS = 0.5
"""What the relaxation, and the small model, may take of time that is not there any more."""

RELAXED_PART = 0.6
"""Of the time that is left: what the relaxation may take of it, for without it there is a fleet as well."""

SECONDS_PER_ENTRY = 2e-6
"""Of a model: what HiGHS takes to look at it before it searches, or ends."""

PART_OF_GAP = 0.5
"""The small model is searched to this part of the gap that is wanted of the whole one."""

ROUGH_GAP = 1e-3
"""Or to this gap, where a search in lines goes on from there."""

PART_OF_TIME = 0.25
"""Of the time that is left: what the small model may take of it."""

LINED_PART = 0.7
"""Of the time that is left: what a search in lines may take of it, which mostly needs far less than one without."""

FEW = 100
"""Whole numbers among which HiGHS finds without heuristics what it does with them, in a third of the time on the paper grid;
of 200 and more it finds less."""

SEVERAL = 4 * FEW
"""Of more, reduced costs hardly leave few: no relaxation is searched for to tell."""

LIKELY = 4
"""Columns for each class, those that serve it for least, to begin with where no relaxation says which."""

USED = 1e-9
"""Nodes in the relaxation above which a column is used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relaxed:
    """A model without its whole numbers, and what was found of it: the answer is no solution where time did not suffice."""

    model: MatrixModel
    answer: Answer
    used: NDArray[np.bool_]
    """The variables that its answer uses; where time did not suffice for one, those that one might."""

    @property
    def bound(self) -> float:
        """What no answer to the model itself is below."""
        return self.answer.objective if self.answer.status is Status.OPTIMAL else -INFINITY

    def is_all_of(self, model: MatrixModel) -> bool:
        """Whether it is known, and of the very costs and rows of a model, within bounds no narrower."""
        own = self.model
        told = (
            (own.cost, model.cost),
            (own.row_lower, model.row_lower),
            (own.row_upper, model.row_upper),
            (own.row_starts, model.row_starts),
            (own.row_indices, model.row_indices),
            (own.row_values, model.row_values),
        )
        if self.answer.status is not Status.OPTIMAL or not all(np.array_equal(*pair) for pair in told):
            return False
        return bool((own.lower <= model.lower).all() and (own.upper >= model.upper).all())


def relax(formulation: Formulation, patience: Patience) -> Relaxed:
    """The linear relaxation; without terms the one whose duals say what the limits are worth.

    Over periods it counts no pools, of which a part is next to nothing, and takes long; what they take of a budget is left out.
    """
    if formulation.frame.problem.plain:
        found = relaxed(formulation.loose.relaxation, patience)
        return found if found.answer.found else replace(found, used=_likely(formulation))
    model, opened = formulation.model, _opened(formulation.frame)
    counts = opened[model.row_indices]
    takes = (model.row_values >= 0) & (model.row_lower == -INFINITY)[model.row_of]
    free = np.bincount(model.row_of, weights=counts & ~takes, minlength=len(model.row_lower)) > 0
    loose = replace(
        model.linear,
        row_values=np.where(counts, 0.0, model.row_values),
        row_lower=np.where(free, -INFINITY, model.row_lower),
        row_upper=np.where(free, INFINITY, model.row_upper),
    )
    found = relaxed(loose, patience)
    return replace(found, used=found.used | opened if found.answer.found else _likely(formulation))


def relax_whole(formulation: Formulation, patience: Patience) -> Relaxed:
    """As `relax`; where the model has lines with the rows that are implied too, so that a search in lines needs no other."""
    model = formulation.model
    if not model.lines or not formulation.frame.problem.plain:
        return relax(formulation, patience)
    found = relaxed(model.linear, patience)
    return found if found.answer.found else replace(found, used=_likely(formulation))


def _opened(frame: Frame) -> NDArray[np.bool_]:
    """The variables that say which columns may be used, where they are for more than one period and not the objective."""
    opened = np.zeros(frame.size, dtype=bool)
    if frame.counts_pools and len(frame.stretches) > 1 and frame.minimise is None:
        first = frame.first[Block.OPENED]
        opened[first : first + frame.sizes[Block.OPENED]] = True
    return opened


def _likely(formulation: Formulation) -> NDArray[np.bool_]:
    """All but the nodes of columns on which no class is served for little money: what no search is needed to tell."""
    frame = formulation.frame
    usd = [float(frame.usd_per_hour(j)) for j in range(len(frame.columns))]
    ways: dict[tuple[int, int], list[tuple[float, int]]] = {}
    for k, (n, place, w) in enumerate(frame.pairs):
        if place < len(frame.columns):
            cost = usd[place] * frame.load(k) / frame.usable[place]
            ways.setdefault((n, w), []).append((cost, place))
    kept = {place for of in ways.values() for _, place in nsmallest(LIKELY, of)}
    likely = np.ones(frame.size, dtype=bool)
    likely[: frame.sizes[Block.NODES]] = np.tile(
        [j in kept for j in range(len(frame.columns))], len(frame.stretches)
    )
    return likely


def relaxed(model: MatrixModel, patience: Patience) -> Relaxed:
    """A model without whole numbers, solved."""
    seconds, on_interrupt = _needed(patience, OnInterrupt.CANCEL)
    seconds = max(seconds * RELAXED_PART, LEAST_SECONDS)
    try:
        answer = highs.run(model, limit_seconds=seconds, on_interrupt=on_interrupt)
    except KeyboardInterrupt:
        if not stopped():
            raise
        answer = highs.NOTHING
    used = answer.values > USED if answer.found else np.ones(len(model.cost), dtype=bool)
    return Relaxed(model=model, answer=answer, used=used)


def _needed(patience: Patience, on_interrupt: OnInterrupt) -> tuple[float, OnInterrupt]:
    """Seconds for a run without which there may be no fleet, and what stops it: after the end it is short, and goes on."""
    if patience.left > 0:
        return max(patience.left, LEAST_SECONDS), on_interrupt
    return LEAST_SECONDS, OnInterrupt.FINISH


def search(
    model: MatrixModel, relaxed: Relaxed, *, gap: float, patience: Patience, on_interrupt: OnInterrupt
) -> Answer:
    """As `highs.run` on a model whose relaxation is known.

    Raises:
        KeyboardInterrupt: stopped, and there is no answer to take or none is to be taken.
    """
    if relaxed.answer.status is Status.INFEASIBLE:
        return relaxed.answer
    best = _first(model, relaxed, gap, patience, on_interrupt)
    if best.status is Status.OPTIMAL or (best.found and _is_long(model, patience)):
        return best
    try:
        if model.lines and patience.left > 0:
            best = _lined(model, relaxed, best, gap, patience)
        if best.status is Status.OPTIMAL:
            return best
        few = _no_dearer(model, relaxed, best, patience)
        if best.found and _free(few) <= FEW:
            left = patience.left
            found = highs.run_small(few, best.values, gap=gap, limit_seconds=left, on_interrupt=on_interrupt)
        else:
            found = _at_length(model, best, gap, patience, on_interrupt)
    except KeyboardInterrupt:
        if on_interrupt is not OnInterrupt.TAKE_BEST or not best.found:
            raise
        return replace(best, status=Status.INTERRUPTED)
    return _better(best, found, gap)


def _at_length(
    model: MatrixModel, best: Answer, gap: float, patience: Patience, on_interrupt: OnInterrupt
) -> Answer:
    """What HiGHS finds with all that it can do; it begins with the best answer so far where that is of use."""
    start = best.values if _costs(model) else np.empty(0)
    seconds, when_stopped = (patience.left, on_interrupt) if best.found else _needed(patience, on_interrupt)
    return highs.run_from(model, start, gap=gap, limit_seconds=seconds, on_interrupt=when_stopped)


def _no_dearer(model: MatrixModel, relaxed: Relaxed, best: Answer, patience: Patience) -> MatrixModel:
    """The model with no more of any whole number than an answer can have that costs no more than the best one so far.

    As it is where no relaxation of the whole of it is known, nor soon found.
    """
    known = relaxed.answer if relaxed.is_all_of(model) else highs.NOTHING
    if not best.found or (not known.found and _free(model) > SEVERAL):
        return model
    if not known.found:
        known = highs.run(model.linear, limit_seconds=patience.left)
    if known.status is not Status.OPTIMAL:
        return model
    return not_dearer(model, model.integer, (), known, best.objective)


def _free(model: MatrixModel) -> int:
    """Whole numbers that are not known."""
    return int((model.integer & (model.upper > model.lower)).sum())


def _is_long(model: MatrixModel, patience: Patience) -> bool:
    """Whether nothing would come of a search of the model in what is left of the time."""
    return patience.left <= SECONDS_PER_ENTRY * len(model.row_values)


def _lined(model: MatrixModel, relaxed: Relaxed, first: Answer, gap: float, patience: Patience) -> Answer:
    """The better of an answer and one that a search in lines finds, with what either proved."""
    seconds = patience.left * LINED_PART
    known = relaxed.answer if relaxed.is_all_of(model) else None
    found = lined.search(model, first.values, gap=gap, limit_seconds=seconds, relaxed=known)
    return _better(first, found, gap)


def _better(one: Answer, other: Answer, gap: float) -> Answer:
    """The cheaper of two answers to one model, with what either search proved; a tie is the first's."""
    best = one if one.found and not other.objective < one.objective else other
    if not best.found:
        return other
    proven = max(one.bound, other.bound) if other.status is not Status.INFEASIBLE else one.bound
    bound = min(proven, best.objective)
    close = best.objective - bound <= gap * abs(best.objective)
    return replace(best, status=Status.OPTIMAL if close else best.status, bound=bound)


def _costs(model: MatrixModel) -> bool:
    """Whether it is money that is minimised: beginning with a fleet then halves some searches of hundreds of columns.

    Searches for the largest rate take a quarter longer with it (the paper grid); there it is held against the answer.
    """
    return bool((model.cost >= 0).all())


def _first(
    model: MatrixModel, relaxed: Relaxed, gap: float, patience: Patience, on_interrupt: OnInterrupt
) -> Answer:
    """The best fleet of the columns that the relaxation uses, if there is one: `OPTIMAL` where it is good enough."""
    unused = model.integer & ~relaxed.used
    few = replace(model, upper=np.where(unused, model.lower, model.upper))
    seconds, when_stopped = _needed(patience, on_interrupt)
    seconds = max(seconds * PART_OF_TIME, LEAST_SECONDS)
    if model.lines:
        rough = max(gap * PART_OF_GAP, ROUGH_GAP)
        found = highs.run_small(few, np.empty(0), gap=rough, limit_seconds=seconds, on_interrupt=when_stopped)
    else:
        found = highs.glance(few, gap=gap * PART_OF_GAP, limit_seconds=seconds, on_interrupt=when_stopped)
    if not found.found:
        return replace(found, status=Status.NOTHING_FOUND, bound=relaxed.bound)
    bound = min(relaxed.bound, found.objective)
    good = found.objective - bound <= gap * abs(found.objective)
    return replace(found, status=Status.OPTIMAL if good else Status.TIME_LIMIT, bound=bound)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Searched:
    """A model that was searched, its relaxation, and the answer."""

    formulation: Formulation
    relaxed: Relaxed
    answer: Answer

    @property
    def ended(self) -> Ended:
        """What ended the search."""
        if self.answer.status is Status.OPTIMAL:
            return Ended.GAP
        return Ended.INTERRUPTED if stopped() or self.answer.status is Status.INTERRUPTED else Ended.TIME
