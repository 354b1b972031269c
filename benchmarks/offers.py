"""Prints what asking for offers costs: cold, then from the cache, in time and memory, against doubles of the providers.

    python benchmarks/offers.py

AWS: 20 regions with every GPU instance type of the EC2 capture (65, of which 60 hold whole GPUs), three zones each, price
list rows of the size of real ones. The doubles run in processes of their own on the same machine. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
HETOPS = Path(sys.executable).with_name("hetops")


def main() -> None:
    """Prints one line for each way of asking."""
    print(f"bare interpreter: {_line(_timed([sys.executable, '-c', 'pass'], dict(os.environ)))}")
    double = subprocess.Popen(
        [sys.executable, "-m", "tests.doubles.aws", "--scenario", "large"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _print_aws(_environment(double))
    finally:
        double.terminate()
        double.wait(timeout=10)


def _print_aws(environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, **environment, "HETOPS_STATE": f"{folder}/state", "HOME": folder}
        for name in ("cold", "from the cache", "from the cache again"):
            argv = [str(HETOPS), "offers", "--provider", "aws", "--json"]
            timed = _timed(argv, environment, folder)
            told = json.loads(timed.output)
            counted = f"{len(told['offers']):,} offers, {len(told['refused']):,} refused"
            print(f"aws, 20 regions, {name}: {_line(timed)}; {counted}; {told['coverage']}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What one process took and said."""

    seconds: float
    processor_seconds: float
    megabytes: float
    output: bytes


def _line(timed: Timed) -> str:
    seconds = f"{timed.seconds:.2f} s ({timed.processor_seconds:.2f} s of one processor)"
    return f"{seconds}, {timed.megabytes:.0f} MB at most"


def _environment(double: subprocess.Popen[str]) -> dict[str, str]:
    """What the double says it is found by."""
    assert double.stdout is not None
    told: dict[str, str] = {}
    while "AWS_SHARED_CREDENTIALS_FILE" not in told:
        found = re.fullmatch(r"export (\w+)=(.*)\n", double.stdout.readline())
        assert found, "the double did not start"
        told[found[1]] = found[2]
    return told


def _timed(argv: list[str], environment: dict[str, str], folder: str = ".") -> Timed:
    """Runs one process."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(argv, env=environment, cwd=folder, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        output.seek(0)
        content = output.read()
    assert process.returncode == 0, f"{argv[0]} ended with {process.returncode}"
    return Timed(
        seconds=seconds,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        megabytes=usage.ru_maxrss / 1024,
        output=content,
    )


if __name__ == "__main__":
    main()
