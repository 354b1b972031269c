"""Use case: the cheapest certified day for a spec with `[policy.day]`: a plan for each period. Wires; decides nothing of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from hetops.app.candidates import Asked
from hetops.app.day_file import in_period, meant
from hetops.app.keep_apart import cost_apart, proven
from hetops.app.periods import begins, boot_seconds, busiest, steady
from hetops.app.plan import (
    WEIGH_SECONDS,
    answer,
    floor_cost,
    hold_against_arithmetic,
    solved,
    unsealed,
)
from hetops.app.pose import Posed, pose
from hetops.app.pruning import pruned
from hetops.app.shedding import shed_in_words, shed_of
from hetops.app.stopped import without_answer
from hetops.app.term_costs import cost_from_nothing, cost_of, least_cost, term_costs
from hetops.app.terms import share_rules
from hetops.app.what_if import Compared, answer_under, with_the_free
from hetops.domain import codec
from hetops.domain.day import Day, DayCertificate, DayPeriod, PoolBounds, Start, Wait
from hetops.domain.offer import Market
from hetops.domain.percent import percent
from hetops.domain.plan import Plan
from hetops.domain.policy import ShareRule, TermCost
from hetops.domain.units import SECONDS_PER_HOUR
from hetops.errors import InfeasibleError
from hetops.files import write_whole
from hetops.reports.answer import Answer
from hetops.reports.day import Beside
from hetops.solver.answers.alone import Alone, alone, waiting
from hetops.solver.certify import CHECKS, CHECKS_OF_TERMS, relative_gap
from hetops.solver.highs import OnInterrupt
from hetops.solver.recheck.day import seal_day
from hetops.solver.recheck.plan import seal
from hetops.solver.solution import Ended, Solution
from hetops.solver.solve import DEFAULT_LIMIT_SECONDS, Effort


def answer_to(question: Compared, effort: Effort, asked: Asked) -> Answer:
    """What the cheapest answer to a question is: a plan, or a day, or of a day the plan of the period asked for.

    Raises:
        HetopsError: as `make_plan`, or no such period.
        InfeasibleError: no fleet answers what was changed; says what the other costs. Or there is none at all.
        CancelledError: Ctrl-C before there was an answer.
    """
    try:
        return _answer_to(question, effort, asked)
    except KeyboardInterrupt as stop:
        a_day = question.posed.problem.periods and "periods (workload.periods) and "
        raise without_answer(f"{a_day or 'offers ([offers]) and '}classes (workload.class_count)") from stop


def _answer_to(question: Compared, effort: Effort, asked: Asked) -> Answer:
    if question.posed.problem.periods:
        if asked.period:
            meant_of(question.posed, asked)
        found = day_under(question, effort)
        return replace(found, document=in_period(found.document, asked)) if asked.period else found
    told = answer_under(question, effort)
    return Answer(document=in_period(told.plan, asked), ended=told.ended, beside=told.what_if)


def fleet_of(asked: Asked, *, limit_seconds: float = DEFAULT_LIMIT_SECONDS) -> Plan:
    """The one plan that a command goes by: the spec's; of a day that of the period asked for, else of the one that is now.

    Raises:
        HetopsError: as `make_plan`.
        UsageError: a day, and which period is not said; or a period, and the spec has none.
    """
    posed = pose(asked)
    if not posed.problem.periods:
        return in_period(answer(posed, limit_seconds=limit_seconds), asked)
    named = replace(asked, period=meant_of(posed, asked))
    return in_period(find_day(posed, Effort(limit_seconds=limit_seconds)).document, named)


def meant_of(posed: Posed, asked: Asked) -> str:
    """Which period of a question's day is asked for, or is now; known before anything is searched for. Errors as `fleet_of`."""
    hours = {one.name: one.hours for one in posed.problem.periods}
    return meant(hours, begins(posed.candidates, posed.problem), asked.period, asked.now)


def find_day(posed: Posed, effort: Effort) -> Answer:
    """The cheapest day for a question with periods; whoever stops the search waits for nothing that it is held against.

    Raises:
        HetopsError: as `make_plan`.
    """
    posed, found = solved(posed, effort)
    day = _day(posed, found)
    if found.ended is not Ended.INTERRUPTED:
        day = _with_costs(day, posed, found)
    return Answer(document=seal_day(day), ended=found.ended)


