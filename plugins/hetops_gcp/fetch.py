"""Edge: offers and quotas, asked now: prices, machine types, GPUs to attach, regions and the project at once.

What fails is named beside what was told. Raises only where no offer can be made: without prices or machine types there is
none; without quotas, GPUs to attach or advice there is less.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from hetops.plugin import (
    Api,
    ErrorKind,
    Market,
    Offer,
    OfferOrReason,
    OfferQuery,
    ProviderError,
    Quota,
    Refusal,
    Scope,
    Surroundings,
)
from hetops_gcp import cloud
from hetops_gcp.cloud import Pages
from hetops_gcp.credentials import Access, open_access
from hetops_gcp.machines import Machine, machines_of, zone_of
from hetops_gcp.offers import Chance, Told, offers_of
from hetops_gcp.quotas import Quotas, read_limits
from hetops_gcp.settings import PROVIDER, GcpSettings
from hetops_gcp.skus import read_prices

_SHARE_OF_DEADLINE = 0.9
"""The rest is for handing over."""

_SHARE_OF_SIGNING_IN = 0.3
_QUOTA_SECONDS = 10.0
_QUESTIONS_AT_ONCE = 16

_REQUEST = re.compile(r"(GET|POST) \S+ ")
"""The beginning of a message about one request: the part that failed is a better name, and the same everywhere."""

_GRAVITY = (ErrorKind.AUTH, ErrorKind.BALANCE, ErrorKind.INVALID, ErrorKind.THROTTLED, ErrorKind.TRANSIENT)


async def fetch_offers(
    query: OfferQuery, settings: GcpSettings, around: Surroundings
) -> tuple[OfferOrReason, ...]:
    """Every offer, everything that is none, and every part of GCP that failed."""
    end = time.monotonic() + query.deadline_seconds * _SHARE_OF_DEADLINE
    access = open_access(settings, around, seconds=query.deadline_seconds * _SHARE_OF_SIGNING_IN)
    async with _Inquiry(access, around, end) as inquiry:
        found = await inquiry.all_lists()
        every = found.machines()
        machines = [m for m in every if isinstance(m, Refusal) or settings.wants_region(m.region)]
        chances = await inquiry.advice(_questions(machines, settings), found.failures)
    found.failures.extend(found.nothing(every))
    prices = read_prices(found.rows("prices", "skus"), query.now)
    told = Told(
        machines=tuple(m for m in machines if isinstance(m, Machine)),
        prices=prices,
        quotas=found.quotas(),
        chances=chances,
    )
    offers = tuple(offers_of(told, settings.markets, query.now))
    failed = told_together(found.failures)
    if failed and not any(isinstance(thing, Offer) for thing in offers):
        raise _gravest(failed)
    refusals = (*_counted(m for m in machines if isinstance(m, Refusal)), *prices.refusals)
    return (*offers, *refusals, *_nowhere(settings, told), *failed)


async def fetch_quotas(settings: GcpSettings, around: Surroundings) -> tuple[Quota, ...]:
    """The limits of the project.

    Raises:
        ProviderError: they were not all told: a limit that is not known is not "none".
    """
    end = time.monotonic() + _QUOTA_SECONDS
    access = open_access(settings, around, seconds=_QUOTA_SECONDS * _SHARE_OF_SIGNING_IN)
    async with _Inquiry(access, around, end) as inquiry:
        found = await inquiry.quota_lists()
    if found.failures:
        raise _gravest(told_together(found.failures))
    return tuple(found.quotas().told(settings.wants_region))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A part that failed: what it would have told, and where; `where` is empty for all of it."""

    part: str
    fault: ProviderError
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What came of the lists by part; `failures` grows as more is found to have failed."""

    answers: Mapping[str, Any]
    failures: list[Failure] = field(default_factory=list)

    def rows(self, part: str, name: str) -> list[Any]:
        """The rows of all pages of a list; none where it failed."""
        pages = self.answers.get(part)
        lists = [answer.get(name) for answer in pages.answers] if isinstance(pages, Pages) else []
        return [row for rows in lists if isinstance(rows, list) for row in rows]

    def machines(self) -> tuple[Machine | Refusal, ...]:
        """Every machine of every zone."""
        types = self._by_zone("machine types", "machineTypes")
        return tuple(machines_of(types, self._by_zone("GPUs to attach", "acceleratorTypes")))

    def nothing(self, machines: Sequence[Machine | Refusal]) -> tuple[Failure, ...]:
        """Lists without which there are no offers that were answered with none: something else answers in their place."""
        fault = ProviderError(
            "answered with an empty list",
            provider=PROVIDER,
            kind=ErrorKind.INVALID,
            hint="a proxy or a captive network may answer in Google's place",
        )
        lists = {"prices": self.rows("prices", "skus"), "machine types": machines}
        failed = {failure.part for failure in self.failures}
        return tuple(
            Failure(part=part, fault=fault) for part, rows in lists.items() if not rows and part not in failed
        )

    def quotas(self) -> Quotas:
        """What was told of the limits."""
        named = [r for r in self.rows("quotas", "items") if isinstance(r, Mapping)]
        everywhere = self.answers.get("quotas of all regions") or {}
        return Quotas(
            by_region={str(r.get("name")): read_limits(r.get("quotas")) for r in named},
            everywhere=read_limits(everywhere.get("quotas")),
        )

    def _by_zone(self, part: str, name: str) -> dict[str, list[Any]]:
        """An aggregated list by zone. A zone that did not answer is a failure of its own."""
        pages = self.answers.get(part)
        found: dict[str, list[Any]] = {}
        for answer in pages.answers if isinstance(pages, Pages) else ():
            items = answer.get("items")
            for key, said in items.items() if isinstance(items, Mapping) else ():
                rows = said.get(name) if isinstance(said, Mapping) else None
                found.setdefault(zone_of(str(key)), []).extend(rows if isinstance(rows, list) else [])
            silent = {zone_of(f"zones/{z}" if "/" not in z else z) for z in _unreachable(answer)}
            self.failures.extend(_silent(part, zone) for zone in sorted(silent))
        return found


def _unreachable(answer: Mapping[str, Any]) -> Iterator[str]:
    """Zones that a partial success names, in either of its two ways."""
    listed = answer.get("unreachables")
    yield from (str(place) for place in (listed if isinstance(listed, list) else ()))
    items = answer.get("items")
    for key, said in items.items() if isinstance(items, Mapping) else ():
        warning = said.get("warning") if isinstance(said, Mapping) else None
        if isinstance(warning, Mapping) and warning.get("code") != "NO_RESULTS_ON_PAGE":
            yield str(key)


def _silent(part: str, zone: str) -> Failure:
    fault = ProviderError(
        "did not answer", provider=PROVIDER, kind=ErrorKind.TRANSIENT, scope=Scope.ZONE, hint="run again"
    )
    return Failure(part=part, fault=fault, where=zone)


class _Inquiry:
    """One round of questions, all under one deadline."""

    def __init__(self, access: Access, around: Surroundings, end: float) -> None:
        self._access = access
        self._end = end
        patience = around.patience.within(max(0.1, end - time.monotonic()))
        self._compute = cloud.compute(access, around, patience)
        self._billing = cloud.billing(access, around, patience)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> _Inquiry:
        await self._open.enter_async_context(self._compute)
        await self._open.enter_async_context(self._billing)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def all_lists(self) -> _Found:
        """Everything that offers need."""
        project = self._access.project
        return await self._asked(
            {
                "prices": lambda: cloud.skus(self._billing),
                "machine types": lambda: cloud.machine_types(self._compute, project),
                "GPUs to attach": lambda: cloud.accelerator_types(self._compute, project),
                **self._limits(),
            }
        )

    async def quota_lists(self) -> _Found:
        """The limits alone."""
        return await self._asked(self._limits())

    def _limits(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        project = self._access.project
        return {
            "quotas": lambda: cloud.regions(self._compute, project),
            "quotas of all regions": lambda: cloud.project(self._compute, project),
        }

    async def advice(
        self, questions: Sequence[tuple[str, str]], failures: list[Failure]
    ) -> dict[tuple[str, str], Chance]:
        """Chances by machine type and zone; a region that refuses costs its own."""
        at_once = asyncio.Semaphore(_QUESTIONS_AT_ONCE)

        async def asked(api: Api, machine_type: str, region: str) -> dict[str, Chance]:
            async with at_once:
                return await cloud.chances(api, self._access.project, region, machine_type)

        calls = {
            f"{name} {region}": lambda name=name, region=region: asked(self._compute, name, region)
            for name, region in questions
        }
        found = await self._asked(calls)
        failures.extend(
            Failure(part="capacity advice", fault=f.fault, where=f.part.partition(" ")[2])
            for f in found.failures
        )
        return {
            (question.partition(" ")[0], zone): chance
            for question, by_zone in found.answers.items()
            for zone, chance in by_zone.items()
        }

    async def _asked(self, calls: Mapping[str, Callable[..., Awaitable[Any]]]) -> _Found:
        """All at once; whoever is silent at the deadline has failed."""
        tasks = {part: asyncio.ensure_future(call()) for part, call in calls.items()}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=max(0.0, self._end - time.monotonic()))
        late = [task for task in tasks.values() if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        outcomes = {part: _outcome(task) for part, task in tasks.items()}
        answers = {part: out for part, out in outcomes.items() if not isinstance(out, ProviderError)}
        failures = [
            Failure(part=p, fault=out) for p, out in outcomes.items() if isinstance(out, ProviderError)
        ]
        broken = [
            Failure(part=part, fault=pages.broke)
            for part, pages in answers.items()
            if isinstance(pages, Pages) and pages.broke is not None
        ]
        return _Found(answers=answers, failures=[*failures, *broken])


def _outcome(task: asyncio.Future[Any]) -> Any:
    if task.cancelled():
        return ProviderError(
            "no answer in time",
            provider=PROVIDER,
            kind=ErrorKind.TRANSIENT,
            hint="raise --deadline, or name fewer regions",
        )
    fault = task.exception()
    if fault is not None and not isinstance(fault, ProviderError):
        raise fault
    return fault or task.result()


def _questions(machines: Sequence[Machine | Refusal], settings: GcpSettings) -> list[tuple[str, str]]:
    """Machine types and regions whose chances are asked; with attached GPUs they cannot be."""
    if Market.SPOT not in settings.markets:
        return []
    wanted = (
        (m.machine_type, m.region)
        for m in machines
        if isinstance(m, Machine) and m.sku == m.machine_type and settings.wants_advice(m.machine_type)
    )
    return sorted(set(wanted))


def told_together(failures: Sequence[Failure]) -> tuple[ProviderError, ...]:
    """One error for each thing that failed, which names all the places where it did."""
    where: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        words = _REQUEST.sub("", failure.fault.message)
        where.setdefault((failure.part, words), []).append(failure)
    return tuple(_together(part, words, same) for (part, words), same in where.items())


def _together(part: str, words: str, failures: Sequence[Failure]) -> ProviderError:
    fault = failures[0].fault
    named = sorted({f.where for f in failures if f.where})
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    places = f"{', '.join(named[:3])}{more} " if named else ""
    return ProviderError(
        f"{places}{part}: {words}",
        provider=PROVIDER,
        kind=fault.kind,
        scope=fault.scope,
        hint=fault.hint,
        retry_after_seconds=fault.retry_after_seconds,
    )


def _gravest(failed: Sequence[ProviderError]) -> ProviderError:
    """What must be put right first; the others are its details."""

    def gravity(error: ProviderError) -> int:
        return _GRAVITY.index(error.kind) if error.kind in _GRAVITY else len(_GRAVITY)

    first, *others = sorted(failed, key=gravity)
    first.details = tuple(other.message for other in others)
    return first


def _counted(refusals: Iterator[Refusal]) -> Iterator[Refusal]:
    """One for all zones where a thing is refused for the same reason."""
    counts: dict[tuple[str, str], int] = {}
    for refusal in refusals:
        key = refusal.subject, refusal.reason
        counts[key] = counts.get(key, 0) + refusal.count
    return (Refusal(subject=s, reason=r, count=n) for (s, r), n in counts.items())


def _nowhere(settings: GcpSettings, told: Told) -> Iterator[Refusal]:
    """Regions of the settings where there is no machine with a GPU: most likely misspelt."""
    for pattern in settings.regions:
        alone = GcpSettings(regions=(pattern,))
        if told.machines and not any(alone.wants_region(m.region) for m in told.machines):
            yield Refusal(subject=f"gcp region {pattern}", reason="no machine with a GPU is there")
