"""What runs held against the plan: pools, classes, money, router. The document and its exit code. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from hetops.domain import codec
from hetops.domain.added import ADDED
from hetops.domain.observation import Observation, Outcome
from hetops.domain.plan import ClassForecast, Plan, PlannedPool
from hetops.domain.service import PlannedService
from hetops.domain.units import SECONDS_PER_HOUR, usd_per_million_tokens, usd_per_month
from hetops.domain.workload import WorkloadClass
from hetops.observations.merge import Latency, Summary
from hetops.plugin.provider import Node, NodeState
from hetops.reports.network import egress_usd_per_hour

_SPARK_COUNT = 24
DOWN_EXIT_CODE = 1


class Health(StrEnum):
    """How a deployment or a part of it is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """Some of it serves, not all that was planned."""
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node as its provider sees it now."""

    name: str
    pool: str
    state: NodeState
    endpoints: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure as planned and as measured; None where nothing was planned or measured."""

    planned: float | None
    measured: float | None
    planned_low: float | None = field(default=None, metadata=ADDED)
    """Of the plan's 80 % interval, where it has one."""
    planned_high: float | None = field(default=None, metadata=ADDED)
    measured_low: float | None = field(default=None, metadata=ADDED)
    """Of what so few requests tell of the measured percentile, with 80 %; None where they tell no end."""
    measured_high: float | None = field(default=None, metadata=ADDED)

    @property
    def inside(self) -> bool | None:
        """Whether what was measured lies within the plan's interval; None where one of them is missing."""
        if self.measured is None or self.planned_low is None or self.planned_high is None:
            return None
        return self.planned_low <= self.measured <= self.planned_high

    @property
    def undecided(self) -> bool:
        """Whether what was measured lies outside, and too few requests to tell that more of them would."""
        if self.inside is not False or self.measured is None:
            return False
        assert self.planned_low is not None
        assert self.planned_high is not None
        if self.measured < self.planned_low:
            return self.measured_high is None or self.measured_high >= self.planned_low
        return self.measured_low is None or self.measured_low <= self.planned_high


def ttft(forecast: ClassForecast | None, measured: float | None) -> Measured:
    """A class's TTFT beside what was promised."""
    if forecast is None:
        return Measured(planned=None, measured=measured)
    return Measured(
        planned=forecast.ttft_seconds,
        measured=measured,
        planned_low=forecast.ttft_seconds_low,
        planned_high=forecast.ttft_seconds_high,
    )


