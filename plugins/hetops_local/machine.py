"""Edge: what this machine has. Cores and memory as this process may use them, so a container's limits count."""

from __future__ import annotations

import math
import os
from pathlib import Path

from hetops.plugin import BYTES_PER_GIB

_CGROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """Cores that this process may use: its affinity, and the CPU quota of its control group; at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(allowed, _quota_cores()))


def memory_gib() -> float:
    """Memory that this process may use, in GiB."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _cgroup("memory.max")
    return min(physical, int(limit) if limit.isdecimal() else physical) / BYTES_PER_GIB


def _quota_cores() -> int:
    quota, _, period = _cgroup("cpu.max").partition(" ")
    if not quota.isdecimal() or not period.isdecimal():
        return 1 << 16
    return math.floor(int(quota) / int(period))


def _cgroup(name: str) -> str:
    """A file of the control group (version 2), empty where there is none."""
    try:
        return (_CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
