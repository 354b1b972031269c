"""stacks/fleet as people use it: `pulumi up` on a plan file, without our command line.

The engine, the program, the SDK, the resource provider, the nodes and the router are real; only the launcher of
Python programs, which the engine's vendor ships beside it, is a small double.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from hetops import bundled
from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.stack.engine import choose_engine
from hetops.stack.inputs import FleetInputs
from tests.doubles import language_host
from tests.doubles.plans import plan
from tests.doubles.ports import free_port
from tests.stack.places import FAST, SMALL, Place, placed, routed

pytestmark = pytest.mark.road


class Project:
    """A copy of the project, its state beside it, and the command line `pulumi`."""

    def __init__(self, root: Path, place: Place) -> None:
        self.place = place
        self.folder = root / "fleet"
        self.engine = choose_engine(os.environ)
        shutil.copytree(bundled.folder("stacks") / "fleet", self.folder)
        language_host.on_path(root / "bin")
        (root / "state").mkdir()
        path = (root / "bin", Path(sys.executable).parent, self.engine.path.parent, os.environ["PATH"])
        self._environment = {
            "PATH": ":".join(map(str, path)),
            "HOME": str(root),
            "HETOPS_STATE": str(place.home.root),
            "PULUMI_HOME": str(root / "home"),
            "PULUMI_BACKEND_URL": f"file://{root / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command as people type it, in the project's folder."""
        return subprocess.run(
            [str(self.engine.path), "--non-interactive", *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """What a command says that must succeed."""
        ended = self.pulumi(*arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        told: dict[str, Any] = json.loads(self.done("stack", "output", "--json"))
        return told


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with an empty stack; whatever it leaves running is ended."""
    with placed(tmp_path) as place:
        made = Project(tmp_path, place)
        made.done("stack", "init", "dev")
        yield made


def test_pulumi_up_makes_a_plan_file_real_and_destroy_removes_it(project: Project) -> None:
    port = free_port()
    (project.folder / "plan.json").write_bytes(codec.encode(SMALL))
    project.done("config", "set", "hetops:plan", "plan.json")
    project.done("config", "set", "hetops:router-port", str(port))
    said = project.done("up", "--yes", "--skip-preview")
    assert "hetops:index:Pool" in said

    outputs = project.outputs()
    assert codec.decode(Plan, outputs["plan"], source="outputs") == SMALL
    assert outputs["router_url"] == f"http://127.0.0.1:{port}"
    endpoints = [e for pool in outputs["pools"].values() for e in pool["endpoints"]]
    assert [httpx.get(f"{e}/health").status_code for e in endpoints] == [200, 200]
    assert httpx.get(f"{outputs['router_url']}/health").json()["healthy_endpoints"] == 2
    project.done("preview", "--expect-no-changes")

    project.done("destroy", "--yes", "--skip-preview")
    assert project.place.running() == {}


def test_inputs_carry_engine_settings_and_a_mistake_in_them_is_told_in_our_words(project: Project) -> None:
    inputs = routed(project.place, FleetInputs(plan=plan(l4_nodes=1), engines=FAST), free_port())
    document = project.folder / "inputs.json"
    document.write_bytes(codec.encode(inputs))
    project.done("config", "set", "hetops:inputs", "inputs.json")
    assert "hetops:index:Router" in project.done("preview")

    document.write_bytes(codec.encode(replace(inputs, engines={"emulator": {"sped": 2}})))
    refused = project.pulumi("preview")
    assert refused.returncode != 0
    assert "engine.settings.emulator has no field 'sped'" in refused.stdout
    assert "did you mean 'speed'?" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr

    document.write_text(codec.encode(inputs).decode().replace('"router"', '"rooter"', 1))
    misspelt = project.pulumi("preview").stdout
    assert "unknown field $.rooter" in misspelt
    assert project.place.running() == {}


def test_without_a_plan_the_missing_setting_is_named(project: Project) -> None:
    refused = project.pulumi("preview")
    assert refused.returncode != 0
    assert "hetops:plan" in refused.stdout
