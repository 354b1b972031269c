"""Edge: asks every provider at once under one deadline. A provider costs its own offers at most, and is named.

Each provider runs on a thread and an event loop of its own, so that one that blocks, swallows its cancellation or
raises whatever it likes holds up nobody: at the deadline it is left behind. Which offers are fit to be chosen is
decided in `select`.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from hetops.domain.offer import Offer, PriceBasis
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind, HetopsError, ProviderError
from hetops.offers import cache
from hetops.offers.sources import Collected, SourceReport, SourceState
from hetops.plugin.provider import Capability, OfferQuery, Provider
from hetops.plugin.soundness import sound_offer

DEADLINE_SECONDS = 10.0

_PASSING = (ErrorKind.TRANSIENT, ErrorKind.THROTTLED)
"""Failures that say nothing about the next time."""


class Freshness(StrEnum):
    """What may answer in a provider's place."""

    CACHED = "cached"
    """An earlier answer, as long as its prices hold."""
    ASKED = "asked"
    """Nothing: every provider is asked."""
    OFFLINE = "offline"
    """The last answer whatever its age, else list prices; only providers on this host are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A provider to ask with its settings, or, without a provider, a name that only list prices are known of."""

    name: str
    provider: Provider | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the sources are asked. Without a cache folder nothing is kept."""

    freshness: Freshness = Freshness.CACHED
    max_age_seconds: float | None = None
    """No earlier answer stands in that is older, however long its prices hold; None: as long as they do."""
    deadline_seconds: float = DEADLINE_SECONDS
    cache_folder: Path | None = None


def collect(sources: Sequence[Source], query: OfferQuery, terms: Terms) -> Collected:
    """The offers of all sources; takes no longer than the deadline and raises for no provider.

    `query.settings` is each source's own. Where a source refuses or has no provider, its offers are those of
    `query.list_prices`; bases never mix within one source.
    """
    kept = {s.name: known for s in sources if (known := _kept(s, query, terms)) is not None}
    to_ask = [s for s in sources if s.provider and s.name not in kept and _may_ask(s.provider, terms)]
    answers = _ask_all(to_ask, query, terms.deadline_seconds)
    found = [_found(source, kept.get(source.name), answers.get(source.name), query) for source in sources]
    for source, one in zip(sources, found, strict=True):
        _keep(source, one, terms)
    return Collected(
        collected_at=query.now,
        offers=tuple(offer for one in found for offer in one.offers),
        sources=tuple(one.report for one in found),
        refusals=tuple(refusal for one in found for refusal in one.refusals),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What came of one source."""

    report: SourceReport
    offers: tuple[Offer, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    may_mend: bool = False
    """Whether a part failed that may not fail the next time."""


_Answer = tuple[object, ...] | HetopsError
"""What a provider handed over, unseen, or what its failure means."""


def _on_this_host(provider: Provider) -> bool:
    return Capability.PROCESS in provider.capabilities


def _may_ask(provider: Provider, terms: Terms) -> bool:
    return terms.freshness is not Freshness.OFFLINE or _on_this_host(provider)


def _kept(source: Source, query: OfferQuery, terms: Terms) -> cache.CachedOffers | None:
    """The earlier answer that may stand in for asking; None where there is none."""
    folder = terms.cache_folder
    if folder is None or source.provider is None or terms.freshness is Freshness.ASKED:
        return None
    kept = cache.read(folder, source.name, source.settings)
    offers = kept.offers if kept else ()
    limit = terms.max_age_seconds
    if limit is not None and any(o.age_seconds(query.now) > limit for o in offers):
        return None
    holds = offers and not any(o.stale(query.now) or o.observed_at > query.now for o in offers)
    return kept if holds or terms.freshness is Freshness.OFFLINE else None


def _keep(source: Source, found: _Found, terms: Terms) -> None:
    """Remembers an answer whose prices hold for a while, with what it lacks, unless that may mend.

    Prices of this host or from a list are never remembered.
    """
    live = found.report.state is SourceState.LIVE and any(o.basis is PriceBasis.LIVE for o in found.offers)
    if terms.cache_folder is None or not live or found.may_mend:
        return
    answer = cache.CachedOffers(
        provider=source.name,
        offers=found.offers,
        missing=found.report.detail,
        hint=found.report.hint,
        refusals=found.refusals,
    )
    cache.write(terms.cache_folder, source.settings, answer)


def _ask_all(sources: Sequence[Source], query: OfferQuery, deadline_seconds: float) -> dict[str, _Answer]:
    """Each source's answer or failure; whoever is silent at the deadline has failed."""
    answers: queue.SimpleQueue[tuple[str, _Answer]] = queue.SimpleQueue()
    end = time.monotonic() + deadline_seconds
    for source in sources:
        asked = replace(query, settings=source.settings, deadline_seconds=deadline_seconds)
        asking = (source, asked, deadline_seconds, answers)
        threading.Thread(target=_ask, args=asking, name=f"offers of {source.name}", daemon=True).start()
    got: dict[str, _Answer] = {s.name: _silent(s, deadline_seconds) for s in sources}
    for _ in sources:
        try:
            name, answer = answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        got[name] = answer
    return got


def _ask(
    source: Source, query: OfferQuery, seconds: float, answers: queue.SimpleQueue[tuple[str, _Answer]]
) -> None:
    """Runs on its own thread: every outcome, whatever a plugin raises, becomes one answer."""
    try:
        answer: _Answer = asyncio.run(_fetched(source, query, seconds))
    except HetopsError as fault:
        answer = fault
    except BaseException as fault:  # a plugin's SystemExit must not end the command
        answer = ProviderError(
            f"failed: {type(fault).__name__}: {fault}".rstrip(": "),
            provider=source.name,
            kind=ErrorKind.TRANSIENT,
        )
    answers.put((source.name, answer))


async def _fetched(source: Source, query: OfferQuery, seconds: float) -> _Answer:
    assert source.provider is not None
    try:
        async with asyncio.timeout(seconds) as limit:
            answer: object = await source.provider.fetch_offers(query)
    except TimeoutError:
        if limit.expired():
            return _silent(source, seconds)
        raise
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | Mapping):
        return ProviderError(
            f"answered with {type(answer).__name__}, not with offers",
            provider=source.name,
            kind=ErrorKind.INVALID,
        )
    return tuple(answer)


