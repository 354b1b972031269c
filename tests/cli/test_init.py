"""`hetops init` writes what can be planned at once, and never over what is there."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import tomli

from hetops.app.init import DEFAULT_MODEL
from hetops.cli.init import command
from hetops.spec.load import load
from tests.cli.process import hetops, told


def test_the_written_spec_is_sound_and_its_first_line_names_a_schema_that_it_keeps(tmp_path: Path) -> None:
    run = hetops(tmp_path, "init", "--name", "chat")
    path = tmp_path / "hetops.toml"
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{path}\n", "Edit it, then: hetops plan\n")
    assert load(path).spec.deployment.name == "chat"
    first, *_ = path.read_text(encoding="utf-8").splitlines()
    named = tmp_path / first.removeprefix("#:schema ")
    validator = jsonschema.Draft202012Validator(json.loads(named.read_text(encoding="utf-8")))
    raw = tomli.loads(path.read_text(encoding="utf-8"))
    validator.validate(raw)
    assert not validator.is_valid({**raw, "budgt": {}})


def test_every_line_that_is_commented_out_is_sound_as_well(tmp_path: Path) -> None:
    hetops(tmp_path, "init", "--name", "chat")
    path = tmp_path / "hetops.toml"
    text = path.read_text(encoding="utf-8")
    for line in (
        "precisions",
        "[budget]",
        "usd_per_hour = 20",
        "[providers.aws]",
        "usd_per_hour = 10",
        "gpus",
        "regions",
    ):
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    path.write_text(text, encoding="utf-8")
    loaded = load(path).spec
    assert loaded.budget.usd_per_hour == 20
    assert loaded.providers["aws"] == {"usd_per_hour": 10}
    assert hetops(tmp_path, "offers", "--offline").returncode == 0


def test_a_spec_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "hetops.toml"
    path.write_text("mine")
    run = hetops(tmp_path, "init")
    assert run.returncode == 1
    assert f"{path} exists and is not overwritten" in run.stderr
    assert path.read_text() == "mine"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "hetops.toml").symlink_to(tmp_path / "elsewhere")
    assert hetops(tmp_path, "init").returncode == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("My Fleet_2", "my-fleet-2"),
        ("2026-chat", "chat"),
        ("__", "fleet"),
        ("x" * 40, "x" * 32),
        ("über", "ber"),
    ],
)
def test_the_deployment_is_called_after_its_folder(folder: str, name: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    assert told(hetops(tmp_path / folder, "init", "--json"))["deployment"] == name
    assert load(tmp_path / folder / "hetops.toml").spec.deployment.name == name


@pytest.mark.parametrize("options", [("-o", "there"), ("--output", "there/hetops.toml"), ("-f", "there")])
def test_another_place_can_be_named(options: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    run = hetops(tmp_path, "init", *options)
    assert run.stdout == "there/hetops.toml\n"
    assert load(tmp_path / "there" / "hetops.toml").spec.deployment.name == "there"
    assert (tmp_path / "there" / ".hetops" / "schema.json").exists()


def test_the_schema_lies_where_the_state_root_was_put(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    hetops(tmp_path / "project", "init", variables={"HETOPS_STATE": str(tmp_path / "state")})
    assert (tmp_path / "project" / "hetops.toml").read_text().startswith("#:schema ../state/schema.json\n")
    assert (tmp_path / "state" / "schema.json").exists()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--model", "llama-3.1-8B"), 1, "did you mean 'llama-3.1-8b'"),
        (("--name", "Chat"), 64, "'Chat' cannot name a deployment"),
        (("--name", "9to5"), 64, "'9to5' cannot name a deployment"),
        (("--name", "history"), 64, "'history' cannot name a deployment"),
        (("--output", "no/such/hetops.toml"), 1, "mkdir -p no/such"),
    ],
)
def test_what_cannot_be_written_is_refused_with_a_way_out(
    options: tuple[str, str], code: int, says: str, tmp_path: Path
) -> None:
    run = hetops(tmp_path, "init", *options)
    assert run.returncode == code
    assert says in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_help_and_the_use_case_name_the_same_model() -> None:
    (option,) = (p for p in command.params if p.name == "model")
    assert option.default == DEFAULT_MODEL
