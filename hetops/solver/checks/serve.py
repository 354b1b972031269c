"""Checks that the demand is served: by pools that exist, can serve it, and have the time; in its period or deadline."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Set
from fractions import Fraction

from hetops.domain import codec
from hetops.domain.percent import percent
from hetops.solver.checks.violation import (
    TOLERANCE,
    Moment,
    Violation,
    aftermaths,
    arrivals,
    moments,
    name_of,
    waits,
)
from hetops.solver.problem import Column, Problem
from hetops.solver.solution import Solution, SolvedPool, SolvedShare
from hetops.solver.terms import Role, Service, exact

Key = tuple[str, str]


def wrong_problem(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """The solution answers this problem, in its mode and in its periods."""
    if solution.problem_digest != codec.digest(problem):
        yield Violation(rule="problem", subject="digest", message="the solution answers another problem")
    if solution.mode is not problem.mode:
        yield Violation(rule="problem", subject="mode", message=f"{solution.mode}, asked was {problem.mode}")
    periods = [period.name for period in problem.periods]
    if [period.name for period in solution.periods] != periods:
        yield Violation(rule="problem", subject="periods", message=f"are not {', '.join(periods) or 'none'}")


def impossible_pools(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Pools are columns of the problem, each once, with nodes and with the column's replicas."""
    columns = {column.key: column for column in problem.columns}
    for pools in (solution.pools, *(period.pools for period in solution.periods)):
        for key, count in Counter(pool.key for pool in pools).items():
            if count > 1:
                yield Violation(rule="pools", subject=name_of(key), message="appears twice")
        for pool in pools:
            message = _fault_of_pool(pool, columns)
            if message:
                yield Violation(rule="pools", subject=name_of(pool.key), message=message)


def _fault_of_pool(pool: SolvedPool, columns: Mapping[Key, Column]) -> str:
    """What makes it impossible; empty where nothing does."""
    column = columns.get(pool.key)
    if column is None:
        return "is no column of the problem"
    if pool.nodes < 1:
        return f"has {pool.nodes} nodes"
    if pool.also != {offer: nodes * pool.nodes for offer, nodes in column.also.items()}:
        return "does not stand on the nodes of other offers that go with its own"
    return (
        "" if pool.replicas_per_node == column.replicas_per_node else "replicas_per_node is not the column's"
    )


def wrong_bounds_of_pools(_: Problem, solution: Solution) -> Iterator[Violation]:
    """Over the window a pool has the most nodes that it has in a period, and the least."""
    if not solution.periods:
        return
    counts = [{pool.key: pool.nodes for pool in period.pools} for period in solution.periods]
    for key in {pool.key for pool in solution.pools} | {key for nodes in counts for key in nodes}:
        most = max(nodes.get(key, 0) for nodes in counts)
        least = min(nodes.get(key, 0) for nodes in counts)
        said = next(((p.nodes, p.least_nodes) for p in solution.pools if p.key == key), (0, 0))
        if said != (most, least):
            message = f"says {said[1]} to {said[0]} nodes, has {least} to {most}"
            yield Violation(rule="pools", subject=name_of(key), message=message)


