"""Edge: `python -m hetops_local.run FOLDER` starts a replica's process and ends at once.

A child in a session of its own takes the folder's lock, writes its process id and becomes the engine. The lock's file
descriptor is inherited, so the kernel holds the lock exactly as long as the engine lives: no process id that is used
again can be mistaken for it, a second start finds the lock taken and gives up, and whoever started it may be killed at
any instant. Must not import anything but the standard library: every replica pays for it.

Exit codes: 0 started; 75 another process holds the lock; 1 not started, with the reason on stderr.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

BUSY = 75
"""As EX_TEMPFAIL of sysexits.h."""
_TRIES = 20
_TRY_SECONDS = 0.01
"""Whoever asks whether the lock is held holds it for some microseconds (`Replica.alive`)."""


def main() -> int:
    """Reports what became of the child once it is the engine or has given up."""
    folder = Path(sys.argv[1])
    reading, writing = os.pipe()  # closed on exec: an empty answer means that the engine took over
    if os.fork() == 0:
        os.close(reading)
        os._exit(_become_engine(folder, writing))
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        problem = answer.read()
    if problem:
        print(problem, file=sys.stderr)
    return BUSY if problem == "busy" else int(bool(problem))


def _become_engine(folder: Path, report: int) -> int:
    """Never returns where the engine starts."""
    try:
        os.setsid()
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _taken(lock):
            os.write(report, b"busy")
            return BUSY
        launch = json.loads((folder / "launch.json").read_text(encoding="utf-8"))
        environment = _inherited(launch["environment"]) | {"HETOPS_LOCK": identity(os.fstat(lock))}
        _clear(folder)
        _redirect(folder / "log")
        os.set_inheritable(lock, True)
        _execute(launch["argv"], environment)
    except (OSError, ValueError, KeyError) as fault:
        os.write(report, f"{type(fault).__name__}: {fault}".encode())
    return 1


def _inherited(told: dict[str, str]) -> dict[str, str]:
    """The environment of a launch, with those variables of ours that it names: secrets, which stand in no file."""
    named = told.get("HETOPS_INHERITED", "").split(",")
    return {**{name: os.environ[name] for name in named if name in os.environ}, **told}


def identity(status: os.stat_result) -> str:
    """Which file a lock is: the same path may be another file later."""
    return f"{status.st_dev}:{status.st_ino}"


def _taken(lock: int) -> bool:
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_TRY_SECONDS)
        else:
            return True
    return False


def _clear(folder: Path) -> None:
    """Forgets an earlier life of this replica, but for its log, and writes the new process id."""
    (folder / "endpoint").unlink(missing_ok=True)
    if (folder / "log").exists():
        os.replace(folder / "log", folder / "log.1")
    (folder / "pid.new").write_text(f"{os.getpid()}\n", encoding="ascii")
    os.replace(folder / "pid.new", folder / "pid")


def _redirect(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, number)


def _execute(argv: list[str], environment: dict[str, Any]) -> None:
    try:
        os.execvpe(argv[0], argv, environment)
    except OSError as fault:
        raise OSError(f"{argv[0]} cannot be started: {fault.strerror}") from fault


if __name__ == "__main__":
    sys.exit(main())
