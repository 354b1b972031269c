"""hetops as a process of its own: what a shell would start, see and be told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hetops.app.init import Wish, init

HETOPS = (sys.executable, "-m", "hetops.cli.main")

OF_THE_TESTER = ("HETOPS_", "PULUMI_", "NO_COLOR", "TERM", "XDG_")
"""Variables of the shell that runs the tests which would change what is tested."""


def environment(**more: str) -> dict[str, str]:
    """The environment of a fresh shell, with some variables more."""
    return {k: v for k, v in os.environ.items() if not k.startswith(OF_THE_TESTER)} | more


def hetops(
    folder: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
    stdout: Any = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Runs hetops in a folder to its end, `under` a program that starts it; no traceback may come of it, ever."""
    run = subprocess.run(
        [*under, *HETOPS, *arguments],
        cwd=folder,
        env=environment(**(variables or {})),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in run.stderr, run.stderr
    assert "in a way that it should not" not in run.stderr, run.stderr
    return run


def told(run: subprocess.CompletedProcess[str]) -> Any:
    """The one JSON document on stdout."""
    return json.loads(run.stdout)


def spec(folder: Path, *replaced: tuple[str, str]) -> Path:
    """hetops.toml as `hetops init` writes it, with some text replaced by other."""
    init(Wish(folder=folder, environment={}, name="chat"))
    path = folder / "hetops.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in replaced:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path
