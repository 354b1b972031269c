"""Why there is no fleet: every single change that lets one exist, each confirmed by solving the changed problem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hetops.solver.bands import Bands
from hetops.solver.limit import LimitKind
from hetops.solver.problem import Problem
from hetops.solver.questions.exact import Found, Front, look, unchanged
from hetops.solver.questions.explanation import Statement, Topic, Unit, at, capital
from hetops.solver.questions.limits import Liftable, any_limit
from hetops.solver.questions.relax import relaxations
from hetops.solver.questions.relaxation import Loosen, QuestionKind, Relaxation, relaxed
from hetops.solver.questions.rules import listed, rules, together, without_all
from hetops.solver.side_by_side import each_of, side_by_side
from hetops.solver.solve import PROOF_GAP, unservable_classes

_TOPICS = {
    LimitKind.BUDGET: Topic.BUDGET,
    LimitKind.MEAN_BUDGET: Topic.BUDGET,
    LimitKind.PROVIDER_BUDGET: Topic.PROVIDER_BUDGET,
    LimitKind.STOCK: Topic.STOCK,
    QuestionKind.ASSUMED_STOCK: Topic.STOCK,
    LimitKind.QUOTA: Topic.QUOTA,
    LimitKind.POOLS: Topic.POOLS,
    LimitKind.SHARE: Topic.SHARE,
    LimitKind.LEAST_SHARE: Topic.SHARE,
    LimitKind.QUALITY: Topic.QUALITY,
    LimitKind.EVERY_QUALITY: Topic.QUALITY,
    LimitKind.SHED: Topic.SHED,
    LimitKind.LOSS: Topic.LOSS,
    LimitKind.CHANGES: Topic.CHANGES,
    LimitKind.ADDED_NODES: Topic.CHANGES,
    LimitKind.REMOVED_NODES: Topic.CHANGES,
    LimitKind.SERVICE_REQUESTS: Topic.SERVICE,
    LimitKind.SERVICE_TOKENS: Topic.SERVICE,
    LimitKind.LINK: Topic.LINK,
    QuestionKind.DEADLINE: Topic.DEADLINE,
    QuestionKind.HEADROOM: Topic.HEADROOM,
    QuestionKind.DEMAND: Topic.DEMAND,
    QuestionKind.TARGETS: Topic.TARGETS,
}

_OF_OFFERS_IN_LINE = frozenset(
    (
        LimitKind.BUDGET,
        LimitKind.STOCK,
        LimitKind.QUOTA,
        LimitKind.POOLS,
        QuestionKind.HEADROOM,
        QuestionKind.DEMAND,
    )
)
"""Changes that mean the same where equal offers stand in line for one."""


def why_none(
    problem: Problem, *, loosen: Loosen | None = None, limit_seconds: float = 30.0
) -> tuple[Statement, ...]:
    """What lets a fleet exist, the smallest change first; that there is one, where the problem has one after all."""
    each = max(each_of(limit_seconds, 16), 1.0)
    front, unit = Front(bands=Bands.of(problem)), Unit.of(problem.mode)
    now = front.ask(unchanged, each)
    if now.objective is not None:
        text = f"There is a fleet, at {_at(now, unit)}: nothing needs to be relaxed."
        return (replace(_statement(Topic.FLEET, text, now, unit), before=now.objective),)
    exact = replace(problem, gap=min(problem.gap, PROOF_GAP))
    changes = relaxations(exact, loosen=loosen, limit_seconds=limit_seconds)
    told = side_by_side(lambda change: _confirmed(front, change, loosen, each), changes)
    nobody = tuple(_nobody_serves(problem, now, unit))
    return (*nobody, *told) or (_together(problem, now, each),)


def _nobody_serves(problem: Problem, now: Found, unit: Unit) -> Iterator[Statement]:
    for name in unservable_classes(problem):
        text = f"No configuration on any offer serves {name} within the targets."
        yield _statement(Topic.CLASS, text, now, unit, name)


def _confirmed(front: Front, change: Relaxation, loosen: Loosen | None, seconds: float) -> Statement:
    problem = front.bands.problem
    if change.kind in _OF_OFFERS_IN_LINE:
        own = (change.subject,) if change.kind is LimitKind.STOCK else ()
        after = front.apart(own).ask(lambda few: relaxed(few, change, loosen), seconds)
    else:
        after = look(relaxed(problem, change, loosen), seconds)
    unit = Unit.of(problem.mode)
    then = _at(after, unit) or "not confirmed in time"
    least = "" if change.smallest else ", maybe less would do"
    text = f"{capital(change.text)}: then a fleet exists, at {then}{least}."
    if after.solution is None:
        text = f"{capital(change.text)}: {then}."
    made = _statement(_TOPICS[change.kind], text, after, unit, change.subject)
    return replace(made, exact=made.exact and change.smallest)


def _together(problem: Problem, now: Found, seconds: float) -> Statement:
    """Limits that bar every fleet together, where no single change lets one exist."""
    unit = Unit.of(problem.mode)
    if not now.exact:
        text = "No fleet was found in time, nor a change that lets one exist."
        return _statement(Topic.LIMITS, text, now, unit)
    offers = frozenset(offer.id for offer in problem.offers)
    held = (*any_limit(problem), *rules(problem, offers))

    def lifting(these: tuple[Liftable, ...]) -> Found:
        return look(without_all(replace(problem, gap=0.999), these), seconds)

    lifted, after = together(held, lifting, lambda found: found.solution is not None)
    if after.objective is None:
        text = "No change of limits lets a fleet exist: allow more offers, or ask for less."
        return _statement(Topic.LIMITS, text, after, unit)
    exact = look(without_all(problem, lifted), seconds)
    reached = _at(exact, unit) or _at(after, unit)
    text = f"No single change lets a fleet exist. Without {listed(lifted)} together one does, at {reached}."
    return _statement(Topic.LIMITS, text, exact, unit)


def _at(answer: Found, unit: Unit) -> str:
    return at(answer.solution, unit) if answer.solution else ""


def _statement(topic: Topic, text: str, after: Found, unit: Unit, subject: str = "") -> Statement:
    """A statement on a problem that had no fleet before."""
    return Statement(
        topic=topic,
        subject=subject,
        text=text,
        before=None,
        after=after.objective,
        unit=unit,
        exact=after.exact,
    )
