"""The nodes of a status: what the state knows against what providers say, one that is silent among them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from hetops.app.status import look
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.provider import Node, NodeRequest, NodeState
from hetops.stack.changes import KnownNode
from hetops.state import intents
from hetops.state.home import DeploymentFolder
from hetops.state.intents import Intent


@dataclass(frozen=True)
class Listing:
    """A driver that is only ever asked what it has; without an answer it fails."""

    nodes: tuple[Node, ...] | None

    async def create(self, request: NodeRequest) -> Node:
        raise AssertionError(f"a status creates no {request.name}")

    async def read(self, node_id: str) -> Node:
        raise AssertionError(f"one list is enough, {node_id} need not be read")

    async def delete(self, node_id: str) -> None:
        raise AssertionError(f"a status deletes no {node_id}")

    async def list(self, deployment: str) -> tuple[Node, ...]:
        if self.nodes is None:
            raise ProviderError(f"no answer about {deployment}", provider="mute", kind=ErrorKind.TRANSIENT)
        return self.nodes


def known(name: str, provider: str, pool: str = "l4") -> KnownNode:
    """A node that the state has as running."""
    return KnownNode(
        id=name, name=name, provider=provider, pool=pool, logical_name=name, state=NodeState.RUNNING
    )


def running(name: str) -> Node:
    """A node that runs."""
    return Node(id=name, name=name, deployment="chat", state=NodeState.RUNNING, endpoints=("http://h:1",))


def request(name: str) -> NodeRequest:
    """What a node was asked for."""
    return NodeRequest(
        name=name, deployment="chat", pool="l40s", sku="s", region="r", zone="", market="spot", launches=()
    )


def test_nodes_are_as_their_provider_says_gone_where_it_lists_them_no_more(tmp_path: Path) -> None:
    folder = DeploymentFolder(path=tmp_path / "chat").create()
    died = replace(running("b"), state=NodeState.FAILED, message="its engine has died\nlog")
    driver = Listing((running("a"), died))
    found = asyncio.run(look(folder, tuple(known(n, "p") for n in "abc"), lambda *_: driver))
    assert {n.name: n.state for n in found.nodes} == {"a": "running", "b": "failed", "c": "gone"}
    assert found.notes == ()


def test_a_silent_provider_leaves_its_nodes_as_last_seen_and_is_told(tmp_path: Path) -> None:
    folder = DeploymentFolder(path=tmp_path / "chat").create()
    drivers = {"p": Listing((running("a"),)), "mute": Listing(None)}
    nodes = (known("a", "p"), known("b", "mute"))
    found = asyncio.run(look(folder, nodes, lambda provider, _: drivers[provider]))
    assert {n.name: n.state for n in found.nodes} == {"a": "running", "b": "running"}
    assert found.notes == ("mute does not say what runs: no answer about chat",)


def test_a_node_that_only_an_intent_leads_to_is_seen_with_its_pool(tmp_path: Path) -> None:
    folder = DeploymentFolder(path=tmp_path / "chat").create()
    intents.record(folder.intents, Intent(provider="p", request=request("lost")))
    found = asyncio.run(look(folder, (), lambda *_: Listing((running("lost"),))))
    assert [(n.name, n.pool) for n in found.nodes] == [("lost", "l40s")]
