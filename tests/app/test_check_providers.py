"""What providers say of themselves lands in the group that it is about; quotas and clocks are read, not believed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from hetops.app import check_providers
from hetops.app.check_providers import findings_of
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.provider import CheckResult, Quota, Topic
from hetops.reports.doctor import Finding, Group, Verdict
from tests.doubles.providers import TellingProvider, answering

KEY = CheckResult(subject="key", ok=True, detail="from KEY", topic=Topic.CREDENTIALS)
NO_KEY = CheckResult(
    subject="key", ok=False, detail="none", fix="export KEY=...", kind=ErrorKind.AUTH, topic=Topic.CREDENTIALS
)
NOBODY = CheckResult(
    subject="list", ok=False, detail="silent", fix="again", kind=ErrorKind.TRANSIENT, topic=Topic.PERMISSIONS
)
SIXTEEN = Quota(group="vcpu", limit=16, used=4, unit="vCPU", ask="a form")


class Cloud(TellingProvider):
    """A cloud with these results and quotas; remembers whether anybody waited for its quotas."""

    def __init__(
        self, results: Sequence[CheckResult], quota: Callable[[], Sequence[Quota]], name: str = "cloud"
    ) -> None:
        super().__init__(name, answering(name)._tell)
        self._results, self._quota = tuple(results), quota

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:  # noqa: ARG002
        return self._results

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:  # noqa: ARG002
        return tuple(self._quota())


def found(*results: CheckResult, quotas: Sequence[Quota] = ()) -> list[Finding]:
    return list(findings_of([(Cloud(results, lambda: quotas), {})], Group))


def test_each_result_lands_in_the_group_that_it_is_about() -> None:
    results = [CheckResult(subject=str(topic), ok=True, detail="", topic=topic) for topic in Topic]
    assert [(f.group, f.subject) for f in found(*results)] == [
        (Group.PROVIDERS, "cloud: settings"),
        (Group.CREDENTIALS, "cloud: credentials"),
        (Group.PERMISSIONS, "cloud: permissions"),
        (Group.QUOTAS, "cloud: quotas"),
    ]


def test_a_quota_is_told_with_what_is_left_and_one_that_is_used_up_with_how_to_ask() -> None:
    spent = Quota(group="spot", limit=8, used=9, unit="GPUs", ask="a form")
    left, none = (f for f in found(KEY, quotas=(SIXTEEN, spent)) if f.group is Group.QUOTAS)
    assert (left.verdict, left.detail, left.fix) == (Verdict.OK, "4 of 16 vCPU used, 12 left", "")
    assert (none.verdict, none.detail) == (Verdict.NOTE, "9 of 8 GPUs used, 0 left")
    assert none.fix == "ask for more: a form"


def test_quotas_of_nothing_are_told_in_one_line() -> None:
    nothing = [Quota(group=f"g{n}", limit=0, used=0, unit="GPUs", ask=f"ask for g{n}") for n in range(9)]
    _, line = found(KEY, quotas=nothing)
    assert (line.subject, line.detail) == ("cloud: none granted", "g0, g1, g2, g3 and 5 more")
    assert line.fix.endswith("ask for g0")
    assert line.verdict is Verdict.NOTE, "nobody needs all of them"


@pytest.mark.parametrize("results", [(NO_KEY,), (KEY, NOBODY), ()])
def test_quotas_are_not_waited_for_where_nobody_would_answer(results: tuple[CheckResult, ...]) -> None:
    over = threading.Event()

    def hanging() -> Sequence[Quota]:
        over.wait(60)
        return ()

    try:
        told = list(findings_of([(Cloud(results, hanging), {})], Group))
    finally:
        over.set()
    assert Group.QUOTAS not in {f.group for f in told}


def test_quotas_that_do_not_come_are_a_finding_and_those_of_others_are_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_providers, "QUOTAS_SECONDS", 0.3)
    over = threading.Event()

    def hanging() -> Sequence[Quota]:
        over.wait(60)
        return ()

    def refused() -> Sequence[Quota]:
        raise ProviderError("no such permission", provider="c", kind=ErrorKind.AUTH, hint="allow it")

    clouds = (
        Cloud((KEY,), hanging, "a"),
        Cloud((KEY,), lambda: (SIXTEEN,), "b"),
        Cloud((KEY,), refused, "c"),
    )
    try:
        told = {
            f.subject: f
            for f in findings_of([(c, {}) for c in clouds], (Group.QUOTAS,))
            if f.group is Group.QUOTAS
        }
    finally:
        over.set()
    assert told["a"].detail == "did not answer within 0.3 s"
    assert told["b: vcpu"].verdict is Verdict.OK
    assert (told["c"].verdict, told["c"].fix) == (Verdict.CREDENTIALS, "allow it")


def test_what_a_check_has_said_is_not_said_again_of_the_quotas() -> None:
    wrong = CheckResult(subject="settings", ok=False, detail="no such field", fix="mend it")

    def refused() -> Sequence[Quota]:
        raise ProviderError("no such field", provider="cloud", kind=ErrorKind.INVALID)

    told = list(findings_of([(Cloud((wrong,), refused), {})], Group))
    assert [(f.group, f.subject) for f in told] == [(Group.PROVIDERS, "cloud: settings")]


def test_quotas_are_asked_only_where_they_are_wanted() -> None:
    def never() -> Sequence[Quota]:
        raise AssertionError("nobody wants them")

    told = list(findings_of([(Cloud((KEY,), never), {})], (Group.CREDENTIALS,)))
    assert [f.subject for f in told] == ["cloud: key"]


@pytest.mark.parametrize(
    ("ahead", "verdict", "detail"),
    [
        (0.4, Verdict.OK, "the same time"),
        (-1.9, Verdict.OK, "the same time"),
        (29.0, Verdict.OK, "this machine is 29.00 s ahead of it"),
        (-45.0, Verdict.NOTE, "this machine is 45.00 s behind it"),
        (301.0, Verdict.FAULT, "this machine is 301 s ahead of it"),
    ],
)
def test_a_clock_that_is_off_is_told_by_how_much(ahead: float, verdict: Verdict, detail: str) -> None:
    answered = CheckResult(subject="account", ok=True, detail="open", clock_ahead_seconds=ahead)
    (clock,) = (f for f in found(KEY, answered) if f.group is Group.CLOCK)
    assert (clock.subject, clock.verdict, clock.detail) == ("cloud: its clock", verdict, detail)
    assert ("timedatectl" in clock.fix) == (verdict is not Verdict.OK)
