"""Edge: files written whole or not at all. Every file of ours that must survive a kill or a full disk goes through here."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from pathlib import Path

from hetops.errors import HetopsError


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """`content` in `path`, or the old file untouched: written beside it, synced, then renamed over it.

    What is no file is written to as it is: a device or a pipe (`/dev/stdout`) is never replaced.

    Raises:
        HetopsError: the file cannot be written (full disk, no permission, no such folder).
    """
    temporary = ""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as fault:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise HetopsError(
            f"{path} could not be written: {fault.strerror or fault}",
            details=("the old file, if there was one, is unchanged",),
            hint="free some space or choose another path",
        ) from fault


def append_line(path: Path, line: bytes, *, mode: int = 0o600) -> None:
    """`line`, or several, at the end of the file whole or not at all, so that two commands never mix theirs; a torn one before it is ended.

    The lock is for the look at the end: another's write that is half done looks like a torn line.

    Raises:
        OSError: it cannot be written.
    """
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, mode)
    try:
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        clean = size == 0 or os.pread(handle, 1, size - 1) == b"\n"
        try:
            _write(handle, (b"" if clean else b"\n") + line + b"\n")
        except OSError:
            os.ftruncate(handle, size)
            raise
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(handle: int, content: bytes) -> None:
    """All of it: where the disk is full or a limit is near, one write takes a part and says nothing."""
    while content:
        content = content[os.write(handle, content) :]


def make_private(folder: Path) -> None:
    """The folder, and every parent that is missing, closed to others; what exists stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def read_bytes(path: Path, *, what: str) -> bytes:
    """The content of `path`; `what` names the file's role in the error ("plan", "spec").

    Raises:
        HetopsError: missing or unreadable.
    """
    try:
        return path.read_bytes()
    except OSError as fault:
        raise unreadable(f"{what} {path}", fault) from fault


def unreadable(what: str, fault: OSError) -> HetopsError:
    """The error that says that `what`, a file and its role, cannot be read."""
    return HetopsError(
        f"{what} cannot be read: {fault.strerror or fault}", hint="name a file that is there and may be read"
    )


def unreadable_own(what: str, fault: OSError) -> HetopsError:
    """As `unreadable`, of a file that hetops keeps and nobody names."""
    return HetopsError(
        f"{what} cannot be read: {fault.strerror or fault}", hint="let this user read it, or move it away"
    )


def unwritable(what: str, fault: OSError) -> HetopsError:
    """The error that says that `what`, a file or a folder and its role, cannot be written."""
    return HetopsError(
        f"{what} cannot be written: {fault.strerror or fault}",
        hint="free some space, or let this user write there",
    )
