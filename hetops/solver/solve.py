"""A problem to a certified solution: search, tidy, spread, bound, check. Holds no constraint of its own.

1. search: the exact model of `formulate`, within the problem's gap or a smaller one;
2. tidy: among fleets of the same columns that cost no more, the one with fewest pools;
3. spread: shares that leave every pool as much room as can be (`balance`);
4. bound and check: weak duality and the independent checker of `certify`. A solution that fails is never returned.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hetops.domain import codec
from hetops.errors import HetopsError, TimeoutExpiredError
from hetops.solver import highs, hurried
from hetops.solver.answers.cheapest import cheapest
from hetops.solver.answers.overall import overall
from hetops.solver.answers.plain import read_plain
from hetops.solver.answers.settle import Settled, serves_nothing, settle, settle_as_found
from hetops.solver.answers.tidy import tidied
from hetops.solver.bands import search_in_bands, too_late
from hetops.solver.certify import certify
from hetops.solver.few_first import FewFirst
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.highs import OnInterrupt
from hetops.solver.matrix import INFINITY, Floats
from hetops.solver.merge import Means, search_merged
from hetops.solver.patience import Patience, stoppable, stopped
from hetops.solver.periods import boxes, freed, mean_budget, scarcest
from hetops.solver.periods.known import Known
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import (
    Proven,
    certified_bound,
    scarcity_prices,
    uncertified_bound,
)
from hetops.solver.prune import able
from hetops.solver.search import crowd, losses, start
from hetops.solver.search.begun import Begun, formulated, renting
from hetops.solver.search.start import Relaxed, Searched
from hetops.solver.solution import Ended, Infeasible, Solution, usd_of_shed
from hetops.solver.terms import Role

DEFAULT_LIMIT_SECONDS = 30.0
"""Search time after which the best fleet so far is taken, its gap stated."""

TIDY_SECONDS = 1.0
"""Far more than tidying takes; reached, the fleet stays as the search left it."""

FREED_PART = 0.5
"""Of the time: what a search may take that knows none of the limits no price takes apart, and whose answer may keep to them."""

BUDGET_PART = 0.8
"""Of the time that is left: what searches at prices of money may take, which find days that the model as a whole does not."""

PRICED_PART = 0.5
"""Of the gap: how near to the best a day is searched at one price of money."""

PROOF_GAP = 1e-6
"""What `hetops solve --prove` asks for: as close as the solver's own tolerances allow to tell."""


class InLine(StrEnum):
    """How offers are seen that only price and stock tell apart."""

    AS_FEW = "as few"
    """Those behind the first of a line as one, as long as that is enough (`bands`)."""
    FOR_THEMSELVES = "for themselves"
    """Whoever asks has made few of them already."""


class Use(StrEnum):
    """What an answer is wanted for."""

    TO_RENT = "to rent"
    """Its shares are made even, and exact arithmetic bounds it besides the search."""
    TO_COMPARE = "to compare"
    """Only its nodes, and what it costs or serves, are held against other answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long and how hard to search."""

    limit_seconds: float = DEFAULT_LIMIT_SECONDS
    """Infinite searches until the gap is reached."""
    most_gap: float = INFINITY
    """The search stops at this gap or the problem's own, whichever is smaller."""
    on_interrupt: OnInterrupt = OnInterrupt.CANCEL
    tidy_seconds: float = TIDY_SECONDS
    """Longest time for fewest pools, and for saving money at the largest rate; none leaves both as the search does."""
    in_line: InLine = InLine.AS_FEW
    use: Use = Use.TO_RENT


