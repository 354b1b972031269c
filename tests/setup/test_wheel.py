"""The wheel alone: what travels in it, and that it plans and provisions without the checkout."""

from __future__ import annotations

import configparser
import json
import tomllib
import zipfile
from pathlib import Path

import pytest

from hetops import __version__
from tests.setup import third_party
from tests.setup.wheels import EXAMPLE, ROOT, Fresh, built, fresh

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
PLUGINS = PROJECT["project"]["entry-points"]["hetops"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ours."""
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """Ours, installed alone."""
    return fresh(tmp_path_factory.mktemp("fresh") / "environment", wheel)


def files(*folders: str) -> set[str]:
    """Files of the checkout's folders, as git would take them."""
    return {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_everything_that_hetops_reads_travels_in_the_wheel(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    code = {name.removeprefix("plugins/") for name in files(*PACKAGES)}
    bundled = {f"hetops/_bundled/{name}" for name in files("templates", "stacks", "plugins/hetops-example")}
    assert (code | bundled) - held == set()
    assert "hetops/_bundled/templates/project/hetops.toml" in held
    assert "hetops/catalog/data/instance_types.csv" in held


def test_nothing_else_travels_in_the_wheel(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    ours = {Path(package).name for package in PACKAGES}
    assert tops == {*ours, f"hetops-{__version__}.dist-info"}
    assert {module.partition(".")[0] for module in PLUGINS.values()} == ours - {"hetops"}


def test_the_wheel_says_its_licence_its_programs_and_its_plugins(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        information = f"hetops-{__version__}.dist-info"
        metadata = archive.read(f"{information}/METADATA").decode()
        licence = archive.read(f"{information}/licenses/LICENSE").decode()
        points = configparser.ConfigParser()
        points.read_string(archive.read(f"{information}/entry_points.txt").decode())
    assert "License-Expression: Apache-2.0" in metadata
    assert "Apache License" in licence
    assert set(points["console_scripts"]) == {"hetops", "pulumi-resource-hetops"}
    assert dict(points["hetops"]) == PLUGINS
    assert "local" in PLUGINS
    assert "# hetops" in metadata, "the README is its description"


def test_the_wheel_alone_writes_a_spec_and_plans_it(installed: Fresh, tmp_path: Path) -> None:
    where = installed.run("python", "-c", "import hetops; print(hetops.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.packages), where.stderr
    for arguments in (("init", "--name", "alone"), ("plan", "--offline", "-o", "plan.json")):
        run = installed.run("hetops", *arguments, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert plan["deployment"] == "alone"
    assert plan["pools"]
    plugins = json.loads(installed.run("hetops", "plugins", "--json", cwd=tmp_path).stdout)["plugins"]
    assert {p["name"]: p["error"] for p in plugins} == dict.fromkeys(PLUGINS, "")


def test_the_wheel_alone_writes_a_plugin_to_begin_with(installed: Fresh, tmp_path: Path) -> None:
    run = installed.run("hetops", "plugins", "new", "acme", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "hetops-acme" / "hetops_acme" / "provider.py").is_file()


@pytest.mark.road
@pytest.mark.slow
def test_the_wheel_alone_brings_a_fleet_up_and_down(installed: Fresh, tmp_path: Path) -> None:
    assert installed.run("hetops", "init", "--name", "alone", cwd=tmp_path).returncode == 0
    with (tmp_path / "hetops.toml").open("a+", encoding="utf-8") as file:
        file.seek(0)
        text = file.read().replace("port = 8080", "port = 18471")
        file.truncate(0)
        file.write(text)
    try:
        up = installed.run("hetops", "up", "--yes", cwd=tmp_path)
        assert up.returncode == 0, up.stdout + up.stderr
        status = installed.run("hetops", "status", cwd=tmp_path)
        assert status.returncode == 0, status.stdout + status.stderr
    finally:
        down = installed.run("hetops", "down", "--yes", cwd=tmp_path)
    assert down.returncode == 0, down.stdout + down.stderr


@pytest.fixture(scope="module")
def both(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    """Ours with the third-party example beside it, each from its own wheel."""
    theirs = built(EXAMPLE, tmp_path_factory.mktemp("dist"))
    return fresh(tmp_path_factory.mktemp("both") / "environment", wheel, theirs)


def test_a_provider_in_a_wheel_of_its_own_is_found_beside_ours(both: Fresh, tmp_path: Path) -> None:
    said = json.loads(both.run("hetops", "plugins", "--json", cwd=tmp_path).stdout)["plugins"]
    assert [(p["distribution"], p["brings"], p["error"]) for p in said if p["name"] == "example"] == [
        ("hetops-example", ["engine example", "provider example"], "")
    ]


def test_a_provider_in_a_wheel_of_its_own_is_planned_with(both: Fresh, tmp_path: Path) -> None:
    third_party.spec(tmp_path, "example", port=18472)
    with third_party.cloud() as cloud:
        run = both.run("hetops", "plan", "--json", cwd=tmp_path, variables=cloud.environment)
    assert run.returncode == 0, run.stderr
    (pool,) = json.loads(run.stdout)["pools"]
    assert (pool["offer"]["provider"], pool["offer"]["basis"]) == ("example", "live")


@pytest.mark.road
@pytest.mark.slow
def test_a_fleet_comes_up_and_goes_at_a_provider_in_a_wheel_of_its_own(both: Fresh, tmp_path: Path) -> None:
    third_party.spec(tmp_path, "example", port=18473)
    with third_party.cloud() as cloud:
        try:
            up = both.run("hetops", "up", "--yes", "--json", cwd=tmp_path, variables=cloud.environment)
            assert up.returncode == 0, up.stderr
            (node,) = cloud.nodes.values()
            assert node["labels"] == {
                "by": "hetops",
                "deployment": "elsewhere",
                "pool": node["labels"]["pool"],
            }
            assert json.loads(up.stdout)["probe"]["output_tokens"] == 1, (
                "through the router, to its container"
            )
        finally:
            down = both.run("hetops", "down", "--yes", cwd=tmp_path, variables=cloud.environment)
        assert (down.returncode, cloud.nodes) == (0, {}), down.stderr
