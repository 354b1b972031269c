"""One limit of a problem: what it is now, the problem with another value of it, and what to do about it in words.

Decides no value: those come from searches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from hetops.domain.offer import Trait
from hetops.solver.limit import Limit, LimitKind
from hetops.solver.problem import PricedOffer, Problem
from hetops.solver.rows.supply import SMALLEST_UNIT
from hetops.solver.terms import Link, Service, ShareLimit


def limits_of_terms(problem: Problem) -> Iterator[Limit]:
    """Every limit of the problem's terms that somebody could lift."""
    if problem.mean_budget_usd_per_hour is not None:
        yield Limit(kind=LimitKind.MEAN_BUDGET)
    if problem.migration is not None and problem.migration.max_changed_nodes is not None:
        yield Limit(kind=LimitKind.CHANGES)
    yield from _limits_of_ramps(problem)
    for limit in problem.share_limits:
        if limit.at_most < 1:
            yield Limit(kind=LimitKind.SHARE, subject=limit.id)
        if limit.at_least > 0:
            yield Limit(kind=LimitKind.LEAST_SHARE, subject=limit.id)
    asking = [c.name for c in problem.classes if c.mean_quality is not None]
    yield from (Limit(kind=LimitKind.QUALITY, subject=name) for name in asking)
    if len(asking) > 1:
        yield Limit(kind=LimitKind.EVERY_QUALITY)
    for demand in problem.classes:
        if demand.shed_usd_per_request is not None and demand.max_shed_share < 1:
            yield Limit(kind=LimitKind.SHED, subject=demand.name)
    for loss in problem.losses:
        if loss.kept_share > 0 and (loss.values or loss.trait is not Trait.OFFER):  # of each offer: `trials`
            yield Limit(kind=LimitKind.LOSS, subject=loss.id)
    yield from _limits_of_services(problem)
    for link in (one for one in problem.links if one.gb_per_second is not None):
        yield Limit(kind=LimitKind.LINK, subject=_name(link))


def _limits_of_ramps(problem: Problem) -> Iterator[Limit]:
    """Offers that are held to the same are one limit."""
    added = {o.max_added_nodes for o in problem.ramping} - {None}
    removed = {o.max_removed_nodes for o in problem.ramping} - {None}
    yield from (Limit(kind=LimitKind.ADDED_NODES, subject=most) for most in sorted(map(str, added)))
    yield from (Limit(kind=LimitKind.REMOVED_NODES, subject=most) for most in sorted(map(str, removed)))


def _limits_of_services(problem: Problem) -> Iterator[Limit]:
    for service in problem.services:
        if service.max_requests_per_second is not None:
            yield Limit(kind=LimitKind.SERVICE_REQUESTS, subject=service.id)
        if service.max_tokens_per_second is not None:
            yield Limit(kind=LimitKind.SERVICE_TOKENS, subject=service.id)


def current(problem: Problem, limit: Limit) -> Decimal:
    """The value of the limit as it is."""
    return _LEVERS[limit.kind].now(problem, limit.subject)


_BUDGETS = (LimitKind.BUDGET, LimitKind.MEAN_BUDGET, LimitKind.PROVIDER_BUDGET)

_NOISE = 1e-9
"""Of a sum of steps, in USD per hour: what its floating point may add."""


