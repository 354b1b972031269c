"""The fields of `[policy]`: what may fail, what may be spot, what changes cost, the day. No I/O."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from hetops.domain.offer import Trait
from hetops.domain.units import HOURS_PER_DAY, MINUTES_PER_HOUR
from hetops.domain.workload import Priority
from hetops.spec.table import Cost, Hours, Part, PeriodName, Recovery, Share, Table

_MOST_USD_PER_POOL_HOUR = 10**6
"""Beyond, nobody means it."""


class SurviveSpec(Table, frozen=True, kw_only=True):
    """Something that may fail whole: without it the rest still serves every class within the targets."""

    losing: Trait
    """`zone` (a region where no zone is told), `provider`, `offer`, `market` or `gpu`."""
    names: tuple[str, ...] = ()
    """Names or patterns of what fails together; empty lets each fail on its own. Offers must be named."""
    kept_share: Recovery = 1.0
    """Share of each class's requests that must still be served."""

    def __post_init__(self) -> None:
        if self.losing is Trait.OFFER and not self.names:
            raise ValueError("losing offers needs names: write one table for each that may fail on its own")


class ShareSpec(Table, frozen=True, kw_only=True):
    """How much of each class may, or must, be served where offers have something in common."""

    of: Trait
    """`market`, `zone`, `provider`, `offer` or `gpu`."""
    names: tuple[str, ...] = ()
    """Names or patterns, taken together: `spot`; empty takes each zone, or whatever it is, on its own."""
    classes: tuple[str, ...] = ()
    """Classes that it holds for; empty means every class."""
    priority: Priority | None = None
    """Only classes of this priority: `interactive` lets batch work go anywhere."""
    at_most: Part = 1.0
    """Share of each class at most."""
    at_least: Part = 0.0
    """Share of each class at least; only with names."""

    def __post_init__(self) -> None:
        if self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least} is above at_most {self.at_most}")
        if self.at_least == 0 and self.at_most == 1:
            raise ValueError("it limits nothing: give at_most, at_least or both")
        if self.at_least > 0 and not self.names:
            raise ValueError("at_least needs names: not every one can have a least share of its own")


class InterruptionsSpec(Table, frozen=True, kw_only=True):
    """What to count on where spot offers do not tell how often their nodes are taken away. There is no default."""

    providers: tuple[str, ...] = ()
    """Whose spot offers; empty means all."""
    per_hour: Annotated[float, Meta(ge=0, le=60)] | None = None
    """How often a node is taken away, where its offer does not say; empty leaves that unknown, which counts as never."""
    recovery_minutes: Annotated[float, Meta(ge=0, le=1440)]
    """From then until another serves in its place: notice missed, boot, download of the weights."""

    def __post_init__(self) -> None:
        if (self.per_hour or 0.0) * self.recovery_minutes >= MINUTES_PER_HOUR:
            raise ValueError("interrupted so often, and for so long, a node never serves")


class MigrationSpec(Table, frozen=True, kw_only=True):
    """Plan from the fleet that runs: what it costs to change it, and how much of it may change."""

    usd_per_added_node: Cost = Decimal(0)
    """Once: the hours that a node is paid for and does not serve yet, and the work."""
    usd_per_removed_node: Cost = Decimal(0)
    """Once."""
    horizon_hours: Annotated[float, Meta(gt=0, le=87600)] = 24.0
    """What is paid once counts as spread over so many hours: how long the fleet is to stay."""
    max_changed_nodes: Annotated[int, Meta(ge=0)] | None = None
    """Nodes added and removed at most, together; empty allows any number."""

    def __post_init__(self) -> None:
        if self.usd_per_added_node < 0 or self.usd_per_removed_node < 0:
            raise ValueError("usd_per_added_node and usd_per_removed_node must be at least 0")


