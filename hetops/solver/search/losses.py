"""Losses by the dozen: told to the search as far as they matter, and each of them checked.

The search begins without losses. What a relaxation bears worst gives rows that tell of losses (`told`), until it bears
them all; then fleets are searched for by the nodes of their offers (`by_offer`), and where that does not prove enough, by
their columns: a fleet gives the next rows until one bears each loss. It is an answer only if the model with all its
losses says so (`borne`); what is proven with some of the rows holds of the problem.

Decides when losses are told so, never where anything may be shed, and when the search ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hetops.solver import highs
from hetops.solver.formulate import Formulation
from hetops.solver.highs import Answer, OnInterrupt, Status
from hetops.solver.patience import Patience
from hetops.solver.problem import Problem
from hetops.solver.search import borne, by_offer, start
from hetops.solver.search.start import Relaxed, Searched
from hetops.solver.search.told import ROUGHLY, Told
from hetops.solver.terms import Role

MOST_COPIED = 3000
"""Shares that losses may add to the model of a stretch; where they would add more, they are told by prices."""

RELAXED_PART = 0.4
"""Of the time, what relaxations may take."""


def are_many(problem: Problem) -> bool:
    """Whether losses are told by prices."""
    serving = sum(len(column.requests_per_second) for column in problem.columns)
    alone = all(column.role is Role.WHOLE for column in problem.columns)
    return alone and not problem.sheds_any and serving * len(problem.scenarios) > MOST_COPIED


def untold(problem: Problem) -> Problem:
    """The problem without the losses that are told by prices."""
    return replace(problem, losses=()) if are_many(problem) else problem


def search(
    problem: Problem,
    base: Formulation,
    form: Callable[[Problem], Formulation],
    on_interrupt: OnInterrupt,
    patience: Patience,
) -> Searched:
    """The best fleet for `problem`, which bears its losses.

    `base` is the formulation without them, `form` makes one of a part of the problem.

    Raises:
        KeyboardInterrupt: stopped, and there is no answer to take or none is to be taken.
    """
    told, relaxed = _relaxed(Told.of(problem, base, form), patience)
    best = Searched(formulation=base, relaxed=relaxed, answer=relaxed.answer)
    if not relaxed.answer.found:
        return best
    found = by_offer.search(told, relaxed, gap=problem.gap, patience=patience)
    best = found.best or replace(best, answer=replace(highs.NOTHING, bound=found.bound))
    best = replace(best, answer=_proven(best.answer, found.bound, problem.gap))
    if best.answer.status is Status.OPTIMAL or (best.answer.found and patience.left <= 0):
        return best
    return _by_column(found.told, best, on_interrupt, patience)


def _by_column(told: Told, best: Searched, on_interrupt: OnInterrupt, patience: Patience) -> Searched:
    """The best fleet, where `best` is one that is known, or nothing with a bound."""
    gap, bound = told.problem.gap, best.answer.bound
    while True:
        relaxed = told.relaxed(patience)
        if not relaxed.answer.found:
            none = relaxed.answer.status is Status.INFEASIBLE and not best.answer.found
            return replace(best, answer=relaxed.answer) if none else best
        try:
            answer = start.search(told.model, relaxed, gap=gap, patience=patience, on_interrupt=on_interrupt)
        except KeyboardInterrupt:
            if on_interrupt is not OnInterrupt.TAKE_BEST or not best.answer.found:
                raise
            return best
        bound = max(bound, answer.bound)
        if not answer.found:
            return best if best.answer.found else replace(best, answer=answer)
        values = np.where(told.model.integer, answer.values.round(), answer.values)
        fleet = borne.mended(told, relaxed, values, patience)
        if fleet.answer.objective < best.answer.objective:
            best = fleet
        unborne = told.unborne(values, highs.FEASIBILITY_TOLERANCE)
        best = replace(best, relaxed=relaxed, answer=_proven(best.answer, bound, gap))
        if best.answer.status is Status.OPTIMAL or not unborne or patience.left <= 0:
            return best
        told = told.with_rows(unborne)


def _proven(answer: Answer, bound: float, gap: float) -> Answer:
    """An answer with what the search has proven of it."""
    if not answer.found:
        return replace(answer, bound=bound)
    close = answer.objective - bound <= gap * abs(answer.objective)
    status = Status.OPTIMAL if close else Status.TIME_LIMIT
    return replace(answer, status=status, bound=min(bound, answer.objective))


def _relaxed(told: Told, patience: Patience) -> tuple[Told, Relaxed]:
    """With rows until the relaxation bears every loss, or its part of the time is up."""
    own = Patience.of(max(patience.left * RELAXED_PART, start.LEAST_SECONDS))
    relaxed = told.relaxed(patience)
    while relaxed.answer.found and own.left > 0:
        unborne = told.unborne(relaxed.answer.values, ROUGHLY)
        if not unborne:
            break
        told = told.with_rows(unborne)
        relaxed = told.relaxed(patience)
    return told, relaxed