def solve(
    problem: Problem,
    *,
    limit_seconds: float = DEFAULT_LIMIT_SECONDS,
    effort: Effort | None = None,
    must_rent: Collection[str] = (),
    begun: Begun | None = None,
) -> Solution | Infeasible:
    """The best fleet for `problem`, certified; `Infeasible` where its limits allow none.

    `effort` says more than `limit_seconds` can, and replaces it. Of the offers in `must_rent` the fleet has at least
    one node, whatever that costs: the bound is then the best that any such fleet can do. What was `begun` of this very
    problem, with `must_rent`, is not done again.

    Raises:
        TimeoutExpiredError: no fleet was found in time, and none was ruled out.
        HetopsError: the solver failed, or its answer did not pass the checker.
        KeyboardInterrupt: Ctrl-C, and no fleet was found by then or none is to be taken.
    """
    effort = effort or Effort(limit_seconds=limit_seconds)
    patience = Patience.of(effort.limit_seconds)
    with stoppable() if effort.on_interrupt is OnInterrupt.TAKE_BEST else nullcontext():
        free = _freed(problem, effort, must_rent)
        asked = replace(problem, gap=min(problem.gap, effort.most_gap))
        answer = freed.answered(asked, free) if free else None
        answer = answer and replace(answer, problem_digest=codec.digest(problem))
        if answer is None and isinstance(free, Solution) and mean_budget.asks(problem):
            answer = _within_mean_budget(
                problem, free, replace(effort, limit_seconds=patience.left), must_rent
            )
        if isinstance(answer, Infeasible) or (answer and answer.ended is not Ended.TIME):
            return answer
        try:
            outcome = _outcome(problem, replace(effort, limit_seconds=patience.left), must_rent, begun)
        except (TimeoutExpiredError, KeyboardInterrupt) as end:
            if answer is None and stopped():
                raise KeyboardInterrupt from end
            if answer is None or not (stopped() or isinstance(end, TimeoutExpiredError)):
                raise
            outcome = answer
        if isinstance(outcome, Solution) and isinstance(free, Solution):
            outcome = freed.best(asked, [outcome, *([answer] if answer else [])], free)
        if isinstance(outcome, Solution):
            _demand_sound(problem, outcome)
    return outcome


def _freed(problem: Problem, effort: Effort, must_rent: Collection[str]) -> Solution | Infeasible | None:
    """The answer to the problem without what no price takes apart; None where it has nothing of it, or none is found in time."""
    free = freed.freed(problem)
    if free is None:
        return None
    rough = replace(effort, limit_seconds=effort.limit_seconds * FREED_PART)
    try:
        return _outcome(free, rough, must_rent, None)
    except TimeoutExpiredError:
        return None


def _within_mean_budget(
    problem: Problem, dear: Solution, effort: Effort, must_rent: Collection[str]
) -> Solution | None:
    """The best day that a price of money finds within the budget, where `dear` is the best without one; None where it finds none."""
    gap = min(problem.gap, effort.most_gap)

    def at(part: Problem, seconds: float) -> Solution | Infeasible | None:
        rough = replace(effort, limit_seconds=seconds, most_gap=gap * PRICED_PART)
        try:
            return _outcome(part, rough, must_rent, None)
        except (TimeoutExpiredError, KeyboardInterrupt) as end:
            if not (stopped() or isinstance(end, TimeoutExpiredError)):
                raise
            return None

    free = freed.freed(problem) or problem
    own = Patience.of(effort.limit_seconds * BUDGET_PART)
    found = mean_budget.search(replace(problem, gap=gap), free, dear, at, own)
    return found and replace(found, problem_digest=codec.digest(problem))


def _outcome(
    problem: Problem, effort: Effort, must_rent: Collection[str], begun: Begun | None
) -> Solution | Infeasible:
    """As `solve`, not checked yet."""
    past = _Past(gap=problem.gap, begun=begun)

    def whole(part: Problem, seconds: float) -> Solution | Infeasible:
        nonlocal past
        found, past = _solve(part, replace(effort, limit_seconds=seconds), must_rent, past)
        return found

    def few(part: Problem, seconds: float) -> Solution | Infeasible:
        return _solve(part, replace(effort, limit_seconds=seconds), must_rent, _Past(gap=part.gap))[0]

    def in_parts(part: Problem, seconds: float) -> Mapping[str, int]:
        nonlocal past
        past = past.of(part, must_rent, Patience.of(seconds))
        return past.begun.rented if past.begun else {}

    means = Means(
        search=FewFirst(whole=whole, few=few, must_rent=must_rent).search,
        prices=scarcity_prices,
        nodes=lambda part: renting(crowd.nodes_of(part, must_rent), must_rent),
    )

    def search(part: Problem, seconds: float) -> Solution | Infeasible:
        gap = min(problem.gap, effort.most_gap)
        return search_merged(part, means, limit_seconds=seconds, gap=gap)

    if effort.in_line is InLine.FOR_THEMSELVES:
        return search(problem, effort.limit_seconds)
    return search_in_bands(
        problem,
        search,
        limit_seconds=effort.limit_seconds,
        apart=must_rent,
        in_parts=in_parts if _ripens(problem) else None,
    )


