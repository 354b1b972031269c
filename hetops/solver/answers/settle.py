"""From what the search found to a solution: whole numbers are fixed, shares are made exact, costs are added up.

For problems with terms; decides shares only, never nodes. Of all shares that cost no more it takes those whose fullest
pool is least full, then whose next fullest is, in each period: no pool queues while another idles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np

from hetops.errors import HetopsError
from hetops.solver import highs
from hetops.solver.answers.balance import SHARE_DECIMALS, TIGHT_DUAL
from hetops.solver.answers.cheapest import usd
from hetops.solver.formulate import Formulation
from hetops.solver.frame import Block, Frame
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import Floats, MatrixModel, Row, assemble, with_row
from hetops.solver.rows.money import change_costs, per_hour
from hetops.solver.rows.serve import capacity_rows
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

COST_SLACK = 1e-8
"""Part of the cost, or of a maximal rate, that evening out may give up: rounding of the solver's."""
DEARER = 1e-6
"""Part of the cost from which on a share with egress is dearer by its reduced cost, and gets none of that slack: egress costs so little
that the slack would pay for a share which is no noise, and a class is promised what its slowest pool gives."""

FINE = 1e-9
"""Part of what arrives of a class that is nothing even beside a thousandth of it, where all else is shed."""

MOST_LEVELLED = 20_000
"""Variables of a model in which pool after pool is made as empty as can be; beyond, only the fullest of each stretch."""

MICRO_USD = Decimal("0.000001")
"""What requests and changes cost is stated in steps of this; what nodes cost is exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The parts of a solution, by stretch and as a whole."""

    periods: tuple[SolvedPeriod, ...]
    """One a stretch."""
    waits: tuple[SolvedWait, ...]
    losses: tuple[SolvedLoss, ...]
    changes_usd_per_hour: Decimal
    requests_per_second: float


def settle(formulation: Formulation, values: Floats) -> Settled:
    """The settled answer to the formulation's problem, out of the variables that a search found.

    Raises:
        HetopsError: with its whole numbers the answer is none after all: of some class next to nothing is asked.
    """
    whole = np.round(values[: formulation.frame.integers])
    formulation = _where_nodes_are(formulation, whole)
    return _settled(formulation.frame, _evened(formulation, whole, _best(formulation, whole)))


def settle_as_found(formulation: Formulation, values: Floats) -> Settled:
    """As `settle`, with shares as even as it happens: for an answer that is only looked at and searched on from."""
    whole = np.round(values[: formulation.frame.integers])
    return _settled(formulation.frame, _best(_where_nodes_are(formulation, whole), whole).values)


def _where_nodes_are(formulation: Formulation, whole: Floats) -> Formulation:
    """With shares on columns that have nodes alone: what loads one by next to nothing is no violation to the solver."""
    frame, model = formulation.frame, formulation.model
    upper = model.upper.copy()
    for k, (n, place, _) in enumerate(frame.pairs):
        if place < len(frame.columns) and whole[frame.nodes(frame.layers[n].stretch, place)] == 0:
            upper[frame.share(k)] = 0.0
    return replace(formulation, model=replace(model, upper=upper))


def _settled(frame: Frame, final: Floats) -> Settled:
    """The parts of a solution with these values of all variables."""
    scale = 1.0 if frame.scale_index is None else float(final[frame.scale_index])
    arrive = [_not_shed(frame, final, scale, t) for t in range(len(frame.stretches))]
    waits = tuple(_waits(frame, final))
    rates = [_rates(frame, waits, arrive, t) for t in range(len(frame.stretches))]
    periods = tuple(_period(frame, final, of, t) for t, of in enumerate(rates))
    shed = (
        stretch.part * Fraction(one.requests_per_second)
        for stretch, period in zip(frame.stretches, periods, strict=True)
        for one in period.shed
    )
    return Settled(
        periods=periods,
        waits=waits,
        losses=tuple(_losses(frame, final, rates, scale)),
        changes_usd_per_hour=_micro(
            sum((usd * Decimal(max(float(final[i]), 0.0)) for i, usd, _ in change_costs(frame)), Decimal(0))
        ),
        requests_per_second=frame.problem.requests_per_second
        * (scale * frame.demand_unit if frame.scale_index is not None else 1.0)
        - float(sum(shed)),
    )


