"""Rows over nodes: how many there are, what they take of quotas, how they are rented, in how many pools."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from hetops.solver.frame import Block, Frame
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import INFINITY, Row

SMALLEST_UNIT = Decimal("0.000001")
"""Prices and quotas enter in steps of this, rounded to the safe side.

Ten times the solver's feasibility tolerance: a sum of whole steps that the solver takes to be within a limit is so.
"""


def stock_rows(frame: Frame) -> Iterator[Row]:
    """No offer is rented more often than it exists."""
    for t in range(len(frame.stretches)):
        of = _rented(frame, t)
        for offer in frame.problem.offers:
            terms = of.get(offer.id, [])
            if terms or len(frame.stretches) == 1:
                limit = Limit(kind=LimitKind.STOCK, subject=offer.id)
                yield Row(subject=limit, terms=terms, upper=float(frame.problem.max_nodes(offer)))


def _rented(frame: Frame, stretch: int) -> dict[str, list[tuple[int, float]]]:
    """By offer, its nodes in a stretch as a sum of variables."""
    of: dict[str, list[tuple[int, float]]] = {}
    for i, offer, nodes in frame.renting(stretch):
        of.setdefault(offer.id, []).append((i, float(nodes)))
    return of


def ramp_rows(frame: Frame) -> Iterator[Row]:
    """Of an offer no more nodes are added, and no more removed, than may be from one stretch to the next.

    All nodes of the offer count together, whatever they run; the last stretch comes before the first.
    """
    ramping = frame.problem.ramping
    rented = [_rented(frame, t) for t in range(len(frame.stretches))] if ramping else []
    for t, now in enumerate(rented):
        for offer in ramping:
            added = [*now.get(offer.id, []), *((i, -n) for i, n in rented[t - 1].get(offer.id, []))]
            removed = [(i, -n) for i, n in added]
            if added and offer.max_added_nodes is not None:
                limit = Limit(kind=LimitKind.ADDED_NODES, subject=str(offer.max_added_nodes))
                yield Row(subject=limit, terms=added, upper=float(offer.max_added_nodes))
            if removed and offer.max_removed_nodes is not None:
                limit = Limit(kind=LimitKind.REMOVED_NODES, subject=str(offer.max_removed_nodes))
                yield Row(subject=limit, terms=removed, upper=float(offer.max_removed_nodes))


def quota_rows(frame: Frame) -> Iterator[Row]:
    """Offers that share a quota stay within it together."""
    for group in frame.problem.quota_groups:
        for t in range(len(frame.stretches)):
            taken = [
                (i, offer.quota_per_node.get(group.id, Decimal(0)) * nodes)
                for i, offer, nodes in frame.renting(t)
            ]
            yield in_steps(Limit(kind=LimitKind.QUOTA, subject=group.id), taken, group.limit, frame.integers)


def rental_rows(frame: Frame) -> Iterator[Row]:
    """Where nodes are paid for as a whole, those in use are among them; what is committed is paid for anyway."""
    for r, rental in enumerate(frame.rentals):
        rented = (frame.first[Block.RENTED] + r, -float(rental.offer.lot_nodes))
        for t in range(len(frame.stretches)) if rental.stretch is None else (rental.stretch,):
            used = [
                (frame.nodes(t, j), float(nodes))
                for j, takes in enumerate(frame.takes)
                for offer, nodes in takes
                if offer.id == rental.offer.id
            ]
            yield Row(subject=("rented", rental.offer.id, t), terms=[*used, rented], upper=0.0)


def commitment_rows(frame: Frame) -> Iterator[Row]:
    """What is committed is paid for, whatever the answer."""
    for r, rental in enumerate(frame.rentals):
        if rental.offer.committed_nodes:
            terms = [(frame.first[Block.RENTED] + r, float(rental.offer.lot_nodes))]
            least = float(rental.offer.committed_nodes)
            yield Row(subject=("committed", rental.offer.id), terms=terms, lower=least)


def opened_rows(frame: Frame) -> Iterator[Row]:
    """A column that has nodes in any stretch is used: `opened` is 1 for it."""
    if not frame.counts_pools:
        return
    first = frame.first[Block.OPENED]
    for t, caps in enumerate(frame.caps):
        for j, cap in enumerate(caps):
            terms = [(frame.nodes(t, j), 1.0), (first + j, -float(cap))]
            yield Row(subject=("opened", t, frame.columns[j].key), terms=terms, upper=0.0)
    for k, (_, j, w) in enumerate(frame.pairs):
        if frame.scale_index is None and j < len(frame.columns) and not frame.may_wait(w):
            terms = [(frame.share(k), 1.0), (first + j, -1.0)]
            yield Row(subject=("opened", frame.columns[j].key, k), terms=terms, upper=0.0)


def pool_rows(frame: Frame) -> Iterator[Row]:
    """At most so many columns are used."""
    limit, asked = Limit(kind=LimitKind.POOLS), frame.problem.max_pools
    if asked is None and frame.minimise != limit:
        return
    first, most = frame.first[Block.OPENED], INFINITY if asked is None else float(asked)
    opened = [(first + j, 1.0) for j in range(len(frame.columns))]
    yield Row(subject=limit, terms=opened, upper=most)


def in_steps(limit: Limit, amounts: list[tuple[int, Decimal]], most: Decimal, whole: int) -> Row:
    """A row of what variables take, of all offers together, of what there is.

    The first `whole` variables are whole numbers: what each takes is rounded up to steps of `SMALLEST_UNIT`, what there is down,
    so that an answer within a solver's tolerance is within the limit. What others take, by the thousand, is as it is.
    """
    each: dict[int, Decimal] = {}
    for j, amount in amounts:
        each[j] = each.get(j, Decimal(0)) + amount
    terms = [
        (j, float(amount.quantize(SMALLEST_UNIT, rounding=ROUND_CEILING) if j < whole else amount))
        for j, amount in each.items()
        if amount > 0
    ]
    return Row(subject=limit, terms=terms, upper=float(most.quantize(SMALLEST_UNIT, rounding=ROUND_FLOOR)))
