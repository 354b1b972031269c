"""Example Cloud as a provider: its offers, and its nodes over its HTTP API. Imports nothing of hetops but its door.

The cloud rents out containers on GPUs. It knows types, nodes, and labels on nodes; docs of the API stand in the README.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from hetops.plugin import (
    Availability,
    AvailabilityState,
    Capability,
    CheckResult,
    ErrorKind,
    Limits,
    Node,
    NodeDriver,
    NodeRequest,
    NodeState,
    Offer,
    OfferQuery,
    PriceBasis,
    Provider,
    ProviderError,
    Quota,
    Scope,
    hookimpl,
)

NAME = "example"
URL_VARIABLE = "EXAMPLE_CLOUD_URL"
TOKEN_VARIABLE = "EXAMPLE_CLOUD_TOKEN"

_URL = "https://api.cloud.example"
_SETTINGS = frozenset({"region"})
_OF_EVERY_PROVIDER = frozenset({"enabled", "usd_per_hour"})
_TTL_SECONDS = 300
_READY_SECONDS = 900.0
_FIRST_POLL_SECONDS = 0.05
_LONGEST_POLL_SECONDS = 5.0

_KINDS = {
    HTTPStatus.UNAUTHORIZED: ErrorKind.AUTH,
    HTTPStatus.FORBIDDEN: ErrorKind.AUTH,
    HTTPStatus.PAYMENT_REQUIRED: ErrorKind.BALANCE,
    HTTPStatus.TOO_MANY_REQUESTS: ErrorKind.THROTTLED,
}
"""What the cloud's statuses mean; other 4xx are requests that it does not understand, all 5xx may pass."""

_STATES = {"booting": NodeState.PENDING, "running": NodeState.RUNNING, "failed": NodeState.FAILED}


@hookimpl
def register_providers() -> Iterable[Provider]:
    """Example Cloud. Hooks hand over objects and do no work."""
    return (ExampleProvider(),)


class ExampleProvider:
    """Offers of Example Cloud. It keeps nothing: every answer is the cloud's."""

    name = NAME
    capabilities = frozenset({Capability.CONTAINER_ONLY, Capability.TAGS})

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """The settings and the token; asks nobody."""
        unknown = _unknown(settings)
        has_token = bool(os.environ.get(TOKEN_VARIABLE))
        return (
            CheckResult(
                subject="settings",
                ok=not unknown,
                detail=f"no such field: {', '.join(unknown)}" if unknown else "known",
                fix=f"known under [providers.{NAME}] is {', '.join(_SETTINGS)}" if unknown else "",
            ),
            CheckResult(
                subject="token",
                ok=has_token,
                detail=f"{TOKEN_VARIABLE} is set" if has_token else f"{TOKEN_VARIABLE} is not set",
                fix="" if has_token else f"export {TOKEN_VARIABLE}=...",
                kind=ErrorKind.AUTH,
            ),
        )

    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """Every type that the cloud sells, in the region of the settings where there is one."""
        unknown = _unknown(query.settings)
        if unknown:
            raise _error(f"providers.{NAME}.{unknown[0]}: no such field", ErrorKind.INVALID)
        types = await _Api().ask("GET", "/v1/types")
        region = query.settings.get("region")
        return tuple(
            _offer(t, query.now) for t in types if region in (None, t["region"]) and t["usd_per_hour"]
        )

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """Example Cloud tells none."""
        del settings
        return ()

    def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
        """The driver. All it needs to know is in the cloud: it keeps no file, and its nodes need no settings."""
        del state_folder, settings
        return ExampleDriver()


class ExampleDriver:
    """Nodes of Example Cloud, found by their labels."""

    async def create(self, request: NodeRequest) -> Node:
        """As `NodeDriver.create`. The cloud refuses a second node of a name; the first is adopted then."""
        raw = await self._begun(request)
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + _READY_SECONDS, _FIRST_POLL_SECONDS
        while raw["state"] == "booting" and loop.time() < end:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)
            raw = await _Api().ask("GET", f"/v1/nodes/{raw['id']}")
        node = _node(raw)
        if node.state is not NodeState.RUNNING:
            await self.delete(node.id)
            raise _error(
                f"node {node.name} did not start: {node.message or raw['state']}", ErrorKind.TRANSIENT
            )
        return node

    async def read(self, node_id: str) -> Node:
        """As `NodeDriver.read`."""
        try:
            return _node(await _Api().ask("GET", f"/v1/nodes/{node_id}"))
        except _NotFoundError:
            return Node(id=node_id, name=node_id, deployment="", state=NodeState.GONE)

    async def delete(self, node_id: str) -> None:
        """As `NodeDriver.delete`; the cloud sends SIGTERM and waits before it takes a node away."""
        try:
            await _Api().ask("DELETE", f"/v1/nodes/{node_id}")
        except _NotFoundError:
            return

    async def list(self, deployment: str) -> tuple[Node, ...]:
        """As `NodeDriver.list`, by the label that `create` set."""
        found = await _Api().ask("GET", "/v1/nodes", {"label": f"deployment={deployment}"})
        return tuple(_node(raw) for raw in found)

    async def _begun(self, request: NodeRequest) -> Any:
        """The node as the cloud has it after it was asked for, whether or not its answer came back."""
        try:
            return await _Api().ask("POST", "/v1/nodes", body=_body(request))
        except ProviderError as fault:
            if fault.kind not in (ErrorKind.TRANSIENT, ErrorKind.INVALID):
                raise
            there = await _Api().ask("GET", "/v1/nodes", {"label": f"deployment={request.deployment}"})
            named = [raw for raw in there if raw["name"] == request.name]
            if not named:
                raise
            return named[0]


