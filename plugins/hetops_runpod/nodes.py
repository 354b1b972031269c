"""Edge: RunPod's pods as nodes. A pod is one container; its environment says that it is ours.

The engine answers behind RunPod's proxy, over TLS, at an address that anybody may call: RunPod has no firewall. Who
wants that says so.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from hetops.plugin import (
    PATIENCE_SECONDS,
    Api,
    ErrorKind,
    HttpError,
    Node,
    NodeRequest,
    NodeState,
    ProviderError,
    Scope,
    Surroundings,
    container_problem,
    understood,
)
from hetops_runpod import cloud
from hetops_runpod.offers import ANYWHERE, Machine, disk_gb, machine, places
from hetops_runpod.settings import PROVIDER, RunPodSettings

PROXY_VARIABLE = "RUNPOD_PROXY_URL"
"""Where a pod's port answers, with `{pod}` and `{port}` in it."""
PUBLIC_VARIABLE = "HETOPS_RUNPOD_PUBLIC_PORTS"

_PROXY_URL = "https://{pod}-{port}.proxy.runpod.net"
_DEPLOYMENT, _NODE, _PORT = "HETOPS_DEPLOYMENT", "HETOPS_NODE", "HETOPS_PORT"
"""The marks of a pod that is ours: RunPod keeps no tags."""

_STATES: Mapping[str, NodeState] = {
    "PROVISIONING": NodeState.PENDING,
    "STARTING": NodeState.PENDING,
    "RUNNING": NodeState.RUNNING,
    "EXITED": NodeState.FAILED,
    "ERROR": NodeState.FAILED,
    "TERMINATED": NodeState.GONE,
}


class RunPodNodes:
    """The pods of one account, as `NodeCloud` asks for them."""

    provider = PROVIDER

    def __init__(self, surroundings: Surroundings, settings: RunPodSettings) -> None:
        self._surroundings = surroundings
        self._settings = settings

    def refuse_impossible(self, request: NodeRequest) -> None:
        """As `NodeCloud.refuse_impossible`."""
        if len(request.launches) != 1:
            raise _invalid(
                f"{request.pool}: a pod runs one engine, not {len(request.launches)}",
                hint="plan with offers of as many GPUs as one replica takes",
            )
        if problem := container_problem(request.launches[0]):
            raise _invalid(f"{request.pool}: {problem}")
        public_ports(self._settings, self._surroundings.environment)

    async def launch(self, request: NodeRequest) -> str:
        """As `NodeCloud.launch`. Reads first whether there is any: RunPod's word for none is that of a wrong request."""
        what = machine(request.sku)
        async with self._api() as client:
            row = await _offered(client, what, request.region)
            body = _body(request, what, disk_gb(float(row["memory"]), what.count))
            try:
                said = await client.post("/v2/pods", body)
            except HttpError as fault:
                if fault.status == HTTPStatus.BAD_REQUEST and fault.kind is ErrorKind.INVALID:
                    await _offered(client, what, request.region)
                raise
        return _created(said)

    async def prepare(self, node: Node, request: NodeRequest) -> None:
        """As `NodeCloud.prepare`: a pod is its engine."""

    async def look(self, node_id: str) -> Node | None:
        """As `NodeCloud.look`."""
        try:
            async with self._api() as client:
                said = await client.get(f"/v2/pods/{quote(node_id, safe='')}")
        except HttpError as fault:
            if fault.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        node = self._node(understood(said, dict[str, Any], provider=PROVIDER, what="the pod"))
        return None if node.state is NodeState.GONE else node

    async def ours(self) -> tuple[Node, ...]:
        """As `NodeCloud.ours`, by the marks in their environments."""
        async with self._api() as client:
            found = await cloud.pods(client)
        nodes = (self._node(raw) for raw in found if _NODE in _environment(raw))
        return tuple(node for node in nodes if node.state is not NodeState.GONE)

    async def terminate(self, node_id: str) -> None:
        """As `NodeCloud.terminate`."""
        try:
            async with self._api() as client:
                await client.delete(f"/v2/pods/{quote(node_id, safe='')}")
        except HttpError as fault:
            if fault.status != HTTPStatus.NOT_FOUND:
                raise

    def _api(self) -> Api:
        return cloud.api(self._surroundings, self._surroundings.patience.at_least(PATIENCE_SECONDS))

    def _node(self, raw: Mapping[str, Any]) -> Node:
        marks = _environment(raw)
        status, pod = str(raw.get("status", "")), str(raw.get("id", ""))
        state = _STATES.get(status, NodeState.PENDING)
        url = self._surroundings.environment.get(PROXY_VARIABLE) or _PROXY_URL
        known = state is NodeState.RUNNING and _PORT in marks
        return Node(
            id=pod,
            name=str(marks.get(_NODE) or raw.get("name") or ""),
            deployment=str(marks.get(_DEPLOYMENT, "")),
            state=state,
            endpoints=(url.replace("{pod}", pod).replace("{port}", str(marks[_PORT])),) if known else ("",),
            message=f"RunPod calls it {status}" if state is NodeState.FAILED else "",
        )


