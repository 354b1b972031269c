"""Which offers may be chosen, by the rules of the spec; every other one with the reason. Pure.

Must not ask, guess a name or mend an offer: what is unknown about an offer never satisfies a rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase

from hetops.domain.offer import AvailabilityState, Market, Offer, PriceBasis
from hetops.domain.plan import Refusal
from hetops.errors import UsageError, nearest

ANYWHERE = "any"
"""Region of an offer whose provider does not say where it is."""

_IMPLAUSIBLE_FACTOR = 10
"""A live price this many times off the list price of the same thing is taken for a wrong unit or a wrong field."""

_IMPLAUSIBLE_SPOT_FACTOR = 20
"""How far below the on-demand list price a spot price without a list price of its own may lie: discounts reach 90 %."""


class Reason(StrEnum):
    """Why an offer may not be chosen."""

    UNKNOWN_GPU = "unknown_gpu"
    PROVIDER = "provider"
    GPU = "gpu"
    REGION = "region"
    MARKET = "market"
    PRICE = "price"
    EXCLUDED = "excluded"
    NONE_LEFT = "none_left"
    QUOTA = "quota"
    STALE = "stale"
    IMPLAUSIBLE_PRICE = "implausible_price"
    DOUBLE = "double"


class StalePrices(StrEnum):
    """What to do with a price that is older than it says it holds."""

    WARN = "warn"
    """Plan with it and say so."""
    REFUSE = "refuse"
    """Never spend money on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuWanted:
    """A GPU type, or a family of them (`H100` for H100-SXM, H100-PCIe and H100-NVL), and how many of it one node must have.

    None takes any number.
    """

    gpu: str
    count: int | None = None

    def covers(self, gpu: str) -> bool:
        """Whether a GPU type is meant, however it is spelt."""
        name, wanted = gpu.casefold(), self.gpu.casefold()
        return name == wanted or name.startswith(f"{wanted}-")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRules:
    """What an offer must meet; an empty tuple allows all.

    `regions` and `exclude` take patterns with `*` and `?`; `exclude` is held against SKU and offer id.
    """

    providers: tuple[str, ...] = ()
    gpus: tuple[GpuWanted, ...] = ()
    regions: tuple[str, ...] = ()
    markets: tuple[Market, ...] = ()
    max_usd_per_gpu_hour: Decimal | None = None
    exclude: tuple[str, ...] = ()
    stale: StalePrices = StalePrices.WARN


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedOffer:
    """An offer that may not be chosen."""

    offer: Offer
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The offers that may be chosen, the others, and what in the rules or offers deserves a word."""

    offers: tuple[Offer, ...]
    refused: tuple[RefusedOffer, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The refused offers told together by provider and detail, most first."""
        counts = Counter((r.offer.provider, r.detail) for r in self.refused)
        return tuple(
            Refusal(subject=f"offers of {provider}", reason=detail, count=count)
            for (provider, detail), count in counts.most_common()
        )


def parse_gpu(text: str) -> GpuWanted:
    """`H100-SXM`, `H100` or `H100:8`: a GPU type or family, and how many one node must have.

    Raises:
        UsageError: the count is no whole number above zero.
    """
    gpu, colon, count = text.strip().partition(":")
    if not gpu or (colon and not (count.isascii() and count.isdigit() and int(count) > 0)):
        raise UsageError(
            f"{text!r} is no GPU type", hint="write it as H100-SXM or, for nodes of 8, H100-SXM:8"
        )
    return GpuWanted(gpu=gpu, count=int(count) if colon else None)


def select(
    offers: Sequence[Offer],
    rules: OfferRules,
    *,
    now: datetime,
    gpus: frozenset[str],
    list_prices: Iterable[Offer] = (),
) -> Selection:
    """The offers that meet the rules; the first rule that an offer breaks is its reason.

    `gpus` are the names that the catalogue knows; `list_prices` is what live prices are held against.
    """
    context = _context(now, gpus, tuple(list_prices))
    chosen: dict[str, Offer] = {}
    refused: list[RefusedOffer] = []
    for offer in sorted(offers, key=_by_price):
        found = _broken(offer, rules, context)
        if found is None and offer.id in chosen:
            found = Reason.DOUBLE, f"{offer.id} was offered twice; the cheaper one counts"
        if found is None:
            chosen[offer.id] = offer
        else:
            refused.append(RefusedOffer(offer=offer, reason=found[0], detail=found[1]))
    warnings = (*_matching_nothing(offers, rules), *_stale(chosen.values(), now))
    return Selection(offers=tuple(chosen.values()), refused=tuple(refused), warnings=tuple(warnings))


