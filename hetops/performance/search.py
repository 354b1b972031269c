"""The largest rates that keep a target, for many replicas at once. Pure; knows nothing of what is kept."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np

from hetops.performance.replicas import Bools, Floats, Integers

CLOSE = 1e-4
"""How far below the true rate what is found may lie, relatively."""
_SURE = 6
"""Every so many steps one halves."""
_STEPS = 150
"""More than these take from a millionth of the highest rate on."""

_FLAT = 1e-300
_ROUNDING = 1e-12


class Target(Protocol):
    """A bound that a rate keeps or breaks, for each replica."""

    def rows(self, which: Integers) -> Target:
        """For some of the replicas."""

    def broken(self, rate: Floats) -> tuple[Floats, Floats]:
        """By how much: above zero where it is, never falling as a rate rises; and about how fast it rises with the rate's
        logarithm, which may be told too low at the cost of time alone."""


def largest(target: Target, lowest: Floats, highest: Floats, first: Floats) -> Floats:
    """For each replica the largest rate between the two that keeps the target; 0 where the lowest does not. Looks at the
    first that is given first."""
    found, left = np.zeros(len(first)), np.arange(len(first))
    no = np.zeros(len(first), dtype=np.bool_)
    bracket = _Bracket(
        low=np.log(lowest), high=np.log(highest), at=np.log(first), kept=no, broke=no, closed=no
    )
    for step in range(_STEPS):
        if not len(left):
            break
        bracket = bracket.narrowed(*target.broken(np.exp(bracket.at)))
        if step % _SURE == _SURE - 1:
            bracket = bracket.halved()
        found[left] = np.where(bracket.kept, np.exp(bracket.low), 0.0)
        wide = np.flatnonzero(~bracket.closed)
        if len(wide) < 0.8 * len(left):
            bracket, target, left = bracket.rows(wide), target.rows(wide), left[wide]
    return np.where(found < highest * (1.0 - _ROUNDING), found, highest)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bracket:
    """Logarithms of rates on both sides of a zero, narrowed by Newton's method where that stays between them and by halving
    elsewhere."""

    low: Floats
    high: Floats
    at: Floats
    """Where to look next."""
    kept: Bools
    """Whether the lower one is known to keep the target."""
    broke: Bools
    """Whether the higher one is known to break it."""
    closed: Bools
    """Whether the lower one is close enough to the zero."""

    def rows(self, which: Integers) -> _Bracket:
        return _Bracket(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def narrowed(self, value: Floats, rise: Floats) -> _Bracket:
        """With the value where it looked."""
        keeps, near = value <= 0, -value <= CLOSE * rise
        low, high = np.where(keeps, self.at, self.low), np.where(keeps, self.high, self.at)
        kept, broke = self.kept | keeps, self.broke | ~keeps
        with np.errstate(over="ignore"):
            zero = self.at - value / np.maximum(rise, _FLAT)
        aim = np.clip(zero + np.where(keeps, 0.5, -0.5) * CLOSE, low, high)
        middle, known = (low + high) / 2.0, kept & broke
        aim = np.where(known, np.where(keeps, np.minimum(aim, middle), np.maximum(aim, middle)), aim)
        at = np.where(((aim > low) | ~kept) & ((aim < high) | ~broke), aim, middle)
        at = np.where(high - low > CLOSE, at, np.where(kept, high, low))
        closed = self.closed | (keeps & near) | (kept & broke & (high - low <= CLOSE)) | (high <= low)
        return _Bracket(low=low, high=high, at=at, kept=kept, broke=broke, closed=closed)

    def halved(self) -> _Bracket:
        """Looking in the middle next."""
        return replace(self, at=(self.low + self.high) / 2.0)
