"""Periods searched one at a time: the bound holds, the answer is one, and they meet where the whole model's do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hetops.domain import codec
from hetops.solver import by_period, highs
from hetops.solver.certify import certify
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.highs import OnInterrupt
from hetops.solver.patience import Patience
from hetops.solver.problem import Problem
from hetops.solver.solve import read_answer
from hetops.solver.start import Searched, relax
from hetops.solver.terms import Billing, Loss, Period, Trait
from tests.solver.problems import column, demands, offer


def day(*, periods: int = 18, boot_seconds: float = 600.0, **terms: object) -> Problem:
    """Two classes that swing over a day, on twelve offers of unlike strengths."""
    ids = [f"o{i}" for i in range(12)]
    problem = Problem(
        offers=tuple(
            replace(offer(o, f"{1 + 0.17 * i:.2f}", 6), zone="ab"[i % 2]) for i, o in enumerate(ids)
        ),
        configurations=("tp1",),
        classes=demands(x=4.0, y=3.0),
        columns=tuple(
            replace(column(o, x=1 + 0.31 * i, y=2.2 - 0.11 * i), boot_seconds=boot_seconds)
            for i, o in enumerate(ids)
        ),
        periods=tuple(
            Period(
                name=f"h{h:02}",
                hours=24 / periods,
                requests_per_second={"x": 4 + 2 * math.sin(h), "y": 3 + math.cos(2 * h)},
            )
            for h in range(periods)
        ),
        gap=5e-2,
    )
    return replace(problem, **terms)  # type: ignore[arg-type]


def searched(formulation: Formulation, gap: float = 5e-2) -> highs.Answer:
    """Within half a minute."""
    return by_period.search(formulation, gap=gap, limit_seconds=30.0, on_interrupt=OnInterrupt.CANCEL)


@pytest.mark.parametrize("losses", [(), (Loss(id="zone", trait=Trait.ZONE, kept_share=0.5),)])
def test_a_day_is_answered_within_its_gap_and_certified(losses: tuple[Loss, ...]) -> None:
    problem = day(losses=losses)
    formulation = formulate(problem)
    assert by_period.separable(formulation)
    answer = searched(formulation)
    assert answer.objective - answer.bound <= 5e-2 * answer.objective
    relaxed = relax(formulation, Patience.of(30.0))
    found = Searched(formulation=formulation, relaxed=relaxed, answer=answer)
    solution = read_answer(problem, codec.digest(problem), found)
    assert certify(problem, solution) == ()
    assert {pool.least_nodes for pool in solution.pools} != {None}


def test_bound_and_answer_lie_on_either_side_of_the_whole_models_optimum() -> None:
    formulation = formulate(day(periods=2, boot_seconds=3600.0))
    whole = highs.run(formulation.model)
    answer = searched(formulation, gap=1e-3)
    assert answer.bound <= whole.objective * (1 + 1e-6)
    assert answer.objective >= whole.objective * (1 - 1e-6)
    assert answer.objective == pytest.approx(whole.objective, rel=2e-3)


def test_what_ties_periods_together_otherwise_is_searched_as_a_whole() -> None:
    reserved = tuple(replace(o, billing=Billing.RESERVED) for o in day().offers)
    for problem in (day(offers=reserved), day(max_pools=3), day(periods=1)):
        assert not by_period.separable(formulate(problem))


def test_no_time_is_not_taken_for_an_answer() -> None:
    answer = by_period.search(formulate(day()), gap=1e-3, limit_seconds=0.0, on_interrupt=OnInterrupt.CANCEL)
    assert answer.status is highs.Status.NOTHING_FOUND
