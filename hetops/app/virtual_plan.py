"""A plan as a fleet in virtual time, and as what its router is told. Wires; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hetops.app.virtual_fleet import endpoints
from hetops.app.virtual_router import handed
from hetops.domain.configuration import Role
from hetops.domain.network import Network
from hetops.domain.performance import StepTimes
from hetops.domain.plan import Plan, PlannedPool
from hetops.domain.service import PlannedService
from hetops.domain.units import BYTES_PER_GB
from hetops.domain.workload import WorkloadClass
from hetops.errors import HetopsError
from hetops.router.config import RoutedClass, RouterConfig, from_plan
from hetops.simulate.fleet import VirtualFleet, VirtualPool, VirtualService
from hetops.simulate.origins import Away

MOST_REPLICAS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VirtualPlan:
    """A plan's fleet as numbers, its router's configuration, and its classes as that has them."""

    plan: Plan
    fleet: VirtualFleet
    config: RouterConfig
    onward: RouterConfig | None
    """Where what is prefilled goes on; None where prefill and decode are not apart."""

    @property
    def classes(self) -> tuple[WorkloadClass, ...]:
        """Those of the configuration, in its order, with their targets."""
        by_name = {c.name: c for c in self.plan.workload.classes}
        return tuple(by_name[c.name] for c in self.config.classes)

    @property
    def away(self) -> Away | None:
        """The ways between classes and pools; None where they have no length."""
        network = self.plan.network
        return _away(network, self.classes, self.fleet) if network else None


def virtual(plan: Plan, source: str) -> VirtualPlan:
    """The plan, which is told by `source`.

    Raises:
        HetopsError: the plan's parts do not go together, or there are too many replicas.
    """
    replicas = sum(p.replicas for p in plan.pools)
    if replicas > MOST_REPLICAS:
        raise HetopsError(
            f"{source}: {replicas:,} replicas are too many to play, at most {MOST_REPLICAS:,}",
            hint="play a part: a plan made with a smaller workload.rate_scale, and a trace as much thinner",
        )
    try:
        pools = [_handing_over(plan, _pool(p, p.step_times)) for p in plan.pools if p.step_times]
        fleet = VirtualFleet([*pools, *(_service(one, plan) for one in plan.services)])
        whole = from_plan(plan, endpoints(fleet))
        return VirtualPlan(plan=plan, fleet=fleet, config=_first(plan, whole), onward=_onward(plan, whole))
    except ValueError as fault:
        raise HetopsError(f"{source}: {fault}", hint="make it anew: hetops plan -o FILE") from fault


def _pool(pool: PlannedPool, step_times: StepTimes) -> VirtualPool:
    offer, configuration = pool.offer, pool.configuration
    return VirtualPool(
        name=pool.name,
        step_times=step_times,
        max_context_tokens=configuration.max_context_tokens,
        nodes=pool.nodes,
        replicas_per_node=pool.replicas_per_node,
        model=configuration.model,
        role=configuration.role,
        usd_per_hour=float(pool.usd_per_hour),
        provider=offer.provider,
        region=offer.region,
        zone=offer.zone,
        offer=offer.id,
        gpu=offer.gpu,
    )


def _handing_over(plan: Plan, pool: VirtualPool) -> VirtualPool:
    """The pool with how long what it prefills is on its way, where it does nothing else.

    Raises:
        ValueError: nobody says so, or a class that it prefills is handed to nobody.
    """
    if pool.role is not Role.PREFILL:
        return pool
    own = {one.workload_class: one for one in plan.handovers if one.source == pool.name}
    for share in (s for s in plan.shares if s.pool == pool.name):
        if share.workload_class not in own:
            raise ValueError(f"handovers: nobody decodes what {pool.name} prefills of {share.workload_class}")
    ways = {(one.seconds_per_prompt, one.seconds_per_token) for one in own.values()}
    for whole, each in ways:
        if whole is None or each is None or len(ways) > 1:
            raise ValueError(f"handovers: nothing says how long what {pool.name} prefills is on its way")
        pool = replace(pool, kv_seconds=whole, kv_seconds_per_token=each)
    return pool


def _first(plan: Plan, whole: RouterConfig) -> RouterConfig:
    """As the router sees requests that come: what only decodes gets none, what only prefills those that it can hand over."""
    roles = {pool.name: pool.configuration.role for pool in plan.pools}
    planned = {pool: {s.workload_class for s in plan.shares if s.pool == pool} for pool in roles}
    return replace(
        whole,
        pools=tuple(
            replace(p, serves=tuple(c for c in p.serves if c in planned[p.name]))
            if roles.get(p.name) is Role.PREFILL
            else p
            for p in whole.pools
            if roles.get(p.name) is not Role.DECODE
        ),
    )


def _onward(plan: Plan, whole: RouterConfig) -> RouterConfig | None:
    """As the router sees what is prefilled: a class for each pool that prefilled it, in the shares that it is handed over in."""
    shares: dict[str, dict[str, float]] = {}
    of: dict[str, RoutedClass] = {}
    routed = {c.name: c for c in whole.classes}
    for one in plan.handovers:
        name = handed(one.workload_class, one.source)
        shares.setdefault(name, {})[one.target] = one.share
        of[name] = replace(routed[one.workload_class], name=name, requests_per_minute=None)
    if not shares:
        return None
    decoding = {pool.name for pool in plan.pools if pool.configuration.role is Role.DECODE}
    return replace(
        whole,
        classes=tuple(of.values()),
        pools=tuple(replace(p, serves=()) for p in whole.pools if p.name in decoding),
        shares={
            name: {target: share / sum(to.values()) for target, share in to.items()}
            for name, to in shares.items()
        },
        models=tuple(m for m in whole.models if any(c.model in ("", m) for c in of.values())),
    )


def _service(planned: PlannedService, plan: Plan) -> VirtualService:
    one = planned.service
    return VirtualService(
        name=one.name,
        ttft_seconds=one.ttft_seconds,
        tpot_seconds=one.tpot_seconds,
        max_context_tokens=one.max_context_tokens,
        model=next((c.model for c in plan.workload.classes if c.name in planned.serves), "") or plan.model,
        usd_per_input_token=float(one.usd_for(1, 0)),
        usd_per_output_token=float(one.usd_for(0, 1)),
    )


def _away(network: Network, classes: Sequence[WorkloadClass], fleet: VirtualFleet) -> Away:
    ways = [[network.way(c.origin, pool.name) for pool in fleet.pools] for c in classes]
    usd = [[float(way.usd_per_gb) for way in of] for of in ways]
    return Away(
        seconds=np.array([[way.round_trip_seconds for way in of] for of in ways]),
        usd_per_token=np.array(usd) * network.bytes_per_output_token / BYTES_PER_GB,
    )
