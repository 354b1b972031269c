"""Edge: Hyperbolic's virtual machines as nodes. A label says which are ours; a shell over ssh starts the engines.

The API takes neither user data nor firewall rules. So the engines start once the machine has a shell, and the machine's
own firewall closes the serving ports to all but the router. They are reached at the machine's public address: where
that leads only to the shell, the engines never answer, and the machine is given back.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hetops.plugin import (
    CENTS,
    PATIENCE_SECONDS,
    Api,
    Boot,
    ErrorKind,
    HttpError,
    Node,
    NodeRequest,
    NodeState,
    ProviderError,
    Scope,
    Surroundings,
    boot_script,
    router_networks,
    understood,
    usd,
)
from hetops_hyperbolic import cloud, shell
from hetops_hyperbolic.offers import PROVIDER, Option, option
from hetops_hyperbolic.settings import HyperbolicSettings

_FIRST_PORT = 8000
_MARK = "hetops"

_STATES: Mapping[str, NodeState] = {
    "pending": NodeState.PENDING,
    "running": NodeState.RUNNING,
    "failed": NodeState.FAILED,
    "error": NodeState.FAILED,
    "terminating": NodeState.GONE,
    "terminated": NodeState.GONE,
}


class HyperbolicNodes:
    """The rentals of one account, as `NodeCloud` asks for them."""

    provider = PROVIDER

    def __init__(self, surroundings: Surroundings, settings: HyperbolicSettings, state_folder: Path) -> None:
        self._surroundings = surroundings
        self._settings = settings
        self._known_hosts = state_folder / "known_hosts"

    def refuse_impossible(self, request: NodeRequest) -> None:
        """As `NodeCloud.refuse_impossible`."""
        self._boot(request)
        shell.ssh_program(self._surroundings.environment)
        shell.key_file(self._settings, self._surroundings)

    async def launch(self, request: NodeRequest) -> str:
        """As `NodeCloud.launch`, after a look at the stock and at the balance: rentals are paid in advance."""
        wanted = _option(request)
        async with self._api() as client:
            row = await _offered(client, wanted, request.region)
            await _afforded(client, row)
            try:
                said = await cloud.rent(client, _body(request, wanted))
            except HttpError as fault:
                if fault.status >= HTTPStatus.BAD_REQUEST and fault.kind is ErrorKind.INVALID:
                    await _offered(client, wanted, request.region)
                raise
        return _rented(said)

    async def prepare(self, node: Node, request: NodeRequest) -> None:
        """As `NodeCloud.prepare`."""
        raw = await self._raw(node.id)
        doors = _below(raw or {}, "sshNetworking")
        if not doors:
            raise ProviderError(
                f"{node.name} has no shell yet",
                provider=PROVIDER,
                kind=ErrorKind.TRANSIENT,
                scope=Scope.OFFER,
            )
        told = understood(
            doors[0], dict[str, Any], provider=PROVIDER, what="the address of the machine's shell"
        )
        port = understood(
            told.get("port", 22), int, provider=PROVIDER, what="the port of the machine's shell"
        )
        door = shell.Door(host=str(told.get("host", "")), port=port, user=str(told.get("user", "ubuntu")))
        script = boot_script(self._boot(request))
        key = shell.key_file(self._settings, self._surroundings)
        await shell.run(door, script, self._surroundings.environment, known_hosts=self._known_hosts, key=key)

    async def look(self, node_id: str) -> Node | None:
        """As `NodeCloud.look`; one rental cannot be asked for by itself."""
        raw = await self._raw(node_id)
        node = _node(raw) if raw else None
        return node if node and node.state is not NodeState.GONE else None

    async def ours(self) -> tuple[Node, ...]:
        """As `NodeCloud.ours`, by their labels."""
        async with self._api() as client:
            nodes = [_node(raw) for raw in await cloud.rentals(client) if _marks(raw)]
        return tuple(node for node in nodes if node.state is not NodeState.GONE)

    async def terminate(self, node_id: str) -> None:
        """As `NodeCloud.terminate`. How the API refuses what is gone is not known: so it is looked at."""
        if not node_id.isdecimal():
            return
        try:
            async with self._api() as client:
                await cloud.terminate(client, int(node_id))
        except HttpError as fault:
            if fault.status < HTTPStatus.BAD_REQUEST or await self.look(node_id) is not None:
                raise

    def _api(self) -> Api:
        return cloud.api(self._surroundings, self._surroundings.patience.at_least(PATIENCE_SECONDS))

    async def _raw(self, node_id: str) -> dict[str, Any] | None:
        async with self._api() as client:
            return next((raw for raw in await cloud.rentals(client) if str(raw.get("id")) == node_id), None)

    def _boot(self, request: NodeRequest) -> Boot:
        gpus = _option(request).count
        allowed = router_networks(PROVIDER, self._settings.router_networks, self._surroundings.environment)
        try:
            return Boot(node=request.name, launches=request.launches, gpus=gpus, networks=allowed)
        except ValueError as fault:
            raise _invalid(f"{request.pool}: {fault}") from fault


def _option(request: NodeRequest) -> Option:
    found = option(request.sku)
    if found is None:
        raise _invalid(f"{request.sku} is no virtual machine of Hyperbolic")
    return found


async def _offered(client: Api, wanted: Option, region: str) -> dict[str, Any]:
    """The row of the option; ProviderError of kind capacity where none is left."""
    told = await cloud.rental_options(client)
    rows = [row for row in told if isinstance(row, dict) and wanted.matches(row, region)]
    row = next((each for each in rows if each.get("enabled") and each.get("totalAvailable") != 0), None)
    if row is None:
        raise ProviderError(
            f"no {wanted.sku} is left in {region}",
            provider=PROVIDER,
            kind=ErrorKind.CAPACITY,
            scope=Scope.REGION,
            hint="another region or GPU, or later",
        )
    return row


async def _afforded(client: Api, row: Mapping[str, Any]) -> None:
    """ProviderError of kind balance where the account could not pay for an hour."""
    try:
        price = usd(row.get("costPerHourCents"), unit=CENTS)
    except ValueError as fault:
        raise _invalid(f"it cannot be rented any more: {fault}") from fault
    left = await cloud.balance(client)
    if left.usd + left.overdraft_usd < price:
        raise ProviderError(
            f"the balance of {left.usd} USD does not pay for an hour at {price} USD",
            provider=PROVIDER,
            kind=ErrorKind.BALANCE,
            hint=cloud.ADD_CREDIT,
        )


def _body(request: NodeRequest, wanted: Option) -> dict[str, Any]:
    marks = (_MARK, request.deployment, request.name, str(len(request.launches)))
    return {
        "gpuType": wanted.gpu_type,
        "region": request.region,
        "gpuCount": wanted.count,
        "networkType": wanted.network,
        "termType": "on-demand",
        "label": ".".join(marks),
    }


def _rented(said: Any) -> str:
    """The id of the new rental; an answer that lacks it may all the same have made one."""
    try:
        rental = understood(said, dict[str, Any], provider=PROVIDER, what="the new rental")
        return str(understood(rental.get("id"), int, provider=PROVIDER, what="the new rental's id"))
    except HttpError as fault:
        fault.unknown_outcome = True
        raise


def _marks(raw: Mapping[str, Any]) -> tuple[str, str, int] | None:
    """Deployment, name and engines of a rental that is ours, from its label."""
    parts = str(raw.get("label") or "").split(".")
    if len(parts) != 4 or parts[0] != _MARK or not parts[3].isdecimal():
        return None
    return parts[1], parts[2], int(parts[3])


def _node(raw: Mapping[str, Any]) -> Node:
    deployment, name, replicas = _marks(raw) or ("", "", 0)
    status = str(raw.get("status", ""))
    state = _STATES.get(status.lower(), NodeState.PENDING)
    addresses = _below(raw, "nodeNetworking")
    ip = str(addresses[0].get("publicIp") or "") if addresses and isinstance(addresses[0], Mapping) else ""
    return Node(
        id=str(raw.get("id", "")),
        name=name,
        deployment=deployment,
        state=state,
        endpoints=tuple(f"http://{ip}:{_FIRST_PORT + i}" if ip else "" for i in range(replicas)),
        message=f"Hyperbolic calls it {status}" if state is NodeState.FAILED else "",
    )


def _below(raw: Mapping[str, Any], name: str) -> list[Any]:
    """A list under `providerData`, empty while it is not told."""
    data = raw.get("providerData")
    found = data.get(name) if isinstance(data, Mapping) else None
    return found if isinstance(found, list) else []


def _invalid(message: str, *, hint: str = "") -> ProviderError:
    return ProviderError(message, provider=PROVIDER, kind=ErrorKind.INVALID, scope=Scope.OFFER, hint=hint)
