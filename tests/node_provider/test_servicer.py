"""Pulumi's provider protocol over real gRPC: plain values in, our words out, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as messages
from pulumi.runtime.proto.provider_pb2_grpc import (
    ResourceProviderStub,
    add_ResourceProviderServicer_to_server,
)

from hetops.errors import ErrorKind, HetopsError, ProviderError
from hetops.node_provider import file, node
from hetops.node_provider.file import FileResource
from hetops.node_provider.resource import UNKNOWN
from hetops.node_provider.servicer import HetopsServicer
from tests.node_provider.requests import World, inputs

NAME = "chat-a-0-aaaaaa"
NODE = "urn:pulumi:chat::hetops::hetops:index:Pool$hetops:index:Node::a-0"
FILE = "urn:pulumi:chat::hetops::hetops:index:File::router-config"

Talk = Callable[[Any], Awaitable[Any]]


class BrokenResource(FileResource):
    """Fails in whatever way it was told."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault

    async def create(self, inputs: Mapping[str, Any]) -> Any:
        del inputs
        raise self._fault


def struct(values: Mapping[str, Any]) -> Any:
    packed = struct_pb2.Struct()
    packed.update(dict(values))
    return packed


def plain(packed: Any) -> dict[str, Any]:
    return json_format.MessageToDict(packed)


def spoken(servicer: HetopsServicer, talk: Talk) -> Any:
    """What a talk with the servicer gives, over a real connection."""

    async def run() -> Any:
        server = grpc.aio.server()
        add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await talk(ResourceProviderStub(channel))
        finally:
            await server.stop(None)

    return asyncio.run(run())


def of(world: World) -> HetopsServicer:
    return HetopsServicer({node.TYPE: world.nodes, file.TYPE: FileResource()}, "0.1.0")


def refusal(servicer: HetopsServicer, talk: Talk) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        spoken(servicer, talk)
    return refused.value.code(), refused.value.details()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_node_lives_through_check_create_read_and_delete(world: World) -> None:
    async def talk(stub: Any) -> None:
        checked = await stub.Check(messages.CheckRequest(urn=NODE, news=struct(inputs())))
        assert list(checked.failures) == []
        made = await stub.Create(messages.CreateRequest(urn=NODE, properties=checked.inputs))
        assert (made.id, plain(made.properties)["endpoints"]) == (NAME, [f"http://{NAME}:0"])
        same = await stub.Diff(messages.DiffRequest(urn=NODE, olds=made.properties, news=checked.inputs))
        assert same.changes == messages.DiffResponse.DIFF_NONE
        read = await stub.Read(messages.ReadRequest(urn=NODE, id=made.id, properties=made.properties))
        assert read.id == NAME
        await stub.Delete(messages.DeleteRequest(urn=NODE, id=made.id, properties=made.properties))
        gone = await stub.Read(messages.ReadRequest(urn=NODE, id=made.id, properties=made.properties))
        assert gone.id == ""

    spoken(of(world), talk)
    assert world.driver.cloud.nodes == {}


def test_whole_numbers_come_through_a_wire_that_has_doubles_only(world: World) -> None:
    async def talk(stub: Any) -> Any:
        return await stub.Check(messages.CheckRequest(urn=NODE, news=struct(inputs())))

    assert isinstance(inputs()["request"]["launches"][0]["port"], int)
    assert list(spoken(of(world), talk).failures) == []


def test_a_fault_in_the_inputs_names_its_property_and_shows_no_values(world: World) -> None:
    wrong = {**inputs(), "request": {"name": "x"}}

    async def talk(stub: Any) -> Any:
        return await stub.Check(messages.CheckRequest(urn=NODE, news=struct(wrong)))

    (failure,) = spoken(of(world), talk).failures
    assert failure.property == "", "else the engine would print the whole property"
    assert failure.reason.startswith("request: Object missing required field")


def test_a_preview_creates_nothing(world: World) -> None:
    async def talk(stub: Any) -> Any:
        request = messages.CreateRequest(urn=NODE, properties=struct(inputs()), preview=True)
        return await stub.Create(request)

    made = spoken(of(world), talk)
    assert (made.id, plain(made.properties)["endpoints"]) == ("", UNKNOWN)
    assert (world.driver.created, world.recorded) == ([], [])


