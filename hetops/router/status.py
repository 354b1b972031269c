"""What a router tells about itself, for `hetops status`: a document, made of counts and states. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from hetops.domain.added import ADDED
from hetops.domain.observation import Outcome
from hetops.domain.workload import LatencyTarget
from hetops.router.config import RoutedClass, RoutedPool, RouterConfig
from hetops.router.decide import EndpointState
from hetops.router.tally import Recent, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """One replica. `health` is unproven, healthy or failing; a draining one gets no new requests."""

    url: str
    health: str
    in_flight: int
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareStatus:
    """One class in one pool: requests since the plan's shares are what they are, and their part of the class's."""

    workload_class: str
    requests: int
    realised_share: float
    planned_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """One pool."""

    name: str
    configuration: str
    gpu: str
    emulated: bool
    usd_per_hour: Decimal
    planned_requests_per_second: float
    max_sequences: int
    endpoints: tuple[EndpointStatus, ...]
    shares: tuple[ShareStatus, ...]
    outcomes: Mapping[str, int]
    input_tokens: int
    output_tokens: int

    @property
    def in_flight(self) -> int:
        """Requests that its replicas are working on."""
        return sum(e.in_flight for e in self.endpoints)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassStatus:
    """One class: what was planned, and what is measured now (rate over the last minute, durations at the target's percentiles)."""

    name: str
    planned_requests_per_second: float
    requests_per_second: float
    target: LatencyTarget
    ttft_seconds: float | None
    tpot_seconds: float | None
    spilled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterStatus:
    """Everything a router knows of its deployment. Times are UNIX seconds."""

    FORMAT: ClassVar[str] = "hetops.router_status"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    deployment: str
    plan_digest: str
    models: tuple[str, ...]
    at: float
    started_at: float
    healthy: bool
    draining: bool
    pools: tuple[PoolStatus, ...]
    classes: tuple[ClassStatus, ...]
    outcomes: Mapping[str, int]
    retries: int
    connections: int
    observations_dropped: int
    warnings: tuple[str, ...] = ()
    """Files that could not be read again, and like things that a person should look at."""
    unknown_origins: int = field(default=0, metadata=ADDED)
    """Requests that named an origin which no class has; they were taken as if they had named none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a router is doing when it is asked."""

    at: float
    started_at: float
    healthy: bool
    draining: bool
    connections: int
    observations_dropped: int
    endpoints: Sequence[EndpointState]
    warnings: tuple[str, ...]


def router_status(config: RouterConfig, tally: Tally, moment: Moment) -> RouterStatus:
    """The document of a moment."""
    return RouterStatus(
        deployment=config.deployment,
        plan_digest=config.plan_digest,
        models=config.models,
        at=moment.at,
        started_at=moment.started_at,
        healthy=moment.healthy,
        draining=moment.draining,
        pools=tuple(_pool(pool, config, tally, moment.endpoints) for pool in config.pools),
        classes=tuple(_class(c, tally, moment) for c in config.classes),
        outcomes={outcome.value: tally.outcomes[outcome] for outcome in Outcome},
        retries=tally.retries,
        connections=moment.connections,
        observations_dropped=moment.observations_dropped,
        warnings=moment.warnings,
        unknown_origins=tally.unknown_origins,
    )


def _pool(
    pool: RoutedPool, config: RouterConfig, tally: Tally, endpoints: Iterable[EndpointState]
) -> PoolStatus:
    spots = {name: spot for (name, of), spot in tally.spots.items() if of == pool.name}
    outcomes: Counter[Outcome] = sum((s.outcomes for s in spots.values()), Counter())
    return PoolStatus(
        name=pool.name,
        configuration=pool.configuration,
        gpu=pool.gpu,
        emulated=pool.emulated,
        usd_per_hour=pool.usd_per_hour,
        planned_requests_per_second=pool.requests_per_second,
        max_sequences=pool.max_sequences,
        endpoints=tuple(
            EndpointStatus(url=e.url, health=e.circuit.value, in_flight=e.in_flight, draining=e.draining)
            for e in endpoints
            if e.pool == pool.name
        ),
        shares=tuple(
            ShareStatus(
                workload_class=c.name,
                requests=tally.spot(c.name, pool.name).decided,
                realised_share=tally.realised_share(c.name, pool.name),
                planned_share=planned,
            )
            for c in config.classes
            if (planned := config.shares[c.name].get(pool.name, 0.0)) or tally.spot(c.name, pool.name).decided
        ),
        outcomes={outcome.value: outcomes[outcome] for outcome in Outcome},
        input_tokens=sum(s.input_tokens for s in spots.values()),
        output_tokens=sum(s.output_tokens for s in spots.values()),
    )


def _class(of: RoutedClass, tally: Tally, moment: Moment) -> ClassStatus:
    recent = tally.recent.get(of.name) or Recent()
    return ClassStatus(
        name=of.name,
        planned_requests_per_second=of.requests_per_second,
        requests_per_second=recent.requests_per_second(moment.at, moment.started_at),
        target=of.target,
        ttft_seconds=recent.ttft_seconds(of.target.ttft_percentile),
        tpot_seconds=recent.tpot_seconds(of.target.tpot_percentile),
        spilled=tally.spills[of.name],
    )
