"""Searches thousands of classes as if they were few: classes that load every column alike are one.

What a class asks of a column is its load: its demand over the rate of a node. Classes served by the same columns are
merged into one whose load is their sum. Whatever shares serve the merged class serve each member, with the same load on
every node: so the answer is one of the problem itself. Which classes are merged is a matter of what it costs:

* those whose loads are in nearly the same proportions;
* at least cost also those that are nearly as dear on every column that could be theirs, at the scarcity prices of the
  problem with all its classes: where a class will never go, its load does not matter.

The cheaper of both answers is taken. Of what merging costs two bounds tell, and the better one counts:

* the easier problem: a member's load is everywhere at least a certain part of the merged class's. Counted at that part
  alone, any shares of the members average to shares of a merged class whose demand is the sum of the parts, and load
  no node more than they did. So with the demand cut to that sum no fleet is lost, whole nodes included;
* weak duality on the problem with every class as it is, at its scarcity prices.

Where loads are in the same proportions throughout, merging costs nothing and the merged problem's own bound holds.
Decides which classes the search tells apart, in problems without terms; knows nothing of rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.domain import codec
from hetops.errors import TimeoutExpiredError
from hetops.solver.certify import TOLERANCE, ScarcityPrices, relative_gap, weak_duality_bound
from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.patience import Patience, stopped
from hetops.solver.problem import Column, Demand, Mode, Problem
from hetops.solver.scarcity import priced
from hetops.solver.solution import Ended, Infeasible, Solution, SolvedShare

Search = Callable[[Problem, float], Solution | Infeasible]
"""The answer to a problem within so many seconds of search."""

MOST_CLASSES = 200
"""Problems of no more classes are searched as they are; of more, so many are told apart."""

COMPETES = 0.1
"""Logarithm of how much dearer than its cheapest column one may be and still matter: a tenth, or thereabouts."""

ALIKE = 1e-9
"""Loads whose proportions differ by no more are the same: far below the solver's own tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A problem with few classes in place of many; each has the name of its first member."""

    original: Problem
    problem: Problem
    members: Mapping[str, tuple[Demand, ...]]
    """By merged class."""
    certain: Mapping[str, float]
    """By merged class: the part of its demand below which no fleet of the original gets by, at most 1."""

    @property
    def exact(self) -> bool:
        """Whether merging loses nothing."""
        return all(part == 1.0 for part in self.certain.values())

    @property
    def easier(self) -> Problem:
        """The merged problem with what is certain of its demand: every fleet of the original serves that."""
        classes = tuple(
            replace(c, requests_per_second=c.requests_per_second * self.certain[c.name])
            for c in self.problem.classes
        )
        return replace(self.problem, classes=classes)


