"""What is proven of an answer: what the search proved, and what exact arithmetic proves without trusting the search.

Decides no fleet; the multipliers come from a relaxation that was solved before, and any would be valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hetops.solver.certify import TOLERANCE, ScarcityPrices, relative_gap, weak_duality_bound
from hetops.solver.dual import dual_bound
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.patience import Patience
from hetops.solver.problem import Mode, Problem
from hetops.solver.search.start import Relaxed, relax
from hetops.solver.solution import Ended, Solution
from hetops.solver.weak_duality import BEYOND_ANY

RELAXATION_SECONDS = 60.0
"""For a relaxation that is solved for its prices alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """How far from the best an objective can be at most."""

    bound: float
    gap: float
    within_gap: bool

    @classmethod
    def of(cls, problem: Problem, objective: float, bound: float, certified: float) -> Proven:
        """By the better of both bounds, held against the problem's gap."""
        return cls.by((bound, certified), problem.mode, objective, problem.gap)

    @classmethod
    def by(cls, bounds: Iterable[float], mode: Mode, objective: float, wanted: float) -> Proven:
        """By the best of the bounds. None is better than what was reached: only rounding makes it seem so."""
        inner, outer = (min, max) if mode is Mode.MIN_COST else (max, min)
        bound = inner(outer(bounds), objective)
        gap = relative_gap(objective, bound)
        return cls(bound=bound, gap=gap, within_gap=gap <= wanted + float(TOLERANCE))


def bounded(found: Solution, bound: float, certified: float, gap: float) -> Solution:
    """An answer of which this is proven. Its search ended at the gap that was wanted where that is reached, and nowhere else."""
    proven, exactly = (
        Proven.by(bounds, found.mode, found.objective, gap) for bounds in ((bound, certified), (certified,))
    )
    otherwise = Ended.TIME if found.ended is Ended.GAP else found.ended
    return replace(
        found,
        bound=proven.bound,
        certified_bound=exactly.bound,
        gap=proven.gap,
        within_gap=proven.within_gap,
        ended=Ended.GAP if proven.within_gap else otherwise,
    )


def scarcity_prices(problem: Problem) -> ScarcityPrices:
    """What the linear relaxation says each limit is worth: good multipliers for `weak_duality_bound`, no explanation.

    As explanations they mislead: exact re-solves often say 0 where a dual does not.
    """
    formulation = formulate(problem)
    return prices_of(formulation, relax(formulation, Patience.of(RELAXATION_SECONDS)))


def prices_of(formulation: Formulation, relaxed: Relaxed) -> ScarcityPrices:
    """As `scarcity_prices`, of a relaxation that is solved already; a guess where it could not be."""
    answer = relaxed.answer
    if not answer.found:
        return _guessed(formulation.frame.problem)
    worth: dict[LimitKind, dict[str, float]] = {kind: {} for kind in LimitKind}
    for subject, dual in zip(relaxed.model.subjects, answer.row_duals, strict=True):
        if isinstance(subject, Limit):
            worth[subject.kind][subject.subject] = max(-float(dual) * formulation.unit, 0.0)
    return ScarcityPrices(
        stock=worth[LimitKind.STOCK],
        quota=worth[LimitKind.QUOTA],
        provider_budget=worth[LimitKind.PROVIDER_BUDGET],
        budget=worth[LimitKind.BUDGET].get("", 0.0),
    )


def _guessed(problem: Problem) -> ScarcityPrices:
    """At least cost nothing is scarce. Of the largest rate that proves nothing: there money is, or what it would buy."""
    if problem.mode is Mode.MIN_COST:
        return ScarcityPrices()
    if problem.budget_usd_per_hour is not None:
        return ScarcityPrices(budget=1.0)
    return ScarcityPrices(stock={offer.id: float(offer.usd_per_hour) for offer in problem.offers})


def bound_of_anything(problem: Problem) -> float:
    """What exact arithmetic proves of a problem whose relaxation nobody solved."""
    if problem.plain:
        return float(weak_duality_bound(problem, _guessed(problem)))
    return _anyway(problem)


def certified_bound(problem: Problem, formulation: Formulation, relaxed: Relaxed) -> float:
    """Weak duality on the rows of the model, in rationals; where it proves nothing, the bound that holds for anything."""
    answer = relaxed.answer
    bound = dual_bound(relaxed.model, answer.row_duals) if answer.found else None
    anyway = _anyway(problem)
    if bound is None:
        return anyway
    if problem.mode is Mode.MIN_COST:
        return max(float(bound) * formulation.unit, anyway)
    return min(-float(bound) * formulation.unit, anyway)


def uncertified_bound(problem: Problem, _: Formulation, __: Relaxed) -> float:
    """What holds of any problem: where nothing is to be proven beyond what the search did."""
    return _anyway(problem)


def _anyway(problem: Problem) -> float:
    return 0.0 if problem.mode is Mode.MIN_COST else problem.requests_per_second * BEYOND_ANY


def proves_nothing(problem: Problem, bound: float) -> bool:
    """Whether a bound is the one that holds for anything: of the largest rate it is a number that means nothing."""
    return problem.mode is Mode.MAX_THROUGHPUT and bound >= 0.99 * _anyway(problem)
