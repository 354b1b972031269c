"""A fleet that can be planned with and not brought up: `plan` shows it, `diff` and `up` say why they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.process import hetops, told
from tests.doubles import specs


@pytest.mark.parametrize("command", [["diff"], ["up", "-y"]], ids=" ".join)
def test_an_engine_that_nothing_starts_is_refused_before_anything_is_made(
    command: list[str], tmp_path: Path
) -> None:
    specs.written(tmp_path)
    only_ours = {"HETOPS_PLUGINS": "local"}
    assert hetops(tmp_path, "plan", variables=only_ours).returncode == 0
    run = hetops(tmp_path, *command, "--json", variables=only_ours)
    assert run.returncode == 5
    assert told(run)["kind"] == "PolicyError"
    assert not list(tmp_path.glob(".hetops/chat/nodes/*"))
