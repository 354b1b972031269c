"""Fleets with terms are as tidy and as even as those without: fewest pools for the money, none fuller than it must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from hetops.domain.offer import Trait
from hetops.solver import solve as solving
from hetops.solver.problem import Mode, Problem
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Loss, Period, Service, ShareLimit
from tests.solver.problems import column, demands, offer
from tests.solver.varied import varied

DEAR = Service(id="s", usd_per_request={"x": Decimal(9), "y": Decimal(9)})


def alike(seed: int) -> Problem:
    """Offers at one price, of which many fleets cost the same."""
    dice = Random(seed)
    offers = tuple(replace(offer(f"o{i}", "1", 4), zone=f"z{i % 2}") for i in range(4))
    columns = tuple(
        column(of.id, k, x=dice.choice((1.0, 1.5, 2.0)), y=dice.choice((0.9, 1.0, 2.0)))
        for of in offers
        for k in "ab"
    )
    rates = {"x": dice.choice((1.0, 2.0, 3.1)), "y": dice.choice((1.0, 2.2))}
    return Problem(
        offers=offers, configurations=("a", "b"), classes=demands(**rates), columns=columns, gap=0.0
    )


TERMS: Mapping[str, Callable[[Problem], Problem]] = {
    "services": lambda p: replace(p, services=(DEAR,)),
    "shares": lambda p: replace(p, share_limits=(ShareLimit(id="l", trait=Trait.ZONE, at_most=0.75),)),
    "losses": lambda p: replace(p, losses=(Loss(id="l", trait=Trait.ZONE, kept_share=0.5),)),
    "periods": lambda p: replace(
        p,
        periods=(
            Period(name="day", hours=12.0, requests_per_second={"x": 3.0}),
            Period(name="night", hours=12.0, requests_per_second={"x": 0.5}),
        ),
    ),
}


def pools(solution: object) -> int:
    """Columns that are used at all."""
    assert isinstance(solution, Solution)
    return len({pool.key for stretch in solution.stretches for pool in stretch.pools})


def untidied(problem: Problem) -> object:
    """The answer as the search leaves it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solving, "tidied", lambda searched, _: searched)
        return solve(problem)


@pytest.mark.parametrize("terms", TERMS)
def test_of_equal_cost_the_fleet_with_fewest_pools_is_taken(terms: str) -> None:
    fewer = 0
    for seed in range(4):
        problem = TERMS[terms](alike(seed))
        tidy, before = solve(problem), untidied(problem)
        assert isinstance(tidy, Solution)
        assert isinstance(before, Solution)
        assert tidy.usd_per_hour == before.usd_per_hour
        fewer += pools(tidy) < pools(before)
        few = solve(replace(problem, max_pools=pools(tidy)))
        assert isinstance(few, Solution)
        assert few.usd_per_hour == tidy.usd_per_hour
    assert fewer


def test_tidying_costs_nothing_whatever_the_terms() -> None:
    for seed in range(0, 16, 2):
        problem = varied(seed)
        tidy, before = solve(problem), untidied(problem)
        if isinstance(before, Solution) and not problem.plain:
            assert isinstance(tidy, Solution)
            assert tidy.objective == pytest.approx(before.objective, rel=1e-6)
            assert pools(tidy) <= pools(before)
            if problem.mode is Mode.MAX_THROUGHPUT:
                assert float(tidy.usd_per_hour) <= float(before.usd_per_hour) * (1 + 1e-6)


@pytest.mark.parametrize("services", [(), (Service(id="s", usd_per_request={"y": Decimal(9)}),)])
@pytest.mark.parametrize("mode", Mode)
def test_the_next_fullest_pool_is_as_empty_as_can_be_too(mode: Mode, services: tuple[Service, ...]) -> None:
    """`x` fills `a`, whatever is done; `y` needs two of the three others, which share it evenly, and no service."""
    problem = Problem(
        mode=mode,
        offers=(*(offer(o, "1", 1) for o in "abc"), offer("d", "9", 1)),
        configurations=("k",),
        classes=demands(x=1.0, y=1.2),
        columns=(column("a", "k", x=1.0), *(column(o, "k", y=1.0) for o in "bcd")),
        services=services,
        gap=0.0,
    )
    found = solve(problem)
    assert isinstance(found, Solution)
    assert float(found.usd_per_hour) == pytest.approx(3.0, abs=1e-3)
    used = {p.offer: p.utilisation for p in found.pools}
    assert used == pytest.approx({"a": 1.0, "b": 0.6, "c": 0.6}, abs=1e-5)
