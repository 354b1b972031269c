"""How often a service is asked, and by which clock. Needs no HTTP client."""

from __future__ import annotations

import asyncio
import threading
import time

from hetops.plugin.surroundings import Clock

_TURN_POLL_SECONDS = 0.01


class RealClock:
    """The clock of this machine."""

    def now(self) -> float:
        """As `Clock.now`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        await asyncio.sleep(max(0.0, seconds))


class Pace:
    """One request at a time, and so many seconds from the end of one to the next: `async with pace: ...`.

    From the end, because a request may arrive late. Loops, threads and clients share one pace.
    """

    def __init__(self, seconds_between: float, clock: Clock | None = None) -> None:
        self._seconds = seconds_between
        self._clock = clock or RealClock()
        self._taken = threading.Lock()
        self._free_at = float("-inf")

    async def __aenter__(self) -> None:
        while not self._taken.acquire(blocking=False):
            await asyncio.sleep(_TURN_POLL_SECONDS)
        try:
            await self._clock.sleep(max(0.0, self._free_at - self._clock.now()))
        except BaseException:
            self._taken.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._free_at = self._clock.now() + self._seconds
        self._taken.release()
