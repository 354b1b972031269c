"""What must hold between two problems in which terms meet, whichever searches they are given to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import TypeVar

import pytest

from hetops.domain.offer import Trait
from hetops.solver.problem import Column, Demand, Mode, Problem
from hetops.solver.terms import Role
from tests.solver.latest import latest
from tests.solver.test_oracle import NO_ANSWER, Proven
from tests.solver.test_woven import searched
from tests.solver.woven import dense, woven

Each = TypeVar("Each", float, Decimal)


def split(problem: Problem, dice: Random) -> Problem:
    """A class in two halves that ask for the same."""
    one = dice.choice(problem.classes)
    name, other = one.name, f"{one.name}b"

    def both(of: Mapping[str, Each]) -> dict[str, Each]:
        return {**of, other: of[name]} if name in of else dict(of)

    def halves(demand: Demand) -> tuple[Demand, ...]:
        half = replace(demand, requests_per_second=demand.requests_per_second / 2)
        return (half, replace(half, name=other)) if demand is one else (demand,)

    def halved(rates: Mapping[str, float]) -> dict[str, float]:
        return {n: rate / 2 if n in (name, other) else rate for n, rate in both(rates).items()}

    return replace(
        problem,
        classes=tuple(half for demand in problem.classes for half in halves(demand)),
        columns=tuple(
            replace(
                c,
                requests_per_second=both(c.requests_per_second),
                usd_per_request=both(c.usd_per_request),
                quality=both(c.quality),
            )
            for c in problem.columns
        ),
        services=tuple(
            replace(
                s,
                usd_per_request=both(s.usd_per_request),
                tokens_per_request=both(s.tokens_per_request),
                quality=both(s.quality),
            )
            for s in problem.services
        ),
        periods=tuple(replace(t, requests_per_second=halved(t.requests_per_second)) for t in problem.periods),
        share_limits=tuple(
            replace(s, classes=(*s.classes, other)) if name in s.classes else s for s in problem.share_limits
        ),
    )


def on_two_offers(problem: Problem, dice: Random) -> Problem:
    """The nodes of an offer as pairs: a part of the price is that of nodes of another offer, had, lost and paid for with them."""
    ends = {end for link in problem.links for end in link.key}
    roles = {c.offer for c in problem.columns if c.role is not Role.WHOLE}
    able = [o for o in problem.offers if o.id not in ends | roles]
    least = any(s.trait is Trait.OFFER and s.at_least > 0 for s in problem.share_limits)
    if not able or least or problem.migration is not None:
        return problem
    one = dice.choice(able)
    usd = (one.usd_per_hour * Decimal("0.3")).quantize(Decimal("0.0001"))
    stock = problem.max_nodes(one)
    other = replace(
        one, id="twin", usd_per_hour=usd, quota_per_node={}, interruptions_per_hour=0.0, max_nodes=stock
    )

    def paired(column: Column) -> Column:
        nodes = (column.offer == one.id) + column.also.get(one.id, 0)
        return replace(column, also={**column.also, "twin": nodes}) if nodes else column

    cheaper = replace(one, usd_per_hour=one.usd_per_hour - usd)
    offers = (*(cheaper if o is one else o for o in problem.offers), other)
    return replace(problem, offers=offers, columns=tuple(map(paired, problem.columns)))


def shuffled(problem: Problem, dice: Random) -> Problem:
    """Everything in another order."""
    offers = tuple(dice.sample(problem.offers, len(problem.offers)))
    columns = tuple(dice.sample(problem.columns, len(problem.columns)))
    return replace(problem, offers=offers, columns=columns, classes=tuple(reversed(problem.classes)))


ALIKE: tuple[Callable[[Problem, Random], Problem], ...] = (split, on_two_offers, shuffled)


def alike(seeds: range, made: Callable[[int], Problem] = woven) -> int:
    """Each of the changes leaves the optimum where it is; how many problems have one."""
    found = 0
    for seed in seeds:
        problem, dice = made(seed), Random(seed)
        before = searched(problem)
        for change in ALIKE if before is not None else ():
            after = searched(change(problem, dice))
            assert after is None or meet(before, after), f"{change.__name__} of {seed}: {before}, {after}"
        found += before not in (None, NO_ANSWER)
    return found


def with_more_stock(problem: Problem, dice: Random) -> Problem:
    """One or two more nodes of an offer."""
    more = dice.choice(problem.offers)
    most = problem.max_nodes(more) + dice.choice((1, 2))
    return replace(
        problem, offers=tuple(replace(o, max_nodes=most) if o is more else o for o in problem.offers)
    )


def no_worse(seeds: range) -> int:
    """More stock makes no optimum worse; how many problems have one."""
    found = 0
    for seed in seeds:
        problem = dense(seed)
        before, after = searched(problem), searched(with_more_stock(problem, Random(seed)))
        if before in (None, NO_ANSWER) or after is None:
            continue
        found += 1
        slack = 3e-6 * (1 + abs(before.least))
        if problem.mode is Mode.MIN_COST:
            assert after.least <= before.most + slack, f"{seed}: {before}, {after}"
        else:
            assert after is not NO_ANSWER, seed
            assert after.most >= before.least - slack, f"{seed}: {before}, {after}"
    return found


def meet(before: Proven | None, after: Proven) -> bool:
    """Whether both can be of one optimum."""
    return before is not None and before.meets(after)


def test_a_class_split_an_offer_as_two_and_another_order_change_no_optimum() -> None:
    assert alike(range(4)) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("first", range(4, 404, 100))
def test_nor_do_they_hundreds_of_times(first: int) -> None:
    assert alike(range(first, first + 100)) >= 40


def test_more_stock_makes_nothing_worse() -> None:
    assert no_worse(range(16, 22)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 400, 100))
def test_nor_does_any_of_these_where_the_latest_terms_meet(first: int) -> None:
    assert alike(range(first, first + 50), dense) >= 20
    assert no_worse(range(first, first + 100)) >= 40


@pytest.mark.slow
def test_nor_does_any_of_these_where_a_fleet_runs() -> None:
    assert alike(range(60), latest) >= 30
