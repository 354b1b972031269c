"""Edge: the locks that Pulumi's file backend keeps as files, which outlive a killed engine.

The backend itself would refuse the stack for ever; a lock whose process is dead on this host holds nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from hetops.errors import LockError

_HOLDER = re.compile(r"created by \S+ \(pid \d+\) at .*")


def clear_stale(backend: Path) -> list[str]:
    """Removes the locks of dead processes of this host; what was removed, in words.

    Raises:
        LockError: a process that lives, or one on another host, holds a lock.
    """
    notes = []
    locks = (path for path in (backend / ".pulumi" / "locks").rglob("*") if path.is_file())
    for path in sorted(locks):
        with contextlib.suppress(FileNotFoundError):
            pid, host = _holder(path)
            if host != socket.gethostname() or _engine_lives(pid):
                raise LockError(
                    f"the stack {path.parent.name} is locked by process {pid} on {host}",
                    hint=f"wait for it to finish; if it is dead, remove {path}",
                )
            path.unlink()
            notes += [f"cleared the lock of process {pid}, which is dead"] if pid else []
    return notes


def holders(said: str) -> tuple[str, ...]:
    """Who holds a lock, as the engine says it."""
    return tuple(dict.fromkeys(_HOLDER.findall(said)))


def _holder(path: Path) -> tuple[int, str]:
    """Process id and host; a torn file is a dead process's."""
    try:
        told = json.loads(path.read_bytes())
        return int(told["pid"]), str(told["hostname"])
    except (ValueError, KeyError, TypeError):
        return 0, socket.gethostname()


def _engine_lives(pid: int) -> bool:
    """Whether that process runs and is an engine: ids are used again."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return all(b"pulumi" in command for command in _commands(pid))


def _commands(pid: int) -> Iterator[bytes]:
    """The command line of the process, where this system tells; that of a dead one nobody waited for is empty."""
    with contextlib.suppress(OSError):
        yield Path(f"/proc/{pid}/cmdline").read_bytes()
