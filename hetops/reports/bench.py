"""A benchmark as text and as JSON: what was measured, how well it is known, and how far the estimate was off."""

from __future__ import annotations

from typing import Any

from hetops.domain import codec
from hetops.domain.performance import Measurement
from hetops.load.open_loops import OpenLoop
from hetops.load.stopping import Interval
from hetops.load.trials import BenchResult, TrialResult
from hetops.observations.imports import ImportResult
from hetops.reports import quantities as q

_HEADERS = (
    *("configuration", "class", "in", "out", "in flight", "requests", "rate", "95 %", "TTFT p50", "p90"),
    *("mean, 95 %", "TPOT p50", "p90", "mean, 95 %", "estimate was"),
)

_OPEN_LOOPS = (
    *("open loop", "offered", "answered", "sent", "failed", "left"),
    *("TTFT p50", "p90", "TPOT p50", "p90"),
)

_IMPORTED = (
    *("configuration", "in", "out", "in flight", "requests", "rate"),
    *("TTFT p50", "TPOT p50", "estimate was"),
)


def as_json(result: BenchResult) -> dict[str, Any]:
    """The `hetops.bench` document."""
    return codec.to_builtins(result)


def as_text(result: BenchResult) -> str:
    """The results for a terminal."""
    rows = [_row(r) for r in result.results]
    head = f"Measured on {result.host}; rates are of one replica that always has so many requests in flight"
    planned = len({m.configuration for m in result.measurements})
    recorded = f"Recorded for planning: {q.many(len(result.measurements), 'measurement')} of {q.many(planned, 'configuration')}"
    sections = (
        head,
        q.table(_HEADERS, rows, right=tuple(range(2, len(_HEADERS)))),
        recorded,
        q.table(
            _OPEN_LOOPS, [_open_loop(o) for o in result.open_loops], right=tuple(range(1, len(_OPEN_LOOPS)))
        )
        if result.open_loops
        else "",
        "\n".join(f"warning: {w}" for w in result.warnings),
    )
    return "\n\n".join(s for s in sections if s) + "\n"


def _row(result: TrialResult) -> tuple[str, ...]:
    found, trial = result.figures, result.trial
    times = f" x {result.replicas}" if result.replicas > 1 else ""
    return (
        result.configuration + times,
        trial.workload_class,
        q.tokens(found.input_tokens),
        q.tokens(found.output_tokens),
        str(trial.concurrency),
        str(found.requests),
        q.rate(result.requests_per_second.mean),
        _known(result.requests_per_second),
        *(q.seconds(v) for v in found.ttft_seconds[:2] or (None, None)),
        _between(found.ttft_mean_seconds),
        *(q.seconds(v) for v in found.tpot_seconds[:2] or (None, None)),
        _between(found.tpot_mean_seconds),
        _off(result),
    )


def _open_loop(loop: OpenLoop) -> tuple[str, ...]:
    found = loop.figures
    failed = sum(found.failures.values())
    return (
        loop.configuration,
        q.rate(loop.offered_requests_per_second),
        q.rate(loop.answered_requests_per_second),
        str(loop.sent),
        str(failed),
        str(loop.unanswered),
        *(q.seconds(v) for v in found.ttft_seconds[:2] or (None, None)),
        *(q.seconds(v) for v in found.tpot_seconds[:2] or (None, None)),
    )


def _known(interval: Interval) -> str:
    """Between what a mean lies."""
    if interval.low is None or interval.high is None:
        return "unknown"
    return f"{max(0.0, interval.low):.3g}-{interval.high:.3g}"


def _between(seconds: Interval | None) -> str:
    """As `_known`, of a mean time."""
    if seconds is None or seconds.low is None or seconds.high is None:
        return "unknown"
    return f"{q.seconds(max(0.0, seconds.low))} to {q.seconds(seconds.high)}"


def _off(result: TrialResult) -> str:
    """How the estimated rate stands to the measured one: `1.8x`, 1x where it was right."""
    if result.estimated_requests_per_second is None:
        return "-"
    return f"{result.estimated_requests_per_second / result.requests_per_second.mean:.2g}x"


def imported_as_json(result: ImportResult) -> dict[str, Any]:
    """The `hetops.bench_import` document."""
    return codec.to_builtins(result)


def imported_as_text(result: ImportResult) -> str:
    """What was imported, for a terminal."""
    pairs = zip(result.measurements, result.estimated_requests_per_second, strict=True)
    rows = [_imported(m, estimated) for m, estimated in pairs]
    sections = (
        f"Made by {', '.join(result.tools)}; counts for {result.host}",
        q.table(_IMPORTED, rows, right=tuple(range(1, len(_IMPORTED)))),
        f"Recorded for planning: {q.many(len(result.measurements), 'measurement')}",
        "\n".join(f"warning: {w}" for w in result.warnings),
    )
    return "\n\n".join(s for s in sections if s) + "\n"


def _imported(m: Measurement, estimated: float) -> tuple[str, ...]:
    return (
        m.configuration,
        q.tokens(m.input_tokens),
        q.tokens(m.output_tokens),
        str(m.concurrency),
        str(m.requests),
        q.rate(m.requests_per_second),
        q.seconds(m.ttft_seconds[0]),
        q.seconds(m.tpot_seconds[0] if m.tpot_seconds else None),
        f"{estimated / m.requests_per_second:.2g}x",
    )