def _best(formulation: Formulation, whole: Floats) -> highs.Answer:
    """As cheap or as fast as can be with these whole numbers."""
    best = _solved(formulation.frame, with_whole(formulation.model, whole))
    if not best.found or serves_nothing(formulation, best):
        raise HetopsError(
            "a class takes less of a node than the solver can tell from nothing, a ten-millionth",
            hint="leave out the class that asks for least beside what a node serves of it, or ask for more of it",
        )
    return best


def serves_nothing(formulation: Formulation, answer: highs.Answer) -> bool:
    """Whether an answer for the largest rate serves none at all."""
    scale = formulation.scale_index
    return scale is not None and answer.found and bool(answer.values[scale] <= highs.FEASIBILITY_TOLERANCE)


def _evened(formulation: Formulation, whole: Floats, best: highs.Answer) -> Floats:
    """All variables, with the whole numbers fixed: as even as the best allows."""
    kept = _kept(formulation, whole, best.objective)
    values, frame = best.values, formulation.frame
    pools = np.flatnonzero(whole[: frame.sizes[Block.NODES]])
    settled: dict[int, float] = {}
    dearer = list(_dearer(frame, with_whole(formulation.model, whole), best))
    shed = frame.first[Block.SHED] + np.arange(len(frame.sheds))  # emptier pools are no reason to shed more
    for _ in pools if frame.size <= MOST_LEVELLED else pools[:1]:
        model = _level_model(formulation, whole, kept, settled)
        levelled = with_whole(model, whole)
        levelled.upper[dearer] = 0.0
        levelled.upper[shed] = best.values[shed]
        even = _solved(frame, levelled)
        if not even.found:
            break  # a level settled a rounding error too low; the last answer stands
        values = even.values
        levels = values[frame.size :]
        tight = {
            row.nodes: float(levels[row.stretch])
            for row, dual in zip(model.subjects, even.row_duals, strict=True)
            if isinstance(row, _Levelled) and row.nodes not in settled and abs(dual) > TIGHT_DUAL
        }
        settled |= tight
        if not tight or len(settled) >= len(pools):
            break
    return values


def _solved(frame: Frame, model: MatrixModel) -> highs.Answer:
    """The model solved; where little may be served, finer, for limits on what is served, if there is an answer to that."""
    little = frame.sheds or frame.scale_index is not None
    fine = highs.run(model, on_interrupt=OnInterrupt.FINISH, tolerance=FINE) if little else None
    return fine if fine and fine.found else highs.run(model, on_interrupt=OnInterrupt.FINISH)


def _dearer(frame: Frame, fixed: MatrixModel, best: highs.Answer) -> Iterator[int]:
    """Shares whose answers cost something on their way, and that nothing as good as can be has.

    A share's reduced cost is held against the least of its class there: a class that one pool has whole has no price of its own.
    """
    reduced = fixed.cost - fixed.weighed_rows(best.row_duals)
    least: dict[tuple[int, int], float] = {}
    for k, (n, _, w) in enumerate(frame.pairs):
        if fixed.upper[frame.share(k)] > 0:
            least[n, w] = min(least.get((n, w), math.inf), float(reduced[frame.share(k)]))
    places = frame.places
    for k, (n, place, w) in enumerate(frame.pairs):
        at, index = places[place], frame.share(k)
        egress = not isinstance(at, Service) and at.usd_per_request.get(frame.classes[w].name)
        if egress and reduced[index] - least.get((n, w), math.inf) > DEARER * max(abs(best.objective), 1.0):
            yield index


