"""The resource `hetops:index:Node`: one node of any provider whose plugin drives nodes.

A node's name is its identity: it carries a digest of what runs on it. An intent is on disk before a driver is asked for
a node and for as long as the node may exist; an existing node of the name is adopted, never doubled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec

from hetops.errors import ErrorKind, HetopsError, ProviderError
from hetops.node_provider.resource import UNKNOWN, Difference, Existing, Properties, holds_unknown
from hetops.plugin.provider import Node, NodeDriver, NodeRequest, NodeState
from hetops.state import intents
from hetops.state.drivers import DriverOf
from hetops.state.home import Home

TYPE = "hetops:index:Node"


class NodeResource:
    """Nodes of all providers."""

    def __init__(self, home: Home, driver_of: DriverOf) -> None:
        self._home = home
        self._driver_of = driver_of
        self._listed: dict[tuple[str, str], asyncio.Task[Mapping[str, Node]]] = {}

    def check(self, inputs: Properties) -> tuple[tuple[str, str], ...]:
        """A request that cannot be read, a provider that nobody knows or that has no driver."""
        if holds_unknown(inputs):
            return ()
        try:
            request = _request(inputs)
        except msgspec.ValidationError as fault:
            return (("request", str(fault)),)
        if not request.launches:
            return (("request", "a node without launches would run nothing"),)
        try:
            self._driver_of(str(inputs.get("provider", "")), request.deployment)
            self._home.deployment(request.deployment)
        except HetopsError as fault:
            return (("provider", " ".join(filter(None, (fault.message, fault.hint)))),)
        return ()

    def diff(self, outputs: Properties, inputs: Properties) -> Difference:
        """Anything but the price makes a new node; so does a node that failed."""
        changed = tuple(k for k in ("provider", "request", "usd_per_hour") if outputs.get(k) != inputs.get(k))
        replaced_by = tuple(k for k in changed if k != "usd_per_hour")
        if outputs.get("state") == NodeState.FAILED:
            changed, replaced_by = (*changed, "state"), (*replaced_by, "state")
        same_name = outputs.get("name") == _name(inputs)
        return Difference(
            changed=changed, replaced_by=replaced_by, delete_first=bool(replaced_by) and same_name
        )

    def foresee(self, inputs: Properties, outputs: Properties) -> Properties:
        """Where a node will answer is known once it does."""
        if outputs:
            return {**outputs, **inputs}
        return {
            **inputs,
            "name": _name(inputs),
            "state": UNKNOWN,
            "endpoints": UNKNOWN,
        }

    async def create(self, inputs: Properties) -> Existing:
        """The node of the requested name, adopted where it exists."""
        provider, request = str(inputs["provider"]), _request(inputs)
        folder = self._home.deployment(request.deployment).intents
        driver = self._driver_of(provider, request.deployment)
        intents.record(folder, intents.Intent(provider=provider, request=request))
        try:
            node = await self._adopt(driver, provider, request) or await driver.create(request)
            if node.state is NodeState.FAILED:
                raise _failed(provider, node)
        except HetopsError:
            await self._withdraw_if_absent(driver, folder, request)
            raise
        return Existing(id=node.id, outputs=_outputs(inputs, node))

    async def read(self, resource_id: str, outputs: Properties) -> Existing | None:
        """The node now; a failed one stays, marked, so that the next update replaces it."""
        node = await self._driver(outputs).read(resource_id)
        if node.state is NodeState.GONE:
            return None
        return Existing(id=node.id, outputs=_outputs(outputs, node))

    async def update(self, resource_id: str, outputs: Properties, inputs: Properties) -> Properties:
        """Only the price is told anew; the node itself stays as it is."""
        del resource_id
        return {**outputs, **inputs}

    async def delete(self, resource_id: str, outputs: Properties) -> None:
        """Drains and removes the node, then its intent."""
        await self._driver(outputs).delete(resource_id)
        request = _request(outputs)
        intents.withdraw(self._home.deployment(request.deployment).intents, request.name)

    async def _adopt(self, driver: NodeDriver, provider: str, request: NodeRequest) -> Node | None:
        """A node of this name that runs already. One that failed is removed, so that a new one can take its name."""
        found = (await self._existing(driver, provider, request.deployment)).get(request.name)
        node = await driver.read(found.id) if found else None
        if node is None or node.state is NodeState.GONE:
            return None
        if node.state is NodeState.FAILED:
            await driver.delete(node.id)
            return None
        answers = len(node.endpoints) == len(request.launches) and all(node.endpoints)
        return node if node.state is NodeState.RUNNING and answers else None

    async def _existing(self, driver: NodeDriver, provider: str, deployment: str) -> Mapping[str, Node]:
        """All nodes that the provider has of the deployment: asked once a run, however many are created."""
        key = (provider, deployment)
        if key not in self._listed:
            self._listed[key] = asyncio.ensure_future(_by_name(driver, deployment))
        try:
            return await asyncio.shield(self._listed[key])
        except HetopsError:
            self._listed.pop(key, None)
            raise

    async def _withdraw_if_absent(self, driver: NodeDriver, folder: Any, request: NodeRequest) -> None:
        """After a failed create: the intent goes only when the provider says that nothing of the name is left."""
        with contextlib.suppress(HetopsError):
            if request.name not in await _by_name(driver, request.deployment):
                intents.withdraw(folder, request.name)

    def _driver(self, outputs: Properties) -> NodeDriver:
        if "request" not in outputs:
            raise HetopsError(
                "a node cannot be imported by its id",
                hint="declare it: a node of the same name that already runs is adopted",
            )
        return self._driver_of(str(outputs["provider"]), _request(outputs).deployment)


def _request(properties: Properties) -> NodeRequest:
    return msgspec.convert(properties.get("request"), NodeRequest, strict=True)


def _name(inputs: Properties) -> Any:
    request = inputs.get("request")
    return request.get("name") if isinstance(request, Mapping) else UNKNOWN


def _outputs(inputs: Properties, node: Node) -> Properties:
    kept = {k: inputs[k] for k in ("provider", "request", "usd_per_hour") if k in inputs}
    return {**kept, "name": node.name, "state": str(node.state), "endpoints": list(node.endpoints)}


async def _by_name(driver: NodeDriver, deployment: str) -> Mapping[str, Node]:
    return {node.name: node for node in await driver.list(deployment)}


def _failed(provider: str, node: Node) -> ProviderError:
    first, *rest = (node.message or f"node {node.name} failed").splitlines()
    return ProviderError(first, details=rest, provider=provider, kind=ErrorKind.INVALID)
