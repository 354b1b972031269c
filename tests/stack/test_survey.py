"""What really runs against what the state knows, on a cloud in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hetops.errors import ProviderError
from hetops.plugin.provider import NodeState
from hetops.stack.changes import Drift, DriftKind, KnownNode
from hetops.stack.survey import remove_strays, survey
from hetops.state import intents
from hetops.state.intents import Intent
from tests.doubles.drivers import NAME
from tests.node_provider.requests import World, request


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def running(world: World, *names: str) -> tuple[KnownNode, ...]:
    """Nodes that run and that the state knows."""
    for name in names:
        asyncio.run(world.driver.create(request(name)))
    return tuple(
        KnownNode(id=name, name=name, provider=NAME, pool="a", logical_name=name.removeprefix("chat-"))
        for name in names
    )


def begun(world: World, *names: str) -> None:
    """Nodes of which an intent is on record."""
    for name in names:
        intents.record(world.intents, Intent(provider=NAME, request=request(name)))


def surveyed(world: World, known: tuple[KnownNode, ...]) -> tuple[Drift, ...]:
    return survey(world.home.deployment("chat"), known, lambda *_: world.driver)


def removed(world: World, known: tuple[KnownNode, ...]) -> tuple[str, ...]:
    return remove_strays(world.home.deployment("chat"), known, lambda *_: world.driver)


def test_what_runs_as_the_state_has_it_is_no_drift(world: World) -> None:
    assert surveyed(world, running(world, "chat-a-0", "chat-a-1")) == ()
    assert surveyed(world, ()) == (), "nobody has to be asked where nothing was ever begun"


def test_nodes_that_are_gone_or_failed_are_drift_with_the_reason(world: World) -> None:
    known = running(world, "chat-a-0", "chat-a-1", "chat-a-2")
    world.driver.fail("chat-a-0", "out of memory")
    del world.driver.cloud.nodes["chat-a-1"]
    world.driver.change("chat-a-2", state=NodeState.PENDING)
    assert surveyed(world, known) == (
        Drift(kind=DriftKind.FAILED, node="a-0", pool="a", message="out of memory"),
        Drift(kind=DriftKind.GONE, node="a-1", pool="a"),
    )


def test_a_node_that_only_an_intent_leads_to_is_a_stray(world: World) -> None:
    running(world, "chat-a-0")
    begun(world, "chat-a-0")
    (stray,) = surveyed(world, ())
    assert (stray.kind, stray.node, stray.pool) == (DriftKind.STRAY, "chat-a-0", "a")
    assert NAME in stray.message


def test_a_node_that_neither_state_nor_intents_know_is_found_by_its_deployment(world: World) -> None:
    known = running(world, "chat-a-0", "chat-a-1")
    assert [(d.kind, d.node) for d in surveyed(world, known[:1])] == [(DriftKind.STRAY, "chat-a-1")]


def test_strays_are_removed_with_their_intents_and_known_nodes_stay(world: World) -> None:
    known = running(world, "chat-a-0", "chat-a-1")
    begun(world, "chat-a-0", "chat-a-1", "chat-a-2")
    assert removed(world, known[:1]) == ("chat-a-1",)
    assert list(world.driver.cloud.nodes) == ["chat-a-0"]
    assert world.recorded == ["chat-a-0"], "the intent of what never came to be goes too"


def test_another_deployments_nodes_are_nobodys_strays(world: World) -> None:
    asyncio.run(world.driver.create(request("other-a-0", deployment="other")))
    known = running(world, "chat-a-0")
    assert removed(world, known) == ()
    assert "other-a-0" in world.driver.cloud.nodes


def test_where_a_provider_does_not_answer_nothing_is_forgotten(world: World) -> None:
    begun(world, "chat-a-0")
    world.driver.silent = True
    for act in (surveyed, removed):
        with pytest.raises(ProviderError, match="does not answer"):
            act(world, ())
    assert world.recorded == ["chat-a-0"]
