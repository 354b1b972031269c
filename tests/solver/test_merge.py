"""Classes that load every column alike are searched for as one: the answer is one of the problem itself, its bound true."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.solver import merge as merging
from hetops.solver.certify import ScarcityPrices, certify
from hetops.solver.merge import Means, merge, search_merged
from hetops.solver.problem import Demand, Mode, Problem
from hetops.solver.proof import scarcity_prices
from hetops.solver.search.crowd import nodes_of
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import Effort, solve
from hetops.solver.terms import Service
from tests.solver.problems import column, many, offer, small, tiny
from tests.solver.test_scarcity import scarce, unrelated

some = settings(max_examples=60, deadline=None)


def split(problem: Problem, parts: tuple[float, ...]) -> Problem:
    """Each class as several, of which member i takes `1 + i` times as long per request: loads in the same proportions."""
    classes = tuple(
        replace(c, name=f"{c.name}{i}", requests_per_second=c.requests_per_second * part / (1 + i))
        for c in problem.classes
        for i, part in enumerate(parts)
    )
    columns = tuple(
        replace(
            c,
            requests_per_second={
                f"{n}{i}": r / (1 + i) for n, r in c.requests_per_second.items() for i in range(len(parts))
            },
        )
        for c in problem.columns
    )
    return replace(problem, classes=classes, columns=columns)


@st.composite
def uneven(draw: st.DrawFn) -> Problem:
    """Tiny problems whose classes are split into members that are alike on average only."""
    problem = split(draw(tiny(mode=draw(st.sampled_from(Mode)))), (0.5, 0.25, 0.25))
    random = Random(draw(st.integers(0, 99)))
    columns = tuple(
        replace(
            c,
            requests_per_second={n: r * random.uniform(0.8, 1.25) for n, r in c.requests_per_second.items()},
        )
        for c in problem.columns
    )
    return replace(problem, columns=columns)


def unmerged(problem: Problem) -> Solution | Infeasible:
    """The answer of a search that tells all classes apart: these problems have few."""
    assert len(problem.classes) <= merging.MOST_CLASSES
    return solve(problem)


@contextmanager
def told_apart(most: int) -> Iterator[None]:
    """Problems of more than `most` classes count as ones of many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "MOST_CLASSES", most)
        yield


def solve_as(problem: Problem, most: int) -> Solution | Infeasible:
    """`solve`, with no more than `most` classes told apart."""
    with told_apart(most):
        return solve(problem)


@some
@given(tiny())
def test_classes_in_the_same_proportions_merge_without_loss(problem: Problem) -> None:
    several = split(problem, (0.5, 0.25, 0.25))
    merged = merge(several, most=len(several.classes))
    assert merged.exact
    assert len(merged.members) <= 2
    whole, apart = solve_as(several, 2), unmerged(several)
    assert isinstance(whole, Infeasible) == isinstance(apart, Infeasible)
    if isinstance(whole, Solution) and isinstance(apart, Solution):
        assert whole.usd_per_hour == apart.usd_per_hour
        assert whole.within_gap
        assert certify(several, whole) == ()


@some
@given(uneven())
def test_a_merged_answer_is_sound_and_its_bound_is_true(problem: Problem) -> None:
    merged, apart = solve_as(problem, 2), unmerged(problem)
    assert isinstance(merged, Infeasible) == isinstance(apart, Infeasible)
    if isinstance(merged, Infeasible) or isinstance(apart, Infeasible):
        return
    assert certify(problem, merged) == ()
    sign = 1 if problem.mode is Mode.MIN_COST else -1
    little = 1e-6 * apart.objective
    assert sign * merged.bound <= sign * apart.objective + little
    assert sign * merged.certified_bound <= sign * apart.objective + little
    assert sign * apart.bound <= sign * merged.objective + little


