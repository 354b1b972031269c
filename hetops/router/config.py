"""What a router is told: models, classes, pools with their endpoints, the plan's shares. Pure; opens no file.

The document is written by the stack program and watched by the router. It carries no secret: keys stand in a file of
their own, which it names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import ClassVar

from hetops.domain import codec
from hetops.domain.added import ADDED
from hetops.domain.plan import Plan, PlannedPool
from hetops.domain.service import PlannedService, key_fault, url_fault
from hetops.domain.units import SECONDS_PER_MINUTE
from hetops.domain.workload import LatencyTarget, Priority, TokenLengths, WorkloadClass

_PART_OF_A_REQUEST = 1e-6
"""So little of one is none: what rounding makes of a rate."""

_SHARE_TOLERANCE = 1e-3
"""How far a class's shares may be from 1 together: people round when they write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, request or engine may cost the router."""

    head_bytes: int = 64 << 10
    body_bytes: int = 32 << 20
    head_seconds: float = 15.0
    """From a request's first byte to the end of its head."""
    body_seconds: float = 60.0
    """Longest pause in a request's body."""
    idle_seconds: float = 75.0
    """How long a connection may be kept alive without a request."""
    pipelined: int = 4
    """Requests that a connection may have waiting behind the one that is answered."""
    connections: int = 4096
    connect_seconds: float = 2.0
    """Until an engine must have taken a connection."""
    silence_seconds: float = 120.0
    """An answer that has begun is given up after so long without a byte."""
    stalled_seconds: float = 120.0
    """A client that takes no byte of its answer for so long is dropped."""
    drain_seconds: float = 30.0
    """How long running answers may take after SIGTERM."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"limits: {name} must be above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """What the plan does not say: where keys and observations lie (absolute paths, empty for none), and the limits."""

    api_keys_file: str = ""
    observations_file: str = ""
    limits: Limits = field(default_factory=Limits)
    origin: str = ""
    """Where requests come from that name no origin; one that the plan does not have counts as empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedClass:
    """A workload class as requests are recognised by: its typical lengths in tokens."""

    name: str
    input_tokens: float
    output_tokens: float
    requests_per_second: float = 0.0
    """Planned; weighs the guess of an output length that nothing else tells."""
    priority: Priority = Priority.INTERACTIVE
    target: LatencyTarget = field(default_factory=LatencyTarget)
    """As a router can measure it: of TTFT, what the longest way that its requests take leaves."""
    requests_per_minute: int | None = field(default=None, metadata=ADDED)
    """Those that pools are given in any minute, where the plan turns some away: all others are. None gives them all."""
    origin: str = field(default="", metadata=ADDED)
    """Requests are taken for this class only if they come from there; all classes have an origin, or none has."""
    model: str = field(default="", metadata=ADDED)
    """Requests are taken for this class only if they ask for it; all classes have a model, or none has."""

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"class {self.name}: {name} must be a number above zero")
        if not 0 <= self.requests_per_second < math.inf:
            raise ValueError(f"class {self.name}: requests_per_second must be a number of at least 0")
        if self.requests_per_minute is not None and self.requests_per_minute < 0:
            raise ValueError(f"class {self.name}: requests_per_minute must be at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedService:
    """What is paid by the token instead of nodes: how it is asked, and how much it takes in any minute."""

    model: str
    """The name that it knows the model by."""
    api_key_variable: str = ""
    """The environment variable of the router that holds its key; empty where it wants none."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Input and output together."""

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            most = getattr(self, name)
            if most is not None and not 0 < most < math.inf:
                raise ValueError(f"service: {name} must be a number above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedPool:
    """A pool as the router sees it: where its replicas answer and how much they take. A service is a pool of one."""

    name: str
    configuration: str
    """`Configuration.id`; of a service, the model's name there."""
    gpu: str
    endpoints: tuple[str, ...]
    """Base URL of each replica; that of a service ends where `/chat/completions` begins, with `#NAME` where others share it."""
    max_sequences: int
    """Requests that one replica works on at once; 0 for a service."""
    max_context_tokens: int
    """Longest input and output together that a replica takes."""
    requests_per_second: float = 0.0
    """Planned, all classes and replicas together."""
    usd_per_hour: Decimal = Decimal(0)
    emulated: bool = False
    serves: tuple[str, ...] = ()
    """Classes that it can serve within their targets, planned here or not: where requests may be spilled to."""
    draining: tuple[str, ...] = ()
    """Those of the endpoints that get no new requests."""
    service: RoutedService | None = field(default=None, metadata=ADDED)
    """None where nodes of ours serve."""

    def __post_init__(self) -> None:
        if self.max_sequences < (0 if self.service else 1) or self.max_context_tokens < 1:
            raise ValueError(f"pool {self.name}: max_sequences and max_context_tokens must be at least 1")
        variable = self.service.api_key_variable if self.service else ""
        for endpoint in self.endpoints:
            url = endpoint.removesuffix(f"#{self.name}") if self.service else endpoint
            if fault := url_fault(url) or key_fault(url, variable):
                raise ValueError(f"pool {self.name}: endpoint: {fault}")
        if unknown := [e for e in self.draining if e not in self.endpoints]:
            raise ValueError(f"pool {self.name}: {unknown[0]} drains and is none of its endpoints")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterConfig:
    """Everything that a router goes by."""

    FORMAT: ClassVar[str] = "hetops.router"
    FORMAT_VERSION: ClassVar[str] = "1.1"

    deployment: str
    plan_digest: str = ""
    models: tuple[str, ...]
    """Names that requests may ask for; the engines serve under the same."""
    classes: tuple[RoutedClass, ...]
    pools: tuple[RoutedPool, ...]
    shares: Mapping[str, Mapping[str, float]]
    """By class, then pool: the part of the class's requests that goes to the pool."""
    api_keys_file: str = ""
    observations_file: str = ""
    limits: Limits = field(default_factory=Limits)
    origin: str = field(default="", metadata=ADDED)
    """Where requests come from that name no origin, or none of these; empty is each in turn, as often as is planned for it."""

    def __post_init__(self) -> None:
        fault = next(_faults(self), None)
        if fault:
            raise ValueError(fault)


def from_plan(
    plan: Plan, endpoints: Mapping[str, Sequence[str]], settings: RouterSettings | None = None
) -> RouterConfig:
    """The router of a plan; `endpoints` are the base URLs of each pool's replicas, those of all its nodes."""
    settings = settings or RouterSettings()
    rates: dict[str, dict[str, float]] = {}
    shares: dict[str, dict[str, float]] = {}
    for share in plan.shares:
        rates.setdefault(share.pool, {})[share.workload_class] = share.requests_per_second
        shares.setdefault(share.workload_class, {})[share.pool] = share.share
    shed = {one.workload_class for one in plan.shed}
    shares |= {name: {} for name in shed if name not in shares}
    return RouterConfig(
        deployment=plan.deployment,
        plan_digest=codec.digest(plan),
        models=plan.models,
        classes=tuple(
            RoutedClass(
                name=c.name,
                input_tokens=_typical(c.input_tokens),
                output_tokens=_typical(c.output_tokens),
                requests_per_second=c.requests_per_second,
                priority=c.priority,
                requests_per_minute=_a_minute(c) if c.name in shed else None,
                target=_at_the_router(c, plan, shares[c.name]),
                origin=c.origin,
                model=c.model,
            )
            for c in plan.workload.classes
            if c.name in shares
        ),
        pools=(
            *(_pool(plan, p, tuple(endpoints.get(p.name, ())), rates.get(p.name, {})) for p in plan.pools),
            *(_service(plan, one, rates.get(one.name, {})) for one in plan.services),
        ),
        shares=shares,
        api_keys_file=settings.api_keys_file,
        observations_file=settings.observations_file,
        limits=settings.limits,
        origin=settings.origin if any(c.origin == settings.origin for c in plan.workload.classes) else "",
    )


def _a_minute(c: WorkloadClass) -> int:
    """Requests that are served in a minute, a part of one as a whole one."""
    return math.ceil(c.requests_per_second * SECONDS_PER_MINUTE - _PART_OF_A_REQUEST)


def _at_the_router(c: WorkloadClass, plan: Plan, to: Iterable[str]) -> LatencyTarget:
    """The class's target without the longest round trip to where it goes, which no router sees."""
    if c.target.ttft_seconds is None:
        return c.target
    longest = max((plan.round_trip_seconds(c, name) for name in to), default=0.0)
    return replace(c.target, ttft_seconds=c.target.ttft_seconds - longest)


def _pool(
    plan: Plan, pool: PlannedPool, endpoints: tuple[str, ...], rates: Mapping[str, float]
) -> RoutedPool:
    far = {c.name: plan.round_trip_seconds(c, pool.name) for c in plan.workload.classes}
    able = (
        row.workload_class
        for row in plan.performance
        if row.configuration == pool.configuration.id
        and row.requests_per_second > 0
        and row.round_trip_seconds == far.get(row.workload_class)
    )
    return RoutedPool(
        name=pool.name,
        configuration=pool.configuration.id,
        gpu=pool.configuration.gpu,
        endpoints=endpoints,
        max_sequences=pool.configuration.max_sequences,
        max_context_tokens=pool.configuration.max_context_tokens,
        requests_per_second=sum(rates.values()),
        usd_per_hour=pool.usd_per_hour,
        emulated=pool.offer.emulated,
        serves=tuple(dict.fromkeys((*rates, *able))),
    )


def _service(plan: Plan, one: PlannedService, rates: Mapping[str, float]) -> RoutedPool:
    """A pool of one. Services at one address sell several models: to the router each is an endpoint of its own."""
    service = one.service
    shared = any(other is not one and other.service.url == service.url for other in plan.services)
    return RoutedPool(
        name=one.name,
        configuration=service.model,
        gpu="",
        endpoints=(f"{service.url}#{one.name}" if shared else service.url,),
        max_sequences=0,
        max_context_tokens=service.max_context_tokens,
        requests_per_second=sum(rates.values()),
        usd_per_hour=one.usd_per_hour,
        serves=one.serves,
        service=RoutedService(
            model=service.model,
            api_key_variable=service.api_key_variable,
            requests_per_minute=service.requests_per_minute,
            tokens_per_minute=service.tokens_per_minute,
        ),
    )


def _typical(lengths: TokenLengths) -> float:
    """The median: distances between requests and classes are taken in logarithms, where it is the middle."""
    return lengths.p50 if lengths.p50 > 0 else lengths.mean


def _faults(config: RouterConfig) -> Iterator[str]:
    """What is wrong between the parts of a configuration."""
    pools = [p.name for p in config.pools]
    classes = [c.name for c in config.classes]
    endpoints = [e.rstrip("/") for p in config.pools for e in p.endpoints]
    for what, names in (
        ("model", list(config.models)),
        ("class", classes),
        ("pool", pools),
        ("endpoint", endpoints),
    ):
        if twice := sorted({n for n in names if names.count(n) > 1}):
            yield f"{what} {twice[0]} stands there twice"
        if unprintable := [n for n in names if not n.isprintable()]:
            yield f"{what} {unprintable[0]!r} has characters that cannot stand in a header"
        if not names and what != "endpoint":
            yield f"there must be at least one {what}"
    origins = {c.origin for c in config.classes}
    if "" in origins and len(origins) > 1:
        yield "all classes have an origin, or none has"
    if config.origin and config.origin not in origins:
        yield f"origin: no class comes from {config.origin}"
    yield from _model_faults(config)
    for name in classes:
        if name not in config.shares:
            yield f"shares: class {name} has none"
    nobody = {c.name for c in config.classes if c.requests_per_minute == 0}
    for name, shares in config.shares.items():
        if shares or name not in nobody:
            yield from _share_faults(name, shares, classes, pools)


def _model_faults(config: RouterConfig) -> Iterator[str]:
    asked = {c.model for c in config.classes}
    if "" in asked and len(asked) > 1:
        yield "all classes have a model, or none has"
    elif "" not in asked:
        yield from (f"classes: there is no model {m}" for m in sorted(asked.difference(config.models)))
        yield from (f"models: no class asks for {m}" for m in config.models if m not in asked)


def _share_faults(
    name: str, shares: Mapping[str, float], classes: Sequence[str], pools: Sequence[str]
) -> Iterator[str]:
    if name not in classes:
        yield f"shares: there is no class {name}"
    if unknown := [p for p in shares if p not in pools]:
        yield f"shares of {name}: there is no pool {unknown[0]}"
    if not all(0 <= s <= 1 for s in shares.values()):
        yield f"shares of {name}: each must lie between 0 and 1"
    elif abs(sum(shares.values()) - 1) > _SHARE_TOLERANCE:
        yield f"shares of {name}: together they are {sum(shares.values()):g}, not 1"
