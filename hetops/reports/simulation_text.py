"""A simulation for a terminal. Pure: the document in, text out; rounds for reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from hetops.domain.percent import percent
from hetops.reports import quantities as q
from hetops.reports.simulation import Ended, SimulatedClass, SimulatedModel, SimulatedPool, Simulation, Spread
from hetops.reports.status import Measured
from hetops.simulate.outcome import Percentiles

NOT_KEPT = "not kept"


def as_text(found: Simulation) -> str:
    """The whole simulation, most telling first."""
    sections = (
        "\n".join(head(found)),
        q.table(
            ("class", "", "planned", "simulated", "target", ""),
            [row for c in found.classes for row in _class_rows(c)],
            right=(2, 3, 4),
        ),
        _models(found.models),
        q.table(
            ("class", "latency", "p50", "p90", "p95", "p99"),
            [row for c in found.classes for row in _percentile_rows(c)],
            right=(2, 3, 4, 5),
        ),
        q.table(
            (
                "pool",
                "replicas",
                "requests",
                "used: planned",
                "simulated",
                "busy",
                "in flight",
                "waited most",
                "paid",
            ),
            [_pool_row(p) for p in found.pools],
            right=(1, 2, 3, 4, 5, 6, 7, 8),
        ),
        _queues(found),
        q.table((f"at {q.usd(found.usd_per_hour)} /h", "planned", "simulated"), money(found), right=(1, 2)),
        _spread(found.spread),
        "\n".join(found.notes),
    )
    return "\n\n".join(s for s in sections if s) + "\n"


def head(found: Simulation) -> Iterator[str]:
    """What was played and how it went, in a few lines."""
    ends = ", ".join(f"{n:,} {outcome}" for outcome, n in found.outcomes.items()) or "none over"
    yield f"{found.deployment}: {q.many(found.requests, 'request')} of {found.trace} in {q.seconds(found.seconds)} ({ends})"
    if found.ended is Ended.STOPPED:
        yield (
            f"Stopped: this is what was played until then, {found.unfinished:,} requests unfinished"
            if found.unfinished
            else f"Stopped after {q.many(len(found.seeds), 'run')}"
        )
    yield from (f"fault: {f.fault}" for f in found.faults)
    if found.attainment is not None:
        yield f"Targets {_kept(found.classes)}; {precisely(found.attainment)} of the requests within theirs"
    moved = ((found.spilled, "taken by a pool that was not full"), (found.retries, "sent again"))
    if any(count for count, _ in moved):
        yield "; ".join(f"{q.many(count, 'request')} {what}" for count, what in moved if count)


def _kept(classes: Sequence[SimulatedClass]) -> str:
    """For whom the targets were kept; of a class without a request nobody can tell."""
    silent = [c.name for c in classes if not c.requests]
    late = [c.name for c in classes if c.late]
    others = "every other class" if silent else "every class"
    told = f"not kept for {', '.join(late)}" if late else f"kept for {others}"
    return told + (f" (no request of {', '.join(silent)} came)" if silent else "")


def precisely(share: float) -> str:
    """A share in per cent with as many digits as tell it from all."""
    if not 0.99 <= share < 1:
        return q.share(share)
    shown = (percent(share, digits) for digits in range(2, 15))
    return next((text for text in shown if not text.startswith("100")), percent(1.0))


def money(found: Simulation) -> list[tuple[str, str, str]]:
    """Throughput and what it costs, planned and simulated."""
    good = found.usd_per_million_tokens_within_targets
    return [
        ("tokens per second", *pair(found.tokens_per_second, lambda v: f"{v:,.0f}")),
        ("USD per million tokens", *pair(found.usd_per_million_tokens, _usd)),
        ("USD per million within targets", "-", "-" if good is None else _usd(good)),
        ("USD for all of it", "-", q.usd(found.usd)),
    ]


def _usd(value: float) -> str:
    """Four decimals below a dollar: fleets differ by less than a cent a million tokens."""
    return f"${value:.4f}" if value < 1 else q.usd(value)


def pair(figure: Measured, shown: Callable[[float], str]) -> tuple[str, str]:
    """Planned and measured, `-` where there is none."""
    planned, measured = figure.planned, figure.measured
    return "-" if planned is None else shown(planned), "-" if measured is None else shown(measured)


def spread_row(one: Spread) -> tuple[str, str, str, str]:
    """A figure's lowest, middle and highest value."""
    shown: Callable[[float], str] = {"s": q.seconds, "share": precisely, "usd": _usd}[one.unit]
    return one.name, shown(one.low), shown(one.median), shown(one.high)


