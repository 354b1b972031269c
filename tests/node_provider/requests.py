"""Inputs of nodes as the stack program sends them, and a driver in memory that notes what it is asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from hetops.errors import ErrorKind, ProviderError
from hetops.node_provider.node import NodeResource
from hetops.plugin.engine import Launch
from hetops.plugin.provider import Node, NodeRequest, NodeState
from hetops.state import intents
from hetops.state.home import Home
from tests.doubles.drivers import NAME, Cloud, MemoryDriver


def request(name: str = "chat-a-0-aaaaaa", **fields: Any) -> NodeRequest:
    """A node of deployment `chat` with one launch."""
    told: dict[str, Any] = {
        "name": name,
        "deployment": "chat",
        "pool": "a",
        "sku": "one-h100",
        "region": "r1",
        "zone": "",
        "market": "on_demand",
        "launches": (Launch(argv=("serve",), port=8000),),
        **fields,
    }
    return NodeRequest(**told)


def inputs(name: str = "chat-a-0-aaaaaa", **fields: Any) -> dict[str, Any]:
    """The properties of that node."""
    return {
        "provider": NAME,
        "request": msgspec.to_builtins(request(name, **fields)),
        "usd_per_hour": "3.00",
    }


class WatchedDriver(MemoryDriver):
    """Counts what it is asked, and remembers which intents stood on disk when it was asked to create."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        super().__init__(cloud)
        self.lists = 0
        self.created: list[str] = []
        self.deleted: list[str] = []
        self.intents_at_create: list[str] = []
        self.silent = False
        self.slow = asyncio.Event()
        self.slow.set()
        self._folder = folder

    async def create(self, request: NodeRequest) -> Node:
        self.intents_at_create = [i.node for i in intents.read_all(self._folder)]
        self.created.append(request.name)
        await self.slow.wait()
        return await super().create(request)

    async def delete(self, node_id: str) -> None:
        self.deleted.append(node_id)
        await super().delete(node_id)

    async def list(self, deployment: str) -> tuple[Node, ...]:
        self.lists += 1
        if self.silent:
            raise ProviderError("the provider does not answer", provider=NAME, kind=ErrorKind.TRANSIENT)
        return await super().list(deployment)

    def change(self, name: str, **fields: Any) -> None:
        """The node becomes another behind everybody's back."""
        self.cloud.nodes[name] = replace(self.cloud.nodes[name], **fields)

    def fail(self, name: str, message: str = "its engine has died\nout of memory") -> None:
        """The node's engine dies."""
        self.change(name, state=NodeState.FAILED, message=message)


class World:
    """One state root, one cloud, and the resource that stands between them."""

    def __init__(self, root: Path, room: int = 8) -> None:
        self.home = Home(root=root)
        self.intents = self.home.deployment("chat").intents
        self.driver = WatchedDriver(Cloud(room=room), self.intents)
        self.nodes = self.again()

    def again(self) -> NodeResource:
        """The resource in another run of the provider: what it knew is forgotten."""
        return NodeResource(self.home, self._driver_of)

    @property
    def recorded(self) -> list[str]:
        """Nodes whose intents stand on disk."""
        return [i.node for i in intents.read_all(self.intents)]

    def _driver_of(self, provider: str, deployment: str) -> MemoryDriver:
        if provider != NAME:
            raise ProviderError(f"unknown provider {provider!r}", provider=provider, kind=ErrorKind.INVALID)
        self.home.deployment(deployment)
        return self.driver
