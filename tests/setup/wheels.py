"""Wheels built from the checkout, and fresh environments that hold them and nothing else of ours.

No network: what a wheel depends on comes from the environment that runs the tests, by links to each of its packages. The
checkout is not among them, so a file that the wheel lacks is not found.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "plugins" / "hetops-example"
BIN = Path(sys.executable).parent
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def built(project: Path, folder: Path) -> Path:
    """The wheel of a project, built by its own backend."""
    _run(BIN / "python", "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, project)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """An environment of its own."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Where it keeps what is installed."""
        return self.folder / "lib" / PYTHON / "site-packages"

    def run(
        self, program: str, *arguments: Any, cwd: Path, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One of its programs, with nothing of the tester's on its path but the system's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HETOPS_", "PYTHON", "VIRTUAL_ENV"))}
        path = os.pathsep.join((str(self.folder / "bin"), os.environ.get("PATH", os.defpath)))
        return subprocess.run(
            [self.folder / "bin" / program, *map(str, arguments)],
            cwd=cwd,
            env={**kept, "PATH": path, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )


def fresh(folder: Path, *wheels: Path) -> Fresh:
    """A new environment with these wheels and what ours depends on."""
    _run(BIN / "uv", "venv", "--quiet", "--offline", "--python", sys.executable, folder)
    made = Fresh(folder=folder)
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if "hetops" not in package.name.lower():
            (made.packages / package.name).symlink_to(package)
    install = (BIN / "uv", "pip", "install", "--quiet", "--offline", "--no-index", "--no-deps")
    _run(*install, "--python", folder / "bin" / "python", *wheels)
    return made


def _run(*command: Any) -> None:
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=170, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
