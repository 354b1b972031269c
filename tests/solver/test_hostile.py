"""Whatever a problem file holds, what comes of it is a certified answer or an error of ours."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.solve import read_problem, solve_file
from hetops.domain import codec
from hetops.errors import DocumentError, HetopsError
from hetops.reports import solution as report
from hetops.solver.problem import Mode
from hetops.solver.reach import beyond_reach
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import PROOF_GAP, Effort, solve
from hetops.solver.terms import Period, Service
from tests.solver.hostile import spoilt
from tests.solver.problems import column, demands, hard, many, small
from tests.solver.woven import woven

BRIEFLY = Effort(limit_seconds=3.0, most_gap=PROOF_GAP)


def ends(path: Path, seeds: range) -> Counter[str]:
    """How many problems end how; every answer is checked by `solve`, written and printed."""
    ended: Counter[str] = Counter()
    for seed in seeds:
        path.write_text(spoilt(seed), encoding="utf-8")
        try:
            solved = solve_file(path, effort=BRIEFLY)
        except HetopsError as error:
            ended["riddle" if "report this" in error.hint else type(error).__name__] += 1
        else:
            assert report.as_text(solved.problem, solved.solution), seed
            assert codec.encode(solved.solution), seed
            ended["answer"] += 1
    assert not ended["riddle"]
    return ended


def test_a_spoilt_problem_is_answered_or_refused(tmp_path: Path) -> None:
    ended = ends(tmp_path / "problem.json", range(80))
    assert min(ended["answer"], ended["DocumentError"], ended["InfeasibleError"]) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 5000, 1000))
def test_thousands_are(tmp_path: Path, first: int) -> None:
    ends(tmp_path / "problem.json", range(first, first + 1000))


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("usd_per_hour", "1e300", "$.offers[0].usd_per_hour: 1e+300"),
        ("usd_per_hour", "1e-10", "$.offers[0].usd_per_hour: 1e-10"),
        ("max_nodes", 10**13, "$.offers[0].max_nodes: 1.00e+13"),
        ("quota_per_node", {"q": "1e20"}, "$.offers[0].quota_per_node[q]: 1e+20"),
    ],
)
def test_a_number_that_nobody_can_reckon_with_is_named(
    tmp_path: Path, field: str, value: object, where: str
) -> None:
    document = json.loads(codec.encode(small()))
    document["quota_groups"] = [{"id": "q", "limit": "3"}]
    document["offers"][0][field] = value
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_problem(path)
    assert caught.value.message.startswith(f"{path}: {where}")
    assert caught.value.message.endswith("0, or from 1e-09 to 1e+12")


@pytest.mark.parametrize("times", [1e4, 1e7, 1e9])
def test_millions_of_times_what_can_be_had_are_no_riddle_to_the_solver(times: float) -> None:
    problem = hard(offers=6, configurations=3, classes=4)
    classes = tuple(replace(c, requests_per_second=c.requests_per_second * times) for c in problem.classes)
    assert isinstance(solve(replace(problem, classes=classes)), Infeasible)


def test_the_largest_rate_keeps_to_shares_where_it_is_next_to_nothing() -> None:
    """A service that takes half a token a second serves a thousandth of what asks; limits on shares hold of that."""
    problem = woven(38)
    (service,) = problem.services
    outcome = solve(replace(problem, services=(replace(service, max_tokens_per_second=0.5),)), effort=BRIEFLY)
    assert isinstance(outcome, Solution)
    assert 0 < outcome.requests_per_second < 0.01


def test_a_class_that_loads_a_node_by_next_to_nothing_is_told_of(tmp_path: Path) -> None:
    problem = small(
        mode=Mode.MAX_THROUGHPUT,
        classes=demands(chat=2.0, code=4e-9),
        columns=(column("cheap", chat=2.0), column("fast", code=40.0)),
        services=(Service(id="api", usd_per_request={"chat": Decimal("0.1")}, max_requests_per_second=1.0),),
    )
    path = tmp_path / "problem.json"
    path.write_bytes(codec.encode(problem))
    with pytest.raises(HetopsError, match="takes less of a node than the solver can tell from nothing"):
        solve_file(path, effort=BRIEFLY)


def test_a_part_that_the_solver_cannot_tell_from_nothing_is_refused() -> None:
    """Of a hundred million parts one is 1e-8 of a node, as good as none of which nobody pays for."""
    cheap, fast = small().columns
    with pytest.raises(ValueError, match="nodes in lots of 1 and 20000 parts each make 20000 in a lot"):
        small(columns=(replace(cheap, parts_per_node=20000), fast))
    lots = tuple(replace(o, lot_nodes=500) for o in small().offers)
    with pytest.raises(ValueError, match="make 11000 in a lot, more than 10000"):
        small(columns=(replace(cheap, parts_per_node=22), fast), offers=lots)


def test_ordinary_numbers_are_within_reach() -> None:
    assert not list(beyond_reach(small()))
    assert not list(beyond_reach(many(40, 12)))


def test_a_period_next_to_the_window_is_long_enough_to_serve_in() -> None:
    periods = (Period(name="day", hours=24.0), Period(name="blink", hours=1e-6))
    with pytest.raises(ValueError, match="period 'blink': hours 1e-06 are under a millionth of all 24"):
        small(periods=periods)
