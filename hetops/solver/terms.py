"""Terms of a problem beyond price, stock and demand: markets and their losses, periods, services, changes, links.

Each value checks its own numbers; that it refers only to what a problem declares is the problem's to check. Knows
nothing of providers: a market, a zone, a provider is a word that offers have in common.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from hetops.domain.added import ADDED
from hetops.domain.offer import Trait
from hetops.errors import nearest


class Billing(StrEnum):
    """When a node is paid for."""

    RUNNING = "running"
    """While it runs."""
    RESERVED = "reserved"
    """In every period, idle or not: a reservation, a commitment, a capacity block."""


class Role(StrEnum):
    """The part of a request that the replicas of a column serve."""

    WHOLE = "whole"
    PREFILL = "prefill"
    """Prompts alone; the KV cache goes over a link to a column of role decode."""
    DECODE = "decode"

    @property
    def parts(self) -> tuple[Role, ...]:
        """The parts of a request that a place of this role serves."""
        return (Role.PREFILL, Role.DECODE) if self is Role.WHOLE else (self,)


FULL_QUALITY = 1.0
"""What a place gives of the 16-bit score where it says nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The names that a problem declares: all that its terms may refer to."""

    classes: frozenset[str]
    offers: frozenset[str]
    columns: frozenset[tuple[str, str]]
    values: Mapping[Trait, frozenset[str]]
    """What occurs of each trait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A place that is paid by the request and has no nodes: an API with token prices, a serverless endpoint.

    Raises:
        ValueError: a price or rate below 0, or none at all.
    """

    id: str
    usd_per_request: Mapping[str, Decimal]
    """By class; a class that is absent cannot be served there."""
    max_requests_per_second: float | None = None
    """Of all classes together; None where nobody limits it."""
    max_tokens_per_second: float | None = field(default=None, metadata=ADDED)
    """Input and output of all classes together; None where nobody limits them."""
    tokens_per_request: Mapping[str, float] = field(default_factory=dict, metadata=ADDED)
    """By class: what a request counts for against that limit; one that is absent counts for nothing."""
    quality: Mapping[str, float] = field(default_factory=dict, metadata=ADDED)
    """By class, as that of a `Column`."""
    provider: str = ""
    zone: str = ""
    market: str = "token"
    gpu: str = ""

    def __post_init__(self) -> None:
        faults = [
            f"usd_per_request[{c}] {usd}" for c, usd in self.usd_per_request.items() if not _amount(usd)
        ]
        for name in ("max_requests_per_second", "max_tokens_per_second"):
            most = getattr(self, name)
            if most is not None and not _rate(most):
                faults.append(f"{name} {most}")
        faults += [f"tokens_per_request[{c}] {n}" for c, n in self.tokens_per_request.items() if not _rate(n)]
        faults += [f"quality[{c}] {share}" for c, share in self.quality.items() if not _rate(share)]
        if faults:
            raise ValueError(f"service {self.id!r}: {', '.join(faults)} must be a number of at least 0")

    def strangers(self, declared: Declared) -> Iterator[str]:
        """What it refers to that nobody declares, and an id that an offer has."""
        named = dict.fromkeys((*self.usd_per_request, *self.tokens_per_request, *self.quality))
        yield from unknown("class", named, declared.classes, f"service {self.id!r}")
        if self.id in declared.offers:
            yield f"service {self.id!r}: an offer has this id"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLimit:
    """How much of each class may, or must, be served where offers have a trait in common.

    Raises:
        ValueError: shares that are none, or that contradict one another.
    """

    id: str
    trait: Trait
    values: tuple[str, ...] = ()
    """Offers with any of these together; without values, each value that occurs on its own."""
    classes: tuple[str, ...] = ()
    """Without names, every class."""
    at_most: float = 1.0
    at_least: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.at_least <= self.at_most <= 1:
            message = f"at_least {self.at_least} and at_most {self.at_most} must be shares from 0 to 1, in this order"
            raise ValueError(f"share limit {self.id!r}: {message}")
        if self.at_least > 0 and not self.values:
            message = "at_least needs values: every zone cannot have a least share of its own"
            raise ValueError(f"share limit {self.id!r}: {message}")

    def strangers(self, declared: Declared) -> Iterator[str]:
        """What it refers to that nobody declares."""
        where = f"share limit {self.id!r}"
        yield from unknown("class", self.classes, declared.classes, where)
        yield from unknown(self.trait, self.values, declared.values[self.trait], where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something that may fail whole, and the share of each class that is still served within the targets without it.

    Raises:
        ValueError: a share that is none.
    """

    id: str
    trait: Trait
    values: tuple[str, ...] = ()
    """Offers with any of these fail together; without values, each value that occurs fails on its own."""
    kept_share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.kept_share <= 1:
            raise ValueError(f"loss {self.id!r}: kept_share {self.kept_share} must be from 0 to 1")

    def strangers(self, declared: Declared) -> Iterator[str]:
        """What it refers to that nobody declares."""
        yield from unknown(self.trait, self.values, declared.values[self.trait], f"loss {self.id!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A part of the window that recurs, a day as a rule: its length and the rates in it.

    Raises:
        ValueError: a length that is none, or a rate below 0.
    """

    name: str
    hours: float
    requests_per_second: Mapping[str, float] = field(default_factory=dict)
    """By class; a class that is absent has the rate that its `Demand` says."""

    def __post_init__(self) -> None:
        if not (_rate(self.hours) and self.hours > 0):
            raise ValueError(f"period {self.name!r}: hours {self.hours} must be a number above 0")
        wrong = [f"{c} {rate}" for c, rate in self.requests_per_second.items() if not _rate(rate)]
        if wrong:
            message = f"requests_per_second of {', '.join(wrong)} must be a number of at least 0"
            raise ValueError(f"period {self.name!r}: {message}")

    def strangers(self, declared: Declared) -> Iterator[str]:
        """What it refers to that nobody declares."""
        yield from unknown("class", self.requests_per_second, declared.classes, f"period {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A period as the solver counts it; a problem without periods is one stretch that never ends."""

    name: str = ""
    hours: float = 1.0
    part: Fraction = Fraction(1)
    """Of the whole window."""
    rates: Mapping[str, float]
    """Requests per second by class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing lost: what is gone, and the share of each class that is served all the same."""

    name: str
    loss: str
    """The id of its `Loss`."""
    lost: frozenset[str]
    """Offers and services."""
    kept_share: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Nodes of a column that run already."""

    offer: str
    configuration: str
    nodes: int
    """As the column counts them: where it takes parts of nodes, a whole node is all its parts."""

    @property
    def key(self) -> tuple[str, str]:
        """Offer and configuration, as `Column.key`."""
        return self.offer, self.configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A fleet that runs already, and what it costs to change it into the one that begins now.

    Raises:
        ValueError: a count or price below 0, a horizon that is none, a column twice.
    """

    running: tuple[Running, ...]
    usd_per_added_node: Decimal = Decimal(0)
    """Once: the load of the model, the overlap with what it replaces."""
    usd_per_removed_node: Decimal = Decimal(0)
    horizon_hours: float = 24.0
    """What is paid once counts as spread over so many hours."""
    max_changed_nodes: int | None = None
    """Nodes added and nodes removed, together; a part of a node counts as that part, in this and in what it costs."""

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise ValueError(f"migration: {'; '.join(faults)}")

    def strangers(self, declared: Declared) -> Iterator[str]:
        """What it refers to that nobody declares."""
        for one in self.running:
            if one.key not in declared.columns:
                yield f"migration: no column {one.configuration!r} on {one.offer!r}; one that can serve nothing may have no rates"

    def _faults(self) -> Iterator[str]:
        for name in ("usd_per_added_node", "usd_per_removed_node"):
            if not _amount(getattr(self, name)):
                yield f"{name} {getattr(self, name)} must be a number of at least 0"
        if not (_rate(self.horizon_hours) and self.horizon_hours > 0):
            yield f"horizon_hours {self.horizon_hours} must be a number above 0"
        if self.max_changed_nodes is not None and self.max_changed_nodes < 0:
            yield f"max_changed_nodes {self.max_changed_nodes} must be at least 0"
        if any(one.nodes < 0 for one in self.running):
            yield "running nodes must be at least 0"
        if len({one.key for one in self.running}) < len(self.running):
            yield "a column runs twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network over which KV caches go from prefill on one offer to decode on another, or on the same.

    Raises:
        ValueError: a bandwidth or price below 0.
    """

    source: str
    target: str
    gb_per_second: float | None = None
    """What goes over it at most; None where nobody limits it."""
    usd_per_gb: Decimal = Decimal(0)

    @property
    def key(self) -> tuple[str, str]:
        """Source and target: unique within a problem."""
        return self.source, self.target

    def __post_init__(self) -> None:
        if self.gb_per_second is not None and not _rate(self.gb_per_second):
            raise ValueError(
                f"link {self.key}: gb_per_second {self.gb_per_second} must be a number of at least 0"
            )
        if not _amount(self.usd_per_gb):
            raise ValueError(f"link {self.key}: usd_per_gb {self.usd_per_gb} must be a number of at least 0")

    def strangers(self, declared: Declared) -> Iterator[str]:
        """What it refers to that nobody declares."""
        yield from unknown("offer", self.key, declared.offers, f"link {self.source!r} to {self.target!r}")


def unknown(kind: str, names: Iterable[str], known: Collection[str], where: str) -> Iterator[str]:
    """A fault for every name that is not known, with the nearest one that is."""
    for name in names:
        if name not in known:
            near = nearest(name, sorted(known), most=1)
            yield f"{where}: unknown {kind} {name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


@lru_cache(maxsize=1 << 16)
def exact(value: float) -> Fraction:
    """The decimal number that `value` is written as."""
    return Fraction(repr(float(value)))


def repeated(kind: str, names: Iterable[str]) -> Iterator[str]:
    """A fault for every name that appears again."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f"{kind} {name!r} appears twice"
        seen.add(name)


def _rate(value: float) -> bool:
    return math.isfinite(value) and value >= 0


def _amount(value: Decimal) -> bool:
    return value.is_finite() and value >= 0
