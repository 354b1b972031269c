"""What a replay takes note of: lists of numbers that grow as it goes. Values only; what they mean for a class is `outcome`'s."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hetops.domain.observation import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A look at the queues, by pool."""

    at_seconds: float
    in_flight: tuple[int, ...]
    waiting: tuple[int, ...]
    """Those in flight that are not being worked on yet."""
    replicas: tuple[int, ...]
    """Replicas that are there."""


@dataclass(slots=True, kw_only=True)
class Record:
    """What happened, by request; and by pool over time. Times are seconds from the start, endless where nothing happened."""

    first_at: list[float]
    """When the first token came."""
    ended_at: list[float]
    outcomes: list[Outcome | None]
    """None for a request that had not come, or was not over, when the simulation was stopped."""
    pools: list[int]
    """The pool that had the request last, by its index; -1 where none had it."""
    handed: dict[int, int] = field(default_factory=dict)
    """Of requests that were prefilled and handed over, the pool that prefilled them last."""
    retries: int = 0
    now: float = 0.0
    """How far the simulation is."""
    busy_seconds: list[float]
    """Of all replicas of each pool: at work on at least one request."""
    gone_seconds: list[float]
    """Of all replicas of each pool: not there."""
    in_flight_seconds: list[float]
    """Requests times seconds at each pool."""
    preemptions: list[int]
    samples: list[Sample] = field(default_factory=list)

    @classmethod
    def empty(cls, *, requests: int, pools: int) -> Record:
        """Of a run that has not begun."""
        return cls(
            first_at=[math.inf] * requests,
            ended_at=[math.inf] * requests,
            outcomes=[None] * requests,
            pools=[-1] * requests,
            busy_seconds=[0.0] * pools,
            gone_seconds=[0.0] * pools,
            in_flight_seconds=[0.0] * pools,
            preemptions=[0] * pools,
        )
