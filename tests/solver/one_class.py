"""Brute force over every fleet of a problem with one class and terms, in exact arithmetic and without any solver.

With one class everything but the nodes has a closed form: what a place serves is the smaller of its capacity and what
limits on shares leave it, and what is left goes to the service.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random

from hetops.solver.problem import Problem
from hetops.solver.terms import (
    Billing,
    Loss,
    Migration,
    Period,
    Running,
    Service,
    ShareLimit,
    Trait,
    exact,
)
from tests.solver.problems import offer
from tests.solver.termed import at, one, with_columns

Counts = tuple[int, ...]


def some_problem(random: Random) -> Problem:
    """At most three offers of at most three nodes, at most two periods, every term now and then."""
    offers = tuple(
        at(
            offer(
                f"o{i}",
                random.choice(("0.5", "1", "1.25", "2")),
                random.randint(1, 3),
                f"p{random.randint(0, 1)}",
            ),
            zone=random.choice("ab"),
            interruptions_per_hour=random.choice((0.0, 0.0, 0.5)),
            recovery_hours=0.5,
            billing=random.choice((Billing.RUNNING, Billing.RUNNING, Billing.RESERVED)),
        )
        for i in range(random.randint(1, 3))
    )
    terms: dict[str, object] = {}
    if random.random() < 0.4:
        most = random.choice((None, 0.5, 5.0))
        usd = {"chat": Decimal(random.choice(("0.0001", "0.0003", "0.001")))}
        terms["services"] = (
            Service(id="api", usd_per_request=usd, max_requests_per_second=most, provider="p2"),
        )
    if random.random() < 0.4:
        terms["share_limits"] = (ShareLimit(id="zone", trait=Trait.ZONE, at_most=random.choice((0.5, 0.75))),)
    if random.random() < 0.4:
        trait = random.choice((Trait.ZONE, Trait.PROVIDER))
        terms["losses"] = (Loss(id="loss", trait=trait, kept_share=random.choice((0.25, 0.5, 1.0))),)
    if random.random() < 0.5 and len(offers) < 3:
        terms["periods"] = (
            Period(name="day", hours=16.0),
            Period(name="night", hours=8.0, requests_per_second={"chat": random.choice((0.0, 0.5, 1.0))}),
        )
    if random.random() < 0.3:
        running = tuple(
            Running(offer=o.id, configuration="tp1", nodes=random.randint(0, o.max_nodes or 0))
            for o in offers
        )
        terms["migration"] = Migration(
            running=running,
            usd_per_added_node=Decimal(random.choice((0, 6, 30))),
            usd_per_removed_node=Decimal(random.choice((0, 3))),
            max_changed_nodes=random.choice((None, None, 1, 2)),
        )
    problem = one(*offers, chat=random.choice((0.5, 1.5, 2.0, 3.25)), **{})
    problem = with_columns(problem, lambda _: {"boot_seconds": random.choice((0.0, 1800.0))})
    if random.random() < 0.4:
        usd, most = Decimal(random.choice(("0.0002", "0.0005", "0.002"))), random.choice((0.1, 0.5, 1.0))
        classes = (replace(c, shed_usd_per_request=usd, max_shed_share=most) for c in problem.classes)
        problem = replace(problem, classes=tuple(classes))
    if "periods" in terms and random.random() < 0.5:
        some = (None, 0, 1, 2)
        ramps = (
            at(o, max_added_nodes=random.choice(some), max_removed_nodes=random.choice(some)) for o in offers
        )
        problem = replace(problem, offers=tuple(ramps))
    if random.random() < 0.3:
        terms["usd_per_pool_hour"] = Decimal(random.choice(("0.0625", "0.5", "2")))
    return at(problem, **terms)  # type: ignore[arg-type]


def least_cost(problem: Problem) -> Fraction | None:
    """USD per hour of the cheapest fleet; None where there is none."""
    costs = (_cost(problem, fleet) for fleet in _fleets(problem))
    return min((cost for cost in costs if cost is not None), default=None)


def _fleets(problem: Problem) -> Iterator[tuple[Counts, ...]]:
    """Nodes of each offer, in each stretch."""
    counts = tuple(itertools.product(*(range(problem.max_nodes(o) + 1) for o in problem.offers)))
    return itertools.product(counts, repeat=len(problem.stretches))


def _cost(problem: Problem, fleet: tuple[Counts, ...]) -> Fraction | None:
    """None where the fleet does not do."""
    total = Fraction(0)
    if not _ramps(problem, fleet):
        return None
    for stretch, nodes in zip(problem.stretches, fleet, strict=True):
        bought = _bought_or_shed(problem, nodes, Fraction(stretch.rates["chat"]))
        if bought is None:
            return None
        running = (
            Fraction(o.usd_per_hour) * n
            for o, n in zip(problem.offers, nodes, strict=True)
            if o.billing is Billing.RUNNING
        )
        total += stretch.part * (sum(running, Fraction(0)) + bought)
    for i, o in enumerate(problem.offers):
        if o.billing is Billing.RESERVED:
            total += Fraction(o.usd_per_hour) * max(nodes[i] for nodes in fleet)
    changes = _migration(problem, fleet[0])
    pools = sum(any(nodes[i] for nodes in fleet) for i in range(len(problem.offers)))
    total += pools * Fraction(problem.usd_per_pool_hour)
    return None if changes is None else total + _boots(problem, fleet) + changes


def _ramps(problem: Problem, fleet: tuple[Counts, ...]) -> bool:
    """Whether no offer gains or loses more than it may; what is reserved is paid for, and there, at all times."""
    for i, o in enumerate(problem.offers):
        counts = [nodes[i] for nodes in fleet]
        changes = [after - before for before, after in itertools.pairwise((*counts, counts[0]))]
        if (
            o.billing is Billing.RUNNING
            and o.max_added_nodes is not None
            and max(changes) > o.max_added_nodes
        ):
            return False
        if (
            o.billing is Billing.RUNNING
            and o.max_removed_nodes is not None
            and -min(changes) > o.max_removed_nodes
        ):
            return False
    return True


def _capacity(problem: Problem, nodes: Counts) -> dict[str, Fraction]:
    """Requests per second by offer; every column serves one per node."""
    usable = {offer: share for (offer, _), share in problem.usable(problem.columns).items()}
    return {o.id: n * usable[o.id] for o, n in zip(problem.offers, nodes, strict=True)}


def _bought_or_shed(problem: Problem, nodes: Counts, demand: Fraction) -> Fraction | None:
    """What is cheapest for what nodes do not serve; None where not enough of it may be shed."""
    costs = []
    for served in _worth_serving(problem, nodes, demand):
        bought = _bought(problem, nodes, served)
        if bought is not None and all(
            _survives(problem, nodes, served, s.lost, s.kept_share) for s in problem.scenarios
        ):
            costs.append(
                bought + (demand - served) * 3600 * Fraction(problem.classes[0].shed_usd_per_request or 0)
            )
    return min(costs, default=None)


def _worth_serving(problem: Problem, nodes: Counts, demand: Fraction) -> Iterator[Fraction]:
    """Where the cost, which is linear between them, may be least: all, the least, and where a limit begins to bind."""
    yield demand
    (asked,) = problem.classes
    if asked.shed_usd_per_request is None:
        return
    least = demand * (1 - exact(asked.max_shed_share))
    found = {least, *_bends(problem, nodes)}
    yield from (served for served in found if least <= served < demand)


def _bends(problem: Problem, nodes: Counts) -> Iterator[Fraction]:
    """Rates of which places take all that they can: alone, with the service, after a loss, within their shares."""
    capacity = _capacity(problem, nodes)
    takes = [Fraction(s.max_requests_per_second) for s in problem.services if s.max_requests_per_second]
    zones = dict.fromkeys((o.zone for o in problem.offers), Fraction(0))
    for o in problem.offers:
        zones[o.zone] += capacity[o.id]
    most = min((Fraction(limit.at_most) for limit in problem.share_limits), default=Fraction(1))
    yield from (size / most for size in zones.values())
    for full in itertools.product((False, True), repeat=len(zones)):
        held, others = sum(itertools.compress(zones.values(), full), Fraction(0)), full.count(False)
        for beyond in (Fraction(0), *takes):  # held + others * most * served + beyond = served
            if others * most != 1:
                yield (held + beyond) / (1 - others * most)
    for s in (s for s in problem.scenarios if s.kept_share):
        left = sum((size for id_, size in capacity.items() if id_ not in s.lost), Fraction(0))
        yield from ((left + beyond) / s.kept_share for beyond in (Fraction(0), *takes))


def _bought(problem: Problem, nodes: Counts, demand: Fraction) -> Fraction | None:
    """What the service costs for what nodes do not serve; None where that is more than it takes."""
    capacity = _capacity(problem, nodes)
    zones: dict[str, Fraction] = {}
    for o in problem.offers:
        zones[o.zone] = zones.get(o.zone, Fraction(0)) + capacity[o.id]
    most = min((Fraction(limit.at_most) for limit in problem.share_limits), default=Fraction(1)) * demand
    left = demand - min(demand, sum((min(size, most) for size in zones.values()), Fraction(0)))
    if left <= 0:
        return Fraction(0)
    if not problem.services:
        return None
    (service,) = problem.services
    takes = service.max_requests_per_second
    if takes is not None and left > Fraction(takes):
        return None
    return left * 3600 * Fraction(service.usd_per_request["chat"])


def _survives(
    problem: Problem, nodes: Counts, demand: Fraction, lost: frozenset[str], kept: Fraction
) -> bool:
    if demand == 0:
        return True
    left = sum((size for id_, size in _capacity(problem, nodes).items() if id_ not in lost), Fraction(0))
    for service in (s for s in problem.services if s.id not in lost):
        takes = service.max_requests_per_second
        left += demand if takes is None else min(Fraction(takes), demand)
    return left >= kept * demand


def _boots(problem: Problem, fleet: tuple[Counts, ...]) -> Fraction:
    if len(fleet) == 1:
        return Fraction(0)
    total, boot = Fraction(0), {c.offer: Fraction(c.boot_seconds) for c in problem.columns}
    for before, after in zip((fleet[-1], *fleet[:-1]), fleet, strict=True):
        for o, n0, n1 in zip(problem.offers, before, after, strict=True):
            total += max(n1 - n0, 0) * boot[o.id] / 3600 * Fraction(o.usd_per_hour)
    return total / 24


def _migration(problem: Problem, nodes: Counts) -> Fraction | None:
    migration = problem.migration
    if migration is None:
        return Fraction(0)
    now = {r.offer: r.nodes for r in migration.running}
    changes = [n - now.get(o.id, 0) for o, n in zip(problem.offers, nodes, strict=True)]
    added, removed = sum(c for c in changes if c > 0), -sum(c for c in changes if c < 0)
    if migration.max_changed_nodes is not None and added + removed > migration.max_changed_nodes:
        return None
    once = added * migration.usd_per_added_node + removed * migration.usd_per_removed_node
    return Fraction(once) / Fraction(migration.horizon_hours)
