"""Prints how long the road's commands take on this machine. Figures, never a test: `.venv/bin/python benchmarks/road.py`.

Help over a bare interpreter, the quickstart's plan, `up` of three local pools, `diff` without changes. The pools are
emulated, so what is timed is ours and Pulumi's; the Pulumi engine must be there (`hetops doctor engine --fix`).
"""

from __future__ import annotations

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

THREE_POOLS = """
[deployment]
name = "three-pools"

[model]
name = "llama-3.1-8b"

[targets]
ttft_seconds = 2.0
tpot_seconds = 0.1

[providers.local]
emulate = true

[engine]
names = ["vllm"]

[router]
port = {port}
"""
CLASS = """
[[workload.classes]]
name = "{name}"
requests_per_second = {rate}
input_tokens = {input_tokens}
output_tokens = {output_tokens}
tpot_seconds = {tpot_seconds}
"""
CLASSES = (
    ("short", 20.0, 200, 50, 0.1),
    ("long", 2.0, 3000, 300, 0.05),
    ("quick", 1.0, 1000, 200, 0.012),
)


def main() -> None:
    """One line a figure."""
    with tempfile.TemporaryDirectory(prefix="hetops-road-") as temporary:
        folder = Path(temporary)
        environment = {**os.environ, "HETOPS_STATE": str(folder / "state")}
        bare = _median(lambda: _run([sys.executable, "-c", ""], folder, environment), 9)
        helped = _median(lambda: _run([HETOPS, "--help"], folder, environment), 9)
        _tell("hetops --help over a bare interpreter", helped - bare, "at most 0.15 s")
        quickstart = ROOT / "examples" / "quickstart" / "hetops.toml"
        planned = _median(lambda: _run([HETOPS, "plan", "-f", quickstart], folder, environment), 3)
        _tell("hetops plan of the quickstart", planned, "under 3 s")
        _deployment(folder, environment)


def _deployment(folder: Path, environment: dict[str, str]) -> None:
    text = THREE_POOLS.format(port=_free_port()) + "".join(
        CLASS.format(name=n, rate=r, input_tokens=i, output_tokens=o, tpot_seconds=t)
        for n, r, i, o, t in CLASSES
    )
    (folder / "hetops.toml").write_text(text, encoding="utf-8")
    try:
        up = _seconds(lambda: _run([HETOPS, "up", "--yes"], folder, environment))
        pools = len(list((folder / "state" / "three-pools" / "nodes").iterdir()))
        _tell(f"hetops up of {pools} nodes", up, "under 15 s for three pools")
        _tell(
            "hetops diff without changes",
            _seconds(lambda: _run([HETOPS, "diff"], folder, environment)),
            "under 2 s",
        )
    finally:
        _tell("hetops down", _seconds(lambda: _run([HETOPS, "down", "--yes"], folder, environment)), "")


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
