"""Edge: runs the Pulumi engine's commands for the Automation API, and ends what a killed client left running.

Engines run in a session of their own, so that a terminal's Ctrl-C reaches the client alone, which asks the engine to
stop. While an engine may change a stack it and its plugins hold a lock on the deployment's engine.json: the kernel says
whether one still runs, whatever became of its client.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from hetops.errors import CancelledError, LockError
from hetops.files import unwritable
from hetops.stack.engine import EngineChoice

_READING = (["preview"], ["stack", "export"], ["stack", "output"], ["stack", "history"])
"""Beginnings of the commands that change nothing; several may run at once."""
_SIGNED = (
    """printf '{"pid": %d, "client": %d, "host": "%s", "command": "%s"}\\n' "$$" "$PPID" "$2" "$3" >"$1";"""
    """ shift 3; exec "$@\""""
)
"""Signs the record with its own process id before it becomes the engine: a client may be killed at any instant."""
_SIGN_SECONDS = 5.0
STOP_SECONDS = 15.0
"""How long an engine that lost its client may take to end after SIGINT."""
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.05


class EndedBySignalError(Exception):
    """The engine did not end by itself: nobody here asked it to stop."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        super().__init__(name)
        self.signal = name


class EngineProcess(PulumiCommand):  # type: ignore[misc]  # the SDK is untyped to us
    """One engine for one deployment; `record` is the deployment's engine.json."""

    def __init__(self, engine: EngineChoice, environment: Mapping[str, str], record: Path) -> None:
        # The base class would ask the engine for its version; who chose it has done so.
        self.command = str(engine.path)
        self.version = VersionInfo.parse(engine.version)
        self.interrupted = False
        """Whether it was asked to stop: nothing starts any more."""
        self._environment = dict(environment)
        self._record = record
        self._running: subprocess.Popen[str] | None = None

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Any = None,
        on_error: Any = None,
    ) -> CommandResult:
        """As the base class, in the deployment's environment and not in this process's.

        Raises:
            CommandError: it failed by itself.
            EndedBySignalError: something ended it.
        """
        del on_output, on_error
        if self.interrupted:
            raise CancelledError("stopped before the engine started")
        reads = any(args[: len(beginning)] == beginning for beginning in _READING)
        recorded = contextlib.nullcontext(None) if reads else _recorded(self._record)
        with recorded as handle:
            command = [self.command, "--non-interactive", *args]
            process = subprocess.Popen(
                command if handle is None else self._signing(command, args[0]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env={**self._environment, **additional_env},
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
                pass_fds=() if handle is None else (handle,),
            )
            self._running = process
            stdout, stderr = self._until_ended(process)
        result = CommandResult(stdout=stdout, stderr=stderr, code=process.returncode)
        if result.code < 0:
            raise EndedBySignalError(-result.code)
        if result.code != 0:
            raise create_command_error(result)
        return result

    def interrupt(self) -> None:
        """Asks the running command to stop, and lets it. Asked twice, the engine stops at once."""
        self.interrupted = True
        if self._running is not None and self._running.poll() is None:
            self._running.send_signal(signal.SIGINT)

    def _signing(self, command: list[str], what: str) -> list[str]:
        return ["/bin/sh", "-c", _SIGNED, "sh", str(self._record), socket.gethostname(), what, *command]

    def _until_ended(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        try:
            while True:
                try:
                    return process.communicate()
                except KeyboardInterrupt:
                    self.interrupt()
        finally:
            self._running = None


def end_orphan(record: Path, stop_seconds: float = STOP_SECONDS) -> str:
    """Ends the engine whose client is gone, and its plugins; what there was to end, empty where nothing.

    It is asked first, and killed where it has not ended `stop_seconds` later.

    Raises:
        LockError: its client lives, it runs on another host, or it does not end.
    """
    try:
        handle = os.open(record, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        if _free(handle):
            record.unlink(missing_ok=True)
            return ""
        pid = _orphan(handle, record)
        if not (_ended(handle, pid, signal.SIGINT, stop_seconds) or _ended(handle, pid, signal.SIGKILL)):
            raise LockError(
                f"the Pulumi engine of a killed command, process {pid}, does not end",
                hint=f"end it by hand, then run again: kill -9 {pid}",
            )
        record.unlink(missing_ok=True)
        return f"ended the Pulumi engine that a killed command had left running (process {pid})"
    finally:
        os.close(handle)


@contextlib.contextmanager
def _recorded(record: Path) -> Iterator[int]:
    """A handle on the locked record, for the engine to inherit; the record goes with the engine."""
    try:
        handle = os.open(record, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise unwritable(str(record), fault) from fault
    try:
        if not _free(handle):
            raise LockError(
                f"a Pulumi engine still runs for {record.parent.name} ({_told(handle)})",
                hint="wait for it to finish, then run this command again",
            )
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.ftruncate(handle, 0)
        yield handle
        record.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _free(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(handle, fcntl.LOCK_UN)
    return True


def _told(handle: int) -> str:
    return os.pread(handle, 4096, 0).decode("utf-8", "replace").strip() or "not yet signed"


def _orphan(handle: int, record: Path) -> int:
    """Its process id, which it writes as soon as it starts."""
    deadline = time.monotonic() + _SIGN_SECONDS
    while True:
        try:
            told = json.loads(_told(handle))
            break
        except ValueError as fault:
            if time.monotonic() >= deadline:
                raise LockError(
                    f"a Pulumi engine that signed nothing runs for {record.parent.name}",
                    hint="wait for it to finish, or end the process `pulumi`, then run this command again",
                ) from fault
            time.sleep(_POLL_SECONDS)
    if told["host"] != socket.gethostname() or _is_child(told["pid"], told["client"]):
        raise LockError(
            f"{record.parent.name} is being changed by process {told['client']} on {told['host']}",
            hint="wait for it to finish, then run this command again",
        )
    return int(told["pid"])


def _is_child(pid: int, parent: int) -> bool:
    """Whether the engine still has its client. Where a system has no /proc the client's id must do."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return not Path("/proc/self").exists() and lives(parent)
    return int(status.rpartition(")")[2].split()[1]) == parent


def lives(pid: int) -> bool:
    """Whether there is a process of that id on this host, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ended(handle: int, pid: int, number: signal.Signals, seconds: float = _GRACE_SECONDS) -> bool:
    """Whether the engine and its plugins were gone in time after the signal."""
    for member in [pid] if number is signal.SIGINT else _session(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, number)
    deadline = time.monotonic() + seconds
    while not _free(handle):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _session(leader: int) -> list[int]:
    """The processes of the engine's session: itself and its plugins, which have process groups of their own."""
    numbers = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")] or [leader]
    members = []
    for pid in numbers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                members.append(pid)
    return members
