"""Example Cloud as a provider: its offers, and its nodes over its HTTP API. Imports nothing of hetops but its door.

The cloud rents out containers on GPUs: it has types, nodes, and labels on nodes. The README has its API.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hetops.plugin import (
    PATIENCE_SECONDS,
    Api,
    Availability,
    AvailabilityState,
    Capability,
    CheckResult,
    CloudDriver,
    Engine,
    ErrorKind,
    HttpError,
    Limits,
    Meaning,
    Node,
    NodeDriver,
    NodeRequest,
    NodeState,
    Offer,
    OfferOrReason,
    OfferQuery,
    Patience,
    PriceBasis,
    Provider,
    ProviderError,
    Quota,
    Refusal,
    Refused,
    Scope,
    Service,
    Surroundings,
    Topic,
    container_problem,
    finding,
    hookimpl,
    read_credential,
    refuse_unknown,
    understood,
    usd,
)
from hetops_example.engine import ExampleEngine

NAME = "example"
URL_VARIABLE = "EXAMPLE_CLOUD_URL"
TOKEN_VARIABLE = "EXAMPLE_CLOUD_TOKEN"

_URL = "https://api.cloud.example"
_TOKENS_URL = "https://cloud.example/tokens"
_SETTINGS = ("region",)
_TTL_SECONDS = 300
_CHECK_SECONDS = 1.2
_MOST_PAGES = 1000
_OURS = "hetops"
"""Value of the label `by` of every node that hetops asked for."""

_STATES = {"booting": NodeState.PENDING, "running": NodeState.RUNNING, "failed": NodeState.FAILED}


@hookimpl
def register_providers() -> Iterable[Provider]:
    """Example Cloud. Hooks hand over objects and do no work."""
    return (ExampleProvider(),)


@hookimpl
def register_engines() -> Iterable[Engine]:
    """The engine that runs in its containers."""
    return (ExampleEngine(),)


class ExampleProvider:
    """Offers of Example Cloud. It keeps nothing: every answer is the cloud's."""

    name = NAME
    capabilities = frozenset({Capability.CONTAINER_ONLY, Capability.TAGS})

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self._surroundings = surroundings or Surroundings()

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """The settings and the token; with one, whether the cloud takes it."""
        around = self._surroundings
        known = finding("settings", lambda: _understood(settings), fix=f"correct [providers.{NAME}]")
        if not known.ok:
            return (known,)
        token = finding(
            "token",
            lambda: f"from {read_credential(NAME, around, (TOKEN_VARIABLE,)).source}",
            fix=f"export {TOKEN_VARIABLE}=...",
            topic=Topic.CREDENTIALS,
        )
        if not token.ok:
            return known, token

        async def asked() -> str:
            async with _api(around, around.patience.within(_CHECK_SECONDS)) as api:
                return f"open; {len([raw async for raw in _rows(api, '/v1/nodes')])} nodes"

        account = finding("account", lambda: asyncio.run(asked()), fix="run again", topic=Topic.CREDENTIALS)
        return known, token, account

    async def fetch_offers(self, query: OfferQuery) -> tuple[OfferOrReason, ...]:
        """Every type that the cloud sells, in the region of the settings where there is one."""
        _understood(query.settings)
        region = query.settings.get("region")
        patience = self._surroundings.patience.within(query.deadline_seconds * 0.9)
        async with _api(self._surroundings, patience) as api:
            rows = [raw async for raw in _rows(api, "/v1/types")]
        found = (_offer(raw, query.now) for raw in rows)
        return tuple(each for each in found if isinstance(each, Refusal) or region in (None, each.region))

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """Example Cloud tells none."""
        _understood(settings)
        return ()

    def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
        """The driver; its files in `state_folder` are locks."""
        _understood(settings)
        around = self._surroundings
        return CloudDriver(ExampleNodes(around), state_folder, clock=around.clock)


