"""What commands print with `--json` keeps to the schema that is published for it, on the whole road."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from hetops.app.schema import schema_of
from hetops.domain import codec
from tests.cli.process import hetops, spec, told
from tests.doubles.ports import free_port
from tests.solver.problems import small


def keeps(document: object, name: str) -> None:
    """The document is one of that format."""
    jsonschema.Draft202012Validator(schema_of(name)).validate(document)


@pytest.mark.parametrize(("command", "name"), [("plan", "plan"), ("explain", "explanation")])
def test_of_a_spec(command: str, name: str, tmp_path: Path) -> None:
    spec(tmp_path)
    keeps(told(hetops(tmp_path, command, "--json")), name)


@pytest.mark.parametrize(("command", "name"), [("solve", "solution"), ("explain", "explanation")])
def test_of_a_problem(command: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "problem.json").write_bytes(codec.encode(small()))
    keeps(told(hetops(tmp_path, command, "problem.json", "--json")), name)


def test_of_files_that_plan_writes(tmp_path: Path) -> None:
    spec(tmp_path)
    run = hetops(tmp_path, "plan", "-o", "plan.json", "--write-problem", "problem.json")
    assert run.returncode == 0, run.stderr
    for name in ("plan", "problem"):
        keeps(json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")), name)


@pytest.mark.road
def test_of_a_deployment_from_its_first_diff_to_its_end(tmp_path: Path) -> None:
    spec(tmp_path, ("port = 8080", f"port = {free_port()}"))
    try:
        keeps(told(hetops(tmp_path, "diff", "--json")), "diff")
        up = hetops(tmp_path, "up", "--yes", "--json")
        assert up.returncode == 0, up.stderr
        keeps(told(up), "up")
        for file, name in (("plan.json", "plan"), ("router/router.json", "router")):
            written = tmp_path / ".hetops" / "chat" / file
            keeps(json.loads(written.read_text(encoding="utf-8")), name)
        keeps(told(hetops(tmp_path, "status", "--json")), "status")
        keeps(told(hetops(tmp_path, "diff", "--json")), "diff")
    finally:
        down = hetops(tmp_path, "down", "--yes", "--json")
    keeps(told(down), "down")
    lines = (tmp_path / ".hetops" / "history" / "chat.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines
    for line in lines:
        keeps(json.loads(line), "history")
