"""Edge: finds the processes of nodes by the marks in their environment, without any file of ours.

On Linux from /proc; elsewhere from `ps`, as far as it shows environments. Only processes of this user are seen.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_MARK = "HETOPS_NODE="
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A process of a node, as its environment says."""

    pid: int
    node: str
    deployment: str
    replica: int
    state_folder: str
    cores: int
    """Cores of the whole node; 0 where it takes none."""
    run: str
    """Which run of hetops started it."""
    lock: str
    """Device and inode of the lock that it holds; empty in the instant before the engine starts."""

    def environment(self) -> dict[str, str]:
        """The marks, to be put into a process's environment."""
        return {
            "HETOPS_NODE": self.node,
            "HETOPS_DEPLOYMENT": self.deployment,
            "HETOPS_REPLICA": str(self.replica),
            "HETOPS_NODE_STATE": self.state_folder,
            "HETOPS_CORES": str(self.cores),
            "HETOPS_RUN": self.run,
        }


def marked() -> tuple[Marked, ...]:
    """Every process of this user that carries the marks of a node."""
    environments = _from_proc() if sys.platform == "linux" else _from_ps()
    return tuple(_read(pid, environment) for pid, environment in environments)


def cores_by_node(among: Iterable[Marked]) -> dict[tuple[str, str], int]:
    """Cores of each running node, by state folder and name."""
    return {(m.state_folder, m.node): m.cores for m in among}


def _from_proc() -> Iterator[tuple[int, Mapping[str, str]]]:
    for entry in os.scandir(_PROC):
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it ended, or is another user's
            content = (_PROC / entry.name / "environ").read_bytes()
            if _MARK.encode() in content:
                yield int(entry.name), _variables(content.decode("utf-8", "replace").split("\0"))


def _from_ps() -> Iterator[tuple[int, Mapping[str, str]]]:
    """`ps -E` prints the environment after the command; values with spaces are cut, ours have none but paths."""
    listing = subprocess.run(
        ["ps", "-Eww", "-o", "pid=,command="], capture_output=True, text=True, errors="replace", check=False
    )
    for line in listing.stdout.splitlines():
        if _MARK in line:
            pid, _, command = line.strip().partition(" ")
            yield int(pid), _variables(command.split(" "))


def _variables(words: Iterable[str]) -> dict[str, str]:
    return {name: value for name, separator, value in (w.partition("=") for w in words) if separator}


def _read(pid: int, environment: Mapping[str, str]) -> Marked:
    return Marked(
        pid=pid,
        node=environment.get("HETOPS_NODE", ""),
        deployment=environment.get("HETOPS_DEPLOYMENT", ""),
        replica=_number(environment.get("HETOPS_REPLICA")),
        state_folder=environment.get("HETOPS_NODE_STATE", ""),
        cores=_number(environment.get("HETOPS_CORES")),
        run=environment.get("HETOPS_RUN", ""),
        lock=environment.get("HETOPS_LOCK", ""),
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0
