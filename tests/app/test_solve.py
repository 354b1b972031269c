"""A problem file to an answer, as a user meets it: good, broken, and impossible."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.solve import solve_file, write_solution
from hetops.domain import codec
from hetops.errors import DocumentError, HetopsError, InfeasibleError
from hetops.solver.certify import certify
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from hetops.solver.solve import solve
from tests.solver.problems import TOY, many, small


def written(problem: Problem, folder: Path) -> Path:
    """The problem as a file."""
    path = folder / "problem.json"
    path.write_bytes(codec.encode(problem))
    return path


def test_a_file_is_solved_and_the_solution_file_can_be_checked_by_anyone(tmp_path: Path) -> None:
    solved = solve_file(written(TOY, tmp_path))
    write_solution(solved, tmp_path / "solution.json")
    read = codec.decode(Solution, (tmp_path / "solution.json").read_bytes(), source="test")
    assert read == solved.solution
    assert certify(TOY, read) == ()


def test_an_impossible_problem_names_the_smallest_relaxation(tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError) as caught:
        solve_file(written(small(budget_usd_per_hour=Decimal("4.9")), tmp_path))
    assert caught.value.exit_code == 6
    assert caught.value.hint == "raise the budget from 4.9 to 5 usd_per_hour"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[]", "expected a JSON object with format hetops.problem"),
        ('{"format": "hetops.plan"}', "format is 'hetops.plan', expected 'hetops.problem'"),
        ('{"format": "hetops.problem", "format_version": "2.0"}', "format_version '2.0' cannot be read"),
        ('{"format": "hetops.problem", "format_version": "1.0"}', "missing required field `offers`"),
        (
            '{"format": "hetops.problem", "format_version": "1.0", "offers": [{"id": 7}]}',
            "Expected `str`, got `int` - at `$.offers[0].id`",
        ),
    ],
)
def test_a_broken_file_is_named_with_its_fault(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        solve_file(path)
    assert caught.value.message.startswith(str(path))
    assert says in caught.value.message
    assert "write" in caught.value.hint, "what to do next"


def test_a_field_of_the_wrong_kind_or_name_does_not_pass_silently(tmp_path: Path) -> None:
    raw = json.loads(codec.encode(small()))
    raw["max_pool"] = raw.pop("max_pools")
    raw["columns"][1]["colour"] = "red"
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(raw))
    with pytest.raises(DocumentError, match=r"unknown field \$\.columns\[1\]\.colour$") as caught:
        solve_file(path)
    known = "known are offer, configuration, replicas_per_node, requests_per_second, usd_per_request"
    assert caught.value.hint
    assert caught.value.hint.startswith(known)
    assert caught.value.details == ("unknown field $.max_pool",)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match=r"problem .*nowhere\.json cannot be read: No such file"):
        solve_file(tmp_path / "nowhere.json")


def test_the_example_of_the_documentation_is_solved_as_it_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "solver.md").read_text()
    path = tmp_path / "problem.json"
    path.write_text(page.split("```json\n")[1].split("```")[0])
    solution = solve_file(path).solution
    assert "one node of each offer, 5 USD per hour" in page.replace("\n", " ")
    assert solution.usd_per_hour == 5
    assert [pool.nodes for pool in solution.pools] == [1, 1]


def test_the_documentation_names_every_field_of_a_problem() -> None:
    page = (Path(__file__).parents[2] / "docs" / "solver.md").read_text()
    assert [f.name for f in dataclasses.fields(Problem) if f.name not in page] == []


def test_what_would_let_a_fleet_exist_is_found_with_few_classes_and_said_to_be_maybe_less(
    tmp_path: Path,
) -> None:
    problem = dataclasses.replace(many(250, 6), budget_usd_per_hour=Decimal(8))
    with pytest.raises(InfeasibleError) as caught:
        solve_file(written(problem, tmp_path))
    budget = next(line for line in caught.value.details if "raise the budget from 8 to" in line)
    assert "maybe less" in budget
    needed = Decimal(budget.split(" to ")[1].split()[0])
    assert isinstance(solve(dataclasses.replace(problem, budget_usd_per_hour=needed)), Solution)
