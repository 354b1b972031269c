"""The plan file that `up` and `diff` are given is checked before anything else is looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetops.app.day_file import read_plan
from hetops.app.plan import make_plan, write_plan
from hetops.errors import PolicyError
from tests.cli.process import hetops, told
from tests.doubles import specs


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """A plan file, as `hetops plan -o` writes it."""
    path = tmp_path / "plan.json"
    write_plan(make_plan(specs.asked(tmp_path)), path)
    return path


def test_a_plan_file_reads_back(path: Path) -> None:
    assert read_plan(path, specs.asked(path.parent)).pools


def test_a_plan_that_was_edited_by_hand_is_refused_with_the_rule_that_it_breaks(path: Path) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["pools"][0]["nodes"] += 1
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        read_plan(path, specs.asked(path.parent))
    assert "does not check: it breaks capacity" in caught.value.message
    assert caught.value.hint == f"make it anew: hetops plan -o {path}"


@pytest.mark.parametrize("command", ["up", "diff"])
def test_the_commands_refuse_it_before_they_touch_anything(command: str, path: Path) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["shares"][0]["share"] = 0.5
    path.write_text(json.dumps(raw), encoding="utf-8")
    run = hetops(path.parent, command, "plan.json", "--json")
    assert (run.returncode, told(run)["kind"]) == (5, "PolicyError")
    assert not (path.parent / ".hetops" / "chat").exists()
