"""Edge: blocking calls on threads: many at once until a deadline, or one for a coroutine. Decides nothing about answers.

The threads are daemons: a call that never returns keeps neither its caller past the deadline nor the process from
ending, which a pool of the standard library would.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

Outcome = object | Exception
"""What a call returned, or what it raised."""


class FanOut(Generic[K]):
    """Calls under names. More may be added while the outcomes of earlier ones are taken."""

    def __init__(self, *, threads: int, deadline_seconds: float) -> None:
        self._end = time.monotonic() + deadline_seconds
        self._asked: queue.SimpleQueue[tuple[K, Callable[[], object]] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[K, Outcome]] = queue.SimpleQueue()
        self._pending: set[K] = set()
        self._threads_left = threads

    def submit(self, key: K, call: Callable[[], object]) -> None:
        """Adds a call. Each has its own key."""
        self._pending.add(key)
        self._asked.put((key, call))
        if self._threads_left:
            self._threads_left -= 1
            threading.Thread(target=self._work, name="hetops-aws", daemon=True).start()

    def outcomes(self) -> Iterator[tuple[K, Outcome]]:
        """Outcomes as they come, until all are there or the deadline has passed."""
        while self._pending and self.seconds_left > 0:
            try:
                key, outcome = self._outcomes.get(timeout=self.seconds_left)
            except queue.Empty:
                break
            self._pending.discard(key)
            yield key, outcome
        self._close()

    @property
    def seconds_left(self) -> float:
        """Until the deadline; zero once it has passed."""
        return max(0.0, self._end - time.monotonic())

    @property
    def pending(self) -> frozenset[K]:
        """The calls whose outcome has not come."""
        return frozenset(self._pending)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            key, call = asked
            try:
                outcome: Outcome = call() if self.seconds_left else TimeoutError("no time was left to ask")
            except Exception as fault:
                outcome = fault
            self._outcomes.put((key, outcome))
        self._asked.put(None)

    def _close(self) -> None:
        """Ends the threads once each has finished its call."""
        self._asked.put(None)


async def on_a_thread(call: Callable[[], T]) -> T:
    """What the call returns or raises. Who is cancelled waits for it no longer; the call ends by itself."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, fault: Exception | None) -> None:
        if outcome.cancelled():
            return
        if fault:
            outcome.set_exception(fault)
        else:
            outcome.set_result(value)  # type: ignore[arg-type]

    def work() -> None:
        value, fault = None, None
        try:
            value = call()
        except Exception as raised:
            fault = raised
        with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(settle, value, fault)

    threading.Thread(target=work, name="hetops-aws", daemon=True).start()
    return await outcome
