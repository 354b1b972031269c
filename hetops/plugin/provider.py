"""The `Provider` protocol and the `NodeDriver` protocol: what a plugin author implements.

A provider that rents out single machines implements `NodeDriver`: four coroutines over its HTTP API, no Pulumi
knowledge. The generic resource provider turns them into a resource with preview, diff, refresh and adoption.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hetops.domain.gpu import GpuType
from hetops.domain.offer import Offer
from hetops.domain.plan import PlannedPool, Refusal
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.engine import Launch


class Capability(StrEnum):
    """What a provider's nodes can do; the stack picks the way to boot an engine by these."""

    USER_DATA = "user_data"
    CONTAINER_ONLY = "container_only"
    ONE_ENGINE = "one_engine"
    """A node is a single container: it runs one engine, however many GPUs it has."""
    PROCESS = "process"
    """Nodes are processes on this host: launches run as they are."""
    SPOT = "spot"
    STOP = "stop"
    TAGS = "tags"
    FIREWALL = "firewall"
    AUTOSCALING_GROUP = "autoscaling_group"
    MULTI_GPU_NVLINK = "multi_gpu_nvlink"
    GPU_SLICES = "gpu_slices"
    """Who rents a node may cut its GPUs into slices (NVIDIA's MIG): a virtual machine with the whole GPU, not a container."""


class Topic(StrEnum):
    """What a thing that `check` looked at is about."""

    SETTINGS = "settings"
    """The spec, and what this machine needs besides."""
    CREDENTIALS = "credentials"
    """Whether there is a key, and whether the provider takes it."""
    PERMISSIONS = "permissions"
    """What the key may do."""
    QUOTAS = "quotas"
    """How much the account may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One thing that `check` looked at. `fix` is a command or a step, empty where nothing is wrong."""

    subject: str
    ok: bool
    detail: str
    fix: str = ""
    kind: ErrorKind = ErrorKind.INVALID
    """What a failure means; AUTH where credentials are missing or refused. Says nothing where `ok`."""
    topic: Topic = Topic.SETTINGS
    clock_ahead_seconds: float | None = None
    """How far this machine's clock is ahead of the provider's, where an answer told its time (`Api` keeps it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferQuery:
    """What offers are asked for.

    `settings` is the provider's own table of the spec (`[providers.NAME]`), already known to hold plain values;
    `list_prices` are the dated snapshot offers, for providers that mirror others.
    """

    now: datetime
    gpu_types: tuple[GpuType, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    list_prices: tuple[Offer, ...] = ()
    deadline_seconds: float = 10.0
    """When nobody listens any more. Who asks in several places hands over before then what has come."""


OfferOrReason = Offer | Refusal | ProviderError
"""One thing that `fetch_offers` hands over: an offer, or in its place why there is none.

A `Refusal` is something that the provider lists and does not sell (a price of zero, another currency); a
`ProviderError` is a part of the provider that failed, a region say, whose message names it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One limit of the account."""

    group: str
    limit: float
    used: float
    unit: str
    ask: str = ""
    """How more of it is asked for: a command, or a page."""

    @property
    def left(self) -> float:
        """Never below zero: a limit may have been lowered under what runs."""
        return max(0.0, self.limit - self.used)


class NodeState(StrEnum):
    """What a node is doing, whatever the provider calls it."""

    PENDING = "pending"
    RUNNING = "running"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """One node to create. `name` is deterministic: the same plan asks for the same names for ever."""

    name: str
    deployment: str
    pool: str
    sku: str
    region: str
    zone: str
    market: str
    launches: tuple[Launch, ...]
    """One engine process or container each; replica i of the node is launches[i]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node as its provider sees it now. `endpoints[i]` is the base URL of replica i, empty while unknown."""

    id: str
    name: str
    deployment: str
    state: NodeState
    endpoints: tuple[str, ...] = ()
    message: str = ""
    """Why a node failed: for an engine that died, its last log lines."""


class NodeDriver(Protocol):
    """Nodes of one provider. Every method raises `hetops.errors.ProviderError` and nothing else."""

    async def create(self, request: NodeRequest) -> Node:
        """The node of that name, created unless it exists; returns when its endpoints are known.

        Idempotent by name: a node that already runs is adopted, never doubled.
        """
        ...

    async def read(self, node_id: str) -> Node:
        """The node now; state GONE where the provider knows none of that id."""
        ...

    async def delete(self, node_id: str) -> None:
        """Drains and removes the node. Deleting what is gone is success."""
        ...

    async def list(self, deployment: str) -> tuple[Node, ...]:
        """Every node of the deployment that exists, found without any state of ours."""
        ...


@runtime_checkable
class Provider(Protocol):
    """One source of offers. An optional method `node_driver(state_folder: Path, settings: Mapping) -> NodeDriver` or
    `declare_pool(pool: PlannedPool, context: Any) -> Mapping` says how its nodes are provisioned; a provider with
    neither is for planning only. `settings` are always the provider's own, of `[providers.NAME]` in the spec."""

    name: str
    capabilities: frozenset[Capability]

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """Credentials and permissions, each with the fix. No network beyond the provider's own API; under 2 s."""
        ...

    async def fetch_offers(self, query: OfferQuery) -> tuple[OfferOrReason, ...]:
        """What the provider rents out now, and what failed of it. Raises ProviderError where all of it failed."""
        ...

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """Limits of the account; empty where the provider has none or tells none. Raises ProviderError."""
        ...


@runtime_checkable
class DrivesNodes(Protocol):
    """A provider whose nodes are created one by one."""

    def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
        """The driver; `state_folder` is where it may keep what its nodes need, locks and host keys say.

        Raises ProviderError of kind invalid where the settings are wrong. Settings that only new nodes need may be
        missing: what stands can be read and deleted without them.
        """
        ...


@runtime_checkable
class DeclaresPools(Protocol):
    """A provider that declares a pool as Pulumi resources of its own (autoscaling groups)."""

    def declare_pool(self, pool: PlannedPool, context: Any) -> Mapping[str, Any]:
        """Called inside a running Pulumi program; returns the pool's outputs, `endpoints` among them."""
        ...


def for_planning_only(provider: Provider) -> bool:
    """Whether the provider says neither way how its nodes are provisioned."""
    return not isinstance(provider, DrivesNodes | DeclaresPools)
