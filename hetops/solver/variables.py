"""Which variables the model of a problem has, in which order: each is there only where something asks for it.

Enforces no limit. A problem with neither periods nor losses has one layer of shares.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from itertools import accumulate

from hetops.solver.frame import Block, Frame, Handover, Layer, Rental, counts_pools
from hetops.solver.limit import OF_MANY_ROWS, OF_WHAT_IS_SERVED, Limit, LimitKind
from hetops.solver.problem import Column, Demand, Mode, Problem
from hetops.solver.terms import Billing, Role, Stretch
from hetops.solver.useful import useful
from hetops.solver.waiting import deferrable, window


def frame_of(problem: Problem, minimise: Limit | None, must_rent: Collection[str] = ()) -> Frame:
    """The variables of `problem`; what `minimise` limits is no reason to leave a column out, nor one with offers in `must_rent`."""
    found = useful(problem, minimise, must_rent)
    stretches, columns, classes = problem.stretches, found.columns, found.classes
    rates, takes = problem.mean_rates, found.takes
    means = {c.name: rates[c.name] for c in classes}
    scenarios = problem.scenarios
    layers = tuple(Layer(stretch=t, scenario=s) for s in (None, *scenarios) for t in range(len(stretches)))
    rentals, unit = tuple(_rentals(problem, columns, len(stretches))), _demand_unit(problem, columns, means)
    pairs = tuple(_pairs(problem, stretches, layers, columns, classes))
    asked_for = tuple(
        tuple(r * unit for r in _rates(problem, layer, stretches, classes, means)) for layer in layers
    )
    waits = tuple(_waits(problem, minimise, stretches, classes))
    sheds = tuple(_sheds(problem, minimise, stretches, classes))
    handovers = tuple(_handovers(problem, layers, columns, classes))
    sizes = {
        **_sizes(problem, minimise, len(columns), len(stretches)),
        Block.RENTED: len(rentals),
        Block.SHARE: len(pairs),
        Block.MISSING: len(scenarios) * len(stretches),
        Block.SHED: len(sheds),
        Block.DEFERRED: len(waits),
        Block.HANDED: len(handovers),
    }
    starts = list(accumulate((sizes[block] for block in Block), initial=0))
    return Frame(
        problem=problem,
        minimise=minimise,
        stretches=stretches,
        layers=layers,
        columns=columns,
        offers=tuple(takes[c.key][0][0] for c in columns),
        takes=tuple(takes[c.key] for c in columns),
        caps=tuple(tuple(found.caps[c.key][t] for c in columns) for t in range(len(stretches))),
        classes=classes,
        rates=asked_for,
        usable=tuple(found.usable[c.key] for c in columns),
        demand_unit=unit,
        pairs=pairs,
        loads=tuple(_loads(pairs, columns, classes, asked_for)),
        rentals=rentals,
        sheds={at: k for k, at in enumerate(sheds)},
        waits=waits,
        handovers=handovers,
        sizes=sizes,
        first=dict(zip(Block, starts, strict=False)),
        size=starts[-1],
    )


def _rates(
    problem: Problem,
    layer: Layer,
    stretches: tuple[Stretch, ...],
    classes: tuple[Demand, ...],
    means: Mapping[str, float],
) -> Iterator[float]:
    """Requests per second of each class in a layer: of work that may wait, those of the whole window."""
    own = stretches[layer.stretch].rates
    return ((means if deferrable(problem, c) else own)[c.name] for c in classes)


def _sizes(problem: Problem, minimise: Limit | None, columns: int, stretches: int) -> dict[Block, int]:
    """How many variables there are of the kinds that go by column."""
    return {
        Block.NODES: stretches * columns,
        Block.OPENED: columns * counts_pools(problem, minimise),
        Block.SCALE: int(problem.mode is Mode.MAX_THROUGHPUT),
        Block.STARTED: stretches * columns * (stretches > 1),
        Block.ADDED: columns * (problem.migration is not None),
        Block.REMOVED: columns * (problem.migration is not None),
        Block.WIDEST: int(minimise is not None and (stretches > 1 or minimise.kind in OF_MANY_ROWS)),
    }


def _demand_unit(problem: Problem, columns: tuple[Column, ...], means: Mapping[str, float]) -> float:
    """Factor on the demands: when maximising, about what one node serves, so that `scale` is about the nodes."""
    if problem.mode is Mode.MIN_COST:
        return 1.0
    best = {name: max((column.rate(name) for column in columns), default=0.0) for name in means}
    able = [mean / best[name] for name, mean in means.items() if best[name] > 0]
    return 1.0 / math.fsum(able) if len(able) == len(means) else 1.0


def _pairs(
    problem: Problem,
    stretches: tuple[Stretch, ...],
    layers: tuple[Layer, ...],
    columns: tuple[Column, ...],
    classes: tuple[Demand, ...],
) -> Iterator[tuple[int, int, int]]:
    """Layer, place and class, wherever the place is not lost and can serve a class that has a rate."""
    stands, names = [c.offers for c in columns], [(w, of.name) for w, of in enumerate(classes)]
    able = [(j, w, stands[j]) for j, c in enumerate(columns) for w, name in names if c.rate(name) > 0]
    able += [
        (len(columns) + i, w, frozenset((service.id,)))
        for i, service in enumerate(problem.services)
        for w, of in enumerate(classes)
        if of.name in service.usd_per_request
    ]
    for n, layer in enumerate(layers):
        lost = layer.scenario.lost if layer.scenario else frozenset[str]()
        rates = stretches[layer.stretch].rates
        asked = [rates[c.name] > 0 or deferrable(problem, c) for c in classes]
        yield from ((n, place, w) for place, w, at in able if asked[w] and lost.isdisjoint(at))


def _loads(
    pairs: tuple[tuple[int, int, int], ...],
    columns: tuple[Column, ...],
    classes: tuple[Demand, ...],
    rates: tuple[tuple[float, ...], ...],
) -> Iterator[float]:
    """Nodes that all of a class would take, by pair."""
    names = [c.name for c in classes]
    for n, place, w in pairs:
        yield rates[n][w] / columns[place].requests_per_second[names[w]] if place < len(columns) else 0.0


def _rentals(problem: Problem, columns: tuple[Column, ...], stretches: int) -> Iterator[Rental]:
    """Offers whose nodes are not those of their columns: reserved, in lots, or shared by columns."""
    used = {offer for c in columns for offer in c.offers}
    parted = {offer for c in problem.columns if c.parts_per_node > 1 for offer in c.offers}
    for offer in sorted(problem.offers, key=lambda o: o.id):
        if offer.billing is Billing.RESERVED:
            if offer.id in used or offer.committed_nodes:
                yield Rental(offer=offer, stretch=None)
        elif offer.id in used and (offer.id in parted or offer.lot_nodes > 1):
            yield from (Rental(offer=offer, stretch=t) for t in range(stretches))


def _sheds(
    problem: Problem, minimise: Limit | None, stretches: tuple[Stretch, ...], classes: tuple[Demand, ...]
) -> Iterator[tuple[int, int]]:
    """Stretch and class, wherever some of what arrives may be turned away."""
    if minimise is not None and minimise.kind in OF_WHAT_IS_SERVED:
        return
    for t, stretch in enumerate(stretches):
        for w, demand in enumerate(classes):
            asked = minimise == Limit(kind=LimitKind.SHED, subject=demand.name)
            if (problem.sheds(demand) or asked) and stretch.rates[demand.name] > 0:
                yield t, w


def _waits(
    problem: Problem, minimise: Limit | None, stretches: tuple[Stretch, ...], classes: tuple[Demand, ...]
) -> Iterator[tuple[int, int, int]]:
    """Class, stretch of arrival and stretch of service, wherever the deadline allows it; its own while what a loss leaves is asked."""
    at_once = minimise is not None and minimise.kind is LimitKind.LOSS
    for w, demand in enumerate(classes):
        if deferrable(problem, demand):
            hours = 0.0 if at_once else demand.deadline_hours or 0.0
            for t, stretch in enumerate(stretches):
                served = window(stretches, t, hours) if stretch.rates[demand.name] > 0 else ()
                yield from ((w, t, s) for s in served)


def _handovers(
    problem: Problem, layers: tuple[Layer, ...], columns: tuple[Column, ...], classes: tuple[Demand, ...]
) -> Iterator[Handover]:
    """Every way over a link between a prefill and a decode column of one format that both serve a class."""
    if not problem.links:
        return
    ends = {
        (c.role, c.offer, c.kv_format, w)
        for c in columns
        for w, of in enumerate(classes)
        if c.rate(of.name) > 0
    }
    for n, layer in enumerate(layers):
        lost = layer.scenario.lost if layer.scenario else frozenset[str]()
        for k, link in enumerate(problem.links):
            ways = {(f, w) for role, offer, f, w in ends if (role, offer) == (Role.PREFILL, link.source)}
            ways &= {(f, w) for role, offer, f, w in ends if (role, offer) == (Role.DECODE, link.target)}
            if lost.isdisjoint(link.key):
                found = (Handover(layer=n, link=k, kv_format=f, workload_class=w) for f, w in sorted(ways))
                yield from found
