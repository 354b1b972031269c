"""What runs held against the plan, for a terminal. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from hetops.plugin.provider import NodeState
from hetops.reports import quantities as q
from hetops.reports.status import ClassStatus, PoolStatus, Status

_SPARKS = "▁▂▃▄▅▆▇█"
_FEWEST_ANSWERED = 30
"""Of fewer requests chance alone moves the cost of a token by a quarter: it moves 80 % of Poisson counts of 30 by up to 23 %."""


def sparkline(shares: Iterable[float]) -> str:
    """Shares from 0 to 1 as a row of bars; the lowest bar is nothing at all."""
    return "".join(_SPARKS[math.ceil(s * (len(_SPARKS) - 1))] for s in shares)


def as_text(found: Status) -> str:
    """The status for a terminal."""
    sections = (
        _head(found),
        q.table(
            ("pool", "", "gpu", "nodes", "replicas", "requests", "planned", "$/hour"),
            [_pool_row(p) for p in found.pools],
            right=(3, 4, 5, 6, 7),
        ),
        _busy(found.pools),
        q.table(
            ("class", "requests", "planned", "TTFT", "target", "TPOT", "target", "goes to (planned)"),
            [_class_row(c) for c in found.classes],
            right=(1, 2),
        ),
        "\n".join(_faults(found)),
        "\n".join(found.notes),
    )
    return "\n\n".join(s for s in sections if s) + "\n"


def _head(found: Status) -> str:
    cost = found.usd_per_hour
    paid = f"{q.usd_both(cost)}" + (
        f", planned {q.usd_both(found.usd_per_hour_planned)}" if cost != found.usd_per_hour_planned else ""
    )
    seen = f"{q.many(found.requests, 'request')} in the last {q.seconds(found.window_seconds)}"
    return "\n".join(
        (
            f"{found.deployment}: {found.health}, {found.model}",
            f"Router {found.router.url or '-'} is {found.router.health}"
            + (f": {found.router.message}" if found.router.message else ""),
            f"Cost {paid}",
            f"{seen}, {found.failed:,} failed; {_per_token(found)}",
        )
    )


def _per_token(found: Status) -> str:
    tokens = found.usd_per_million_tokens
    told = f"{_dollars(tokens.measured)} for a million tokens"
    if found.requests - found.failed < _FEWEST_ANSWERED:
        told = "too few were answered to tell what a million tokens cost"
    return f"{told}, planned {_dollars(tokens.planned)} at the planned rate"


def _dollars(value: float | None) -> str:
    return "-" if value is None else q.usd(value)


def _pool_row(pool: PoolStatus) -> tuple[str, ...]:
    rates = pool.requests_per_second
    return (
        pool.name,
        str(pool.health),
        q.served_on(pool.model, pool.gpu or "by the token") + " (emulated)" * pool.emulated,
        f"{pool.nodes_running} of {pool.nodes_planned}" if pool.nodes_planned else "-",
        "-" if pool.replicas_serving is None else str(pool.replicas_serving),
        _rate(rates.measured),
        _rate(rates.planned),
        q.usd(pool.usd_per_hour),
    )


def _busy(pools: Iterable[PoolStatus]) -> str:
    """Slots in use over the window; a table of its own, for bars cannot fold."""
    rows = [(pool.name, sparkline(pool.utilisation)) for pool in pools if pool.utilisation]
    return q.table(("busy, oldest first", ""), rows) if rows else ""


def _rate(value: float | None) -> str:
    return "-" if value is None else q.rate(value)


def _class_row(c: ClassStatus) -> tuple[str, ...]:
    to = ", ".join(f"{pool} {_share(s.measured)} ({_share(s.planned)})" for pool, s in c.shares.items())
    return (
        c.name,
        _rate(c.requests_per_second.measured),
        _rate(c.requests_per_second.planned),
        f"p{c.ttft_percentile:g} {q.seconds(c.ttft_seconds.measured)}",
        _target(c.ttft_target_seconds, c.ttft_seconds.measured),
        f"p{c.tpot_percentile:g} {q.seconds(c.tpot_seconds.measured)}",
        _target(c.tpot_target_seconds, c.tpot_seconds.measured),
        to,
    )


def _target(bound: float | None, measured: float | None) -> str:
    if bound is None:
        return "none"
    missed = measured is not None and measured > bound
    return q.seconds(bound) + (" missed" if missed else "")


def _share(value: float | None) -> str:
    return "-" if value is None else q.share(value)


def _faults(found: Status) -> Iterator[str]:
    """Nodes that do not run, each with its reason."""
    for node in found.nodes:
        if node.state is not NodeState.RUNNING:
            yield f"{node.name} ({node.pool}) is {node.state}" + (f": {node.message}" if node.message else "")
