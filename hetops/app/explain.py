"""Use case: explain an answer, a spec's or an explicit problem's, or why there is none. Wires; decides no sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from hetops.app.candidates import Asked
from hetops.app.keep_apart import cost_apart
from hetops.app.plan import solved
from hetops.app.pose import Posed, pose
from hetops.app.solve import read_problem
from hetops.domain import codec
from hetops.domain.day import Day
from hetops.domain.plan import Plan
from hetops.domain.service import Service
from hetops.errors import UnknownNameError, UsageError, nearest
from hetops.files import read_bytes
from hetops.performance.table import PerformanceTable
from hetops.solver.problem import Problem
from hetops.solver.questions.breakeven import asked_about, breakeven, breakeven_of
from hetops.solver.questions.class_cost import class_cost
from hetops.solver.questions.exact import wanted_gap
from hetops.solver.questions.explain import weigh
from hetops.solver.questions.explanation import Explanation, Question, Statement, Topic, Unit, dollars
from hetops.solver.questions.goods import Good, of_service
from hetops.solver.questions.relax import infeasible_error, relaxations
from hetops.solver.questions.relaxation import Loosen
from hetops.solver.questions.why import Case, why
from hetops.solver.questions.why_none import why_none
from hetops.solver.questions.why_not import meant, names, why_not
from hetops.solver.questions.why_services import service_named, services_used, why_not_service
from hetops.solver.side_by_side import each_of
from hetops.solver.solution import Infeasible, Solution
from hetops.solver.solve import DEFAULT_LIMIT_SECONDS, Effort, solve

MOST_SEARCHES = 12
"""About how many searches share the time of an explanation; one that is done early leaves the others theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainAsked:
    """`hetops explain` as it was asked."""

    spec: Asked
    problem_file: Path | None = None
    """An explicit problem; None asks about the spec."""
    question: Question = Question.WHY
    subject: str = ""
    limit_seconds: float = DEFAULT_LIMIT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A problem with its explanation."""

    problem: Problem
    explanation: Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class _Posed:
    """What is asked about, and what is known of it beyond the problem."""

    problem: Problem
    spec: Posed | None

    @property
    def loosen(self) -> Loosen | None:
        return self.spec.loosened if self.spec else None


def explain(asked: ExplainAsked) -> Explained:
    """The answer to a question about a spec's fleet or an explicit problem's.

    Raises:
        HetopsError: the spec or the file is wrong.
        UnknownNameError: no such GPU type, offer or class.
        UsageError: a question without its subject, or with one that it does not take.
        InfeasibleError: there is no fleet to explain, and the question is not why.
        TimeoutExpiredError: nothing was found in time.
    """
    _demand_subject(asked)
    posed = _posed(asked)
    if asked.question is Question.INFEASIBLE:
        told = why_none(posed.problem, loosen=posed.loosen, limit_seconds=asked.limit_seconds)
        explanation = Explanation(question=asked.question, statements=told)
        return Explained(problem=posed.problem, explanation=explanation)
    posed, solution = _answer(posed, asked.limit_seconds)
    seconds = max(each_of(asked.limit_seconds, MOST_SEARCHES), 1.0)
    case = Case.of(posed.problem, solution, seconds=seconds, loosen=posed.loosen)
    return Explained(problem=posed.problem, explanation=_told(asked, posed, case))


def _demand_subject(asked: ExplainAsked) -> None:
    needs = {Question.WHY_NOT: "a GPU type, an offer or a provider", Question.CLASS: "a class"}
    if asked.question in needs and not asked.subject:
        raise UsageError(
            f"{asked.question} of what? It wants {needs[asked.question]}",
            hint=f"hetops explain {asked.question} NAME",
        )
    if asked.subject and asked.question in (Question.WHY, Question.INFEASIBLE):
        raise UsageError(
            f"{asked.question} takes no name, {asked.subject!r} was given", hint="hetops explain --help"
        )


def _posed(asked: ExplainAsked) -> _Posed:
    if asked.problem_file:
        _demand_question(asked.problem_file)
        return _Posed(problem=read_problem(asked.problem_file), spec=None)
    posed = pose(asked.spec)
    return _Posed(problem=posed.problem, spec=posed)


def _demand_question(path: Path) -> None:
    """An answer's file does not hold what the answer was chosen from."""
    held = codec.format_of(read_bytes(path, what="problem"))
    if held in _ANSWERS:
        raise UsageError(
            f"{path} is a {held}, an answer without the question that it answers",
            hint="`hetops explain` where its hetops.toml lies, or explain what `hetops plan --write-problem FILE` writes",
        )


