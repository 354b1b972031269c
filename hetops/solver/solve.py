"""A problem to a certified solution: search, tidy, spread, bound, check. Holds no constraint of its own.

1. search: the exact model of `formulate`, within the problem's gap or a smaller one;
2. tidy: among fleets of the same columns that cost no more, the one with fewest pools;
3. spread: shares that leave every pool as much room as can be (`balance`);
4. bound and check: weak duality and the independent checker of `certify`. A solution that fails is never returned.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum

from hetops.domain import codec
from hetops.errors import HetopsError
from hetops.solver import by_period, crowd, highs, losses, start
from hetops.solver.bands import search_in_bands, too_late
from hetops.solver.certify import certify
from hetops.solver.cheapest import cheapest
from hetops.solver.formulate import Formulation, formulate
from hetops.solver.highs import OnInterrupt
from hetops.solver.known import Known
from hetops.solver.matrix import INFINITY, Row
from hetops.solver.merge import Means, search_merged
from hetops.solver.overall import overall
from hetops.solver.patience import Patience, stoppable
from hetops.solver.plain import read_plain
from hetops.solver.problem import Mode, Problem
from hetops.solver.proof import Proven, certified_bound, scarcity_prices
from hetops.solver.prune import able
from hetops.solver.settle import settle
from hetops.solver.solution import Ended, Infeasible, Solution, usd_of_shed
from hetops.solver.start import Relaxed, Searched
from hetops.solver.tidy import tidied

DEFAULT_LIMIT_SECONDS = 30.0
"""Search time after which the best fleet so far is taken, its gap stated."""

TIDY_SECONDS = 1.0
"""Far more than tidying takes; reached, the fleet stays as the search left it."""

PROOF_GAP = 1e-6
"""What `hetops solve --prove` asks for: as close as the solver's own tolerances allow to tell."""


class InLine(StrEnum):
    """How offers are seen that only price and stock tell apart."""

    AS_FEW = "as few"
    """Those behind the first of a line as one, as long as that is enough (`bands`)."""
    FOR_THEMSELVES = "for themselves"
    """Whoever asks has made few of them already."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A problem's model and its relaxation, where whoever asks has needed them already."""

    problem: Problem
    formulation: Formulation
    relaxed: Relaxed


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

    known = Known()

    def search_few(part: Problem, seconds: float) -> Solution | Infeasible:
        nonlocal known
        own = begun if begun and begun.problem is part else None
        found, known = _solve(part, replace(effort, limit_seconds=seconds), must_rent, known, own)
        return found

    means = Means(
        search=search_few,
        prices=scarcity_prices,
        nodes=lambda part: _renting(crowd.nodes_of(part), must_rent),
    )

    def search(part: Problem, seconds: float) -> Solution | Infeasible:
        gap = min(problem.gap, effort.most_gap)
        return search_merged(part, means, limit_seconds=seconds, gap=gap)

    with stoppable() if effort.on_interrupt is OnInterrupt.TAKE_BEST else nullcontext():
        if effort.in_line is InLine.AS_FEW:
            outcome = search_in_bands(problem, search, limit_seconds=effort.limit_seconds, apart=must_rent)
        else:
            outcome = search(problem, effort.limit_seconds)
        if isinstance(outcome, Solution):
            _demand_sound(problem, outcome)
    return outcome


def _solve(
    problem: Problem, effort: Effort, must_rent: Collection[str], known: Known, begun: Begun | None
) -> tuple[Solution | Infeasible, Known]:
    """As `solve`, for offers that all go into one model, and what is known after it; not checked yet."""
    began, patience = time.monotonic(), Patience.of(effort.limit_seconds)
    digest = codec.digest(problem)
    unservable = unservable_classes(problem)

    def form(part: Problem) -> Formulation:
        return _renting(formulate(part), must_rent) or formulate(part)

    formulation = begun.formulation if begun else formulated(problem, must_rent)
    if unservable or formulation is None:
        return Infeasible(problem_digest=digest, unservable=unservable), known
    asked = replace(problem, gap=min(problem.gap, effort.most_gap))
    if losses.are_many(problem):
        searched = losses.search(asked, formulation, form, effort.on_interrupt, patience)
    else:
        relaxed = begun.relaxed if begun else start.relax(formulation, patience)
        searched, known = _searched(
            formulation, relaxed, replace(effort, most_gap=asked.gap), patience, known
        )
    nothing = _serves_nothing(searched.formulation, searched.answer)
    if searched.answer.status is highs.Status.NOTHING_FOUND or (nothing and searched.ended is not Ended.GAP):
        raise too_late(effort.limit_seconds)
    if not searched.answer.found or nothing:
        return Infeasible(problem_digest=digest, solve_seconds=time.monotonic() - began), known
    tidy_seconds = 0.0 if must_rent else min(patience.left, effort.tidy_seconds)
    answer = cheapest(searched.formulation, searched.answer, tidy_seconds)
    searched = replace(searched, answer=answer)
    solution = (
        read_plain(asked, digest, searched, tidy_seconds)
        if problem.plain
        else read_answer(asked, digest, tidied(searched, tidy_seconds))
    )
    return replace(solution, solve_seconds=time.monotonic() - began), known


