"""Nodes in lines: what a search proves and finds without their whole numbers is what it would with them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings

from hetops.domain.offer import Trait
from hetops.solver import highs
from hetops.solver.formulate import formulate
from hetops.solver.highs import Status
from hetops.solver.matrix import MatrixModel, Row, assemble
from hetops.solver.patience import Patience
from hetops.solver.problem import Demand, Mode, Problem, QuotaGroup
from hetops.solver.search import lined
from hetops.solver.search.start import relax_whole
from hetops.solver.terms import Billing, Loss, Period, ShareLimit
from tests.solver.problems import column, offer
from tests.solver.test_bands import lines


def regions(*, kinds: int = 4, regions: int = 6, seed: int = 1) -> Problem:
    """Few kinds of nodes, each in many regions at a price of its own: the search without lines is long."""
    random = Random(seed)
    names = tuple(f"c{i}" for i in range(4))
    offers, columns = [], []
    for kind in range(kinds):
        usd = random.uniform(1, 8)
        rates = [{n: usd * random.uniform(0.5, 1.5) for n in names} for _ in "ab"]
        for region in range(regions):
            at = f"k{kind}/r{region}"
            offers.append(offer(at, f"{usd * random.uniform(0.9, 1.2):.4f}", random.randint(1, 3)))
            columns += [column(at, f"{kind}{c}", **of) for c, of in zip("ab", rates, strict=True)]
    return Problem(
        offers=tuple(offers),
        configurations=tuple(dict.fromkeys(c.configuration for c in columns)),
        classes=tuple(Demand(name=n, requests_per_second=random.uniform(9, 20)) for n in names),
        columns=tuple(columns),
        gap=0.0,
    )


def holds(model: MatrixModel, values: np.ndarray) -> bool:
    """Whether the values keep every row, bound and whole number."""
    rows, whole = model.rows_of(values), values[model.integer]
    kept = (rows >= model.row_lower - 1e-6).all() and (rows <= model.row_upper + 1e-6).all()
    within = (values >= model.lower - 1e-6).all() and (values <= model.upper + 1e-6).all()
    return bool(kept and within and (np.abs(whole - whole.round()) <= 1e-6).all())


@pytest.mark.parametrize("seed", range(4))
def test_equal_nodes_in_many_regions_are_searched_to_the_end(seed: int) -> None:
    model = formulate(regions(seed=seed)).model
    assert {len(line) for line in model.lines} == {6}
    answer = lined.search(model, np.empty(0), gap=1e-6, limit_seconds=30.0)
    assert answer.status is Status.OPTIMAL
    assert holds(model, answer.values)
    without = highs.run(model, gap=0.01)
    assert without.bound - 1e-6 <= answer.objective <= without.objective + 1e-6


def check(problem: Problem) -> None:
    """With and without an answer to begin with, what is proven is true, and what is found is one."""
    formulation = formulate(problem)
    model = formulation.model
    if not formulation.frame.places or not model.lines:
        return
    known = highs.run(model, gap=0.3)
    best = highs.run(model)
    relaxed = highs.run(model.linear)
    for start, told in ((np.empty(0), None), (known.values, None), (known.values, relaxed)):
        answer = lined.search(model, start, gap=0.0, limit_seconds=30.0, relaxed=told)
        assert not answer.found or holds(model, answer.values)
        assert not answer.found or best.found
        if best.found:
            slack = 1e-6 * max(abs(best.objective), 1.0)
            assert answer.bound <= best.objective + slack
            assert not answer.found or answer.objective >= best.objective - slack
            assert answer.status is not Status.OPTIMAL or answer.objective <= best.objective + slack


@settings(max_examples=40, deadline=None)
@given(lines())
def test_what_is_proven_holds_at_least_cost(problem: Problem) -> None:
    check(problem)


@settings(max_examples=20, deadline=None)
@given(lines(mode=Mode.MAX_THROUGHPUT))
def test_what_is_proven_holds_for_the_largest_rate(problem: Problem) -> None:
    check(problem)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_proven_holds_with_terms(seed: int) -> None:
    check(with_terms(regions(kinds=2, regions=2, seed=seed), Random(seed)))


def with_terms(problem: Problem, dice: Random) -> Problem:
    """Some of what tells apart the nodes of a line after all."""
    offers = tuple(
        replace(
            o,
            zone=dice.choice("ab"),
            lot_nodes=dice.choice((1, 1, 2)),
            billing=dice.choice((Billing.RUNNING, Billing.RUNNING, Billing.RESERVED)),
            quota_per_node={"q": Decimal(dice.randint(0, 3))},
        )
        for o in problem.offers
    )
    rates = {c.name: c.requests_per_second / 3 for c in problem.classes}
    return replace(
        problem,
        offers=offers,
        quota_groups=(QuotaGroup(id="q", limit=Decimal(dice.randint(8, 20))),),
        losses=(Loss(id="zone", trait=Trait.ZONE, kept_share=0.5),) if dice.random() < 0.5 else (),
        share_limits=(ShareLimit(id="zones", trait=Trait.ZONE, at_most=0.7),) if dice.random() < 0.5 else (),
        periods=tuple(Period(name=n, hours=12.0, requests_per_second=rates) for n in ("day", "night")),
        classes=tuple(replace(c, requests_per_second=rates[c.name]) for c in problem.classes),
    )


def test_where_nodes_of_a_line_cannot_be_whole_nothing_is_found_and_what_is_proven_holds() -> None:
    halves = [Row(subject="halves", terms=[(j, 2.0)], upper=1.0) for j in (0, 1)]
    one = Row(subject="one", terms=[(0, 1.0), (1, 1.0), (2, 1.0)], lower=1.0)
    model = assemble(
        cost=np.array([1.0, 1.5, 5.0]), upper=np.array([3.0, 3.0, 1.0]), integers=3, rows=[one, *halves]
    )
    answer = lined.search(replace(model, lines=(np.array([0, 1]),)), np.empty(0), gap=0.0, limit_seconds=30.0)
    assert answer.status is Status.NOTHING_FOUND
    assert answer.bound == pytest.approx(1.25)
    assert highs.run(model).objective == pytest.approx(5.0)


def test_a_relaxation_is_taken_for_that_of_a_model_with_its_rows_costs_and_no_wider_bounds_alone() -> None:
    formulation, patience = formulate(regions(seed=0)), Patience.of(30.0)
    model, whole = formulation.model, relax_whole(formulation, patience)
    assert whole.is_all_of(model)
    assert whole.is_all_of(replace(model, upper=model.upper / 2))
    assert not whole.is_all_of(replace(model, upper=model.upper * 2))
    assert not whole.is_all_of(replace(model, cost=model.cost * 2))
    assert not whole.is_all_of(replace(model, row_values=model.row_values * 2))
    longer = np.append(model.row_starts[:1], model.row_starts[1:-1] + 1)
    assert not whole.is_all_of(replace(model, row_starts=np.append(longer, model.row_starts[-1:])))
