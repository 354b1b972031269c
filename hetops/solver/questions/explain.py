"""The losers: the best fleet under one further restriction, found by solving again, never read off a dual.

Decides which restrictions are worth trying; `solve` answers them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from hetops.domain.plan import Alternative
from hetops.errors import TimeoutExpiredError
from hetops.solver.certify import certify
from hetops.solver.matrix import INFINITY
from hetops.solver.problem import Mode, Problem, running, with_sharers
from hetops.solver.proof import Proven
from hetops.solver.questions.exact import Front, without
from hetops.solver.side_by_side import each_of, side_by_side
from hetops.solver.solution import Infeasible, Solution, usd_of_shed
from hetops.solver.solve import TIDY_SECONDS, Effort, Use, solve

LEAST_SECONDS = 1.0
"""Time that even one question of many gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A solution and what it was held against.

    `solution` is the best fleet that any question found: with a gap allowed, a restricted search can stumble on a
    better fleet than the search that was allowed to stop early. So no alternative is ever better than it.
    """

    solution: Solution
    alternatives: tuple[Alternative, ...] = ()


def weigh(
    problem: Problem, solution: Solution, *, limit_seconds: float = 20.0, most_gap: float = INFINITY
) -> Weighed:
    """The best fleet of each GPU type alone, without each offer in use, and without each provider in use: the best first.

    Each is searched for to `most_gap` or the problem's own gap, whichever is smaller.
    """
    questions = tuple(_questions(problem, solution))
    each = max(each_of(limit_seconds, len(questions)), LEAST_SECONDS)
    tidy = TIDY_SECONDS if problem.mode is Mode.MAX_THROUGHPUT else 0.0
    effort = Effort(limit_seconds=each, most_gap=most_gap, tidy_seconds=tidy, use=Use.TO_COMPARE)
    front = Front.of(problem, solution)
    answers = side_by_side(lambda asked: _asked(front, asked[1], effort), questions)
    best = _best(problem, solution, (a for a in answers if isinstance(a, Solution)))
    told = zip((words for words, _ in questions), answers, strict=True)
    others = ((words, a) for words, a in told if not isinstance(a, Solution) or a.nodes != best.nodes)
    alternatives = (_alternative(words, a, best) for words, a in others)
    return Weighed(solution=best, alternatives=tuple(sorted(alternatives, key=_dearness)))


def _asked(front: Front, offers: frozenset[str], effort: Effort) -> Solution | Infeasible | None:
    """The outcome for some of the offers; None where there was none in time."""
    return front.apart(offers).search(partial(_restricted, offers=offers), effort)


def _restricted(problem: Problem, offers: Collection[str]) -> Problem | None:
    """The problem on some of its offers; None where no column is left."""
    left = without({o.id for o in problem.offers if o.id not in offers}, problem)
    if left is None or not problem.plain:
        return left
    sold = tuple(offer for offer in problem.offers if offer.id in offers)
    known = {offer.provider for offer in sold}
    budgets = {name: usd for name, usd in problem.provider_budgets_usd_per_hour.items() if name in known}
    return replace(left, offers=sold, provider_budgets_usd_per_hour=budgets)


def _questions(problem: Problem, solution: Solution) -> Iterator[tuple[str, frozenset[str]]]:
    """Restrictions in words, each with the offers that it leaves."""
    with_columns = {offer for column in problem.columns for offer in column.offers}
    offers = [offer for offer in problem.offers if offer.id in with_columns]
    used = [offer for offer in offers if offer.id in {o for pool in solution.pools for o in pool.rented}]
    for gpu in sorted({o.gpu for o in offers} - {""}):
        if {o.gpu for o in used} != {gpu}:
            yield f"only {gpu}", frozenset(o.id for o in offers if o.gpu == gpu)
    for offer in used:
        yield f"without {offer.id}", frozenset(o.id for o in offers if o.id != offer.id)
    if len({o.provider for o in offers}) > 1:
        for provider in sorted({o.provider for o in used}):
            left = frozenset(o.id for o in offers if o.provider != provider)
            yield f"without provider {provider or 'unnamed'}", left


def _best(problem: Problem, solution: Solution, answers: Iterable[Solution]) -> Solution:
    """The best of all, as a certified solution of `problem` itself: a fleet under a restriction is one without it."""
    best = solution
    for found in answers:
        answer = _to_rent(problem, found) if _better(found, best) else best
        if not _better(answer, best):
            continue
        proven = Proven.of(problem, answer.objective, solution.bound, solution.certified_bound)
        adopted = replace(
            answer,
            problem_digest=solution.problem_digest,
            bound=proven.bound,
            certified_bound=solution.certified_bound,
            gap=proven.gap,
            within_gap=proven.within_gap,
        )
        best = adopted if not certify(problem, adopted) else best
    return best


def _to_rent(problem: Problem, found: Solution) -> Solution:
    """The best of a fleet's columns, as somebody would rent it: what was found to compare has shares as it happened."""
    kept = {pool.key for pool in found.pools}
    few = replace(problem, columns=with_sharers(problem.columns, kept | set(running(problem))))
    try:
        outcome = solve(few, effort=Effort(limit_seconds=LEAST_SECONDS))
    except TimeoutExpiredError:
        return found
    return outcome if isinstance(outcome, Solution) and not _better(found, outcome) else found


def _better(answer: Solution, than: Solution) -> bool:
    """Cheaper, or when maximising faster, by more than rounding."""
    ahead = (
        than.objective - answer.objective if than.mode is Mode.MIN_COST else answer.objective - than.objective
    )
    return ahead > 1e-9 * abs(than.objective)


def _alternative(description: str, answer: Solution | Infeasible | None, best: Solution) -> Alternative:
    """How much dearer an answer is than the best; when maximising, how much longer it takes for the same requests."""
    if not isinstance(answer, Solution):
        words = description if answer else f"{description} (not found in time)"
        return Alternative(description=words, usd_per_hour=None, difference_share=None)
    words = description if answer.within_gap else f"{description} (best found in time)"
    if answer.mode is Mode.MAX_THROUGHPUT:
        words += f", {answer.requests_per_second:.4g} requests per second"
    if answer.shed:
        words += f", ${usd_of_shed(answer.shed):.2f} of it for what is turned away"
    dearer = _dearness_of(answer) / _dearness_of(best)
    return Alternative(
        description=words, usd_per_hour=answer.counted_usd_per_hour, difference_share=dearer - 1
    )


def _dearness(alternative: Alternative) -> float:
    return INFINITY if alternative.difference_share is None else alternative.difference_share


def _dearness_of(solution: Solution) -> float:
    """What the same demand costs, with what shedding does; when maximising, the seconds that a request takes."""
    if solution.mode is Mode.MAX_THROUGHPUT:
        return 1 / solution.requests_per_second
    return float(solution.counted_usd_per_hour)
