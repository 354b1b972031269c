"""Decides whether an endpoint may be given requests. Pure: events and times in, states out; asks no engine itself.

What does not take a connection is out at once; what answers badly is out after some failures in a row. Only a probe
brings an endpoint back, on probation: it is out again at its next failure, for twice as long, until a request has been
answered. An engine that says it is busy (429, 503) is none that failed: it would be the busiest ones that are taken out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto


class Circuit(StrEnum):
    """What is known of an endpoint."""

    UNPROVEN = "unproven"
    """Nothing was heard of it yet: it is given requests, but counts as no proof that the router can serve."""
    HEALTHY = "healthy"
    FAILING = "failing"
    """No request until a probe succeeds."""


class Fault(Enum):
    """How an endpoint failed."""

    UNREACHABLE = auto()
    """It took no connection."""
    BROKEN = auto()
    """It gave no answer, cut one short, or answered with an error of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    """When an endpoint is out, for how long, and how often it is probed."""

    failures_to_open: int = 3
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 10.0
    probe_seconds: float = 5.0
    """Between probes of an endpoint that answers."""
    doubt_seconds: float = 1.0
    """Between probes of one that failed and is not out yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One endpoint's state. `pauses` counts how often it was out since it last answered a request."""

    circuit: Circuit = Circuit.UNPROVEN
    failures: int = 0
    pauses: int = 0
    probe_at: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether it may be given requests."""
        return self.circuit is not Circuit.FAILING


def answered(health: Health) -> Health:
    """It answered a request. That alone brings none back that is out: the answer may be an old one."""
    if health.circuit is Circuit.FAILING:
        return health
    if health.circuit is Circuit.HEALTHY and not health.failures:
        return health
    return replace(health, circuit=Circuit.HEALTHY, failures=0, pauses=0)


def failed(health: Health, fault: Fault, at: float, policy: HealthPolicy) -> Health:
    """A request failed. Those that were under way when the endpoint went out say nothing new."""
    return _worse(health, fault, at, policy) if health.usable else health


def probe_failed(health: Health, fault: Fault, at: float, policy: HealthPolicy) -> Health:
    """A probe failed."""
    return _worse(health, fault, at, policy)


def _worse(health: Health, fault: Fault, at: float, policy: HealthPolicy) -> Health:
    failures = health.failures + 1
    out = fault is Fault.UNREACHABLE or failures >= policy.failures_to_open or not health.usable
    if not out:
        return replace(health, failures=failures, probe_at=min(health.probe_at, at + policy.doubt_seconds))
    pause = min(policy.first_pause_seconds * 2**health.pauses, policy.longest_pause_seconds)
    return Health(
        circuit=Circuit.FAILING,
        failures=failures,
        pauses=min(health.pauses + 1, 32),
        probe_at=at + pause,
    )


def probed(health: Health, at: float, policy: HealthPolicy) -> Health:
    """A probe was answered: an endpoint that was out is back, on probation."""
    probe_at = at + policy.probe_seconds
    if not health.usable:
        return replace(
            health, circuit=Circuit.HEALTHY, failures=policy.failures_to_open - 1, probe_at=probe_at
        )
    failures = health.failures if health.pauses else 0
    return replace(health, circuit=Circuit.HEALTHY, failures=failures, probe_at=probe_at)


def probing(health: Health, at: float, policy: HealthPolicy) -> Health:
    """A probe is on its way: the next is not due before its answer or the longest pause."""
    return replace(health, probe_at=at + policy.longest_pause_seconds)