def public_ports(settings: RunPodSettings, environment: Mapping[str, str]) -> str:
    """That the user has agreed to ports that anybody may call; ProviderError of kind invalid otherwise."""
    if settings.public_ports:
        return "agreed to by public_ports"
    if environment.get(PUBLIC_VARIABLE, "").lower() in ("yes", "true", "1"):
        return f"agreed to by {PUBLIC_VARIABLE}"
    raise _invalid(
        "RunPod has no firewall: anybody who learns a pod's address may call its engine",
        hint=f"let the engine ask for a key, and set public_ports = true under [providers.{PROVIDER}], "
        f"or export {PUBLIC_VARIABLE}=yes",
    )


async def _offered(client: Api, what: Machine, region: str) -> dict[str, Any]:
    """The catalogue's row of the machine; ProviderError of kind capacity where the region has none now."""
    rows = await cloud.gpu_types(client, what.tier, what.count)
    row = next((each for each in rows if isinstance(each, dict) and each.get("id") == what.gpu_id), None)
    if row is None or "memory" not in row:
        raise _invalid(f"RunPod knows no GPU {what.gpu_id}")
    there = places(row)
    if there.get(region if region != ANYWHERE else next(iter(there)), "NONE") == "NONE":
        raise ProviderError(
            f"no {what.sku} is left in {region}",
            provider=PROVIDER,
            kind=ErrorKind.CAPACITY,
            scope=Scope.REGION,
            hint="another data centre or GPU, or later",
        )
    return row


def _body(request: NodeRequest, what: Machine, disk: int) -> dict[str, Any]:
    """The request of a create (OpenAPI, CreatePodRequest)."""
    (launch,) = request.launches
    marks = {_DEPLOYMENT: request.deployment, _NODE: request.name, _PORT: str(launch.port)}
    body: dict[str, Any] = {
        "name": request.name,
        "image": launch.image,
        "args": shlex.join(launch.argv),
        "gpu": {"id": what.gpu_id, "count": what.count},
        "cloud": str(what.tier),
        "disk": disk,
        "ports": [f"{launch.port}/http"],
        "env": {**dict(launch.environment), **marks},
        "startSsh": False,
    }
    return body if request.region == ANYWHERE else {**body, "dataCenterIds": [request.region]}


def _created(said: Any) -> str:
    """The id of the new pod; an answer that lacks it may all the same have made one."""
    try:
        pod = understood(said, dict[str, Any], provider=PROVIDER, what="the new pod")
        return understood(pod.get("id"), str, provider=PROVIDER, what="the new pod's id")
    except HttpError as fault:
        fault.unknown_outcome = True
        raise


def _environment(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    found = raw.get("env")
    return found if isinstance(found, Mapping) else {}


def _invalid(message: str, *, hint: str = "") -> ProviderError:
    return ProviderError(message, provider=PROVIDER, kind=ErrorKind.INVALID, scope=Scope.OFFER, hint=hint)
