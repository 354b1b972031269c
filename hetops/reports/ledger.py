"""Planned against measured over a stretch of time: rates, latencies, shares, and what a million tokens cost. Pure.

Whatever was planned and not measured, or the other way round, is told as such, never filled in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar

from hetops.domain import codec
from hetops.domain.added import ADDED
from hetops.domain.observation import Outcome
from hetops.domain.plan import Plan
from hetops.domain.units import SECONDS_PER_HOUR, usd_per_million_tokens
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.observations.merge import Latency, Summary, Tally
from hetops.reports import quantities as q
from hetops.reports.network import egress_usd_per_hour
from hetops.reports.status import Measured, tpot, ttft


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLedger:
    """One class, planned and measured; latencies at the percentiles of its target."""

    name: str
    target: LatencyTarget
    requests: int
    requests_per_second: Measured
    input_tokens: Measured
    output_tokens: Measured
    ttft_seconds: Measured
    tpot_seconds: Measured
    shares: Mapping[str, Measured]
    """By pool."""

    @property
    def latencies(self) -> tuple[Measured, ...]:
        """Those that the plan has an interval for and that were measured."""
        return tuple(m for m in (self.ttft_seconds, self.tpot_seconds) if m.inside is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A deployment over a stretch of time, held against its plan."""

    FORMAT: ClassVar[str] = "hetops.ledger"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    deployment: str
    seconds: float
    requests: int
    outcomes: Mapping[Outcome, int]
    classes: tuple[ClassLedger, ...]
    usd_per_hour: Decimal
    tokens_per_second: Measured
    """Input and output together."""
    usd_per_million_tokens: Measured
    emulated: bool
    latencies_compared: int = field(default=0, metadata=ADDED)
    """Measured latencies for which the plan states an 80 % interval."""
    latencies_inside: int = field(default=0, metadata=ADDED)
    """Of these, how many lie within it."""
    latencies_undecided: int = field(default=0, metadata=ADDED)
    """Of these, how many lie outside and come from too few requests to say that more of them would."""
    notes: tuple[str, ...] = ()


def ledger(plan: Plan, summary: Summary, notes: tuple[str, ...] = ()) -> Ledger:
    """The plan and what was measured of it, side by side."""
    planned = sum(
        c.requests_per_second * (c.input_tokens.mean + c.output_tokens.mean) for c in plan.workload.classes
    )
    measured = summary.total.tokens_per_second
    classes = tuple(_class(c, plan, summary) for c in plan.workload.classes)
    latencies = [one for c in classes for one in c.latencies]
    return Ledger(
        deployment=plan.deployment,
        seconds=summary.seconds,
        requests=summary.total.requests,
        outcomes=summary.total.outcomes,
        classes=classes,
        usd_per_hour=plan.usd_per_hour,
        tokens_per_second=Measured(planned=planned, measured=measured),
        usd_per_million_tokens=Measured(
            planned=_cost(plan.usd_per_hour, planned), measured=_cost(_paid(plan, summary), measured)
        ),
        emulated=any(p.offer.emulated for p in plan.pools),
        latencies_compared=len(latencies),
        latencies_inside=sum(1 for one in latencies if one.inside),
        latencies_undecided=sum(1 for one in latencies if one.undecided),
        notes=notes,
    )


def as_json(found: Ledger) -> dict[str, Any]:
    """The `hetops.ledger` document."""
    return codec.to_builtins(found)


def as_text(found: Ledger) -> str:
    """The ledger for a terminal."""
    rows = [row for c in found.classes for row in _rows(c)]
    what = " of emulated engines" if found.emulated else ""
    head = (
        f"{found.deployment}: {q.many(found.requests, 'request')} in {q.seconds(found.seconds)}{what}"
        f" ({', '.join(f'{n} {outcome}' for outcome, n in found.outcomes.items()) or 'none'})"
    )
    money = [
        ("tokens per second", *_pair(found.tokens_per_second, lambda v: f"{v:,.0f}")),
        ("USD per million tokens", *_pair(found.usd_per_million_tokens, q.usd)),
    ]
    sections = (
        head,
        q.table(("class", "", "planned", "80 %", "measured", "", "target"), rows, right=(2, 3, 4, 6)),
        _coverage(found),
        q.table((f"at {q.usd(found.usd_per_hour)} /h", "planned", "measured"), money, right=(1, 2)),
        "\n".join(found.notes),
    )
    return "\n\n".join(s for s in sections if s) + "\n"