class PeriodSpec(Table, frozen=True, kw_only=True):
    """A period of the day, for classes stated by hand."""

    name: PeriodName
    """What `--period` takes: letters, digits, `:`, `.`, `_` and `-`."""
    hours: Hours
    """How long it lasts."""
    factor: Annotated[float, Meta(ge=0, le=1e6)] = 1.0
    """Every class has its rate times this."""
    requests_per_second: dict[str, Annotated[float, Meta(ge=0, le=1e6)]] = msgspec.field(default_factory=dict)
    """By class, another rate."""


class DaySpec(Table, frozen=True, kw_only=True):
    """Plan each period of a day by itself: this table turns it on."""

    boot_minutes: Annotated[float, Meta(ge=0, le=1440)]
    """From the start of a node until it serves, paid and idle; without the download below."""
    download_gb_per_second: Annotated[float, Meta(gt=0, le=1000)] | None = None
    """How fast a node fetches its weights, which takes as long again; empty has that in boot_minutes."""
    max_added_nodes: Annotated[int, Meta(ge=0)] | None = None
    """The most nodes of one offer, in all its pools, that a period may have more than the one before; empty allows any number."""
    max_removed_nodes: Annotated[int, Meta(ge=0)] | None = None
    """The most that it may have less. The last period comes before the first."""
    hours: Hours | None = None
    """How long a window a trace stands for, which recurs; empty is as long as it was recorded."""
    begins: Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$")] = ""
    """When the first period begins, `08:00` in UTC: with 24 hours in all, `up` then knows which period is now."""
    periods: tuple[PeriodSpec, ...] = ()
    """Only for classes stated by hand: a trace has `workload.periods`."""

    def __post_init__(self) -> None:
        names = [one.name for one in self.periods]
        if len(set(names)) != len(names):
            raise ValueError("the names of periods must differ")
        told = sum(one.hours for one in self.periods)
        if self.periods and self.hours is not None and abs(told - self.hours) > 1e-6:
            raise ValueError(f"hours says {self.hours:g}, the periods add up to {told:g}: leave hours out")
        if self.periods and self.begins and abs(told - HOURS_PER_DAY) > 1e-6:
            raise ValueError(f"begins needs periods of 24 hours in all, these are {told:g}")


class PolicySpec(Table, frozen=True, kw_only=True):
    """How careful the plan is."""

    headroom: Share = 0.15
    """Share of every replica's capacity that the plan leaves unused for bursts."""
    gap: Annotated[float, Meta(gt=0, lt=0.5)] = 1e-3
    """Relative gap to the proven bound at which the solver stops."""
    max_pools: Annotated[int, Meta(ge=1)] | None = None
    """Most pools that a fleet may have; empty allows any number."""
    usd_per_pool_hour: Cost = Decimal(0)
    """What a pool costs besides its nodes: a load balancer, a control node, somebody's attention. Fleets of fewer pools are then worth
    more; budgets count it, those of providers do not. Over a day it is paid all day for a pool with nodes in any period."""
    max_nodes_per_offer: Annotated[int, Meta(ge=1)] = 64
    """Taken where a provider does not say how many nodes it has: unknown is never unlimited."""
    share_nodes: bool = False
    """Whether pools may share a node, each on GPUs of its own: unlike configurations of one model, or several models. For planning:
    `up` starts whole nodes only."""
    share_gpus: bool = False
    """Whether GPUs may be cut into slices (NVIDIA's MIG) that models share, where a provider's nodes allow it; nodes are shared then too.
    For planning: `up` starts whole nodes only."""
    survive: tuple[SurviveSpec, ...] = ()
    shares: tuple[ShareSpec, ...] = ()
    interruptions: tuple[InterruptionsSpec, ...] = ()
    """Of those that fit an offer the last counts."""
    migration: MigrationSpec | None = None
    """With this table `up` and `diff` plan from the fleet that runs, as `plan --from-running` does."""
    day: DaySpec | None = None
    """With this table every period has a plan of its own."""

    def __post_init__(self) -> None:
        if not 0 <= self.usd_per_pool_hour <= _MOST_USD_PER_POOL_HOUR:
            raise ValueError("usd_per_pool_hour must be at least 0, and no more than a million USD")
