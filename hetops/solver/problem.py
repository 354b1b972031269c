"""Problem: everything the solver may know, as one explicit document, so that anyone can bring their own numbers.

Decides what a sound problem is; a `Problem` that exists refers only to things it declares. Knows nothing of
providers, models or how the rates came about, and must not: it is the border between evidence and optimisation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import ClassVar

from hetops.errors import nearest


class Mode(StrEnum):
    """What is asked for."""

    MIN_COST = "min_cost"
    """The cheapest fleet that serves every class's demand."""
    MAX_THROUGHPUT = "max_throughput"
    """The largest rate at the mix of the demands that the limits allow; the cheapest fleet that gives it."""


ASSUMED_MAX_NODES = 16
"""Nodes taken to exist of an offer whose stock nobody knows, where the problem does not say otherwise.

Unknown is never unlimited. The figure is a policy, not a fact: each solution names the offers it leans on it for.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedOffer:
    """A node that can be rented: its price and how many there are.

    `quota_per_node` says what one node takes of each quota group. `max_nodes` None means that nobody knows the stock.
    """

    id: str
    usd_per_hour: Decimal
    max_nodes: int | None = None
    quota_per_node: Mapping[str, Decimal] = field(default_factory=dict)
    provider: str = ""
    gpu: str = ""
    gpu_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaGroup:
    """A limit that several offers share, in its own unit."""

    id: str
    limit: Decimal
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A workload class and the rate asked for it; when maximising, only the proportions count."""

    name: str
    requests_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One configuration on one offer.

    `requests_per_second` maps a class to the rate that one whole node (all its replicas) sustains when it serves that
    class alone within the targets; a class that is absent or 0 cannot be served there.
    """

    offer: str
    configuration: str
    replicas_per_node: int = 1
    requests_per_second: Mapping[str, float]

    @property
    def key(self) -> tuple[str, str]:
        """Offer and configuration: unique within a problem."""
        return self.offer, self.configuration

    def rate(self, name: str) -> float:
        """Requests per second of class `name` on one node; 0 where it cannot be served."""
        return self.requests_per_second.get(name, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Offers, configurations, rates, demands and limits.

    Raises:
        ValueError: every fault that was found, one a line.
    """

    FORMAT: ClassVar[str] = "hetops.problem"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    mode: Mode = Mode.MIN_COST
    offers: tuple[PricedOffer, ...]
    configurations: tuple[str, ...]
    classes: tuple[Demand, ...]
    columns: tuple[Column, ...]
    quota_groups: tuple[QuotaGroup, ...] = ()
    budget_usd_per_hour: Decimal | None = None
    provider_budgets_usd_per_hour: Mapping[str, Decimal] = field(default_factory=dict)
    headroom: float = 0.0
    """Share of every node's capacity that is left free for bursts."""
    max_pools: int | None = None
    assumed_max_nodes: int = ASSUMED_MAX_NODES
    gap: float = 1e-3
    """Relative distance between cost and proven bound at which the search may stop."""

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise ValueError(
                "; ".join(faults[:12]) + (f"; and {len(faults) - 12} more" if len(faults) > 12 else "")
            )

    def offer(self, offer_id: str) -> PricedOffer:
        """The offer of that id; KeyError where there is none."""
        return {o.id: o for o in self.offers}[offer_id]

    def max_nodes(self, offer: PricedOffer) -> int:
        """Nodes that may be rented of `offer`: its stock, or the stated assumption where that is unknown."""
        return self.assumed_max_nodes if offer.max_nodes is None else offer.max_nodes

    @property
    def requests_per_second(self) -> float:
        """The demand of all classes together."""
        return math.fsum(c.requests_per_second for c in self.classes)

    @property
    def usable_share(self) -> Fraction:
        """The share of a node's capacity that may be planned with: 1 less the headroom, exactly as written."""
        return 1 - Fraction(repr(float(self.headroom)))


def _faults(problem: Problem) -> Iterator[str]:
    yield from _faults_of_limits(problem)
    yield from _faults_of_offers(problem)
    yield from _faults_of_classes(problem)
    yield from _faults_of_columns(problem)


