"""The solver against brute force, against the paper's toy, and against what must hold between problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hetops.domain import codec
from hetops.solver.certify import certify
from hetops.solver.problem import Demand, Mode, Problem, QuotaGroup
from hetops.solver.solution import Ended, Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Service
from tests.solver import oracle
from tests.solver.problems import TOY, column, demands, hard, offer, small, tiny

some = settings(max_examples=60, deadline=None)


def cost(problem: Problem) -> Decimal:
    """Cost of the solution; infinite where there is none."""
    outcome = solve(problem)
    return outcome.usd_per_hour if isinstance(outcome, Solution) else Decimal("Infinity")


def solved(problem: Problem) -> Solution:
    """The solution, which must exist."""
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    return outcome


def test_the_toy_of_the_paper_takes_28_4314_seconds() -> None:
    solution = solved(TOY)
    assert 100 / solution.requests_per_second == pytest.approx(28.4314, abs=5e-5)
    shares = {(s.workload_class, s.offer): s.share for s in solution.shares}
    assert shares["w1", "t1"] == pytest.approx(0.1471, abs=5e-5)
    assert shares["w2", "t1"] == 1.0
    assert solution.gap == 0.0
    assert solution.usd_per_hour == 8


def test_a_mixed_fleet_is_chosen_where_it_is_cheapest() -> None:
    solution = solved(small())
    assert solution.nodes == {("cheap", "tp1"): 1, ("fast", "tp1"): 1}
    assert solution.usd_per_hour == 5
    assert solution.usd_per_month == 3650
    assert solution.bound == solution.objective == 5.0


@some
@given(tiny())
def test_least_cost_is_what_brute_force_finds(problem: Problem) -> None:
    assert cost(problem) == (oracle.cheapest(problem) or Decimal("Infinity"))


@some
@given(tiny(mode=Mode.MAX_THROUGHPUT))
def test_largest_throughput_is_what_brute_force_finds(problem: Problem) -> None:
    outcome = solve(problem)
    reached = outcome.requests_per_second if isinstance(outcome, Solution) else 0.0
    times = Fraction(reached) / Fraction(problem.requests_per_second)
    nothing = Fraction(1, 1000)
    assert oracle.some_fleet_serves(problem, times * Fraction(999_999, 1_000_000))
    assert not oracle.some_fleet_serves(problem, max(times, nothing) * Fraction(1_000_001, 1_000_000))


@some
@given(tiny())
def test_every_solution_is_certified_and_lies_above_the_bound_of_exact_arithmetic(problem: Problem) -> None:
    outcome = solve(problem)
    assume(isinstance(outcome, Solution))
    assert isinstance(outcome, Solution)
    assert certify(problem, outcome) == ()
    assert outcome.certified_bound <= outcome.objective * (1 + 1e-12)


@some
@given(tiny(), st.sampled_from(["stock", "budget", "offer", "headroom", "pools", "quota"]))
def test_cost_never_rises_when_a_limit_is_widened_or_an_offer_is_added(problem: Problem, what: str) -> None:
    wider: dict[str, Callable[[], Problem]] = {
        "stock": lambda: replace(problem, offers=tuple(replace(o, max_nodes=3) for o in problem.offers)),
        "budget": lambda: replace(problem, budget_usd_per_hour=None, provider_budgets_usd_per_hour={}),
        "offer": lambda: replace(
            problem,
            offers=(*problem.offers, offer("new", "1.5", 1)),
            columns=(*problem.columns, column("new", "a", x=1.0, y=1.0)),
        ),
        "headroom": lambda: replace(problem, headroom=0.0),
        "pools": lambda: replace(problem, max_pools=None),
        "quota": lambda: replace(
            problem, quota_groups=tuple(replace(g, limit=g.limit + 5) for g in problem.quota_groups)
        ),
    }
    assert cost(wider[what]()) <= cost(problem)


@some
@given(tiny(), st.sampled_from(["0.01", "3", "1000"]))
def test_cost_scales_with_prices(problem: Problem, factor: str) -> None:
    times = Decimal(factor)
    budget = problem.budget_usd_per_hour
    dearer = replace(
        problem,
        offers=tuple(replace(o, usd_per_hour=o.usd_per_hour * times) for o in problem.offers),
        budget_usd_per_hour=None if budget is None else budget * times,
        provider_budgets_usd_per_hour={
            p: usd * times for p, usd in problem.provider_budgets_usd_per_hour.items()
        },
        usd_per_pool_hour=problem.usd_per_pool_hour * times,
    )
    assert cost(dearer) == cost(problem) * times


@some
@given(tiny())
def test_splitting_a_class_changes_nothing(problem: Problem) -> None:
    first = problem.classes[0]
    half = first.requests_per_second / 2
    split = replace(
        problem,
        classes=(
            Demand(name="x1", requests_per_second=half),
            Demand(name="x2", requests_per_second=half),
            *problem.classes[1:],
        ),
        columns=tuple(
            column(c.offer, c.configuration, x1=c.rate("x"), x2=c.rate("x"), y=c.rate("y"))
            for c in problem.columns
        ),
    )
    assert cost(split) == cost(problem)


@some
@given(tiny(), st.randoms(use_true_random=False))
def test_the_order_in_which_a_problem_is_written_does_not_change_the_answer(
    problem: Problem, random: object
) -> None:
    def shuffled(values: tuple[object, ...]) -> tuple[object, ...]:
        copy = list(values)
        random.shuffle(copy)  # type: ignore[attr-defined]
        return tuple(copy)

    other = replace(
        problem,
        offers=shuffled(problem.offers),
        columns=shuffled(problem.columns),
        classes=shuffled(problem.classes),
    )
    assert _fleet(solve(other)) == _fleet(solve(problem))


def _fleet(outcome: Solution | Infeasible) -> object:
    return (outcome.pools, outcome.shares) if isinstance(outcome, Solution) else None


def test_of_equal_cost_the_fleet_with_fewest_pools_is_taken() -> None:
    """Two nodes of `a` alone suffice; so do one of `a` and one of `b` at the same price."""
    problem = Problem(
        offers=(offer("o", "1", 4),),
        configurations=("a", "b"),
        classes=demands(x=1.0, y=1.0),
        columns=(column("o", "a", x=1.0, y=1.0), column("o", "b", x=1.5, y=0.9)),
        gap=0.0,
    )
    assert solved(problem).nodes == {("o", "a"): 2}


def test_no_node_is_rented_that_adds_nothing_when_throughput_is_what_counts() -> None:
    problem = small(mode=Mode.MAX_THROUGHPUT, budget_usd_per_hour=Decimal(100))
    idle = replace(
        problem,
        columns=(*problem.columns[:1], column("fast", chat=0.0, code=4.0)),
        classes=demands(chat=1.0, code=0.0),
    )
    solution = solved(idle)
    assert solution.requests_per_second == pytest.approx(6.0)
    assert solution.nodes == {("cheap", "tp1"): 3}


@pytest.mark.parametrize("services", [(), (Service(id="s", usd_per_request={"y": Decimal(1)}),)])
def test_beyond_the_limit_that_binds_the_largest_rate_is_had_at_least_cost(
    services: tuple[Service, ...],
) -> None:
    """`x` runs on the one node of `a` alone; its share of `y` runs on any of the others, and cheapest on `c`."""
    problem = Problem(
        mode=Mode.MAX_THROUGHPUT,
        offers=(offer("a", "1", 1), offer("b", "20", 5), offer("c", "2", 5), offer("d", "20", 5)),
        configurations=("k",),
        classes=demands(x=1.0, y=1.0),
        columns=(
            column("a", "k", x=1.0),
            column("b", "k", y=2.0),
            column("c", "k", y=2.0),
            column("d", "k", y=3.0),
        ),
        services=services,
        gap=0.0,
    )
    solution = solved(problem)
    assert solution.requests_per_second == pytest.approx(2.0)
    assert solution.nodes == {("a", "k"): 1, ("c", "k"): 1}
    assert solution.usd_per_hour == 3


def test_unknown_stock_is_assumed_finite_and_the_solution_says_so() -> None:
    problem = small(offers=(offer("cheap", "1", None), offer("fast", "4", 3)), assumed_max_nodes=2)
    assert solved(problem).assumed_offers == ("cheap",)
    only_cheap = replace(problem, columns=problem.columns[:1])
    assert isinstance(solve(only_cheap), Infeasible)


def test_a_class_that_nothing_can_serve_is_named() -> None:
    problem = small(columns=(column("cheap", chat=2.0), column("fast", chat=2.0)))
    outcome = solve(problem)
    assert isinstance(outcome, Infeasible)
    assert outcome.unservable == ("code",)


def test_a_rate_that_serves_nothing_to_speak_of_is_none() -> None:
    slow = column("cheap", chat=1e-20, code=0.5)
    solution = solved(small(columns=(slow, column("fast", chat=2.0, code=4.0))))
    assert {s.offer for s in solution.shares if s.workload_class == "chat"} == {"fast"}
    outcome = solve(small(columns=(slow, column("fast", code=4.0))))
    assert isinstance(outcome, Infeasible)
    assert outcome.unservable == ("chat",)
    faint = small(columns=(slow, column("fast", chat=1e-20, code=4.0)), mode=Mode.MAX_THROUGHPUT)
    assert solved(faint).requests_per_second < 1e-18


def test_a_class_without_demand_gets_no_shares_and_costs_nothing() -> None:
    solution = solved(small(classes=demands(chat=2.0, code=0.0)))
    assert {s.workload_class for s in solution.shares} == {"chat"}
    assert solution.usd_per_hour == 1


def test_a_budget_of_zero_is_infeasible() -> None:
    assert isinstance(solve(small(budget_usd_per_hour=Decimal(0))), Infeasible)


def test_a_budget_that_the_fleet_costs_to_the_last_digit_is_kept() -> None:
    exact = small(offers=(offer("cheap", "0.1234567", 3), offer("fast", "0.7", 3)))
    needed = solved(exact).usd_per_hour
    assert solved(replace(exact, budget_usd_per_hour=needed + Decimal("0.000002"))).usd_per_hour == needed
    assert isinstance(solve(replace(exact, budget_usd_per_hour=needed - Decimal("0.000001"))), Infeasible)


def test_shares_survive_json_and_add_up_to_exactly_one() -> None:
    solution = codec.decode(Solution, codec.encode(solved(TOY)), source="test")
    assert certify(TOY, solution) == ()
    total = sum(Decimal(repr(s.share)) for s in solution.shares if s.workload_class == "w1")
    assert total == 1


@pytest.mark.parametrize("mode", Mode)
def test_a_search_without_time_still_has_a_fleet_and_its_gap(mode: Mode) -> None:
    problem = replace(hard(offers=40, configurations=2), mode=mode)
    solution = solve(problem, limit_seconds=0.0)
    assert isinstance(solution, Solution)
    assert certify(problem, solution) == ()
    assert (solution.ended, solution.within_gap) == (Ended.TIME, False)
    assert 0 < solution.gap < 0.5


def test_a_search_without_time_has_a_fleet_even_where_the_relaxations_columns_hold_none() -> None:
    """The relaxation splits the one node that the quota allows between `a` and `b`; only `c` serves both classes."""
    problem = Problem(
        offers=(offer("a", "1", q="1"), offer("b", "1", q="1"), offer("c", "9")),
        quota_groups=(QuotaGroup(id="q", limit=Decimal(1)),),
        configurations=("k",),
        classes=demands(x=0.5, y=0.5),
        columns=(column("a", "k", x=1.0), column("b", "k", y=1.0), column("c", "k", x=2.0, y=2.0)),
    )
    solution = solve(problem, limit_seconds=0.0)
    assert isinstance(solution, Solution)
    assert solution.nodes == {("c", "k"): 1}


def test_prices_finer_than_the_solvers_steps_stay_exact() -> None:
    problem = small(offers=(offer("cheap", "0.123456789", 3), offer("fast", "0.1000000004", 3)))
    solution = solved(problem)
    assert solution.usd_per_hour == sum(problem.offer(p.offer).usd_per_hour * p.nodes for p in solution.pools)
    assert solution.nodes == {("fast", "tp1"): 2}
    assert solution.within_gap
