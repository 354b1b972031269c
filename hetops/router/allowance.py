"""Decides whether a service may be given one more request: never more in any minute than it takes. Pure; holds no clock.

So it does for a class of which the plan turns some away.

What was given counts for the whole minute that follows, so no window of a minute ever holds more than the limits; a
bucket that fills while it empties would let up to twice as much through. A request counts for the tokens that it may
take until its answer has told how many it took.
"""

from __future__ import annotations

from typing import Protocol

_WINDOW_SECONDS = 60.0


class PerMinute(Protocol):
    """The most of any minute; None limits nothing."""

    @property
    def requests_per_minute(self) -> float | None:
        """Requests."""

    @property
    def tokens_per_minute(self) -> float | None:
        """Tokens, input and output together."""


class Allowance:
    """What one service, or one class, was given over the last minute."""

    __slots__ = ("_given", "_most", "_next", "_rests_until", "_tokens")

    def __init__(self, most: PerMinute) -> None:
        self._most = most
        self._given: dict[int, tuple[float, int]] = {}
        """When, and how many tokens, by the number of the request; oldest first."""
        self._tokens = 0
        self._next = 1
        self._rests_until = 0.0

    def under(self, most: PerMinute) -> Allowance:
        """The same under other limits: what was given counts on."""
        self._most = most
        return self

    def allows(self, tokens: int, at: float) -> bool:
        """Whether it takes one more request that may take so many tokens."""
        if at < self._rests_until:
            return False
        self._forget(at)
        requests, most = self._most.requests_per_minute, self._most.tokens_per_minute
        if requests is not None and len(self._given) + 1 > requests:
            return False
        return most is None or self._tokens + tokens <= most

    def rest(self, until: float) -> None:
        """The service takes nothing until then, as it says: others ask it with the same key, or it is busy."""
        self._rests_until = until

    def give(self, tokens: int, at: float) -> int:
        """Counts a request; returns its number."""
        self._forget(at)
        number, self._next = self._next, self._next + 1
        self._given[number] = (at, tokens)
        self._tokens += tokens
        return number

    def settle(self, number: int, tokens: int) -> None:
        """The request of that number took so many tokens."""
        found = self._given.get(number)
        if found:
            self._given[number] = (found[0], tokens)
            self._tokens += tokens - found[1]

    def _forget(self, at: float) -> None:
        given = self._given
        while given:
            number = next(iter(given))
            when, tokens = given[number]
            if at - when < _WINDOW_SECONDS:
                return
            self._tokens -= tokens
            del given[number]
