"""Edge: the engines of a benchmark: started by the drivers of their providers, and removed again. Measures nothing.

They are nodes under a deployment of their own in the cache folder, which are removed whatever happens, by the next benchmark
where this one was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from hetops.app.candidates import Candidates, engine_settings
from hetops.domain.offer import Offer
from hetops.domain.plan import PlannedPool
from hetops.errors import HetopsError, LockError
from hetops.load.client import Target
from hetops.load.trials import Family, Trial
from hetops.plugin.engine import Launch, LaunchContext
from hetops.plugin.provider import DrivesNodes, NodeDriver, NodeRequest
from hetops.state import lock
from hetops.state.home import Home

_DEPLOYMENT = "bench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One family, the offer that it is measured on, and how many nodes of it at once."""

    family: Family
    offer: Offer
    nodes: int
    trials: tuple[Trial, ...]
    foreign: bool = False
    """It runs already, behind who knows what."""

    @property
    def replicas_per_node(self) -> int:
        """As a plan would lay them."""
        return self.offer.gpu_count // self.family.started.gpu_count


@contextlib.contextmanager
def alone(state: Home) -> Iterator[None]:
    """One benchmark at a time: two would measure each other."""
    try:
        with lock.hold(state.cache / "bench" / "lock", command="hetops bench"):
            yield
    except LockError as fault:
        raise LockError(
            "another benchmark runs here", details=(fault.message,), hint="wait for it"
        ) from fault


@contextlib.asynccontextmanager
async def engines(found: Candidates, one: Bench) -> AsyncIterator[Sequence[Target]]:
    """The endpoints of a family's replicas, for as long as the block runs."""
    driver = _driver(found, one.offer.provider)
    await _clear(driver)
    try:
        asks = (driver.create(_request(found, one, number)) for number in range(one.nodes))
        nodes = await asyncio.gather(*asks)
        endpoints = [endpoint for node in nodes for endpoint in node.endpoints]
        yield [Target(url=url, model=one.family.started.model) for url in endpoints]
    finally:
        await _clear(driver)


def _driver(found: Candidates, provider: str) -> NodeDriver:
    driving = found.plugins.provider(provider)
    if not isinstance(driving, DrivesNodes):
        raise HetopsError(
            f"provider {provider} does not create single nodes",
            hint="bench measures on providers whose nodes hetops starts: leave this one out with offers.exclude",
        )
    settings = found.spec.provider_settings.get(provider, {})
    return driving.node_driver(found.home.cache / "bench", settings)


def _request(found: Candidates, one: Bench, number: int) -> NodeRequest:
    return NodeRequest(
        name=f"{_DEPLOYMENT}-{one.offer.sku}-{number}",
        deployment=_DEPLOYMENT,
        pool=_DEPLOYMENT,
        sku=one.offer.sku,
        region=one.offer.region,
        zone=one.offer.zone,
        market=one.offer.market,
        launches=(_launch(found, one),) * one.replicas_per_node,
    )


def _launch(found: Candidates, one: Bench) -> Launch:
    configuration = one.family.started
    pool = PlannedPool(
        name=_DEPLOYMENT,
        offer=one.offer,
        configuration=configuration,
        nodes=one.nodes,
        replicas_per_node=one.replicas_per_node,
    )
    settings = engine_settings(found.loaded, configuration.engine)
    context = LaunchContext(pool=pool, deployment=_DEPLOYMENT, settings=settings)
    return found.plugins.engine(configuration.engine).launch(context)


async def _clear(driver: NodeDriver) -> None:
    """No node of a benchmark is left, of this one or of one that was killed. Finishes though it is cancelled."""

    async def delete_all() -> None:
        nodes = await driver.list(_DEPLOYMENT)
        await asyncio.gather(*(driver.delete(node.id) for node in nodes))

    deleting = asyncio.ensure_future(delete_all())
    try:
        await asyncio.shield(deleting)
    except asyncio.CancelledError:
        await deleting
        raise
