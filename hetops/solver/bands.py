"""Searches thousands of offers as if they were few: equal offers wait in line, the cheapest first.

Offers whose nodes are equal but for their price form a line: nobody rents from the second before the first is rented
out. So all that wait behind the first few are searched for as one offer, a band: at the price of its cheapest, with all
their stock together. That can only make a fleet cheaper, so what is proven of it holds for the problem. Where the
answer takes more of a band than its cheapest offer has, as many offers leave the band as it takes nodes, and the search
is repeated; where it does not, the answer is one of the problem itself, and the best.

Decides which offers the search sees; knows nothing of rows. Only what the search may not tell apart is put in line: a
field of an offer that this module does not know keeps the offer apart, and so does what names an offer.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from operator import attrgetter

from hetops.domain import codec
from hetops.domain.offer import Trait
from hetops.errors import TimeoutExpiredError
from hetops.solver.patience import Patience
from hetops.solver.problem import Column, PricedOffer, Problem
from hetops.solver.proof import bounded
from hetops.solver.solution import Ended, Infeasible, Solution
from hetops.solver.terms import Loss

Search = Callable[[Problem, float], Solution | Infeasible]
"""The answer to a problem within so many seconds of search."""

InParts = Callable[[Problem, float], Mapping[str, int]]
"""The nodes of each offer that would be rented if parts of nodes could be, rounded up, as far as so many seconds tell."""

_WORDS = ("id", "gpu", "gpu_count", "provider", "zone", "market")
"""Fields of an offer that say nothing of its nodes: only budgets of providers, share limits and losses ask about them."""
_OWN = ("usd_per_hour", "max_nodes")
"""Fields that may differ within a line."""
_EQUAL = ("quota_per_node", "interruptions_per_hour", "recovery_hours", "billing", "network")
"""Fields that offers in line have in common."""
LOOSE_GAP = 0.01
"""With many periods, which a search remembers its fleets of, offers leave their bands for answers as good as this."""

LOOSE_PART = 0.3
"""Of the time that is left: what one of these searches may take of it, or one relaxation before them."""

RIPE_PART = 0.2
"""Of the time: what may pass before the first search, while offers leave their bands."""

SPARE = 2
"""Offers that leave a band beyond those that are needed, where each may be lost: the next are wanted for the ones that are."""

LAST_PART = 0.1
"""Of the time: kept to make a real fleet of an answer whose search ran out of it."""

_LAST_SECONDS = 1.0
"""What a search is given at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """Lines of equal offers; of each line the first `alone` stand for themselves, all others are one band."""

    problem: Problem
    lines: tuple[tuple[PricedOffer, ...], ...]
    alone: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem, apart: Collection[str] = ()) -> Bands:
        """Every line as one band; the offers `apart` are in no line."""
        lines = tuple(_lines(problem, apart))
        return cls(problem=problem, lines=lines, alone=(0,) * len(lines))

    @property
    def waiting(self) -> int:
        """Offers that stand behind the cheapest of a band, which the search does not see."""
        return sum(max(len(line) - alone - 1, 0) for line, alone in zip(self.lines, self.alone, strict=True))

    @property
    def searched(self) -> Problem:
        """The problem with each band as one offer, which is never lost where each offer may be."""
        problem = self._of(tuple(self._offers()))
        if not self._each_may_be_lost:
            return problem
        places = [p.id for p in problem.everywhere if p.id not in self._bands]
        return replace(problem, losses=tuple(_apart(problem.losses, places)))

    @property
    def _each_may_be_lost(self) -> bool:
        return any(map(_is_of_each_offer, self.problem.losses))

    @property
    def _bands(self) -> frozenset[str]:
        """The first offers of bands that stand for several."""
        lines = zip(self.lines, self.alone, strict=True)
        return frozenset(line[at].id for line, at in lines if len(line) - at > 1)

    def restated(self, solution: Solution) -> Solution:
        """A solution of fewer offers in the words of the problem with all of them."""
        unknown = {o.id for o in self.problem.offers if o.max_nodes is None}
        rented = {o for pool in solution.pools for o in pool.rented} | {r.offer for r in solution.rentals}
        names = {}
        for loss in filter(_is_of_each_offer, self.problem.losses):
            for place in self.problem.everywhere:
                names[f"{_name_of(loss, place.id)}: {place.id}"] = f"{loss.id}: {place.id}"
        told = tuple(replace(one, name=names.get(one.name, one.name)) for one in solution.losses)
        return replace(
            solution,
            assumed_offers=tuple(sorted(unknown & rented)),
            losses=told,
        )

    @property
    def without_bands(self) -> Problem:
        """The problem with nothing but the offers that stand for themselves and the cheapest of each band."""
        first = (line[: alone + 1] for line, alone in zip(self.lines, self.alone, strict=True))
        return self._of(tuple(offer for offers in first for offer in offers))

    def _offers(self) -> Iterator[PricedOffer]:
        for line, alone in zip(self.lines, self.alone, strict=True):
            yield from line[:alone]
            band = line[alone:]
            if len(band) > 1:
                yield replace(band[0], max_nodes=sum(map(self.problem.max_nodes, band)))
            else:
                yield from band

    def _of(self, offers: tuple[PricedOffer, ...]) -> Problem:
        kept = {offer.id for offer in offers}
        columns = tuple(column for column in self.problem.columns if column.offers <= kept)
        return replace(self.problem, offers=offers, columns=columns)

    def finer(self, solution: Solution) -> Bands:
        """With as many offers out of each band as the nodes take that the solution has of it; itself where none has
        more than the band's cheapest offer."""
        nodes: Counter[str] = Counter()
        for stretch in solution.stretches:
            of_stretch: Counter[str] = Counter()
            for pool in stretch.pools:
                of_stretch.update(pool.rented)
            nodes |= of_stretch | Counter({one.offer: one.nodes for one in stretch.rentals})
        return self.finer_by(nodes)

    def finer_by(self, nodes: Mapping[str, int]) -> Bands:
        """As `finer`, where so many nodes of each offer are wanted."""
        alone = tuple(
            self._alone(line, at, nodes.get(line[at].id, 0) if at < len(line) else 0)
            for line, at in zip(self.lines, self.alone, strict=True)
        )
        return replace(self, alone=alone)

    def _alone(self, line: tuple[PricedOffer, ...], at: int, nodes: int) -> int:
        losable = self._each_may_be_lost and len(line) - at > 1
        if at >= len(line) or nodes <= (0 if losable else self.problem.max_nodes(line[at])):
            return at
        while at < len(line) and nodes > 0:
            nodes -= self.problem.max_nodes(line[at])
            at += 1
        return min(at + SPARE, len(line)) if losable else at


