"""Periods searched one at a time: the bound holds, the answer is one, and they meet where the whole model's do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from hetops.domain import codec
from hetops.solver import highs
from hetops.solver.certify import certify
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.frame import Block
from hetops.solver.matrix import Floats
from hetops.solver.patience import Patience
from hetops.solver.periods import by_period
from hetops.solver.periods.apart import windows_of
from hetops.solver.periods.known import Known
from hetops.solver.problem import Problem, QuotaGroup
from hetops.solver.search import start
from hetops.solver.search.start import Searched
from hetops.solver.solve import read_answer
from hetops.solver.terms import Billing, Loss, Period, ShareLimit, Trait
from tests.solver.problems import column, demands, offer
from tests.solver.test_fleets import promise


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


def searched(
    formulation: Formulation, *, gap: float = 5e-2, seconds: float = 30.0, known: Known | None = None
) -> tuple[Searched, Known]:
    """Beginning with nothing but what is known."""
    relaxed = start.relax(formulation, Patience.of(30.0))
    answer, now_known = by_period.search(
        formulation, relaxed, known or Known(), gap=gap, patience=Patience.of(seconds)
    )
    return Searched(formulation=formulation, relaxed=relaxed, answer=answer), now_known


@pytest.mark.parametrize("losses", [(), (Loss(id="zone", trait=Trait.ZONE, kept_share=0.5),)])
def test_a_day_is_answered_within_its_gap_and_certified(losses: tuple[Loss, ...]) -> None:
    problem = day(losses=losses)
    formulation = formulate(problem)
    assert by_period.separable(formulation)
    found, _ = searched(formulation)
    assert found.answer.objective - found.answer.bound <= 5e-2 * found.answer.objective
    solution = read_answer(problem, codec.digest(problem), found)
    assert certify(problem, solution) == ()
    assert {pool.least_nodes for pool in solution.pools} != {None}


def test_that_no_fleets_of_the_periods_go_together_is_found_out_by_all_of_them_at_once() -> None:
    """Two nodes are needed in either period; parts of nodes would be within the mean budget."""
    problem = Problem(
        offers=(offer("o0", "1", 6),),
        configurations=("tp1",),
        classes=demands(x=1.5),
        columns=(column("o0", x=1.0),),
        periods=(Period(name="day", hours=12.0), Period(name="night", hours=12.0)),
        mean_budget_usd_per_hour=Decimal("1.9"),
    )
    found, _ = searched(formulate(problem))
    assert found.relaxed.answer.found
    assert found.answer.status is highs.Status.INFEASIBLE


@pytest.mark.parametrize("periods", [2, 3])
def test_bound_and_answer_lie_on_either_side_of_the_whole_models_optimum(periods: int) -> None:
    formulation = formulate(day(periods=periods, boot_seconds=3600.0))
    whole = highs.run(formulation.model)
    found, _ = searched(formulation, gap=1e-4)
    assert found.answer.bound <= whole.objective * (1 + 1e-6)
    assert found.answer.objective >= whole.objective * (1 - 1e-6)
    assert found.answer.objective == pytest.approx(whole.objective, rel=1e-4)


def test_prices_by_number_prove_what_one_price_for_all_starts_cannot() -> None:
    formulation = formulate(day(periods=4, boot_seconds=5400.0))
    whole = highs.run(formulation.model, gap=1e-5)
    found, known = searched(formulation, gap=1e-4)
    assert isinstance(known, by_period.Went)
    assert known.reached.numbered is not None
    assert known.reached.priced < found.answer.bound * (1 - 1e-3)
    assert found.answer.bound <= whole.objective * (1 + 1e-6)
    assert found.answer.bound >= whole.bound * (1 - 1e-4)


def reserved(**terms: object) -> Problem:
    """A day in which every third offer is paid for all day, at half its price."""
    problem = day(**terms)
    offers = tuple(
        replace(o, billing=Billing.RESERVED, usd_per_hour=o.usd_per_hour / 2) if i % 3 == 0 else o
        for i, o in enumerate(problem.offers)
    )
    return replace(problem, offers=offers)


def batch(**terms: object) -> Problem:
    """A day in which one class may wait for hours."""
    problem = day(**terms)
    return replace(problem, classes=(problem.classes[0], replace(problem.classes[1], deadline_hours=8.0)))


def late(**terms: object) -> Problem:
    """A day with both, and a part of the batch work that goes to one zone over the whole of it."""
    problem = reserved(**terms)
    at_most = ShareLimit(id="zone", trait=Trait.ZONE, values=("a",), at_most=0.4, classes=("y",))
    return replace(problem, classes=batch(**terms).classes, share_limits=(at_most,))


def ramped(**terms: object) -> Problem:
    """A day in which an offer has at most one node more, or less, than in the period before."""
    problem = day(**terms)
    held = tuple(replace(o, max_added_nodes=1, max_removed_nodes=1) for o in problem.offers)
    return replace(problem, offers=held)


@pytest.mark.parametrize("posed", [reserved, batch, late, ramped])
@pytest.mark.parametrize("periods", [2, 3])
def test_what_ties_periods_otherwise_is_priced_too_and_its_bound_is_below_the_whole_models_optimum(
    posed: Callable[..., Problem], periods: int
) -> None:
    problem = posed(periods=periods, boot_seconds=3600.0)
    formulation = formulate(problem)
    whole = highs.run(formulation.model)
    found, _ = searched(formulation, gap=1e-2, seconds=3.0)
    assert found.answer.bound <= whole.objective * (1 + 1e-6)
    assert found.answer.objective >= whole.objective * (1 - 1e-6)
    assert found.answer.objective == pytest.approx(whole.objective, rel=0.15)
    assert certify(problem, read_answer(problem, codec.digest(problem), found)) == ()


@pytest.mark.parametrize("posed", [batch, late])
def test_a_day_that_more_than_starts_tie_is_answered_and_certified(posed: Callable[..., Problem]) -> None:
    problem = posed()
    formulation = formulate(problem)
    assert by_period.separable(formulation)
    found, _ = searched(formulation, seconds=10.0)
    assert found.relaxed.bound <= found.answer.bound <= found.answer.objective
    assert found.answer.objective - found.answer.bound <= 0.25 * found.answer.objective
    assert certify(problem, read_answer(problem, codec.digest(problem), found)) == ()


def test_one_period_is_not_taken_apart() -> None:
    assert not by_period.separable(formulate(day(periods=1)))


def test_without_time_there_is_still_an_answer_and_the_relaxations_bound() -> None:
    formulation = formulate(day())
    found, _ = searched(formulation, gap=1e-3, seconds=0.0)
    assert found.answer.status is highs.Status.TIME_LIMIT
    assert found.relaxed.bound == found.answer.bound < found.answer.objective


def test_a_day_that_one_period_of_cannot_be_served_has_no_answer() -> None:
    few = tuple(replace(o, max_nodes=1) for o in day().offers)
    none, _ = searched(formulate(day(offers=few[:2], columns=day().columns[:2])))
    assert none.answer.status is highs.Status.INFEASIBLE


@pytest.mark.parametrize("of_the_same", [True, False])
@pytest.mark.parametrize("posed", [day, late])
def test_what_one_search_told_is_where_the_next_begins(
    posed: Callable[..., Problem], of_the_same: bool
) -> None:
    formulation = formulate(posed())
    first, known = searched(formulation, seconds=2.0)
    again, _ = searched(
        formulation if of_the_same else formulate(posed()), gap=1e-4, seconds=0.0, known=known
    )
    assert again.answer.objective <= first.answer.objective * (1 + 1e-9)
    assert again.answer.bound == pytest.approx(first.answer.bound)


def test_fleets_of_more_nodes_than_an_offer_has_go_on_to_its_equals() -> None:
    """Told of two offers as one, the search of both begins with fleets of both."""
    problem = day()
    most = tuple(replace(o, max_nodes=60) for o in problem.offers)
    twins = tuple(replace(o, id=f"{o.id}-twin", usd_per_hour=o.usd_per_hour + 1) for o in most)
    columns = tuple(replace(c, offer=f"{c.offer}-twin") for c in problem.columns)
    _, known = searched(formulate(replace(problem, offers=most)))
    scarce = tuple(replace(o, max_nodes=1) for o in most)
    both = replace(problem, offers=(*scarce, *twins), columns=(*problem.columns, *columns))
    found, _ = searched(formulate(both), seconds=0.0, known=known)
    solution = read_answer(both, codec.digest(both), found)
    assert certify(both, solution) == ()
    assert {c.configuration for c in columns} == {p.configuration for p in solution.pools}
    assert {p.offer for p in solution.pools} & {t.id for t in twins}
    assert found.answer.bound >= known.usd_per_hour / found.formulation.unit * (1 - 1e-9)


def test_offers_that_only_prices_tell_apart_are_searched_in_lines_to_the_same_optimum() -> None:
    problem = day(periods=2, boot_seconds=3600.0)
    twins = tuple(
        replace(o, id=f"{o.id}-twin", usd_per_hour=o.usd_per_hour + Decimal("0.01"), max_nodes=2)
        for o in problem.offers
    )
    columns = tuple(replace(c, offer=f"{c.offer}-twin") for c in problem.columns)
    scarce = tuple(replace(o, max_nodes=1) for o in problem.offers)
    formulation = formulate(replace(problem, offers=(*scarce, *twins), columns=(*problem.columns, *columns)))
    whole = highs.run(formulation.model, gap=1e-4)
    found, _ = searched(formulation, gap=1e-3)
    assert whole.bound * (1 - 1e-6) <= found.answer.objective <= whole.objective * (1 + 1e-3)
    assert found.answer.bound <= whole.objective * (1 + 1e-6)


def shared() -> Problem:
    """A day with each offer at two providers, whose quotas hold nodes of few kinds without a rest."""
    problem = day(periods=2, boot_seconds=3600.0)
    offers = tuple(
        replace(o, id=f"{o.id}-{p}", provider=p, quota_per_node={p: Decimal(3 + 2 * (i % 3))})
        for i, o in enumerate(problem.offers[::2])
        for p in "ab"
    )
    columns = tuple(replace(c, offer=f"{c.offer}-{p}") for c in problem.columns[::2] for p in "ab")
    groups = tuple(QuotaGroup(id=p, limit=Decimal(8)) for p in "ab")
    return replace(problem, offers=offers, columns=columns, quota_groups=groups)


def tight() -> Problem:
    """With little money for each provider instead."""
    problem = shared()
    offers = tuple(replace(o, quota_per_node={}) for o in problem.offers)
    budgets = dict.fromkeys("ab", Decimal("2.9"))
    return replace(problem, offers=offers, quota_groups=(), provider_budgets_usd_per_hour=budgets)


@pytest.mark.parametrize("posed", [shared, tight])
def test_nodes_that_fill_unlike_limits_make_no_line_and_windows_prove_what_their_best_fleets_cost(
    posed: Callable[..., Problem],
) -> None:
    """A whole sum of two halves would be within both limits, which no two fleets are."""
    formulation = formulate(posed())
    whole = highs.run(formulation.model)
    found, known = searched(formulation, gap=1e-9)
    assert found.answer.objective == pytest.approx(whole.objective, rel=1e-9)
    assert found.answer.bound <= whole.objective * (1 + 1e-9)
    assert isinstance(known, by_period.Went)
    reached = known.reached
    assert reached.bounds == pytest.approx(promise(reached.fleets, reached.prices), rel=1e-6)


def test_what_can_be_but_one_number_ties_no_periods() -> None:
    """With so many lots reserved as may be, the day is tied by starts alone, and proven like one."""
    formulation = formulate(reserved(periods=3, boot_seconds=3600.0))
    model, frame = formulation.model, formulation.frame
    lots = slice(frame.first[Block.RENTED], frame.first[Block.RENTED] + frame.sizes[Block.RENTED])
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[lots] = upper[lots] = 1.0
    given = replace(formulation, model=replace(model, lower=lower, upper=upper))
    assert not windows_of(formulation).tied_by_starts_alone
    assert windows_of(given).tied_by_starts_alone
    found, _ = searched(given, gap=1e-4)
    whole = highs.run(given.model)
    assert found.answer.bound <= whole.objective * (1 + 1e-6)
    assert found.answer.objective == pytest.approx(whole.objective, rel=1e-4)


def test_what_reserved_lots_cost_beyond_their_prices_is_spread_over_the_periods_and_proves_no_less() -> None:
    formulation = formulate(reserved(periods=3, boot_seconds=3600.0))
    windows = windows_of(formulation)
    whole, fleets = highs.run(formulation.model), windows.no_fleets

    def proven(prices: Floats) -> float:
        costs = windows.costs(prices)
        parts = (
            replace(own, cost=costs[members])
            for own, members in zip(windows.parts, windows.members, strict=True)
        )
        return fleets.loose.least(prices[fleets.others], 9.0) + sum(highs.run(own).objective for own in parts)

    nothing = np.zeros(len(windows.ties.rows))
    spread = windows.spread(nothing)
    assert proven(nothing) < proven(spread) <= whole.objective * (1 + 1e-6)
    assert (spread <= nothing).all()
    assert windows.spread(spread) == pytest.approx(spread)
    committed = formulate(
        replace(
            reserved(periods=3),
            offers=(replace(reserved().offers[0], committed_nodes=1), *reserved().offers[1:]),
        )
    )
    priced = windows_of(committed).spread(nothing)
    subjects = [committed.model.subjects[row] for row in windows_of(committed).ties.rows]
    assert all(p == 0 for p, s in zip(priced, subjects, strict=True) if s[:2] == ("rented", "o0"))  # type: ignore[index]
