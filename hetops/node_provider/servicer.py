"""Edge: Pulumi's provider protocol over gRPC, for the resources of this package.

Turns messages into plain values and errors into statuses whose text is ours. Decides nothing about resources.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as messages
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from hetops.errors import CancelledError, ErrorKind, HetopsError, ProviderError
from hetops.node_provider.resource import Properties, Resource

T = TypeVar("T")

_STATUS = {
    ErrorKind.CAPACITY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.QUOTA: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.AUTH: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.BALANCE: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.THROTTLED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.TRANSIENT: grpc.StatusCode.ABORTED,
}
"""Never UNAVAILABLE: the engine takes that for a dead plugin."""


class HetopsServicer(ResourceProviderServicer):
    """The provider `hetops`. `resources` maps type tokens to what they do."""

    def __init__(self, resources: Mapping[str, Resource], version: str) -> None:
        self._resources = resources
        self._version = version
        self._creates: set[asyncio.Task[Any]] = set()
        self._cancelled = False
        self.busy = 0
        """Calls that change the world and are not over."""

    async def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        """No secrets, resources or outputs as typed values: all properties are plain."""
        del request, context
        return messages.ProviderHandshakeResponse()

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The version of hetops."""
        del request, context
        return plugin_pb2.PluginInfo(version=self._version)

    async def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Called where the engine was pointed at a running provider; the engine's address is of no use to us."""
        del request, context
        return empty_pb2.Empty()

    async def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Names the resource types, for tools that ask."""
        del request, context
        types: dict[str, Any] = {
            token: {"inputProperties": {}, "properties": {}} for token in self._resources
        }
        return messages.GetSchemaResponse(
            schema=json.dumps({"name": "hetops", "version": self._version, "resources": types})
        )

    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The provider has no configuration of its own; `hetops:*` keys belong to the stack program."""
        del context
        return messages.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing in the configuration touches a resource."""
        del request, context
        return messages.DiffResponse(changes=messages.DiffResponse.DIFF_NONE)

    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Creates and updates can be previewed."""
        del request, context
        return messages.ConfigureResponse(supportsPreview=True)

    async def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Stops waiting for new nodes. Their intents stay, so that the next command adopts or removes them."""
        del request, context
        self._cancelled = True
        for create in tuple(self._creates):
            create.cancel()
        return empty_pb2.Empty()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Says what is wrong with a resource's inputs."""
        resource = await self._resource(request.urn, context)
        wrong = resource.check(_plain(request.news))
        return messages.CheckResponse(
            inputs=request.news,
            # With a property of its own the engine would show the whole value of it.
            failures=[messages.CheckFailure(reason=f"{name}: {reason}") for name, reason in wrong],
        )

    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Says what has changed and whether that takes a new resource."""
        resource = await self._resource(request.urn, context)
        found = resource.diff(_plain(request.olds), _plain(request.news))
        return messages.DiffResponse(
            changes=messages.DiffResponse.DIFF_SOME if found.changed else messages.DiffResponse.DIFF_NONE,
            diffs=list(found.changed),
            replaces=list(found.replaced_by),
            deleteBeforeReplace=found.delete_first,
        )

    async def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Makes a resource, or says beforehand what it would be."""
        resource, inputs = await self._resource(request.urn, context), _plain(request.properties)
        if request.preview:
            return messages.CreateResponse(properties=_struct(resource.foresee(inputs, {})))
        made = await self._answer(context, self._cancellable(resource.create(inputs)))
        return messages.CreateResponse(id=made.id, properties=_struct(made.outputs))

    async def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The resource as it is now; no id where it is gone."""
        resource = await self._resource(request.urn, context)
        found = await self._answer(context, resource.read(request.id, _plain(request.properties)))
        if found is None:
            return messages.ReadResponse()
        return messages.ReadResponse(id=found.id, properties=_struct(found.outputs), inputs=request.inputs)

    async def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Changes a resource in place, or says beforehand what it would be."""
        resource = await self._resource(request.urn, context)
        outputs, inputs = _plain(request.olds), _plain(request.news)
        if request.preview:
            return messages.UpdateResponse(properties=_struct(resource.foresee(inputs, outputs)))
        updated = await self._answer(context, self._counted(resource.update(request.id, outputs, inputs)))
        return messages.UpdateResponse(properties=_struct(updated))

    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Removes a resource."""
        resource = await self._resource(request.urn, context)
        await self._answer(context, self._counted(resource.delete(request.id, _plain(request.properties))))
        return empty_pb2.Empty()

    async def _resource(self, urn: str, context: Any) -> Resource:
        token = urn.split("::")[2].rsplit("$", maxsplit=1)[-1]
        if token not in self._resources:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"hetops has no resource type {token}")
        return self._resources[token]

    async def _answer(self, context: Any, work: Awaitable[T]) -> T:
        """What the work gives; every way that it can fail becomes a status with a text for people."""
        try:
            return await work
        except HetopsError as fault:
            await _refuse(context, _status(fault), _text(fault))
        except Exception as fault:
            text = f"the plugin failed in a way that it should not: {type(fault).__name__}: {fault}"
            await _refuse(context, grpc.StatusCode.INTERNAL, text)

    async def _cancellable(self, work: Coroutine[Any, Any, T]) -> T:
        """Work that a Cancel of the engine stops."""
        if self._cancelled:
            work.close()
            raise CancelledError("cancelled before the node was created")
        task = asyncio.ensure_future(work)
        self._creates.add(task)
        try:
            return await self._counted(task)
        except asyncio.CancelledError:
            if not self._cancelled:
                raise
            hint = "run up to go on, or down to remove it"
            raise CancelledError("cancelled while the node was being created", hint=hint) from None
        finally:
            self._creates.discard(task)

    async def _counted(self, work: Awaitable[T]) -> T:
        self.busy += 1
        try:
            return await work
        finally:
            self.busy -= 1


def _plain(struct: Any) -> Properties:
    """Properties as JSON values; whole numbers come back as int."""
    plain: dict[str, Any] = _whole(json_format.MessageToDict(struct))
    return plain


def _whole(value: Any) -> Any:
    """The value with numbers that are whole as int: on the wire all are doubles."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _struct(properties: Properties) -> Any:
    struct = struct_pb2.Struct()
    struct.update(dict(properties))
    return struct


async def _refuse(context: Any, status: grpc.StatusCode, text: str) -> NoReturn:
    await context.abort(status, text)
    raise AssertionError("abort always raises")


def _status(fault: HetopsError) -> grpc.StatusCode:
    if isinstance(fault, ProviderError):
        return _STATUS[fault.kind]
    return (
        grpc.StatusCode.ABORTED if isinstance(fault, CancelledError) else grpc.StatusCode.FAILED_PRECONDITION
    )


def _text(fault: HetopsError) -> str:
    """The error as text; its last line says what a provider's failure means, for `stack.events` to read."""
    hint = (f"try: {fault.hint}",) if fault.hint else ()
    kind = (f"kind: {fault.kind}",) if isinstance(fault, ProviderError) else ()
    return "\n".join((fault.message, *fault.details, *hint, *kind))