def _is_of_each_offer(loss: Loss) -> bool:
    return loss.trait is Trait.OFFER and not loss.values


def _name_of(loss: Loss, place: str) -> str:
    return f"{loss.id}: {place}"


def _apart(losses: Iterable[Loss], places: Iterable[str]) -> Iterator[Loss]:
    """Of each offer in turn as one of each of these places."""
    for loss in losses:
        if _is_of_each_offer(loss):
            yield from (replace(loss, id=_name_of(loss, place), values=(place,)) for place in places)
        else:
            yield loss


def search_in_bands(
    problem: Problem,
    search: Search,
    *,
    limit_seconds: float,
    apart: Collection[str] = (),
    in_parts: InParts | None = None,
) -> Solution | Infeasible:
    """The answer to `problem`, found by `search` on few offers at a time; errors as those of `search`.

    Offers that a limit of the search names go into `apart`. With `in_parts`, what that rents of a band leaves it first.

    Raises:
        TimeoutExpiredError: no fleet was found in time.
    """
    bands, patience = Bands.of(problem, apart), Patience.of(limit_seconds)
    began = time.monotonic()
    if not bands.waiting:
        return search(problem, limit_seconds)
    kept = limit_seconds * LAST_PART if math.isfinite(limit_seconds) else 0.0
    gap = max(problem.gap, LOOSE_GAP) if problem.periods or problem.losses else problem.gap
    if in_parts is not None:
        bands = _ripe(bands, in_parts, patience, limit_seconds * (1 - RIPE_PART))
    while True:
        left, loose = patience.left - kept, gap > problem.gap
        seconds = left * LOOSE_PART if loose else left
        try:
            found = search(replace(bands.searched, gap=gap), max(seconds, _LAST_SECONDS))
        except TimeoutExpiredError as error:
            if not loose:
                raise too_late(limit_seconds) from error
            gap = problem.gap  # No fleet was found in its part of the time: the rest of it is for one.
            continue
        spent = time.monotonic() - began
        if isinstance(found, Infeasible):
            return replace(found, problem_digest=codec.digest(problem), solve_seconds=spent)
        finer = bands.finer(found)
        late = found.ended not in ((Ended.GAP, Ended.TIME) if loose else (Ended.GAP,)) or patience.left <= 0
        if finer == bands and (late or found.gap <= problem.gap or not loose):
            return _restated(bands, found, spent)
        if late:
            real = search(finer.without_bands, max(_LAST_SECONDS, patience.left))
            if isinstance(real, Infeasible):
                raise too_late(limit_seconds)
            return _bounded(_restated(finer, real, time.monotonic() - began), found)
        bands, gap = finer, problem.gap if finer == bands else gap


