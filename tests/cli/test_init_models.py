"""What `hetops init` writes can be planned at once, whatever the model; what nothing can serve is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hetops.catalog import tables
from hetops.cli.main import hetops
from hetops.errors import InfeasibleError

CATALOG = tables.load()
WITHOUT_WEIGHTS = {"tiny-llama"}
SERVED = [m.name for m in CATALOG.models if m.name not in WITHOUT_WEIGHTS]
EXTREMES = ("gemma-3-270m", "gpt-j-6b", "llama-2-70b", "kimi-k2", "gpt-oss-120b")
"""The smallest, on the host's cores; the shortest context; one in between; the largest; one whose makers published four bits."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(hetops, arguments)


def planned(model: str) -> str:
    assert run("init", "--name", "chat", "--model", model).exit_code == 0
    found = run("plan", "--offline")
    assert found.exit_code == 0, found.exception
    return found.stdout


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("model", EXTREMES)
def test_the_extremes_of_the_catalogue_are_planned_as_init_writes_them(model: str) -> None:
    assert f"chat: {model}, " in planned(model)


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("model", [m for m in SERVED if m not in EXTREMES])
def test_every_model_of_the_catalogue_is_planned_as_init_writes_it(model: str) -> None:
    assert f"chat: {model}, " in planned(model)


@pytest.mark.parametrize("model", sorted(WITHOUT_WEIGHTS))
def test_a_model_whose_weights_nobody_knows_is_refused_and_nothing_is_written(
    model: str, folder: Path
) -> None:
    fault = run("init", "--model", model).exception
    assert isinstance(fault, InfeasibleError)
    assert f"no engine can serve {model}" in fault.message
    assert "--model" in fault.hint
    assert "gguf" in fault.hint
    assert list(folder.iterdir()) == []
