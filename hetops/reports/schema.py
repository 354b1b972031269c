"""The formats of hetops as a list for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetops.reports import quantities as q

_PREFIX = "hetops."


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format: its name, its version and what it carries."""

    name: str
    version: str
    purpose: str


def in_short(name: str) -> str:
    """A format's name as a user types it: `plan` for `hetops.plan`."""
    return name.removeprefix(_PREFIX)


def as_text(formats: Sequence[Format]) -> str:
    """The formats for a terminal, each as `hetops schema` takes it."""
    rows = [(in_short(each.name), each.version, each.purpose) for each in formats]
    return q.table(("format", "version", "what it is"), rows) + "\n"
