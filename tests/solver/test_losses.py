"""Losses by the dozen: told by prices, the search finds what it finds with a copy of all shares for each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random

import numpy as np
import pytest

from hetops.domain.offer import Trait
from hetops.solver import highs
from hetops.solver.certify import certify
from hetops.solver.matrix import INFINITY, Row, assemble
from hetops.solver.problem import Column, Mode, Problem
from hetops.solver.search import by_offer, losses
from hetops.solver.search.told import Asked
from hetops.solver.solution import Solution
from hetops.solver.solve import PROOF_GAP, Effort, solve
from hetops.solver.terms import Loss, Service
from tests.solver import oracle
from tests.solver.latest import latest
from tests.solver.problems import column, demands, hard, offer, small
from tests.solver.test_oracle import proven
from tests.solver.test_woven import at_once
from tests.solver.varied import varied

EXACTLY = Effort(limit_seconds=20.0, most_gap=PROOF_GAP)
ANY_OFFER = Loss(id="any offer", trait=Trait.OFFER, kept_share=0.8)


def objective(problem: Problem) -> float | None:
    """Of the certified answer; None where there is none."""
    outcome = solve(problem, effort=EXACTLY)
    return outcome.objective if isinstance(outcome, Solution) else None


def compare(seeds: range, patch: pytest.MonkeyPatch) -> int:
    """Both ways find the same for each problem with losses; how many had an answer."""
    problems = {seed: varied(seed) for seed in seeds}
    asked = {seed: p for seed, p in problems.items() if p.losses and not p.links}
    found = 0
    for seed, problem in asked.items():
        patch.setattr(losses, "MOST_COPIED", 10**9)
        copied = objective(problem)
        patch.setattr(losses, "MOST_COPIED", -1)
        told = objective(problem)
        assert told == (copied and pytest.approx(copied, rel=3e-6, abs=3e-6)), f"seed {seed}"
        found += told is not None
    return found


def test_prices_find_what_copies_find(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compare(range(100), monkeypatch) >= 12


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 1300, 300))
def test_prices_find_what_copies_find_hundreds_of_times(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    assert compare(range(first, first + 300), monkeypatch) >= 36


def some_losses(seed: int) -> Problem:
    """Three or four offers with two configurations each, any of which, or any zone, may be lost; few nodes serve all."""
    dice = Random(seed)
    names = [f"o{i}" for i in range(dice.choice((3, 3, 4)))]
    offers = [replace(offer(n, f"{dice.uniform(1, 4):.2f}", 2), zone=dice.choice("ab")) for n in names]
    columns = [column(n, c, x=dice.uniform(0.4, 2), y=dice.uniform(0.4, 2)) for n in names for c in "ab"]
    trait, kept_share = dice.choice((Trait.OFFER, Trait.OFFER, Trait.ZONE)), dice.choice((0.4, 0.8, 1.0))
    return Problem(
        offers=tuple(offers),
        configurations=("a", "b"),
        classes=demands(x=dice.uniform(0.2, 1.5), y=dice.uniform(0.2, 1.5)),
        columns=tuple(columns[: dice.choice((6, 7))]),
        losses=(Loss(id="any", trait=trait, kept_share=kept_share),),
        max_pools=dice.choice((None, None, 3)),
        headroom=dice.choice((0.0, 0.2)),
        gap=0.0,
    )


def some_paired(seed: int) -> Problem:
    """As `some_losses`, where half of the columns stand on nodes of another offer besides, and serve twice as much."""
    dice, problem = Random(seed), some_losses(seed)
    ids = {o.id for o in problem.offers}

    def paired(one: Column) -> Column:
        twice = {name: 2 * rate for name, rate in one.requests_per_second.items()}
        also = {dice.choice(sorted(ids - {one.offer})): dice.choice((1, 1, 2))}
        return replace(one, also=also, requests_per_second=twice) if dice.random() < 0.5 else one

    return replace(problem, columns=tuple(map(paired, problem.columns)))


def by_force(problem: Problem) -> Decimal | None:
    """Least cost of a fleet that bears every loss, of all that there are, in exact arithmetic."""

    def bears(fleet: oracle.Fleet) -> bool:
        after = (
            (tuple((c, n) for c, n in fleet if c.offers.isdisjoint(s.lost)), s) for s in problem.scenarios
        )
        return oracle.serves(problem, fleet, Fraction(1)) and all(
            oracle.serves(problem, left, scenario.kept_share) for left, scenario in after
        )

    by_cost = sorted(oracle.fleets(problem), key=lambda fleet: oracle.cost(problem, fleet))
    return next((oracle.cost(problem, fleet) for fleet in by_cost if bears(fleet)), None)


def compare_by_force(
    seeds: range, patch: pytest.MonkeyPatch, made: Callable[[int], Problem] = some_losses
) -> int:
    """Prices find what brute force finds; how many problems had an answer."""
    patch.setattr(losses, "MOST_COPIED", -1)
    found = 0
    for seed in seeds:
        problem = made(seed)
        least, told = by_force(problem), objective(problem)
        assert told == (least and pytest.approx(float(least), rel=3e-6)), f"seed {seed}"
        found += least is not None
    return found


def test_prices_find_what_brute_force_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compare_by_force(range(25), monkeypatch) >= 15


def test_they_do_where_columns_are_lost_with_any_of_their_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compare_by_force(range(12), monkeypatch, some_paired) >= 6


def test_they_do_where_the_columns_that_the_relaxation_uses_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(by_offer, "FEW", 0)
    assert compare_by_force(range(25, 40), monkeypatch) >= 8


@pytest.mark.slow
def test_prices_find_what_brute_force_finds_hundreds_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compare_by_force(range(25, 300), monkeypatch) >= 170
    assert compare_by_force(range(25, 200), monkeypatch, some_paired) >= 80
    monkeypatch.setattr(by_offer, "FEW", 0)
    assert compare_by_force(range(300, 450), monkeypatch) >= 90


def test_sums_of_nodes_that_only_parts_of_nodes_could_do_with_are_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a node for each class would do on every offer; a whole one for each is needed, and two offers of three."""
    monkeypatch.setattr(losses, "MOST_COPIED", -1)
    names = ("o0", "o1", "o2")
    problem = Problem(
        offers=tuple(offer(n, usd, 2) for n, usd in zip(names, ("1", "1.1", "1.3"), strict=True)),
        configurations=("a", "b"),
        classes=demands(x=0.4, y=0.4),
        columns=tuple(column(n, c, **{w: 1.0}) for n in names for c, w in (("a", "x"), ("b", "y"))),
        losses=(ANY_OFFER,),
        gap=0.0,
    )
    outcome = solve(problem, effort=EXACTLY)
    assert isinstance(outcome, Solution)
    assert {pool.offer: pool.nodes for pool in outcome.pools if pool.configuration == "a"} == {
        "o0": 1,
        "o1": 1,
    }
    assert outcome.objective == pytest.approx(4.2)
    assert outcome.bound == pytest.approx(4.2, rel=1e-6)