def test_a_failed_node_is_replaced_and_deleted_first(world: World) -> None:
    async def talk(stub: Any) -> Any:
        made = await stub.Create(messages.CreateRequest(urn=NODE, properties=struct(inputs())))
        world.driver.fail(NAME)
        read = await stub.Read(messages.ReadRequest(urn=NODE, id=made.id, properties=made.properties))
        return await stub.Diff(messages.DiffRequest(urn=NODE, olds=read.properties, news=struct(inputs())))

    found = spoken(of(world), talk)
    assert (list(found.replaces), found.deleteBeforeReplace) == (["state"], True)


def test_an_update_previewed_or_done_keeps_where_the_node_answers(world: World) -> None:
    dearer = struct({**inputs(), "usd_per_hour": "4.00"})

    async def talk(stub: Any) -> list[Any]:
        made = await stub.Create(messages.CreateRequest(urn=NODE, properties=struct(inputs())))
        request = {"urn": NODE, "id": made.id, "olds": made.properties, "news": dearer}
        return [await stub.Update(messages.UpdateRequest(**request, preview=p)) for p in (True, False)]

    for updated in spoken(of(world), talk):
        assert plain(updated.properties)["endpoints"] == [f"http://{NAME}:0"]
        assert plain(updated.properties)["usd_per_hour"] == "4.00"


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (
            ProviderError(
                "no H100 left", provider="x", kind=ErrorKind.CAPACITY, details=("in r1",), hint="r2"
            ),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "no H100 left\nin r1\ntry: r2\nkind: capacity",
        ),
        (
            ProviderError("key refused", provider="x", kind=ErrorKind.AUTH),
            grpc.StatusCode.PERMISSION_DENIED,
            "key refused\nkind: auth",
        ),
        (HetopsError("no folder"), grpc.StatusCode.FAILED_PRECONDITION, "no folder"),
        (
            ZeroDivisionError("division by zero"),
            grpc.StatusCode.INTERNAL,
            "the plugin failed in a way that it should not: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_every_failure_is_a_status_whose_text_is_ours(
    fault: Exception, status: grpc.StatusCode, text: str
) -> None:
    async def talk(stub: Any) -> Any:
        return await stub.Create(messages.CreateRequest(urn=FILE, properties=struct({})))

    assert refusal(HetopsServicer({file.TYPE: BrokenResource(fault)}, "0"), talk) == (status, text)


def test_a_type_that_the_provider_does_not_have_is_named(world: World) -> None:
    async def talk(stub: Any) -> Any:
        urn = NODE.replace("index:Node", "index:Cluster")
        return await stub.Check(messages.CheckRequest(urn=urn, news=struct({})))

    status, text = refusal(of(world), talk)
    assert (status, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "hetops has no resource type hetops:index:Cluster",
    )


def test_cancel_stops_waiting_for_nodes_and_keeps_their_intents(world: World) -> None:
    async def talk(stub: Any) -> list[Any]:
        world.driver.slow.clear()
        request = messages.CreateRequest(urn=NODE, properties=struct(inputs()))
        waiting = asyncio.ensure_future(stub.Create(request))
        while not world.driver.created:
            await asyncio.sleep(0.01)
        await stub.Cancel(empty_pb2.Empty())
        later = messages.CreateRequest(urn=NODE, properties=struct(inputs("chat-a-1-aaaaaa")))
        return await asyncio.gather(waiting, stub.Create(later), return_exceptions=True)

    during, after = spoken(of(world), talk)
    assert (during.code(), after.code()) == (grpc.StatusCode.ABORTED, grpc.StatusCode.ABORTED)
    assert during.details().startswith("cancelled while the node was being created\ntry: ")
    assert after.details() == "cancelled before the node was created"
    assert world.recorded == [NAME]


def test_the_engine_may_shake_hands_configure_and_attach(world: World) -> None:
    async def talk(stub: Any) -> None:
        await stub.Handshake(messages.ProviderHandshakeRequest())
        await stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"))
        assert (await stub.GetPluginInfo(empty_pb2.Empty())).version == "0.1.0"
        assert (await stub.Configure(messages.ConfigureRequest())).supportsPreview
        checked = await stub.CheckConfig(messages.CheckRequest(news=struct({"a": "b"})))
        assert plain(checked.inputs) == {"a": "b"}
        assert (await stub.DiffConfig(messages.DiffRequest())).changes == messages.DiffResponse.DIFF_NONE
        assert "hetops:index:Node" in (await stub.GetSchema(messages.GetSchemaRequest())).schema

    spoken(of(world), talk)