def tpot(forecast: ClassForecast | None, measured: float | None) -> Measured:
    """A class's TPOT beside what was promised."""
    if forecast is None:
        return Measured(planned=None, measured=measured)
    return Measured(
        planned=forecast.tpot_seconds,
        measured=measured,
        planned_low=forecast.tpot_seconds_low,
        planned_high=forecast.tpot_seconds_high,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """One pool: its nodes, its load, its cost. A service is one without nodes."""

    name: str
    gpu: str
    emulated: bool
    health: Health
    nodes_planned: int
    nodes_running: int
    replicas_serving: int | None
    """Replicas that the router sends requests to; None where the router does not say."""
    usd_per_hour: Decimal
    requests_per_second: Measured
    utilisation: tuple[float, ...]
    """Share of its slots in use, in equal steps of the window, oldest first."""
    model: str = field(default="", metadata=ADDED)
    """The one that it serves of several; empty where there is only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassStatus:
    """One class: its rate and latencies, at the percentiles of its targets."""

    name: str
    requests_per_second: Measured
    ttft_percentile: float
    ttft_target_seconds: float | None
    ttft_seconds: Measured
    tpot_percentile: float
    tpot_target_seconds: float | None
    tpot_seconds: Measured
    shares: Mapping[str, Measured]
    """By pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterStatus:
    """The router, and what it said of itself."""

    url: str
    health: Health
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What runs, held against the plan."""

    FORMAT: ClassVar[str] = "hetops.status"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    deployment: str
    at: datetime
    health: Health
    model: str
    window_seconds: float
    requests: int
    failed: int
    """Requests that an engine or the router itself did not answer."""
    pools: tuple[PoolStatus, ...]
    classes: tuple[ClassStatus, ...]
    router: RouterStatus
    nodes: tuple[NodeStatus, ...]
    usd_per_hour: Decimal
    usd_per_hour_planned: Decimal
    usd_per_million_tokens: Measured
    """Input and output tokens together."""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 where something serves, 1 where nothing does."""
        return DOWN_EXIT_CODE if self.health is Health.DOWN else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was looked at: everything that a status is made of."""

    plan: Plan
    at: datetime
    nodes: tuple[NodeStatus, ...]
    router: RouterStatus
    serving: Mapping[str, int]
    """Replicas that the router sends requests to, by pool; empty where it does not say."""
    summary: Summary
    observations: Sequence[Observation]
    notes: tuple[str, ...] = ()


def node_status(node: Node, pool: str) -> NodeStatus:
    """A node of a provider in a pool."""
    message = node.message.partition("\n")[0]
    return NodeStatus(name=node.name, pool=pool, state=node.state, endpoints=node.endpoints, message=message)


def status(seen: Seen) -> Status:
    """The status of a deployment that is, or was, up."""
    plan, total = seen.plan, seen.summary.total
    pools = (*(_pool(p, seen) for p in plan.pools), *(_service(s, seen) for s in plan.services))
    running = sum((pool.usd_per_hour for pool in pools), egress_usd_per_hour(plan, seen.summary))
    running += plan.usd_per_pool_hour * len({p.name for p in plan.pools if _there(p, seen)})
    return Status(
        deployment=plan.deployment,
        at=seen.at,
        health=_health(pools, seen),
        model=plan.model,
        window_seconds=seen.summary.seconds,
        requests=total.requests,
        failed=sum(total.outcomes.get(o, 0) for o in (Outcome.ENGINE_ERROR, Outcome.REFUSED)),
        pools=pools,
        classes=tuple(_class(c, seen) for c in plan.workload.classes),
        router=seen.router,
        nodes=seen.nodes,
        usd_per_hour=running,
        usd_per_hour_planned=plan.usd_per_hour,
        usd_per_million_tokens=Measured(
            planned=_finite(usd_per_million_tokens(plan.usd_per_hour, _planned_tokens(plan))),
            measured=_finite(usd_per_million_tokens(running, total.tokens_per_second)),
        ),
        notes=seen.notes,
    )


def utilisation(
    pool: PlannedPool, observations: Iterable[Observation], since: float, until: float
) -> tuple[float, ...]:
    """Share of a pool's slots in use, in equal steps of the window: what its requests overlap each step."""
    step = (until - since) / _SPARK_COUNT
    slots = pool.replicas * pool.configuration.max_sequences
    busy = [0.0] * _SPARK_COUNT
    for o in observations:
        if o.pool == pool.name:
            for index in _steps((o.at - since) / step, (o.at + o.total_seconds - since) / step):
                start = since + index * step
                busy[index] += max(0.0, min(o.at + o.total_seconds, start + step) - max(o.at, start))
    return tuple(round(min(1.0, seconds / (step * slots)), 4) for seconds in busy)


def _steps(first: float, last: float) -> range:
    """The steps of the window that lie, as a whole or in part, between two places in it."""
    return range(max(0, int(first)), min(_SPARK_COUNT, int(last) + 1))


def as_json(found: Status) -> dict[str, Any]:
    """The status document, with the cost of a month of 730 hours."""
    return {**codec.to_builtins(found), "usd_per_month": str(usd_per_month(found.usd_per_hour))}


def _planned_tokens(plan: Plan) -> float:
    return sum(
        c.requests_per_second * (c.input_tokens.mean + c.output_tokens.mean) for c in plan.workload.classes
    )


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value


def _pool(pool: PlannedPool, seen: Seen) -> PoolStatus:
    running = _running(pool, seen)
    serving = seen.serving.get(pool.name) if seen.serving else None
    tally = seen.summary.pool(pool.name)
    whole = running >= pool.nodes and (serving is None or serving >= pool.replicas)
    return PoolStatus(
        name=pool.name,
        gpu=pool.offer.gpu,
        emulated=pool.offer.emulated,
        health=(Health.HEALTHY if whole else Health.DEGRADED) if running else Health.DOWN,
        nodes_planned=pool.nodes,
        nodes_running=running,
        replicas_serving=serving,
        usd_per_hour=_running_cost(pool, seen),
        requests_per_second=Measured(
            planned=sum(s.requests_per_second for s in seen.plan.shares if s.pool == pool.name),
            measured=tally.requests_per_second if tally else 0.0,
        ),
        utilisation=utilisation(pool, seen.observations, seen.summary.since, seen.summary.until),
        model=pool.configuration.model if len(seen.plan.models) > 1 else "",
    )


def _service(one: PlannedService, seen: Seen) -> PoolStatus:
    """A service as a pool without nodes; it costs what its answers' tokens cost."""
    serving = seen.serving.get(one.name) if seen.serving else None
    tally = seen.summary.pool(one.name)
    tokens = (tally.input_tokens_per_second, tally.output_tokens_per_second) if tally else (0.0, 0.0)
    return PoolStatus(
        name=one.name,
        gpu="",
        emulated=False,
        health=Health.DOWN if serving == 0 else Health.HEALTHY,
        nodes_planned=0,
        nodes_running=0,
        replicas_serving=serving,
        usd_per_hour=one.service.usd_for(*(each * SECONDS_PER_HOUR for each in tokens)),
        requests_per_second=Measured(
            planned=sum(s.requests_per_second for s in seen.plan.shares if s.pool == one.name),
            measured=tally.requests_per_second if tally else 0.0,
        ),
        utilisation=(),
    )


def _running(pool: PlannedPool, seen: Seen) -> int:
    return sum(n.pool == pool.name and n.state is NodeState.RUNNING for n in seen.nodes)


def _running_cost(pool: PlannedPool, seen: Seen) -> Decimal:
    """What the pool's nodes cost now: a failed machine is billed as well as one that runs."""
    return pool.offer.total_usd_per_hour * _there(pool, seen)


def _there(pool: PlannedPool, seen: Seen) -> int:
    return sum(n.pool == pool.name and n.state is not NodeState.GONE for n in seen.nodes)


def _health(pools: Sequence[PoolStatus], seen: Seen) -> Health:
    if seen.router.health is Health.DOWN or all(p.health is Health.DOWN for p in pools):
        return Health.DOWN
    parts = {p.health for p in pools} | {seen.router.health}
    return Health.HEALTHY if parts == {Health.HEALTHY} else Health.DEGRADED


def _class(c: WorkloadClass, seen: Seen) -> ClassStatus:
    tally = seen.summary.workload_class(c.name)
    forecast = next((f for f in seen.plan.forecasts if f.workload_class == c.name), None)
    target = c.target
    planned = {s.pool: s.share for s in seen.plan.shares if s.workload_class == c.name}
    given = {s.pool: s.share for s in seen.summary.shares if s.workload_class == c.name}
    return ClassStatus(
        name=c.name,
        requests_per_second=Measured(
            planned=c.requests_per_second, measured=tally.requests_per_second if tally else 0.0
        ),
        ttft_percentile=target.ttft_percentile,
        ttft_target_seconds=target.ttft_seconds,
        ttft_seconds=ttft(forecast, _at(tally.ttft_seconds if tally else None, target.ttft_percentile)),
        tpot_percentile=target.tpot_percentile,
        tpot_target_seconds=target.tpot_seconds,
        tpot_seconds=tpot(forecast, _at(tally.tpot_seconds if tally else None, target.tpot_percentile)),
        shares={
            pool: Measured(planned=planned.get(pool, 0.0), measured=given.get(pool, 0.0) if given else None)
            for pool in dict.fromkeys((*planned, *given))
        },
    )


def _at(latency: Latency | None, percentile: float) -> float | None:
    return latency.percentile(percentile) if latency else None
