"""The searches that explanations are made of: each is a whole search, within its seconds, mostly to a millionth.

Of thousands of offers they see those in front of their lines, and the rest of each line as one. Decides nothing: what a
search finds is a value, the absence of a fleet too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from hetops.errors import TimeoutExpiredError
from hetops.solver.bands import SPARE, Bands
from hetops.solver.certify import relative_gap
from hetops.solver.matrix import INFINITY
from hetops.solver.patience import Patience
from hetops.solver.problem import Mode, PricedOffer, Problem, running
from hetops.solver.search.begun import Begun
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import PROOF_GAP, Effort, InLine, Use, solve, unservable_classes

ROUNDING = 2 * PROOF_GAP
"""Relative difference of two objectives below which neither fleet is shown to be better."""

LONG = 400
"""Nodes of columns in periods from which on a day is long."""

LEAST_SECONDS = 1.0
"""Of a search, where the one before it took the time of both."""

Change = Callable[[Problem], Problem | None]
"""What a question changes of a problem; None where nothing is left that could serve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search found. No solution and `exact`: there is none; not `exact`: there was none in time."""

    solution: Solution | None
    exact: bool

    @property
    def objective(self) -> float | None:
        """USD per hour or requests per second; None without a solution."""
        return self.solution.objective if self.solution else None


def wanted_gap(problem: Problem) -> float:
    """How near to the best an answer is to come: a millionth; of a long day, for which no time suffices, what the problem asks."""
    return INFINITY if len(problem.periods) * len(problem.columns) >= LONG else PROOF_GAP


def look(problem: Problem, seconds: float) -> Found:
    """The best fleet."""
    return _found(outcome(problem, _effort(problem, seconds)))


def _effort(problem: Problem, seconds: float) -> Effort:
    gap = wanted_gap(problem)
    return Effort(limit_seconds=seconds, most_gap=gap, tidy_seconds=0.0, use=Use.TO_COMPARE)


def outcome(
    problem: Problem, effort: Effort, must_rent: Collection[str] = (), begun: Begun | None = None
) -> Solution | Infeasible | None:
    """As `solve`; None where there was no answer in time."""
    try:
        return solve(problem, effort=effort, must_rent=must_rent, begun=begun)
    except TimeoutExpiredError:
        return None


def _found(answer: Solution | Infeasible | None) -> Found:
    if isinstance(answer, Solution):
        return found(answer)
    return Found(solution=None, exact=answer is not None)


def found(solution: Solution) -> Found:
    """A solution as a search would have found it."""
    return Found(solution=solution, exact=solution.gap <= PROOF_GAP)


def or_known(answer: Found, known: Solution) -> Found:
    """What a search found, or a fleet that is known of the same question where that is no worse: with the better bound of both."""
    inner, outer = (min, max) if known.mode is Mode.MIN_COST else (max, min)
    searched = answer.solution.bound if answer.solution else known.bound
    bound = inner(outer(known.bound, searched), known.objective)
    proven = replace(known, bound=bound, gap=relative_gap(known.objective, bound))
    return best(known.mode, answer, found(proven))


def no_worse(answer: Found, than: Found) -> Found:
    """What a search found, or the answer to a question that leaves less: a fleet of this one too, of which it proves nothing here."""
    if than.solution is None:
        return answer
    anything = 0.0 if than.solution.mode is Mode.MIN_COST else INFINITY
    return or_known(answer, replace(than.solution, bound=anything))


def best(mode: Mode, *found: Found) -> Found:
    """The better of several answers to the same question: a fleet under a limit is one without it, too. Of those as good but for rounding
    one that is proven."""
    sign = 1 if mode is Mode.MIN_COST else -1
    solved = [f for f in found if f.solution]
    if not solved:
        return found[0]
    first = min(solved, key=lambda f: sign * (f.objective or 0.0))
    return next((f for f in solved if f.exact and not better(mode, first, f)), first)


def better(mode: Mode, one: Found, than: Found) -> bool:
    """Whether the first is better, by more than rounding; any fleet is better than none."""
    if one.objective is None or than.objective is None:
        return one.objective is not None and than.objective is None
    ahead = than.objective - one.objective if mode is Mode.MIN_COST else one.objective - than.objective
    return ahead > ROUNDING * abs(than.objective)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A problem as questions see it: few of its offers for themselves, the rest of each line of equal offers as one."""

    bands: Bands
    known: frozenset[tuple[str, str]] = frozenset()
    """Columns of the answer that questions are about: what a changed problem is answered with mostly stands on them too."""

    @classmethod
    def of(cls, problem: Problem, solution: Solution) -> Front:
        """Of each line those up to the last that the solution rents stand for themselves, with spare ones where they may be lost."""
        bands = Bands.of(problem)
        rented = {o for stretch in solution.stretches for pool in stretch.pools for o in pool.rented}
        last = (max((i + 1 for i, o in enumerate(line) if o.id in rented), default=0) for line in bands.lines)
        spare = SPARE if problem.losses else 0
        alone = (
            min(first + spare, len(line)) if first else 0
            for line, first in zip(bands.lines, last, strict=True)
        )
        known = frozenset(pool.key for stretch in solution.stretches for pool in stretch.pools)
        return cls(bands=bands, known=known)._in_lines(zip(bands.lines, alone, strict=True))

    def _in_lines(self, lines: Iterable[tuple[tuple[PricedOffer, ...], int]]) -> Front:
        """With these lines and how many of each stand for themselves; who stands alone does."""
        told = [(line, max(first, int(len(line) == 1))) for line, first in lines if line]
        alone = tuple(first for _, first in told)
        return replace(self, bands=replace(self.bands, lines=tuple(line for line, _ in told), alone=alone))

    def apart(self, offers: Collection[str]) -> Front:
        """Where a question is about some offers: no line holds both of them and of others."""
        parts = (
            (tuple(o for o in line if (o.id in offers) is asked), asked, line[:first])
            for line, first in zip(self.bands.lines, self.bands.alone, strict=True)
            for asked in (True, False)
        )
        lines = ((own, sum((o.id in offers) is asked for o in front)) for own, asked, front in parts)
        return self._in_lines(lines)

    def ask(self, change: Change, seconds: float, *, must_rent: Collection[str] = ()) -> Found:
        """The best fleet of the changed problem; with `must_rent` the best that has a node of those offers."""
        effort = _effort(self.bands.problem, seconds)
        return _found(self.search(change, effort, must_rent=must_rent))

    def search(
        self, change: Change, effort: Effort, *, must_rent: Collection[str] = ()
    ) -> Solution | Infeasible | None:
        """As `solve` on the changed problem; None where there was no answer in time.

        The change and `must_rent` treat offers of one line alike, but for those that stand for themselves: `apart` sees
        to it. Where the answer takes more of what is one for many than its first offer has, more stand for themselves.
        """
        patience, least = Patience.of(effort.limit_seconds), min(effort.limit_seconds, LEAST_SECONDS)
        effort, bands = replace(effort, in_line=InLine.FOR_THEMSELVES), self.bands
        while True:
            problem = change(bands.searched)
            if problem is None:
                return Infeasible()
            begun = self._begun(problem, must_rent, patience)
            ripe = bands.finer_by(begun.rented if begun else {})
            if ripe != bands and patience.left > 0:
                bands = ripe
                continue
            within = replace(effort, limit_seconds=max(patience.left, least))
            answer = outcome(problem, within, must_rent, begun)
            if not isinstance(answer, Solution):
                return answer
            finer = bands.finer(answer)
            if finer == bands:
                return bands.restated(answer)
            bands = finer

    def _begun(self, problem: Problem, must_rent: Collection[str], patience: Patience) -> Begun | None:
        """The model and its relaxation; None where nothing can serve."""
        if unservable_classes(problem):
            return None
        return Begun.beside(problem, must_rent, patience, self.known)


def unchanged(problem: Problem) -> Problem:
    """No change."""
    return problem


def without(offers: Collection[str], problem: Problem) -> Problem | None:
    """The problem without the columns of some offers; None where none is left. What runs there serves nothing, and goes."""
    runs = running(problem)
    stays = {column.key: column.offers.isdisjoint(offers) for column in problem.columns}
    if not any(stays.values()):
        return None
    kept = (c for c in problem.columns if stays[c.key] or c.key in runs)
    columns = (c if stays[c.key] else replace(c, requests_per_second={}) for c in kept)
    return replace(problem, columns=tuple(columns))
