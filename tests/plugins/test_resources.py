"""Nodes of each cloud as resources: created from JSON, adopted, found drifted, replaced, removed; their intents with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hetops.errors import ProviderError
from hetops.node_provider.node import NodeResource
from hetops.node_provider.resource import Properties
from hetops.plugin.provider import NodeDriver
from hetops.state import intents
from hetops.state.home import Home
from tests.doubles.fake_api import TOKEN, Fault, FaultKind, Scenario
from tests.plugins.clouds import KINDS, Stand, stand


class World:
    """One state root over one cloud."""

    def __init__(self, cloud: Stand, root: Path) -> None:
        self.cloud = cloud
        self.root = root
        self.home = Home(root=root)
        self.folder = self.home.deployment("contract")

    def resource(self) -> NodeResource:
        """The resource in a run of its own: nothing is remembered but what is on disk."""
        provider = self.cloud.provider()

        def driver_of(_provider: str, _deployment: str) -> NodeDriver:
            driver: NodeDriver = provider.node_driver(self.folder.path, {})
            return driver

        return NodeResource(self.home, driver_of)

    def inputs(self) -> Properties:
        """The properties of one node, as they come from a program."""
        told: Any = msgspec.to_builtins(self.cloud.request())
        return {"provider": self.cloud.kind.name, "request": told, "usd_per_hour": "1.00"}

    @property
    def recorded(self) -> list[str]:
        """Nodes whose intents stand on disk."""
        return [intent.node for intent in intents.read_all(self.folder.intents)]


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with stand(request.param, tmp_path) as cloud:
        yield World(cloud, tmp_path / "state")


def test_a_node_is_created_once_read_and_removed_with_its_intent(world: World) -> None:
    made = asyncio.run(world.resource().create(world.inputs()))
    again = asyncio.run(world.resource().create(world.inputs()))
    assert (again.id, again.outputs["endpoints"]) == (made.id, made.outputs["endpoints"])
    read = asyncio.run(world.resource().read(made.id, made.outputs))
    assert read is not None
    assert read.outputs == made.outputs
    assert world.resource().diff(made.outputs, world.inputs()).changed == ()
    asyncio.run(world.resource().delete(made.id, made.outputs))
    assert (world.cloud.names(), world.recorded) == ([], [])


def test_a_node_that_somebody_else_removed_is_found_to_be_gone(world: World) -> None:
    made = asyncio.run(world.resource().create(world.inputs()))
    asyncio.run(world.cloud.driver().delete(made.id))
    assert asyncio.run(world.resource().read(made.id, made.outputs)) is None


def test_neither_state_nor_locks_hold_the_key(world: World) -> None:
    asyncio.run(world.resource().create(world.inputs()))
    files = [path for path in world.root.rglob("*") if path.is_file()]
    assert world.recorded
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize("cloud", KINDS)
def test_a_create_that_fails_for_good_leaves_neither_node_nor_intent(cloud: str, tmp_path: Path) -> None:
    with stand(cloud, tmp_path, Scenario(taken_before_create=True)) as standing:
        world = World(standing, tmp_path / "state")
        with pytest.raises(ProviderError):
            asyncio.run(world.resource().create(world.inputs()))
        assert (standing.names(), world.recorded) == ([], [])


@pytest.mark.parametrize("cloud", KINDS)
def test_while_nobody_can_say_what_a_create_made_its_intent_stands(cloud: str, tmp_path: Path) -> None:
    """The create is lost, and then the cloud is silent: the next run finds the node."""
    path = KINDS[cloud].create_path
    faults = (
        Fault(kind=FaultKind.LOST_ANSWER, method="POST", path=path),
        Fault(kind=FaultKind.ERROR_500, method="GET", path=KINDS[cloud].list_path, skip=2, times=40),
    )
    with stand(cloud, tmp_path, Scenario(faults=faults)) as standing:
        world = World(standing, tmp_path / "state")
        with pytest.raises(ProviderError):
            asyncio.run(world.resource().create(world.inputs()))
        assert world.recorded == [standing.request().name]
        standing.api.heal()
        made = asyncio.run(world.resource().create(world.inputs()))
        assert standing.names() == [made.outputs["name"]]
