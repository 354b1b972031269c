"""What a fleet's resources are called and what runs on them: plan in, node requests out. Pure; knows no Pulumi.

A node's name carries a digest of what runs on it. So the same plan asks for the same nodes for ever, and a changed
launch is a new node beside the old one, never the old one rebuilt under its name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from hetops.domain.plan import PlannedPool
from hetops.plugin.engine import INHERITED, Launch, LaunchContext
from hetops.plugin.provider import NodeRequest
from hetops.stack.inputs import FleetInputs, RouterInputs

EMULATOR = "emulator"
"""The name of the engine that stands in on emulated offers, whatever the configuration's engine."""

ROUTER = "router"
"""The pool name, logical name and SKU of the router."""

ROUTER_PROVIDER = "local"

_NAME_LENGTH = 63
"""Longest name that every provider takes (RFC 1035 label)."""

LaunchOf = Callable[[LaunchContext], Launch]
LauncherOf = Callable[[str], LaunchOf]
"""Engine name to what says how it is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDeclaration:
    """One node: its name in the stack, its provider, and the request that the provider gets."""

    logical_name: str
    provider: str
    request: NodeRequest
    usd_per_hour: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDeclaration:
    """One pool and its nodes."""

    pool: PlannedPool
    deployment: str
    launches: tuple[Launch, ...]
    """What runs on each node."""
    nodes: tuple[NodeDeclaration, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDeclaration:
    """All that a fleet's program declares, apart from the router's configuration, which endpoints make."""

    pools: tuple[PoolDeclaration, ...]
    router: NodeDeclaration | None

    @property
    def nodes(self) -> tuple[NodeDeclaration, ...]:
        """Every node, the router's last."""
        nodes = tuple(node for pool in self.pools for node in pool.nodes)
        return nodes if self.router is None else (*nodes, self.router)


def render(inputs: FleetInputs, launcher: LauncherOf, *, python: str) -> FleetDeclaration:
    """The fleet's nodes; `python` is the interpreter that the router runs in."""
    return FleetDeclaration(
        pools=tuple(_pool(pool, inputs, launcher) for pool in inputs.plan.pools),
        router=None if inputs.router is None else _router(inputs, inputs.router, python),
    )


def _pool(pool: PlannedPool, inputs: FleetInputs, launcher: LauncherOf) -> PoolDeclaration:
    engine = EMULATOR if pool.offer.emulated else pool.configuration.engine
    deployment = inputs.plan.deployment
    context = LaunchContext(pool=pool, deployment=deployment, settings=inputs.engines.get(engine, {}))
    launches = (launcher(engine)(context),) * pool.replicas_per_node
    nodes = (_node(pool, deployment, launches, index) for index in range(pool.nodes))
    return PoolDeclaration(pool=pool, deployment=deployment, launches=launches, nodes=tuple(nodes))


def _node(pool: PlannedPool, deployment: str, launches: tuple[Launch, ...], index: int) -> NodeDeclaration:
    offer = pool.offer
    request = NodeRequest(
        name="",
        deployment=deployment,
        pool=pool.name,
        sku=offer.sku,
        region=offer.region,
        zone=offer.zone,
        market=str(offer.market),
        launches=launches,
    )
    return NodeDeclaration(
        logical_name=f"{pool.name}-{index}",
        provider=offer.provider,
        request=_named(request, offer.provider, index),
        usd_per_hour=offer.total_usd_per_hour,
    )


def _router(inputs: FleetInputs, router: RouterInputs, python: str) -> NodeDeclaration:
    """The router; one with services of other keys is another router, for it gets keys when it starts."""
    deployment = inputs.plan.deployment
    keys = sorted({s.service.api_key_variable for s in inputs.plan.services} - {""})
    options = ("--config", router.config_path, "--host", router.host, "--port", str(router.port))
    launch = Launch(
        argv=(python, "-m", "hetops.cli.main", "route", *options),
        environment=((INHERITED, ",".join(keys)),) if keys else (),
        host=router.host,
        port=router.port,
        ready_seconds=60.0,
    )
    request = NodeRequest(
        name="",
        deployment=deployment,
        pool=ROUTER,
        sku=ROUTER,
        region="local",
        zone="",
        market="on_demand",
        launches=(launch,),
    )
    return NodeDeclaration(
        logical_name=ROUTER,
        provider=ROUTER_PROVIDER,
        request=_named(request, ROUTER_PROVIDER, 0),
        usd_per_hour=Decimal(0),
    )


def _named(request: NodeRequest, provider: str, index: int) -> NodeRequest:
    """`<deployment>-<pool>-<index>-<digest>`, in letters, digits and hyphens; the pool is cut where it is too long."""
    digest = hashlib.sha256(msgspec.json.encode((provider, request), order="sorted")).hexdigest()[:6]
    ending = f"-{index}-{digest}"
    room = _NAME_LENGTH - len(request.deployment) - 1 - len(ending)
    pool = re.sub(r"[^a-z0-9]+", "-", request.pool.lower()).strip("-")[:room].strip("-")
    return replace(request, name=f"{request.deployment}-{pool}{ending}")