def test_classes_that_go_to_other_columns_or_ask_for_another_model_stay_apart() -> None:
    problem = small(
        classes=(
            Demand(name="chat", requests_per_second=1.0),
            Demand(name="code", requests_per_second=1.0),
            Demand(name="far", requests_per_second=1.0),
            Demand(name="idle", requests_per_second=0.0),
            Demand(name="other", requests_per_second=1.0, model="m"),
        ),
        columns=(
            column("cheap", chat=1.0, code=2.0, idle=1.0, other=1.0),
            column("fast", chat=2.0, code=4.0, far=1.0, other=2.0),
        ),
    )
    members = merge(problem, most=1).members
    assert [[c.name for c in of] for of in members.values()] == [["chat", "code"], ["far"], ["other"]]


def test_a_class_that_nothing_serves_is_named_though_merged() -> None:
    problem = small(
        classes=tuple(Demand(name=n, requests_per_second=1.0) for n in ("chat", "code", "x", "y"))
    )
    outcome = solve_as(problem, 2)
    assert isinstance(outcome, Infeasible)
    assert outcome.unservable == ("x", "y")


def test_a_fleet_that_merging_loses_is_still_found() -> None:
    """Apart, each class fits on the node that is quick at it; in the same shares both need more nodes than there are."""
    problem = small(
        offers=(offer("a", "1", 1), offer("b", "1", 1)),
        classes=tuple(Demand(name=n, requests_per_second=1.0) for n in ("x", "y")),
        columns=(column("a", x=1.0, y=0.25), column("b", x=0.25, y=1.0)),
    )
    found = solve_as(problem, 1)
    assert isinstance(found, Solution)
    assert found.usd_per_hour == Decimal(2)
    assert found.searched_classes is None


def test_a_search_with_terms_merges_nothing() -> None:
    asked: list[Problem] = []

    def search(problem: Problem, _: float) -> Infeasible:
        asked.append(problem)
        return Infeasible()

    problem = small(
        classes=tuple(Demand(name=n, requests_per_second=1.0) for n in "xyz"),
        columns=(column("cheap", x=1.0, y=2.0, z=3.0), column("fast", x=3.0, y=1.0, z=1.0)),
        services=(Service(id="s", usd_per_request={"x": Decimal(1)}),),
    )
    means = Means(search=search, prices=lambda _: ScarcityPrices(), nodes=nodes_of)
    with told_apart(2):
        search_merged(problem, means, limit_seconds=1.0, gap=0.0)
    assert asked == [problem]


def test_thousands_of_classes_are_served_within_the_gap_of_a_bound_that_knows_them_all() -> None:
    problem = many(2500, 12)
    solution = solve(problem, effort=Effort(limit_seconds=30.0))
    assert isinstance(solution, Solution)
    assert certify(problem, solution) == ()
    assert {share.workload_class for share in solution.shares} == {c.name for c in problem.classes}
    assert solution.bound >= solution.certified_bound > 0
    assert solution.within_gap
    assert solution.searched_classes is None


def test_classes_that_have_nothing_in_common_merge_by_where_they_will_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By proportions alone the gap was 47 %: no two classes are alike. So it is where no time is left to tell all apart."""
    monkeypatch.setattr(merging, "PART_OF_TIME", 0.0)
    monkeypatch.setattr(merging, "LEAST_WORK_SECONDS", 0.0)
    problem = scarce(unrelated(500, 12), 6)
    with told_apart(50):
        solution = solve(problem, effort=Effort(limit_seconds=10.0))
    assert isinstance(solution, Solution)
    assert certify(problem, solution) == ()
    assert solution.searched_classes == 50
    assert solution.gap < 0.06


def test_the_order_of_classes_and_columns_changes_nothing() -> None:
    problem = many(300, 6)
    mixed = replace(problem, classes=problem.classes[::-1], columns=problem.columns[::-1])
    ours, theirs = merge(problem, most=50), merge(mixed, most=50)
    assert ours.members == theirs.members
    assert ours.exact == theirs.exact
    assert scarcity_prices(ours.problem).stock == pytest.approx(scarcity_prices(theirs.problem).stock)
