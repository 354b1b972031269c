"""How many requests are in flight at replicas, as a distribution over the numbers of `Crowd`. Pure.

Arrays over numbers have a row for each number and a column for each replica. Between numbers that are more than one apart the
distribution is a line.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from hetops.performance.first_token import HIGHEST_USE
from hetops.performance.replicas import Floats, Integers

_NOTHING = 1e-300
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """Numbers in flight, from none to all places, and how likely each is, at any rate."""

    busy: Floats
    """The numbers, at most the places; the last row is all of them."""
    span: Floats
    """How many numbers a row stands for."""
    overhang: Floats
    """How many of these are above it."""
    log_work: Floats
    """Logarithm of 1 / (mu(1) ... mu(n)); mu stays that of all places beyond them."""
    most: Floats
    """Completions a second with all places taken."""

    @classmethod
    def of(cls, busy: Floats, seconds: Floats) -> Levels:
        """With the seconds between two completions at each of the numbers."""
        work, gaps, one = np.log(seconds), np.diff(busy, axis=0), np.ones((1, busy.shape[1]))
        before, after = np.vstack([one, gaps]), np.vstack([gaps, one])
        return cls(
            busy=busy,
            span=(before + after) / 2.0,
            overhang=(after - 1.0) / 2.0,
            log_work=_summed(work, gaps),
            most=np.exp(-work[-1]),
        )

    def rows(self, which: Integers) -> Levels:
        """Of some of the replicas."""
        return Levels(**{f.name: getattr(self, f.name).take(which, axis=-1) for f in fields(self)})

    def at(self, rate: Floats) -> InFlight:
        """The distribution at these rates."""
        mass = self.busy * np.log(rate)
        mass += self.log_work
        mass -= mass.max(axis=0)
        np.exp(mass, out=mass)
        use = np.minimum(rate / self.most, HIGHEST_USE)
        beyond = mass[-1] * use / (1.0 - use)
        whole = np.einsum("ij,ij->j", mass, self.span) + beyond
        return InFlight(
            levels=self, mass=mass, beyond=beyond, whole=whole, queued=self.busy[-1] + 1.0 / (1.0 - use)
        )

    def above(self, numbers: Floats) -> Floats:
        """Weights that make of `InFlight.chance` that of more than so many; one number a replica."""
        each, last = np.arange(len(numbers)), len(self.busy) - 2
        row = np.clip((self.busy <= numbers).sum(axis=0) - 1, 0, last)
        low, gap = self.busy[row, each], self.busy[row + 1, each] - self.busy[row, each]
        part = np.clip((numbers - low) / np.maximum(gap, 1.0), 0.0, 1.0)
        weights = np.where(np.arange(last + 2)[:, None] < row, 0.0, self.span)
        half, square = (1.0 - part) / 2.0, part**2 / 2.0
        weights[row, each] = gap * (0.5 - part + square) - half + 0.5 * (gap == 0)
        weights[row + 1, each] -= gap * square + part / 2.0
        return weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InFlight:
    """The distribution at a rate, up to a factor of each replica."""

    levels: Levels
    mass: Floats
    """At each number."""
    beyond: Floats
    """Of all more than there are places."""
    whole: Floats
    """Of all."""
    queued: Floats
    """How many there are on average where they are more than there are places."""

    @property
    def mean(self) -> Floats:
        """How many on average, with those that wait."""
        return self._mean(self.levels.span, self.whole)

    @property
    def waiting(self) -> Floats:
        """Chance that all places are taken."""
        share: Floats = (self.mass[-1] + self.beyond) / self.whole
        return share

    @property
    def waiting_rise(self) -> Floats:
        """How fast its logarithm rises with the rate's: by as many more as are in flight then than on average."""
        share = self.beyond / np.maximum(self.mass[-1] + self.beyond, _NOTHING)
        places = self.levels.busy[-1]
        rise: Floats = places + share * (self.queued - places) - self.mean
        return rise

    def chance(self, weights: Floats) -> tuple[Floats, Floats]:
        """Of what the weights count, and of more than there are places; and how fast its logarithm rises with the rate's."""
        found = np.einsum("ij,ij->j", self.mass, weights) + self.beyond
        return found / self.whole, self._mean(weights, np.maximum(found, _NOTHING)) - self.mean

    def _mean(self, weights: Floats, whole: Floats) -> Floats:
        numbers = np.einsum("ij,ij,ij->j", self.mass, self.levels.busy, weights)
        mean: Floats = (numbers + self.beyond * self.queued) / whole
        return mean

    def percentile(self, share: float) -> Floats:
        """The smallest number with such a share of the distribution at or below it."""
        mass, busy = self.mass, self.levels.busy
        below, wanted, each = self._below(), share * self.whole, np.arange(len(self.whole))
        row = (below < wanted).sum(axis=0)
        high = np.clip(row, 1, len(below) - 1)
        low = high - 1
        gap, lacking = busy[high, each] - busy[low, each], wanted - below[low, each]
        rise = mass[high, each] - mass[low, each]
        slope = gap * mass[low, each] + rise / 2.0
        root = np.sqrt(np.maximum(slope**2 + 2.0 * gap * rise * lacking, 0.0))
        part = np.clip(2.0 * lacking / np.maximum(slope + root, _NOTHING), 0.0, 1.0)
        return np.where(row == 0, 0.0, np.ceil(busy[low, each] + part * gap - _ROUNDING))

    def _below(self) -> Floats:
        """Of all numbers up to each, itself among them."""
        below = _running(self.mass * self.levels.span)
        below -= self.mass * self.levels.overhang
        return below


def _running(values: Floats) -> Floats:
    """Sums of the rows up to each: row by row, where numpy's own go column by column and take five times as long."""
    sums = np.empty_like(values)
    sums[0] = values[0]
    for i in range(1, len(values)):
        np.add(sums[i - 1], values[i], out=sums[i])
    return sums


def _summed(values: Floats, gaps: Floats) -> Floats:
    """Sums over the numbers 1 to each row's, from the values at the rows alone; none at the first, which is 0."""
    low, high = values[:-1], values[1:]
    between = np.where(gaps > 0, gaps * (low + high) / 2.0 + (high - low) / 2.0, 0.0)
    return _running(np.vstack([np.zeros((1, values.shape[1])), between]))
