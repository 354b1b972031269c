"""Plan: the chosen fleet, each class's shares over pools, the cost, the evidence and the certificate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from hetops.domain.added import ADDED
from hetops.domain.configuration import Configuration
from hetops.domain.network import Network
from hetops.domain.offer import Offer
from hetops.domain.performance import Evidence, PerformanceRow, StepTimes
from hetops.domain.policy import LossCover, LossRule, Migration, Rental, ShareRule, TermCost
from hetops.domain.pruning import Pruning
from hetops.domain.service import PlannedService
from hetops.domain.units import MINUTES_PER_HOUR, usd_per_month
from hetops.domain.workload import Workload, WorkloadClass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesOf:
    """So many nodes of an offer."""

    offer: Offer
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPool:
    """All replicas of one configuration on one offer, or on several where its stages are."""

    name: str
    """Stable over plans: derived from offer, configuration and who keeps off, never an index. Resource names derive from it."""
    offer: Offer
    configuration: Configuration
    nodes: int
    replicas_per_node: int
    step_times: StepTimes | None = None
    interruptions_per_hour: float = field(default=0.0, metadata=ADDED)
    """How often a node of it is taken away, as the plan counts on it: the offer's own figure, or the policy's."""
    recovery_minutes: float = field(default=0.0, metadata=ADDED)
    """From then until another serves in its place."""
    parts_per_node: int = field(default=1, metadata=ADDED)
    """Above 1, its nodes and replicas are those of a part of a node, on GPUs of its own: pools of other models may have the rest."""
    also: tuple[NodesOf, ...] = field(default=(), metadata=ADDED)
    """Rented and lost with each of its nodes, for the other stages of its replicas: a node of `replicas_per_node` is then all of these."""
    apart_from: tuple[str, ...] = field(default=(), metadata=ADDED)
    """Classes that get no share of it: they would keep its own from their targets."""

    def __post_init__(self) -> None:
        counts = (self.nodes, self.replicas_per_node, self.parts_per_node, *(one.nodes for one in self.also))
        if min(counts) < 1:
            raise ValueError(
                f"pool {self.name}: nodes, replicas_per_node and parts_per_node must be at least 1"
            )
        if self.also and self.parts_per_node > 1:
            raise ValueError(f"pool {self.name}: a part of a node has no other nodes with it")

    @property
    def replicas(self) -> int:
        """Running copies of the model in this pool."""
        return self.nodes * self.replicas_per_node

    @property
    def lost_share(self) -> float:
        """The share of the time in which a node is on its way back: so much of its capacity does not count."""
        return self.interruptions_per_hour * self.recovery_minutes / MINUTES_PER_HOUR

    @property
    def usd_per_hour(self) -> Decimal:
        """Cost of all nodes of the pool, or of its parts of them."""
        return sum((usd_of(offer, nodes) for offer, nodes in self.takes), Decimal(0))

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What it stands on, its own first, each once."""
        return tuple({one.id: one for one in (self.offer, *(other.offer for other in self.also))}.values())

    @property
    def takes(self) -> tuple[tuple[Offer, Fraction], ...]:
        """Nodes of each of its offers that all of the pool takes, or parts of nodes."""
        each = Counter({self.offer.id: 1})
        for other in self.also:
            each[other.offer.id] += other.nodes
        return tuple((one, Fraction(self.nodes * each[one.id], self.parts_per_node)) for one in self.offers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShare:
    """The part of a class's requests that goes to a pool, or to a service."""

    workload_class: str
    pool: str
    """Name of a pool or of a service."""
    share: float
    requests_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The part of a class's requests that one pool prefills and another decodes."""

    workload_class: str
    source: str
    """Name of a pool whose configuration prefills alone; the class has a share of it."""
    target: str
    """Name of a pool whose configuration decodes alone, of the same KV format, in the same place."""
    share: float
    requests_per_second: float
    seconds_per_prompt: float | None = field(default=None, metadata=ADDED)
    """How long the KV cache of a prompt is on its way, whatever its length; None in a plan of before it was told."""
    seconds_per_token: float | None = field(default=None, metadata=ADDED)
    """And for each token of the prompt."""

    def __post_init__(self) -> None:
        for name in ("seconds_per_prompt", "seconds_per_token"):
            seconds = getattr(self, name)
            if seconds is not None and not 0 <= seconds < math.inf:
                raise ValueError(f"handover from {self.source}: {name} must be at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassForecast:
    """What the plan promises a class, at its target's percentiles, at the planned rates, with 80 % intervals.

    It is that of the slowest pool which the class goes to; where that has too few of its requests to decide, the interval reaches
    to what the next slowest may give. A plan of before there were intervals has none. Where the plan has a network, TTFT is what is
    seen at the class's origin: one round trip is in it.
    """

    workload_class: str
    ttft_seconds: float
    ttft_seconds_low: float | None = field(default=None, metadata=ADDED)
    ttft_seconds_high: float | None = field(default=None, metadata=ADDED)
    tpot_seconds: float
    tpot_seconds_low: float | None = field(default=None, metadata=ADDED)
    tpot_seconds_high: float | None = field(default=None, metadata=ADDED)
    tokens_per_second: float
    mean_quality: float | None = field(default=None, metadata=ADDED)
    """The share of the 16-bit score that its requests get on average; None where the spec asks for no mean."""
    least_mean_quality: float | None = field(default=None, metadata=ADDED)
    """What the spec asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolForecast:
    """The most that a pool sustains of its classes, in their proportions, with its 80 % interval: the plan counts on the lower end."""

    pool: str
    requests_per_second: float
    requests_per_second_low: float
    requests_per_second_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakUse:
    """The least that a pool's requests take of the peaks of its GPUs, as shares: what no engine can go below.

    Operations of all tokens against the dense peak of the weights' precision; bytes that decoding reads, at the largest
    batch allowed, against the memory bandwidth. Above one nothing could serve them.
    """

    pool: str
    gpu: str
    compute: float
    bandwidth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    """The part of what arrives of a class that is turned away: the plan's rate of the class is without it."""

    workload_class: str
    share: float
    requests_per_second: float
    usd_per_request: Decimal
    """As the spec says; nobody is paid it."""
    usd_per_hour: Decimal
    max_share: float = 1.0
    """The most that may be turned away."""


def usd_of(offer: Offer, nodes: Fraction) -> Decimal:
    """Price of so many nodes, or parts of nodes, of an offer, in USD per hour."""
    return offer.total_usd_per_hour * nodes.numerator / nodes.denominator


def usd_of_shed(shed: Iterable[Shed]) -> Decimal:
    """What all of it counts for, in USD per hour."""
    return sum((one.usd_per_hour for one in shed), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanLimits:
    """What the plan had to keep to, so that whoever gets it can check it again."""

    headroom: float = 0.0
    """Share of every pool's capacity that stays free."""
    max_pools: int | None = None
    assumed_max_nodes: int
    """Nodes of an offer whose stock nobody knows."""
    budget_usd_per_hour: Decimal | None = None
    provider_budgets_usd_per_hour: Mapping[str, Decimal] = field(default_factory=dict)
    quotas: Mapping[str, Decimal] = field(default_factory=dict)
    """What is left of each quota group, by its name."""
    shares: tuple[ShareRule, ...] = field(default=(), metadata=ADDED)
    losses: tuple[LossRule, ...] = field(default=(), metadata=ADDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Proof that came with the answer.

    `objective` and `bound` are in the problem's own unit (USD per hour, or requests per second when maximising); `gap` is relative;
    `problem_digest` identifies the instance; `checks` names every rule that the independent checker recomputed in exact arithmetic. With
    `limits` and `utilisation` the plan can be checked without it.
    """

    objective: float
    bound: float
    gap: float
    all_may_share: bool = field(default=False, metadata=ADDED)
    """The bound, the gap and the instance are of fleets in which all classes may share pools, while this one keeps some apart."""
    problem_digest: str
    checks: tuple[str, ...]
    solver: str
    solve_seconds: float
    limits: PlanLimits | None = None
    utilisation: Mapping[str, float] = field(default_factory=dict)
    """By pool: the share of its full capacity in use, headroom not taken off."""
    plan_digest: str = ""
    """SHA-256 of the whole plan with this field empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """The best fleet under one further restriction, and how much dearer it is; None where there is none.

    Of the largest rate, how much more the best fleet of all serves.
    """

    description: str
    usd_per_hour: Decimal | None
    difference_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something that was not considered, and why. `count` like ones are told together."""

    subject: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The chosen fleet: contract between planning, provisioning and routing."""

    FORMAT: ClassVar[str] = "hetops.plan"
    FORMAT_VERSION: ClassVar[str] = "1.1"

    deployment: str
    model: str
    """Of several, their names with `, ` between them; each class then says which it asks for."""
    created_at: datetime
    hetops_version: str
    spec_digest: str
    workload: Workload
    pools: tuple[PlannedPool, ...]
    shares: tuple[ClassShare, ...]
    forecasts: tuple[ClassForecast, ...]
    performance: tuple[PerformanceRow, ...]
    """The rows that the chosen pools rest on."""
    certificate: Certificate
    pool_forecasts: tuple[PoolForecast, ...] = field(default=(), metadata=ADDED)
    peak_uses: tuple[PeakUse, ...] = ()
    """What the plan asks of its GPUs, held against their arithmetic before it is shown."""
    alternatives: tuple[Alternative, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    offers_considered: int = 0
    configurations_considered: int = 0
    pruning: tuple[Pruning, ...] = field(default=(), metadata=ADDED)
    """Of configurations and columns: what the search began with, of a day the search for all of it."""
    coverage: str = ""
    """Where the offers came from and how old they are, in one line."""
    warnings: tuple[str, ...] = ()
    rentals: tuple[Rental, ...] = field(default=(), metadata=ADDED)
    """Nodes that are paid for as a whole; those in use are in pools."""
    covers: tuple[LossCover, ...] = field(default=(), metadata=ADDED)
    """Who serves what when something fails that the plan has to bear."""
    migration: Migration | None = field(default=None, metadata=ADDED)
    """Where the plan was made for a fleet that runs."""
    term_costs: tuple[TermCost, ...] = field(default=(), metadata=ADDED)
    services: tuple[PlannedService, ...] = field(default=(), metadata=ADDED)
    """Those that get a share, or stand by for requests that pools cannot take."""
    shed: tuple[Shed, ...] = field(default=(), metadata=ADDED)
    """What is turned away of each class; the classes of `workload` have the rates that are served."""
    network: Network | None = field(default=None, metadata=ADDED)
    """Where the spec names origins; every class then has one."""
    handovers: tuple[Handover, ...] = field(default=(), metadata=ADDED)
    """Where prefill and decode are apart: what pools that prefill hand to which others. `shares` are of where requests go first."""
    usd_per_pool_hour: Decimal = field(default=Decimal(0), metadata=ADDED)
    """What each pool costs besides its nodes; of a day the day says it."""

    @property
    def usd_per_hour(self) -> Decimal:
        """Cost of the whole fleet: nodes, those that are paid for and idle included, and pools; services and egress at the planned rates."""
        whole = {r.offer.id for r in self.rentals}
        nodes = sum((r.offer.total_usd_per_hour * r.nodes for r in self.rentals), Decimal(0))
        taken = (one for p in self.pools for one in p.takes)
        nodes += sum((usd_of(offer, n) for offer, n in taken if offer.id not in whole), Decimal(0))
        besides = self.pools_usd_per_hour + self.egress_usd_per_hour
        return nodes + sum((s.usd_per_hour for s in self.services), besides)

    @property
    def pools_usd_per_hour(self) -> Decimal:
        """What all pools cost besides their nodes."""
        return self.usd_per_pool_hour * len(self.pools)

    @property
    def answers(self) -> tuple[ClassShare, ...]:
        """The shares by what makes the answers: what is handed over counts where it is decoded."""
        prefilling = {one.source for one in self.handovers}
        return (*(s for s in self.shares if s.pool not in prefilling), *self._handed)

    @property
    def loads(self) -> tuple[ClassShare, ...]:
        """What each pool and service has to do with any part of: shares, and what is handed over to it."""
        return (*self.shares, *self._handed)

    @property
    def _handed(self) -> Iterator[ClassShare]:
        for one in self.handovers:
            yield ClassShare(
                workload_class=one.workload_class,
                pool=one.target,
                share=one.share,
                requests_per_second=one.requests_per_second,
            )

    @property
    def counted_usd_per_hour(self) -> Decimal:
        """What is paid and what shedding counts for: what the plan is the least of."""
        return self.usd_per_hour + usd_of_shed(self.shed)

    @property
    def idle_usd_per_hour(self) -> Decimal:
        """Cost of nodes that are paid for and that no pool uses."""
        return sum((usd_of(r.offer, self.idle_nodes(r)) for r in self.rentals), Decimal(0))

    @property
    def egress_usd_per_hour(self) -> Decimal:
        """What answers cost on their way to where they were asked for."""
        return self.network.usd_per_hour if self.network else Decimal(0)

    def round_trip_seconds(self, of: WorkloadClass, destination: str) -> float:
        """Between where a class comes from and a pool or service."""
        return self.network.way(of.origin, destination).round_trip_seconds if self.network else 0.0

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that it serves, at least one."""
        return self.workload.models or (self.model,)

    @property
    def nodes(self) -> Mapping[str, int]:
        """Nodes by pool."""
        return {p.name: p.nodes for p in self.pools}

    @property
    def destinations(self) -> tuple[str, ...]:
        """Names of all that a share can go to: pools, then services."""
        return (*(p.name for p in self.pools), *(s.name for s in self.services))

    def idle_nodes(self, rental: Rental) -> Fraction:
        """Nodes of a rental that no pool uses; where pools share nodes, parts of them."""
        taken = (one for p in self.pools for one in p.takes)
        return rental.nodes - sum((n for offer, n in taken if offer.id == rental.offer.id), Fraction(0))

    @property
    def usd_per_month(self) -> Decimal:
        """Cost of a month of 730 hours."""
        return usd_per_month(self.usd_per_hour)

    def pool(self, name: str) -> PlannedPool:
        """The pool of that name; KeyError where there is none."""
        return {p.name: p for p in self.pools}[name]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The distinct evidence of the plan's numbers, in order of appearance."""
        return tuple(dict.fromkeys(row.evidence for row in self.performance))
