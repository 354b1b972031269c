"""What a search begins with: the model of a problem and its relaxation, and which offers that would rent. Decides nothing."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import product

from hetops.solver.formulate import Formulation, formulate
from hetops.solver.frame import Frame
from hetops.solver.highs import Status
from hetops.solver.matrix import Floats, Row
from hetops.solver.patience import Patience
from hetops.solver.problem import Problem
from hetops.solver.search import losses
from hetops.solver.search.start import Relaxed, relax, relax_whole

SLACK = 2e-6
"""Part of a node below which there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A problem's model and its relaxation."""

    problem: Problem
    formulation: Formulation
    relaxed: Relaxed

    @classmethod
    def of(cls, problem: Problem, must_rent: Collection[str], patience: Patience) -> Begun | None:
        """With at least one node of the offers in `must_rent`; None where nothing can serve, or none of these."""
        formulation = formulated(problem, must_rent)
        if formulation is None:
            return None
        return cls(problem=problem, formulation=formulation, relaxed=relax(formulation, patience))

    @classmethod
    def beside(
        cls,
        problem: Problem,
        must_rent: Collection[str],
        patience: Patience,
        known: Collection[tuple[str, str]],
    ) -> Begun | None:
        """As `of`, for a question beside another whose best fleet stands on `known` columns: the search begins with those too.

        Most changes leave a fleet as good as the best on them and on those that the relaxation uses.
        """
        formulation = formulated(problem, must_rent)
        if formulation is None:
            return None
        relaxed, frame = relax_whole(formulation, patience), formulation.frame
        used = relaxed.used.copy()
        for t, j in product(range(len(frame.stretches)), range(len(frame.columns))):
            used[frame.nodes(t, j)] |= frame.columns[j].key in known
        return cls(problem=problem, formulation=formulation, relaxed=replace(relaxed, used=used))

    def is_of(self, problem: Problem) -> bool:
        """Whether the problem is this one, to whatever gap."""
        return problem is self.problem or replace(problem, gap=self.problem.gap) == self.problem

    def relaxed_within(self, patience: Patience) -> Begun:
        """With a relaxation, if there was no time for it before, and is some now."""
        if self.relaxed.answer.status is not Status.NOTHING_FOUND or patience.left <= 0:
            return self
        return replace(self, relaxed=relax(self.formulation, patience))

    @property
    def rented(self) -> Counter[str]:
        """Nodes of each offer that would be rented if parts of nodes could be, rounded up: a search would find the same, and later."""
        answer = self.relaxed.answer
        return rented(self.formulation.frame, answer.values) if answer.found else Counter()


def formulated(problem: Problem, must_rent: Collection[str] = ()) -> Formulation | None:
    """The model that a search for `problem` begins with; None where it has no place, or none of what must be rented."""
    return renting(formulate(losses.untold(problem), must_rent=must_rent), must_rent)


def renting(formulation: Formulation, offers: Collection[str]) -> Formulation | None:
    """The formulation with at least one node of the offers that can serve; None where it has no place, or none of them."""
    if not formulation.frame.places:
        return None
    if not offers:
        return formulation
    frame = formulation.frame
    terms = [
        (frame.nodes(t, j), 1.0)
        for t in range(len(frame.stretches))
        for j, column in enumerate(formulation.columns)
        if not column.offers.isdisjoint(offers) and any(column.rate(c.name) for c in frame.classes)
    ]
    if not terms:
        return None
    row = Row(subject="rented whatever it costs", terms=terms, lower=1.0)
    return formulation.with_row(row)


def rented(frame: Frame, values: Floats) -> Counter[str]:
    """Nodes of each offer in the stretch with most of them, parts of a node rounded up."""
    nodes: Counter[str] = Counter()
    for t in range(len(frame.stretches)):
        parts: defaultdict[str, float] = defaultdict(float)
        for j, takes in enumerate(frame.takes):
            for offer, each in takes:
                parts[offer.id] += float(values[frame.nodes(t, j)]) * float(each)
        nodes |= Counter({offer: math.ceil(part - SLACK) for offer, part in parts.items()})
    return nodes
