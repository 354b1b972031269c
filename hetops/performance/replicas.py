"""Step times of many replicas as arrays: the sums of `StepTimes`, made for all replicas and numbers in flight at once. Pure.

Steps with up to 32 requests in flight are reckoned one by one, fuller ones n at numbers that lie 0.7 sqrt(n) apart: the queue of a
class (`queueing.py`) sums over them, and its distribution is wider than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hetops.domain.performance import StepTimes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]

_NOTHING = 1e-12
"""Seconds that count as none."""
_HARD = 64.0
"""A sharpness at which the larger of two times is all of both, to 1 %."""
_EACH, _APART = 32, 0.7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replicas:
    """StepTimes as columns; one row a replica."""

    weights: Floats
    compute: Floats
    kv: Floats
    overhead: Floats
    per_sequence: Floats
    prefill: Floats
    prefill_squared: Floats
    kv_capacity: Floats
    max_sequences: Floats
    interference: Floats
    stages: Floats
    shared: Floats
    expert_share: Floats
    sharpness: Floats
    first_token: Floats
    first_token_factor: Floats
    window_tokens: Floats
    window_share: Floats
    within_prompts: Floats
    forgotten_share: Floats
    state_tokens: Floats
    groups: Floats
    apart: Floats
    curve_start: Floats
    """What a step takes by its curve below the first of the numbers at which that bends."""
    bends_at: Floats
    """These numbers, padded with zeros; a column a replica. No row where no replica has a curve."""
    bends: Floats
    """By how much the curve's seconds per sequence rise there."""

    @classmethod
    def of(cls, replicas: Sequence[StepTimes]) -> Replicas:
        """The replicas in their order."""
        curves = [r.curve for r in replicas]
        return cls(
            **{
                column: np.array([getattr(r, name) for r in replicas], dtype=np.float64)
                for column, name in _COLUMNS.items()
            },
            curve_start=np.array([curve.seconds[0] if curve else 0.0 for curve in curves]),
            bends_at=_padded([curve.sequences if curve else () for curve in curves]),
            bends=_padded([curve.bends if curve else () for curve in curves]),
            sharpness=np.array([_HARD if r.sharpness is None else r.sharpness for r in replicas]),
        )

    def rows(self, which: Integers) -> Replicas:
        """Some of the replicas."""
        return Replicas(**{f.name: getattr(self, f.name).take(which, axis=-1) for f in fields(self)})

    def fixed(self, in_flight: Floats) -> Floats:
        """Seconds of a decode step but for reading KV, for one number in flight a replica, or for numbers in a column."""
        paced = self._paced(in_flight)
        unchosen = (1.0 - self.expert_share) ** (paced / self.stages)
        touched = self.shared + (1.0 - self.shared) * (1.0 - unchosen)
        read, done, s = self.weights * touched, self.compute * paced, self.sharpness
        larger = np.maximum(np.maximum(read, done), _NOTHING)
        both = larger * (1.0 + (np.minimum(read, done) / larger) ** s) ** (1.0 / s)
        seconds: Floats = both + self.per_sequence * paced + (self.overhead + self.curve_start)
        for at, bend in zip(self.bends_at, self.bends, strict=True):
            seconds += bend * np.maximum(in_flight - at, 0.0)
        return seconds

    def decode(self, in_flight: Floats, context: float) -> Floats:
        """As `StepTimes.decode_seconds`, one number in flight a replica."""
        seconds: Floats = self.fixed(in_flight) + self.reading(in_flight, context)
        return seconds

    def reading(self, in_flight: Floats, context: float) -> Floats:
        """Seconds of a decode step in which KV is read; none for nobody."""
        each: Floats = self.kv * self.attended(context)
        seconds = each * self._paced(in_flight)
        return (
            seconds + each * (self.groups - 1.0) * self.stages * (in_flight > 0)
            if self.any_apart
            else seconds
        )

    def _paced(self, in_flight: Floats) -> Floats:
        """As `StepTimes.paced`; of nobody none."""
        if not (self.stages > 1.0).any():
            return in_flight
        found: Floats = np.maximum(in_flight, self.stages * (in_flight > 0))
        return found

    @property
    def any_apart(self) -> bool:
        """Whether any replica has parts that attend to requests of their own."""
        return bool((self.groups > 1.0).any())

    def kept(self, tokens: float | Floats) -> Floats:
        """As `StepTimes.kept`."""
        beyond = np.maximum(tokens - self.window_tokens, 0.0)
        found: Floats = self.state_tokens + tokens - self.forgotten_share * beyond
        return found

    def attended(self, tokens: float | Floats) -> Floats:
        """As `StepTimes.attended`."""
        found: Floats = tokens - self.window_share * np.maximum(tokens - self.window_tokens, 0.0)
        return found

    def squares(self, tokens: float | Floats) -> Floats:
        """As `StepTimes.squares`."""
        beyond = np.maximum(tokens - self.window_tokens, 0.0)
        found: Floats = tokens * tokens - self.within_prompts * beyond**2
        return found

    def prefill_seconds(
        self, tokens: float, cached: float = 0.0, together: float | Floats = 1.0, spread: float = 0.0
    ) -> Floats:
        """As `StepTimes.prefill_seconds`; of prompts that are so long on average the mean, their squared coefficient of variation
        being `spread`: attention goes by their squares."""
        linear, beyond = self.prefill * (tokens - cached), (1.0 + spread) ** 0.5
        squares = self.prefill_squared * (self.squares(tokens * beyond) - self.squares(cached * beyond))
        waiting = (self.groups - 1.0) / together * (self.apart * linear + squares)
        found: Floats = linear + squares + waiting + self.overhead
        return found


