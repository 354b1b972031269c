"""Overflow services of a spec: which classes each may serve, and what it is to the solver and in a plan. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hetops.app.candidates import Candidates
from hetops.app.naming import names_of
from hetops.app.ways import Ways
from hetops.domain.model import Model
from hetops.domain.plan import Refusal
from hetops.domain.service import PlannedService, Service
from hetops.domain.units import MINUTES_PER_HOUR, SECONDS_PER_MINUTE
from hetops.domain.workload import WorkloadClass
from hetops.errors import SpecError, UnknownNameError
from hetops.reports import quantities as q
from hetops.solver import terms
from hetops.spec.fields import OverflowSpec
from hetops.spec.load import place

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """A service with the classes that it may serve, and why it must not serve the others."""

    service: Service
    classes: tuple[WorkloadClass, ...]
    refusals: tuple[Refusal, ...]


def overflow(c: Candidates, classes: Sequence[WorkloadClass], ways: Ways) -> tuple[Overflow, ...]:
    """The spec's services, for classes with these targets, over these ways.

    Raises:
        UnknownNameError: a service is for a class that there is not.
        SpecError: a service is called like a provider, is for classes of several models, or is told twice.
    """
    found: list[Overflow] = []
    for index, one in enumerate(c.spec.overflow):
        _demand_sound(c, index, names_of(classes))
        service = _service(one, _served(c, index, classes))
        _demand_once(c, index, service, [other.service for other in found])
        reasons = {k.name: _refused(k, one, service, ways.round_trip_seconds(k, one.name)) for k in classes}
        found.append(
            Overflow(
                service=service,
                classes=tuple(k for k in classes if not reasons[k.name]),
                refusals=tuple(
                    Refusal(subject=f"{name} on {one.name}", reason=why)
                    for name, why in reasons.items()
                    if why
                ),
            )
        )
    return tuple(found)


def _demand_sound(c: Candidates, index: int, known: Sequence[str]) -> None:
    one = c.spec.overflow[index]
    if one.name in {p.name for p in c.plugins.providers}:
        where = place(c.loaded, "overflow", index, "name")
        raise SpecError(
            f"{where}: {one.name} is the name of a provider", hint="call the service something else"
        )
    for at, name in enumerate(one.classes):
        if name not in known:
            where = place(c.loaded, "overflow", index, "classes", at)
            raise UnknownNameError("class", name, known, where=where)


def _demand_once(c: Candidates, index: int, service: Service, others: Sequence[Service]) -> None:
    """An address may sell several models: each has a table, and its own prices and limits; two for one would take twice what it allows."""
    for other in others:
        if (other.url, other.model) == (service.url, service.model):
            raise SpecError(
                f"{place(c.loaded, 'overflow', index, 'url')}: {other.name} is {service.model} at {service.url} already",
                hint="one table for each model at an address: set overflow.model, or leave one of them out",
            )


def _served(c: Candidates, index: int, classes: Sequence[WorkloadClass]) -> Model:
    """The model that the service serves: of several, the one that its classes ask for.

    Raises:
        SpecError: they ask for more than one.
    """
    one = c.spec.overflow[index]
    own = [k for k in classes if k.named_by(one.classes)] if one.classes else classes
    meant = [m.model for m in c.models if m.of_own(own)]
    if len(meant) > 1:
        where = place(c.loaded, "overflow", index, *(["classes"] if one.classes else []))
        raise SpecError(
            f"{where}: {one.name} serves one model, its classes ask for {' and '.join(m.name for m in meant)}",
            hint="give classes of one model: overflow.classes; and each other model a table of its own",
        )
    return meant[0]


def _service(one: OverflowSpec, model: Model) -> Service:
    return Service(
        name=one.name,
        url=one.url.rstrip("/"),
        api_key_variable=one.api_key_variable,
        model=one.model or model.name,
        usd_per_million_input_tokens=one.usd_per_million_input_tokens,
        usd_per_million_output_tokens=one.usd_per_million_output_tokens,
        requests_per_minute=one.requests_per_minute,
        tokens_per_minute=one.tokens_per_minute,
        ttft_seconds=one.ttft_seconds,
        tpot_seconds=one.tpot_seconds,
        max_context_tokens=one.max_context_tokens or model.context_tokens,
    )


def _refused(k: WorkloadClass, one: OverflowSpec, service: Service, round_trip_seconds: float) -> str:
    """Why the class must not go there; empty where it may."""
    if one.classes and not k.named_by(one.classes):
        return "overflow.classes leaves it out"
    for what, target, kept in (
        ("TTFT", k.target.ttft_seconds, service.ttft_seconds + round_trip_seconds),
        ("TPOT", k.target.tpot_seconds, service.tpot_seconds),
    ):
        if target is not None and kept > target:
            return f"{what} of {q.seconds(kept)} there, {q.seconds(target)} is the target"
    longest = k.input_tokens.p99 + k.output_tokens.p99
    if longest > service.max_context_tokens:
        return f"takes {service.max_context_tokens:,} tokens, its longest requests have {longest:,.0f}"
    return ""


def priced_services(found: Iterable[Overflow], headroom: float) -> Iterator[terms.Service]:
    """Those that serve anything, as the solver knows them. Of their limits too the headroom stays free."""
    usable = (1 - headroom) / SECONDS_PER_MINUTE
    for one in (o for o in found if o.classes):
        service = one.service
        requests, tokens = service.requests_per_minute, service.tokens_per_minute
        yield terms.Service(
            id=service.name,
            usd_per_request={k.name: _usd_per_request(service, k) for k in one.classes},
            max_requests_per_second=None if requests is None else requests * usable,
            max_tokens_per_second=None if tokens is None else tokens * usable,
            tokens_per_request={} if tokens is None else {k.name: _tokens(k) for k in one.classes},
            provider=service.name,
        )


def planned_service(one: Overflow, usd_per_hour: Decimal) -> PlannedService:
    """The service in a plan that pays it so much."""
    return PlannedService(
        service=one.service,
        serves=tuple(k.name for k in one.classes),
        usd_per_hour=usd_per_hour,
        usd_per_hour_at_limits=_at_limits(one),
    )


def _at_limits(one: Overflow) -> Decimal:
    service = one.service
    requests, tokens = service.requests_per_minute, service.tokens_per_minute
    dearest_token = max(service.usd_per_million_input_tokens, service.usd_per_million_output_tokens)
    costs = (
        None if requests is None else (requests, max(_usd_per_request(service, k) for k in one.classes)),
        None if tokens is None else (tokens, dearest_token / _MILLION),
    )
    return min(Decimal(repr(most * MINUTES_PER_HOUR)) * usd for most, usd in filter(None, costs))


def _usd_per_request(service: Service, k: WorkloadClass) -> Decimal:
    return service.usd_for(k.input_tokens.mean, k.output_tokens.mean)


def _tokens(k: WorkloadClass) -> float:
    return k.input_tokens.mean + k.output_tokens.mean
