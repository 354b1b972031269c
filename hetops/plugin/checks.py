"""What providers' `check` and settings have in common: one finding, and the refusal of a misspelt field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hetops.errors import ErrorKind, ProviderError, nearest
from hetops.plugin.provider import CheckResult, Topic

_OF_EVERY_PROVIDER = frozenset({"enabled", "usd_per_hour"})
"""Fields of `[providers.NAME]` that are hetops' own."""


def finding(subject: str, look: Callable[[], str], *, fix: str, topic: Topic = Topic.SETTINGS) -> CheckResult:
    """What a look at something found: its answer, or the ProviderError that it raised, whose hint is the fix.

    `fix` stands in where the error has none.
    """
    try:
        return CheckResult(subject=subject, ok=True, detail=look(), topic=topic)
    except ProviderError as fault:
        return CheckResult(
            subject=subject,
            ok=False,
            detail=fault.message,
            fix=fault.hint or fix,
            kind=fault.kind,
            topic=topic,
        )


def refuse_unknown(provider: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """A misspelt setting would otherwise be one that silently does not hold.

    Raises:
        ProviderError: of kind invalid, naming the field.
    """
    names = tuple(known)
    for name in sorted(given.keys() - {*names, *_OF_EVERY_PROVIDER}):
        near = nearest(name, names, most=1)
        known_ones = (
            f"known are {', '.join(names)}" if names else f"[providers.{provider}] has no fields of its own"
        )
        raise invalid_setting(
            provider, name, "no such field", hint=f"did you mean {near[0]!r}?" if near else known_ones
        )


def invalid_setting(provider: str, field: str, problem: str, *, hint: str = "") -> ProviderError:
    """The error of a field of `[providers.NAME]`."""
    return ProviderError(
        f"providers.{provider}.{field}: {problem}",
        provider=provider,
        kind=ErrorKind.INVALID,
        hint=hint or f"change {field} under [providers.{provider}]",
    )
