"""The largest rates that keep a target, for many replicas at once. Pure; knows nothing of what is kept."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from hetops.performance.replicas import Floats, Integers

CLOSE = 1e-4
"""How far below the true rate what is found may lie, relatively."""
_STEPS = 24
"""More than halving alone takes from a millionth of the highest rate on."""
_FIRST = 0.16
"""Part of the way down, on logarithms, where the first look is: rates a tenth of the highest are common, millionths rare."""


class Target(Protocol):
    """A bound that a rate keeps or breaks, for each replica."""

    def rows(self, which: Integers) -> Target:
        """For some of the replicas."""

    def broken(self, rate: Floats) -> Floats:
        """By how much: above zero where it is, never falling as a rate rises."""


def largest(target: Target, lowest: Floats, highest: Floats) -> Floats:
    """For each replica the largest rate between the two that keeps the target; 0 where the lowest does not."""
    under, over = target.broken(lowest), target.broken(highest)
    found = np.where(under > 0, 0.0, highest)
    left = np.flatnonzero((under <= 0) & (over > 0))
    bracket = _Bracket(
        newest=np.log(highest),
        newest_value=over,
        other=np.log(lowest),
        other_value=under,
        part=np.full(len(found), _FIRST),
    ).rows(left)
    target = target.rows(left)
    for step in range(_STEPS):
        if not len(left):
            break
        bracket = bracket.narrowed(target.broken(np.exp(bracket.at)))
        found[left] = np.exp(bracket.good)
        wide = np.flatnonzero(bracket.width > CLOSE)
        if step % 3 == 2 or not len(wide):
            bracket, target, left = bracket.rows(wide), target.rows(wide), left[wide]
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bracket:
    """Logarithms of rates on both sides of a zero, narrowed by inverse quadratic interpolation where that is sure to help
    and by halving elsewhere (Chandrupatla 1997, Advances in Engineering Software 28)."""

    newest: Floats
    newest_value: Floats
    other: Floats
    other_value: Floats
    part: Floats
    """Of the way from the newest to the other, where to look next."""

    def rows(self, which: Integers) -> _Bracket:
        return _Bracket(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @property
    def at(self) -> Floats:
        return self.newest + self.part * (self.other - self.newest)

    @property
    def good(self) -> Floats:
        return np.where(self.newest_value <= 0, self.newest, self.other)

    @property
    def width(self) -> Floats:
        return np.abs(self.newest - self.other)

    def narrowed(self, value: Floats) -> _Bracket:
        """With the value where it looked."""
        same = (value <= 0) == (self.newest_value <= 0)
        x1, f1 = self.at, value
        x2, f2 = np.where(same, self.other, self.newest), np.where(same, self.other_value, self.newest_value)
        x3, f3 = np.where(same, self.newest, self.other), np.where(same, self.newest_value, self.other_value)
        with np.errstate(divide="ignore", invalid="ignore"):
            across, up = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
            sure = (up**2 < across) & ((1.0 - up) ** 2 < 1.0 - across)
            second = (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)
            quadratic = f1 / (f2 - f1) * f3 / (f2 - f3) + second
            least = np.minimum(0.5, 0.5 * CLOSE / np.abs(x2 - x1))
        part = np.clip(np.where(sure, quadratic, 0.5), least, 1.0 - least)
        return _Bracket(newest=x1, newest_value=f1, other=x2, other_value=f2, part=part)