def _paid(plan: Plan, summary: Summary) -> Decimal:
    """What the plan's nodes cost an hour, its services and egress for the tokens that they were measured to give."""
    paid = plan.usd_per_hour - plan.egress_usd_per_hour + egress_usd_per_hour(plan, summary)
    for one in plan.services:
        tally = summary.pool(one.name)
        tokens = (tally.input_tokens_per_second, tally.output_tokens_per_second) if tally else (0.0, 0.0)
        paid += one.service.usd_for(*(each * SECONDS_PER_HOUR for each in tokens)) - one.usd_per_hour
    return paid


def _cost(usd_per_hour: Decimal, tokens_per_second: float) -> float | None:
    cost = usd_per_million_tokens(usd_per_hour, tokens_per_second)
    return None if cost == float("inf") else cost


def _class(c: WorkloadClass, plan: Plan, summary: Summary) -> ClassLedger:
    tally = summary.workload_class(c.name)
    forecast = next((f for f in plan.forecasts if f.workload_class == c.name), None)
    return ClassLedger(
        name=c.name,
        target=c.target,
        requests=tally.requests if tally else 0,
        requests_per_second=Measured(
            planned=c.requests_per_second, measured=tally.requests_per_second if tally else 0.0
        ),
        input_tokens=Measured(planned=c.input_tokens.mean, measured=_mean(tally, "input_tokens_per_second")),
        output_tokens=Measured(
            planned=c.output_tokens.mean, measured=_mean(tally, "output_tokens_per_second")
        ),
        ttft_seconds=_held(
            ttft(forecast, None), tally.ttft_seconds if tally else None, c.target.ttft_percentile
        ),
        tpot_seconds=_held(
            tpot(forecast, None), tally.tpot_seconds if tally else None, c.target.tpot_percentile
        ),
        shares=_shares(c, plan, summary),
    )


def _shares(c: WorkloadClass, plan: Plan, summary: Summary) -> Mapping[str, Measured]:
    """By pool, those that were not planned too."""
    planned = {s.pool: s.share for s in plan.shares if s.workload_class == c.name and s.share > 0}
    given = [s for s in summary.shares if s.workload_class == c.name]
    pools = dict.fromkeys((*planned, *(s.pool for s in given)))
    return {
        pool: Measured(
            planned=planned.get(pool, 0.0), measured=summary.share(c.name, pool) if given else None
        )
        for pool in pools
    }


def _mean(tally: Tally | None, per_second: str) -> float | None:
    """Mean tokens of an answered request."""
    if tally is None or not tally.answered:
        return None
    return float(getattr(tally, per_second)) / tally.answered_per_second


def _held(planned: Measured, latency: Latency | None, percentile: float) -> Measured:
    """What was planned beside the measured percentile, and how sure so many requests make that."""
    if latency is None:
        return planned
    low, high = latency.percentile_range(percentile)
    return replace(planned, measured=latency.percentile(percentile), measured_low=low, measured_high=high)


def _coverage(found: Ledger) -> str:
    """How many latencies came as the plan said."""
    if not found.latencies_compared:
        return ""
    told = f"{found.latencies_inside} of {found.latencies_compared} latencies lie within their 80 % intervals"
    few = f"; of {found.latencies_undecided} outside too few requests were measured to tell"
    return told + (few if found.latencies_undecided else "")


def _rows(c: ClassLedger) -> Iterator[tuple[str, ...]]:
    target = c.target
    yield c.name, "requests", *_figures(c.requests_per_second, q.rate), ""
    yield "", "tokens in", *_figures(c.input_tokens, q.tokens), ""
    yield "", "tokens out", *_figures(c.output_tokens, q.tokens), ""
    for name, percentile, figure, bound in (
        ("TTFT", target.ttft_percentile, c.ttft_seconds, target.ttft_seconds),
        ("TPOT", target.tpot_percentile, c.tpot_seconds, target.tpot_seconds),
    ):
        yield "", f"{name} p{percentile:g}", *_figures(figure, q.seconds), q.seconds(bound)
    for pool, share in c.shares.items():
        yield "", f"to {pool}", *_figures(share, q.share), ""


def _figures(figure: Measured, shown: Callable[[float], str]) -> tuple[str, str, str, str]:
    """Planned, its interval, measured, and whether that lies within."""
    planned, measured = _pair(figure, shown)
    if figure.planned_low is None or figure.planned_high is None:
        return planned, "", measured, ""
    interval = f"{shown(figure.planned_low)} to {shown(figure.planned_high)}"
    return planned, interval, measured, _verdict(figure)


def _verdict(figure: Measured) -> str:
    if figure.undecided:
        return "too few"
    return {True: "inside", False: "outside", None: ""}[figure.inside]


def _pair(figure: Measured, shown: Callable[[float], str]) -> tuple[str, str]:
    planned, measured = figure.planned, figure.measured
    return "-" if planned is None else shown(planned), "-" if measured is None else shown(measured)
