"""Checks a day as it was handed over, in exact arithmetic and out of nothing but the day: each plan, and what ties them.

Shares no code with how a day is made. As with a plan: it is sound and as it was certified; that no other day is cheaper
rests on the bound that it carries.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from hetops.domain import codec
from hetops.domain.day import Day, DayPeriod, Start
from hetops.domain.offer import Market
from hetops.domain.percent import percent
from hetops.domain.plan import ClassShare, Plan, usd_of_shed
from hetops.domain.policy import ShareRule
from hetops.solver.certify import TOLERANCE, Violation
from hetops.solver.recheck.plan import faults_of_shed, recheck, wrong_bounds
from hetops.solver.recheck.terms import offers_of, rented_nodes
from hetops.solver.terms import exact

_STEP = Fraction(1, 10**6)
"""Means, and what requests cost, are stated in millionths of a dollar."""

_WHOLE = (Market.RESERVED, Market.CAPACITY_BLOCK)
"""Markets whose nodes are paid for in every period: a start costs nothing more."""


def seal_day(day: Day) -> Day:
    """The day with the digest of its contents."""
    return replace(day, certificate=replace(day.certificate, day_digest=_digest(day)))


def recheck_day(day: Day) -> tuple[Violation, ...]:
    """Every rule that the day breaks, the most telling first; empty for one that is as it was certified."""
    strangers = tuple(_strange_periods(day))
    if strangers:
        return strangers
    rules: tuple[Callable[[Day], Iterator[Violation]], ...] = (
        _broken_plans,
        _wrong_bounds,
        _wrong_changes,
        _wrong_starts,
        _broken_ramps,
        _unserved_arrivals,
        _wrong_sheds,
        _late_work,
        _broken_shares,
        _broken_budgets,
        _wrong_totals,
        _changed_contents,
    )
    return tuple(violation for rule in rules for violation in rule(day))


def _strange_periods(day: Day) -> Iterator[Violation]:
    """Every plan is one of this deployment and its spec, for the same classes at other rates."""
    asked = _question(day.periods[0].plan)
    for period in day.periods:
        plan = period.plan
        if (plan.deployment, plan.model, plan.spec_digest) != (day.deployment, day.model, day.spec_digest):
            message = "has a plan of another deployment, model or spec"
            yield Violation(rule="periods", subject=period.name, message=message)
        elif _question(plan) != asked or set(period.arrivals) != {c.name for c in plan.workload.classes}:
            message = "has other classes, or limits, than the first period"
            yield Violation(rule="periods", subject=period.name, message=message)
    for name in {n for wait in day.waits for n in (wait.arrived, wait.served)} | {
        s.period for s in day.starts
    }:
        if name not in day.names:
            yield Violation(rule="periods", subject=name, message="is no period of the day")


def _question(plan: Plan) -> object:
    """What all plans of a day have in common: classes but for their rates, and limits."""
    classes = tuple(replace(c, requests_per_second=0.0) for c in plan.workload.classes)
    return classes, plan.certificate.limits


def _broken_plans(day: Day) -> Iterator[Violation]:
    for period in day.periods:
        for found in recheck(period.plan):
            yield replace(found, subject=f"{found.subject} in {period.name}")


def _nodes(period: DayPeriod, pool: str) -> int:
    return period.plan.nodes.get(pool, 0)


def _wrong_bounds(day: Day) -> Iterator[Violation]:
    told = {one.pool: (one.least_nodes, one.most_nodes) for one in day.pools}
    if len(told) < len(day.pools) or any(not 0 <= one.boot_seconds < float("inf") for one in day.pools):
        yield Violation(
            rule="pools", subject="bounds", message="name a pool twice, or boot in no time that is"
        )
    for name in dict.fromkeys((*told, *(pool for p in day.periods for pool in p.plan.nodes))):
        counts = [_nodes(period, name) for period in day.periods]
        if told.get(name) != (min(counts), max(counts)):
            message = f"has {min(counts)} to {max(counts)} nodes, says {told.get(name, 'nothing')}"
            yield Violation(rule="pools", subject=name, message=message)


def _wrong_changes(day: Day) -> Iterator[Violation]:
    """What runs changes into the fleet of the first period alone."""
    for period in (p for p in day.periods[1:] if p.plan.migration is not None):
        message = "changes from a fleet that runs, and is not the first"
        yield Violation(rule="changes", subject=period.name, message=message)


def _wrong_starts(day: Day) -> Iterator[Violation]:
    """Starts are the nodes that a pool has more of than in the period before, and cost what they take to boot."""
    boots = {one.pool: exact(one.boot_seconds) for one in day.pools}
    told = {(one.period, one.pool): one for one in day.starts}
    if len(told) < len(day.starts):
        yield Violation(rule="starts", subject="starts", message="a pool starts twice at once")
    for before, period in zip((day.periods[-1], *day.periods), day.periods, strict=False):
        for pool in period.plan.pools:
            more = max(pool.nodes - _nodes(before, pool.name), 0)
            paid_anyway = all(offer.market in _WHOLE for offer in pool.offers)
            price = Fraction(0) if paid_anyway else Fraction(pool.usd_per_hour) / pool.nodes
            due = more * price * boots.get(pool.name, Fraction(0)) / 3600
            found = told.pop((period.name, pool.name), None)
            if not _is_start(found, more, due):
                says = f"{found.nodes} for {found.usd} usd" if found else "none"
                message = f"starts {more} nodes for {float(due):.6g} usd in {period.name}, says {says}"
                yield Violation(rule="starts", subject=pool.name, message=message)
    for period_name, pool_name in told:
        message = f"has no pool {pool_name} to start"
        yield Violation(rule="starts", subject=period_name, message=message)


def _broken_ramps(day: Day) -> Iterator[Violation]:
    """No offer gains or loses more nodes from one period to the next than it may; what is paid for day and night never does."""
    rented = [_rented(period) for period in day.periods]
    for period, before, now in zip(day.periods, (rented[-1], *rented), rented, strict=False):
        for offer in sorted(before.keys() | now.keys()):
            for message in _too_fast(day, before[offer], now[offer]):
                yield Violation(rule="ramps", subject=f"{offer} in {period.name}", message=message)


def _too_fast(day: Day, before: int, now: int) -> Iterator[str]:
    added, removed = day.certificate.max_added_nodes, day.certificate.max_removed_nodes
    if added is not None and now - before > added:
        yield f"{before} nodes before, then {now}: max_added_nodes is {added}"
    if removed is not None and before - now > removed:
        yield f"{before} nodes before, then {now}: max_removed_nodes is {removed}"


def _rented(period: DayPeriod) -> Counter[str]:
    """Nodes by offer, of those that are not paid for day and night; the rental's where nodes are paid for as a whole."""
    offers = offers_of(period.plan)
    rented = rented_nodes(period.plan)
    return Counter({id_: n for id_, n in rented.items() if offers[id_].market not in _WHOLE})