_ANSWERS = tuple(kind.FORMAT for kind in (Plan, Day, Solution))


def _answer(posed: _Posed, limit_seconds: float) -> tuple[_Posed, Solution]:
    effort = Effort(limit_seconds=limit_seconds, most_gap=wanted_gap(posed.problem))
    if posed.spec:
        spec, solution = solved(posed.spec, effort)
        return _Posed(problem=spec.problem, spec=spec), solution
    outcome = solve(posed.problem, effort=effort)
    if isinstance(outcome, Infeasible):
        raise infeasible_error(posed.problem, outcome, relaxations(posed.problem))
    return posed, outcome


def _told(asked: ExplainAsked, posed: _Posed, case: Case) -> Explanation:
    match asked.question:
        case Question.WHY_NOT:
            told = _why_not(posed, case, asked.subject)
        case Question.BREAKEVEN:
            told = _breakeven(posed, case, asked.subject)
        case Question.CLASS:
            told = class_cost(case, _class_named(posed.problem, asked.subject))
        case _:
            return _why(posed, case, asked.limit_seconds)
    return Explanation(
        question=asked.question, subject=asked.subject, statements=told, solution=case.solution
    )


def _why(posed: _Posed, case: Case, limit_seconds: float) -> Explanation:
    gap = wanted_gap(case.problem)
    weighed = weigh(case.problem, case.solution, limit_seconds=limit_seconds, most_gap=gap)
    weighed_case = Case.of(case.problem, weighed.solution, seconds=case.seconds, loosen=case.loosen)
    return Explanation(
        question=Question.WHY,
        statements=(*why(weighed_case), *_apart(posed, weighed.solution), *services_used(weighed_case)),
        solution=weighed.solution,
        alternatives=weighed.alternatives,
    )


def _apart(posed: _Posed, solution: Solution) -> Iterator[Statement]:
    """What it costs that classes are kept apart: no fleet costs less of those that do."""
    for cost in cost_apart(posed.spec, solution) if posed.spec else ():
        without = cost.usd_per_hour_without or Decimal(0)
        what = (
            f"{dollars(cost.usd_per_hour - without)} per hour" if cost.usd_per_hour > without else "nothing"
        )
        yield Statement(
            topic=Topic.TARGETS,
            text=f"{cost.text[:1].upper()}{cost.text[1:]} costs {what}: a fleet in which all may share is at {dollars(without)} per hour.",
            before=float(without),
            after=float(cost.usd_per_hour),
            unit=Unit.USD_PER_HOUR,
        )


def _class_named(problem: Problem, name: str) -> str:
    known = {c.name.casefold(): c.name for c in problem.classes}
    if name.casefold() not in known:
        members = nearest(name, known.values()) or tuple(known.values())[:8]
        raise UnknownNameError("class", name, known.values(), members=members)
    return known[name.casefold()]


def _breakeven(posed: _Posed, case: Case, name: str) -> tuple[Statement, ...]:
    """Of the service or the offers that a name means; without a name of those worth asking about."""
    if not name:
        return breakeven(case, tuple(_by_the_token(posed, good) for good in asked_about(case)))
    if service := service_named(posed.problem, name):
        return breakeven(case, (_by_the_token(posed, of_service(service)),))
    offers = meant(case.problem, name)
    if not offers:
        return _no_candidate(posed, case, name)
    return breakeven_of(case, name, offers)


def _by_the_token(posed: _Posed, good: Good) -> Good:
    """A spec's service with its prices as the spec has them; anything else as it is."""
    services = (one.service for one in (posed.spec.overflow if posed.spec else ()))
    service = next((one for one in services if one.name == good.id), None)
    return replace(good, said=partial(_token_prices, service)) if service else good


