"""What may be loaded before there is work: `--help` needs click and the standard library, planning never needs Pulumi."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

COMMANDS = sorted(p.stem for p in (ROOT / "hetops" / "cli").glob("*.py") if p.stem != "__init__")

HEAVY = frozenset(
    {"pulumi", "grpc", "google", "boto3", "botocore", "pulumi_aws", "pulumi_gcp", "xllamacpp", "ortools"}
)
"""Seconds to load, or of no use to who only plans."""

REPORT = """
import atexit, os, sys
names = sorted({name.partition(".")[0] for name in sys.modules})
os.write(3, "\\n".join(names).encode())
"""


def loaded(code: str, folder: Path, *argv: str) -> frozenset[str]:
    """Top-level modules that a fresh interpreter holds after the code, less what any interpreter holds here."""
    bare = _modules("", folder)
    return _modules(code, folder, *argv) - bare - sys.stdlib_module_names - {"hetops"}


def _modules(code: str, folder: Path, *argv: str) -> frozenset[str]:
    target = folder / "modules"
    script = f"""
import atexit, sys, pathlib
atexit.register(lambda: pathlib.Path({str(target)!r}).write_text(" ".join({{n.partition(".")[0] for n in sys.modules}})))
{code}
"""
    run = subprocess.run(
        [sys.executable, "-c", script, *argv],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in run.stderr, run.stderr
    return frozenset(target.read_text(encoding="utf-8").split())


@pytest.mark.parametrize("module", COMMANDS)
def test_a_command_module_loads_click_and_the_standard_library_only(module: str, tmp_path: Path) -> None:
    assert loaded(f"import hetops.cli.{module}", tmp_path) <= {"click"}


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"], ["offers", "--help"]], ids=" ".join)
def test_help_loads_click_and_the_standard_library_only(arguments: list[str], tmp_path: Path) -> None:
    assert loaded("from hetops.cli.main import main; main()", tmp_path, *arguments) <= {"click"}


@pytest.mark.parametrize("arguments", [["plan"], ["offers"], ["doctor", "spec", "clock"]], ids=" ".join)
def test_who_plans_loads_neither_pulumi_nor_a_cloud_sdk(arguments: list[str], tmp_path: Path) -> None:
    start = "from hetops.cli.main import main; main()"
    _modules(start, tmp_path, "init")
    modules = loaded(start, tmp_path, *arguments)
    assert "msgspec" in modules, "the command did run"
    assert not HEAVY & modules


def test_loading_the_plugins_loads_neither_pulumi_nor_a_cloud_sdk_nor_an_http_client(tmp_path: Path) -> None:
    load = "from hetops.plugin.manager import load; print([s.error for s in load().statuses if s.error])"
    assert not (HEAVY | {"httpx"}) & loaded(load, tmp_path)


def test_the_estimator_loads_numpy_and_the_standard_library_only_and_no_catalogue(tmp_path: Path) -> None:
    code = "import sys, hetops.performance.table; assert not [m for m in sys.modules if 'catalog' in m]"
    assert loaded(code, tmp_path) <= {"numpy"}


def test_importing_the_closed_form_loads_the_standard_library_only(tmp_path: Path) -> None:
    code = "import sys, hetops.performance.estimate; assert not [m for m in sys.modules if 'catalog' in m or m in ('decimal', 'numpy')]"
    assert loaded(code, tmp_path) == frozenset()