class ExampleNodes:
    """The nodes of one account, as `NodeCloud` asks for them. A label says which are ours."""

    provider = NAME

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def refuse_impossible(self, request: NodeRequest) -> None:
        """As `NodeCloud.refuse_impossible`."""
        for launch in request.launches:
            if problem := container_problem(launch):
                raise ProviderError(
                    f"{request.pool}: {problem}", provider=NAME, kind=ErrorKind.INVALID, scope=Scope.OFFER
                )

    async def launch(self, request: NodeRequest) -> str:
        """As `NodeCloud.launch`: asked once. The driver finds out what became of it where no answer comes."""
        async with self._api() as api:
            said = await api.post("/v1/nodes", _body(request))
        return _node(understood(said, dict[str, Any], provider=NAME, what="the new node")).id

    async def prepare(self, node: Node, request: NodeRequest) -> None:
        """As `NodeCloud.prepare`: the cloud has started the containers itself."""

    async def look(self, node_id: str) -> Node | None:
        """As `NodeCloud.look`."""
        try:
            async with self._api() as api:
                said = await api.get(f"/v1/nodes/{node_id}")
        except HttpError as fault:
            if fault.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return _node(understood(said, dict[str, Any], provider=NAME, what="the node"))

    async def ours(self) -> tuple[Node, ...]:
        """As `NodeCloud.ours`."""
        async with self._api() as api:
            return tuple([_node(raw) async for raw in _rows(api, "/v1/nodes", label=f"by={_OURS}")])

    async def terminate(self, node_id: str) -> None:
        """As `NodeCloud.terminate`."""
        try:
            async with self._api() as api:
                await api.delete(f"/v1/nodes/{node_id}")
        except HttpError as fault:
            if fault.status != HTTPStatus.NOT_FOUND:
                raise

    def _api(self) -> Api:
        return _api(self._surroundings, self._surroundings.patience.at_least(PATIENCE_SECONDS))


def _api(around: Surroundings, patience: Patience) -> Api:
    """A client, with the token as it is now; ProviderError of kind auth where there is none."""
    service = Service(
        provider=NAME,
        base_url=around.environment.get(URL_VARIABLE) or _URL,
        token=read_credential(NAME, around, (TOKEN_VARIABLE,)).secret,
        meaning=_meaning,
        patience=patience,
        url_hint=f"is {URL_VARIABLE} right?",
    )
    return Api(service, clock=around.clock)


def _meaning(refused: Refused) -> Meaning | None:
    """What only this cloud says; the kit knows what the statuses of HTTP mean."""
    code = refused.said.get("code") if isinstance(refused.said, Mapping) else ""
    if code == "no_capacity":
        return Meaning(kind=ErrorKind.CAPACITY, scope=Scope.REGION, hint="another region or type, or later")
    if refused.status == HTTPStatus.UNAUTHORIZED:
        return Meaning(kind=ErrorKind.AUTH, hint=f"make a new token at {_TOKENS_URL}")
    return None


async def _rows(api: Api, path: str, **query: str) -> AsyncIterator[Mapping[str, Any]]:
    """Every row of a list, page after page."""
    page = ""
    for _ in range(_MOST_PAGES):
        said = await api.get(path, {**query, "page": page} if page else query)
        told = understood(said, dict[str, Any], provider=NAME, what=f"the list of {path}")
        for raw in understood(told.get("items"), list[dict[str, Any]], provider=NAME, what=path):
            yield raw
        page = str(told.get("next") or "")
        if not page:
            return
    raise ProviderError(f"{path} has no end", provider=NAME, kind=ErrorKind.INVALID)


def _offer(raw: Mapping[str, Any], now: datetime) -> Offer | Refusal:
    """A row as an offer, or why it is none: a wrong price must never reach a plan."""
    subject = f"{NAME} {raw.get('name')}"
    try:
        available = int(raw["available"])
        return Offer(
            provider=NAME,
            sku=str(raw["name"]),
            gpu=str(raw["gpu"]),
            gpu_count=int(raw["gpu_count"]),
            region=str(raw["region"]),
            usd_per_hour=usd(raw["usd_per_hour"]),
            basis=PriceBasis.LIVE,
            observed_at=now,
            source="GET /v1/types",
            ttl_seconds=_TTL_SECONDS,
            availability=Availability(
                state=AvailabilityState.AVAILABLE if available else AvailabilityState.NONE, observed_at=now
            ),
            limits=Limits(max_count=available),
        )
    except ValueError as fault:
        return Refusal(subject=subject, reason=str(fault))
    except (KeyError, TypeError) as fault:
        return Refusal(subject=subject, reason=f"it cannot be understood: {fault!r}")


def _body(request: NodeRequest) -> dict[str, Any]:
    return {
        "name": request.name,
        "type": request.sku,
        "region": request.region,
        "labels": {"by": _OURS, "deployment": request.deployment, "pool": request.pool},
        "containers": [
            {
                "image": launch.image,
                "arguments": list(launch.argv),
                "environment": dict(launch.environment),
                "port": launch.port,
            }
            for launch in request.launches
        ],
    }


def _node(raw: Mapping[str, Any]) -> Node:
    return Node(
        id=str(raw["id"]),
        name=str(raw["name"]),
        deployment=str(raw["labels"].get("deployment", "")),
        state=_STATES.get(raw["state"], NodeState.PENDING),
        endpoints=tuple(raw["endpoints"]),
        message=str(raw["message"]),
    )


def _understood(settings: Mapping[str, Any]) -> str:
    refuse_unknown(NAME, settings, _SETTINGS)
    return "understood"
