"""Rows that keep what a class gets of the 16-bit score, on average over its shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hetops.solver.frame import Frame
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.matrix import Row
from hetops.solver.rows.serve import bounded_share
from hetops.solver.terms import FULL_QUALITY, Role, exact

Terms = tuple[tuple[int, float], ...]


def mean_quality_rows(frame: Frame) -> Iterator[Row]:
    """The shares of a class lose no more of the 16-bit score, on average, than it allows.

    Of classes that are served when they come this holds in every stretch, of batch work over all of them together, after
    a loss not at all; where decode has its own place, of either part of the requests.
    """
    asked = {w for w, c in enumerate(frame.classes) if c.mean_quality is not None}
    lost: dict[tuple[int, Role, int | None], list[tuple[int, float]]] = {}
    places = frame.places
    for k, (n, place, w) in enumerate(frame.pairs):
        if w not in asked or frame.layers[n].scenario is not None:
            continue
        waits = frame.may_wait(w)
        quality = places[place].quality.get(frame.classes[w].name, FULL_QUALITY)
        of_score = _lost_at(quality) * (float(frame.stretches[n].part) if waits else 1.0)
        for part in frame.role(place).parts:
            lost.setdefault((w, part, None if waits else n), []).append((frame.share(k), of_score))
    # Where places serve requests whole, both parts of them make the same row.
    for w, at, terms in dict.fromkeys((w, n, tuple(terms)) for (w, _, n), terms in lost.items()):
        yield _at_most(frame, w, terms, frame.shed(at, w))


def _lost_at(quality: float) -> float:
    """The share of the score that is lost; below 0 where a place beats 16 bits."""
    return float(1 - exact(quality))


def _at_most(frame: Frame, w: int, terms: Terms, shed: Sequence[tuple[int, float]]) -> Row:
    """No more lost of what is served; told in the largest loss, for hundredths are little beside what the solver tells from nothing."""
    demand, every = frame.classes[w], Limit(kind=LimitKind.EVERY_QUALITY)
    limit = every if frame.minimise == every else Limit(kind=LimitKind.QUALITY, subject=demand.name)
    most = _lost_at(demand.mean_quality or 0.0)
    unit = 1.0 if frame.minimise == limit else max(abs(of_score) for _, of_score in terms) or 1.0
    return bounded_share(frame, limit, [(i, of_score / unit) for i, of_score in terms], most / unit, shed)
