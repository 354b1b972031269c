"""Edge: what this machine is, in one line: the hardware that a measurement of its cores is valid for.

Must not hold anything that changes between two runs on the same machine, nor anything that names it.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


def fingerprint() -> str:
    """The CPU's model and how many of its cores this process may use: `AMD EPYC 7B13 x 2 cores`."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return f"{_cpu()} x {cores} cores"


def _cpu() -> str:
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next((" ".join(name.split()) for name in names if name), platform.machine())
