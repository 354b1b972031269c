"""Edge: asks the drivers what really runs, and removes what no state knows.

Pulumi's state says what should be there, intents on disk say who has to be asked, only providers say what exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from hetops.plugin.provider import Node, NodeState
from hetops.stack.changes import Drift, DriftKind, KnownNode
from hetops.state import intents
from hetops.state.drivers import DriverOf
from hetops.state.home import DeploymentFolder


def survey(folder: DeploymentFolder, known: tuple[KnownNode, ...], driver_of: DriverOf) -> tuple[Drift, ...]:
    """Where the real world differs from the state: nodes gone, failed, or running and not known.

    Raises:
        ProviderError: a provider does not say what it has.
    """
    return asyncio.run(_survey(folder, known, driver_of))


def remove_strays(
    folder: DeploymentFolder, known: tuple[KnownNode, ...], driver_of: DriverOf
) -> tuple[str, ...]:
    """Removes the deployment's nodes that no state knows, with their intents; their names.

    Raises:
        ProviderError: a provider cannot list or delete them.
    """
    return asyncio.run(_remove_strays(folder, known, driver_of))


async def _survey(
    folder: DeploymentFolder, known: tuple[KnownNode, ...], driver_of: DriverOf
) -> tuple[Drift, ...]:
    reads = (driver_of(k.provider, folder.name).read(k.id) for k in known)
    found, strays = await asyncio.gather(asyncio.gather(*reads), _strays(folder, known, driver_of))
    drifted = (_drift(k, node) for k, node in zip(known, found, strict=True))
    return (*(d for d in drifted if d is not None), *_as_drift(folder, strays))


async def _remove_strays(
    folder: DeploymentFolder, known: tuple[KnownNode, ...], driver_of: DriverOf
) -> tuple[str, ...]:
    strays = await _strays(folder, known, driver_of)
    await asyncio.gather(*(driver_of(provider, folder.name).delete(node.id) for provider, node in strays))
    names = {k.name for k in known}
    for intent in intents.read_all(folder.intents):
        if intent.node not in names:
            intents.withdraw(folder.intents, intent.node)
    return tuple(node.name for _, node in strays)


async def _strays(
    folder: DeploymentFolder, known: tuple[KnownNode, ...], driver_of: DriverOf
) -> tuple[tuple[str, Node], ...]:
    """(provider, node) of every node that exists and is not known."""
    providers = sorted({k.provider for k in known} | {i.provider for i in intents.read_all(folder.intents)})
    lists = await asyncio.gather(*(driver_of(p, folder.name).list(folder.name) for p in providers))
    names = {k.name for k in known}
    return tuple(
        (provider, node)
        for provider, nodes in zip(providers, lists, strict=True)
        for node in nodes
        if node.name not in names
    )


def _drift(known: KnownNode, node: Node) -> Drift | None:
    kinds = {NodeState.GONE: DriftKind.GONE, NodeState.FAILED: DriftKind.FAILED}
    if node.state not in kinds:
        return None
    return Drift(kind=kinds[node.state], node=known.logical_name, pool=known.pool, message=node.message)


def _as_drift(folder: DeploymentFolder, strays: Iterable[tuple[str, Node]]) -> Iterator[Drift]:
    pools: Mapping[str, str] = {i.node: i.request.pool for i in intents.read_all(folder.intents)}
    for provider, node in strays:
        message = f"runs on {provider}, and no state knows it"
        yield Drift(kind=DriftKind.STRAY, node=node.name, pool=pools.get(node.name, ""), message=message)
