"""Use case: the offers that may be chosen, with or without a spec. Wires catalogue, plugins, providers and rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from hetops.catalog import tables
from hetops.catalog.list_prices import ListPrices, list_prices
from hetops.catalog.tables import Catalog
from hetops.domain.offer import Market, Offer
from hetops.domain.plan import Refusal
from hetops.errors import SpecError, UnknownNameError
from hetops.offers import record
from hetops.offers.changes import Look, OfferChanges
from hetops.offers.collect import DEADLINE_SECONDS, Freshness, Source, Terms, collect
from hetops.offers.history import PriceHistory, history_of
from hetops.offers.listing import OfferListing
from hetops.offers.rank import Order, ranked
from hetops.offers.select import GpuWanted, OfferRules, Selection, parse_gpu, select
from hetops.offers.sources import Collected, SourceState
from hetops.plugin import manager
from hetops.plugin.manager import Plugins
from hetops.plugin.provider import OfferQuery
from hetops.spec.fields import LoadedSpec
from hetops.spec.load import find, load, place
from hetops.state.home import home

_NO_LIMIT_USD = Decimal("1e9")
"""An hour: whoever writes more limits nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known before anybody is asked."""

    plugins: Plugins
    catalog: Catalog
    now: datetime
    cache_folder: Path | None = None
    freshness: Freshness = Freshness.CACHED
    max_age_seconds: float | None = None
    deadline_seconds: float = DEADLINE_SECONDS

    @property
    def terms(self) -> Terms:
        """How the sources are asked."""
        return Terms(
            freshness=self.freshness,
            max_age_seconds=self.max_age_seconds,
            deadline_seconds=self.deadline_seconds,
            cache_folder=self.cache_folder,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whom to ask with which settings, what an offer must meet, and what each provider may cost in an hour."""

    settings: Mapping[str, Mapping[str, Any]]
    rules: OfferRules = field(default_factory=OfferRules)
    usd_per_hour: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The offers as they came, and what the rules left of them."""

    collected: Collected
    selection: Selection
    unpriced: tuple[Refusal, ...] = ()
    """Machine types of the snapshot that are no offer, of the sources that stand on it."""

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Everything that was not considered, told together."""
        return (*self.collected.refusals, *self.selection.refusals, *_by_reason(self.unpriced))


def wanted_by(loaded: LoadedSpec, surroundings: Surroundings) -> Wanted:
    """What the spec wants.

    Raises:
        UnknownNameError: a provider or GPU type that nobody knows, with its place in the file.
        SpecError: a limit of a provider that is no price.
    """
    spec = loaded.spec
    tables_of = spec.enabled_providers
    known = _known_providers(surroundings)
    for name in tables_of:
        if name not in known:
            raise UnknownNameError("provider", name, known, where=place(loaded, "providers", name))
    gpus = tuple(
        _gpu(text, surroundings.catalog, where=place(loaded, "offers", "gpus", i))
        for i, text in enumerate(spec.offers.gpus)
    )
    rules = OfferRules(
        gpus=gpus,
        regions=spec.offers.regions,
        markets=spec.offers.markets,
        max_usd_per_gpu_hour=spec.offers.max_usd_per_gpu_hour,
        exclude=spec.offers.exclude,
    )
    limits = {name: table["usd_per_hour"] for name, table in tables_of.items() if "usd_per_hour" in table}
    for name, limit in limits.items():
        where = place(loaded, "providers", name, "usd_per_hour")
        if not (isinstance(limit, Decimal) and limit.is_finite() and limit > 0):
            raise SpecError(
                f"{where}: must be a price above zero, found {limit}",
                hint="say what its nodes may cost together, as in usd_per_hour = 40",
            )
        if limit >= _NO_LIMIT_USD:
            raise SpecError(f"{where}: a thousand million and more limits nothing: leave it out")
    return Wanted(settings=spec.provider_settings, rules=rules, usd_per_hour=limits)


def gather(wanted: Wanted, surroundings: Surroundings) -> Gathered:
    """Asks all sources at once and applies the rules; raises for no provider."""
    prices = list_prices(surroundings.catalog)
    providers = {p.name: p for p in surroundings.plugins.providers}
    sources = [Source(name=n, provider=providers.get(n), settings=s) for n, s in wanted.settings.items()]
    query = OfferQuery(
        now=surroundings.now, gpu_types=surroundings.catalog.gpu_types, list_prices=prices.offers
    )
    collected = collect(sources, query, surroundings.terms)
    selection = select(
        _limited(collected.offers, wanted.usd_per_hour),
        wanted.rules,
        now=surroundings.now,
        gpus=frozenset(g.name for g in surroundings.catalog.gpu_types),
        list_prices=prices.offers,
    )
    return Gathered(collected=collected, selection=selection, unpriced=_unpriced(collected, prices))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`hetops offers` as it was asked. Empty rules leave the spec's in force, or, without a spec, allow all."""

    file: Path | None
    """A spec named by the user; None takes hetops.toml in `folder` where there is one."""
    folder: Path
    environment: Mapping[str, str]
    now: datetime
    providers: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    markets: tuple[Market, ...] = ()
    max_usd_per_gpu_hour: Decimal | None = None
    order: Order = Order.GPU
    freshness: Freshness = Freshness.CACHED
    max_age_seconds: float | None = None
    """How old a price from the cache may be; None: as old as it holds."""
    deadline_seconds: float = DEADLINE_SECONDS


