"""A spec's day as terms of its problem: periods with their rates, deadlines, what a start costs. Wires; decides what the words mean.

Without `[policy.day]` a problem stays as it is: one stretch at each class's busiest rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import takewhile

from hetops.app.candidates import Candidates
from hetops.app.day_file import meant
from hetops.app.naming import names_of
from hetops.app.requests import overrides_of
from hetops.domain.configuration import Configuration
from hetops.domain.day import clock, clock_hours
from hetops.domain.units import BYTES_PER_GB, HOURS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE
from hetops.domain.workload import Priority, WorkloadClass
from hetops.errors import SpecError, UnknownNameError
from hetops.performance.memory import weight_bytes
from hetops.solver.problem import Column, Problem
from hetops.solver.terms import Billing, Period
from hetops.spec.load import place
from hetops.spec.policy import DaySpec, PeriodSpec


def over_the_day(c: Candidates, problem: Problem) -> Problem:
    """The problem in the periods of the spec's day; as it is where the spec has none.

    Raises:
        SpecError: a day without periods, or what cannot go with one, or is for a day alone.
        UnknownNameError: a rate of a class that there is not.
        UsageError: it is asked for from a fleet that runs, and which period begins now is not said.
    """
    day = c.spec.policy.day
    if day is None:
        _demand_none_needed(c)
        return problem
    periods, deadlines = _periods(c, day), deadlines_of(c)
    if c.held.running is not None:
        periods = _from_now(c, periods)
    whole = {offer.id for offer in problem.offers if offer.billing is Billing.RESERVED}
    return replace(
        problem,
        periods=periods,
        offers=tuple(
            offer
            if offer.id in whole
            else replace(offer, max_added_nodes=day.max_added_nodes, max_removed_nodes=day.max_removed_nodes)
            for offer in problem.offers
        ),
        classes=tuple(
            replace(
                one,
                requests_per_second=max(p.requests_per_second[one.name] for p in periods),
                deadline_hours=deadlines.get(one.name),
            )
            for one in problem.classes
        ),
        mean_budget_usd_per_hour=c.spec.budget.mean_usd_per_hour,
    )


def begins(c: Candidates, problem: Problem) -> str:
    """When the first period of the problem begins, by the clock; empty where the spec does not say."""
    day = c.spec.policy.day
    first = clock_hours(day.begins) if day else None
    if day is None or first is None:
        return ""
    before = takewhile(lambda one: one.name != problem.periods[0].name, _periods(c, day))
    return clock(first + math.fsum(one.hours for one in before))


def _from_now(c: Candidates, periods: tuple[Period, ...]) -> tuple[Period, ...]:
    """From the period on that begins now: what runs changes into its fleet."""
    hours, day = {one.name: one.hours for one in periods}, c.spec.policy.day
    first = tuple(hours).index(meant(hours, day.begins if day else "", c.period, c.now))
    return (*periods[first:], *periods[:first])


def busiest(problem: Problem) -> Problem:
    """The question without its day: one fleet for the busiest period of each class, kept all day, from nothing; nothing waits."""
    return replace(
        problem,
        migration=None,
        periods=(),
        classes=tuple(replace(one, deadline_hours=None) for one in problem.classes),
        columns=tuple(_without_start(column) for column in problem.columns),
        mean_budget_usd_per_hour=None,
    )


def steady(problem: Problem) -> Problem:
    """The question for one fleet that is kept all day, as if all nodes were reserved, and serves every period, from nothing."""
    return replace(
        problem,
        migration=None,
        offers=tuple(replace(offer, billing=Billing.RESERVED) for offer in problem.offers),
        columns=tuple(_without_start(column) for column in problem.columns),
    )


def _without_start(column: Column) -> Column:
    return replace(column, boot_seconds=0.0)


def boot_seconds(c: Candidates, day: DaySpec) -> Mapping[str, float]:
    """From the start of a node until it serves, by configuration."""
    fixed, bandwidth = day.boot_minutes * SECONDS_PER_MINUTE, day.download_gb_per_second
    return {
        one.id: fixed + (_gigabytes(c, one) / bandwidth if bandwidth else 0.0)
        for one in c.enumeration.configurations
    }


def _gigabytes(c: Candidates, one: Configuration) -> float:
    """Of the checkpoint, as the catalogue has it; else as the model's parameters take."""
    known = (k.gigabytes for k in c.catalog.checkpoints_of(one.model) if k.reference == one.checkpoint)
    told = next((size for size in known if size is not None), None)
    return weight_bytes(c.served(one).model, one.weights) / BYTES_PER_GB if told is None else told


