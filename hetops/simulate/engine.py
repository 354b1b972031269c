"""What a simulation needs of whatever answers requests: the requests, the events, the calls. Values and names only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class EventKind(StrEnum):
    """What happened to a request."""

    FIRST_TOKEN = "first_token"
    TOKEN = "token"
    FINISHED = "finished"
    PREEMPTED = "preempted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A request: so many tokens in, exactly so many out. `every_token` asks for an event for each of them."""

    id: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Of the input, from its beginning: what the engine finds prefilled in its cache."""
    every_token: bool = False

    def __post_init__(self) -> None:
        if self.input_tokens < 1 or self.output_tokens < 1:
            raise ValueError(f"generation {self.id}: input_tokens and output_tokens must be at least 1")
        if not 0 <= self.cached_tokens < self.input_tokens:
            raise ValueError(f"generation {self.id}: cached_tokens must be less than input_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of one request. `tokens` is how many output tokens it has by then."""

    kind: EventKind
    request: int
    at: float
    tokens: int


class Engine(Protocol):
    """One replica, or a service. Times are seconds on any clock that never goes back; equal calls give equal answers."""

    @property
    def waiting(self) -> int:
        """Requests that are not worked on yet."""

    @property
    def preemptions(self) -> int:
        """Preemptions so far."""

    def submit(self, generation: Generation, at: float) -> None:
        """A request arrives."""

    def slow(self, factor: float, at: float) -> None:
        """From what begins next on, everything takes `factor` times as long as it did at first."""

    def advance(self, to: float) -> list[Event]:
        """Everything that happened since the last call, up to and including the time `to`."""

    def next_event_at(self) -> float | None:
        """When `advance` should be called next: nothing happens before. None while it is idle."""