def _ripens(problem: Problem) -> bool:
    """Whether its relaxation is no dearer than telling offers apart one search after another."""
    return problem.mode is Mode.MIN_COST and bool(problem.periods) and not problem.losses


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What the searches of a problem have begun with and found so far."""

    gap: float
    """Wanted in the end: another search follows one that is content with more."""
    begun: Begun | None = None
    known: Known = field(default_factory=Known)

    def of(self, problem: Problem, must_rent: Collection[str], patience: Patience) -> _Past:
        """With the problem's own model, and its relaxation where there is time for it now; with none where nothing can serve."""
        if self.begun and self.begun.is_of(problem):
            return replace(self, begun=self.begun.relaxed_within(patience))
        return replace(self, begun=Begun.of(problem, must_rent, patience))


def _solve(
    problem: Problem, effort: Effort, must_rent: Collection[str], past: _Past
) -> tuple[Solution | Infeasible, _Past]:
    """As `solve`, for offers that all go into one model, and what is known after it; not checked yet."""
    began, patience = time.monotonic(), Patience.of(effort.limit_seconds)
    digest = codec.digest(problem)
    unservable = unservable_classes(problem)

    def form(part: Problem) -> Formulation:
        return renting(formulate(part, must_rent=must_rent), must_rent) or formulate(part)

    if unservable:
        return Infeasible(problem_digest=digest, unservable=unservable), past
    asked = replace(problem, gap=min(problem.gap, effort.most_gap))
    if losses.are_many(problem):
        made = past.begun is not None and past.begun.is_of(problem)
        base = past.begun.formulation if past.begun and made else formulated(problem, must_rent)
        if base is None:
            return Infeasible(problem_digest=digest), past
        searched = losses.search(asked, base, form, effort.on_interrupt, patience)
    else:
        past = past.of(problem, must_rent, patience)
        if past.begun is None:
            return Infeasible(problem_digest=digest), past
        whole = not boxes.separable(past.begun.formulation)
        if whole and hurried.is_lost(problem, past.begun.relaxed):
            raise too_late(effort.limit_seconds)
        searched, past = _searched(past, past.begun, replace(effort, most_gap=asked.gap), patience)
    nothing = serves_nothing(searched.formulation, searched.answer)
    if searched.answer.status is highs.Status.NOTHING_FOUND or (nothing and searched.ended is not Ended.GAP):
        raise too_late(effort.limit_seconds)
    if not searched.answer.found or nothing:
        return Infeasible(problem_digest=digest, solve_seconds=time.monotonic() - began), past
    tidy_seconds = 0.0 if must_rent else min(patience.left, effort.tidy_seconds)
    solution = (
        _as_found(asked, digest, searched)
        if problem.gap > past.gap and _goes_on(searched, past.gap)
        else _finished(asked, digest, searched, replace(effort, tidy_seconds=tidy_seconds))
    )
    return replace(solution, solve_seconds=time.monotonic() - began), past


def _searched(past: _Past, begun: Begun, effort: Effort, patience: Patience) -> tuple[Searched, _Past]:
    """To the effort's gap: period by period where that can be; else as one model."""
    formulation, relaxed, gap = begun.formulation, begun.relaxed, effort.most_gap
    if boxes.separable(formulation):
        answer, known = boxes.search(formulation, relaxed, past.known, gap=gap, patience=patience)
        past = replace(past, known=known)
    elif scarcest.shares_the_rate_alone(formulation):
        answer = scarcest.search(formulation, gap=gap, patience=patience)
    else:
        answer = start.search(
            formulation.model, relaxed, gap=gap, patience=patience, on_interrupt=effort.on_interrupt
        )
    return Searched(formulation=formulation, relaxed=relaxed, answer=answer), past


def _goes_on(searched: Searched, gap: float) -> bool:
    """Whether a search to this gap can go on from where this one ended, and has to."""
    answer = searched.answer
    missing = answer.objective - answer.bound > gap * abs(answer.objective)
    return missing and boxes.separable(searched.formulation)