def deadlines_of(c: Candidates) -> dict[str, float]:
    """Hours that batch work may wait, by class: its own, else the last of `[[targets.overrides]]` that fits."""
    own = {one.name: one.deadline_hours for one in c.spec.workload.classes}
    found = {one.name: own.get(one.stated_name) or _of_range(c, one) for one in c.workload.classes}
    batch = {one.name for one in c.workload.classes if one.priority is Priority.BATCH}
    return {name: hours for name, hours in found.items() if hours is not None and name in batch}


def _of_range(c: Candidates, one: WorkloadClass) -> float | None:
    told = (o.deadline_hours for o in overrides_of(c.spec, one))
    return next((hours for hours in told if hours is not None), None)


def _periods(c: Candidates, day: DaySpec) -> tuple[Period, ...]:
    found = tuple(_stated(c, day) if c.spec.workload.classes else _traced(c, day))
    if not any(rate for period in found for rate in period.requests_per_second.values()):
        raise SpecError(
            f"{place(c.loaded, 'policy', 'day')}: nothing is asked for in any period",
            hint="give a period a factor above 0",
        )
    return found


def _stated(c: Candidates, day: DaySpec) -> Iterator[Period]:
    """As the spec's tables have them."""
    if len(day.periods) < 2:
        raise SpecError(
            f"{place(c.loaded, 'policy', 'day')}: classes stated by hand need two periods at least",
            hint="write [[policy.day.periods]] with name, hours and factor for each",
        )
    for index, one in enumerate(day.periods):
        yield Period(name=one.name, hours=one.hours, requests_per_second=_rates(c, one, index))


def _rates(c: Candidates, one: PeriodSpec, index: int) -> dict[str, float]:
    rates = {k.name: k.requests_per_second * one.factor for k in c.workload.classes}
    for name, rate in one.requests_per_second.items():
        meant = {k.name: k.requests_per_second for k in c.workload.classes if k.named_by((name,))}
        if not meant:
            where = place(c.loaded, "policy", "day", "periods", index, "requests_per_second", name)
            raise UnknownNameError("class", name, names_of(c.workload.classes), where=where)
        scaled, whole = rate * c.spec.workload.rate_scale, sum(meant.values())
        rates |= {of: scaled * (part / whole) for of, part in meant.items()}
    return rates


def _traced(c: Candidates, day: DaySpec) -> Iterator[Period]:
    """Equal stretches of the trace, named by when they begin: by the clock where that is known, else by hours."""
    count = c.spec.workload.periods
    if day.periods:
        where = place(c.loaded, "policy", "day", "periods", 0, "name")
        raise SpecError(
            f"{where}: a trace has its own rates",
            hint="say workload.periods, and leave [[policy.day.periods]] out",
        )
    if count < 2:
        raise SpecError(
            f"{place(c.loaded, 'policy', 'day')}: the trace is one period",
            hint="say in how many equal stretches: periods = 24 under [workload]",
        )
    recorded = (c.recorded_seconds or 0.0) / SECONDS_PER_HOUR
    hours, begins = (day.hours or recorded) / count, clock_hours(day.begins)
    if begins is not None and abs(hours * count - HOURS_PER_DAY) > 1e-6:
        raise SpecError(
            f"{place(c.loaded, 'policy', 'day', 'begins')}: it needs 24 hours in all, the trace stands for {hours * count:.4g}",
            hint="where it stands for a day, say so: hours = 24",
        )
    for index in range(count):
        rates = {k.name: k.requests_per_second_by_period[index] for k in c.workload.classes}
        name = f"{index * hours:.4g}h" if begins is None else clock(begins + index * hours)
        yield Period(name=name, hours=hours, requests_per_second=rates)


def _demand_none_needed(c: Candidates) -> None:
    """What only a day gives a meaning is not left without one in silence."""
    places: list[tuple[str | int, ...]] = []
    if c.spec.budget.mean_usd_per_hour is not None:
        places.append(("budget", "mean_usd_per_hour"))
    for index, one in enumerate(c.spec.workload.classes):
        if one.deadline_hours is not None:
            places.append(("workload", "classes", index, "deadline_hours"))
    for index, override in enumerate(c.spec.targets.overrides):
        if override.deadline_hours is not None:
            places.append(("targets", "overrides", index, "deadline_hours"))
    if places:
        raise SpecError(
            f"{place(c.loaded, *places[0])}: without periods there is nothing to wait for, and nothing to average over",
            hint="add [policy.day] with boot_minutes, and its periods",
        )
