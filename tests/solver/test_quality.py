"""Quality on average against brute force over every fleet, and where it holds: periods, waiting work, losses, explanations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from hetops.domain import codec
from hetops.solver import highs
from hetops.solver.answers.alone import alone
from hetops.solver.certify import certify
from hetops.solver.formulate import formulate
from hetops.solver.limit import LimitKind
from hetops.solver.problem import Column, Demand, Mode, Problem
from hetops.solver.questions.explanation import Topic
from hetops.solver.questions.relax import relaxations
from hetops.solver.questions.relaxation import relaxed
from hetops.solver.questions.why import why
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import read_answer, solve
from hetops.solver.terms import Loss, Period, Trait, exact
from hetops.solver.variables import frame_of
from tests.solver.problems import column, demands, offer
from tests.solver.termed import MIXED, SPLIT
from tests.solver.test_by_period import batch, searched
from tests.solver.test_why import case

Fleet = tuple[tuple[Column, int], ...]


def drawn(dice: Random) -> Problem:
    """One class on at most three offers with at most two columns, which differ in rate and quality."""
    offers = tuple(
        offer(f"o{i}", dice.choice(("0.5", "1", "1.25", "2")), dice.randint(1, 3))
        for i in range(dice.randint(1, 3))
    )
    columns = tuple(
        replace(
            column(o.id, name, chat=dice.choice((0.5, 1.0, 1.5))),
            quality={"chat": dice.choice((0.85, 0.9, 0.96, 1.0, 1.02))},
        )
        for o in offers
        for name in ("tp1", "tp2")[: dice.randint(1, 2)]
    )
    return Problem(
        mode=dice.choice((Mode.MIN_COST, Mode.MIN_COST, Mode.MAX_THROUGHPUT)),
        offers=offers,
        configurations=("tp1", "tp2"),
        classes=tuple(
            replace(c, mean_quality=dice.choice((0.9, 0.95, 0.98)))
            for c in demands(chat=dice.choice((0.5, 1.25, 2.0, 3.25)))
        ),
        columns=columns,
        budget_usd_per_hour=dice.choice((Decimal(2), Decimal(4))),
        gap=0.0,
    )


def fleets(problem: Problem) -> Iterator[tuple[Decimal, Fleet]]:
    """Every fleet within stock and budget, with its price."""
    most = {o.id: problem.max_nodes(o) for o in problem.offers}
    usd = {o.id: o.usd_per_hour for o in problem.offers}
    for counts in itertools.product(*(range(most[c.offer] + 1) for c in problem.columns)):
        fleet = tuple(zip(problem.columns, counts, strict=True))
        price = sum((usd[c.offer] * n for c, n in fleet), Decimal(0))
        fits = all(sum(n for c, n in fleet if c.offer == o) <= nodes for o, nodes in most.items())
        if fits and problem.budget_usd_per_hour is not None and price <= problem.budget_usd_per_hour:
            yield price, fleet


def most_served(fleet: Fleet, mean: Fraction) -> Fraction:
    """The largest rate at that mean: all that is better, then of the rest, the best first, what that makes up for."""
    rate, beyond = Fraction(0), Fraction(0)
    for of, nodes in sorted(fleet, key=lambda pool: -pool[0].quality["chat"]):
        better = exact(of.quality["chat"]) - mean
        capacity = nodes * Fraction(of.rate("chat"))
        taken = capacity if better >= 0 else min(capacity, beyond / -better)
        rate, beyond = rate + taken, beyond + taken * better
    return rate


def best(problem: Problem) -> Fraction | None:
    """The least cost or the largest rate; None where there is no fleet."""
    (asked,) = problem.classes
    mean = exact(asked.mean_quality or 0.0)
    served = [(price, most_served(fleet, mean)) for price, fleet in fleets(problem)]
    if problem.mode is Mode.MAX_THROUGHPUT:
        return max(rate for _, rate in served) or None
    due = Fraction(asked.requests_per_second)
    return min((Fraction(price) for price, rate in served if rate >= due), default=None)


def compare(seeds: range) -> None:
    """Each answer is what brute force finds, or there is none."""
    for seed in seeds:
        problem = drawn(Random(seed))
        outcome, due = solve(problem), best(problem)
        if due is None:
            assert isinstance(outcome, Infeasible), f"seed {seed}"
            continue
        assert isinstance(outcome, Solution), f"seed {seed}"
        assert certify(problem, outcome) == ()
        assert outcome.objective == pytest.approx(float(due), rel=2e-6), f"seed {seed}"


def test_the_answer_is_what_brute_force_finds() -> None:
    compare(range(60))


@pytest.mark.slow
def test_the_answer_is_what_brute_force_finds_a_thousand_times() -> None:
    compare(range(60, 1500))


def asking(problem: Problem, **terms: object) -> Problem:
    """The problem whose classes have these terms."""
    return replace(problem, classes=tuple(replace(c, **terms) for c in problem.classes))  # type: ignore[arg-type]


def objective(problem: Problem) -> float:
    """Of the answer, which is certified."""
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    return outcome.objective


def test_quality_that_nobody_asks_for_changes_nothing() -> None:
    free = asking(MIXED, mean_quality=None)
    assert free.plain
    assert not MIXED.plain
    assert objective(free) == 4.0


def test_a_slower_column_of_better_quality_is_left_out_only_where_nobody_asks() -> None:
    """Half of the requests on either configuration of the one offer, at 2 and at 1 a second: 2 + 1 nodes of four."""
    both = replace(
        MIXED,
        configurations=("int4", "bf16"),
        columns=(
            replace(column("rough", "int4", chat=2.0), quality={"chat": 0.9}),
            column("rough", "bf16", chat=1.0),
        ),
    )
    assert objective(both) == 3.0
    free = asking(both, mean_quality=None)
    assert [c.configuration for c in frame_of(free, None).columns] == ["int4"]


DAYS = (
    Period(name="day", hours=12.0, requests_per_second={"chat": 4.0}),
    Period(name="night", hours=12.0, requests_per_second={"chat": 1.0}),
)


def test_it_holds_in_every_period_of_what_is_served_as_it_comes() -> None:
    """By night the one request may not be served by the rough node: 8 by day, 3 by night."""
    assert objective(replace(MIXED, periods=DAYS)) == pytest.approx((8 + 3) / 2)


def test_it_holds_over_the_window_of_what_may_wait() -> None:
    """With a single fine node two of five are fine, one by day and one by night: 0.94, but by day it is 0.925."""
    asked = replace(asking(MIXED, mean_quality=0.94), periods=DAYS)
    few = replace(asked, offers=(offer("rough", "1"), offer("fine", "3", 1)))
    assert isinstance(solve(few), Infeasible)
    waiting = asking(few, deadline_hours=12.0)
    solution = solve(waiting)
    assert isinstance(solution, Solution)
    assert solution.objective == pytest.approx((6 + 3) / 2)
    assert [part.problem.classes[0].mean_quality for part in alone(waiting, solution)] == [None, None]


def test_periods_searched_one_at_a_time_come_to_what_the_whole_model_finds() -> None:
    """Of a class that is served as it comes and of one that may wait, whose mean ties the periods."""
    posed = batch(periods=2, boot_seconds=3600.0)
    rough = {"x": 0.9, "y": 0.8}
    problem = replace(
        asking(posed, mean_quality=0.97),
        columns=tuple(replace(c, quality=rough if i < 8 else {}) for i, c in enumerate(posed.columns)),
    )
    formulation = formulate(problem)
    whole = highs.run(formulation.model)
    assert whole.objective > 1.01 * highs.run(formulate(asking(problem, mean_quality=None)).model).objective
    found, _ = searched(formulation, gap=1e-2, seconds=2.0)
    assert found.answer.bound <= whole.objective * (1 + 1e-6)
    assert whole.objective * (1 - 1e-6) <= found.answer.objective <= whole.objective * 1.15
    assert certify(problem, read_answer(problem, codec.digest(problem), found)) == ()


def test_a_loss_need_not_keep_it() -> None:
    """All of the rough nodes may serve alone for as long as the fine ones are gone, and the other way round."""
    problem = replace(MIXED, losses=(Loss(id="any", trait=Trait.OFFER, kept_share=0.5),))
    assert objective(problem) == 8.0


def test_prefill_and_decode_have_their_own() -> None:
    """Decode at 0.9 cannot be made up for by prefill: only half may be split, and the rest goes to whole nodes."""
    columns = tuple(replace(c, quality={"chat": 0.9}) if c.offer == "small" else c for c in SPLIT.columns)
    problem = replace(asking(SPLIT, mean_quality=0.95), columns=columns)
    assert objective(asking(problem, mean_quality=None)) == 3.0
    assert objective(problem) == 4.0


def test_where_no_fleet_is_good_enough_the_mean_that_one_has_is_told() -> None:
    """Four rough nodes and two fine ones: a third of 6 requests may be fine."""
    offers = (offer("rough", "1"), offer("fine", "3", 2))
    few = replace(asking(MIXED, requests_per_second=6.0), offers=offers)
    told = {r.kind: r for r in relaxations(few)}
    lower = told[LimitKind.QUALITY]
    assert float(lower.needed) == pytest.approx(0.9 + 0.1 / 3, abs=2e-6)
    assert lower.text.startswith("lower the mean quality of chat from 0.95 to 0.9333")
    assert isinstance(solve(relaxed(few, lower)), Solution)


def test_what_it_costs_is_told() -> None:
    (told,) = (s for s in why(case(MIXED)) if s.topic is Topic.QUALITY)
    assert told.text == "Any quality of chat instead of 95.00 % on average would save $4.00 per hour."
    assert (told.subject, told.before, told.after) == ("chat", 8.0, 4.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"classes": (Demand(name="chat", requests_per_second=1.0, mean_quality=-0.1),)},
            "mean_quality -0.1",
        ),
        ({"columns": (replace(column("fine", chat=1.0), quality={"chat": -1.0}),)}, r"quality\[chat\] -1.0"),
        ({"columns": (replace(column("fine", chat=1.0), quality={"chats": 1.0}),)}, "did you mean 'chat'"),
    ],
)
def test_a_quality_that_is_none_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(MIXED, **changes)  # type: ignore[arg-type]
