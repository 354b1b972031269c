"""Time to first token of replicas at a rate: a prompt's own seconds and the longer of two waits, and how far from a bound. Pure.

The waits are those of `queueing.py`, for the prompts ahead and for a place: seconds over what is left of a capacity, times how far
the tail of those who wait reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetops.performance.replicas import Floats

HIGHEST_USE = 0.98
"""Utilisation above which a wait is taken as endless."""
_MOST = HIGHEST_USE * (1.0 + 1e-9)
_SHORT = 1e-12
"""Seconds that count as none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wait:
    """A wait of `seconds` x `tail` / (1 - `use`)."""

    seconds: Floats
    tail: Floats
    """Logarithm of how many times as many wait as may wait longer than the bound; 0 where they are fewer."""
    rise: Floats
    """Of that, with the rate's logarithm."""
    use: Floats

    @property
    def longest(self) -> Floats:
        """Its seconds at the target's percentile."""
        wait = self.seconds * self.tail / (1.0 - np.minimum(self.use, _MOST))
        return np.where(self.use > _MOST, np.inf, wait)

    def over(self, bound: Floats) -> tuple[Floats, Floats]:
        """By how much the capacity that is left is too small for so many seconds at most, and how that rises with the rate's
        logarithm: about a line in the rate."""
        needed = self.seconds / np.maximum(bound, _SHORT)
        short, full = needed * self.tail - (1.0 - self.use), self.use - _MOST
        return np.maximum(short, full), np.where(short > full, needed * self.rise, 0.0) + self.use


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FirstToken:
    """What a request takes to its first token."""

    own: Floats
    """Seconds without any wait."""
    prompts: Wait
    place: Wait

    @property
    def seconds(self) -> Floats:
        """At the target's percentile; endless where a wait is. Who waited for a place finds few prompts ahead: waits do not add."""
        ttft: Floats = self.own + np.maximum(self.prompts.longest, self.place.longest)
        return ttft

    def over(self, bound: float) -> tuple[Floats, Floats]:
        """By how much the bound is broken, above zero where it is; and how fast that rises with the rate's logarithm."""
        left = bound - self.own
        prompts, place = self.prompts.over(left), self.place.over(left)
        value, rise = (np.where(prompts[0] > place[0], a, b) for a, b in zip(prompts, place, strict=True))
        return np.where(left < 0, 1.0, value), np.where(left < 0, 0.0, rise)