def _is_start(found: Start | None, nodes: int, usd: Fraction) -> bool:
    if found is None:
        return nodes == 0
    return found.nodes == nodes > 0 and abs(Fraction(found.usd) - usd) <= _STEP


def _unserved_arrivals(day: Day) -> Iterator[Violation]:
    """Each plan serves what arrives in its period; of work that may wait, what waits bring there."""
    hours = {period.name: exact(period.hours) for period in day.periods}
    brought: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for wait in day.waits:
        arrived = _kept(day.period(wait.arrived), wait.workload_class)
        brought[wait.served, wait.workload_class] += arrived * hours[wait.arrived] * exact(wait.share)
    for period in day.periods:
        for one in period.plan.workload.classes:
            waited = brought[period.name, one.name] / hours[period.name]
            due = waited if one.name in day.deadlines else _kept(period, one.name)
            if not 0 <= period.arrivals[one.name] < float("inf") or not _near(one.requests_per_second, due):
                message = (
                    f"is served at {one.requests_per_second:g} requests per second, {float(due):g} are due"
                )
                yield Violation(rule="deadlines", subject=f"{one.name} in {period.name}", message=message)


def _kept(period: DayPeriod, name: str) -> Fraction:
    """What arrives of a class in a period, in requests per second, but for what is turned away."""
    shed = {one.workload_class: exact(one.share) for one in (*period.plan.shed, *period.shed)}
    return exact(period.arrivals.get(name, 0.0)) * (1 - shed.get(name, Fraction(0)))


