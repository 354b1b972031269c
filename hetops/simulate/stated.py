"""Decides when a service answers: at the pace that is stated of it, however much it is asked. Pure: events and times.

Nobody here knows how such a service behaves under load. What it takes at most is the router's to keep.
"""

from __future__ import annotations

import heapq
import itertools

from hetops.simulate.engine import Event, EventKind, Generation


class StatedEngine:
    """One service; an `Engine`."""

    waiting = 0
    preemptions = 0

    def __init__(self, *, ttft_seconds: float, tpot_seconds: float) -> None:
        """Idle; every first token comes after the one, every other after the other."""
        self._ttft, self._tpot = ttft_seconds, tpot_seconds
        self._factor = 1.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Event]] = []

    def submit(self, generation: Generation, at: float) -> None:
        """A request arrives."""
        first = at + self._factor * self._ttft
        last = first + self._factor * self._tpot * (generation.output_tokens - 1)
        for kind, when, tokens in (
            (EventKind.FIRST_TOKEN, first, 1),
            (EventKind.FINISHED, last, generation.output_tokens),
        ):
            event = Event(kind=kind, request=generation.id, at=when, tokens=tokens)
            heapq.heappush(self._due, (when, next(self._order), event))

    def slow(self, factor: float, at: float) -> None:
        """From the next request on everything takes `factor` times as long as is stated."""
        del at
        self._factor = factor

    def advance(self, to: float) -> list[Event]:
        """Everything that happened since the last call, up to and including the time `to`."""
        events = []
        while self._due and self._due[0][0] <= to:
            events.append(heapq.heappop(self._due)[2])
        return events

    def next_event_at(self) -> float | None:
        """When the next event is due; None while nothing is asked."""
        return self._due[0][0] if self._due else None
