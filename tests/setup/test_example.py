"""The third-party example: its own tests pass, it stays out of ours, and its offers reach a plan."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from hetops.plugin.testing import PROMISES
from tests.cli.process import hetops, spec, told
from tests.setup import third_party
from tests.setup.wheels import EXAMPLE, ROOT


@pytest.fixture
def cloud() -> Iterator[Any]:
    """The example's own cloud, answering."""
    with third_party.cloud() as answering:
        yield answering


def test_its_own_tests_pass_with_the_contract_suite_among_them() -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"),
            *("-c", ROOT / "pyproject.toml", "--rootdir", EXAMPLE, EXAMPLE / "tests"),
        ],
        cwd=EXAMPLE,
        env={**os.environ, "PYTHONPATH": str(EXAMPLE)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    passed = [line for line in run.stdout.splitlines() if line.startswith("PASSED ")]
    kept = {
        promise.__name__ for promise in PROMISES if any(f"[{promise.__name__}]" in line for line in passed)
    }
    assert kept == {promise.__name__ for promise in PROMISES}, "it is the sixth that keeps them all"


def test_it_is_no_part_of_ours() -> None:
    assert "hetops-example" not in {d.name for d in metadata.distributions()}
    assert "example" not in {p.name for p in metadata.entry_points(group="hetops")}


def test_it_imports_the_public_door_of_hetops_alone() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (EXAMPLE / "hetops_example").glob("*.py")]
    found = {
        name for text in texts for name in re.findall(r"^(?:from|import) (hetops[.\w]*)", text, re.MULTILINE)
    }
    assert found == {"hetops.plugin", "hetops_example.engine"}


def test_what_it_offers_is_listed_and_planned_with(cloud: Any, tmp_path: Path) -> None:
    variables = {"PYTHONPATH": third_party.on_path(tmp_path / "path"), **cloud.environment}
    spec(tmp_path, ("[providers.local]\nemulate = true", '[providers.example]\nregion = "south"'))
    offers = told(hetops(tmp_path, "offers", "--json", variables=variables))
    assert [o["offer"]["sku"] for o in offers["offers"]] == ["one-h100"]
    plan = told(hetops(tmp_path, "plan", "--json", variables=variables))
    assert [(p["offer"]["provider"], p["offer"]["gpu"]) for p in plan["pools"]] == [("example", "H100-SXM")]


@pytest.mark.road
def test_nothing_is_rented_for_an_engine_that_nobody_starts(cloud: Any, tmp_path: Path) -> None:
    variables = {"PYTHONPATH": third_party.on_path(tmp_path / "path"), **cloud.environment}
    spec(tmp_path, ("[providers.local]\nemulate = true", '[providers.example]\nregion = "south"'))
    run = hetops(tmp_path, "up", "--yes", "--json", variables=variables)
    assert run.returncode == told(run)["exit_code"] == 5
    assert "vllm: no plugin starts this engine, it can only be planned with" in run.stderr
    assert cloud.nodes == {}


def test_a_cloud_that_refuses_its_token_costs_its_own_offers_only(cloud: Any, tmp_path: Path) -> None:
    path = {"PYTHONPATH": third_party.on_path(tmp_path / "path")}
    variables = {**path, **cloud.environment, "EXAMPLE_CLOUD_TOKEN": "stolen"}
    spec(tmp_path, ("emulate = true", "emulate = true\n\n[providers.example]"))
    offers = told(hetops(tmp_path, "offers", "--json", variables=variables))
    assert {o["offer"]["provider"] for o in offers["offers"]} == {"local"}
    assert [s["provider"] for s in offers["sources"] if "the token is not ours" in str(s)] == ["example"]
