"""What `hetops doctor` found: the document, its exit code and its text. Looks at nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from hetops.domain import codec
from hetops.errors import CredentialsError, HetopsError
from hetops.reports import quantities as q


class Group(StrEnum):
    """What is examined, in the order of the road."""

    ENVIRONMENT = "environment"
    ENGINE = "engine"
    PLUGINS = "plugins"
    SPEC = "spec"
    PROVIDERS = "providers"
    """Their settings, and what this machine needs besides."""
    CREDENTIALS = "credentials"
    PERMISSIONS = "permissions"
    QUOTAS = "quotas"
    STATE = "state"
    CLOCK = "clock"


class Verdict(StrEnum):
    """How a thing was found."""

    OK = "ok"
    NOTE = "note"
    """Not as it could be, and nothing that this user asked for needs it."""
    FAULT = "fault"
    CREDENTIALS = "credentials"
    """A fault whose cause is credentials that are missing or were refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `fix` is a command or a step; empty where nothing is to be done."""

    group: Group
    subject: str
    verdict: Verdict
    detail: str
    fix: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether something must be mended before hetops can do what was asked."""
        return self.verdict in (Verdict.FAULT, Verdict.CREDENTIALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Everything that was looked at, in the order of the groups."""

    FORMAT: ClassVar[str] = "hetops.doctor"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What must be mended."""
        return tuple(f for f in self.findings if f.is_fault)

    @property
    def exit_code(self) -> int:
        """0 without faults; 3 where credentials are missing or were refused; 1 for any other fault."""
        verdicts = {f.verdict for f in self.faults}
        if Verdict.CREDENTIALS in verdicts:
            return CredentialsError.exit_code
        return HetopsError.exit_code if verdicts else 0


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The document with whether all is well."""
    return {**codec.to_builtins(diagnosis), "ok": not diagnosis.faults}


def as_text(diagnosis: Diagnosis) -> str:
    """The findings for a terminal, by group, each fix below its line."""
    widths = (
        max((len(f.verdict) for f in diagnosis.findings), default=0),
        max((len(f.subject) for f in diagnosis.findings), default=0),
    )
    groups = ((g, [f for f in diagnosis.findings if f.group is g]) for g in Group)
    blocks = ["\n".join((str(group), *_lines(found, widths))) for group, found in groups if found]
    return "\n".join((*blocks, "", _closing(diagnosis))) + "\n"


def _lines(findings: Iterable[Finding], widths: tuple[int, int]) -> Iterator[str]:
    verdict_width, subject_width = widths
    for found in findings:
        yield f"  {found.verdict.ljust(verdict_width)}  {found.subject.ljust(subject_width)}  {found.detail}"
        if found.fix:
            yield f"  {' ' * verdict_width}  {' ' * subject_width}  try: {found.fix}"


def _closing(diagnosis: Diagnosis) -> str:
    if not diagnosis.faults:
        return "Nothing is in the way."
    subjects = ", ".join(f"{f.group} {f.subject}" for f in diagnosis.faults)
    return f"{q.many(len(diagnosis.faults), 'fault')} to mend: {subjects}"