def _class_rows(c: SimulatedClass) -> Iterator[tuple[str, ...]]:
    target = c.target
    yield c.name, "requests", *pair(c.requests_per_second, q.rate), "", ""
    for name, found, bound, percentile in (
        ("TTFT", c.ttft_seconds, target.ttft_seconds, target.ttft_percentile),
        ("TPOT", c.tpot_seconds, target.tpot_seconds, target.tpot_percentile),
    ):
        yield (
            "",
            f"{name} p{percentile:g}",
            *pair(found, q.seconds),
            q.seconds(bound),
            NOT_KEPT * (name in c.late),
        )
    yield (
        "",
        "within targets",
        "-",
        "-" if c.attainment is None else precisely(c.attainment),
        "",
        "" if c.answered == c.requests else f"{c.requests - c.answered:,} not answered",
    )
    for pool, share in c.shares.items():
        yield "", f"to {pool}", *pair(share, q.share), "", ""


def model_row(one: SimulatedModel) -> tuple[str, ...]:
    """A model's requests, latencies and cost."""
    price = one.usd_per_million_tokens
    return (
        one.name,
        f"{one.requests:,}",
        "-" if one.attainment is None else precisely(one.attainment),
        *("-" if of is None else q.seconds(of.p90) for of in (one.ttft_percentiles, one.tpot_percentiles)),
        f"{one.tokens_per_second:,.0f}",
        q.usd(one.usd),
        "-" if price is None else _usd(price),
    )


MODEL_HEADS = (
    "model",
    "requests",
    "within targets",
    "TTFT p90",
    "TPOT p90",
    "tokens per second",
    "paid",
    "USD per million tokens",
)


def _models(models: tuple[SimulatedModel, ...]) -> str:
    if not models:
        return ""
    return q.table(MODEL_HEADS, [model_row(one) for one in models], right=tuple(range(1, len(MODEL_HEADS))))


def _percentile_rows(c: SimulatedClass) -> Iterator[tuple[str, ...]]:
    yield c.name, "TTFT", *_percentiles(c.ttft_percentiles)
    yield "", "TPOT", *_percentiles(c.tpot_percentiles)


def _percentiles(found: Percentiles | None) -> tuple[str, ...]:
    if found is None:
        return ("-",) * 4
    return tuple(q.seconds(v) for v in (found.p50, found.p90, found.p95, found.p99))


def _pool_row(p: SimulatedPool) -> tuple[str, ...]:
    return (
        p.name,
        str(p.replicas or "-"),
        f"{p.requests:,}",
        *pair(p.utilisation, q.share),
        q.share(p.busy),
        f"{p.in_flight:.1f}",
        f"{p.most_waiting:,}",
        q.usd(p.usd),
    )


def _queues(found: Simulation) -> str:
    """Requests in flight over time, one line a pool, all on one scale."""
    most = max((n for m in found.moments for n in m.in_flight.values()), default=0)
    if not most:
        return ""
    scale = (Decimal(0), Decimal(most))
    rows = [
        (
            p.name,
            q.sparkline([Decimal(m.in_flight[p.name]) for m in found.moments], scale, widest=60),
            f"{max(m.in_flight[p.name] for m in found.moments):,}",
        )
        for p in found.pools
    ]
    return q.table(("in flight over time", "", "most"), rows, right=(2,))


def _spread(spread: tuple[Spread, ...]) -> str:
    if not spread:
        return ""
    return q.table(
        ("over all runs", "lowest", "median", "highest"), [spread_row(s) for s in spread], right=(1, 2, 3)
    )
