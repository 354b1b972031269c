"""Day: a window that recurs, in periods of which each has a plan of its own, and what ties them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import ClassVar

from hetops.domain.added import ADDED
from hetops.domain.plan import Plan, Shed, usd_of_shed
from hetops.domain.policy import ShareRule, TermCost
from hetops.domain.units import HOURS_PER_DAY, MINUTES_PER_HOUR, SECONDS_PER_HOUR, usd_per_month

_MICRO_USD = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPeriod:
    """A period with its plan, which can be checked, brought up, routed and simulated as any other."""

    name: str
    hours: float
    arrivals: Mapping[str, float]
    """Requests per second of each class that arrive in it. Those that its plan serves differ where batch work waits."""
    plan: Plan
    shed: tuple[Shed, ...] = field(default=(), metadata=ADDED)
    """What is turned away of work that may wait, as it arrives; of all other the plan says it."""

    def __post_init__(self) -> None:
        if not 0 < self.hours < float("inf"):
            raise ValueError(f"period {self.name}: hours must be a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolBounds:
    """Between how many nodes a pool has over the day: what an autoscaler may be told."""

    pool: str
    least_nodes: int
    most_nodes: int
    boot_seconds: float = 0.0
    """From the start of a node until it serves: paid and idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Nodes of a pool that are started for a period beyond those of the one before; before the first comes the last."""

    period: str
    pool: str
    nodes: int
    usd: Decimal
    """What they cost until they serve, once a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The part of a batch class's requests of one period that is served in another, or in the same."""

    workload_class: str
    arrived: str
    served: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCertificate:
    """Proof of the whole: `objective` and `bound` are USD per hour on average, starts and pools included.

    The certificate of each plan says how good it is for its own period alone: a fleet that saves starts, or serves what
    waited, need not be the cheapest there.
    """

    objective: float
    bound: float
    gap: float
    all_may_share: bool = field(default=False, metadata=ADDED)
    """As of a plan."""
    problem_digest: str
    checks: tuple[str, ...]
    solver: str
    solve_seconds: float
    mean_budget_usd_per_hour: Decimal | None = None
    shares: tuple[ShareRule, ...] = ()
    """Rules on batch work that may wait: they hold over the day, where those of each plan hold in its period."""
    max_added_nodes: int | None = field(default=None, metadata=ADDED)
    """The most nodes of an offer that a period may have more than the one before; None where any number may be."""
    max_removed_nodes: int | None = field(default=None, metadata=ADDED)
    """The most that it may have less. Neither holds of what is paid for day and night."""
    day_digest: str = ""
    """SHA-256 of the whole day with this field empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day in periods: the fleet of each, its starts, what batch work waits for, and the proof of the whole."""

    FORMAT: ClassVar[str] = "hetops.day"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    deployment: str
    model: str
    created_at: datetime
    hetops_version: str
    spec_digest: str
    begins: str = ""
    """Time of day, UTC, at which the first period begins: `08:00`; empty where nobody says."""
    periods: tuple[DayPeriod, ...]
    """In order; after the last comes the first again."""
    pools: tuple[PoolBounds, ...]
    starts: tuple[Start, ...] = ()
    deadlines: Mapping[str, float] = field(default_factory=dict)
    """Hours that batch work may wait, by class."""
    waits: tuple[Wait, ...] = ()
    steady_usd_per_hour: Decimal | None = None
    """What the cheapest one fleet costs that serves every period, kept all day, what it turns away counted; None where it was
    not found in time."""
    busiest_usd_per_hour: Decimal | None = None
    """What one fleet costs that serves every class at its busiest at once, counted alike: the plan of a spec without a day."""
    term_costs: tuple[TermCost, ...] = ()
    usd_per_pool_hour: Decimal = field(default=Decimal(0), metadata=ADDED)
    """What a pool costs besides its nodes, all day, if it has nodes in any period; no plan of a period counts it."""
    certificate: DayCertificate
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = self.names
        if not names or len(set(names)) != len(names):
            raise ValueError("a day needs at least one period, and their names must differ")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the periods, in order."""
        return tuple(period.name for period in self.periods)

    @property
    def hours(self) -> float:
        """How long the window is."""
        return sum(period.hours for period in self.periods)

    def period(self, name: str) -> DayPeriod:
        """The period of that name; KeyError where there is none."""
        return {one.name: one for one in self.periods}[name]

    @property
    def fleets_usd_per_hour(self) -> Decimal:
        """What the fleets of the periods cost on average, to a millionth of a dollar; without starts."""
        return _rounded(
            sum((Fraction(p.hours) * Fraction(p.plan.usd_per_hour) for p in self.periods), Fraction())
            / self._hours
        )

    @property
    def starts_usd_per_hour(self) -> Decimal:
        """What starts cost on average, to a millionth of a dollar."""
        return _rounded(sum((Fraction(start.usd) for start in self.starts), Fraction()) / self._hours)

    @property
    def usd_per_hour(self) -> Decimal:
        """Cost of the day on average, starts and pools included."""
        return self.fleets_usd_per_hour + self.starts_usd_per_hour + self.pools_usd_per_hour

    @property
    def pools_usd_per_hour(self) -> Decimal:
        """What all pools cost besides their nodes."""
        return self.usd_per_pool_hour * len(self.pools)

    @property
    def shed_usd_per_hour(self) -> Decimal:
        """What requests that are turned away count for on average, to a millionth of a dollar; nobody is paid it."""
        counted = (Fraction(p.hours) * Fraction(usd_of_shed((*p.shed, *p.plan.shed))) for p in self.periods)
        return _rounded(sum(counted, Fraction()) / self._hours)

    @property
    def counted_usd_per_hour(self) -> Decimal:
        """What is paid on average and what shedding counts for: what the day is the least of."""
        return self.usd_per_hour + self.shed_usd_per_hour

    @property
    def usd_per_month(self) -> Decimal:
        """Cost of a month of 730 hours."""
        return usd_per_month(self.usd_per_hour)

    @property
    def requests_per_second(self) -> float:
        """Rate of all classes on average."""
        return sum(p.hours * sum(p.arrivals.values()) for p in self.periods) / self.hours

    @property
    def _hours(self) -> Fraction:
        return sum((Fraction(period.hours) for period in self.periods), Fraction())


def now_in(hours: Sequence[float], begins: str, at: datetime) -> int | None:
    """Which of the periods, of so many hours each, a moment lies in; None where nobody says when the first begins, or they
    are no 24 hours together."""
    first = clock_hours(begins)
    if first is None or abs(sum(hours) - HOURS_PER_DAY) > 1e-6:
        return None
    at = at.astimezone(UTC)
    since = (at.hour + at.minute / MINUTES_PER_HOUR + at.second / SECONDS_PER_HOUR - first) % HOURS_PER_DAY
    ends = accumulate(hours)
    return next((index for index, end in enumerate(ends) if since < end), len(hours) - 1)


def clock_hours(text: str) -> float | None:
    """Hours since midnight of a time such as `08:30`; None of an empty text.

    Raises:
        ValueError: it is no time of day.
    """
    if not text:
        return None
    hours, _, minutes = text.partition(":")
    if not (
        hours.isdigit()
        and minutes.isdigit()
        and len(minutes) == 2
        and int(hours) < HOURS_PER_DAY
        and int(minutes) < MINUTES_PER_HOUR
    ):
        raise ValueError(f"{text!r} is no time of day: write it as 08:30")
    return int(hours) + int(minutes) / MINUTES_PER_HOUR


def clock(hours: float) -> str:
    """`08:30`: the time of day of so many hours since a midnight."""
    minutes = round(hours * MINUTES_PER_HOUR) % round(HOURS_PER_DAY * MINUTES_PER_HOUR)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _rounded(usd: Fraction) -> Decimal:
    return (Decimal(usd.numerator) / usd.denominator).quantize(_MICRO_USD)
