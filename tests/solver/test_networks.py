"""KV caches within a network: offers that share one hand over to one another, and to nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetops.domain import codec
from hetops.solver.bands import Bands
from hetops.solver.certify import certify
from hetops.solver.problem import Problem
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import solve
from hetops.solver.terms import Link, Period, Role
from tests.solver.problems import column, demands, offer


def split(**networks: str) -> Problem:
    """Two prompts a second on a prefill node of 2 USD, one answer on a decode node of 0.50; whole nodes do half of one for 1."""
    prices = {"a": "2", "b": "0.5", "w": "1", "far": "0.1"}
    return Problem(
        offers=tuple(replace(offer(n, usd, 9), network=networks.get(n, "")) for n, usd in prices.items()),
        configurations=("tp1",),
        classes=demands(chat=2.0),
        columns=(
            replace(column("a", chat=2.0), role=Role.PREFILL),
            replace(column("b", chat=1.0), role=Role.DECODE),
            replace(column("far", chat=9.0), role=Role.DECODE),
            column("w", chat=0.5),
        ),
        gap=0.0,
    )


def cost(problem: Problem) -> float:
    found = solve(problem)
    assert isinstance(found, Solution)
    assert certify(problem, found) == ()
    return found.objective


def test_offers_of_one_network_hand_over_and_of_two_do_not() -> None:
    """One prefill node and two decode nodes, 3.00, against four whole ones, 4.00; the cheaper decode node is elsewhere."""
    assert cost(split(a="east", b="east", far="west")) == 3.0
    assert cost(split(a="east", b="east", far="east")) == pytest.approx(2.1)
    assert cost(split(a="east", b="west")) == 4.0
    assert cost(split()) == 4.0


def test_formats_are_kept_apart_within_a_network() -> None:
    problem = split(a="east", b="east")
    others = tuple(replace(c, kv_format="fp8") if c.offer == "b" else c for c in problem.columns)
    assert cost(replace(problem, columns=others)) == 4.0


def test_each_period_hands_over_by_itself() -> None:
    """By day as above, 3.00; by night one of each, 2.50, against two whole ones, 2.00."""
    periods = (
        Period(name="day", hours=12.0, requests_per_second={"chat": 2.0}),
        Period(name="night", hours=12.0, requests_per_second={"chat": 1.0}),
    )
    day = replace(split(a="east", b="east"), periods=periods)
    assert cost(day) == pytest.approx(2.5)
    only_apart = solve(replace(day, columns=day.columns[:3]))
    assert isinstance(only_apart, Solution)
    assert {share.offer: share.share for share in only_apart.shares} == {"a": 1.0, "b": 1.0}


def test_an_answer_that_decodes_less_than_it_prefills_is_found_out() -> None:
    problem = split(a="east", b="east")
    found = solve(problem)
    assert isinstance(found, Solution)
    fewer = tuple(
        replace(s, share=0.5, requests_per_second=1.0) if s.offer == "b" else s for s in found.shares
    )
    assert "handovers" in {v.rule for v in certify(problem, replace(found, shares=fewer))}
    elsewhere = replace(
        problem, offers=tuple(replace(o, network="west") if o.id == "b" else o for o in problem.offers)
    )
    told = replace(found, problem_digest=codec.digest(elsewhere))
    assert {v.rule for v in certify(elsewhere, told)} == {"handovers"}


def test_where_nothing_decodes_in_the_network_of_what_prefills_there_is_no_fleet() -> None:
    problem = split(a="east", b="west")
    alone = replace(problem, columns=tuple(c for c in problem.columns if c.offer != "w"))
    assert isinstance(solve(alone), Infeasible)


def test_offers_of_one_network_wait_in_line_and_those_of_others_do_not() -> None:
    problem = split()
    offers = tuple(offer(f"o{i}", str(1 + i), 9) for i in range(4))
    columns = tuple(replace(column(o.id, chat=1.0), role=Role.DECODE) for o in offers)

    def waiting(*networks: str) -> int:
        named = tuple(replace(o, network=name) for o, name in zip(offers, networks, strict=True))
        return Bands.of(replace(problem, offers=named, columns=columns)).waiting

    assert waiting("east", "east", "east", "east") == 3
    assert waiting("east", "east", "west", "west") == 2


def test_an_offer_of_a_network_with_a_link_is_refused() -> None:
    with pytest.raises(ValueError, match="offer 'a': of a network, east, it hands over within that"):
        replace(split(a="east"), links=(Link(source="a", target="b"),))