def _ripe(bands: Bands, in_parts: InParts, patience: Patience, least: float) -> Bands:
    """With as many offers out of each band as are rented where parts of nodes can be, while more than the least time is left."""
    finer = bands.finer_by(in_parts(bands.searched, patience.left * LOOSE_PART))
    while finer != bands and patience.left > least:
        bands, finer = finer, finer.finer_by(in_parts(finer.searched, patience.left * LOOSE_PART))
    return finer


def too_late(limit_seconds: float) -> TimeoutExpiredError:
    """The news that a search ended before its first fleet."""
    return TimeoutExpiredError(
        f"no fleet was found within {limit_seconds:g} s",
        hint="allow more time, or fewer offers and configurations",
    )


def _restated(bands: Bands, found: Solution, spent: float) -> Solution:
    """A solution of fewer offers as one of the whole problem."""
    return replace(bands.restated(found), problem_digest=codec.digest(bands.problem), solve_seconds=spent)


def _bounded(real: Solution, found: Solution) -> Solution:
    """A fleet of real offers in place of `found`, which time did not suffice to make real; the bounds are that one's."""
    return bounded(replace(real, ended=found.ended), found.bound, found.certified_bound, gap=0.0)


def _lines(problem: Problem, apart: Collection[str]) -> Iterator[tuple[PricedOffer, ...]]:
    """Offers that only price and stock tell apart, cheapest first; every other one alone."""
    columns: dict[str, list[Column]] = {offer.id: [] for offer in problem.offers}
    for column in problem.columns:
        columns[column.offer].append(column)
    asked, named = _asked_about(problem), {*apart, *_named(problem)}
    lines: dict[object, list[PricedOffer]] = {}
    for offer in problem.offers:
        alone = offer.id in named or not _is_ordinary(offer) or any(not getattr(offer, t) for t in asked)
        kind = (offer.id,) if alone else (_kind(problem, offer, asked), _rates(columns[offer.id]))
        lines.setdefault(kind, []).append(offer)
    yield from (tuple(sorted(line, key=lambda o: (o.usd_per_hour, o.id))) for line in lines.values())


def _asked_about(problem: Problem) -> frozenset[str]:
    """The words of offers that a share limit or a loss asks about; one that an offer lacks keeps it apart."""
    losses = (loss for loss in problem.losses if not _is_of_each_offer(loss))
    traits = {*(limit.trait for limit in problem.share_limits), *(loss.trait for loss in losses)}
    return frozenset("id" if trait is Trait.OFFER else str(trait) for trait in traits)


def _named(problem: Problem) -> Iterator[str]:
    """Offers that something names."""
    yield from (one.offer for one in problem.migration.running) if problem.migration else ()
    for link in problem.links:
        yield from link.key
    for column in problem.columns:
        yield from column.offers if column.also else ()


def _is_ordinary(offer: PricedOffer) -> bool:
    """Whether nothing is said of it but what is known here."""
    return all(_is_default(offer, field) for field in _OTHER_FIELDS)


_OTHER_FIELDS = tuple(f for f in fields(PricedOffer) if f.name not in (*_WORDS, *_EQUAL, *_OWN))


def _is_default(of: object, field: Field[object]) -> bool:
    value = getattr(of, field.name)
    if field.default_factory is not MISSING:
        return bool(value == field.default_factory())
    return bool(value == field.default)


def _kind(problem: Problem, offer: PricedOffer, asked: Collection[str]) -> object:
    """What offers in one line have in common besides their columns."""
    provider = offer.provider if offer.provider in problem.provider_budgets_usd_per_hour else ""
    asked_of = (getattr(offer, name) for name in sorted(asked))
    return (provider, *map(repr, (*asked_of, *_ALL_BUT_OWN(offer))))


_ALL_BUT_OWN = attrgetter(*(f.name for f in fields(PricedOffer) if f.name not in (*_WORDS, *_OWN)))


def _rates(columns: list[Column]) -> object:
    """What nodes of an offer can do."""
    return tuple(sorted(repr(_ALL_BUT_OFFER(column)) for column in columns))


_ALL_BUT_OFFER = attrgetter(*(field.name for field in fields(Column) if field.name != "offer"))
