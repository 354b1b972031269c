"""Checks of what is rented: no more than there is, within quotas, paid for as it is used, in no more pools than allowed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from hetops.solver.checks.violation import Moment, Violation, moments
from hetops.solver.problem import PricedOffer, Problem
from hetops.solver.solution import Solution
from hetops.solver.terms import Billing


def oversold_offers(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """No offer is rented more often than it exists; offers of unknown stock are named."""
    for moment in moments(problem, solution):
        rented = _rented(problem, moment)
        for offer in problem.offers:
            most = problem.assumed_max_nodes if offer.max_nodes is None else offer.max_nodes
            if rented[offer.id] > most:
                message = f"{rented[offer.id]} nodes rented, {most} to be had"
                yield Violation(rule="stock", subject=moment.where(offer.id), message=message)
    used = {
        id_
        for moment in moments(problem, solution)
        for id_, nodes in _rented(problem, moment).items()
        if nodes
    }
    unknown = {o.id for o in problem.offers if o.max_nodes is None and o.id in used}
    if set(solution.assumed_offers) != unknown:
        message = f"says {sorted(solution.assumed_offers)}, are {sorted(unknown)}"
        yield Violation(rule="stock", subject="offers of unknown stock", message=message)


def _rented(problem: Problem, moment: Moment) -> Counter[str]:
    """Nodes that are paid for, by offer."""
    whole = _paid_as_a_whole(problem)
    rented: Counter[str] = Counter()
    for pool in moment.does.pools:
        rented.update({offer: nodes for offer, nodes in pool.rented.items() if offer not in whole})
    for rental in moment.does.rentals:
        rented[rental.offer] += rental.nodes
    return rented


def _paid_as_a_whole(problem: Problem) -> dict[str, PricedOffer]:
    """Offers whose nodes are reserved, come in lots, or are shared by columns."""
    parted = {offer for c in problem.columns if c.parts_per_node > 1 for offer in (c.offer, *c.also)}
    return {
        o.id: o for o in problem.offers if o.billing is Billing.RESERVED or o.lot_nodes > 1 or o.id in parted
    }


def broken_ramps(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """From the last period to the first, and from each to the next, no offer gains or loses more nodes than it may."""
    each = tuple(moments(problem, solution))
    rented = [_rented(problem, moment) for moment in each]
    for moment, before, now in zip(each, (rented[-1], *rented), rented, strict=False):
        for offer in problem.offers:
            for message in _too_fast(offer, before[offer.id], now[offer.id]):
                yield Violation(rule="ramps", subject=moment.where(offer.id), message=message)


def _too_fast(offer: PricedOffer, before: int, now: int) -> Iterator[str]:
    if offer.max_added_nodes is not None and now - before > offer.max_added_nodes:
        yield f"{before} nodes before, then {now}: max_added_nodes is {offer.max_added_nodes}"
    if offer.max_removed_nodes is not None and before - now > offer.max_removed_nodes:
        yield f"{before} nodes before, then {now}: max_removed_nodes is {offer.max_removed_nodes}"


def broken_quotas(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Offers that share a quota stay within it together."""
    per_node = {offer.id: offer.quota_per_node for offer in problem.offers}
    for moment in moments(problem, solution):
        for group in problem.quota_groups:
            taken = sum(
                (
                    Fraction(per_node[offer].get(group.id, Decimal(0))) * nodes
                    for offer, nodes in _rented(problem, moment).items()
                ),
                Fraction(0),
            )
            if taken > Fraction(group.limit):
                message = f"takes {float(taken):g} {group.unit}, limit is {group.limit}".replace(" ,", ",")
                yield Violation(rule="quota", subject=moment.where(group.id), message=message)


def too_many_pools(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Over the window no more columns are used than allowed."""
    if problem.max_pools is not None and len(solution.pools) > problem.max_pools:
        message = f"{len(solution.pools)} pools, at most {problem.max_pools} allowed"
        yield Violation(rule="number of pools", subject="max_pools", message=message)


def wrong_rentals(problem: Problem, solution: Solution) -> Iterator[Violation]:
    """Nodes in use are among those paid for; lots are whole, reservations last, commitments are kept."""
    whole = _paid_as_a_whole(problem)
    parts = {column.key: column.parts_per_node for column in problem.columns}
    reserved: defaultdict[str, set[int]] = defaultdict(set)
    for moment in moments(problem, solution):
        paid = Counter({rental.offer: rental.nodes for rental in moment.does.rentals})
        used: defaultdict[str, Fraction] = defaultdict(Fraction)
        for pool in moment.does.pools:
            for offer_id, nodes in pool.rented.items():
                used[offer_id] += Fraction(nodes, parts[pool.key])
        for id_ in paid.keys() - whole.keys():
            yield Violation(rule="rentals", subject=moment.where(id_), message="is paid for by its pools")
        for id_, offer in whole.items():
            subject = moment.where(id_)
            if used[id_] > paid[id_]:
                message = f"{float(used[id_]):g} nodes in use, {paid[id_]} paid for"
                yield Violation(rule="rentals", subject=subject, message=message)
            if paid[id_] % offer.lot_nodes:
                message = f"{paid[id_]} nodes are no multiple of {offer.lot_nodes}"
                yield Violation(rule="rentals", subject=subject, message=message)
            if paid[id_] < offer.committed_nodes:
                message = f"{paid[id_]} nodes paid for, {offer.committed_nodes} are committed"
                yield Violation(rule="commitments", subject=subject, message=message)
            if offer.billing is Billing.RESERVED:
                reserved[id_].add(paid[id_])
    for id_, counts in reserved.items():
        if len(counts) > 1:
            message = f"is reserved, and paid for {sorted(counts)} nodes in turn"
            yield Violation(rule="rentals", subject=id_, message=message)