def test_where_no_node_can_be_had_a_service_bears_the_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MOST_COPIED", 0)
    usd = {"chat": Decimal("0.001"), "code": Decimal("0.001")}
    problem = small(
        offers=(offer("cheap", "1", 0), offer("fast", "4", 0)),
        services=(Service(id="api", usd_per_request=usd),),
        losses=(Loss(id="any node", trait=Trait.OFFER, values=("cheap", "fast"), kept_share=0.8),),
    )
    assert objective(problem) == pytest.approx(6 * 3.6)
    free = Service(id="api", usd_per_request=dict.fromkeys(usd, Decimal(0)))
    assert objective(replace(problem, services=(free,))) == 0


def dozens(mode: Mode = Mode.MIN_COST) -> Problem:
    """Forty offers, any of which may be lost."""
    problem = hard(offers=40, configurations=2, classes=4)
    return replace(problem, losses=(ANY_OFFER,), gap=0.05, mode=mode)


def test_dozens_of_losses_are_told_by_prices_and_the_answer_bears_each() -> None:
    problem = dozens()
    assert losses.are_many(problem)
    assert len(problem.scenarios) == 40
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    assert outcome.within_gap
    assert certify(problem, outcome) == ()
    without = solve(replace(problem, losses=()))
    assert isinstance(without, Solution)
    assert outcome.objective > without.objective
    assert 0 < outcome.certified_bound <= outcome.bound <= outcome.objective