def needed(problem: Problem, limit: Limit, least: float) -> Decimal:
    """The value of the limit that the least of what it limits asks for, rounded to the safe side."""
    most = Decimal(least).quantize(SMALLEST_UNIT, rounding=ROUND_CEILING)
    if limit.kind in (LimitKind.SHARE, LimitKind.SHED):
        return min(most, Decimal(1))
    if limit.kind in (LimitKind.SERVICE_REQUESTS, LimitKind.SERVICE_TOKENS, LimitKind.LINK):
        return most
    if limit.kind is LimitKind.EVERY_QUALITY:
        return max(current(problem, limit) - most, Decimal(0))
    if limit.kind in (LimitKind.LEAST_SHARE, LimitKind.QUALITY, LimitKind.LOSS):
        return max(Decimal(1 - least).quantize(SMALLEST_UNIT, rounding=ROUND_FLOOR), Decimal(0))
    nearest = Decimal(least).quantize(SMALLEST_UNIT, rounding=ROUND_HALF_EVEN)
    if limit.kind is LimitKind.CHANGES:
        return nearest.to_integral_value(rounding=ROUND_CEILING)  # parts of nodes change, whole ones are told
    # Prices of nodes add up to steps; what requests cost, and parts of a day, to anything between them.
    return most if limit.kind in _BUDGETS and abs(float(nearest) - least) > _NOISE else nearest


def having(problem: Problem, limit: Limit, value: Decimal) -> Problem:
    """The problem with that value of the limit."""
    return _LEVERS[limit.kind].having(problem, limit.subject, value)


def advice(problem: Problem, limit: Limit, value: Decimal) -> str:
    """What to do, with both numbers."""
    now, least = _plain(current(problem, limit)), _plain(value)
    nodes = "node" if value == 1 else "nodes"
    if limit.kind is LimitKind.STOCK:
        known = problem.offer(limit.subject).max_nodes is not None
        have = f"{now} to be had" if known else f"{now} assumed, its stock is unknown"
        return f"find {least} {nodes} of {limit.subject} ({have})"
    if limit.kind is LimitKind.EVERY_QUALITY and len(_asked_qualities(problem)) > 1:
        return f"lower the mean quality of every class by {_plain(current(problem, limit) - value)}"
    text = _LEVERS[limit.kind].advice.format(subject=limit.subject, now=now, least=least, nodes=nodes)
    if limit.kind in (LimitKind.SERVICE_REQUESTS, LimitKind.SERVICE_TOKENS):
        text += _times(value, current(problem, limit))
    if limit.kind is LimitKind.QUOTA:
        text += " " + next(g.unit for g in problem.quota_groups if g.id == limit.subject)
    return text.rstrip()


def _times(value: Decimal, now: Decimal) -> str:
    """How many times as much, rounded up: what holds of a limit per minute, or before headroom, as well."""
    if not now:
        return ""
    return f", {_plain((value / now).quantize(Decimal('0.001'), rounding=ROUND_CEILING))} times as many"


def _plain(amount: Decimal) -> str:
    """Without exponent and without zeros at the end of decimals."""
    return f"{amount.normalize():f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lever:
    """How the value of one kind of limit is read, set and spoken of; the subject names which one of the kind."""

    now: Callable[[Problem, str], Decimal]
    having: Callable[[Problem, str, Decimal], Problem]
    advice: str


def _share_limit(problem: Problem, subject: str) -> ShareLimit:
    return next(one for one in problem.share_limits if one.id == subject)


def _having_share(problem: Problem, subject: str, change: Callable[[ShareLimit], ShareLimit]) -> Problem:
    limits = tuple(change(one) if one.id == subject else one for one in problem.share_limits)
    return replace(problem, share_limits=limits)


def _having_stock(problem: Problem, subject: str, value: Decimal) -> Problem:
    offers = tuple(replace(o, max_nodes=int(value)) if o.id == subject else o for o in problem.offers)
    return replace(problem, offers=offers)


def _having_quota(problem: Problem, subject: str, value: Decimal) -> Problem:
    groups = tuple(replace(g, limit=value) if g.id == subject else g for g in problem.quota_groups)
    return replace(problem, quota_groups=groups)


def _having_kept(problem: Problem, subject: str, value: Decimal) -> Problem:
    losses = tuple(replace(o, kept_share=float(value)) if o.id == subject else o for o in problem.losses)
    return replace(problem, losses=losses)


def _mean_quality(problem: Problem, name: str) -> Decimal:
    return next(Decimal(repr(c.mean_quality or 0.0)) for c in problem.classes if c.name == name)


