"""Edge: Lambda's instances as nodes. Tags say which are ours; cloud-init starts the engines.

An instance needs exactly one SSH key of the account and a firewall ruleset of its region; both are looked up, the
ruleset is made where it is missing. The account-wide rules are never touched: that call replaces all of them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hetops.plugin import (
    PATIENCE_SECONDS,
    Api,
    Boot,
    CloudDriver,
    ErrorKind,
    HttpError,
    Node,
    NodeRequest,
    NodeState,
    ProviderError,
    Repeat,
    Scope,
    Surroundings,
    Waits,
    boot_script,
    router_networks,
    understood,
)
from hetops_lambda import cloud
from hetops_lambda.offers import NO_FIREWALL, PROVIDER, gpus_of
from hetops_lambda.settings import LambdaSettings

SSH_KEY_VARIABLE = "LAMBDA_SSH_KEY_NAME"

_DEPLOYMENT, _POOL, _REPLICAS = "hetops:deployment", "hetops:pool", "hetops:replicas"
"""Tags of an instance that is ours."""

_FIRST_PORT, _LAST_PORT = 8000, 8015
_LONGEST_NAME = 64
_MOST_USER_DATA_BYTES = 1_000_000

_STATES: Mapping[str, NodeState] = {
    "booting": NodeState.PENDING,
    "active": NodeState.RUNNING,
    "unhealthy": NodeState.FAILED,
    "preempted": NodeState.FAILED,
    "terminating": NodeState.GONE,
    "terminated": NodeState.GONE,
}


class LambdaNodes:
    """The instances of one account, as `NodeCloud` asks for them."""

    provider = PROVIDER

    def __init__(self, line: cloud.Line, settings: LambdaSettings) -> None:
        self._line = line
        self._settings = settings
        self._rulesets = asyncio.Lock()

    @property
    def surroundings(self) -> Surroundings:
        """Where the account is found."""
        return self._line.surroundings

    def refuse_impossible(self, request: NodeRequest) -> None:
        """As `NodeCloud.refuse_impossible`."""
        self._boot(request)
        if request.region in NO_FIREWALL:
            raise _invalid(
                f"{request.region} has no firewall: the engines would be open to the world", Scope.REGION
            )

    async def launch(self, request: NodeRequest) -> str:
        """As `NodeCloud.launch`."""
        boot = self._boot(request)
        async with self._api() as api:
            key = ssh_key(await cloud.ssh_keys(api), self._settings, self.surroundings.environment)
            ruleset = await self._ruleset(api, request, boot.networks)
            body = _body(request, boot, key, ruleset)
            async with self._line.launches:
                said = await api.post("/api/v1/instance-operations/launch", body)
        return _launched(said)

    async def prepare(self, node: Node, request: NodeRequest) -> None:
        """As `NodeCloud.prepare`: cloud-init has started them."""

    async def look(self, node_id: str) -> Node | None:
        """As `NodeCloud.look`."""
        try:
            async with self._api() as api:
                said = await api.get(f"/api/v1/instances/{quote(node_id, safe='')}")
        except HttpError as fault:
            if fault.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        node = _node(cloud.data(said, "the instance"))
        return None if node.state is NodeState.GONE else node

    async def ours(self) -> tuple[Node, ...]:
        """As `NodeCloud.ours`, by their tags."""
        async with self._api() as api:
            found = await cloud.instances(api)
        nodes = (_node(raw) for raw in found if _REPLICAS in _tags(raw))
        return tuple(node for node in nodes if node.state is not NodeState.GONE)

    async def terminate(self, node_id: str) -> None:
        """As `NodeCloud.terminate`."""
        try:
            async with self._api() as api:
                body = {"instance_ids": [node_id]}
                await api.post("/api/v1/instance-operations/terminate", body, repeat=Repeat.SAFE)
        except HttpError as fault:
            if fault.status != HTTPStatus.NOT_FOUND:
                raise

    def _api(self) -> Api:
        return self._line.api(self.surroundings.patience.at_least(PATIENCE_SECONDS))

    def _boot(self, request: NodeRequest) -> Boot:
        gpus = gpus_of(request.sku)
        if gpus is None:
            raise _invalid(f"{request.sku} is no instance type of Lambda", Scope.OFFER)
        allowed = router_networks(PROVIDER, self._settings.router_networks, self.surroundings.environment)
        try:
            return Boot(node=request.name, launches=request.launches, gpus=gpus, networks=allowed)
        except ValueError as fault:
            raise _invalid(f"{request.pool}: {fault}", Scope.OFFER) from fault

    async def _ruleset(self, api: Api, request: NodeRequest, allowed: tuple[str, ...]) -> str:
        """The id of the ruleset that lets these networks in, made unless it stands. Its name tells its rules apart."""
        digest = hashlib.sha256("\n".join(sorted(allowed)).encode()).hexdigest()[:6]
        name = f"hetops-{request.deployment}-{digest}"
        async with self._rulesets:
            for raw in await cloud.rulesets(api):
                if raw.get("name") == name and _name_of(raw.get("region")) == request.region:
                    return str(raw.get("id"))
            body = {"name": name, "region": request.region, "rules": [_rule(network) for network in allowed]}
            made = await api.post("/api/v1/firewall-rulesets", body, repeat=Repeat.SAFE)
        return str(cloud.data(made, "the firewall ruleset").get("id"))


def driver(nodes: LambdaNodes, state_folder: Path, waits: Waits | None = None) -> CloudDriver:
    """The driver over an account."""
    return CloudDriver(nodes, state_folder, clock=nodes.surroundings.clock, waits=waits)


def ssh_key(names: tuple[str, ...], settings: LambdaSettings, environment: Mapping[str, str]) -> str:
    """The one key that an instance gets: the one named, else the only one there is."""
    wanted = settings.ssh_key or environment.get(SSH_KEY_VARIABLE, "")
    if wanted in names:
        return wanted
    told = f"the account has {', '.join(names)}" if names else "the account has none"
    name_one = f"set ssh_key under [providers.{PROVIDER}], or export {SSH_KEY_VARIABLE}, to one that there is"
    if wanted:
        raise _invalid(f"no SSH key {wanted}: {told}", hint=name_one)
    if len(names) == 1:
        return names[0]
    raise _invalid(
        f"an instance takes exactly one SSH key: {told}",
        hint=name_one if names else "add one at https://cloud.lambda.ai/ssh-keys",
    )


def _body(request: NodeRequest, boot: Boot, key: str, ruleset: str) -> dict[str, Any]:
    """The request of a launch (OpenAPI, InstanceLaunchRequest)."""
    script = boot_script(boot)
    if len(script.encode()) > _MOST_USER_DATA_BYTES:
        raise _invalid(f"{request.pool}: the boot script is longer than Lambda takes", Scope.OFFER)
    tags = {_DEPLOYMENT: request.deployment, _POOL: request.pool[:128], _REPLICAS: str(len(boot.ports))}
    return {
        "region_name": request.region,
        "instance_type_name": request.sku,
        "ssh_key_names": [key],
        "name": request.name[:_LONGEST_NAME],
        "user_data": script,
        "tags": [{"key": name, "value": value} for name, value in tags.items()],
        "firewall_rulesets": [{"id": ruleset}],
    }


def _rule(network: str) -> dict[str, Any]:
    return {
        "protocol": "tcp",
        "port_range": [_FIRST_PORT, _LAST_PORT],
        "source_network": network,
        "description": "hetops: the router to its engines",
    }


def _launched(said: Any) -> str:
    """The id of the new instance; an answer that lacks it may all the same have made one."""
    try:
        ids = understood(
            cloud.data(said, "the launch").get("instance_ids"),
            list[str],
            provider=PROVIDER,
            what="the launch",
        )
        if len(ids) == 1:
            return ids[0]
        raise HttpError(
            f"the launch answers with {len(ids)} instances", provider=PROVIDER, kind=ErrorKind.INVALID
        )
    except HttpError as fault:
        fault.unknown_outcome = True
        raise


def _node(raw: Mapping[str, Any]) -> Node:
    tags = _tags(raw)
    status = str(raw.get("status", ""))
    replicas, ip = tags.get(_REPLICAS, ""), raw.get("ip") or ""
    count = int(replicas) if replicas.isdecimal() else 0
    return Node(
        id=str(raw.get("id", "")),
        name=str(raw.get("name") or ""),
        deployment=tags.get(_DEPLOYMENT, ""),
        state=_STATES.get(status, NodeState.PENDING),
        endpoints=tuple(f"http://{ip}:{_FIRST_PORT + i}" if ip else "" for i in range(count)),
        message=f"Lambda calls it {status}" if _STATES.get(status) is NodeState.FAILED else "",
    )


def _tags(raw: Mapping[str, Any]) -> dict[str, str]:
    told = raw.get("tags")
    tags = told if isinstance(told, list) else ()
    return {str(tag.get("key")): str(tag.get("value")) for tag in tags if isinstance(tag, Mapping)}


def _name_of(region: Any) -> str:
    return str(region.get("name", "")) if isinstance(region, Mapping) else str(region or "")


def _invalid(message: str, scope: Scope = Scope.PROVIDER, *, hint: str = "") -> ProviderError:
    return ProviderError(message, provider=PROVIDER, kind=ErrorKind.INVALID, scope=scope, hint=hint)
