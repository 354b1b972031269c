"""Set-up stands in the Makefile alone: its targets, what continuous integration runs, what it says when something lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.process import hetops
from tests.doubles.programs import program

ROOT = Path(__file__).parents[2]
TARGETS = (
    *("environment", "engine", "lint", "test", "test-all", "demo", "docs", "lock", "wheel", "clean"),
    *("benchmark-solver", "benchmark-performance"),
)


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """GNU make in a folder, away from any make that runs the tests."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def fresh_clone(tmp_path: Path) -> Path:
    """The files that set-up reads, and no environment."""
    for name in ("Makefile", "pyproject.toml", "requirements"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    return tmp_path


def test_make_alone_lists_every_target() -> None:
    run = make(ROOT)
    assert run.returncode == 0
    assert [line.split()[1] for line in run.stdout.splitlines()[:2]] == ["demo", "test"]
    assert {line.split()[1] for line in run.stdout.splitlines()} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_known_to_make_whatever_files_there_are(target: str) -> None:
    run = make(ROOT, "--dry-run", target)
    assert run.returncode == 0, run.stderr
    (phony,) = re.findall(
        r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert target in phony.split()


def test_make_test_checks_style_types_imports_and_runs_the_tests() -> None:
    plan = make(ROOT, "--dry-run", "test").stdout
    for program_ in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest -m 'not slow'"):
        assert program_ in plan


def test_continuous_integration_runs_make_test_and_nothing_else() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [
        line for line in script.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")
    ]
    assert lines[-1] == "exec make test"
    assert len(lines) == 3


def test_without_a_python_the_message_says_what_to_install(fresh_clone: Path) -> None:
    run = make(fresh_clone, "environment", "PYTHON=no-such-python")
    assert run.returncode != 0
    assert "hetops needs Python 3.11 or newer, and no-such-python is not on PATH" in run.stderr
    assert not (fresh_clone / ".venv").exists()


def test_an_old_python_is_named_with_its_version(fresh_clone: Path) -> None:
    lie = "import sys; sys.version_info = (3, 10, 1); sys.version = '3.10.1 (main)'; exec(sys.argv[1])"
    old = program(fresh_clone / "old-python", f'exec {sys.executable} -c "{lie}" "$2"')
    run = make(fresh_clone, "environment", f"PYTHON={old}")
    assert run.returncode != 0
    assert "hetops needs Python 3.11 or newer" in run.stderr
    assert "is 3.10.1" in run.stderr
    assert not (fresh_clone / ".venv").exists()


def test_without_an_engine_and_without_go_the_message_says_what_to_install(tmp_path: Path) -> None:
    nowhere = {
        "PATH": str(tmp_path / "bin"),
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    run = hetops(tmp_path, "doctor", "engine", "--fix", variables=nowhere)
    assert run.returncode == 1
    assert re.search(r"install Go|Go 1\.\d+", run.stderr), run.stderr
    assert "--download" in run.stderr or "pulumi" in run.stderr.lower()
