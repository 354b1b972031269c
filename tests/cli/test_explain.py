"""`hetops explain` as a user calls it: with a file as ever, with a question, and wrongly."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hetops.cli.explain import QUESTIONS, command
from hetops.domain import codec
from hetops.errors import HetopsError, UsageError
from hetops.solver.problem import Problem
from hetops.solver.questions.explanation import Explanation, Question
from tests.solver.problems import small


def written(problem: Problem, folder: Path) -> str:
    """The problem as a file."""
    path = folder / "problem.json"
    path.write_bytes(codec.encode(problem))
    return str(path)


def called(*arguments: str) -> Result:
    """The command's end."""
    return CliRunner().invoke(command, list(arguments))


def test_every_question_of_the_solver_can_be_asked() -> None:
    assert set(QUESTIONS) == set(Question)


def test_a_file_alone_asks_why_as_it_always_did(tmp_path: Path) -> None:
    path = written(small(), tmp_path)
    alone = called(path)
    assert alone.exit_code == 0
    assert "* The fleet costs $5.00 per hour" in alone.stdout
    assert "only fast" in alone.stdout
    assert "* The fleet costs $5.00 per hour" in called("why", "--problem", path).stdout


def test_a_question_with_a_name_is_answered(tmp_path: Path) -> None:
    path = written(small(), tmp_path)
    assert "All of chat on fast would cost $3.00 per hour more. [5 -> 8 $/h]" in (
        called("class", "chat", "--problem", path).stdout
    )


def test_why_there_is_no_fleet_is_an_answer_and_no_error(tmp_path: Path) -> None:
    done = called("infeasible", "--problem", written(small(budget_usd_per_hour=Decimal("4.9")), tmp_path))
    assert done.exit_code == 0
    assert "Raise the budget from 4.9 to 5 usd_per_hour: then a fleet exists" in done.stdout


def test_json_is_an_explanation_that_reads_back(tmp_path: Path) -> None:
    done = called("breakeven", "--problem", written(small(), tmp_path), "--json")
    told = codec.decode(Explanation, done.stdout, source="test")
    assert told.question is Question.BREAKEVEN
    assert [s.subject for s in told.statements] == ["cheap", "fast"]
    assert json.loads(done.stdout)["statements"][0]["usd_per_hour"] == "4.000000"


@pytest.mark.parametrize("arguments", [("whynot", "L4"), ("why-nto",), ("clas",), ("everything",)])
def test_a_question_that_is_none_is_told_what_can_be_asked(arguments: tuple[str, ...]) -> None:
    done = called(*arguments)
    assert isinstance(done.exception, UsageError)
    assert done.exception.hint == "ask why, why-not, infeasible, breakeven or class, or name a problem file"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = called(str(tmp_path / "nowhere.json"))
    assert isinstance(done.exception, HetopsError)
    assert "nowhere.json cannot be read" in done.exception.message
