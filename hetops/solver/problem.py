"""Problem: everything the solver may know, as one explicit document, so that anyone can bring their own numbers.

A `Problem` that exists is sound (`faults`) and refers only to things it declares. Knows nothing of
providers, models or how the rates came about, and must not: it is the border between evidence and optimisation.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import ClassVar

from hetops.domain.added import ADDED
from hetops.domain.offer import Trait
from hetops.solver.faults import faults
from hetops.solver.terms import (
    Billing,
    Link,
    Loss,
    Migration,
    Period,
    Role,
    Scenario,
    Service,
    ShareLimit,
    Stretch,
    exact,
)


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
    zone: str = field(default="", metadata=ADDED)
    """Where its nodes fail together; an empty one counts as a zone of its own."""
    market: str = field(default="", metadata=ADDED)
    """`spot`, `on_demand`: any word that limits on shares and losses use."""
    interruptions_per_hour: float = field(default=0.0, metadata=ADDED)
    """How often a node is taken away."""
    recovery_hours: float = field(default=0.0, metadata=ADDED)
    """From then until another serves in its place."""
    billing: Billing = field(default=Billing.RUNNING, metadata=ADDED)
    committed_nodes: int = field(default=0, metadata=ADDED)
    """Nodes that are paid for already, whatever the answer; only where they are reserved."""
    lot_nodes: int = field(default=1, metadata=ADDED)
    """Nodes are had in multiples of this: a capacity block of 4 is all 4 or none."""
    max_added_nodes: int | None = field(default=None, metadata=ADDED)
    """The most that a period may have of it beyond those of the one before; before the first comes the last. None: any."""
    max_removed_nodes: int | None = field(default=None, metadata=ADDED)
    """The most that a period may have of it less than the one before."""
    network: str = field(default="", metadata=ADDED)
    """Offers of one network hand KV caches over to one another, as many as they like and for nothing; without one they need links."""

    @property
    def lost_share(self) -> Fraction:
        """The share of the time in which a node is on its way back: so much of its capacity does not count."""
        if not self.interruptions_per_hour:
            return Fraction(0)
        return exact(self.interruptions_per_hour) * exact(self.recovery_hours)

    @property
    def ramps(self) -> bool:
        """Whether its nodes may change only by so many from period to period; those that are reserved never do."""
        limited = self.max_added_nodes is not None or self.max_removed_nodes is not None
        return limited and self.billing is Billing.RUNNING


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
    model: str = field(default="", metadata=ADDED)
    """What it asks for; a column of another model cannot serve it."""
    deadline_hours: float | None = field(default=None, metadata=ADDED)
    """Batch work: it may wait for a later period so long. Without it a request is served when it comes."""
    kv_gb_per_request: float = field(default=0.0, metadata=ADDED)
    """What goes from prefill to decode."""
    mean_quality: float | None = field(default=None, metadata=ADDED)
    """The least share of the 16-bit score that its requests get on average; None where nobody asks."""
    shed_usd_per_request: Decimal | None = field(default=None, metadata=ADDED)
    """What a request that is turned away costs, at least cost: nobody is paid it. None where all must be served."""
    max_shed_share: float = field(default=1.0, metadata=ADDED)
    """The most that may be turned away of what arrives in any period."""

    @property
    def may_be_shed(self) -> bool:
        """Whether some of it may be turned away."""
        return self.shed_usd_per_request is not None and self.max_shed_share > 0


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
    usd_per_request: Mapping[str, Decimal] = field(default_factory=dict, metadata=ADDED)
    """By class, on top of the node's price: egress from here to where the class comes from."""
    parts_per_node: int = field(default=1, metadata=ADDED)
    """Above 1, the column's nodes, replicas and rates are those of a part of a node, which other columns may share."""
    boot_seconds: float = field(default=0.0, metadata=ADDED)
    """Paid and idle whenever a node is added in the course of the day: start and download of the weights."""
    model: str = field(default="", metadata=ADDED)
    role: Role = field(default=Role.WHOLE, metadata=ADDED)
    kv_format: str = field(default="", metadata=ADDED)
    """Prefill hands over only to decode of the same format: model, precision of the KV cache, engine."""
    quality: Mapping[str, float] = field(default_factory=dict, metadata=ADDED)
    """By class, the share of the 16-bit score that it gives; a class that is absent gets all of it, 1."""
    also: Mapping[str, int] = field(default_factory=dict, metadata=ADDED)
    """Nodes of offers that go with each of its nodes, as where a pipeline's stages are on unlike GPUs: they are rented,
    and lost, together. Where `parts_per_node` is above 1, parts of that size."""

    @property
    def key(self) -> tuple[str, str]:
        """Offer and configuration: unique within a problem."""
        return self.offer, self.configuration

    def rate(self, name: str) -> float:
        """Requests per second of class `name` on one node; 0 where it cannot be served."""
        return self.requests_per_second.get(name, 0.0)

    @property
    def offers(self) -> frozenset[str]:
        """Every offer that its nodes stand on."""
        return frozenset((self.offer, *self.also))

    @property
    def takes(self) -> dict[str, Fraction]:
        """By offer, its own first: how much of a node one node of the column is, with what goes with it."""
        counts = {self.offer: 1}
        for offer, count in self.also.items():
            counts[offer] = counts.get(offer, 0) + count
        return {offer: Fraction(count, self.parts_per_node) for offer, count in counts.items()}

    def lost_share(self, of: Mapping[str, Fraction]) -> Fraction:
        """The share of the time in which a node of it is away: while any of the nodes is that it stands on."""
        if not self.also:
            return of[self.offer]
        return sum((of[offer] * max(nodes, Fraction(1)) for offer, nodes in self.takes.items()), Fraction(0))

    @property
    def size(self) -> Fraction:
        """Nodes of all offers that one node of the column is; a part of a node is that part."""
        return Fraction(1 + sum(self.also.values()), self.parts_per_node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Offers, configurations, rates, demands and limits.

    Raises:
        ValueError: every fault that was found, one a line.
    """

    FORMAT: ClassVar[str] = "hetops.problem"
    FORMAT_VERSION: ClassVar[str] = "1.1"

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
    services: tuple[Service, ...] = field(default=(), metadata=ADDED)
    share_limits: tuple[ShareLimit, ...] = field(default=(), metadata=ADDED)
    losses: tuple[Loss, ...] = field(default=(), metadata=ADDED)
    periods: tuple[Period, ...] = field(default=(), metadata=ADDED)
    """In order; after the last comes the first again. The first is the one that begins now."""
    mean_budget_usd_per_hour: Decimal | None = field(default=None, metadata=ADDED)
    """Over all periods, what is paid for changes included; `budget_usd_per_hour` holds in each of them."""
    migration: Migration | None = field(default=None, metadata=ADDED)
    links: tuple[Link, ...] = field(default=(), metadata=ADDED)
    usd_per_pool_hour: Decimal = field(default=Decimal(0), metadata=ADDED)
    """What a pool costs besides its nodes, all the time where it has nodes in any period; no provider is paid it."""

    def __post_init__(self) -> None:
        found = list(faults(self))
        if found:
            raise ValueError(
                "; ".join(found[:12]) + (f"; and {len(found) - 12} more" if len(found) > 12 else "")
            )

    def offer(self, offer_id: str) -> PricedOffer:
        """The offer of that id; KeyError where there is none."""
        return {o.id: o for o in self.offers}[offer_id]

    def max_nodes(self, offer: PricedOffer) -> int:
        """Nodes that may be rented of `offer`: its stock, or the stated assumption where that is unknown."""
        return self.assumed_max_nodes if offer.max_nodes is None else offer.max_nodes

    @property
    def requests_per_second(self) -> float:
        """The demand of all classes together, over all periods."""
        return math.fsum(self.mean_rates.values())

    @property
    def mean_rates(self) -> dict[str, float]:
        """The demand of each class over all periods."""
        stretches = self.stretches
        return {c.name: math.fsum(float(s.part) * s.rates[c.name] for s in stretches) for c in self.classes}

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """The periods with every class's rate; one where there are none."""
        rates = {c.name: c.requests_per_second for c in self.classes}
        if not self.periods:
            return (Stretch(rates=rates),)
        total = sum((Fraction(p.hours) for p in self.periods), Fraction(0))
        return tuple(
            Stretch(
                name=p.name,
                hours=p.hours,
                part=Fraction(p.hours) / total,
                rates={**rates, **p.requests_per_second},
            )
            for p in self.periods
        )

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Every single loss that the fleet must bear; one of what could serve nothing anyway takes nothing."""
        if not self.losses:
            return ()
        serving = {offer for c in self.columns for offer in c.offers} | {s.id for s in self.services}
        by_value = {trait: self._by_value(trait) for trait in {loss.trait for loss in self.losses}}
        return tuple(
            Scenario(
                name=f"{loss.id}: {name}",
                loss=loss.id,
                lost=lost,
                kept_share=exact(loss.kept_share),
            )
            for loss in self.losses
            for name, lost in _places(by_value[loss.trait], loss.trait, loss.values).items()
            if not lost.isdisjoint(serving)
        )

    def places(self, trait: Trait, values: tuple[str, ...] = ()) -> dict[str, frozenset[str]]:
        """Offers and services that have one of the values of a trait; without values, those of each value.

        Offers of which the value is unknown count as having one in common; a service without it has none.
        """
        return _places(self._by_value(trait), trait, values)

    def _by_value(self, trait: Trait) -> dict[str, list[str]]:
        """Offers, and services that have the trait, by their value of it."""
        found: dict[str, list[str]] = {}
        for place in self.everywhere:
            value = _value(place, trait)
            if value or isinstance(place, PricedOffer):
                found.setdefault(value, []).append(place.id)
        return found

    def values(self, trait: Trait) -> frozenset[str]:
        """What a trait is at any place."""
        return frozenset(_value(place, trait) for place in self.everywhere)

    @property
    def everywhere(self) -> tuple[PricedOffer | Service, ...]:
        """Every place that can serve: offers, then services."""
        return (*self.offers, *self.services)

    @property
    def ramping(self) -> tuple[PricedOffer, ...]:
        """Offers whose nodes may change only by so many from one period to the next; none where there are no others."""
        return tuple(o for o in self.offers if o.ramps) if len(self.periods) > 1 else ()

    def sheds(self, demand: Demand) -> bool:
        """Whether some of a class may be turned away: at least cost, for the largest rate serves the mix as it is."""
        return self.mode is Mode.MIN_COST and demand.may_be_shed

    @property
    def sheds_any(self) -> bool:
        """Whether some of any class may be turned away."""
        return any(self.sheds(c) for c in self.classes)

    @property
    def hands_over(self) -> bool:
        """Whether KV caches may go from prefill to decode, over links or within networks."""
        return bool(self.links) or any(c.role is not Role.WHOLE for c in self.columns)

    @property
    def plain(self) -> bool:
        """Whether nodes that are paid while they run are all there is, at one rate, without terms."""
        terms = (self.services, self.share_limits, self.losses, self.periods, self.links)
        return (
            not any(terms)
            and self.mean_budget_usd_per_hour is None
            and self.migration is None
            and not self.usd_per_pool_hour
            and all(c.mean_quality is None and not c.may_be_shed for c in self.classes)
            and all(o.billing is Billing.RUNNING and o.lot_nodes == 1 for o in self.offers)
            and all(
                c.parts_per_node == 1 and c.role is Role.WHOLE and not c.usd_per_request and not c.also
                for c in self.columns
            )
        )

    def usable(self, columns: Iterable[Column]) -> dict[tuple[str, str], Fraction]:
        """By column, the share of a node that may be planned with: less headroom, less what interruptions take."""
        whole, lost = self.usable_share, {o.id: o.lost_share for o in self.offers}
        if not any(lost.values()):
            return dict.fromkeys((c.key for c in columns), whole)
        return {c.key: whole * (1 - c.lost_share(lost)) for c in columns}

    @property
    def usable_share(self) -> Fraction:
        """The share of a node's capacity that may be planned with: 1 less the headroom, exactly as written."""
        return 1 - exact(self.headroom)


def with_sharers(columns: Iterable[Column], kept: Collection[tuple[str, str]]) -> tuple[Column, ...]:
    """Columns by their keys, and those that take parts of nodes of their offers, which are paid for as a whole for it."""
    columns = tuple(columns)
    offers = {offer for c in columns if c.key in kept for offer in c.offers}
    return tuple(
        c for c in columns if c.key in kept or (c.parts_per_node > 1 and not c.offers.isdisjoint(offers))
    )


def _places(
    by_value: Mapping[str, list[str]], trait: Trait, values: tuple[str, ...]
) -> dict[str, frozenset[str]]:
    """Those of some values as one; without values, those of each."""
    if values:
        return {" or ".join(values): frozenset(i for value in values for i in by_value.get(value, ()))}
    return {value or f"no {trait}": frozenset(by_value[value]) for value in sorted(by_value)}


def _value(place: PricedOffer | Service, trait: Trait) -> str:
    return place.id if trait is Trait.OFFER else str(getattr(place, trait))


def running(problem: Problem) -> dict[tuple[str, str], int]:
    """Nodes that run already, by column."""
    return {one.key: one.nodes for one in problem.migration.running} if problem.migration else {}
