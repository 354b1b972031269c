"""Solution: the fleet that answers a problem, or the news that there is none. Values only; nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from hetops.domain.units import usd_per_month
from hetops.solver.problem import Mode


class Ended(StrEnum):
    """What ended the search."""

    GAP = "gap"
    """The wanted gap was reached."""
    TIME = "time"
    """The time ran out: this is the best fleet found by then."""
    INTERRUPTED = "interrupted"
    """Somebody stopped it: this is the best fleet found by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedPool:
    """All nodes of one column. `utilisation` is the share of their full capacity in use, headroom not taken off."""

    offer: str
    configuration: str
    nodes: int
    replicas_per_node: int
    usd_per_hour: Decimal
    """Of all nodes together."""
    utilisation: float

    @property
    def key(self) -> tuple[str, str]:
        """Offer and configuration, as `Column.key`."""
        return self.offer, self.configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedShare:
    """The part of a class that a pool serves. Shares have at most 12 decimals and sum to exactly 1 in decimal."""

    workload_class: str
    offer: str
    configuration: str
    share: float
    requests_per_second: float

    @property
    def key(self) -> tuple[str, str]:
        """Offer and configuration, as `Column.key`."""
        return self.offer, self.configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The chosen fleet, each class's shares, the cost, and how far from the best it can be at most.

    `objective` and both bounds are USD per hour in mode min_cost, requests per second in mode max_throughput. A class
    without demand has no shares.
    """

    FORMAT: ClassVar[str] = "hetops.solution"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    mode: Mode
    problem_digest: str
    pools: tuple[SolvedPool, ...]
    shares: tuple[SolvedShare, ...]
    usd_per_hour: Decimal
    requests_per_second: float
    """Rate served: the demand, or what the limits allow when maximising."""
    objective: float
    bound: float
    """The branch-and-bound's: no fleet is better, as far as the solver's floating point can be trusted."""
    certified_bound: float
    """Weak duality in exact arithmetic: no fleet is better, whatever the solver says. Looser than `bound`."""
    gap: float
    """Relative distance of `objective` from `bound`; 0 is proven optimal."""
    within_gap: bool
    """False where the search ended before the wanted gap was reached."""
    assumed_offers: tuple[str, ...]
    """Offers in the fleet whose stock nobody knows."""
    solver: str
    solve_seconds: float
    ended: Ended = Ended.GAP

    @property
    def usd_per_month(self) -> Decimal:
        """Cost of a month of 730 hours."""
        return usd_per_month(self.usd_per_hour)

    @property
    def nodes(self) -> dict[tuple[str, str], int]:
        """Nodes by `Column.key`."""
        return {pool.key: pool.nodes for pool in self.pools}


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasible:
    """No fleet exists within the limits. `unservable` names the classes that no column can serve at any price."""

    problem_digest: str = ""
    unservable: tuple[str, ...] = ()
    solve_seconds: float = 0.0
