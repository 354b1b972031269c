"""Columns that no best fleet needs, left out before the search; what is left out is beaten by what stays."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hetops.solver.matrix import Floats
from hetops.solver.problem import Column, Demand, Mode, Problem, running
from hetops.solver.terms import FULL_QUALITY

MOST_NODES = 1e12
"""A class that would take more nodes of a column is not served there: no fleet serves a part of it that a solver could see."""


def able(problem: Problem, peaks: Mapping[str, float]) -> tuple[Column, ...]:
    """The columns, in order, with those rates alone that serve anything to speak of; `peaks` is the most asked of each class.

    Where the largest rate is asked for only proportions count: a rate is then held against the best one.
    """
    best = {name: max((c.rate(name) for c in problem.columns), default=0.0) for name in peaks}
    asked = peaks if problem.mode is Mode.MIN_COST else best
    least = {name: most / MOST_NODES for name, most in asked.items()}
    return tuple(_without_slivers(c, least) for c in sorted(problem.columns, key=lambda c: c.key))


def _without_slivers(column: Column, least: Mapping[str, float]) -> Column:
    rates = column.requests_per_second
    slivers = {name for name, rate in rates.items() if 0 < rate < least.get(name, 0.0)}
    if not slivers:
        return column
    return replace(
        column, requests_per_second={name: rate for name, rate in rates.items() if name not in slivers}
    )


def asked_for(
    problem: Problem, columns: tuple[Column, ...], classes: tuple[Demand, ...]
) -> tuple[Column, ...]:
    """`columns` without those that serve none of the classes, do not run already and are not worth keeping idle."""
    run, ramping, names = running(problem), _ramping(problem), [c.name for c in classes]
    return tuple(
        column
        for column in columns
        if any(column.rate(name) for name in names)
        or column.key in run
        or not column.offers.isdisjoint(ramping)
    )


def _ramping(problem: Problem) -> frozenset[str]:
    return frozenset(offer.id for offer in problem.ramping)


def undominated(
    problem: Problem,
    columns: tuple[Column, ...],
    classes: tuple[Demand, ...],
    must_rent: Collection[str] = (),
) -> tuple[Column, ...]:
    """`columns` without those that another beats or equals in every class, and that takes no more of any offer.

    Nodes of the loser can be swapped for nodes of the winner one for one: no higher price, no more stock and quota, no less
    capacity, no more pools, no dearer requests, no less quality where a class asks for a mean. Nothing of the kind holds
    between offers, whose limits differ, but where a column stands on several of them; nor between columns of unlike parts,
    roles or start-up, nor for nodes that run already, nor for some of an offer in `must_rent` and none. Of equals the first stays. Of offers whose nodes may change only by so
    many at once idle ones may be kept: there no column takes less for it than another, and one that serves nothing is of use.
    """
    run, ramping = running(problem), _ramping(problem)
    together = sorted({offer for column in columns if column.also for offer in column.offers})
    by_kind: dict[object, list[tuple[Column, Floats]]] = {}
    for column in asked_for(problem, columns, classes):
        rates = np.array([column.rate(c.name) for c in classes])
        usd = np.array([float(column.usd_per_request.get(c.name, 0)) for c in classes])
        spared = _spared(column, together) if not column.offers.isdisjoint(together) else usd[:0]
        kind = (
            column.offer if usd.any() or not spared.size else "",  # whose provider is paid for requests
            column.parts_per_node,
            column.boot_seconds,
            column.role,
            column.kv_format,
            usd.any(),
            column.key if column.key in run else None,
            column.offers.isdisjoint(must_rent),
            tuple((offer, nodes) for offer, nodes in sorted(column.takes.items()) if offer in ramping),
        )
        merits = (rates, _qualities(column, classes), -usd if usd.any() else usd[:0], spared)
        by_kind.setdefault(kind, []).append((column, np.concatenate(merits)))
    kept = {column.key for rivals in by_kind.values() for column in _unbeaten(rivals)}
    return tuple(column for column in columns if column.key in kept)


def _spared(column: Column, offers: Sequence[str]) -> Floats:
    """What the column does not take of these offers: the more, the better."""
    counts = {offer: float(nodes) for offer, nodes in column.takes.items()}
    return np.array([-counts.get(offer, 0.0) for offer in offers])


def _unbeaten(rivals: Sequence[tuple[Column, Floats]]) -> Iterator[Column]:
    """The columns that no other has all merits of; of equals the first."""
    merits = np.array([of for _, of in rivals])
    for i, (column, of) in enumerate(rivals):
        as_good = np.flatnonzero((merits >= of).all(axis=1))
        if not any(j < i or bool((merits[j] > of).any()) for j in as_good.tolist()):
            yield column


def _qualities(column: Column, classes: tuple[Demand, ...]) -> Floats:
    """What the column gives each class that asks for a mean; nothing where it cannot serve it."""
    asked = (c.name for c in classes if c.mean_quality is not None)
    return np.array([column.quality.get(n, FULL_QUALITY) if column.rate(n) > 0 else 0.0 for n in asked])
