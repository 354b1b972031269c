"""Explanation: sentences about an answer, each with the two objective values that it comes from. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from hetops.domain.plan import Alternative
from hetops.solver.problem import Mode
from hetops.solver.solution import Solution, SolvedShare


class Question(StrEnum):
    """What can be asked about an answer."""

    WHY = "why"
    """Why this fleet."""
    WHY_NOT = "why-not"
    """What it costs to rent a node of something else, and which limit pays."""
    INFEASIBLE = "infeasible"
    """Why there is no fleet, and what would let one exist."""
    BREAKEVEN = "breakeven"
    """At which price an offer enters the fleet, or leaves it."""
    CLASS = "class"
    """Where a class goes, and what it would cost elsewhere."""


class Topic(StrEnum):
    """What a statement is about."""

    FLEET = "fleet"
    LIMITS = "limits"
    STOCK = "stock"
    QUOTA = "quota"
    BUDGET = "budget"
    PROVIDER_BUDGET = "provider budget"
    POOLS = "pools"
    SHARE = "share"
    QUALITY = "quality"
    SHED = "shed"
    LOSS = "loss"
    CHANGES = "changes"
    SERVICE = "service"
    LINK = "link"
    DEADLINE = "deadline"
    LOT = "lot"
    COMMITMENT = "commitment"
    HEADROOM = "headroom"
    DEMAND = "demand"
    TARGETS = "targets"
    PRICE = "price"
    OFFER = "offer"
    CLASS = "class"


class Unit(StrEnum):
    """What objective values are counted in."""

    USD_PER_HOUR = "usd_per_hour"
    REQUESTS_PER_SECOND = "requests_per_second"

    @classmethod
    def of(cls, mode: Mode) -> Unit:
        """What the mode counts."""
        return cls.USD_PER_HOUR if mode is Mode.MIN_COST else cls.REQUESTS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence. `before` and `after` are objectives of fleets that were searched for; None where none exists.

    Of a statement on the answer itself `before` is the proven bound, None where nothing is proven, and `after` the answer's own objective.
    """

    topic: Topic
    subject: str = ""
    """Offer, GPU type, provider, quota or class."""
    text: str
    before: float | None
    after: float | None
    unit: Unit
    usd_per_hour: Decimal | None = None
    """The price of a node that the statement names."""
    exact: bool = True
    """False where a search behind it ended before it was proven to a millionth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The answer to one question about a fleet, or about why there is none."""

    FORMAT: ClassVar[str] = "hetops.explanation"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    question: Question
    subject: str = ""
    statements: tuple[Statement, ...]
    solution: Solution | None = None
    """The answer that is explained; None where there is no fleet."""
    alternatives: tuple[Alternative, ...] = ()
    """The best fleet of each GPU type alone, and without each offer and provider in use."""


def capital(text: str) -> str:
    """The beginning of a sentence."""
    return text[:1].upper() + text[1:]


def amount(value: float, unit: Unit) -> str:
    """`$3.722 per hour`, `12.3 requests per second`."""
    return f"{dollars(value)} per hour" if unit is Unit.USD_PER_HOUR else f"{value:.4g} requests per second"


def at(solution: Solution, unit: Unit) -> str:
    """What an answer reaches; what it costs is told apart from what it counts for with requests that are turned away."""
    reached = amount(solution.objective, unit)
    if not solution.shed:
        return reached
    return f"{dollars(solution.usd_per_hour)} per hour, {reached} with what is turned away"


def part(share: SolvedShare, solution: Solution) -> str:
    """`all of chat`, `0.42 of chat`; of a class of which some is turned away, of what is served."""
    name = share.workload_class
    served = "what is served of " * any(one.workload_class == name for one in solution.shed)
    return f"{f'{share.share:.3g}' if share.share < 1 else 'all'} of {served}{name}"


def dollars(value: float | Decimal) -> str:
    """`$3.722`, `$46.10`: to the cent, small amounts to the hundredth of a cent."""
    usd = float(value)
    whole = f"{usd:,.4f}" if abs(usd) < 10 else f"{usd:,.2f}"
    head, _, tail = whole.partition(".")
    return f"${head}.{tail.rstrip('0').ljust(2, '0')}"


def effect(before: float | None, after: float | None, unit: Unit) -> str:
    """What a change does, as the end of a sentence that begins with the change."""
    if after is None:
        return "would leave no fleet at all"
    if before is None:
        return f"would let a fleet exist, at {amount(after, unit)}"
    if abs(after - before) <= 1e-6 * abs(before):
        return "would change nothing"
    if unit is Unit.REQUESTS_PER_SECOND:
        return f"would serve {after:.4g} instead of {before:.4g} requests per second"
    verb, by = ("save", before - after) if after < before else ("cost", after - before)
    return f"would {verb} {dollars(by)} per hour" + (" more" if verb == "cost" else "")