def test_a_loss_whose_cover_is_left_out_is_found_out_where_it_takes_something() -> None:
    problem = dozens()
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    used = {f"any offer: {pool.offer}" for pool in outcome.pools}
    assert {loss.name for loss in outcome.losses} == used, "the others take nothing away"
    broken = certify(problem, replace(outcome, losses=outcome.losses[1:]))
    assert {violation.rule for violation in broken} == {"losses"}


def test_as_much_as_a_budget_buys_bears_dozens_of_losses() -> None:
    problem = replace(dozens(Mode.MAX_THROUGHPUT), budget_usd_per_hour=offer("o", "40").usd_per_hour)
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    assert outcome.within_gap
    assert len(outcome.pools) > 1


def test_without_time_there_is_a_fleet_that_bears_every_loss() -> None:
    problem = dozens()
    outcome = solve(problem, limit_seconds=0.0)
    assert isinstance(outcome, Solution)
    assert certify(problem, outcome) == ()


def test_dozens_of_losses_that_no_fleet_bears_are_infeasible() -> None:
    """Each class has one offer, and nothing may be lost of any."""
    problem = dozens()
    able = {c.name: f"o{i}" for i, c in enumerate(problem.classes)}
    columns = tuple(
        replace(
            c,
            requests_per_second={name: c.rate(name) for name, of in able.items() if of == c.offer}
            or {"c0": 0.0},
        )
        for c in problem.columns
    )
    outcome = solve(replace(problem, columns=columns, assumed_max_nodes=99))
    assert not isinstance(outcome, Solution)


def test_losses_that_only_rows_of_whole_fleets_show_to_be_too_many_are_infeasible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three nodes serve all; any two of them less than the kept share. The first search has no time to find that out."""
    monkeypatch.setattr(losses, "MOST_COPIED", -1)
    monkeypatch.setattr(losses, "_relaxed", lambda told, patience: (told, told.relaxed(patience)))
    monkeypatch.setattr(by_offer, "search", lambda told, _, **__: by_offer.Found(told=told, bound=0.0))
    ids = ("first", "second", "third")
    problem = Problem(
        offers=tuple(offer(i, "1", 1) for i in ids),
        configurations=("c",),
        classes=demands(a=2.9),
        columns=tuple(column(i, "c", a=1.0) for i in ids),
        losses=(ANY_OFFER,),
    )
    assert not isinstance(solve(problem), Solution)


def test_losses_of_what_serves_nothing_are_none() -> None:
    problem = small(losses=(ANY_OFFER,), offers=(*small().offers, offer("idle", "1")))
    assert [s.name for s in problem.scenarios] == ["any offer: cheap", "any offer: fast"]


@pytest.mark.parametrize("seed", range(8))
def test_a_service_earns_the_most_that_its_limits_allow(seed: int) -> None:
    """Against the linear programme of what it serves."""
    dice = np.random.default_rng(seed)
    prices, tokens = dice.uniform(0, 2, 4), dice.uniform(0.1, 3, 4)
    most = [float(dice.uniform(1, 5)) if dice.random() < 0.8 else INFINITY for _ in range(2)]
    rows = [
        Row(subject="requests", terms=[(w, 1.0) for w in range(4)], upper=most[0]),
        Row(subject="tokens", terms=[(w, float(tokens[w])) for w in range(4)], upper=most[1]),
    ]
    answer = highs.run(assemble(cost=-prices, upper=np.full(4, 1e4), integers=0, rows=rows))
    asked = Asked(serves=np.full(4, True), tokens=tokens, most_requests=most[0], most_tokens=most[1])
    earned = asked.earns(prices)
    assert earned == (pytest.approx(-answer.objective) if min(most) < INFINITY else INFINITY)


def test_a_fleet_that_just_reaches_the_bound_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HiGHS found the model of such a fleet infeasible where the row of its bound had no more room than any row's tolerance."""
    monkeypatch.setattr(losses, "MOST_COPIED", -1)
    problem = latest(2887)
    outcome = solve(problem, effort=EXACTLY)
    assert isinstance(outcome, Solution)
    assert proven(outcome.bound, outcome.objective).meets(at_once(problem))
