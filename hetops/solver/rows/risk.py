"""Rows that spread a class over places that fail, or are taken away, together."""

from __future__ import annotations

from collections.abc import Iterator

from hetops.solver.frame import Frame
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import Row
from hetops.solver.rows.serve import bounded_share
from hetops.solver.terms import Role, ShareLimit

_Of = tuple[Role, int, int | None]
"""Part of a request, class, and the layer in which it is limited; None over the window."""


def share_limit_rows(frame: Frame) -> Iterator[Row]:
    """No more of what is served of a class than `at_most` is served where it is limited, no less than `at_least`.

    A column that stands on several offers counts towards the most with any of them, towards the least with all of them.
    Of classes that are served when they come this holds in every stretch, of batch work over all of them together;
    where decode has its own place, of either part of the requests.
    """
    for limit in frame.problem.share_limits:
        for places in frame.problem.places(limit.trait, limit.values).values():
            yield from _limited(frame, limit, places)


def _limited(frame: Frame, limit: ShareLimit, places: frozenset[str]) -> Iterator[Row]:
    """The rows of one limit on the places of one value."""
    inside: dict[_Of, list[tuple[int, float]]] = {}  # with any offer
    outside: dict[_Of, list[tuple[int, float]]] = {}  # not with all
    for k, (at, place, w) in enumerate(frame.pairs):
        layer = frame.layers[at]
        if layer.scenario is not None or frame.classes[w].name not in (
            limit.classes or (frame.classes[w].name,)
        ):
            continue
        waits = frame.may_wait(w)
        term, stands = (frame.share(k), float(frame.stretches[at].part) if waits else 1.0), _on(frame, place)
        for part in frame.role(place).parts:
            key = (part, w, None if waits else at)
            if not places.isdisjoint(stands):
                inside.setdefault(key, []).append(term)
            if not stands <= places:
                outside.setdefault(key, []).append(term)
    if limit.at_most < 1:
        most = Limit(kind=LimitKind.SHARE, subject=limit.id)
        for (_, w, n), terms in inside.items():
            yield bounded_share(frame, most, terms, limit.at_most, frame.shed(n, w))
    if limit.at_least > 0:
        least = Limit(kind=LimitKind.LEAST_SHARE, subject=limit.id)
        for (_, w, n), terms in outside.items():
            yield bounded_share(frame, least, terms, 1 - limit.at_least, frame.shed(n, w))


def _on(frame: Frame, place: int) -> frozenset[str]:
    """Offers, or the service."""
    if place < len(frame.columns):
        return frame.columns[place].offers
    return frozenset((frame.problem.services[place - len(frame.columns)].id,))
