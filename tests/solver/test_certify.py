"""The checker catches a solution that was tampered with, in every field, and its bound holds for any multipliers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.solver.certify import CHECKS, ScarcityPrices, certify, weak_duality_bound
from hetops.solver.problem import Mode, Problem, QuotaGroup
from hetops.solver.proof import scarcity_prices
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from tests.solver import oracle
from tests.solver.problems import TOY, offer, small, tiny

PROBLEM = small(
    offers=(offer("cheap", "1", 3, q="1"), offer("fast", "4", None, "other", q="2")),
    quota_groups=(QuotaGroup(id="q", limit=Decimal(4), unit="GPUs"),),
    budget_usd_per_hour=Decimal(6),
    provider_budgets_usd_per_hour={"other": Decimal(5)},
    max_pools=2,
    headroom=0.01,
    classes=tuple(replace(c, requests_per_second=c.requests_per_second * 0.99) for c in small().classes),
)


def solved() -> Solution:
    """One `cheap`, one `fast`, all limits close."""
    solution = solve(PROBLEM)
    assert isinstance(solution, Solution)
    return solution


def pools(solution: Solution, **changes: object) -> Solution:
    """With the first pool changed."""
    return replace(solution, pools=(replace(solution.pools[0], **changes), *solution.pools[1:]))


def shares(solution: Solution, **changes: object) -> Solution:
    """With the first share changed."""
    return replace(solution, shares=(replace(solution.shares[0], **changes), *solution.shares[1:]))


TAMPERED: dict[str, tuple[str, Callable[[Solution], Solution]]] = {
    "another digest": ("problem", lambda s: replace(s, problem_digest="0" * 64)),
    "another mode": ("problem", lambda s: replace(s, mode=Mode.MAX_THROUGHPUT)),
    "an unknown offer": ("pools", lambda s: pools(s, offer="nowhere")),
    "an unknown configuration": ("pools", lambda s: pools(s, configuration="tp9")),
    "no nodes": ("pools", lambda s: pools(s, nodes=0)),
    "a pool twice": ("pools", lambda s: replace(s, pools=(*s.pools, s.pools[0]))),
    "other replicas": ("pools", lambda s: pools(s, replicas_per_node=8)),
    "a pool left out": ("demand", lambda s: replace(s, pools=s.pools[1:])),
    "a share left out": ("demand", lambda s: replace(s, shares=s.shares[1:])),
    "a share twice": ("demand", lambda s: replace(s, shares=(*s.shares, s.shares[0]))),
    "a share a little small": ("demand", lambda s: shares(s, share=s.shares[0].share - 1e-12)),
    "a negative share": ("demand", lambda s: shares(s, share=-1.0)),
    "a class nobody asked for": ("demand", lambda s: shares(s, workload_class="video")),
    "another rate": ("demand", lambda s: shares(s, requests_per_second=1e-3)),
    "a flattered load": ("capacity", lambda s: pools(s, utilisation=0.5)),
    "more nodes than there are": ("stock", lambda s: pools(s, nodes=4)),
    "unknown stock hushed up": ("stock", lambda s: replace(s, assumed_offers=())),
    "a quota overdrawn": ("quota", lambda s: pools(s, nodes=3)),
    "the budget overdrawn": ("budget", lambda s: pools(s, nodes=3)),
    "a cheaper pool": ("cost and rate", lambda s: pools(s, usd_per_hour=Decimal("0.99"))),
    "a cheaper total": ("cost and rate", lambda s: replace(s, usd_per_hour=Decimal("4.999999"))),
    "another objective": ("cost and rate", lambda s: replace(s, objective=4.9)),
    "another total rate": ("cost and rate", lambda s: replace(s, requests_per_second=7.0)),
    "a bound above the cost": ("bounds", lambda s: replace(s, bound=5.1)),
    "a certified bound above the cost": ("bounds", lambda s: replace(s, certified_bound=5.1)),
    "a gap talked down": ("bounds", lambda s: replace(s, bound=4.0)),
    "a gap too large for the claim": ("bounds", lambda s: replace(s, bound=4.0, gap=0.2)),
}


def test_the_untouched_solution_passes() -> None:
    assert certify(PROBLEM, solved()) == ()


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_solution_is_caught(what: str) -> None:
    rule, tamper = TAMPERED[what]
    violations = certify(PROBLEM, tamper(solved()))
    assert rule in {v.rule for v in violations}
    assert all(v.subject and v.message for v in violations)


def test_an_overload_is_caught_in_the_pool_that_has_it() -> None:
    """All of `code` on the node that takes eight times as long for it."""
    solution = solved()
    moved = tuple(
        replace(s, offer="cheap" if s.workload_class == "code" else "fast")
        for s in solution.shares
        if s.share == 1.0
    )
    subjects = {v.subject for v in certify(PROBLEM, replace(solution, shares=moved)) if v.rule == "capacity"}
    assert "tp1 on cheap" in subjects


@pytest.mark.parametrize(
    ("rule", "tighter"),
    [
        ("provider budgets", {"provider_budgets_usd_per_hour": {"other": Decimal("3.99")}}),
        ("number of pools", {"max_pools": 1}),
        ("budget", {"budget_usd_per_hour": Decimal("4.99")}),
        ("quota", {"quota_groups": (QuotaGroup(id="q", limit=Decimal("2.9")),)}),
        ("capacity", {"headroom": 0.02}),
        ("stock", {"assumed_max_nodes": 0}),
    ],
)
def test_each_limit_is_checked_on_its_own(rule: str, tighter: dict[str, object]) -> None:
    assert rule in {v.rule for v in certify(replace(PROBLEM, **tighter), _readdressed(tighter))}


def _readdressed(tighter: dict[str, object]) -> Solution:
    """The solution, claiming to answer the tighter problem."""
    from hetops.domain import codec

    return replace(solved(), problem_digest=codec.digest(replace(PROBLEM, **tighter)))


def test_every_rule_is_shown_to_fail_by_a_test() -> None:
    shown = {rule for rule, _ in TAMPERED.values()} | {"provider budgets", "number of pools"}
    assert shown == set(CHECKS)


multipliers = st.floats(-1, 10, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(tiny(), multipliers, multipliers, multipliers)
def test_the_bound_holds_for_any_multipliers(
    problem: Problem, stock: float, quota: float, budget: float
) -> None:
    best = oracle.cheapest(problem)
    prices = ScarcityPrices(
        stock={o.id: stock for o in problem.offers},
        quota={"q": quota},
        provider_budget={"p0": budget},
        budget=budget,
    )
    bound = weak_duality_bound(problem, prices)
    assert best is None or bound <= best


def test_the_bound_of_the_toy_is_its_optimum() -> None:
    """The toy's relaxation happens to be tight: exact arithmetic alone proves 28.4314 s."""
    bound = weak_duality_bound(TOY, scarcity_prices(TOY))
    assert 100 / float(bound) == pytest.approx(28.4314, abs=5e-5)


def test_without_multipliers_the_bound_is_every_class_on_its_cheapest_column() -> None:
    problem = small()
    assert weak_duality_bound(problem, ScarcityPrices()) == 2 * Decimal(1) / 2 + 4 * Decimal(4) / 4