def unserved_classes(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """In every period the shares of each class that is served add up to exactly 1, where it can be served."""
    columns = {column.key: column for column in problem.columns}
    for moment in (*moments(problem, solution), *aftermaths(problem, solution)):
        yield from _strange_shares(problem, moment, columns)
        yield from _wrong_rates(moment)
    for moment in moments(problem, solution):
        totals = _served(moment, columns)
        wanted = {name: Fraction(rate > 0) for name, rate in moment.rates.items()}
        for name in {**wanted, **totals}:
            due = wanted.get(name, Fraction(0))
            negligible = moment.does.name and moment.asked(name) <= TOLERANCE
            if totals[name] != due and not (negligible and not totals[name]):
                message = f"shares add up to {float(totals[name])}, not {due}"
                yield Violation(rule="demand", subject=moment.where(name), message=message)


def uncovered_losses(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Without what is lost, the shares of each class add up to the kept share at least."""
    columns = {column.key: column for column in problem.columns}
    for moment in aftermaths(problem, solution):
        kept = moment.loss.kept_share if moment.loss else Fraction(1)
        served = _served(moment, columns)
        for name, rate in moment.rates.items():
            negligible = moment.does.name and rate <= TOLERANCE and not served[name]
            if rate > 0 and served[name] < kept - TOLERANCE and not negligible:
                message = f"{percent(float(served[name]), 4)} is served, must be {percent(float(kept), 2)}"
                yield Violation(rule="losses", subject=moment.where(name), message=message)


def _served(moment: Moment, columns: Mapping[Key, Column]) -> defaultdict[str, Fraction]:
    """The shares of each class together; what is prefilled and then decoded counts once."""
    totals: defaultdict[str, Fraction] = defaultdict(Fraction)
    for share in moment.does.shares:
        if share.key not in columns or columns[share.key].role is not Role.DECODE:
            totals[share.workload_class] += exact(share.share)
    return totals


def _strange_shares(problem: Problem, moment: Moment, columns: Mapping[Key, Column]) -> Iterator[Violation]:
    pools = {pool.key for pool in moment.does.pools}
    lost = moment.loss.lost if moment.loss else frozenset[str]()
    services = {(service.id, ""): service for service in problem.services if service.id not in lost}
    for share in moment.does.shares:
        where = moment.where(f"{share.workload_class} on {name_of(share.key)}")
        if share.share <= 0:
            yield Violation(rule="demand", subject=where, message=f"share {share.share} is not above 0")
        message = _fault_of_place(share, services, pools, columns)
        if message:
            yield Violation(rule="demand", subject=where, message=message)
    pairs = Counter((share.workload_class, share.key) for share in moment.does.shares)
    for (name, key), count in pairs.items():
        if count > 1:
            where = moment.where(f"{name} on {name_of(key)}")
            yield Violation(rule="demand", subject=where, message="appears twice")


def _fault_of_place(
    share: SolvedShare, services: Mapping[Key, Service], pools: Set[Key], columns: Mapping[Key, Column]
) -> str:
    """Why the share cannot be served where it goes; empty where it can."""
    if share.key in services:
        serves = share.workload_class in services[share.key].usd_per_request
        return "" if serves else "the service does not serve the class"
    if share.key not in pools:
        return "there is no such pool"
    return "" if columns[share.key].rate(share.workload_class) > 0 else "the pool cannot serve the class"


def _wrong_rates(moment: Moment) -> Iterator[Violation]:
    for share in moment.does.shares:
        due = moment.asked(share.workload_class) * exact(share.share)
        if abs(exact(share.requests_per_second) - due) > due * TOLERANCE:
            subject = moment.where(f"{share.workload_class} on {name_of(share.key)}")
            message = f"{share.requests_per_second} requests per second are not its share, {float(due)}"
            yield Violation(rule="demand", subject=subject, message=message)


def overloaded_pools(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """The loads of each pool add up to what of its nodes may be planned with, at most."""
    columns = {column.key: column for column in problem.columns}
    known = {pool.key for pools in (solution.pools, *(p.pools for p in solution.periods)) for pool in pools}
    usable = problem.usable(columns[key] for key in known)
    for moment in (*moments(problem, solution), *aftermaths(problem, solution)):
        loads: defaultdict[Key, Fraction] = defaultdict(Fraction)
        for share in moment.does.shares:
            rate = columns[share.key].rate(share.workload_class) if share.key in columns else 0.0
            if rate > 0:
                loads[share.key] += moment.asked(share.workload_class) * exact(share.share) / Fraction(rate)
        for pool in moment.does.pools:
            utilisation, most = loads[pool.key] / pool.nodes, usable[pool.key]
            subject = moment.where(name_of(pool.key))
            if utilisation > most * (1 + TOLERANCE):
                message = f"uses {percent(float(utilisation), 6)} of its capacity, may use {percent(float(most), 2)}"
                yield Violation(rule="capacity", subject=subject, message=message)
            if moment.loss is None and abs(exact(pool.utilisation) - utilisation) > TOLERANCE:
                message = f"says utilisation {pool.utilisation}, has {float(utilisation)}"
                yield Violation(rule="capacity", subject=subject, message=message)


def overloaded_services(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """A service takes no more requests than it says."""
    for service, subject, rates in _taken(problem, solution):
        most, taken = service.max_requests_per_second, sum(rates.values(), Fraction(0))
        if most is not None and taken > Fraction(most) * (1 + TOLERANCE):
            message = f"takes {float(taken):g} requests per second, at most {most:g}"
            yield Violation(rule="services", subject=subject, message=message)


def overtaxed_services(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """A service takes no more tokens than it says."""
    for service, subject, rates in _taken(problem, solution):
        most, size = service.max_tokens_per_second, service.tokens_per_request
        taken = sum((rate * exact(size.get(name, 0.0)) for name, rate in rates.items()), Fraction(0))
        if most is not None and taken > Fraction(most) * (1 + TOLERANCE):
            message = f"takes {float(taken):g} tokens per second, at most {most:g}"
            yield Violation(rule="service tokens", subject=subject, message=message)


def _taken(problem: Problem, solution: Solution) -> Iterator[tuple[Service, str, Mapping[str, Fraction]]]:
    """Each service at each moment, how both are called, and requests per second that it takes, by class."""
    for moment in (*moments(problem, solution), *aftermaths(problem, solution)):
        for service in problem.services:
            rates: defaultdict[str, Fraction] = defaultdict(Fraction)
            for share in (one for one in moment.does.shares if one.key == (service.id, "")):
                rates[share.workload_class] += moment.asked(share.workload_class) * exact(share.share)
            yield service, moment.where(service.id), rates


def late_work(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """All batch work that arrives and is not shed is served, and nothing of it later than its deadline."""
    hours = {period.name: period.hours for period in problem.periods}
    names = [period.name for period in problem.periods]
    kept = arrivals(problem, solution)
    due = {
        (c.name, s.name): c
        for c in problem.classes
        if waits(problem, c)
        for s in problem.stretches
        if kept[s.name][c.name] > 0
    }
    totals: defaultdict[Key, Fraction] = defaultdict(Fraction)
    for wait in solution.waits:
        where = f"{wait.workload_class} of {wait.arrived}"
        demand = due.get((wait.workload_class, wait.arrived))
        if demand is None or wait.served not in hours or wait.share <= 0:
            yield Violation(rule="deadlines", subject=where, message="is no batch work that may wait")
            continue
        totals[wait.workload_class, wait.arrived] += exact(wait.share)
        passed = (names.index(wait.served) - names.index(wait.arrived)) % len(names) + 1
        at = [names[(names.index(wait.arrived) + step) % len(names)] for step in range(passed)]
        late = sum(Fraction(hours[name]) for name in at)
        if passed > 1 and late > Fraction(demand.deadline_hours or 0) * (1 + TOLERANCE):
            message = (
                f"may be {float(late):g} h old when {wait.served} ends, deadline is {demand.deadline_hours:g}"
            )
            yield Violation(rule="deadlines", subject=where, message=message)
    for key in due:
        if totals[key] != 1:
            message = f"{float(totals[key]):g} of it is served"
            yield Violation(rule="deadlines", subject=" of ".join(key), message=message)


def broken_handovers(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """What is prefilled goes over declared links to decode of its format, and decode serves nothing else; in networks without."""
    columns = {column.key: column for column in problem.columns}
    links = {link.key for link in problem.links}
    yield from _broken_networks(problem, solution)
    within = {offer.id for offer in problem.offers if offer.network}
    for moment in (*moments(problem, solution), *aftermaths(problem, solution)):
        left: defaultdict[tuple[Role, str, str, str], Fraction] = defaultdict(Fraction)
        for share in moment.does.shares:
            column = columns.get(share.key)
            if column is not None and column.role is not Role.WHOLE and column.offer not in within:
                at = (column.role, column.offer, column.kv_format, share.workload_class)
                left[at] += moment.asked(share.workload_class) * exact(share.share)
        for one in moment.does.handovers:
            rate = exact(one.requests_per_second)
            left[Role.PREFILL, one.source, one.kv_format, one.workload_class] -= rate
            left[Role.DECODE, one.target, one.kv_format, one.workload_class] -= rate
            if (one.source, one.target) not in links or rate <= 0:
                subject = moment.where(f"{one.source} to {one.target}")
                yield Violation(
                    rule="handovers", subject=subject, message="is no link of the problem, or carries nothing"
                )
        for (role, offer, _, name), rest in left.items():
            if abs(rest) > moment.asked(name) * TOLERANCE:
                message = f"{float(rest):g} requests per second more are served than are handed over"
                yield Violation(
                    rule="handovers", subject=moment.where(f"{role} of {name} on {offer}"), message=message
                )


def _broken_networks(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Within a network as much is decoded of a format as is prefilled."""
    columns = {column.key: column for column in problem.columns if column.role is not Role.WHOLE}
    networks = {offer.id: offer.network for offer in problem.offers if offer.network}
    for moment in (*moments(problem, solution), *aftermaths(problem, solution)):
        more: defaultdict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
        for share in (s for s in moment.does.shares if s.key in columns and s.offer in networks):
            column = columns[share.key]
            rate = moment.asked(share.workload_class) * exact(share.share)
            at = (networks[share.offer], column.kv_format, share.workload_class)
            more[at] += rate if column.role is Role.PREFILL else -rate
        for (network, _, name), rest in more.items():
            if abs(rest) > moment.asked(name) * TOLERANCE:
                message = f"prefills {float(rest):g} requests per second more than it decodes"
                yield Violation(
                    rule="handovers", subject=moment.where(f"{name} in {network}"), message=message
                )


def overloaded_links(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """KV caches do not go faster over a link than it carries."""
    size = {c.name: exact(c.kv_gb_per_request) for c in problem.classes}
    for moment in (*moments(problem, solution), *aftermaths(problem, solution)):
        for link in problem.links:
            over = sum(
                (
                    exact(h.requests_per_second) * size[h.workload_class]
                    for h in moment.does.handovers
                    if (h.source, h.target) == link.key
                ),
                Fraction(0),
            )
            if link.gb_per_second is not None and over > Fraction(link.gb_per_second) * (1 + TOLERANCE):
                subject = moment.where(f"{link.source} to {link.target}")
                message = f"carries {float(over):g} GB per second, at most {link.gb_per_second:g}"
                yield Violation(rule="links", subject=subject, message=message)