def _silent(source: Source, seconds: float) -> ProviderError:
    return ProviderError(
        f"no answer within {seconds:g} s",
        provider=source.name,
        kind=ErrorKind.TRANSIENT,
        hint="run again, or use --offline",
    )


def _found(
    source: Source, kept: cache.CachedOffers | None, answer: _Answer | None, query: OfferQuery
) -> _Found:
    """The earlier answer, else the answer, else the list prices of a source that nobody could ask."""
    if kept is not None:
        report = _report(source, SourceState.CACHED, kept.offers)
        report = replace(report, detail=kept.missing, hint=kept.hint)
        return _Found(report=report, offers=kept.offers, refusals=kept.refusals)
    if answer is not None:
        return _from_answer(source, answer, query)
    listed = _listed(source, query)
    return _Found(report=_report(source, SourceState.LIST, listed), offers=listed)


def _from_answer(source: Source, answer: _Answer, query: OfferQuery) -> _Found:
    """An answer, sorted into offers and what is none; a failure falls back on list prices."""
    if isinstance(answer, HetopsError):
        return _refused(source, answer, query)
    failures = tuple(thing for thing in answer if isinstance(thing, ProviderError))
    refusals = tuple(thing for thing in answer if isinstance(thing, Refusal))
    things = tuple(thing for thing in answer if not isinstance(thing, ProviderError | Refusal))
    offers, reasons = _sifted(source.name, things, query)
    nonsense = (
        f"answers: {reasons.total()} of {len(things)} are no offers, the first {next(iter(reasons), '')}"
    )
    missing = (*dict.fromkeys(f.message for f in failures), *((nonsense,) if reasons else ()))
    report = replace(
        _report(source, SourceState.LIVE, offers),
        detail="; ".join(missing),
        hint=next((f.hint for f in failures if f.hint), ""),
    )
    unsound = (Refusal(subject=f"offers of {source.name}", reason=r, count=n) for r, n in reasons.items())
    failed = (Refusal(subject=f"part of {source.name}", reason=f.message) for f in failures)
    return _Found(
        report=report,
        offers=offers,
        refusals=(*failed, *unsound, *refusals),
        may_mend=any(f.kind in _PASSING for f in failures),
    )


def _refused(source: Source, fault: HetopsError, query: OfferQuery) -> _Found:
    listed = _listed(source, query)
    report = replace(
        _report(source, SourceState.REFUSED, listed),
        error_kind=fault.kind if isinstance(fault, ProviderError) else None,
        detail=fault.message,
        hint=fault.hint,
    )
    refusal = Refusal(subject=f"provider {source.name}", reason=fault.message)
    return _Found(report=report, offers=listed, refusals=(refusal,))


def _listed(source: Source, query: OfferQuery) -> tuple[Offer, ...]:
    return tuple(o for o in query.list_prices if o.provider == source.name)


def _report(source: Source, state: SourceState, offers: tuple[Offer, ...]) -> SourceReport:
    times = [o.observed_at for o in offers]
    return SourceReport(
        provider=source.name,
        state=state,
        offers=len(offers),
        oldest=min(times, default=None),
        newest=max(times, default=None),
    )


def _sifted(
    name: str, answer: tuple[object, ...], query: OfferQuery
) -> tuple[tuple[Offer, ...], Counter[str]]:
    """The sound offers of an answer, and how many others there are for each reason."""
    offers: list[Offer] = []
    reasons: Counter[str] = Counter()
    for thing in answer:
        try:
            offers.append(sound_offer(name, thing, now=query.now))
        except ValueError as fault:
            reasons[str(fault)] += 1
    return tuple(offers), reasons
