"""Work that waits, where something may be lost: against brute force over every fleet, in exact arithmetic; and what is told of it.

With two periods, and a deadline of both, work goes wherever there is room for it: what a period can serve is what its nodes
can, or the least that is left after a loss over the share that is kept, and all that arrives is served if both add up to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from hetops.domain.offer import Trait
from hetops.solver.answers.alone import alone
from hetops.solver.certify import certify
from hetops.solver.limit import LimitKind
from hetops.solver.problem import Problem
from hetops.solver.questions.relax import relaxations
from hetops.solver.search import losses
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Loss, Period, exact
from tests.solver.problems import column, demands, offer

HOURS = 12.0


def some_problem(seed: int) -> Problem:
    """Two or three offers of at most two nodes, two periods, one class that may wait through both, or through none."""
    dice = Random(seed)
    names = [f"o{i}" for i in range(dice.choice((2, 3, 3)))]
    offers = [replace(offer(n, f"{dice.uniform(1, 3):.2f}", 2), zone=dice.choice("ab")) for n in names]
    kept, trait = dice.choice((0.4, 0.8, 1.0)), dice.choice((Trait.OFFER, Trait.ZONE))
    rate = round(dice.uniform(0.3, 2.5), 2)
    (demand,) = demands(x=rate)
    if dice.random() < 0.3:
        demand = replace(demand, shed_usd_per_request=Decimal("0.0004"), max_shed_share=0.25)
    return Problem(
        offers=tuple(offers),
        configurations=("tp1",),
        classes=(replace(demand, deadline_hours=dice.choice((1.0, 24.0, 24.0))),),
        columns=tuple(column(n, x=round(dice.uniform(0.4, 2), 2)) for n in names),
        losses=(Loss(id="any", trait=trait, kept_share=kept),),
        periods=(
            Period(name="day", hours=HOURS),
            Period(name="night", hours=HOURS, requests_per_second={"x": dice.choice((0.0, 0.2))}),
        ),
        gap=0.0,
    )


def by_force(problem: Problem) -> Fraction | None:
    """Least cost of all fleets, what is shed included; None where none serves enough."""
    fleets = tuple(itertools.product(*(range((o.max_nodes or 0) + 1) for o in problem.offers)))
    most = {fleet: _most(problem, fleet) for fleet in fleets}
    usd = {fleet: _usd(problem, fleet) for fleet in fleets}
    costs = (
        (usd[day] + usd[night]) / 2 + given_up
        for day in fleets
        for night in fleets
        for given_up in _given_up(problem, most[day], most[night])
    )
    return min(costs, default=None)


def _usd(problem: Problem, fleet: tuple[int, ...]) -> Fraction:
    return sum(
        (Fraction(o.usd_per_hour) * n for o, n in zip(problem.offers, fleet, strict=True)), Fraction(0)
    )


def _most(problem: Problem, fleet: tuple[int, ...]) -> Fraction:
    """Requests per second that a fleet may be given: all that it can serve, and after each loss the kept share of it."""
    can = {c.offer: exact(c.rate("x")) * n for c, n in zip(problem.columns, fleet, strict=True)}
    left = (
        (sum((rate for id_, rate in can.items() if id_ not in s.lost), Fraction(0)) / s.kept_share)
        for s in problem.scenarios
    )
    return min((sum(can.values(), Fraction(0)), *left))


def _given_up(problem: Problem, day: Fraction, night: Fraction) -> Iterator[Fraction]:
    """USD per hour of what is turned away; nothing where too much would have to be."""
    (demand,) = problem.classes
    arrive = [exact(s.rates["x"]) for s in problem.stretches]
    room = [[day, night]] if demand.deadline_hours == 1.0 else [[day + night]]
    asked = arrive if demand.deadline_hours == 1.0 else [sum(arrive, Fraction(0))]
    lacking = [max(a - r, Fraction(0)) for a, r in zip(asked, room[0], strict=True)]
    may = exact(demand.max_shed_share) if demand.shed_usd_per_request else Fraction(0)
    if all(lack <= may * a for lack, a in zip(lacking, asked, strict=True)):
        usd = Fraction(demand.shed_usd_per_request or 0) * 3600
        yield sum(lacking, Fraction(0)) / 2 * usd


@pytest.mark.parametrize("most_copied", [10**9, -1], ids=["copied", "told by prices"])
def test_least_cost_is_what_brute_force_finds(most_copied: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "MOST_COPIED", most_copied)
    found = 0
    for seed in range(40):
        problem = some_problem(seed)
        outcome, least = solve(problem), by_force(problem)
        told = outcome.objective if isinstance(outcome, Solution) else None
        assert told == (least and pytest.approx(float(least), rel=3e-6)), f"seed {seed}"
        found += least is not None
    assert found >= 20


def waits_by_day(kept_share: float = 1.0) -> Problem:
    """Three nodes in each of two places; four requests a second by day, any of which may wait for the night."""
    return replace(
        some_problem(0),
        offers=(offer("o", "1", 3), offer("p", "1.5", 3)),
        columns=(column("o", x=1.0), column("p", x=1.0)),
        classes=tuple(replace(c, deadline_hours=24.0) for c in demands(x=4.0)),
        losses=(Loss(id="p", trait=Trait.OFFER, values=("p",), kept_share=kept_share),),
        periods=(
            Period(name="day", hours=HOURS),
            Period(name="night", hours=HOURS, requests_per_second={"x": 0.0}),
        ),
    )


def test_each_period_alone_bears_what_the_whole_does() -> None:
    problem = waits_by_day()
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    for one in alone(problem, outcome):
        assert certify(one.problem, one.solution) == ()
        assert one.problem.losses == problem.losses


def test_a_share_too_little_after_a_loss_is_found_out() -> None:
    problem = replace(waits_by_day(), losses=(Loss(id="any", trait=Trait.OFFER, kept_share=0.5),))
    outcome = solve(problem)
    assert isinstance(outcome, Solution)
    serving = [(i, loss) for i, loss in enumerate(outcome.losses) if loss.shares]
    assert serving
    for i, loss in serving:
        less = replace(loss, shares=tuple(replace(s, share=s.share * 0.3) for s in loss.shares))
        broken = certify(
            problem, replace(outcome, losses=(*outcome.losses[:i], less, *outcome.losses[i + 1 :]))
        )
        assert "losses" in {v.rule for v in broken}


def test_what_is_asked_to_be_kept_is_lowered_as_far_as_a_fleet_needs() -> None:
    """What a loss leaves is asked as if nothing waited, so the share that is told can be kept; maybe more can."""
    problem = replace(
        waits_by_day(),
        losses=(Loss(id="o", trait=Trait.OFFER, values=("o",)),),
        offers=(offer("o", "1", 3), offer("p", "1.5", 1)),
    )
    assert isinstance(solve(problem), Infeasible)
    (found,) = (r for r in relaxations(problem) if r.kind is LimitKind.LOSS)
    assert not found.smallest
    assert float(found.needed) == pytest.approx(0.25)
    changed = replace(problem, losses=(replace(problem.losses[0], kept_share=float(found.needed)),))
    assert isinstance(solve(changed), Solution)
    more = replace(problem, losses=(replace(problem.losses[0], kept_share=0.5),))
    assert isinstance(solve(more), Solution), "one of two a second is left, at night as by day"
