"""Edge: writes observations as JSON lines, in batches, in a thread of its own. Never makes a request wait.

What cannot be written (a full disk, a folder that is gone) or is more than may wait is dropped and counted. A line is
written whole or taken back: who reads the file finds no half one.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from hetops.domain.observation import Observation

_MOST_WAITING = 20_000
"""Observations between two batches, 6 MB of them."""

_PREFIX = f'{{"format":"{Observation.FORMAT}","format_version":"{Observation.FORMAT_VERSION}",'.encode()


def line(observation: Observation) -> bytes:
    """The observation as one line."""
    return _PREFIX + msgspec.json.encode(observation)[1:] + b"\n"


class Observer:
    """The file of observations; an empty path keeps none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.dropped = 0
        self.fault = ""
        """Why the last batch could not be written; empty where it could."""
        self._waiting: deque[Observation] = deque()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="observations")
        self._batch: asyncio.Future[str] | None = None

    def add(self, observation: Observation) -> None:
        """Takes one more."""
        if not self.path:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(observation)

    def flush(self) -> None:
        """Begins to write what waits, unless the last batch is still being written."""
        if not self._waiting or self._batch is not None:
            return
        batch, self._waiting = self._waiting, deque()
        loop = asyncio.get_running_loop()
        self._batch = loop.run_in_executor(self._writer, _append, Path(self.path), tuple(batch))
        self._batch.add_done_callback(lambda done: self._written(done, len(batch)))

    async def close(self) -> None:
        """Writes what waits."""
        if self._batch is not None:
            await self._batch
            await asyncio.sleep(0)
        self.flush()
        if self._batch is not None:
            await self._batch
        self._writer.shutdown()

    def _written(self, done: asyncio.Future[str], count: int) -> None:
        self._batch = None
        self.fault = done.result()
        if self.fault:
            self.dropped += count


def _append(path: Path, batch: tuple[Observation, ...]) -> str:
    """Appends a batch; why it could not, empty where it could."""
    content = b"".join(map(line, batch))
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as fault:
        return f"{path} cannot be opened: {fault.strerror}"
    try:
        before = os.fstat(handle).st_size
        return _write(handle, content, before)
    finally:
        os.close(handle)


def _write(handle: int, content: bytes, before: int) -> str:
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(handle, left) :]
    except OSError as fault:
        if len(left) < len(content):
            os.ftruncate(handle, before)
        return f"observations cannot be written: {fault.strerror}"
    return ""