def _kept(formulation: Formulation, whole: Floats, best: float) -> tuple[Row, ...]:
    """What evening out may not make worse: the objective, and, where that is a rate, the money."""
    model = formulation.model
    good = _at_most("as good as can be", model.cost, best)
    if formulation.scale_index is None:
        return (good,)
    spent = usd(formulation)
    cheap = replace(with_row(model, good), cost=spent)
    least = highs.run(with_whole(cheap, whole), on_interrupt=OnInterrupt.FINISH)
    return (good, _at_most("no dearer", spent, least.objective)) if least.found else (good,)


def _at_most(subject: str, each: Floats, value: float) -> Row:
    terms = [(int(i), float(each[i])) for i in np.flatnonzero(each)]
    return Row(subject=subject, terms=terms, upper=value + COST_SLACK * max(abs(value), 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Levelled:
    """What a row says: a pool of a stretch, by the variable of its nodes, is no fuller than its level."""

    stretch: int
    nodes: int


def with_whole(model: MatrixModel, whole: Floats) -> MatrixModel:
    """The model with its first variables at those whole numbers, and no choice but the rest."""
    lower, upper = model.lower.copy(), model.upper.copy()
    lower[: len(whole)] = upper[: len(whole)] = whole
    return replace(model, lower=lower, upper=upper, integer=np.zeros_like(model.integer))


def _level_model(
    formulation: Formulation, whole: Floats, kept: tuple[Row, ...], settled: Mapping[int, float]
) -> MatrixModel:
    """The model with a level for each stretch, which the utilisation of every pool in it is below, but for those settled."""
    frame, model = formulation.frame, formulation.model
    rows = [
        row
        for constraint in formulation.constraints
        for row in (_levelled(frame, whole, settled) if constraint is capacity_rows else constraint(frame))
    ]
    levels = len(frame.stretches)
    cost = np.concatenate((np.zeros(frame.size), np.ones(levels)))
    upper = np.concatenate((model.upper, np.ones(levels)))
    return assemble(cost=cost, upper=upper, integers=0, rows=[*rows, *kept])


def _levelled(frame: Frame, whole: Floats, settled: Mapping[int, float]) -> Iterator[Row]:
    """Capacity with the level for what may be planned with; after a loss as it is."""
    for row in capacity_rows(frame):
        *loads, (nodes, usable) = row.terms
        if any(frame.layers[frame.pairs[i - frame.share(0)][0]].scenario for i, _ in loads[:1]):
            yield row
            continue
        stretch, room = nodes // max(len(frame.columns), 1), usable * float(whole[nodes])
        subject = _Levelled(stretch=stretch, nodes=nodes)
        if nodes in settled:
            yield replace(row, subject=subject, terms=loads, upper=-room * settled[nodes])
        else:
            yield replace(row, subject=subject, terms=[*loads, (frame.size + stretch, room)])


def _period(frame: Frame, values: Floats, rates: Mapping[str, float], t: int) -> SolvedPeriod:
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
                usd_per_hour=_micro(per_hour(demand.shed_usd_per_request or Decimal(0), rate)),
            )


def _not_shed(frame: Frame, values: Floats, scale: float, t: int) -> dict[str, float]:
    """What arrives of each class in a stretch and is served, then or later, in requests per second."""
    return {
        c.name: frame.stretches[t].rates[c.name]
        * frame.demand_unit
        * scale
        * (1 - _shed_share(frame, values, t, w))
        for w, c in enumerate(frame.classes)
    }


def _rates(
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
        usd_per_hour=_micro(per_hour(usd, share * rate)),
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
                usd_per_hour=_micro(per_hour(usd, frame.rates[n][one.workload_class] * part)),
            )


def _waits(frame: Frame, values: Floats) -> Iterator[SolvedWait]:
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


def _losses(
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


def _micro(usd: Decimal) -> Decimal:
    return usd.quantize(MICRO_USD) if usd else Decimal(0)