def _finished(problem: Problem, digest: str, searched: Searched, effort: Effort) -> Solution:
    """The solution that a search found, tidied, and evened out where somebody would rent it."""
    seconds = effort.tidy_seconds
    searched = replace(searched, answer=cheapest(searched.formulation, searched.answer, seconds))
    if problem.plain:
        return read_plain(problem, digest, searched, seconds)
    if effort.use is Use.TO_COMPARE:
        return _as_found(problem, digest, searched)
    return read_answer(problem, digest, tidied(searched, seconds))


def _as_found(problem: Problem, digest: str, searched: Searched) -> Solution:
    """The solution that a search found, to be looked at and searched on from."""
    return read_answer(problem, digest, searched, settle_as_found, uncertified_bound)


def unservable_classes(problem: Problem) -> tuple[str, ...]:
    """Classes with demand that no column can serve, whatever is spent, and that may not be shed."""
    stretches = problem.stretches
    most = {c.name: max(stretch.rates[c.name] for stretch in stretches) for c in problem.classes}
    parts = defaultdict(set)
    for column in able(problem, most):
        for name in (name for name, rate in column.requests_per_second.items() if rate > 0):
            parts[name].add(column.role)
    served = {name for name, of in parts.items() if Role.WHOLE in of or {Role.PREFILL, Role.DECODE} <= of}
    served |= {name for service in problem.services for name in service.usd_per_request}
    served |= {c.name for c in problem.classes if problem.sheds(c) and c.max_shed_share == 1}
    return tuple(c.name for c in problem.classes if most[c.name] > 0 and c.name not in served)


def read_answer(
    problem: Problem,
    digest: str,
    searched: Searched,
    settled_by: Callable[[Formulation, Floats], Settled] = settle,
    bounded_by: Callable[[Problem, Formulation, Relaxed], float] = certified_bound,
) -> Solution:
    """The solution that a search for `problem` found, with its bounds, not checked; for any terms."""
    formulation, answer = searched.formulation, searched.answer
    minimises, sign = problem.mode is Mode.MIN_COST, 1.0 if problem.mode is Mode.MIN_COST else -1.0
    settled = settled_by(formulation, answer.values)
    whole = overall(problem, settled.periods)
    of_pools = problem.usd_per_pool_hour * len(whole.pools)
    usd_per_hour = whole.usd_per_hour + settled.changes_usd_per_hour + of_pools
    objective = float(usd_per_hour + usd_of_shed(whole.shed)) if minimises else settled.requests_per_second
    certified = bounded_by(problem, formulation, searched.relaxed)
    proven = Proven.of(problem, objective, sign * answer.bound * formulation.unit, certified)
    unknown = {offer.id for offer in problem.offers if offer.max_nodes is None}
    rented = {o for p in whole.pools for o in p.rented} | {r.offer for r in whole.rentals}
    return Solution(
        mode=problem.mode,
        problem_digest=digest,
        pools=whole.pools,
        shares=whole.shares,
        usd_per_hour=usd_per_hour,
        requests_per_second=settled.requests_per_second,
        objective=objective,
        bound=proven.bound,
        certified_bound=certified,
        gap=proven.gap,
        within_gap=proven.within_gap,
        assumed_offers=tuple(sorted(unknown & rented)),
        solver=highs.NAME,
        solve_seconds=answer.seconds,
        ended=Ended.GAP if proven.within_gap else searched.ended,
        rentals=whole.rentals,
        handovers=whole.handovers,
        periods=settled.periods if problem.periods else (),
        waits=settled.waits,
        losses=settled.losses,
        shed=whole.shed,
        changes_usd_per_hour=settled.changes_usd_per_hour,
        pools_usd_per_hour=of_pools,
    )


def _demand_sound(problem: Problem, solution: Solution) -> None:
    violations = certify(problem, solution)
    if violations:
        raise HetopsError(
            f"{highs.NAME} answered with a fleet that breaks {violations[0].rule}",
            details=(f"{v.rule}: {v.subject}: {v.message}" for v in violations),
            hint="report this with the problem file (hetops plan --write-problem FILE)",
        )
