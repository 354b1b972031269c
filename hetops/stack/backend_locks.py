"""Edge: the locks that Pulumi's file backend keeps as files, which outlive a killed engine.

The backend itself would refuse the stack for ever; a lock whose process is dead on this host holds nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
from pathlib import Path

from hetops.errors import LockError

_LOOKS = 10
_LOOK_SECONDS = 0.02
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
    """Whether that process runs and is an engine: ids are used again. One without a command line starts or has ended."""
    for _ in range(_LOOKS if pid > 0 else 0):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        command = _command(pid)
        if command:
            return b"pulumi" in command
        time.sleep(_LOOK_SECONDS)
    return False


def _command(pid: int) -> bytes:
    """The process's command line; where the system does not tell it may be an engine's."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b"" if Path("/proc/self").exists() else b"pulumi"
    except OSError:
        return b""