def _having_quality(problem: Problem, subject: str, value: Decimal) -> Problem:
    classes = (replace(c, mean_quality=float(value)) if c.name == subject else c for c in problem.classes)
    return replace(problem, classes=tuple(classes))


def _asked_qualities(problem: Problem) -> frozenset[float]:
    return frozenset(c.mean_quality for c in problem.classes if c.mean_quality is not None)


def _having_every_quality(problem: Problem, _: str, value: Decimal) -> Problem:
    """Every mean lower by as much as the lowest of them."""
    less = Decimal(repr(min(_asked_qualities(problem)))) - value
    classes = (
        c
        if c.mean_quality is None
        else replace(c, mean_quality=float(max(Decimal(repr(c.mean_quality)) - less, Decimal(0))))
        for c in problem.classes
    )
    return replace(problem, classes=tuple(classes))


def _service(problem: Problem, subject: str) -> Service:
    return next(one for one in problem.services if one.id == subject)


def _having_service(problem: Problem, subject: str, change: Callable[[Service], Service]) -> Problem:
    services = tuple(change(one) if one.id == subject else one for one in problem.services)
    return replace(problem, services=services)


def _name(link: Link) -> str:
    return " to ".join(link.key)


def _having_link(problem: Problem, subject: str, value: Decimal) -> Problem:
    links = tuple(
        replace(one, gb_per_second=float(value)) if _name(one) == subject else one for one in problem.links
    )
    return replace(problem, links=links)


def _max_shed_share(problem: Problem, name: str) -> Decimal:
    return next(Decimal(repr(c.max_shed_share)) for c in problem.classes if c.name == name)


def _having_shed(problem: Problem, subject: str, value: Decimal) -> Problem:
    classes = (replace(c, max_shed_share=float(value)) if c.name == subject else c for c in problem.classes)
    return replace(problem, classes=tuple(classes))


def _having_changes(problem: Problem, _: str, value: Decimal) -> Problem:
    migration = problem.migration and replace(problem.migration, max_changed_nodes=int(value))
    return replace(problem, migration=migration)


def _raised(most: int | None, subject: str, value: Decimal, offer: PricedOffer) -> int | None:
    """A limit on nodes of an offer: of those that are the subject to a value, and at least a lot."""
    return max(int(value), offer.lot_nodes) if str(most) == subject else most


def _having_added(problem: Problem, subject: str, value: Decimal) -> Problem:
    offers = (
        replace(o, max_added_nodes=_raised(o.max_added_nodes, subject, value, o)) for o in problem.offers
    )
    return replace(problem, offers=tuple(offers))


def _having_removed(problem: Problem, subject: str, value: Decimal) -> Problem:
    offers = (
        replace(o, max_removed_nodes=_raised(o.max_removed_nodes, subject, value, o)) for o in problem.offers
    )
    return replace(problem, offers=tuple(offers))


