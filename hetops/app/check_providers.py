"""What providers say of themselves and of the account: checks and quotas of all, asked at once, and their clocks.

Must not raise for what it finds, and must not wait for who does not answer: that is a finding, too. Quotas are waited
for only where the checks found credentials and somebody who answers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar, cast

from hetops.errors import CredentialsError, ErrorKind, HetopsError, ProviderError
from hetops.plugin.provider import CheckResult, Provider, Quota, Topic
from hetops.reports import quantities as q
from hetops.reports.doctor import Finding, Group, Verdict

CHECKS_SECONDS = 3.0
"""When a check that has not come is given up. Each is asked to take no longer than 2 s."""

QUOTAS_SECONDS = 10.0
"""The same of quotas, of which a cloud has some in every region."""

SKEW_NOTED_SECONDS = 30.0
SKEW_REFUSED_SECONDS = 300.0
"""A signed request is refused that is off by more: AWS's limit, and Google's for the tokens it gives out."""

_NAMED = 4
"""Quotas of which nothing is granted that are named; there can be hundreds."""

_GROUPS: Mapping[Topic, Group] = {
    Topic.SETTINGS: Group.PROVIDERS,
    Topic.CREDENTIALS: Group.CREDENTIALS,
    Topic.PERMISSIONS: Group.PERMISSIONS,
    Topic.QUOTAS: Group.QUOTAS,
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer(Generic[T]):
    """What a provider's method gave, or that it did not in time."""

    provider: str
    future: Future[tuple[T, ...]]
    seconds: float

    @property
    def things(self) -> tuple[T, ...]:
        """What it handed over; nothing where it failed."""
        return self.future.result() if self.future.done() and not self.future.exception() else ()

    def failure(self, group: Group) -> Finding | None:
        """The finding of a method that raised or is silent."""
        if not self.future.done():
            detail = f"did not answer within {self.seconds:g} s"
            fix = "run again; see whether the network reaches it"
            return Finding(group=group, subject=self.provider, verdict=Verdict.FAULT, detail=detail, fix=fix)
        fault = self.future.exception()
        return fault_of(group, self.provider, fault) if fault else None


def findings_of(
    asked: Sequence[tuple[Provider, Mapping[str, Any]]], groups: Iterable[Group]
) -> Iterator[Finding]:
    """What the providers and their accounts are found to be; only what the `groups` need is asked."""
    wanted, began = frozenset(groups), time.monotonic()
    checks = [_asked(p.name, partial(p.check, s), CheckResult, CHECKS_SECONDS) for p, s in asked]
    quotas = {
        p.name: _asked(p.name, partial(_quota_of, p, s), Quota, QUOTAS_SECONDS)
        for p, s in asked
        if Group.QUOTAS in wanted
    }
    wait([check.future for check in checks], timeout=CHECKS_SECONDS)
    worth_it = [(c, quotas[c.provider]) for c in checks if c.provider in quotas and _answers(c.things)]
    wait([told.future for _, told in worth_it], timeout=max(0.0, began + QUOTAS_SECONDS - time.monotonic()))
    for check in checks:
        yield from _checked(check)
    for check, told in worth_it:
        yield from _quotas(told, said={result.detail for result in check.things})
    for check in checks:
        yield from _clock(check)


def fault_of(group: Group, subject: str, fault: BaseException) -> Finding:
    """A finding out of an error; what is none of ours is named by its kind, for its author."""
    if not isinstance(fault, HetopsError):
        detail = f"failed: {type(fault).__name__}: {fault}"
        return Finding(group=group, subject=subject, verdict=Verdict.FAULT, detail=detail)
    refused = isinstance(fault, CredentialsError) or (
        isinstance(fault, ProviderError) and fault.kind is ErrorKind.AUTH
    )
    return Finding(
        group=group,
        subject=subject,
        verdict=Verdict.CREDENTIALS if refused else Verdict.FAULT,
        detail="; ".join((fault.message, *fault.details)),
        fix=fault.hint,
    )


