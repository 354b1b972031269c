"""Prints how long the road's commands take on this machine. Figures, never a test: `.venv/bin/python benchmarks/road.py`.

Help over a bare interpreter, the quickstart's plan, `up` of the rehearsal's three pools, `diff` without changes. The pools
are emulated, so what is timed is ours and Pulumi's; the Pulumi engine must be there (`hetops doctor engine --fix`).
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HETOPS = Path(sys.executable).with_name("hetops")

EXAMPLES = ROOT / "examples"


def main() -> None:
    """One line a figure."""
    with tempfile.TemporaryDirectory(prefix="hetops-road-") as temporary:
        folder = Path(temporary)
        environment = {**os.environ, "HETOPS_STATE": str(folder / "state")}
        bare = _median(lambda: _run([sys.executable, "-c", ""], folder, environment), 9)
        helped = _median(lambda: _run([HETOPS, "--help"], folder, environment), 9)
        _tell("hetops --help over a bare interpreter", helped - bare, "at most 0.15 s")
        quickstart = EXAMPLES / "quickstart" / "hetops.toml"
        planned = _median(lambda: _run([HETOPS, "plan", "-f", quickstart], folder, environment), 3)
        _tell("hetops plan of the quickstart", planned, "under 3 s")
        _deployment(folder, environment)


def _deployment(folder: Path, environment: dict[str, str]) -> None:
    """The rehearsal's fleet, up and down."""
    spec = ["-f", EXAMPLES / "rehearsal" / "hetops.toml", "--set", f"router.port={_free_port()}"]
    try:
        up = _seconds(lambda: _run([HETOPS, "up", "--yes", *spec], folder, environment))
        plan = json.loads((folder / "state" / "rehearsal" / "plan.json").read_text(encoding="utf-8"))
        _tell(f"hetops up of {len(plan['pools'])} pools", up, "under 15 s for three")
        unchanged = _seconds(lambda: _run([HETOPS, "diff", *spec], folder, environment))
        _tell("hetops diff without changes", unchanged, "under 2 s")
    finally:
        down = _seconds(lambda: _run([HETOPS, "down", "--yes", *spec[:2]], folder, environment))
        _tell("hetops down", down, "")


def _run(command: list[object], folder: Path, environment: dict[str, str]) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 6):
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")


def _median(work: Callable[[], None], times: int) -> float:
    return statistics.median(_seconds(work) for _ in range(times))


def _seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _tell(what: str, seconds: float, wanted: str) -> None:
    print(f"{what:<44}{seconds:8.2f} s   {wanted}", flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