def _wrong_sheds(day: Day) -> Iterator[Violation]:
    """Only of work that may wait a period says itself what is turned away; it counts for what it costs."""
    for period in day.periods:
        twice = Counter(one.workload_class for one in (*period.shed, *period.plan.shed))
        for one in period.shed:
            subject = f"{one.workload_class} in {period.name}"
            if one.workload_class not in day.deadlines or twice[one.workload_class] > 1:
                yield Violation(rule="shedding", subject=subject, message="is no work that may wait")
                continue
            for message in faults_of_shed(one, exact(period.arrivals.get(one.workload_class, 0.0))):
                yield Violation(rule="shedding", subject=subject, message=message)


def _near(said: float, due: Fraction) -> bool:
    """The same rate; a millionth of a request in a second is none."""
    return abs(exact(said) - due) <= TOLERANCE * max(due, Fraction(1))


def _late_work(day: Day) -> Iterator[Violation]:
    """All batch work that arrives is served, and nothing of it later than its deadline."""
    totals: defaultdict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for wait in day.waits:
        where = f"{wait.workload_class} of {wait.arrived}"
        if wait.workload_class not in day.deadlines or wait.share <= 0:
            yield Violation(rule="deadlines", subject=where, message="is no work that may wait")
            continue
        totals[wait.workload_class, wait.arrived] += exact(wait.share)
        late = _hours_until_served(day, wait.arrived, wait.served)
        most = day.deadlines[wait.workload_class]
        if wait.arrived != wait.served and late > exact(most) * (1 + TOLERANCE):
            message = f"may be {float(late):g} h old when {wait.served} ends, its deadline is {most:g}"
            yield Violation(rule="deadlines", subject=where, message=message)
    for period in day.periods:
        for name in day.deadlines:
            wanted = int(_kept(period, name) > 0)
            if totals[name, period.name] != wanted:
                message = f"{float(totals[name, period.name]):g} of it is served"
                yield Violation(rule="deadlines", subject=f"{name} of {period.name}", message=message)


def _hours_until_served(day: Day, arrived: str, served: str) -> Fraction:
    """From the beginning of the period of arrival to the end of that of service."""
    first, last = day.names.index(arrived), day.names.index(served)
    passed = (last - first) % len(day.periods) + 1
    through = (day.periods[(first + step) % len(day.periods)] for step in range(passed))
    return sum((exact(period.hours) for period in through), Fraction(0))


def _broken_shares(day: Day) -> Iterator[Violation]:
    """Work that may wait is spread over the day as its rules say."""
    for rule in day.certificate.shares:
        for values in _groups(rule, day):
            for name in rule.classes:
                yield from _outside(rule, values, name, day)


def _groups(rule: ShareRule, day: Day) -> tuple[tuple[str, ...], ...]:
    if rule.values:
        return (rule.values,)
    found = (of for period in day.periods for of in _values(period.plan, rule).values())
    return tuple((value,) for value in sorted(set().union(*found)))


def _values(plan: Plan, rule: ShareRule) -> dict[str, frozenset[str]]:
    """What each pool and service has of the rule's trait; a service that has none of it is left out."""
    pools = {pool.name: frozenset(o.value(rule.trait) for o in pool.offers) for pool in plan.pools}
    services = {one.name: one.service.value(rule.trait) for one in plan.services}
    return pools | {name: frozenset({value}) for name, value in services.items() if value}


def _outside(rule: ShareRule, values: tuple[str, ...], name: str, day: Day) -> Iterator[Violation]:
    """By where requests go first, and by what makes their answers."""
    first = tuple((period, period.plan.shares) for period in day.periods)
    last = tuple((period, period.plan.answers) for period in day.periods)
    for told in (first,) if first == last else (first, last):
        yield from _outside_of(rule, values, name, told)


