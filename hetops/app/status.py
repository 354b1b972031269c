"""Use case: what runs, held against the plan. Asks drivers and the router, reads observations; changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hetops.app.candidates import Asked
from hetops.app.deployment import Deployment, of_spec, saved_plan
from hetops.app.gateway import Gateway
from hetops.app.preconditions import first_key
from hetops.domain.plan import Plan
from hetops.errors import EngineError, HetopsError
from hetops.observations.fetch import read
from hetops.observations.merge import summarize
from hetops.plugin.provider import Node, NodeState
from hetops.reports import status as report
from hetops.reports.network import at_origins
from hetops.reports.status import Health, NodeStatus, RouterStatus, Seen, Status
from hetops.router import status as router_status
from hetops.stack.changes import KnownNode
from hetops.state import history, intents
from hetops.state.drivers import DriverOf
from hetops.state.history import Action
from hetops.state.home import DeploymentFolder

WINDOW_SECONDS = 300.0
_LEAST_SECONDS = 1.0
_FAILING = "failing"
"""As `router.status.EndpointStatus.health` says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusAsked:
    """`hetops status` as it was asked."""

    spec: Asked
    window_seconds: float = WINDOW_SECONDS
    """How far back requests are counted at most; never further than the last `up`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The nodes that are there or should be, and what could not be found out."""

    nodes: tuple[NodeStatus, ...]
    notes: tuple[str, ...] = ()


def status(asked: StatusAsked) -> Status:
    """The deployment as it is now.

    Raises:
        HetopsError: the spec is wrong, nothing is up, or the state cannot be read.
    """
    deployment = of_spec(asked.spec)
    outputs, known = deployment.stack.outputs(), deployment.stack.known_nodes()
    found = asyncio.run(look(deployment.folder, known, deployment.driver_of))
    plan = outputs.plan or saved_plan(deployment.folder)
    if plan is None or not found.nodes:
        raise HetopsError(f"{deployment.name}: nothing is up", hint="hetops up")
    if outputs.plan is None:
        stopped = "an up stopped part-way: run up again to go on, or down to remove what stands"
        found = replace(found, notes=(*found.notes, stopped))
    return report.status(_seen(asked, deployment, plan, found))


def _seen(asked: StatusAsked, deployment: Deployment, plan: Plan, found: Found) -> Seen:
    until = asked.spec.now.timestamp()
    since = _since(asked, deployment)
    observations = at_origins(plan, read(deployment.folder.observations, since))
    router, said = _router(deployment)
    return Seen(
        plan=plan,
        at=asked.spec.now,
        nodes=found.nodes,
        router=router,
        serving={} if said is None else {pool.name: _serving(pool) for pool in said.pools},
        summary=summarize(observations, since=since, until=until),
        observations=observations,
        notes=(*found.notes, *(said.warnings if said else ())),
    )


def _since(asked: StatusAsked, deployment: Deployment) -> float:
    """Where the window begins: requests of before the last `up` say nothing of this fleet."""
    entries = history.read(deployment.home.history, deployment.name)
    last_up = max((e.at.timestamp() for e in entries if e.action is Action.UP), default=0.0)
    until = asked.spec.now.timestamp()
    return min(max(until - asked.window_seconds, last_up), until - _LEAST_SECONDS)


def _router(deployment: Deployment) -> tuple[RouterStatus, router_status.RouterStatus | None]:
    """The router's health, and what it said where it answered."""
    url = deployment.stack.outputs().router_url or deployment.router.url
    try:
        said = Gateway(url=url, key=_key(Path(deployment.router.api_keys_file))).status()
    except EngineError as fault:
        return RouterStatus(url=url, health=Health.DOWN, message=fault.message), None
    if said.deployment != deployment.name:
        message = f"this is the router of {said.deployment}"
        return RouterStatus(url=url, health=Health.DOWN, message=message), None
    health = Health.HEALTHY if said.healthy and not said.draining else Health.DEGRADED
    message = "draining" if said.draining else "" if said.healthy else "no replica is healthy"
    return RouterStatus(url=url, health=health, message=message), said


def _key(path: Path) -> str:
    try:
        return first_key(path)
    except HetopsError:
        return ""


def _serving(pool: router_status.PoolStatus) -> int:
    return sum(e.health != _FAILING and not e.draining for e in pool.endpoints)


async def look(folder: DeploymentFolder, known: tuple[KnownNode, ...], driver_of: DriverOf) -> Found:
    """Every node that the state knows or a provider has; a provider that fails costs its own nodes' state only."""
    recorded = intents.read_all(folder.intents)
    pools = {i.node: i.request.pool for i in recorded} | {k.name: k.pool for k in known}
    providers = sorted({k.provider for k in known} | {i.provider for i in recorded})
    answers = await asyncio.gather(*(_listed(driver_of, p, folder.name) for p in providers))
    told = {node.name: node for answer in answers for node in answer.nodes}
    silent = frozenset(answer.provider for answer in answers if answer.fault)
    missing = (_missing(k, silent) for k in known if k.name not in told)
    return Found(
        nodes=tuple(report.node_status(n, pools.get(n.name, "")) for n in (*told.values(), *missing)),
        notes=tuple(f"{a.provider} does not say what runs: {a.fault}" for a in answers if a.fault),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What one provider has of the deployment, or why it did not say."""

    provider: str
    nodes: tuple[Node, ...] = ()
    fault: str = ""


async def _listed(driver_of: DriverOf, provider: str, deployment: str) -> _Answer:
    try:
        nodes = await driver_of(provider, deployment).list(deployment)
    except HetopsError as fault:
        return _Answer(provider=provider, fault=fault.message)
    return _Answer(provider=provider, nodes=nodes)


def _missing(known: KnownNode, silent: Iterable[str]) -> Node:
    """A node that the state knows and its provider did not list: gone, or as last seen where the provider is silent."""
    state = NodeState.GONE
    if known.provider in silent and known.state in set(NodeState):
        state = NodeState(known.state)
    return Node(id=known.id, name=known.name, deployment="", state=state, endpoints=known.endpoints)