_LEVERS: Mapping[LimitKind, _Lever] = {
    LimitKind.BUDGET: _Lever(
        now=lambda problem, _: problem.budget_usd_per_hour or Decimal(0),
        having=lambda problem, _, usd: replace(problem, budget_usd_per_hour=usd),
        advice="raise the budget from {now} to {least} usd_per_hour",
    ),
    LimitKind.MEAN_BUDGET: _Lever(
        now=lambda problem, _: problem.mean_budget_usd_per_hour or Decimal(0),
        having=lambda problem, _, usd: replace(problem, mean_budget_usd_per_hour=usd),
        advice="raise the mean budget from {now} to {least} usd_per_hour",
    ),
    LimitKind.PROVIDER_BUDGET: _Lever(
        now=lambda problem, provider: problem.provider_budgets_usd_per_hour[provider],
        having=lambda problem, provider, usd: replace(
            problem, provider_budgets_usd_per_hour={**problem.provider_budgets_usd_per_hour, provider: usd}
        ),
        advice="raise the budget of {subject} from {now} to {least} usd_per_hour",
    ),
    LimitKind.STOCK: _Lever(
        now=lambda problem, offer: Decimal(problem.max_nodes(problem.offer(offer))),
        having=_having_stock,
        advice="find {least} nodes of {subject}",
    ),
    LimitKind.QUOTA: _Lever(
        now=lambda problem, group: next(g.limit for g in problem.quota_groups if g.id == group),
        having=_having_quota,
        advice="raise the quota {subject} from {now} to {least}",
    ),
    LimitKind.POOLS: _Lever(
        now=lambda problem, _: Decimal(problem.max_pools or 0),
        having=lambda problem, _, pools: replace(problem, max_pools=int(pools)),
        advice="allow {least} pools instead of {now}",
    ),
    LimitKind.SHARE: _Lever(
        now=lambda problem, limit: Decimal(repr(_share_limit(problem, limit).at_most)),
        having=lambda problem, limit, share: _having_share(
            problem, limit, lambda one: replace(one, at_most=float(share))
        ),
        advice="raise the most share of {subject} from {now} to {least}",
    ),
    LimitKind.LEAST_SHARE: _Lever(
        now=lambda problem, limit: Decimal(repr(_share_limit(problem, limit).at_least)),
        having=lambda problem, limit, share: _having_share(
            problem, limit, lambda one: replace(one, at_least=float(share))
        ),
        advice="lower the least share of {subject} from {now} to {least}",
    ),
    LimitKind.QUALITY: _Lever(
        now=_mean_quality,
        having=_having_quality,
        advice="lower the mean quality of {subject} from {now} to {least}",
    ),
    LimitKind.EVERY_QUALITY: _Lever(
        now=lambda problem, _: Decimal(repr(min(_asked_qualities(problem)))),
        having=_having_every_quality,
        advice="lower the mean quality of every class from {now} to {least}",
    ),
    LimitKind.SERVICE_REQUESTS: _Lever(
        now=lambda problem, one: Decimal(repr(_service(problem, one).max_requests_per_second or 0.0)),
        having=lambda problem, one, rate: _having_service(
            problem, one, lambda service: replace(service, max_requests_per_second=float(rate))
        ),
        advice="let {subject} take {least} instead of {now} requests per second",
    ),
    LimitKind.SERVICE_TOKENS: _Lever(
        now=lambda problem, one: Decimal(repr(_service(problem, one).max_tokens_per_second or 0.0)),
        having=lambda problem, one, rate: _having_service(
            problem, one, lambda service: replace(service, max_tokens_per_second=float(rate))
        ),
        advice="let {subject} take {least} instead of {now} tokens per second",
    ),
    LimitKind.LINK: _Lever(
        now=lambda problem, link: next(
            Decimal(repr(one.gb_per_second or 0.0)) for one in problem.links if _name(one) == link
        ),
        having=_having_link,
        advice="carry {least} instead of {now} GB per second over the link from {subject}",
    ),
    LimitKind.SHED: _Lever(
        now=_max_shed_share,
        having=_having_shed,
        advice="let a share of {least} of {subject} be shed instead of {now}",
    ),
    LimitKind.LOSS: _Lever(
        now=lambda problem, loss: next(Decimal(repr(o.kept_share)) for o in problem.losses if o.id == loss),
        having=_having_kept,
        advice="keep a share of {least} instead of {now} through the loss {subject}",
    ),
    LimitKind.CHANGES: _Lever(
        now=lambda problem, _: Decimal((problem.migration and problem.migration.max_changed_nodes) or 0),
        having=_having_changes,
        advice="let {least} {nodes} change instead of {now}",
    ),
    LimitKind.ADDED_NODES: _Lever(
        now=lambda _, most: Decimal(most),
        having=_having_added,
        advice="let {least} {nodes} of an offer be added from one period to the next instead of {now}",
    ),
    LimitKind.REMOVED_NODES: _Lever(
        now=lambda _, most: Decimal(most),
        having=_having_removed,
        advice="let {least} {nodes} of an offer be removed from one period to the next instead of {now}",
    ),
}
