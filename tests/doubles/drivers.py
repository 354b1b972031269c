"""A real small driver of nodes: a cloud in memory, which every driver made from it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hetops.domain.offer import Offer
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.provider import (
    Capability,
    CheckResult,
    Node,
    NodeDriver,
    NodeRequest,
    NodeState,
    OfferQuery,
    Quota,
)
from tests.doubles.providers import live_offer

NAME = "memory"


@dataclass(slots=True)
class Cloud:
    """Nodes by id. It has room for so many."""

    room: int = 8
    nodes: dict[str, Node] = field(default_factory=dict)


class MemoryDriver:
    """Nodes of a cloud in memory, by the contract."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    async def create(self, request: NodeRequest) -> Node:
        if existing := self.cloud.nodes.get(request.name):
            return existing
        if len(self.cloud.nodes) >= self.cloud.room or request.sku == "sold-out":
            raise ProviderError(f"no room for {request.name}", provider=NAME, kind=ErrorKind.CAPACITY)
        node = Node(
            id=request.name,
            name=request.name,
            deployment=request.deployment,
            state=NodeState.RUNNING,
            endpoints=tuple(f"http://{request.name}:{i}" for i, _ in enumerate(request.launches)),
        )
        self.cloud.nodes[node.id] = node
        return node

    async def read(self, node_id: str) -> Node:
        gone = Node(id=node_id, name=node_id, deployment="", state=NodeState.GONE)
        return self.cloud.nodes.get(node_id, gone)

    async def delete(self, node_id: str) -> None:
        self.cloud.nodes.pop(node_id, None)

    async def list(self, deployment: str) -> tuple[Node, ...]:
        return tuple(n for n in self.cloud.nodes.values() if n.deployment == deployment)


class MemoryProvider:
    """One offer, one setting, one quota, and nodes in memory."""

    name = NAME
    capabilities = frozenset({Capability.TAGS})

    def __init__(self) -> None:
        self.cloud = Cloud()

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        ok = not settings.keys() - {"region"}
        fix = "" if ok else f"correct [providers.{NAME}]"
        return (CheckResult(subject="settings", ok=ok, detail="looked at", fix=fix),)

    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        if query.settings.keys() - {"region"}:
            raise ProviderError("no such setting", provider=NAME, kind=ErrorKind.INVALID)
        return (live_offer(NAME, observed_at=query.now),)

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:  # noqa: ARG002
        return (Quota(group="nodes", limit=self.cloud.room, used=len(self.cloud.nodes), unit="nodes"),)

    def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
        del state_folder, settings
        return MemoryDriver(self.cloud)
