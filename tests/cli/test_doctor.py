"""`hetops doctor` as a user calls it: what stands, what does not, and the exit code that scripts go by."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from hetops.domain import codec
from hetops.reports.doctor import Diagnosis, Group, Verdict
from hetops.stack.engine import ENGINE_VERSION
from tests.cli import process
from tests.cli.process import spec, told
from tests.cli.test_plugins import installed
from tests.doubles import programs

NEEDS_A_KEY = """
from hetops.plugin import CheckResult, ErrorKind, hookimpl

class Cloud:
    name = "cloud"
    capabilities = frozenset()

    def check(self, settings):
        return (CheckResult(subject="key", ok=False, detail="not set", fix="export CLOUD_KEY=...", kind=ErrorKind.AUTH),)

    async def fetch_offers(self, query):
        return ()

    async def quota(self, settings):
        return ()

@hookimpl
def register_providers():
    return [Cloud()]
"""


def hetops(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs hetops with the local plugin only, whatever clouds are installed and whatever keys the tester has."""
    return process.hetops(folder, *arguments, variables={"HETOPS_PLUGINS": "local", **(variables or {})})


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with an engine on its PATH and a cache of its own."""
    programs.pulumi(tmp_path / "bin" / "pulumi", ENGINE_VERSION)
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_where_all_is_well_it_says_so_and_ends_with_zero(machine: dict[str, str], tmp_path: Path) -> None:
    spec(tmp_path)
    run = hetops(tmp_path, "doctor", variables=machine)
    assert run.returncode == 0, run.stdout
    assert run.stdout.endswith("\nNothing is in the way.\n")
    headings = [line for line in run.stdout.splitlines() if line and not line.startswith(" ")][:-1]
    assert headings == [str(g) for g in Group if g not in (Group.CREDENTIALS, Group.PERMISSIONS)]
    assert run.stderr == ""


def test_a_missing_engine_is_a_fault_that_names_the_ways_to_get_one(tmp_path: Path) -> None:
    bare = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    run = hetops(tmp_path, "doctor", "engine", variables=bare)
    assert run.returncode == 1
    assert "fault  pulumi" in run.stdout
    assert "try: build one with `hetops doctor --fix`" in run.stdout
    assert "1 fault to mend: engine pulumi" in run.stdout


def test_only_the_groups_named_are_looked_at(tmp_path: Path) -> None:
    diagnosis = codec.decode(
        Diagnosis,
        hetops(tmp_path, "doctor", "clock", "spec", "--json").stdout,
        source="stdout",
    )
    assert [f.group for f in diagnosis.findings] == [Group.CLOCK, Group.SPEC]


def test_the_json_says_whether_all_is_well(machine: dict[str, str], tmp_path: Path) -> None:
    run = hetops(tmp_path, "doctor", "--json", variables=machine)
    document = told(run)
    assert (run.returncode, document["format"], document["ok"]) == (0, "hetops.doctor", True)
    (tmp_path / "hetops.toml").write_text("[deployment\n")
    run = hetops(tmp_path, "doctor", "spec", "--json")
    assert (run.returncode, told(run)["ok"]) == (1, False)


def test_missing_credentials_count_only_where_the_spec_needs_them(tmp_path: Path) -> None:
    installed(tmp_path / "site", "cloud", NEEDS_A_KEY)
    path = {"PYTHONPATH": str(tmp_path / "site"), "HETOPS_PLUGINS": "local,cloud"}
    without = hetops(tmp_path, "doctor", "providers", "--json", variables=path)
    assert without.returncode == 0
    (key,) = (f for f in told(without)["findings"] if f["subject"] == "cloud: key")
    assert key["verdict"] == Verdict.NOTE
    written = spec(tmp_path)
    written.write_text(written.read_text() + "\n[providers.cloud]\n")
    needed = hetops(tmp_path, "doctor", "providers", variables=path)
    assert needed.returncode == 3
    assert "credentials  cloud: key" in needed.stdout
    assert "try: export CLOUD_KEY=..." in needed.stdout


def test_fix_builds_what_is_missing_and_then_looks(tmp_path: Path) -> None:
    script = f"""\
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\n[ "$1" = version ] && echo v{ENGINE_VERSION}\\n' > "$2"
chmod +x "$2\""""
    programs.program(tmp_path / "bin" / "go", script)
    machine = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    run = hetops(tmp_path, "doctor", "--fix", "engine", variables=machine)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{ENGINE_VERSION}, {tmp_path / 'cache'}" in run.stdout
    assert "building the Pulumi engine" in run.stderr
    quiet = hetops(tmp_path, "-q", "doctor", "--fix", "engine", variables=machine)
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_fix_without_go_says_what_else_can_be_done(tmp_path: Path) -> None:
    bare = {"PATH": str(tmp_path / "empty"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    run = hetops(tmp_path, "doctor", "--fix", variables=bare)
    assert run.returncode == 1
    assert "no Go on PATH" in run.stderr
    assert "--download" in run.stderr