def list_offers(question: Question) -> OfferListing:
    """The offers that may be chosen, and the others.

    Raises:
        SpecError: the spec is unreadable or wrong.
        UnknownNameError: a provider or GPU type that nobody knows.
        UsageError: a GPU type that is written wrongly.
    """
    loaded = _spec(question)
    plugins = manager.load(loaded.spec.plugins.allow if loaded else None)
    surroundings = Surroundings(
        plugins=plugins,
        catalog=tables.load(plugins.gpu_types, plugins.models, plugins.checkpoints),
        now=question.now,
        cache_folder=home(question.environment, beside=loaded.folder if loaded else None).cache / "offers",
        freshness=question.freshness,
        max_age_seconds=question.max_age_seconds,
        deadline_seconds=question.deadline_seconds,
    )
    known = _known_providers(surroundings)
    wanted = wanted_by(loaded, surroundings) if loaded else Wanted(settings={name: {} for name in known})
    gathered = gather(_narrowed(wanted, question, surroundings), surroundings)
    collected, selection = gathered.collected, gathered.selection
    gpu_types = {g.name: g for g in surroundings.catalog.gpu_types}
    broken = (f"plugin {p.name} {p.version}".strip() + f" cannot be used: {p.error}" for p in plugins.broken)
    return OfferListing(
        created_at=question.now,
        coverage=collected.coverage,
        sources=collected.sources,
        offers=ranked(selection.offers, gpu_types, question.order),
        refused=selection.refused,
        refusals=(*collected.refusals, *gathered.unpriced),
        warnings=(*broken, *selection.warnings),
    )


def watch(
    question: Question,
    *,
    seconds: float,
    wait: Callable[[float], None],
    now: Callable[[], datetime],
    ask: Callable[[Question], OfferListing] = list_offers,
) -> Iterator[tuple[OfferListing, OfferChanges]]:
    """Looks for ever, each with what changed since the one before; of the first, everything is new.

    Everybody is asked each time, unless the question says how old a price may be.
    """
    freshness = Freshness.ASKED if question.max_age_seconds is None else question.freshness
    look = Look()
    while True:
        listing = ask(replace(question, now=now(), freshness=freshness))
        look, changes = look.then(listing)
        yield listing, changes
        wait(seconds)


def record_prices(listing: OfferListing, question: Question, file: Path | None) -> Path:
    """Adds the prices of a listing to a record: to `file`, or to the one among the state. Says to which.

    Raises:
        HetopsError: it cannot be written.
    """
    path = file or _record_file(question)
    record.append(path, record.record_of(listing))
    return path


def price_history(gpu: str, question: Question, file: Path | None) -> PriceHistory:
    """What a GPU type cost, by a record: that in `file`, or the one among the state. Asks nobody.

    Raises:
        HetopsError: there is no record.
        UnknownNameError: the record does not have the GPU type.
    """
    return history_of(gpu, record.read(file or _record_file(question)))


def _record_file(question: Question) -> Path:
    loaded = _spec(question)
    return home(question.environment, beside=loaded.folder if loaded else None).prices


def _spec(question: Question) -> LoadedSpec | None:
    """The spec that was named or that lies in the folder; None where there is none."""
    try:
        path = find(question.file, question.folder)
    except SpecError:
        if question.file is not None:
            raise
        return None
    return load(path, environment=question.environment)


def _narrowed(wanted: Wanted, question: Question, surroundings: Surroundings) -> Wanted:
    """What the command line asks for in place of what the spec does, field by field."""
    known = _known_providers(surroundings)
    for name in question.providers:
        if name not in known:
            raise UnknownNameError("provider", name, known)
    given: dict[str, Any] = {
        "gpus": tuple(_gpu(text, surroundings.catalog) for text in question.gpus),
        "regions": question.regions,
        "markets": question.markets,
        "max_usd_per_gpu_hour": question.max_usd_per_gpu_hour,
    }
    rules = replace(wanted.rules, **{name: value for name, value in given.items() if value})
    settings = {name: wanted.settings.get(name, {}) for name in question.providers} or wanted.settings
    return replace(wanted, settings=settings, rules=rules)


def _gpu(text: str, catalog: Catalog, *, where: str = "") -> GpuWanted:
    wanted = parse_gpu(text)
    if not any(wanted.covers(gpu.name) for gpu in catalog.gpu_types):
        catalog.gpu(wanted.gpu, where=where)
    return wanted


def _known_providers(surroundings: Surroundings) -> tuple[str, ...]:
    """Every provider that a plugin or the snapshot knows."""
    listed = list_prices(surroundings.catalog).providers
    return tuple(dict.fromkeys((*(p.name for p in surroundings.plugins.providers), *listed)))


def _limited(offers: Iterable[Offer], limits: Mapping[str, Decimal]) -> tuple[Offer, ...]:
    """The offers, each with what the spec lets its provider cost, unless the provider's own limit is lower."""
    return tuple(_with_limit(o, limits[o.provider]) if o.provider in limits else o for o in offers)


def _with_limit(offer: Offer, limit: Decimal) -> Offer:
    own = offer.limits.spend_usd_per_hour
    tighter = limit if own is None else min(own, limit)
    return replace(offer, limits=replace(offer.limits, spend_usd_per_hour=tighter))


def _unpriced(collected: Collected, prices: ListPrices) -> tuple[Refusal, ...]:
    listed = {s.provider for s in collected.sources if s.state in (SourceState.LIST, SourceState.REFUSED)}
    return tuple(row.refusal for row in prices.refused if row.provider in listed)


def _by_reason(refusals: Sequence[Refusal]) -> tuple[Refusal, ...]:
    """Rows of the snapshot with the same reason as one refusal."""
    counts: dict[str, int] = {}
    for refusal in refusals:
        counts[refusal.reason] = counts.get(refusal.reason, 0) + refusal.count
    return tuple(Refusal(subject="list prices", reason=r, count=n) for r, n in counts.items())
