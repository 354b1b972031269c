"""A solution's parts over its whole window: the most nodes of each pool, the mean of its costs, loads and shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from hetops.solver.answers.balance import SHARE_DECIMALS
from hetops.solver.answers.reading import MICRO_USD
from hetops.solver.problem import Problem
from hetops.solver.solution import (
    SolvedHandover,
    SolvedPeriod,
    SolvedPool,
    SolvedRental,
    SolvedShare,
    SolvedShed,
)
from hetops.solver.terms import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """Of the whole window; without periods, of the only stretch there is."""

    pools: tuple[SolvedPool, ...]
    shares: tuple[SolvedShare, ...]
    rentals: tuple[SolvedRental, ...]
    handovers: tuple[SolvedHandover, ...]
    shed: tuple[SolvedShed, ...]
    usd_per_hour: Decimal
    """Without what changes cost, and pools besides their nodes."""


def overall(problem: Problem, periods: tuple[SolvedPeriod, ...]) -> Overall:
    """The parts of all periods together."""
    if not problem.periods:
        (only,) = periods
        return Overall(
            pools=only.pools,
            shares=only.shares,
            rentals=only.rentals,
            handovers=only.handovers,
            shed=only.shed,
            usd_per_hour=only.usd_per_hour,
        )
    parts = [stretch.part for stretch in problem.stretches]
    weighed = tuple(zip(parts, periods, strict=True))
    return Overall(
        pools=tuple(
            _pool(weighed, key) for key in sorted({p.key for period in periods for p in period.pools})
        ),
        shares=tuple(_shares(problem, weighed)),
        rentals=tuple(_rental(weighed, one) for one in sorted({r.offer for p in periods for r in p.rentals})),
        handovers=(),
        shed=tuple(_shed(problem, weighed)),
        usd_per_hour=mean((part, period.usd_per_hour) for part, period in weighed),
    )


Weighed = tuple[tuple[Fraction, SolvedPeriod], ...]


def mean(amounts: Iterable[tuple[Fraction, Decimal]]) -> Decimal:
    """The mean to a millionth of a dollar."""
    exact = sum((part * Fraction(usd) for part, usd in amounts), Fraction(0))
    return (Decimal(exact.numerator) / exact.denominator).quantize(MICRO_USD)


def _pool(weighed: Weighed, key: tuple[str, str]) -> SolvedPool:
    found = [(part, pool) for part, period in weighed for pool in period.pools if pool.key == key]
    nodes = sum((part * pool.nodes for part, pool in found), Fraction(0))
    busy = sum((part * pool.nodes * Fraction(pool.utilisation) for part, pool in found), Fraction(0))
    runs_always = len(found) == len(weighed)
    return replace(
        max((pool for _, pool in found), key=lambda pool: pool.nodes),
        least_nodes=min(pool.nodes for _, pool in found) if runs_always else 0,
        usd_per_hour=mean((part, pool.usd_per_hour) for part, pool in found),
        utilisation=float(busy / nodes),
    )


def _shares(problem: Problem, weighed: Weighed) -> Iterable[SolvedShare]:
    """Relative to what requests go to first: what is handed over is a share of the same requests."""
    decoding = {column.key for column in problem.columns if column.role is Role.DECODE}
    rates: dict[tuple[str, str, str], Fraction] = {}
    usd: dict[tuple[str, str, str], list[tuple[Fraction, Decimal]]] = {}
    for part, period in weighed:
        for share in period.shares:
            at = (share.workload_class, *share.key)
            rates[at] = rates.get(at, Fraction(0)) + part * Fraction(share.requests_per_second)
            usd.setdefault(at, []).append((part, share.usd_per_hour))
    total: dict[str, Fraction] = {}
    for (name, *key), rate in rates.items():
        if tuple(key) not in decoding:
            total[name] = total.get(name, Fraction(0)) + rate
    for (name, offer, configuration), rate in sorted(rates.items()):
        yield SolvedShare(
            workload_class=name,
            offer=offer,
            configuration=configuration,
            share=round(float(rate / total[name]), SHARE_DECIMALS),
            requests_per_second=float(rate),
            usd_per_hour=mean(usd[name, offer, configuration]),
        )


def _shed(problem: Problem, weighed: Weighed) -> Iterable[SolvedShed]:
    rates = problem.mean_rates
    for name in sorted({one.workload_class for _, period in weighed for one in period.shed}):
        found = [(part, one) for part, period in weighed for one in period.shed if one.workload_class == name]
        rate = float(sum((part * Fraction(one.requests_per_second) for part, one in found), Fraction(0)))
        yield SolvedShed(
            workload_class=name,
            share=round(min(rate / rates[name], 1.0), SHARE_DECIMALS),
            requests_per_second=rate,
            usd_per_hour=mean((part, one.usd_per_hour) for part, one in found),
        )


def _rental(weighed: Weighed, offer: str) -> SolvedRental:
    found = [(part, one) for part, period in weighed for one in period.rentals if one.offer == offer]
    return SolvedRental(
        offer=offer,
        nodes=max(one.nodes for _, one in found),
        usd_per_hour=mean((part, one.usd_per_hour) for part, one in found),
    )
