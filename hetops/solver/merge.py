"""Searches thousands of classes as if they were few: what goes to the same places is one.

What a class asks of a column is its load: its demand over the rate of a node. Classes served by the same columns are
merged into one whose load is their sum. Whatever shares serve the merged class serve each member, with the same load on
every node: so the answer is one of the problem itself. Which classes are merged is a matter of what it costs:

* those whose loads are in the same proportions throughout: nothing;
* those that go to the same pools in the same parts, once it is known how a fleet serves each class (`crowd`): nothing, for
  that fleet; and that is the best fleet, where the search of all classes had the time to find and prove it;
* where it had not, those that are nearly as dear on every column that could be theirs, at the scarcity prices of the
  problem with all its classes, and those whose loads are in nearly the same proportions. The best answer is taken.

What merging may cost is in the gap: bounds are those of that search and of weak duality, both with every class as it is.
Decides which classes the search tells apart, in problems without terms; knows nothing of rows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetops.domain import codec
from hetops.errors import TimeoutExpiredError
from hetops.solver.certify import ScarcityPrices, weak_duality_bound
from hetops.solver.formulate import Formulation
from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.patience import Pace, Patience, stopped
from hetops.solver.problem import Column, Demand, Mode, Problem
from hetops.solver.proof import bounded
from hetops.solver.search import crowd
from hetops.solver.search.crowd import Found
from hetops.solver.search.scarcity import priced
from hetops.solver.search.worth import Filled
from hetops.solver.solution import Ended, Infeasible, Solution, SolvedShare

Search = Callable[[Problem, float], Solution | Infeasible]
"""The answer to a problem within so many seconds of search."""

MOST_CLASSES = 200
"""Problems of no more classes are searched as they are; of more, so many are told apart."""

MOST_PARTED = 1_000
"""Kinds of parts that a fleet which is no answer yet may be shared out in, and still be worth a search of its own."""

COMPETES = 0.1
"""Logarithm of how much dearer than its cheapest column one may be and still matter: a tenth, or thereabouts."""

PART_OF_TIME = 0.6
"""What the search of all classes may take; the rest is for fleets of few."""

LEAST_WORK_SECONDS = 1.5
"""And of work at least, where there is any time: on a busy machine in more than that. Fleets of few classes would take longer."""

ALIKE = 1e-9
"""Loads whose proportions differ by no more are the same: far below the solver's own tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A problem with few classes in place of many; each has the name of its first member."""

    original: Problem
    problem: Problem
    members: Mapping[str, tuple[Demand, ...]]
    """By merged class."""
    exact: bool
    """Whether merging loses nothing: in every merged class the loads are in the same proportions."""

    @property
    def servable(self) -> bool:
        """Whether every class has a column that serves it."""
        served = {n for c in self.problem.columns for n, rate in c.requests_per_second.items() if rate > 0}
        return served.issuperset(self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a search of many classes is made of."""

    search: Search
    prices: Callable[[Problem], ScarcityPrices]
    nodes: Callable[[Problem], Formulation | None]
    """The model of a problem's nodes alone; None where nothing serves."""


def search_merged(
    problem: Problem, means: Means, *, limit_seconds: float, gap: float
) -> Solution | Infeasible:
    """The answer to `problem`, found on few classes where it has many; errors as those of `means.search`.

    Its gap, of which `gap` is wanted, includes what merging may cost.
    """
    if not _has_many(problem):
        return means.search(problem, limit_seconds)
    pace = Pace.now()
    merged = merge(problem, most=MOST_CLASSES)
    began = time.monotonic()
    wanted = _Wanted(means=means, gap=gap, patience=Patience.of(limit_seconds), pace=pace)
    answer = (_exactly if merged.exact or not merged.servable else _nearly)(merged, wanted)
    answer = replace(answer, solve_seconds=time.monotonic() - began)
    if isinstance(answer, Infeasible) or answer.within_gap or wanted.patience.left > 0:
        return answer
    return replace(answer, ended=Ended.INTERRUPTED if stopped() else Ended.TIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """How to search, how near to come, and how long."""

    means: Means
    gap: float
    patience: Patience
    pace: Pace

    def search(self, problem: Problem, seconds: float) -> Solution | Infeasible:
        """The answer to a problem of few classes."""
        return self.means.search(problem, seconds)


def _exactly(merged: Merged, wanted: _Wanted) -> Solution | Infeasible:
    """The answer where merging costs nothing."""
    found = wanted.search(merged.problem, wanted.patience.left)
    if isinstance(found, Infeasible):
        return _infeasible(merged, found)
    certified = float(weak_duality_bound(merged.original, wanted.means.prices(merged.problem)))
    return bounded(_unmerged(merged, found), found.bound, certified, wanted.gap)


def _nearly(merged: Merged, wanted: _Wanted) -> Solution | Infeasible:
    """The answer where it costs something: by the best fleet for all classes; without one by the best of few."""
    problem, patience = merged.original, wanted.patience
    everywhere = Classes.of(problem)
    known = _known(everywhere, wanted)
    if known.impossible:
        return Infeasible(problem_digest=codec.digest(problem))
    prices, charges = _priced(everywhere, patience)
    certified = float(weak_duality_bound(problem, prices or wanted.means.prices(merged.problem)))
    best: Solution | None = None
    for grouping in _groupings(everywhere, merged, known, charges):
        found = _in_time(grouping.problem, wanted)
        if isinstance(found, Solution):
            best = _better(best, bounded(_unmerged(grouping, found), known.bound, certified, wanted.gap))
        if best is not None and best.within_gap and known.good:
            return replace(best, searched_classes=None)  # all of them were told apart
        if best is not None and (best.within_gap or patience.left == 0):
            return best
    if best is not None and math.isfinite(patience.left):
        return best
    return wanted.search(problem, patience.left)  # with every class, however large its model is


def _in_time(problem: Problem, wanted: _Wanted) -> Solution | Infeasible | None:
    """The answer to a problem of few classes; None where half the time that is left does not suffice for a fleet."""
    try:
        return wanted.search(problem, wanted.patience.left / 2)
    except TimeoutExpiredError:
        return None


def _known(everywhere: Classes, wanted: _Wanted) -> Found:
    """What is known of all classes without merging any."""
    formulation = wanted.means.nodes(everywhere.problem)
    if formulation is None:
        return Found(bound=0.0, columns=(), impossible=True)
    least = LEAST_WORK_SECONDS * wanted.pace.slowness if wanted.patience.left > 0 else 0.0
    patience = Patience.of(max(wanted.patience.left * PART_OF_TIME, least))
    return crowd.search(formulation, gap=wanted.gap, patience=patience)


def with_few_classes(problem: Problem) -> Problem:
    """The problem itself where it has few classes, or terms; else merged: every fleet of it is one of the problem's."""
    return merge(problem, most=MOST_CLASSES).problem if _has_many(problem) else problem


def _has_many(problem: Problem) -> bool:
    return problem.plain and len(problem.classes) > MOST_CLASSES


def _priced(everywhere: Classes, patience: Patience) -> tuple[ScarcityPrices | None, Floats | None]:
    """Scarcity prices, and what a node of each column costs with them; None at the largest rate."""
    if everywhere.problem.mode is not Mode.MIN_COST:
        return None, None
    return priced(everywhere.problem, everywhere.loads, Patience.of(patience.left / 4))


def _groupings(everywhere: Classes, merged: Merged, known: Found, charges: Floats | None) -> Iterator[Merged]:
    """Ways to merge the classes, the most promising first."""
    if known.best and known.best.ways.size:
        filled = as_filled(everywhere, known, known.best)
        if known.good or len(filled.members) <= MOST_PARTED:
            yield filled
    if charges is not None:
        costs = everywhere.loads * charges
        dearer = np.minimum(np.log(costs / costs.min(axis=1, keepdims=True)), COMPETES)
        yield _joined(everywhere, _owners(everywhere, dearer, MOST_CLASSES))
    yield merged


def as_filled(everywhere: Classes, known: Found, best: Filled) -> Merged:
    """Classes that go to the same pools of a fleet in the same parts are one. A good fleet has no use for other columns,
    so there it matters nothing where else each of them could go."""
    of = np.unique(best.ways, axis=0, return_inverse=True)[1].reshape(-1)
    kinds = [np.arange(len(of))] if known.good else _kinds(everywhere)
    owners = [rows[of[rows] == one] for rows in kinds for one in np.unique(of[rows])]
    grouping = _joined(everywhere, owners)
    if not known.good:
        return grouping
    used = {known.columns[j].key for j in np.unique(best.ways)}
    columns = tuple(c for c in grouping.problem.columns if c.key in used)
    return replace(grouping, problem=replace(grouping.problem, columns=columns))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classes:
    """The classes of a problem that have a demand, and the nodes that all of each takes, by class and column."""

    problem: Problem
    classes: tuple[Demand, ...]
    loads: Floats
    """Infinite where a class cannot be served."""

    @classmethod
    def of(cls, problem: Problem) -> Classes:
        """Those of a problem, by their names."""
        classes = tuple(
            sorted((c for c in problem.classes if c.requests_per_second > 0), key=lambda c: c.name)
        )
        rates = np.array([[column.rate(c.name) for column in problem.columns] for c in classes])
        demand = np.array([[c.requests_per_second] for c in classes])
        loads = np.full(rates.shape, INFINITY)
        np.divide(demand, rates, out=loads, where=rates > 0)
        return cls(problem=problem, classes=classes, loads=loads)


def merge(problem: Problem, *, most: int) -> Merged:
    """`problem` with `most` classes, or as few as there are unlike ones; more where they go to more sets of columns.

    Classes without demand are left out.
    """
    everywhere = Classes.of(problem)
    return _joined(everywhere, _owners(everywhere, np.log(everywhere.loads), most))


def _joined(everywhere: Classes, owners: list[NDArray[np.int64]]) -> Merged:
    """The problem with one class for each group of members."""
    problem, classes, loads = everywhere.problem, everywhere.classes, everywhere.loads
    groups = sorted(owners, key=lambda rows: int(rows[0]))
    members = {classes[rows[0]].name: tuple(classes[i] for i in rows) for rows in groups}
    together = {name: math.fsum(c.requests_per_second for c in of) for name, of in members.items()}
    sums = {name: loads[rows].sum(axis=0) for name, rows in zip(members, groups, strict=True)}
    columns = tuple(_column(c, j, together, sums) for j, c in enumerate(problem.columns))
    demands = tuple(replace(of[0], requests_per_second=together[name]) for name, of in members.items())
    small = replace(problem, classes=demands, columns=columns)
    exact = all(_alike(loads[rows], total) for rows, total in zip(groups, sums.values(), strict=True))
    return Merged(original=problem, problem=small, members=members, exact=exact)


def _kinds(everywhere: Classes) -> list[NDArray[np.int64]]:
    """The classes that may merge with one another: alike but for name and rate, and served by the same columns."""
    kinds: dict[object, list[int]] = {}
    for i, (demand, row) in enumerate(zip(everywhere.classes, everywhere.loads, strict=True)):
        kind = replace(demand, name="", requests_per_second=0.0)
        kinds.setdefault((repr(kind), np.isfinite(row).tobytes()), []).append(i)
    return [np.array(rows) for rows in kinds.values()]


def _owners(everywhere: Classes, places: Floats, most: int) -> list[NDArray[np.int64]]:
    """Members of each group. First a group for each kind of class; then, again and again, the class that being merged may
    cost most becomes the centre of a group, to which those go that are nearer to it. `places` says where each class lies."""
    loads, kinds = everywhere.loads, _kinds(everywhere)
    worth = _least_cost(everywhere.problem, loads)
    centre, distance = np.zeros(len(loads), dtype=int), np.zeros(len(loads))
    of_kind: dict[int, tuple[np.ndarray, Floats]] = {}
    for rows in kinds:
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
    return [np.flatnonzero(centre == c) for c in np.unique(centre)]


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


def _alike(loads: Floats, total: Floats) -> bool:
    """Whether the members of a merged class have the same part of its load on every column."""
    parts = loads[:, np.isfinite(total)] / total[np.isfinite(total)]
    return bool(parts.min(axis=1, initial=1.0).sum() >= 1 - ALIKE) if parts.size else True


def _column(column: Column, j: int, together: Mapping[str, float], sums: Mapping[str, Floats]) -> Column:
    """The column with the rates of merged classes."""
    able = {name: float(loads[j]) for name, loads in sums.items() if math.isfinite(loads[j])}
    return replace(column, requests_per_second={name: together[name] / load for name, load in able.items()})


def _infeasible(merged: Merged, found: Infeasible) -> Infeasible:
    """The news that the original has no fleet, with the original's names."""
    unservable = {member.name for name in found.unservable for member in merged.members[name]}
    return replace(
        found,
        problem_digest=codec.digest(merged.original),
        unservable=tuple(c.name for c in merged.original.classes if c.name in unservable),
    )


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
