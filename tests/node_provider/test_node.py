"""One node of any provider: recorded before it is asked for, adopted by its name, replaced when it failed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hetops.errors import HetopsError, ProviderError
from hetops.node_provider.node import NodeResource
from hetops.node_provider.resource import UNKNOWN, Existing
from hetops.plugin.provider import NodeState
from tests.node_provider.requests import World, inputs

NAME = "chat-a-0-aaaaaa"


def create(nodes: NodeResource, **fields: Any) -> Existing:
    return asyncio.run(nodes.create(inputs(**fields)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_node_is_created_with_its_endpoints_as_outputs(world: World) -> None:
    made = create(world.nodes)
    assert made.id == NAME
    assert made.outputs["endpoints"] == [f"http://{NAME}:0"]
    assert (made.outputs["name"], made.outputs["state"]) == (NAME, "running")
    assert made.outputs.items() >= inputs().items()


def test_the_intent_is_on_disk_before_the_provider_is_asked(world: World) -> None:
    create(world.nodes)
    assert world.driver.intents_at_create == [NAME]
    assert world.recorded == [NAME], "it stays as long as the node may exist"


def test_a_node_that_runs_already_is_adopted_and_not_doubled(world: World) -> None:
    first = create(world.nodes)
    again = create(world.again())
    assert again == first
    assert world.driver.created == [NAME]


def test_a_node_that_failed_is_removed_before_a_new_one_takes_its_name(world: World) -> None:
    create(world.nodes)
    world.driver.fail(NAME)
    assert create(world.again()).outputs["state"] == "running"
    assert world.driver.deleted == [NAME]
    assert world.driver.created == [NAME, NAME]


def test_a_node_that_does_not_answer_yet_is_left_to_the_driver_to_wait_for(world: World) -> None:
    create(world.nodes)
    world.driver.change(NAME, state=NodeState.PENDING, endpoints=("",))
    create(world.again())
    assert world.driver.created == [NAME, NAME], "create is idempotent by name and waits for endpoints"
    assert world.driver.deleted == []


def test_the_provider_is_asked_once_what_exists_however_many_nodes_are_created(world: World) -> None:
    async def many() -> None:
        await asyncio.gather(*(world.nodes.create(inputs(f"chat-a-{i}-aaaaaa")) for i in range(5)))

    asyncio.run(many())
    assert world.driver.lists == 1
    assert len(world.driver.created) == 5


def test_a_create_that_fails_and_leaves_nothing_leaves_no_intent(tmp_path: Path) -> None:
    world = World(tmp_path, room=0)
    with pytest.raises(ProviderError, match="no room"):
        create(world.nodes)
    assert world.recorded == []


def test_the_intent_stays_where_nobody_says_whether_the_node_exists(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.driver.silent = True
    with pytest.raises(ProviderError, match="does not answer"):
        create(world.nodes)
    assert world.recorded == [NAME]
    assert world.driver.created == [], "without the list it might have been doubled"


def test_a_provider_that_did_not_answer_is_asked_again_by_the_next_create(world: World) -> None:
    world.driver.silent = True
    with pytest.raises(ProviderError):
        create(world.nodes)
    world.driver.silent = False
    assert create(world.nodes).id == NAME


def test_a_cancelled_create_keeps_its_intent(world: World) -> None:
    async def cancelled() -> None:
        world.driver.slow.clear()
        task = asyncio.ensure_future(world.nodes.create(inputs()))
        while not world.driver.created:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert world.recorded == [NAME]


def test_reading_finds_a_node_gone_or_failed(world: World) -> None:
    outputs = create(world.nodes).outputs
    world.driver.fail(NAME)
    found = asyncio.run(world.nodes.read(NAME, outputs))
    assert found is not None
    assert found.outputs["state"] == "failed"
    world.driver.cloud.nodes.clear()
    assert asyncio.run(world.nodes.read(NAME, outputs)) is None


def test_deleting_removes_the_node_and_then_its_intent(world: World) -> None:
    outputs = create(world.nodes).outputs
    asyncio.run(world.nodes.delete(NAME, outputs))
    assert (world.driver.cloud.nodes, world.recorded) == ({}, [])
    asyncio.run(world.nodes.delete(NAME, outputs))


def test_a_node_cannot_be_imported_by_its_id(world: World) -> None:
    with pytest.raises(HetopsError, match="cannot be imported"):
        asyncio.run(world.nodes.read(NAME, {}))


def test_the_same_inputs_are_no_difference(world: World) -> None:
    assert world.nodes.diff(create(world.nodes).outputs, inputs()).changed == ()


def test_another_price_changes_the_node_in_place(world: World) -> None:
    made = create(world.nodes)
    dearer = {**inputs(), "usd_per_hour": "4.00"}
    found = world.nodes.diff(made.outputs, dearer)
    assert (found.changed, found.replaced_by) == (("usd_per_hour",), ())
    updated = asyncio.run(world.nodes.update(made.id, made.outputs, dearer))
    assert updated["usd_per_hour"] == "4.00"
    assert updated["endpoints"] == made.outputs["endpoints"]


def test_another_launch_is_a_new_node_beside_the_old_one(world: World) -> None:
    found = world.nodes.diff(create(world.nodes).outputs, inputs("chat-a-0-bbbbbb"))
    assert found.replaced_by == ("request",)
    assert not found.delete_first


def test_a_failed_node_is_replaced_and_goes_first_as_both_have_one_name(world: World) -> None:
    outputs = {**create(world.nodes).outputs, "state": "failed"}
    found = world.nodes.diff(outputs, inputs())
    assert found.replaced_by == ("state",)
    assert found.delete_first


def test_a_preview_knows_the_name_and_not_where_the_node_will_answer(world: World) -> None:
    foreseen = world.nodes.foresee(inputs(), {})
    assert (foreseen["name"], foreseen["endpoints"], foreseen["state"]) == (NAME, UNKNOWN, UNKNOWN)
    outputs = create(world.nodes).outputs
    assert (
        world.nodes.foresee({**inputs(), "usd_per_hour": "4"}, outputs)["endpoints"] == outputs["endpoints"]
    )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"provider": "nobody"}, "unknown provider 'nobody'"),
        ({"request": {"name": "x"}}, "missing required field"),
        ({"request": {**inputs()["request"], "launches": []}}, "would run nothing"),
        ({"request": {**inputs()["request"], "deployment": "No Name"}}, "cannot name a deployment"),
    ],
)
def test_inputs_that_cannot_be_are_refused_with_their_reason(
    world: World, wrong: dict[str, Any], reason: str
) -> None:
    ((_, told),) = world.nodes.check({**inputs(), **wrong})
    assert reason in told


def test_a_preview_with_unknown_values_is_not_refused(world: World) -> None:
    assert world.nodes.check({**inputs(), "request": UNKNOWN}) == ()
    assert world.nodes.check(inputs()) == ()
