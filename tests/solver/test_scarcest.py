"""The largest rate of a day, found period by period: what the model as a whole says, within every period's budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from hetops.domain import codec
from hetops.solver import highs
from hetops.solver.certify import certify
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.patience import Patience
from hetops.solver.periods.scarcest import search, shares_the_rate_alone
from hetops.solver.problem import Mode, Problem
from hetops.solver.search import start
from hetops.solver.search.start import Searched
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import read_answer, solve
from hetops.solver.terms import Loss, Period, Service, ShareLimit, Trait
from tests.solver.problems import column, demands, offer
from tests.solver.test_by_period import batch, day, reserved

ZONE = ShareLimit(id="zone", trait=Trait.ZONE, values=("a",), at_most=0.4, classes=("y",))
API = Service(id="api", usd_per_request={"x": Decimal("0.0004")}, max_requests_per_second=3.0)


def fastest(problem: Problem, usd: str = "7") -> Problem:
    """Its largest rate for so much in each period."""
    return replace(problem, mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal(usd))


def searched(formulation: Formulation, *, gap: float, seconds: float = 30.0) -> Searched:
    """Period by period."""
    patience = Patience.of(seconds)
    answer = search(formulation, gap=gap, patience=patience)
    return Searched(formulation=formulation, relaxed=start.relax(formulation, patience), answer=answer)


TIED: dict[str, dict[str, object]] = {
    "nothing": {},
    "a loss": {"losses": (Loss(id="zone", trait=Trait.ZONE, kept_share=0.5),)},
    "a limit on shares": {"share_limits": (ZONE,)},
    "a service": {"services": (API,)},
}


@pytest.mark.parametrize("terms", TIED.values(), ids=TIED)
@pytest.mark.parametrize(("gap", "seconds"), [(0.0, 30.0), (0.05, 0.0)], ids=["proven", "in no time"])
def test_the_rate_is_the_whole_models_and_bound_and_answer_lie_on_either_side_of_it(
    terms: dict[str, object], gap: float, seconds: float
) -> None:
    problem = fastest(day(periods=3, gap=gap, **terms))
    formulation = formulate(problem)
    assert shares_the_rate_alone(formulation)
    found = searched(formulation, gap=gap, seconds=seconds)
    most = -highs.run(formulation.model).objective
    assert -found.answer.objective <= most * (1 + 1e-6) <= -found.answer.bound * (1 + 2e-6)
    if gap == 0.0:
        assert -found.answer.objective == pytest.approx(most, rel=1e-5)
    assert certify(problem, read_answer(problem, codec.digest(problem), found)) == ()


def test_every_hour_of_a_day_is_within_the_gap_and_no_fleet_is_dearer_than_it_must_be() -> None:
    problem = fastest(day(gap=1e-3), "9")
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    assert certify(problem, outcome) == ()
    assert outcome.within_gap
    assert min(p.usd_per_hour for p in outcome.periods) < max(p.usd_per_hour for p in outcome.periods) <= 9


def test_a_period_that_can_serve_nothing_rules_out_any_rate() -> None:
    """By day either class takes a node of its own, and only one is within the budget."""
    problem = Problem(
        offers=(offer("o0", "1", 6), offer("o1", "1", 6)),
        configurations=("tp1",),
        classes=demands(x=1.0, y=1.0),
        columns=(column("o0", x=1.0), column("o1", y=1.0)),
        periods=(
            Period(name="day", hours=12.0),
            Period(name="night", hours=12.0, requests_per_second={"y": 0.0}),
        ),
    )
    assert isinstance(solve(fastest(problem, "1.5")), Infeasible)
    assert isinstance(solve(fastest(problem, "2")), Solution)


def test_where_nothing_arrives_any_rate_is_served() -> None:
    problem = fastest(day(periods=3, gap=0.0))
    asleep = Period(name="night", hours=8.0, requests_per_second={"x": 0.0, "y": 0.0})
    with_night = replace(problem, periods=(*problem.periods[:2], asleep))
    without = replace(problem, periods=problem.periods[:2])
    found, alone = solve(with_night), solve(without)
    assert isinstance(found, Solution)
    assert isinstance(alone, Solution)
    assert found.periods[2].pools == ()
    assert found.objective / with_night.requests_per_second == pytest.approx(
        alone.objective / without.requests_per_second
    )


def test_a_service_alone_serves_a_day_that_ends_asleep() -> None:
    """Its last period has no variable at all."""
    service = Service(id="api", usd_per_request={"x": Decimal("0.001")}, max_requests_per_second=3.0)
    periods = (Period(name="day", hours=12.0), Period(name="night", hours=12.0, requests_per_second={"x": 0}))
    problem = Problem(
        offers=(), configurations=(), classes=demands(x=2.0), columns=(), services=(service,), periods=periods
    )
    found = solve(fastest(problem, "7.2"))
    assert isinstance(found, Solution)
    assert found.objective == pytest.approx(2.0 / 2)
    assert [p.requests_per_second for p in found.periods] == pytest.approx([2.0, 0.0])


def test_a_class_that_stock_leaves_no_node_for_lets_no_rate_be_served() -> None:
    problem = fastest(day(periods=2))
    sold_out = replace(
        problem,
        classes=(*problem.classes, *demands(z=1.0)),
        offers=(*problem.offers, offer("none", "1", 0)),
        columns=(*problem.columns, column("none", problem.configurations[0], z=1.0)),
    )
    assert isinstance(solve(sold_out), Infeasible)


@pytest.mark.parametrize(
    "posed",
    [
        day,
        lambda: fastest(day(periods=1)),
        lambda: fastest(reserved()),
        lambda: fastest(batch()),
        lambda: fastest(day(max_pools=3)),
        lambda: fastest(day(mean_budget_usd_per_hour=Decimal(9))),
        lambda: fastest(replace(day(), offers=tuple(replace(o, max_added_nodes=1) for o in day().offers))),
    ],
    ids=["least cost", "one period", "reserved", "batch", "pools", "mean budget", "ramps"],
)
def test_periods_that_anything_else_ties_are_searched_otherwise(posed: Callable[[], Problem]) -> None:
    assert not shares_the_rate_alone(formulate(posed()))
