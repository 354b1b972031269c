"""Few columns of a problem, for a first fleet where time hardly suffices to make the model of all of them.

Decides which columns those are, and when time is so short. What is found with them is a fleet of the problem; of what no
fleet is better than it says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from hetops.solver.highs import Status
from hetops.solver.patience import Pace
from hetops.solver.problem import Column, Problem, running, with_sharers
from hetops.solver.search import losses
from hetops.solver.search.start import LEAST_SECONDS, Relaxed

SECONDS_PER_SHARE = 1e-5
"""Of a model: what making it and looking at it takes for each share; several times as long on a busy machine."""

LONG_PART = 0.3
"""Of the time: a model that would take more is made after one of few columns was searched."""

FIRST_PART = 0.15
"""Of the time: what that search may take."""

LEAST_WORK_SECONDS = 0.5
"""And of work at least, on a busy machine in more time than that: without it there may be no fleet."""

LIKELY = 6
"""Columns of a class at least, on offers of their own."""

ROOM = 2
"""Times all classes could be served on the nodes of what is kept."""


def seconds_of(problem: Problem) -> float:
    """What the model of the problem takes before anything is found with it."""
    copies = 1 if losses.are_many(problem) else 1 + len(problem.scenarios)
    serving = sum(len(column.requests_per_second) for column in problem.columns)
    return SECONDS_PER_SHARE * serving * copies * len(problem.stretches)


def first_seconds(seconds: float, pace: Pace) -> float:
    """Of the time: what a search of few columns may take."""
    return max(seconds * FIRST_PART, LEAST_WORK_SECONDS * pace.slowness)


def is_long(problem: Problem, seconds: float) -> bool:
    """Whether the model of the problem would take much of the time; a small one has a little time whatever was asked.

    Never that of a day, which is searched period by period and soon has a fleet, and a bound.
    """
    return not problem.periods and seconds_of(problem) > LONG_PART * max(seconds, LEAST_SECONDS)


def is_lost(problem: Problem, relaxed: Relaxed) -> bool:
    """Whether no good fleet is to be hoped for of a model that is large, and whose relaxation did not end in its time."""
    return relaxed.answer.status is Status.NOTHING_FOUND and is_long(problem, 0.0)


def few_of(problem: Problem, must_rent: Collection[str]) -> Iterator[Problem]:
    """The problem with those columns alone on which its classes are served for little money, on enough nodes.

    Where pools are limited, then with those alone of which few pools are enough: what is cheap may come in small numbers.
    """
    usd = {offer.id: float(offer.usd_per_hour) for offer in problem.offers}
    prices = {c.key: sum(usd[o] * float(n) for o, n in c.takes.items()) for c in problem.columns}
    rented = [c for c in problem.columns if not c.offers.isdisjoint(must_rent)]
    peak = max(sum(stretch.rates.values()) for stretch in problem.stretches)
    each = [ROOM * peak / problem.max_pools] if problem.max_pools else []
    for large in (0.0, *each):
        of = (_likely(problem, columns, prices, large) for columns in (problem.columns, rented))
        kept = {*(key for keys in of for key in keys), *running(problem)}
        yield replace(problem, columns=with_sharers(problem.columns, kept))


def _likely(
    problem: Problem, columns: Collection[Column], prices: Mapping[tuple[str, str], float], large: float
) -> Iterator[tuple[str, str]]:
    """The keys of the columns that each class would be served on first, in each role: one of each offer, until all that is due is
    served on nodes that no class before it has taken."""
    left = {offer.id: float(problem.max_nodes(offer)) for offer in problem.offers}
    peaks = {c.name: max(s.rates[c.name] for s in problem.stretches) for c in problem.classes}
    asked = [name for name, peak in peaks.items() if peak > 0]
    places = {column.key: left[column.offer] * column.parts_per_node for column in columns}
    for name, best in _best_first(columns, asked, prices, places, large):
        due, seen = peaks[name] * ROOM, set[str]()
        for column in best:
            if due <= 0 and len(seen) >= LIKELY:
                break
            if column.offer in seen:
                continue
            seen.add(column.offer)
            rate = column.rate(name) * column.parts_per_node
            nodes = min(left[column.offer], max(due, 0.0) / rate)
            left[column.offer] -= nodes
            due -= nodes * rate
            yield column.key


def _best_first(
    columns: Collection[Column],
    asked: Collection[str],
    prices: Mapping[tuple[str, str], float],
    places: Mapping[tuple[str, str], float],
    large: float,
) -> Iterator[tuple[str, Iterator[Column]]]:
    """By role and class, the columns that serve it: the cheapest of those that can serve as many requests per second as is `large`
    on the `places` that there are, then the largest."""
    alike: dict[object, list[Column]] = {}
    for column in columns:
        alike.setdefault((column.role, column.kv_format), []).append(column)
    for own in alike.values():
        usd = np.array([prices[column.key] for column in own])
        room = np.array([places[column.key] for column in own])
        for name in asked:
            rates = np.array([column.requests_per_second.get(name, 0.0) for column in own])
            able = np.flatnonzero(rates > 0)
            enough = np.minimum(rates[able] * room[able], large)
            yield name, map(own.__getitem__, able[np.lexsort((usd[able] / rates[able], -enough))])
