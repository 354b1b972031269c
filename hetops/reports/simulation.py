"""The document of a simulation: what a plan's fleet did with a trace in virtual time, held against the plan. Values only.

Latencies and shares are those of the first run; of several the spread is told beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from hetops.domain import codec
from hetops.domain.added import ADDED
from hetops.domain.observation import Outcome
from hetops.domain.workload import LatencyTarget
from hetops.reports.status import Measured
from hetops.simulate.outcome import Percentiles


class Ended(StrEnum):
    """How far a run went."""

    WHOLE = "whole"
    """To the last answer."""
    STOPPED = "stopped"
    """Ctrl-C came before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedFault:
    """A fault as the command line takes it, and when it lasted; None is to the end."""

    fault: str
    at_seconds: float
    until_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedClass:
    """One class, planned and simulated; figures are at the percentiles of its target."""

    name: str
    target: LatencyTarget
    requests: int
    answered: int
    requests_per_second: Measured
    ttft_seconds: Measured
    tpot_seconds: Measured
    ttft_percentiles: Percentiles | None
    tpot_percentiles: Percentiles | None
    ttft_attainment: float | None
    """Share of its requests that were answered within the target's TTFT, as for TPOT and for both."""
    tpot_attainment: float | None
    attainment: float | None
    shares: Mapping[str, Measured]
    """By pool."""
    shed_share: float = field(default=0.0, metadata=ADDED)
    """The part of its requests that the plan turns away: they need not keep its targets."""
    model: str = field(default="", metadata=ADDED)
    """The model that its requests ask for; empty where there is only one."""

    @property
    def late(self) -> tuple[str, ...]:
        """Which of `TTFT` and `TPOT` too few of the requests kept that are to be served; one that was not answered kept none."""
        target, served = self.target, 1.0 - self.shed_share
        found = (
            ("TTFT", target.ttft_seconds, target.ttft_percentile, self.ttft_attainment),
            ("TPOT", target.tpot_seconds, target.tpot_percentile, self.tpot_attainment),
        )
        return tuple(
            name
            for name, bound, percentile, share in found
            if bound is not None and share is not None and share < served * percentile / 100.0 - 1e-9
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPool:
    """One pool or service, planned and simulated."""

    name: str
    gpu: str
    """Empty for a service."""
    replicas: int
    """0 for a service."""
    requests: int
    requests_per_second: Measured
    utilisation: Measured
    """The rates that came to it over those that it sustains within the targets, as planned; None where a class came that it
    was not planned for. Of a service, what came a minute over its limits, the one that is nearer."""
    busy: float
    """Share of its replicas' time with at least one request at work."""
    in_flight: float
    """Requests at each of its replicas, on average over time."""
    most_waiting: int
    """Largest number of requests, of all its replicas, that waited for a place in the engine."""
    preemptions: int
    gone_seconds: float
    """Of all its replicas together."""
    usd: float = field(default=0.0, metadata=ADDED)
    """Its part of what was paid."""
    model: str = field(default="", metadata=ADDED)
    """The model that it serves; empty where there is only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """All classes and pools of a model together, of several."""

    name: str
    requests: int
    answered: int
    attainment: float | None
    """Share of its requests that were answered within the targets of their classes."""
    ttft_percentiles: Percentiles | None
    tpot_percentiles: Percentiles | None
    tokens_per_second: float
    """Input and output together, of whole answers."""
    usd: float
    """Paid for its pools, to its services and for the way of its answers; nodes that nobody uses are no model's."""
    usd_per_million_tokens: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A stretch of time, from `at_seconds` until the next moment's. By class or by pool; None where nobody came."""

    at_seconds: float
    requests_per_second: float
    within_targets: float | None
    """Share of the requests that came in it."""
    ttft_seconds: Mapping[str, float | None]
    """By class, of the requests that came in it, at the percentile of the class's target."""
    in_flight: Mapping[str, int]
    """By pool, at its beginning, as waiting and replicas."""
    waiting: Mapping[str, int]
    replicas: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure over several runs."""

    name: str
    unit: str
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a plan's fleet did with a trace in virtual time, held against the plan."""

    FORMAT: ClassVar[str] = "hetops.simulation"
    FORMAT_VERSION: ClassVar[str] = "1.1"

    deployment: str
    model: str
    plan_digest: str
    trace: str
    faults: tuple[PlayedFault, ...]
    seeds: tuple[int, ...]
    ended: Ended
    seconds: float
    """How long requests came, or until it was stopped."""
    answered_seconds: float
    """When the last answer was whole."""
    requests: int
    outcomes: Mapping[Outcome, int]
    unfinished: int
    """Requests that were under way when it was stopped."""
    retries: int
    spilled: int
    """Requests that another pool than the planned one took, as that was full."""
    attainment: float | None
    """Share of all requests that were answered within their targets."""
    classes: tuple[SimulatedClass, ...]
    pools: tuple[SimulatedPool, ...]
    usd_per_hour: Decimal
    usd: float
    """Paid from the first request to the last answer: for nodes that were there, and to services for what they answered."""
    tokens_per_second: Measured
    """Input and output together."""
    usd_per_million_tokens: Measured
    usd_per_million_tokens_within_targets: float | None
    """Counting only tokens of requests that were answered within their targets."""
    moments: tuple[Moment, ...]
    spread: tuple[Spread, ...] = ()
    """Over all runs; empty for a single one."""
    notes: tuple[str, ...] = field(default=())
    models: tuple[SimulatedModel, ...] = field(default=(), metadata=ADDED)
    """Where there are several."""


def as_json(found: Simulation) -> dict[str, Any]:
    """The `hetops.simulation` document."""
    return codec.to_builtins(found)