def _by_price(offer: Offer) -> tuple[object, ...]:
    """The cheapest first; of two that bear one id and price the same one, in whatever order they came."""
    return (offer.total_usd_per_hour, offer.id, offer.gpu, offer.gpu_count, offer.region, offer.observed_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What offers are held against besides the rules."""

    now: datetime
    gpus: frozenset[str]
    listed: Mapping[tuple[str, str, Market], Decimal]
    listed_per_gpu: Mapping[tuple[str, str, Market], tuple[Decimal, Decimal]]
    """Lowest and highest list price of one GPU of a type in any machine of the provider."""


def _context(now: datetime, gpus: frozenset[str], listed: tuple[Offer, ...]) -> _Context:
    each: dict[tuple[str, str, Market], list[Decimal]] = {}
    for offer in listed:
        key = (offer.provider, offer.gpu, offer.market)
        each.setdefault(key, []).append(offer.usd_per_hour / offer.gpu_count)
    return _Context(
        now=now,
        gpus=gpus,
        listed={(o.provider, o.sku, o.market): o.usd_per_hour for o in listed},
        listed_per_gpu={key: (min(prices), max(prices)) for key, prices in each.items()},
    )


def _broken(offer: Offer, rules: OfferRules, context: _Context) -> tuple[Reason, str] | None:
    """The first rule that the offer breaks, and how."""
    for reason, breaks in _RULES:
        detail = breaks(offer, rules, context)
        if detail:
            return reason, detail
    return None


def _unknown_gpu(offer: Offer, _rules: OfferRules, context: _Context) -> str:
    return "" if offer.gpu in context.gpus else f"the catalogue does not know the GPU type {offer.gpu}"


def _provider(offer: Offer, rules: OfferRules, _context: _Context) -> str:
    return "" if offer.provider in (rules.providers or (offer.provider,)) else "not a provider asked for"


def _gpu(offer: Offer, rules: OfferRules, _context: _Context) -> str:
    wanted = [w for w in rules.gpus if w.covers(offer.gpu)]
    if rules.gpus and not wanted:
        return "not a GPU type asked for"
    counts = {w.count for w in wanted}
    return (
        "" if not wanted or counts & {None, offer.gpu_count} else f"a node has {offer.gpu_count} {offer.gpu}"
    )


def _region(offer: Offer, rules: OfferRules, _context: _Context) -> str:
    if not rules.regions or any(_in_region(offer, pattern) for pattern in rules.regions):
        return ""
    return "its region is not known" if offer.region == ANYWHERE else "not in a region asked for"


def _in_region(offer: Offer, pattern: str) -> bool:
    return fnmatchcase(offer.region, pattern) or bool(offer.zone and fnmatchcase(offer.zone, pattern))


def _market(offer: Offer, rules: OfferRules, _context: _Context) -> str:
    return "" if offer.market in (rules.markets or (offer.market,)) else f"on the market {offer.market}"


def _price(offer: Offer, rules: OfferRules, _context: _Context) -> str:
    limit = rules.max_usd_per_gpu_hour
    if limit is None or offer.total_usd_per_hour <= limit * offer.gpu_count:
        return ""
    return f"dearer than {limit} usd_per_gpu_hour"


def _excluded(offer: Offer, rules: OfferRules, _context: _Context) -> str:
    return next((f"excluded by {p!r}" for p in rules.exclude if _is_meant(offer, p)), "")


def _is_meant(offer: Offer, pattern: str) -> bool:
    return any(pattern == name or fnmatchcase(name, pattern) for name in (offer.sku, offer.id))


def _none_left(offer: Offer, _rules: OfferRules, _context: _Context) -> str:
    gone = offer.availability.state is AvailabilityState.NONE or offer.limits.max_count == 0
    return "none left" if gone else ""


def _quota(offer: Offer, _rules: OfferRules, _context: _Context) -> str:
    short = (share for share in offer.limits.quotas if not share.allows_one)
    told = (f"{share.left:g} {share.unit} left of quota {share.group}".replace("  ", " ") for share in short)
    return next(told, "")


def _stale_price(offer: Offer, rules: OfferRules, context: _Context) -> str:
    refuse = rules.stale is StalePrices.REFUSE and offer.stale(context.now)
    return f"its price is older than the {offer.ttl_seconds} s it holds" if refuse else ""


def _implausible(offer: Offer, _rules: OfferRules, context: _Context) -> str:
    """A wrong price is worse than none: the optimum would be built on it."""
    below, listed = _IMPLAUSIBLE_FACTOR, context.listed.get((offer.provider, offer.sku, offer.market))
    if listed is None and offer.market is Market.SPOT:
        below = _IMPLAUSIBLE_SPOT_FACTOR
        listed = context.listed.get((offer.provider, offer.sku, Market.ON_DEMAND))
    if offer.basis is not PriceBasis.LIVE:
        return ""
    if listed is None:
        return _implausible_per_gpu(offer, context)
    price = offer.usd_per_hour
    if listed < price * below and price < listed * _IMPLAUSIBLE_FACTOR:
        return ""
    factor = below if price < listed else _IMPLAUSIBLE_FACTOR
    return f"{price} usd_per_hour is {factor} times off the list price of {listed}"


def _implausible_per_gpu(offer: Offer, context: _Context) -> str:
    """A machine that the snapshot does not list, held against the provider's others with GPUs of this type."""
    found = context.listed_per_gpu.get((offer.provider, offer.gpu, offer.market))
    price = offer.usd_per_hour / offer.gpu_count
    if found is None or (found[0] < price * _IMPLAUSIBLE_FACTOR and price < found[1] * _IMPLAUSIBLE_FACTOR):
        return ""
    listed = found[0] if price < found[0] else found[1]
    return (
        f"{price:.2f} USD for a {offer.gpu} is {_IMPLAUSIBLE_FACTOR} times off its list price of {listed:.2f}"
    )


_Rule = Callable[[Offer, OfferRules, _Context], str]
"""How an offer breaks a rule; empty where it does not."""

_RULES: tuple[tuple[Reason, _Rule], ...] = (
    (Reason.PROVIDER, _provider),
    (Reason.UNKNOWN_GPU, _unknown_gpu),
    (Reason.EXCLUDED, _excluded),
    (Reason.GPU, _gpu),
    (Reason.REGION, _region),
    (Reason.MARKET, _market),
    (Reason.IMPLAUSIBLE_PRICE, _implausible),
    (Reason.STALE, _stale_price),
    (Reason.NONE_LEFT, _none_left),
    (Reason.QUOTA, _quota),
    (Reason.PRICE, _price),
)


def _matching_nothing(offers: Sequence[Offer], rules: OfferRules) -> Iterable[str]:
    """Rules that no offer meets are most likely misspelt, and an exclusion that excludes nothing is a risk."""
    regions = {name for o in offers for name in (o.region, o.zone) if name}
    for pattern in rules.regions:
        if not any(_in_region(o, pattern) for o in offers):
            yield f"no offer is in region {pattern!r}" + _meant(pattern, regions)
    for wanted in rules.gpus:
        if not any(_gpu_matches(o, wanted) for o in offers):
            nodes = f" in nodes of {wanted.count}" if wanted.count else ""
            yield f"nobody offers {wanted.gpu}{nodes}"
    for pattern in rules.exclude:
        if not any(_is_meant(o, pattern) for o in offers):
            yield f"{pattern!r} excludes nothing" + _meant(pattern, {o.sku for o in offers})


def _gpu_matches(offer: Offer, wanted: GpuWanted) -> bool:
    return wanted.covers(offer.gpu) and wanted.count in (None, offer.gpu_count)


def _meant(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known, most=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _stale(offers: Iterable[Offer], now: datetime) -> Iterable[str]:
    counts = Counter(o.provider for o in offers if o.stale(now))
    for provider, count in counts.items():
        yield f"{count} price{'s' * (count != 1)} of {provider} are older than they hold: ask again before `up`"