def _asked(provider: str, ask: Callable[[], Iterable[object]], kind: type[T], seconds: float) -> _Answer[T]:
    """A provider's answer, in a thread that does not keep hetops from ending: one that hangs costs only itself."""
    future: Future[tuple[T, ...]] = Future()

    def run() -> None:
        try:
            future.set_result(_things(ask(), kind))
        except (Exception, SystemExit) as fault:  # a plugin's code: whatever it raises is its finding
            future.set_exception(fault)

    threading.Thread(target=run, daemon=True, name=f"{kind.__name__} of {provider}").start()
    return _Answer(provider=provider, future=future, seconds=seconds)


def _quota_of(provider: Provider, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
    return asyncio.run(provider.quota(settings))


def _things(told: Iterable[object], kind: type[T]) -> tuple[T, ...]:
    things = tuple(told)
    for thing in things:
        if not isinstance(thing, kind):
            raise TypeError(f"it gave {thing!r}, which is no {kind.__name__}")
    return cast(tuple[T, ...], things)


def _answers(results: Sequence[CheckResult]) -> bool:
    """Whether an account is there to be asked: with settings and credentials that hold, over a network that works."""
    needed = all(r.ok for r in results if r.topic is Topic.CREDENTIALS)
    return bool(results) and needed and all(r.ok or r.kind is not ErrorKind.TRANSIENT for r in results)


def _checked(check: _Answer[CheckResult]) -> Iterator[Finding]:
    failure = check.failure(Group.PROVIDERS)
    if failure:
        yield failure
    for result in check.things:
        bad = Verdict.CREDENTIALS if result.kind is ErrorKind.AUTH else Verdict.FAULT
        yield Finding(
            group=_GROUPS[result.topic],
            subject=f"{check.provider}: {result.subject}",
            verdict=Verdict.OK if result.ok else bad,
            detail=result.detail,
            fix="" if result.ok else result.fix,
        )


def _quotas(told: _Answer[Quota], *, said: Set[str]) -> Iterator[Finding]:
    """Each limit with what is left of it; those of which nothing is granted in one line. None is in the way by itself.

    What a check has `said` already is not said again.
    """
    failure = told.failure(Group.QUOTAS)
    if failure and failure.detail not in said:
        yield failure
    granted = [quota for quota in told.things if quota.limit > 0]
    yield from (_quota(told.provider, quota) for quota in granted)
    none = [quota for quota in told.things if quota.limit <= 0]
    if none:
        more = f" and {len(none) - _NAMED} more" if len(none) > _NAMED else ""
        yield Finding(
            group=Group.QUOTAS,
            subject=f"{told.provider}: none granted",
            verdict=Verdict.NOTE,
            detail=", ".join(quota.group for quota in none[:_NAMED]) + more,
            fix=none[0].ask and f"where you want some, ask: {none[0].ask}",
        )


def _quota(provider: str, quota: Quota) -> Finding:
    used = f"{quota.used:g} of {quota.limit:g} {quota.unit} used, {quota.left:g} left"
    return Finding(
        group=Group.QUOTAS,
        subject=quota.group if quota.group.startswith(provider) else f"{provider}: {quota.group}",
        verdict=Verdict.OK if quota.left else Verdict.NOTE,
        detail=used,
        fix="" if quota.left or not quota.ask else f"ask for more: {quota.ask}",
    )


def _clock(check: _Answer[CheckResult]) -> Iterator[Finding]:
    """This machine's clock against the provider's, where an answer told its time."""
    told = [r.clock_ahead_seconds for r in check.things if r.clock_ahead_seconds is not None]
    if not told:
        return
    ahead = min(told, key=abs)
    off = abs(ahead)
    where = "ahead of" if ahead > 0 else "behind"
    wrong = Verdict.FAULT if off > SKEW_REFUSED_SECONDS else Verdict.NOTE
    within = off <= SKEW_NOTED_SECONDS
    yield Finding(
        group=Group.CLOCK,
        subject=f"{check.provider}: its clock",
        verdict=Verdict.OK if within else wrong,
        detail="the same time" if off < 2 else f"this machine is {q.seconds(off)} {where} it",
        fix="" if within else "set the clock of this machine: timedatectl set-ntp true",
    )
