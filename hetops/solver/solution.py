"""Solution: the fleet that answers a problem, or the news that there is none. Values only; nothing is decided here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import ClassVar

from hetops.domain.added import ADDED
from hetops.domain.pruning import Pruning
from hetops.domain.units import usd_per_month
from hetops.solver.problem import Mode, Problem


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
    """Of all nodes together; 0 where the offer's nodes are paid for as a whole, see `SolvedRental`."""
    utilisation: float
    least_nodes: int | None = field(default=None, metadata=ADDED)
    """Of all periods; `nodes` are then the most of all periods: the bounds of an autoscaler."""
    also: Mapping[str, int] = field(default_factory=dict, metadata=ADDED)
    """Nodes of offers that all of these nodes stand on besides, where the column's `also` says so."""

    @property
    def key(self) -> tuple[str, str]:
        """Offer and configuration, as `Column.key`."""
        return self.offer, self.configuration

    @property
    def rented(self) -> dict[str, int]:
        """Nodes, or parts of nodes, of every offer that the pool stands on."""
        own = {self.offer: self.nodes + self.also.get(self.offer, 0)}
        return {**own, **{offer: n for offer, n in self.also.items() if offer != self.offer}}


def nodes_of(problem: Problem, pools: Iterable[SolvedPool]) -> dict[str, int]:
    """By offer, how many nodes pools stand on: parts of nodes fill them up, whichever pool has them."""
    parts = {column.key: column.parts_per_node for column in problem.columns}
    taken: defaultdict[str, Fraction] = defaultdict(Fraction)
    for pool in pools:
        for offer, nodes in pool.rented.items():
            taken[offer] += Fraction(nodes, parts[pool.key])
    return {offer: ceil(nodes) for offer, nodes in taken.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedShare:
    """The part of a class that a pool serves, or a service, whose configuration is empty. Shares have at most 12 decimals and sum to exactly 1 in decimal."""

    workload_class: str
    offer: str
    configuration: str
    share: float
    requests_per_second: float
    usd_per_hour: Decimal = field(default=Decimal(0), metadata=ADDED)
    """What these requests cost on top of nodes: egress, or a service."""

    @property
    def key(self) -> tuple[str, str]:
        """Offer and configuration, as `Column.key`."""
        return self.offer, self.configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedRental:
    """Nodes of an offer that are paid for as a whole: reserved, in lots, or shared by pools."""

    offer: str
    nodes: int
    usd_per_hour: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedHandover:
    """Requests of a class whose KV cache goes from prefill to decode over a link."""

    source: str
    target: str
    kv_format: str
    workload_class: str
    requests_per_second: float
    usd_per_hour: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedShed:
    """The part of what arrives of a class that is turned away. Nobody is paid what it costs."""

    workload_class: str
    share: float
    requests_per_second: float
    usd_per_hour: Decimal


def usd_of_shed(shed: Iterable[SolvedShed]) -> Decimal:
    """What all of it costs, in USD per hour."""
    return sum((one.usd_per_hour for one in shed), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedPeriod:
    """The fleet in a period: what runs, what is paid for, who serves what. Shares are of what is served in it."""

    name: str
    pools: tuple[SolvedPool, ...]
    shares: tuple[SolvedShare, ...]
    rentals: tuple[SolvedRental, ...] = ()
    handovers: tuple[SolvedHandover, ...] = ()
    usd_per_hour: Decimal
    """Without what changes cost, what pools do besides their nodes, and what shedding does."""
    requests_per_second: float
    shed: tuple[SolvedShed, ...] = field(default=(), metadata=ADDED)
    """Parts of what arrives in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedWait:
    """The part of what is served of a batch class's requests of one period that is served in another, or in the same."""

    workload_class: str
    arrived: str
    served: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvedLoss:
    """Who serves what of every class while something is lost; shares are of what is served in the period."""

    name: str
    period: str
    shares: tuple[SolvedShare, ...]
    handovers: tuple[SolvedHandover, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The chosen fleet, each class's shares, the cost, and how far from the best it can be at most.

    `objective` and both bounds are USD per hour in mode min_cost, requests per second in mode max_throughput. A class
    without demand, or of which all is shed, has no shares; those of all others are of what is served.
    """

    FORMAT: ClassVar[str] = "hetops.solution"
    FORMAT_VERSION: ClassVar[str] = "1.1"

    mode: Mode
    problem_digest: str
    pools: tuple[SolvedPool, ...]
    shares: tuple[SolvedShare, ...]
    usd_per_hour: Decimal
    """What is paid."""
    requests_per_second: float
    """Rate served: the demand but for what is shed, or what the limits allow when maximising."""
    objective: float
    bound: float
    """The branch-and-bound's: no fleet is better, as far as the solver's floating point can be trusted. Where nothing is proven of
    the largest rate, 1e12 times what is asked for; so below."""
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
    rentals: tuple[SolvedRental, ...] = field(default=(), metadata=ADDED)
    handovers: tuple[SolvedHandover, ...] = field(default=(), metadata=ADDED)
    """Empty where there are periods: each has its own."""
    periods: tuple[SolvedPeriod, ...] = field(default=(), metadata=ADDED)
    """In order. Pools, shares and costs of the solution itself are then those of the whole window: the most nodes,
    the mean of the rest."""
    waits: tuple[SolvedWait, ...] = field(default=(), metadata=ADDED)
    losses: tuple[SolvedLoss, ...] = field(default=(), metadata=ADDED)
    changes_usd_per_hour: Decimal = field(default=Decimal(0), metadata=ADDED)
    """What boots in the course of the window and the migration into this fleet cost, spread over their time."""
    pools_usd_per_hour: Decimal = field(default=Decimal(0), metadata=ADDED)
    """What all pools cost besides their nodes."""
    shed: tuple[SolvedShed, ...] = field(default=(), metadata=ADDED)
    """What is turned away, over the whole window."""
    searched_classes: int | None = field(default=None, metadata=ADDED)
    """Classes with demand that the search told apart, where it merged some; the gap says what that may cost."""
    pruning: Pruning | None = field(default=None, metadata=ADDED)
    """The columns that the search began with; None where nobody counted them."""

    @property
    def usd_per_month(self) -> Decimal:
        """Cost of a month of 730 hours."""
        return usd_per_month(self.usd_per_hour)

    @property
    def counted_usd_per_hour(self) -> Decimal:
        """What is paid and what shedding costs: the objective at least cost."""
        return self.usd_per_hour + usd_of_shed(self.shed)

    @property
    def stretches(self) -> tuple[SolvedPeriod, ...]:
        """The periods; without any the solution as the only one."""
        whole = SolvedPeriod(
            name="",
            pools=self.pools,
            shares=self.shares,
            rentals=self.rentals,
            handovers=self.handovers,
            usd_per_hour=self.usd_per_hour - self.changes_usd_per_hour - self.pools_usd_per_hour,
            requests_per_second=self.requests_per_second,
            shed=self.shed,
        )
        return self.periods or (whole,)

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