def _searched(
    formulation: Formulation, relaxed: Relaxed, effort: Effort, patience: Patience, known: Known
) -> tuple[Searched, Known]:
    """To the effort's gap: period by period where that can be; else as one model."""
    gap = effort.most_gap
    if by_period.separable(formulation):
        answer, known = by_period.search(formulation, relaxed, known, gap=gap, patience=patience)
    else:
        answer = start.search(
            formulation.model, relaxed, gap=gap, patience=patience, on_interrupt=effort.on_interrupt
        )
    return Searched(formulation=formulation, relaxed=relaxed, answer=answer), known


def formulated(problem: Problem, must_rent: Collection[str] = ()) -> Formulation | None:
    """The model that a search for `problem` begins with; None where it has no place, or none of what must be rented."""
    return _renting(formulate(losses.untold(problem)), must_rent)


def _renting(formulation: Formulation, offers: Collection[str]) -> Formulation | None:
    """The formulation with at least one node of the offers; None where it has no place, or none of them."""
    if not formulation.frame.places:
        return None
    if not offers:
        return formulation
    frame = formulation.frame
    terms = [
        (frame.nodes(t, j), 1.0)
        for t in range(len(frame.stretches))
        for j, column in enumerate(formulation.columns)
        if not column.offers.isdisjoint(offers)
    ]
    if not terms:
        return None
    row = Row(subject="rented whatever it costs", terms=terms, lower=1.0)
    return formulation.with_row(row)


def unservable_classes(problem: Problem) -> tuple[str, ...]:
    """Classes with demand that no column can serve, whatever is spent, and that may not be shed."""
    stretches = problem.stretches
    most = {c.name: max(stretch.rates[c.name] for stretch in stretches) for c in problem.classes}
    served = {
        name
        for column in able(problem, most)
        for name, rate in column.requests_per_second.items()
        if rate > 0
    }
    served |= {name for service in problem.services for name in service.usd_per_request}
    served |= {c.name for c in problem.classes if problem.sheds(c) and c.max_shed_share == 1}
    return tuple(c.name for c in problem.classes if most[c.name] > 0 and c.name not in served)


def _serves_nothing(formulation: Formulation, answer: highs.Answer) -> bool:
    scale = formulation.scale_index
    return scale is not None and answer.found and bool(answer.values[scale] <= highs.FEASIBILITY_TOLERANCE)


def read_answer(problem: Problem, digest: str, searched: Searched) -> Solution:
    """The solution that a search for `problem` found, with its bounds, not checked; for any terms."""
    formulation, answer = searched.formulation, searched.answer
    minimises, sign = problem.mode is Mode.MIN_COST, 1.0 if problem.mode is Mode.MIN_COST else -1.0
    settled = settle(formulation, answer.values)
    whole = overall(problem, settled.periods)
    usd_per_hour = whole.usd_per_hour + settled.changes_usd_per_hour
    objective = float(usd_per_hour + usd_of_shed(whole.shed)) if minimises else settled.requests_per_second
    certified = certified_bound(problem, formulation, searched.relaxed)
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
    )


def _demand_sound(problem: Problem, solution: Solution) -> None:
    violations = certify(problem, solution)
    if violations:
        raise HetopsError(
            f"{highs.NAME} answered with a fleet that breaks {violations[0].rule}",
            details=(f"{v.rule}: {v.subject}: {v.message}" for v in violations),
            hint="report this with the problem file (hetops plan --write-problem FILE)",
        )
