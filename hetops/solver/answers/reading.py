"""From the values of variables to the words of a solution: shares in whole steps, pools, what each costs. Decides nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hetops.solver import highs
from hetops.solver.answers.balance import SHARE_DECIMALS
from hetops.solver.frame import Block, Frame
from hetops.solver.matrix import Floats
from hetops.solver.rows.money import per_hour
from hetops.solver.solution import (
    SolvedHandover,
    SolvedLoss,
    SolvedPeriod,
    SolvedPool,
    SolvedRental,
    SolvedShare,
    SolvedShed,
    SolvedWait,
)
from hetops.solver.terms import Role, Service

MICRO_USD = Decimal("0.000001")
"""What requests and changes cost is stated in steps of this; what nodes cost is exact."""


def period_of(frame: Frame, values: Floats, rates: Mapping[str, float], t: int) -> SolvedPeriod:
    """The fleet of a stretch, where so many requests per second of each class are served in it."""
    shares = tuple(_shares(frame, values, t, rates))
    nodes = {j: round(float(values[frame.nodes(t, j)])) for j in range(len(frame.columns))}
    pools = tuple(_pool(frame, j, count, shares) for j, count in nodes.items() if count > 0)
    rentals = tuple(_rentals(frame, values, t))
    scale = 1.0 if frame.scale_index is None else float(values[frame.scale_index])
    handovers = tuple(_handovers(frame, values, t, scale))
    parts: tuple[SolvedPool | SolvedShare | SolvedRental | SolvedHandover, ...] = (
        *pools,
        *shares,
        *rentals,
        *handovers,
    )
    return SolvedPeriod(
        name=frame.stretches[t].name,
        pools=pools,
        shares=shares,
        rentals=rentals,
        handovers=handovers,
        usd_per_hour=sum((part.usd_per_hour for part in parts), Decimal(0)),
        requests_per_second=math.fsum(rates.values()),
        shed=tuple(_shed(frame, values, t)),
    )


def _shed_share(frame: Frame, values: Floats, t: int, w: int) -> float:
    """The part of what arrives of a class that is turned away, in whole steps; next to nothing, or to all, is that."""
    if (t, w) not in frame.sheds:
        return 0.0
    share = float(values[frame.first[Block.SHED] + frame.sheds[t, w]])
    if share >= 1 - highs.FEASIBILITY_TOLERANCE:
        return 1.0
    return round(share, SHARE_DECIMALS) if share > highs.FEASIBILITY_TOLERANCE else 0.0


def _shed(frame: Frame, values: Floats, t: int) -> Iterator[SolvedShed]:
    """What is turned away of what arrives in a stretch."""
    for at, w in (key for key in frame.sheds if key[0] == t):
        share, demand = _shed_share(frame, values, at, w), frame.classes[w]
        rate = share * frame.stretches[t].rates[demand.name]
        if share > 0:
            yield SolvedShed(
                workload_class=demand.name,
                share=share,
                requests_per_second=rate,
                usd_per_hour=micro(per_hour(demand.shed_usd_per_request or Decimal(0), rate)),
            )


def not_shed(frame: Frame, values: Floats, scale: float, t: int) -> dict[str, float]:
    """What arrives of each class in a stretch and is served, then or later, in requests per second."""
    return {
        c.name: frame.stretches[t].rates[c.name]
        * frame.demand_unit
        * scale
        * (1 - _shed_share(frame, values, t, w))
        for w, c in enumerate(frame.classes)
    }


def rates_of(
    frame: Frame, waits: tuple[SolvedWait, ...], arrive: list[dict[str, float]], t: int
) -> dict[str, float]:
    """What is served of each class in a stretch, in requests per second; of batch work what waits are said to bring."""
    stretch = frame.stretches[t]
    served = {c.name: arrive[t][c.name] for w, c in enumerate(frame.classes) if not frame.may_wait(w)}
    for one in (w for w in waits if w.served == stretch.name):
        at, arrived = next((i, s) for i, s in enumerate(frame.stretches) if s.name == one.arrived)
        requests = arrive[at][one.workload_class] * arrived.hours * one.share
        served[one.workload_class] = served.get(one.workload_class, 0.0) + requests / stretch.hours
    return {name: rate for name, rate in served.items() if rate > 0}


def _shares(frame: Frame, values: Floats, n: int, rates: Mapping[str, float]) -> Iterator[SolvedShare]:
    """The shares of a layer in whole steps; those of what is served first, and of decode, add up to exactly 1."""
    parts: dict[tuple[str, bool], dict[int, float]] = {}
    for k, (layer, place, w) in enumerate(frame.pairs):
        name = frame.classes[w].name
        if layer == n and name in rates:
            group = parts.setdefault((name, frame.role(place) is Role.DECODE), {})
            group[place] = float(values[frame.share(k)])
    for (name, decodes), group in sorted(parts.items()):
        total = math.fsum(group.values()) if not decodes else math.fsum(parts[name, False].values())
        for place, share in _in_steps(group, total, exact=not decodes).items():
            yield _share(frame, place, name, share, rates[name])


def _in_steps(parts: Mapping[int, float], total: float, *, exact: bool) -> dict[int, float]:
    """Parts of a total as shares in whole steps; `exact` ones add up to 1: the largest takes the rounding."""
    if total <= 0:
        return {}
    steps = 10**SHARE_DECIMALS
    whole = {i: round(max(value, 0.0) / total * steps) for i, value in parts.items()}
    # Below the solver's tolerance a share is noise, and a pool that serves noise is a route to nowhere.
    whole = {i: count for i, count in whole.items() if count > highs.FEASIBILITY_TOLERANCE * steps}
    if exact and whole:
        largest = max(whole, key=lambda i: whole[i])
        whole[largest] += steps - sum(whole.values())
    return {i: float(Fraction(count, steps)) for i, count in whole.items()}


def _share(frame: Frame, place: int, name: str, share: float, rate: float) -> SolvedShare:
    at = frame.places[place]
    usd = at.usd_per_request.get(name, Decimal(0))
    return SolvedShare(
        workload_class=name,
        offer=at.id if isinstance(at, Service) else at.offer,
        configuration="" if isinstance(at, Service) else at.configuration,
        share=share,
        requests_per_second=share * rate,
        usd_per_hour=micro(per_hour(usd, share * rate)),
    )


def _pool(frame: Frame, j: int, nodes: int, shares: tuple[SolvedShare, ...]) -> SolvedPool:
    column, as_a_whole = frame.columns[j], frame.as_a_whole
    paid = ((offer, int(of_each)) for offer, of_each in frame.takes[j] if offer.id not in as_a_whole)
    loads = (s.requests_per_second / column.rate(s.workload_class) for s in shares if s.key == column.key)
    return SolvedPool(
        offer=column.offer,
        configuration=column.configuration,
        nodes=nodes,
        replicas_per_node=column.replicas_per_node,
        usd_per_hour=sum((offer.usd_per_hour * count * nodes for offer, count in paid), Decimal(0)),
        utilisation=math.fsum(loads) / nodes,
        also={offer: count * nodes for offer, count in column.also.items()},
    )


def _rentals(frame: Frame, values: Floats, t: int) -> Iterator[SolvedRental]:
    for r, rental in enumerate(frame.rentals):
        lots = round(float(values[frame.first[Block.RENTED] + r]))
        if lots > 0 and rental.stretch in (None, t):
            nodes = lots * rental.offer.lot_nodes
            yield SolvedRental(
                offer=rental.offer.id, nodes=nodes, usd_per_hour=rental.offer.usd_per_hour * nodes
            )


def _handovers(frame: Frame, values: Floats, n: int, scale: float) -> Iterator[SolvedHandover]:
    for h, one in enumerate(frame.handovers):
        part = max(float(values[frame.first[Block.HANDED] + h]), 0.0)
        link, demand = frame.problem.links[one.link], frame.classes[one.workload_class]
        if one.layer == n and part / scale > highs.FEASIBILITY_TOLERANCE:
            usd = link.usd_per_gb * Decimal(repr(demand.kv_gb_per_request))
            yield SolvedHandover(
                source=link.source,
                target=link.target,
                kv_format=one.kv_format,
                workload_class=demand.name,
                requests_per_second=frame.rates[n][one.workload_class] * part,
                usd_per_hour=micro(per_hour(usd, frame.rates[n][one.workload_class] * part)),
            )


def waits_of(frame: Frame, values: Floats) -> Iterator[SolvedWait]:
    """Where what is served of batch work that may wait is served, by its stretch of arrival."""
    arrived: dict[tuple[int, int], dict[int, float]] = {}
    for f, (w, t, s) in enumerate(frame.waits):
        arrived.setdefault((w, t), {})[s] = float(values[frame.first[Block.DEFERRED] + f])
    for (w, t), parts in arrived.items():
        served = math.fsum(parts.values()) if _shed_share(frame, values, t, w) < 1 else 0.0
        for s, share in _in_steps(parts, served, exact=True).items():
            yield SolvedWait(
                workload_class=frame.classes[w].name,
                arrived=frame.stretches[t].name,
                served=frame.stretches[s].name,
                share=share,
            )


def losses_of(
    frame: Frame, values: Floats, served: list[dict[str, float]], scale: float
) -> Iterator[SolvedLoss]:
    """Shares of what is `served` of each class in a stretch, in requests per second."""
    for n, layer in enumerate(frame.layers):
        if layer.scenario is None:
            continue
        rates, parts = served[layer.stretch], dict[str, dict[int, float]]()
        for k, (at, place, w) in enumerate(frame.pairs):
            name = frame.classes[w].name
            if at == n and name in rates:
                rate = float(values[frame.share(k)]) * frame.rates[n][w]
                parts.setdefault(name, {})[place] = rate / rates[name]
        yield SolvedLoss(
            name=layer.scenario.name,
            period=frame.stretches[layer.stretch].name,
            handovers=tuple(_handovers(frame, values, n, scale)),
            shares=tuple(
                replace(_share(frame, place, name, share, rates[name]), usd_per_hour=Decimal(0))
                for name, group in sorted(parts.items())
                for place, share in _in_steps(group, 1.0, exact=False).items()
            ),
        )


def micro(usd: Decimal) -> Decimal:
    """USD per hour, rounded to the steps in which such costs are stated."""
    return usd.quantize(MICRO_USD) if usd else Decimal(0)