def day_under(compared: Compared, effort: Effort) -> Answer:
    """The day for the changed question, beside what that of the other costs; as `find_day` where nothing was changed.

    Raises:
        HetopsError: as `make_plan`.
        InfeasibleError: no day answers what was changed; says what the other costs.
    """
    if not compared.changes:
        return find_day(compared.posed, effort)
    whole = replace(effort, on_interrupt=OnInterrupt.CANCEL)  # half an answer to half the question is none
    free = solved(compared.free, whole)[1].usd_per_hour
    try:
        found = find_day(compared.posed, effort)
    except InfeasibleError as none:
        raise with_the_free(none, free, compared.changes) from none
    return replace(found, beside=Beside(changes=compared.changes, usd_per_hour=free))


def write_answer(found: Answer, path: Path) -> None:
    """The plan or the day as its document, whole or not at all."""
    write_whole(path, codec.encode(found.document))


def _day(posed: Posed, found: Solution) -> Day:
    c, problem = posed.candidates, posed.problem
    plans, late = tuple(_plan(posed, one) for one in alone(problem, found)), waiting(problem)
    spared = pruned(posed)
    periods = tuple(
        DayPeriod(
            name=stretch.name,
            hours=stretch.hours,
            arrivals=stretch.rates,
            plan=seal(replace(plan, pruning=spared)),
            shed=shed_of(problem, (one for one in period.shed if one.workload_class in late)),
        )
        for stretch, plan, period in zip(problem.stretches, plans, found.periods, strict=True)
    )
    pools = tuple(_bounds(posed, periods))
    first = plans[0]
    return Day(
        deployment=first.deployment,
        model=first.model,
        created_at=first.created_at,
        hetops_version=first.hetops_version,
        spec_digest=first.spec_digest,
        begins=begins(c, problem),
        periods=periods,
        pools=pools,
        starts=tuple(_starts(periods, {one.pool: one.boot_seconds for one in pools})),
        deadlines={k.name: k.deadline_hours for k in problem.classes if k.deadline_hours is not None},
        waits=tuple(
            Wait(workload_class=w.workload_class, arrived=w.arrived, served=w.served, share=w.share)
            for w in found.waits
        ),
        usd_per_pool_hour=problem.usd_per_pool_hour,
        certificate=_certificate(posed, found),
        warnings=tuple(dict.fromkeys(_warnings(posed, found, plans))),
    )


def _plan(posed: Posed, one: Alone) -> Plan:
    """The plan of a period, for what it serves."""
    c, asked = posed.candidates, bool(one.solution.shares)
    rates = {k.name: k.requests_per_second if asked else 0.0 for k in one.problem.classes}
    classes = tuple(
        replace(k, requests_per_second=rates[k.name], requests_per_second_by_period=())
        for k in c.workload.classes
    )
    then = replace(c, workload=replace(c.workload, classes=classes))
    near_enough = replace(
        one.solution, within_gap=True
    )  # how near the whole is asked to come is told of the whole
    alone_then = replace(posed, candidates=then, problem=one.problem, kept_apart=None)
    plan = unsealed(alone_then, near_enough)
    hold_against_arithmetic(plan, c)
    late = waiting(posed.problem)
    certificate = plan.certificate
    if late and certificate.limits:
        limits = replace(certificate.limits, shares=tuple(_rules(posed, _prompt(posed, late))))
        certificate = replace(certificate, limits=limits)
    return replace(plan, certificate=certificate)


def _prompt(posed: Posed, late: frozenset[str]) -> frozenset[str]:
    return frozenset(k.name for k in posed.problem.classes) - late


def _rules(posed: Posed, names: frozenset[str]) -> Iterator[ShareRule]:
    """The rules on shares, as far as they hold for classes of these names."""
    for rule in share_rules(posed.candidates, posed.places):
        classes = tuple(
            k.name for k in posed.problem.classes if k.name in names and k.name in (rule.classes or (k.name,))
        )
        if classes:
            yield replace(rule, classes=classes)


def _bounds(posed: Posed, periods: tuple[DayPeriod, ...]) -> Iterator[PoolBounds]:
    day = posed.candidates.spec.policy.day
    boots = boot_seconds(posed.candidates, day) if day else {}
    pools = {pool.name: pool for period in periods for pool in period.plan.pools}
    for name, pool in sorted(pools.items()):
        counts = [period.plan.nodes.get(name, 0) for period in periods]
        yield PoolBounds(
            pool=name,
            least_nodes=min(counts),
            most_nodes=max(counts),
            boot_seconds=boots[pool.configuration.id],
        )