def search_merged(
    problem: Problem,
    search: Search,
    scarcity_prices: Callable[[Problem], ScarcityPrices],
    *,
    limit_seconds: float,
    gap: float,
) -> Solution | Infeasible:
    """The answer to `problem`, found by `search` on few classes where it has many; errors as those of `search`.

    Its gap, of which `gap` is wanted, includes what merging may cost. A search without a limit of time is one for a
    proof: then only what costs nothing is merged. So it is where the merged problem has no fleet but the easier one has.
    """
    if not _has_many(problem):
        return search(problem, limit_seconds)
    merged = merge(problem, most=MOST_CLASSES if math.isfinite(limit_seconds) else len(problem.classes))
    if all(len(of) == 1 for of in merged.members.values()):
        try:
            return search(problem, limit_seconds)
        except TimeoutExpiredError:
            if not stopped():
                raise
            merged = merge(problem, most=MOST_CLASSES)  # whoever stops a proof gets a fleet of few classes
    began, wanted = time.monotonic(), _Wanted(search=search, gap=gap, patience=Patience.of(limit_seconds))
    answer = (_exactly if merged.exact else _nearly)(merged, wanted, scarcity_prices)
    answer = replace(answer, solve_seconds=time.monotonic() - began)
    if isinstance(answer, Infeasible) or answer.within_gap or wanted.patience.left > 0:
        return answer
    return replace(answer, ended=Ended.INTERRUPTED if stopped() else Ended.TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """How to search, how near to come, and how long."""

    search: Search
    gap: float
    patience: Patience


def _exactly(
    merged: Merged, wanted: _Wanted, scarcity_prices: Callable[[Problem], ScarcityPrices]
) -> Solution | Infeasible:
    """The answer where merging costs nothing."""
    found = wanted.search(merged.problem, wanted.patience.left)
    if isinstance(found, Infeasible):
        return _infeasible(merged, found)
    certified = float(weak_duality_bound(merged.original, scarcity_prices(merged.problem)))
    return _bounded(_unmerged(merged, found), [certified, found.bound], wanted.gap)


def _nearly(
    merged: Merged, wanted: _Wanted, scarcity_prices: Callable[[Problem], ScarcityPrices]
) -> Solution | Infeasible:
    """The answer where it costs something, by the best of all that time suffices for."""
    problem, patience = merged.original, wanted.patience
    groupings, prices = _groupings(merged, patience)
    certified = float(weak_duality_bound(problem, prices or scarcity_prices(merged.problem)))
    best: Solution | None = None
    for i, grouping in enumerate(groupings):
        if best is None or (patience.left > 0 and not best.within_gap):
            found = wanted.search(grouping.problem, patience.left / (len(groupings) + 1 - i))
            if isinstance(found, Solution):
                best = _better(best, _bounded(_unmerged(grouping, found), [certified], wanted.gap))
    if best is not None and (best.within_gap or patience.left == 0):
        return best
    easier = _easiest(merged, wanted)
    if isinstance(easier, Infeasible):
        return _infeasible(merged, easier)
    if best is None:
        return wanted.search(problem, patience.left)
    bounds = [certified] if easier is None else [certified, _bound_of(merged, easier)]
    return _bounded(best, bounds, wanted.gap)


def with_few_classes(problem: Problem) -> Problem:
    """The problem itself where it has few classes, or terms; else merged: every fleet of it is one of the problem's."""
    return merge(problem, most=MOST_CLASSES).problem if _has_many(problem) else problem


def _has_many(problem: Problem) -> bool:
    return problem.plain and len(problem.classes) > MOST_CLASSES


def _groupings(merged: Merged, patience: Patience) -> tuple[list[Merged], ScarcityPrices | None]:
    """Ways to merge the classes, the most promising first, and the scarcity prices, where that one is made by them."""
    problem, classes = merged.original, _asked(merged.original)
    loads = _loads(problem, classes)
    if problem.mode is not Mode.MIN_COST or not np.isfinite(loads.min(axis=1)).all():
        return [merged], None
    prices, charges = priced(problem, loads, Patience.of(patience.left / 4))
    costs = loads * charges
    dearer = np.minimum(np.log(costs / costs.min(axis=1, keepdims=True)), COMPETES)
    owners = _owners(problem, classes, loads, dearer, MOST_CLASSES)
    return [_joined(problem, classes, loads, owners), merged], prices


def merge(problem: Problem, *, most: int) -> Merged:
    """`problem` with `most` classes, or as few as there are unlike ones; more where they go to more sets of columns.

    Classes without demand are left out.
    """
    classes = _asked(problem)
    loads = _loads(problem, classes)
    return _joined(problem, classes, loads, _owners(problem, classes, loads, np.log(loads), most))


def _asked(problem: Problem) -> tuple[Demand, ...]:
    return tuple(sorted((c for c in problem.classes if c.requests_per_second > 0), key=lambda c: c.name))


def _joined(
    problem: Problem, classes: tuple[Demand, ...], loads: Floats, owners: list[NDArray[np.bool_]]
) -> Merged:
    """The problem with one class for each group of members."""
    groups = sorted((np.flatnonzero(of) for of in owners), key=lambda rows: int(rows[0]))
    members = {classes[rows[0]].name: tuple(classes[i] for i in rows) for rows in groups}
    together = {name: math.fsum(c.requests_per_second for c in of) for name, of in members.items()}
    sums = {name: loads[rows].sum(axis=0) for name, rows in zip(members, groups, strict=True)}
    certain = {name: _certain(loads[rows], sums[name]) for name, rows in zip(members, groups, strict=True)}
    columns = tuple(_column(c, j, together, sums) for j, c in enumerate(problem.columns))
    demands = tuple(replace(of[0], requests_per_second=together[name]) for name, of in members.items())
    small = replace(problem, classes=demands, columns=columns)
    return Merged(original=problem, problem=small, members=members, certain=certain)


def _loads(problem: Problem, classes: tuple[Demand, ...]) -> Floats:
    """Nodes that all of a class takes, by class and column; infinite where it cannot be served."""
    rates = np.array([[column.rate(c.name) for column in problem.columns] for c in classes])
    demand = np.array([[c.requests_per_second] for c in classes])
    loads = np.full(rates.shape, INFINITY)
    np.divide(demand, rates, out=loads, where=rates > 0)
    return loads


def _owners(
    problem: Problem, classes: tuple[Demand, ...], loads: Floats, places: Floats, most: int
) -> list[NDArray[np.bool_]]:
    """Members of each group, as masks. First a group for each kind of class and set of columns; then, again and again,
    the class that being merged may cost most becomes the centre of a group, to which those go that are nearer to it.
    `places` says where each class lies."""
    kinds: dict[object, list[int]] = {}
    for i, (demand, row) in enumerate(zip(classes, loads, strict=True)):
        kind = replace(demand, name="", requests_per_second=0.0)
        kinds.setdefault((repr(kind), np.isfinite(row).tobytes()), []).append(i)
    worth = _least_cost(problem, loads)
    centre, distance = np.zeros(len(classes), dtype=int), np.zeros(len(classes))
    of_kind: dict[int, tuple[np.ndarray, Floats]] = {}
    for rows in map(np.array, kinds.values()):
        directions = places[rows][:, np.isfinite(loads[rows[0]])]
        of_kind.update(dict.fromkeys(rows.tolist(), (rows, directions)))
        first = int(np.argmax(worth[rows]))
        centre[rows], distance[rows] = rows[first], _distances(directions, first)
    for _ in range(most - len(kinds)):
        farthest = int(np.argmax(distance * worth))
        if distance[farthest] == 0:
            break
        rows, directions = of_kind[farthest]
        fresh = _distances(directions, int(np.searchsorted(rows, farthest)))
        nearer = fresh < distance[rows]
        centre[rows[nearer]], distance[rows[nearer]] = farthest, fresh[nearer]
    return [centre == c for c in np.unique(centre)]


def _least_cost(problem: Problem, loads: Floats) -> Floats:
    """USD per hour of each class where it is cheapest, parts of nodes allowed; tiny where nothing serves it."""
    prices = {offer.id: float(offer.usd_per_hour) for offer in problem.offers}
    costs = loads * np.array([prices[column.offer] for column in problem.columns])
    least = costs.min(axis=1)
    return np.where(np.isfinite(least), least, 0.0)


def _distances(directions: Floats, centre: int) -> Floats:
    """How far apart the proportions of loads are: the logarithm of the largest over the smallest ratio (Hilbert's metric)."""
    if not directions.shape[1]:
        return np.zeros(len(directions))
    spread = np.ptp(directions - directions[centre], axis=1)
    return np.where(spread <= ALIKE, 0.0, spread)


def _certain(loads: Floats, total: Floats) -> float:
    """The sum over the members of the least part that each has of the merged load, over all columns."""
    able = np.isfinite(total)
    if not able.any():
        return 1.0
    part = float((loads[:, able] / total[able]).min(axis=1).sum())
    return 1.0 if part >= 1 - ALIKE else part


def _column(column: Column, j: int, together: Mapping[str, float], sums: Mapping[str, Floats]) -> Column:
    """The column with the rates of merged classes."""
    able = {name: float(loads[j]) for name, loads in sums.items() if math.isfinite(loads[j])}
    return replace(column, requests_per_second={name: together[name] / load for name, load in able.items()})


def _easiest(merged: Merged, wanted: _Wanted) -> Solution | Infeasible | None:
    """The answer to the easier problem; None where there was no time for one."""
    try:
        return wanted.search(merged.easier, wanted.patience.left)
    except TimeoutExpiredError:
        return None


def _infeasible(merged: Merged, found: Infeasible) -> Infeasible:
    """The news that the original has no fleet, with the original's names."""
    unservable = {member.name for name in found.unservable for member in merged.members[name]}
    return replace(
        found,
        problem_digest=codec.digest(merged.original),
        unservable=tuple(c.name for c in merged.original.classes if c.name in unservable),
    )


def _bound_of(merged: Merged, easier: Solution) -> float:
    """What the easier problem proves of the original: a cost as it is, a rate as so many times the demand."""
    if easier.mode is Mode.MIN_COST or merged.exact:
        return easier.bound
    return easier.bound / merged.easier.requests_per_second * merged.original.requests_per_second


def _unmerged(merged: Merged, found: Solution) -> Solution:
    """The solution with each member served as its merged class is; bounds still those of `found`."""
    original = merged.original
    factor = found.requests_per_second / merged.problem.requests_per_second
    served = factor * original.requests_per_second
    shares = [
        replace(
            share, workload_class=c.name, requests_per_second=share.share * c.requests_per_second * factor
        )
        for share in found.shares
        for c in merged.members[share.workload_class]
    ]
    return replace(
        found,
        problem_digest=codec.digest(original),
        shares=tuple(sorted(shares, key=_place)),
        requests_per_second=served,
        objective=found.objective if found.mode is Mode.MIN_COST else served,
        searched_classes=len(merged.members),
    )


def _better(one: Solution | None, other: Solution) -> Solution:
    """The better of two answers to one problem."""
    if one is None:
        return other
    sign = 1 if other.mode is Mode.MIN_COST else -1
    return min(one, other, key=lambda solution: sign * solution.objective)


def _place(share: SolvedShare) -> tuple[str, tuple[str, str]]:
    return share.workload_class, share.key


def _bounded(solution: Solution, bounds: list[float], gap: float) -> Solution:
    """With the best of the bounds, the first of which is certified; none is better than what was reached."""
    inner, outer = (min, max) if solution.mode is Mode.MIN_COST else (max, min)
    bound = inner(outer(bounds), solution.objective)
    reached = relative_gap(solution.objective, bound)
    within = reached <= gap + float(TOLERANCE)
    return replace(
        solution,
        bound=bound,
        certified_bound=inner(bounds[0], solution.objective),
        gap=reached,
        within_gap=within,
        ended=Ended.GAP if within else solution.ended,
    )
