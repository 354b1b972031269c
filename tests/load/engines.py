"""An emulated engine in a process of its own, for as long as a block runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hetops.domain.performance import StepTimes
from hetops.simulate.options import EmulatorOptions, Faults, to_arguments

MODEL = "llama-3.1-8b"
STEP_TIMES = StepTimes(
    weights_seconds=0.004,
    compute_seconds_per_sequence=0.0,
    kv_seconds_per_token=0.0,
    overhead_seconds=0.0,
    overhead_seconds_per_sequence=0.002,
    prefill_seconds_per_token=0.0002,
    kv_capacity_tokens=100_000,
    max_sequences=4,
)
"""Slow enough that a machine full of other tests changes little, fast enough for a test."""


@contextlib.contextmanager
def emulated(folder: Path, faults: Faults | None = None, step_times: StepTimes = STEP_TIMES) -> Iterator[str]:
    """The base URL of an engine that answers."""
    options = EmulatorOptions(
        model=MODEL, gpu="L4", step_times=step_times, max_context_tokens=8192, faults=faults or Faults()
    )
    told = folder / "endpoint"
    process = subprocess.Popen(
        [sys.executable, "-m", "hetops.simulate", *to_arguments(options)],
        env={**os.environ, "HETOPS_ENDPOINT_FILE": str(told)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not told.exists() or not told.read_text(encoding="utf-8").strip():
            assert process.poll() is None, "the engine ended"
            assert time.monotonic() < deadline, "the engine did not start"
            time.sleep(0.02)
        yield told.read_text(encoding="utf-8").strip()
    finally:
        process.kill()
        process.wait()
