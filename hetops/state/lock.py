"""Edge: one command at a time changes a deployment. The kernel holds the lock, so a killed command never leaves one.

The file's text only says who holds it; it decides nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from hetops.errors import LockError
from hetops.files import make_private, unwritable


@contextlib.contextmanager
def hold(path: Path, *, command: str = "") -> Iterator[None]:
    """Holds the lock file while the block runs; `command` is what others are told.

    Raises:
        LockError: another process holds it; says which and where.
        HetopsError: the lock file cannot be written.
    """
    handle = _acquire(path)
    try:
        _sign(handle, command or " ".join(sys.argv[:3]))
        yield
    finally:
        os.close(handle)


def _acquire(path: Path) -> int:
    """An open file that the kernel locks for us; opened again where a `down` removed it under our feet."""
    while True:
        try:
            make_private(path.parent)
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except FileNotFoundError:
            continue  # removed between the two calls
        except OSError as fault:
            raise unwritable(f"lock {path}", fault) from fault
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            held_by = _holder(handle)
            os.close(handle)
            raise LockError(
                f"deployment {path.parent.name} is in use by {held_by}",
                hint="wait for it to finish, then run this command again",
            ) from fault
        if _same_file(handle, path):
            return handle
        os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _sign(handle: int, command: str) -> None:
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "command": command}
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(holder).encode() + b"\n", 0)


def _holder(handle: int) -> str:
    try:
        holder = json.loads(os.pread(handle, 4096, 0))
        return f"process {holder['pid']} on {holder['host']} ({holder['command']})"
    except (ValueError, KeyError, TypeError):
        return "another process"  # it has locked the file and not yet signed it
