"""Edge: one replica of a node as the files of its folder. Knows how to start it, to look at it and to signal it.

    <folder>/launch.json   what runs: argv, environment (no secrets), how long it may take to drain
    <folder>/lock          held by the engine's process as long as it lives
    <folder>/pid, endpoint, log, log.1 (of the life before)

Waits for nothing but the start itself; waiting is the driver's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hetops.plugin import ErrorKind, Launch, ProviderError, Scope, write_whole
from hetops_local.processes import Marked
from hetops_local.run import BUSY, identity
from hetops_local.settings import PROVIDER

_PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ"),
    *("PYTHONPATH", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "XDG_DATA_HOME", "SSL_CERT_FILE"),
)
"""What an engine gets of our environment. Everything else, credentials of clouds above all, stays here."""
_TAIL_BYTES = 16 << 10
_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Replica:
    """One engine process, found by its folder."""

    folder: Path

    @property
    def alive(self) -> bool:
        """Whether its process lives: the lock is held exactly as long."""
        try:
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    @property
    def endpoint(self) -> str:
        """Its base URL, empty until it told one."""
        return self._read("endpoint")

    @property
    def pid(self) -> int | None:
        """The process that holds the lock; meaningless unless `alive`."""
        written = self._read("pid")
        return int(written) if written.isdecimal() else None

    @property
    def drain_seconds(self) -> float:
        """How long it may take to end after SIGTERM."""
        with contextlib.suppress(ValueError, KeyError):
            return float(json.loads(self._read("launch.json"))["drain_seconds"])
        return 0.0

    @property
    def lock_identity(self) -> str:
        """Which file its lock is; empty where there is none."""
        try:
            return identity(os.stat(self.folder / "lock"))
        except OSError:
            return ""

    def last_lines(self, most: int = 10) -> tuple[str, ...]:
        """The end of its log, blank lines left out."""
        try:
            with (self.folder / "log").open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ()
        return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-most:]

    def start(self, launch: Launch, mark: Marked) -> None:
        """Its process runs, started now or before; two at once can never be.

        Raises:
            ProviderError: it cannot be started at all.
            HetopsError: the folder cannot be written.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {
            "argv": launch.argv,
            "environment": _environment(os.environ, launch, mark, self.folder / "endpoint"),
            "drain_seconds": launch.drain_seconds,
        }
        write_whole(self.folder / "launch.json", json.dumps(content, indent=2).encode(), mode=0o600)
        starter = subprocess.run(
            [sys.executable, "-m", "hetops_local.run", str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            timeout=_START_SECONDS,
            check=False,
        )
        if starter.returncode not in (0, BUSY):
            raise ProviderError(
                f"{mark.node} could not be started: {starter.stderr.strip() or 'no reason given'}",
                provider=PROVIDER,
                kind=ErrorKind.INVALID,
                scope=Scope.OFFER,
            )

    def terminate(self) -> None:
        """Asks the process to drain and end. Only its leader is asked: what it started is its own to end."""
        if self.alive and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process and everything in its group."""
        if self.alive and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""


def _environment(ours: Mapping[str, str], launch: Launch, mark: Marked, endpoint: Path) -> dict[str, str]:
    return {
        **{name: ours[name] for name in _PASSED_ON if name in ours},
        **dict(launch.environment),
        **mark.environment(),
        "HETOPS_ENDPOINT_FILE": str(endpoint),
    }