def _starts(periods: tuple[DayPeriod, ...], boots: Mapping[str, float]) -> Iterator[Start]:
    """What each period has more of than the one before; before the first comes the last."""
    for before, period in zip((periods[-1], *periods), periods, strict=False):
        for pool in period.plan.pools:
            more = pool.nodes - before.plan.nodes.get(pool.name, 0)
            whole = (Market.RESERVED, Market.CAPACITY_BLOCK)
            paid_anyway = all(offer.market in whole for offer in pool.offers)
            price = Decimal(0) if paid_anyway else pool.usd_per_hour / pool.nodes
            if more > 0:
                yield Start(
                    period=period.name,
                    pool=pool.name,
                    nodes=more,
                    usd=_micro(more * price * Decimal(repr(boots[pool.name])) / Decimal(SECONDS_PER_HOUR)),
                )


def _certificate(posed: Posed, found: Solution) -> DayCertificate:
    terms, bounding = posed.candidates.spec.policy.day, proven(posed, found)
    return DayCertificate(
        objective=found.objective,
        bound=bounding.bound,
        gap=relative_gap(found.objective, bounding.bound),
        all_may_share=posed.kept_apart is not None,
        problem_digest=bounding.problem_digest,
        checks=(*CHECKS, *CHECKS_OF_TERMS),
        solver=found.solver,
        solve_seconds=found.solve_seconds,
        mean_budget_usd_per_hour=posed.problem.mean_budget_usd_per_hour,
        shares=tuple(_rules(posed, waiting(posed.problem))),
        max_added_nodes=terms.max_added_nodes if terms else None,
        max_removed_nodes=terms.max_removed_nodes if terms else None,
    )


def _warnings(posed: Posed, found: Solution, plans: tuple[Plan, ...]) -> Iterator[str]:
    for stretch, plan in zip(posed.problem.stretches, plans, strict=True):
        shed = set(shed_in_words(plan.shed))
        yield from (f"{stretch.name}: {told}" if told in shed else told for told in plan.warnings)
    if not found.within_gap:
        wanted = posed.candidates.spec.policy.gap
        yield f"the search ended at a gap of {percent(found.gap, 2)}, policy.gap asks for {percent(wanted, 2)}"
    late = waiting(posed.problem)
    for one in (s for s in found.shed if s.workload_class in late):
        yield f"{percent(one.share, 1)} of {one.workload_class} is turned away: whoever sends it does so before it waits"
    if found.waits:
        yield "the router holds nothing back: whoever sends batch work sends it when the day says"


def _with_costs(day: Day, posed: Posed, found: Solution) -> Day:
    """The day with what one fleet for all of it would cost, and what its rules do."""
    waits = _letting_wait(posed, found)
    return replace(
        day,
        steady_usd_per_hour=least_cost(steady(posed.problem), WEIGH_SECONDS),
        busiest_usd_per_hour=least_cost(busiest(posed.problem), WEIGH_SECONDS),
        term_costs=(
            *cost_apart(posed, found),
            *waits,
            *_from_what_runs(posed, found),
            *term_costs(posed, found, limit_seconds=WEIGH_SECONDS),
        ),
        warnings=(*day.warnings, *floor_cost(posed, found)),
    )


def _from_what_runs(posed: Posed, found: Solution) -> tuple[TermCost, ...]:
    """What it costs that the day begins with the fleet that runs, changes counted."""
    if posed.problem.migration is None:
        return ()
    without = cost_from_nothing(posed, limit_seconds=WEIGH_SECONDS)
    text = "changing from the fleet that runs"
    return (TermCost(text=text, usd_per_hour=found.counted_usd_per_hour, usd_per_hour_without=without),)


def _letting_wait(posed: Posed, found: Solution) -> tuple[TermCost, ...]:
    """What it saves that batch work may wait."""
    problem, late = posed.problem, waiting(posed.problem)
    if not late:
        return ()
    at_once = tuple(replace(k, deadline_hours=None) for k in problem.classes)
    without = cost_of(replace(problem, classes=at_once), WEIGH_SECONDS)
    text = f"letting {', '.join(sorted(late))} wait"
    return (TermCost(text=text, usd_per_hour=found.counted_usd_per_hour, usd_per_hour_without=without),)


def _micro(usd: Decimal) -> Decimal:
    """To a millionth of a dollar."""
    return usd.quantize(Decimal("0.000001"))