def _outside_of(
    rule: ShareRule,
    values: tuple[str, ...],
    name: str,
    told: Iterable[tuple[DayPeriod, tuple[ClassShare, ...]]],
) -> Iterator[Violation]:
    within, touched, whole = Fraction(0), Fraction(0), Fraction(0)
    for period, shares in told:
        value_of = _values(period.plan, rule)
        for share in (s for s in shares if s.workload_class == name):
            requests = exact(share.requests_per_second) * exact(period.hours)
            whole += requests
            own = value_of.get(share.pool, frozenset())
            touched += requests * (not own.isdisjoint(values))
            within += requests * (bool(own) and own.issubset(values))
    least, most = exact(rule.at_least) - TOLERANCE, exact(rule.at_most) + TOLERANCE
    too_little, too_much = within < least * whole, touched > most * whole
    if too_little or too_much:
        message = f"{percent(float((within if too_little else touched) / whole), 2)} of {name} on {' or '.join(values)} over the day, must be {percent(rule.at_least, 2)} to {percent(rule.at_most, 2)}"
        yield Violation(rule="share limits", subject=rule.id, message=message)


def _of_pools(day: Day) -> Fraction:
    """What pools cost besides their nodes, in every period: each that has nodes in any of them."""
    used = {pool.name for period in day.periods for pool in period.plan.pools}
    return Fraction(day.usd_per_pool_hour) * len(used)


def _broken_budgets(day: Day) -> Iterator[Violation]:
    """With all pools of the day paid for no period costs more than the budget; without them its plan is within it."""
    of_pools = _of_pools(day)
    for period in day.periods if of_pools else ():
        limits, paid = period.plan.certificate.limits, Fraction(period.plan.usd_per_hour) + of_pools
        budget = limits.budget_usd_per_hour if limits else None
        if budget is not None and paid > Fraction(budget) * (1 + TOLERANCE):
            message = f"costs {float(paid):.10g} usd_per_hour with the day's pools, the budget is {budget}"
            yield Violation(rule="budget", subject=f"budget_usd_per_hour in {period.name}", message=message)


def _wrong_totals(day: Day) -> Iterator[Violation]:
    certificate = day.certificate
    hours = sum((exact(period.hours) for period in day.periods), Fraction(0))
    fleets = sum((exact(p.hours) * Fraction(p.plan.usd_per_hour) for p in day.periods), Fraction(0))
    cost = (fleets + sum((Fraction(start.usd) for start in day.starts), Fraction(0))) / hours + _of_pools(day)
    shed = ((*p.shed, *p.plan.shed) for p in day.periods)
    given_up = sum(
        (exact(p.hours) * Fraction(usd_of_shed(of)) for p, of in zip(day.periods, shed, strict=True)),
        Fraction(0),
    )
    migration = day.periods[0].plan.migration
    changes = Fraction(migration.usd_per_hour) if migration else Fraction(0)
    counted = cost + changes + given_up / hours
    if abs(exact(certificate.objective) - counted) > 4 * _STEP + counted * _STEP**2:
        message = f"was certified at {certificate.objective} usd_per_hour, costs {float(counted):.10g}"
        yield Violation(rule="cost", subject="objective", message=message)
    budget = certificate.mean_budget_usd_per_hour
    if budget is not None and cost + changes > Fraction(budget) * (1 + TOLERANCE):
        message = f"costs {float(cost + changes):.10g} usd_per_hour on average, changes included, the budget is {budget}"
        yield Violation(rule="mean budget", subject="mean_budget_usd_per_hour", message=message)
    yield from wrong_bounds(certificate)


def _changed_contents(day: Day) -> Iterator[Violation]:
    if day.certificate.day_digest != _digest(day):
        message = f"the day is not what was certified (made by hetops {day.hetops_version})"
        yield Violation(rule="contents", subject="day_digest", message=message)


def _digest(day: Day) -> str:
    """SHA-256 of the day, but for the digest itself."""
    return codec.digest(replace(day, certificate=replace(day.certificate, day_digest="")))
