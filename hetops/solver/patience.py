"""Edge: how long a search may take: until its time is up, or until somebody stops it. Decides nothing of what is done then.

A signal is of the whole process, and so is what it leaves here.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_stop, _cancel = threading.Event(), threading.Event()


@dataclass(frozen=True, slots=True)
class Patience:
    """Time that a search has; none is left once it was stopped."""

    until: float
    """On the clock that counts up."""

    @classmethod
    def of(cls, seconds: float) -> Patience:
        """From now on."""
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds."""
        return 0.0 if stopped() else max(self.until - time.monotonic(), 0.0)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast work goes on this machine just now."""

    began: float
    worked: float

    @classmethod
    def now(cls) -> Pace:
        """Measured from now on."""
        return cls(time.monotonic(), time.process_time())

    @property
    def slowness(self) -> float:
        """Seconds that passed for each second of work since; 1 on a machine that has nothing else to do."""
        return max((time.monotonic() - self.began) / max(time.process_time() - self.worked, 1e-3), 1.0)


def stopped() -> bool:
    """Whether somebody asked for an end, and is content with what there is by now."""
    return _stop.is_set()


def cancelled() -> bool:
    """Whether nobody wants what the searches of other threads could still find."""
    return _cancel.is_set()


@contextmanager
def cancelling() -> Iterator[None]:
    """While it lasts, searches of all threads end as by a Ctrl-C that is not remembered."""
    before = cancelled()
    _cancel.set()
    try:
        yield
    finally:
        if not before:
            _cancel.clear()


@contextmanager
def stoppable() -> Iterator[None]:
    """While it lasts, the first Ctrl-C or SIGTERM is only remembered; the second does what the first does elsewhere.

    Nothing of the kind outside the main thread, where signals cannot be caught, nor for a signal that is ignored or
    ends the process.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def remember(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if stopped() and callable(handler):
            handler(number, frame)
        _stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = [number for number, handler in before.items() if callable(handler)]
    try:
        for number in caught:
            signal.signal(number, remember)
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])
        _stop.clear()