def _token_prices(service: Service, factor: Decimal) -> str:
    prices = service.usd_per_million_input_tokens, service.usd_per_million_output_tokens
    told = (dollars(usd * factor) for usd in prices)
    return f"{' and '.join(told)} per million input and output tokens"


def _why_not(posed: _Posed, case: Case, name: str) -> tuple[Statement, ...]:
    if service := service_named(posed.problem, name):
        return why_not_service(case, service)
    offers = meant(posed.problem, name)
    return why_not(case, name, offers) if offers else _no_candidate(posed, case, name)


def _no_candidate(posed: _Posed, case: Case, name: str) -> tuple[Statement, ...]:
    """Why the solver was never offered anything of that name.

    Raises:
        UnknownNameError: nothing is called so.
    """
    reasons = tuple(_ruled_out(posed.spec, name)) if posed.spec else ()
    if not reasons:
        raise UnknownNameError("GPU type, offer or provider", name, names(posed.problem))
    return tuple(
        Statement(
            topic=Topic.OFFER,
            subject=name,
            text=f"{reason}.",
            before=case.solution.objective,
            after=None,
            unit=case.unit,
        )
        for reason in reasons
    )


def _ruled_out(posed: Posed, name: str) -> Iterator[str]:
    """Why nothing of that name came before the solver: not on offer, does not fit, or too slow for every class."""
    c, wanted = posed.candidates, name.casefold()
    for one in (o for o in posed.overflow if o.service.name.casefold() == wanted):
        yield f"{one.service.name} may serve no class{_because(f'{r.subject}: {r.reason}' for r in one.refusals)}"
    names = (one.name for one in c.catalog.gpu_types)
    gpus = [g for g in names if g.casefold() == wanted or g.casefold().startswith(f"{wanted}-")]
    offered = [
        o
        for o in c.gathered.selection.offers
        if o.gpu in gpus or wanted in (o.id.casefold(), o.provider.casefold())
    ]
    types = dict.fromkeys((*gpus, *(o.gpu for o in offered)))
    for gpu in types:
        if not any(o.gpu == gpu for o in offered):
            yield from _not_offered(posed, gpu, {gpu.casefold()})
            continue
        found = c.enumeration
        fitting = {one.id for one in found.configurations if gpu in one.rented_gpus}
        if not fitting:
            told = (f"{r.subject}: {r.reason}" for r in found.refusals if gpu in r.subject)
            yield f"No configuration of {c.names} runs on {gpu}{_because(told)}"
        else:
            yield f"Nothing on {gpu} serves any class within the targets{_because(_too_slow(posed.table, fitting))}"
    refused = c.gathered.selection.refused
    if not types and any(wanted in (r.offer.id.casefold(), r.offer.provider.casefold()) for r in refused):
        yield from _not_offered(posed, name, {wanted})


def _not_offered(posed: Posed, name: str, wanted: set[str]) -> Iterator[str]:
    """That every offer of a GPU type, a provider, or the offer of that name, was refused, and why."""
    refused = (
        r
        for r in posed.candidates.gathered.selection.refused
        if not wanted.isdisjoint(word.casefold() for word in (r.offer.gpu, r.offer.id, r.offer.provider))
    )
    yield f"No offer of {name} may be chosen{_because(f'{r.offer.id}: {r.detail}' for r in refused)}"


def _too_slow(table: PerformanceTable, configurations: set[str]) -> Iterator[str]:
    """Why the configurations serve nothing, those that come nearest to the targets first."""
    rows = [r for r in table.rows.values() if r.configuration in configurations and r.reason]
    rows.sort(key=lambda r: (r.ttft_seconds + 100 * r.tpot_seconds, r.configuration, r.workload_class))
    for row in rows:
        yield f"{row.workload_class} in {row.configuration}: {row.reason}"


def _because(reasons: Iterable[str]) -> str:
    first = next(iter(reasons), "")
    return f" ({first})" if first else ""
