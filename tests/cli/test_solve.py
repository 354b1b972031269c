"""`hetops solve` and `hetops explain` as a user calls them."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

from click.testing import CliRunner

from hetops.cli.explain import command as explain
from hetops.cli.solve import command as solve
from hetops.domain import codec
from hetops.errors import InfeasibleError
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution
from tests.solver.problems import TOY, small


def written(problem: Problem, folder: Path) -> str:
    """The problem as a file."""
    path = folder / "problem.json"
    path.write_bytes(codec.encode(problem))
    return str(path)


def test_solve_prints_the_fleet_and_writes_the_solution(tmp_path: Path) -> None:
    target = tmp_path / "solution.json"
    done = CliRunner().invoke(solve, [written(TOY, tmp_path), "-o", str(target)])
    assert done.exit_code == 0
    assert "Total $8.00 /h · $5,840 /month (730 h)" in done.stdout
    assert codec.decode(Solution, target.read_bytes(), source="test").usd_per_hour == 8


def test_solve_prints_json_that_reads_back(tmp_path: Path) -> None:
    done = CliRunner().invoke(solve, [written(small(), tmp_path), "--json"])
    assert codec.decode(Solution, done.stdout, source="test").usd_per_hour == 5


def test_solve_of_an_impossible_problem_ends_with_the_infeasible_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(solve, [written(small(budget_usd_per_hour=Decimal(1)), tmp_path)])
    assert isinstance(done.exception, InfeasibleError)
    assert done.stdout == ""


def test_explain_prints_the_losers(tmp_path: Path) -> None:
    done = CliRunner().invoke(explain, [written(small(), tmp_path)])
    assert re.search(r"only fast +\$8\.00 +\+60 %", done.stdout)
    raw = json.loads(CliRunner().invoke(explain, [written(small(), tmp_path), "--json"]).stdout)
    assert {a["description"] for a in raw["alternatives"]} >= {"only fast", "without provider other"}
