"""What a publisher's word means, and what had to be assumed to read it. Pure; which words there are is said elsewhere."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

NOT_TOLD = frozenset(
    {"", "-", "?", "auto", "none", "n/a", "na", "nan", "null", "default", "unknown", "native", "original"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant(Generic[T]):
    """What a word means. `assumed` says what it had to be taken for; empty where nobody would doubt it."""

    thing: T
    assumed: str = ""


def plain(text: str) -> str:
    """A cell as it would be typed: no space around it, nothing invisible, one kind of space, dash and times sign."""
    normal = unicodedata.normalize("NFKC", text)
    seen = (" " if c.isspace() else c for c in normal if c.isspace() or unicodedata.category(c)[0] != "C")
    typed = ("-" if c == "\N{MINUS SIGN}" or unicodedata.category(c) == "Pd" else c for c in seen)
    return " ".join("".join(typed).replace("\N{MULTIPLICATION SIGN}", "x").split())


def did_you_mean(near: tuple[str, ...]) -> str:
    """The end of a sentence that refuses a name."""
    return f", did you mean {near[0]!r}?" if near else ""
