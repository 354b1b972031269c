"""Shares leave every pool as much room as the others allow, at every level and not only the fullest."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from hetops.errors import HetopsError
from hetops.solver.answers.balance import balance
from hetops.solver.problem import Problem
from tests.solver.problems import column, demands, offer, small


def utilisation(problem: Problem, nodes: Mapping[tuple[str, str], int]) -> dict[str, float]:
    """Utilisation by offer."""
    columns = {c.key: c for c in problem.columns}
    rates = {c.name: c.requests_per_second for c in problem.classes}
    loads = {key[0]: 0.0 for key in nodes}
    for (name, key), share in balance(problem, nodes).shares.items():
        loads[key[0]] += share * rates[name] / columns[key].rate(name) / nodes[key]
    return loads


def three(**rates: float) -> Problem:
    """Three equal offers; `video` runs on the first alone."""
    return Problem(
        offers=tuple(offer(name, "1") for name in "abc"),
        configurations=("tp1",),
        classes=demands(**rates),
        columns=(column("a", chat=1.0, video=1.0), column("b", chat=1.0), column("c", chat=2.0)),
    )


def test_equal_pools_are_equally_full() -> None:
    problem = three(chat=1.2, video=0.0)
    loads = utilisation(problem, {("a", "tp1"): 1, ("b", "tp1"): 1, ("c", "tp1"): 1})
    assert loads == pytest.approx({"a": 0.3, "b": 0.3, "c": 0.3})


def test_pools_below_the_fullest_are_levelled_too() -> None:
    """`video` fills `a` to 90 % whatever is done; `chat` is spread over the others, not left to one of them."""
    problem = three(chat=0.9, video=0.9)
    loads = utilisation(problem, {("a", "tp1"): 1, ("b", "tp1"): 1, ("c", "tp1"): 1})
    assert loads == pytest.approx({"a": 0.9, "b": 0.3, "c": 0.3}, abs=1e-5)


def test_more_nodes_take_more() -> None:
    problem = three(chat=1.5, video=0.0)
    loads = utilisation(problem, {("a", "tp1"): 3, ("c", "tp1"): 1})
    assert loads == pytest.approx({"a": 0.3, "c": 0.3})


def test_shares_add_up_to_exactly_one() -> None:
    problem = three(chat=1.0, video=0.1)
    shares = balance(problem, {("a", "tp1"): 1, ("b", "tp1"): 1, ("c", "tp1"): 1}).shares
    assert sum(Decimal(repr(s)) for (name, _), s in shares.items() if name == "chat") == 1


def test_too_few_nodes_are_told_by_a_level_above_one() -> None:
    assert balance(three(chat=3.0, video=0.0), {("b", "tp1"): 2}).fullest == pytest.approx(1.5)


def test_headroom_counts() -> None:
    problem = small(headroom=0.5)
    assert balance(problem, {("cheap", "tp1"): 1, ("fast", "tp1"): 1}).fullest == pytest.approx(2.0)


def test_a_fleet_that_cannot_serve_a_class_is_an_error() -> None:
    with pytest.raises(HetopsError, match="cannot serve every class"):
        balance(three(chat=1.0, video=1.0), {("b", "tp1"): 1})
