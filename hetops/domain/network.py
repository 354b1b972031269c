"""Network: the ways between where requests come from and what serves them, in time and money. Decides nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from hetops.domain.units import BYTES_PER_GB, SECONDS_PER_HOUR

BYTES_PER_OUTPUT_TOKEN = 325.0
"""What a streamed token takes on the wire, in an event and a packet of its own.

250 bytes of HTTP: answers of 200 and 800 tokens took 247 to 253 a token from llama.cpp and from the emulated engine; the fields
of vLLM's chunks make 251 with a model name of 33 letters. 74 around them: 22 of a TLS 1.3 record, 52 of TCP and IPv4 headers.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way between an origin and a pool or service.

    Raises:
        ValueError: a negative figure, or one that is none.
    """

    origin: str
    destination: str
    """Name of a pool or of a service."""
    round_trip_seconds: float = 0.0
    usd_per_gb: Decimal = Decimal(0)
    """Egress: what the pool's provider bills for 10^9 bytes that leave it for the origin; prompts come in free."""
    usd_per_hour: Decimal = Decimal(0)
    """What the answers of the planned shares cost on it."""

    def __post_init__(self) -> None:
        for name in ("round_trip_seconds", "usd_per_gb", "usd_per_hour"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"way from {self.origin} to {self.destination}: {name} must be at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The ways between all origins and all pools and services of a plan.

    Raises:
        ValueError: two ways between the same ends.
    """

    bytes_per_output_token: float = BYTES_PER_OUTPUT_TOKEN
    ways: tuple[Way, ...]

    def __post_init__(self) -> None:
        if len({(w.origin, w.destination) for w in self.ways}) < len(self.ways):
            raise ValueError("network: two ways between the same origin and destination")

    def way(self, origin: str, destination: str) -> Way:
        """The way between both; one of no length and no price where none is told."""
        found = (w for w in self.ways if (w.origin, w.destination) == (origin, destination))
        return next(found, Way(origin=origin, destination=destination))

    @property
    def usd_per_hour(self) -> Decimal:
        """Egress of the whole fleet at the planned rates."""
        return sum((w.usd_per_hour for w in self.ways), Decimal(0))


def gb_per_hour(output_tokens_per_second: float, bytes_per_output_token: float) -> float:
    """What answers of so many tokens a second weigh in an hour."""
    return output_tokens_per_second * bytes_per_output_token * SECONDS_PER_HOUR / BYTES_PER_GB