class _NotFoundError(ProviderError):
    """The cloud has no such thing."""


class _Api:
    """Edge: one request to the cloud. Whatever goes wrong becomes a ProviderError."""

    async def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Any:
        token = os.environ.get(TOKEN_VARIABLE, "")
        if not token:
            raise _error(f"{TOKEN_VARIABLE} is not set", ErrorKind.AUTH, hint=f"export {TOKEN_VARIABLE}=...")
        try:
            async with httpx.AsyncClient(
                base_url=os.environ.get(URL_VARIABLE, _URL),
                headers={"Authorization": f"Bearer {token}"},
                transport=httpx.AsyncHTTPTransport(retries=2),
                timeout=10.0,
            ) as client:
                response = await client.request(method, path, params=query, json=body)
        except httpx.HTTPError as fault:
            raise _error(f"no answer: {fault or type(fault).__name__}", ErrorKind.TRANSIENT) from fault
        return _answer(response)


def _answer(response: httpx.Response) -> Any:
    """What the cloud said; an error where it refused, or where it said nothing that can be read."""
    try:
        said = response.json() if response.content else None
    except ValueError as fault:
        raise _error(
            f"an answer that is no JSON, status {response.status_code}", ErrorKind.TRANSIENT
        ) from fault
    if response.is_success:
        return said
    message = str(said.get("error", "")) if isinstance(said, dict) else ""
    message = message or f"status {response.status_code}"
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise _NotFoundError(message, provider=NAME, kind=ErrorKind.INVALID, scope=Scope.OFFER)
    if isinstance(said, dict) and said.get("code") == "no_capacity":
        raise ProviderError(message, provider=NAME, kind=ErrorKind.CAPACITY, scope=Scope.REGION)
    default = ErrorKind.TRANSIENT if response.is_server_error else ErrorKind.INVALID
    raise ProviderError(
        message,
        provider=NAME,
        kind=_KINDS.get(HTTPStatus(response.status_code), default),
        retry_after_seconds=_seconds(response.headers.get("Retry-After", "")),
    )


def _seconds(text: str) -> float | None:
    return float(text) if text.isdigit() else None


def _offer(raw: Mapping[str, Any], now: datetime) -> Offer:
    available = int(raw["available"])
    state = AvailabilityState.AVAILABLE if available else AvailabilityState.NONE
    return Offer(
        provider=NAME,
        sku=raw["name"],
        gpu=raw["gpu"],
        gpu_count=int(raw["gpu_count"]),
        region=raw["region"],
        usd_per_hour=Decimal(raw["usd_per_hour"]),
        basis=PriceBasis.LIVE,
        observed_at=now.astimezone(UTC),
        source="GET /v1/types",
        ttl_seconds=_TTL_SECONDS,
        availability=Availability(state=state, observed_at=now),
        limits=Limits(max_count=available),
    )


def _body(request: NodeRequest) -> dict[str, Any]:
    return {
        "name": request.name,
        "type": request.sku,
        "region": request.region,
        "labels": {"deployment": request.deployment, "pool": request.pool},
        "containers": [
            {
                "image": launch.image,
                "arguments": list(launch.argv),
                "environment": dict(launch.environment),
                "health_path": launch.health_path,
            }
            for launch in request.launches
        ],
    }


def _node(raw: Mapping[str, Any]) -> Node:
    return Node(
        id=raw["id"],
        name=raw["name"],
        deployment=raw["labels"].get("deployment", ""),
        state=_STATES.get(raw["state"], NodeState.PENDING),
        endpoints=tuple(raw["endpoints"]),
        message=raw["message"],
    )


def _unknown(settings: Mapping[str, Any]) -> list[str]:
    return sorted(settings.keys() - _SETTINGS - _OF_EVERY_PROVIDER)


def _error(message: str, kind: ErrorKind, *, hint: str = "") -> ProviderError:
    return ProviderError(f"{NAME}: {message}", provider=NAME, kind=kind, hint=hint)