def _faults_of_limits(problem: Problem) -> Iterator[str]:
    if not 0 <= problem.headroom < 1:
        yield f"headroom: {problem.headroom} must be at least 0 and below 1"
    if not 0 <= problem.gap < 1:
        yield f"gap: {problem.gap} must be at least 0 and below 1"
    if problem.max_pools is not None and problem.max_pools < 1:
        yield f"max_pools: {problem.max_pools} must be at least 1"
    if problem.assumed_max_nodes < 0:
        yield f"assumed_max_nodes: {problem.assumed_max_nodes} must be at least 0"
    if problem.budget_usd_per_hour is not None and not _amount(problem.budget_usd_per_hour):
        yield f"budget_usd_per_hour: {problem.budget_usd_per_hour} must be a number of at least 0"
    providers = {offer.provider for offer in problem.offers}
    for provider, budget in problem.provider_budgets_usd_per_hour.items():
        if not _amount(budget):
            yield f"provider_budgets_usd_per_hour[{provider}]: {budget} must be a number of at least 0"
        yield from _unknown("provider", provider, providers, "provider_budgets_usd_per_hour")
    yield from _repeated("quota group", (g.id for g in problem.quota_groups))
    for group in problem.quota_groups:
        if not _amount(group.limit):
            yield f"quota group {group.id!r}: limit {group.limit} must be a number of at least 0"


def _faults_of_offers(problem: Problem) -> Iterator[str]:
    if not problem.offers:
        yield "offers: at least one is needed"
    yield from _repeated("offer", (o.id for o in problem.offers))
    groups = {group.id for group in problem.quota_groups}
    for offer in problem.offers:
        if not offer.usd_per_hour.is_finite() or offer.usd_per_hour <= 0:
            yield f"offer {offer.id!r}: usd_per_hour {offer.usd_per_hour} must be above 0 (0 means not sold)"
        if offer.max_nodes is not None and offer.max_nodes < 0:
            yield f"offer {offer.id!r}: max_nodes {offer.max_nodes} must be at least 0, or null where unknown"
        if offer.gpu_count < 1:
            yield f"offer {offer.id!r}: gpu_count {offer.gpu_count} must be at least 1"
        for group, amount in offer.quota_per_node.items():
            yield from _unknown("quota group", group, groups, f"offer {offer.id!r}")
            if not _amount(amount):
                yield f"offer {offer.id!r}: quota_per_node[{group}] {amount} must be a number of at least 0"


def _faults_of_classes(problem: Problem) -> Iterator[str]:
    yield from _repeated("class", (c.name for c in problem.classes))
    for demand in problem.classes:
        if not _rate(demand.requests_per_second):
            yield f"class {demand.name!r}: requests_per_second {demand.requests_per_second} must be a number of at least 0"
    if not any(c.requests_per_second > 0 for c in problem.classes):
        yield "classes: at least one needs requests_per_second above 0"


def _faults_of_columns(problem: Problem) -> Iterator[str]:
    if not problem.columns:
        yield "columns: at least one is needed"
    offers = {o.id for o in problem.offers}
    configurations = set(problem.configurations)
    classes = {c.name for c in problem.classes}
    yield from _repeated("configuration", problem.configurations)
    yield from _repeated("column", (" on ".join(reversed(c.key)) for c in problem.columns))
    for column in problem.columns:
        where = f"column {column.configuration!r} on {column.offer!r}"
        yield from _unknown("offer", column.offer, offers, where)
        yield from _unknown("configuration", column.configuration, configurations, where)
        if column.replicas_per_node < 1:
            yield f"{where}: replicas_per_node {column.replicas_per_node} must be at least 1"
        for name, rate in column.requests_per_second.items():
            yield from _unknown("class", name, classes, where)
            if not _rate(rate):
                yield f"{where}: requests_per_second[{name}] {rate} must be a number of at least 0"


def _unknown(kind: str, name: str, known: Iterable[str], where: str) -> Iterator[str]:
    known = set(known)
    if name not in known:
        near = nearest(name, sorted(known), most=1)
        yield f"{where}: unknown {kind} {name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def _repeated(kind: str, names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f"{kind} {name!r} appears twice"
        seen.add(name)


def _rate(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _amount(value: Decimal) -> bool:
    return value.is_finite() and value >= 0