def _padded(rows: Sequence[Sequence[float]]) -> Floats:
    """Rows of unlike length as columns of an array, with zeros behind the shorter ones."""
    longest = max(map(len, rows), default=0)
    return np.array([[*row, *([0.0] * (longest - len(row)))] for row in rows]).reshape(len(rows), longest).T


_COLUMNS = {
    "weights": "weights_seconds",
    "compute": "compute_seconds_per_sequence",
    "kv": "kv_seconds_per_token",
    "overhead": "overhead_seconds",
    "per_sequence": "overhead_seconds_per_sequence",
    "prefill": "prefill_seconds_per_token",
    "prefill_squared": "prefill_seconds_per_token_squared",
    "kv_capacity": "kv_capacity_tokens",
    "max_sequences": "max_sequences",
    "interference": "prefill_interference",
    "stages": "pipeline_stages",
    "shared": "shared_weights",
    "expert_share": "expert_share",
    "first_token": "first_token_seconds",
    "first_token_factor": "first_token_factor",
    "window_tokens": "window_tokens",
    "window_share": "window_share",
    "within_prompts": "within_prompts",
    "forgotten_share": "forgotten_share",
    "state_tokens": "state_tokens",
    "groups": "attention_groups",
    "apart": "apart_share",
}
"""Columns that are fields of StepTimes as they stand."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crowd:
    """Replicas with their steps at rising numbers in flight, reckoned once for all classes."""

    replicas: Replicas
    numbers: Floats
    """0, 1, 2, 3, ... and thinner from 32 on, up to the most sequences of any replica."""
    fixed: Floats
    """`Replicas.fixed` of them; a row a number, a column a replica."""

    @classmethod
    def of(cls, times: Sequence[StepTimes]) -> Crowd:
        """The replicas in their order."""
        replicas = Replicas.of(times)
        numbers = _numbers(int(replicas.max_sequences.max()))
        return cls(replicas=replicas, numbers=numbers, fixed=replicas.fixed(numbers[:, None]))


def _numbers(most: int) -> Floats:
    found = list(range(min(most, _EACH) + 1))
    while found[-1] < most:
        found.append(min(most, found[-1] + int(_APART * found[-1] ** 0.5)))
    return np.array(found, dtype=np.float64)
