"""How long commands take to start and to answer. Prints figures; run it as `python benchmarks/start_up.py`.

Every figure is the median of whole processes, each started anew in a folder of its own. The bare interpreter's time stands
beside them, so that a slow machine does not read as a slow program, and the time on the processor beside the time on the
clock, so that a busy one does not. Nothing here is a test: what may be loaded by which command is held by
`tests/architecture/test_start_up.py`.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HETOPS = (sys.executable, "-m", "hetops.cli.main")
QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart" / "hetops.toml"
RUNS = 9
COMMANDS = (
    ("--help",),
    ("plan", "--help"),
    ("schema",),
    ("plugins",),
    ("offers",),
    ("offers", "--offline"),
    ("plan",),
    ("plan", "-f", str(QUICKSTART)),
)
GOALS = {("--help",): "0.15 s over bare", ("plan", "-f", str(QUICKSTART)): "3 s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds on the clock and on the processor."""

    clock: float
    processor: float


def main() -> None:
    """Prints all figures."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HETOPS_")}
    print(
        f"python {sys.version.split()[0]}, {os.cpu_count()} cores, median of {RUNS} processes each, seconds\n"
    )
    print(f"{'':44}{'clock':>8}{'over bare':>11}{'processor':>11}{'over bare':>11}")
    with tempfile.TemporaryDirectory() as name:
        folder, environment["HETOPS_STATE"] = Path(name), f"{name}/state"
        once((*HETOPS, "init", "--name", "chat"), folder, environment)
        bare = median((sys.executable, "-c", "pass"), folder, environment)
        show("bare interpreter", bare, bare)
        for arguments in COMMANDS:
            took = median((*HETOPS, *arguments), folder, environment)
            words = " ".join(Path(a).parent.name if a.endswith(".toml") else a for a in arguments)
            show(f"hetops {words}", took, bare, GOALS.get(arguments, ""))


def median(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Took:
    """A process as it takes as a rule, after one run that fills the caches of the disk."""
    runs = [once(command, folder, environment) for _ in range(RUNS + 1)][1:]
    return Took(
        clock=statistics.median(r.clock for r in runs), processor=statistics.median(r.processor for r in runs)
    )


def once(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Took:
    """One process, from its start to its end."""
    began, used = time.perf_counter(), processor_seconds()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return Took(clock=time.perf_counter() - began, processor=processor_seconds() - used)


def processor_seconds() -> float:
    """What all children so far have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(name: str, took: Took, bare: Took, goal: str = "") -> None:
    """One line."""
    clock, processor = took.clock - bare.clock, took.processor - bare.processor
    line = f"{name:44}{took.clock:8.3f}{clock:11.3f}{took.processor:11.3f}{processor:11.3f}"
    print(line + (f"   goal: {goal}" if goal else ""))


if __name__ == "__main__":
    main()
