"""The one tree of errors. Only `cli` prints them and turns them into exit codes.

HetopsError                      1
  UsageError                    64   the command line itself is wrong
  SpecError                      1   hetops.toml: names file, line and field
  TraceError                     1   a trace file: names file and line
  DocumentError                  1   one of our JSON documents: names file and path
  UnknownNameError               1   a GPU, model, provider, ... nobody knows; names the nearest
  PluginError                    1   a plugin that cannot be used: names plugin and version
  ProviderError                  1   an answer of a provider, mapped to `ErrorKind` and `Scope`
  EngineError                    1   a serving engine that does not start or answer
  CredentialsError               3
  ProvisioningError              4   failed part-way; state is saved; run again
  PolicyError                    5   policy or budget violated
  InfeasibleError                6   carries the smallest relaxation
  CancelledError                 8
  TimeoutExpiredError            9
  LockError                      9   another run holds the deployment
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

_MOST_TOLD = 6
"""Known names that are told where none is near."""


class HetopsError(Exception):
    """What happened, in the user's words, and what to do next.

    `message` is one line without a full stop; `details` are further lines; `hint` is a command to run or a field
    to change.
    """

    exit_code = 1

    def __init__(self, message: str, *, details: Iterable[str] = (), hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDocument:
    """An error as `--json` prints it: the last document on stdout of a command that failed."""

    FORMAT: ClassVar[str] = "hetops.error"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    kind: str
    """The name of the error's class in the tree of errors."""
    message: str
    details: tuple[str, ...]
    hint: str
    exit_code: int

    @classmethod
    def of(cls, fault: HetopsError) -> ErrorDocument:
        """The error's fields."""
        return cls(
            kind=type(fault).__name__,
            message=fault.message,
            details=fault.details,
            hint=fault.hint,
            exit_code=fault.exit_code,
        )


class UsageError(HetopsError):
    """The command line cannot be understood."""

    exit_code = 64


class SpecError(HetopsError):
    """hetops.toml says something impossible."""


class TraceError(HetopsError):
    """A trace file cannot be read as a trace."""


class DocumentError(HetopsError):
    """A JSON document of ours is broken, of another kind, or of a version we do not read."""


class UnknownNameError(HetopsError):
    """A name that no table knows. Where it names a whole family, `members` are what it could mean, all of them told."""

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *, where: str = "", members: Iterable[str] = ()
    ) -> None:
        super().__init__(
            f"unknown {kind} {name!r}" + (f" at {where}" if where else ""),
            hint="; ".join(
                filter(None, (_meant(name, tuple(known), tuple(members)), _HOW_TO_ADD.get(kind, "")))
            ),
        )
        self.kind = kind
        self.name = name


class PluginError(HetopsError):
    """A plugin that cannot be loaded or used."""


class EngineError(HetopsError):
    """A serving engine did not start, died or does not answer."""


class CredentialsError(HetopsError):
    """Credentials are missing or were refused."""

    exit_code = 3


class ProvisioningError(HetopsError):
    """Provisioning stopped part-way. State is saved and a second run continues.

    `short_of` are the pools whose offers have no capacity left, where that alone stopped it: another plan may do without.
    """

    exit_code = 4

    def __init__(
        self, message: str, *, details: Iterable[str] = (), hint: str = "", short_of: Iterable[str] = ()
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.short_of = tuple(short_of)


class PolicyError(HetopsError):
    """The plan breaks a policy or the budget of the spec."""

    exit_code = 5


class InfeasibleError(HetopsError):
    """No fleet meets the targets within the limits."""

    exit_code = 6


class CancelledError(HetopsError):
    """The user or a signal stopped the command."""

    exit_code = 8


class TimeoutExpiredError(HetopsError):
    """Something did not happen in the time allowed for it."""

    exit_code = 9


class LockError(HetopsError):
    """Another run holds the deployment."""

    exit_code = 9


class ErrorKind(StrEnum):
    """What a provider's failure means, whatever the provider calls it."""

    CAPACITY = "capacity"
    QUOTA = "quota"
    AUTH = "auth"
    BALANCE = "balance"
    THROTTLED = "throttled"
    INVALID = "invalid"
    TRANSIENT = "transient"


class Scope(StrEnum):
    """How much of a provider a failure rules out."""

    OFFER = "offer"
    ZONE = "zone"
    REGION = "region"
    PROVIDER = "provider"


class ProviderError(HetopsError):
    """A provider refused or failed: the kind says what it means, the scope what it rules out."""

    def __init__(  # noqa: PLR0913 - the fields of one mapped answer, all by name
        self,
        message: str,
        *,
        provider: str,
        kind: ErrorKind,
        scope: Scope = Scope.PROVIDER,
        details: Iterable[str] = (),
        hint: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, details=details, hint=hint)
        self.provider = provider
        self.kind = kind
        self.scope = scope
        self.retry_after_seconds = retry_after_seconds


_HOW_TO_ADD = {
    "model": "of any other, name the config.json: model.config, or --model PATH",
    "GPU type": "any other is a row of a plugin's register_gpu_types",
}
"""What to do about a name that is right, and that no table knows."""


def _meant(name: str, known: Sequence[str], members: Sequence[str]) -> str:
    """The names that were perhaps meant; where none is near, some that are known."""
    near = members or nearest(name, known)
    if near:
        return f"did you mean {' or '.join(repr(n) for n in near)}?"
    some = nearest(name, known, most=_MOST_TOLD, least_alike=0.0)
    more = len(set(known)) - len(some)
    told = ", ".join(some) + (f" and {more} more" if more > 0 else "")
    return f"known: {told}" if some else ""


def nearest(name: str, known: Iterable[str], most: int = 3, *, least_alike: float = 0.5) -> tuple[str, ...]:
    """The known names most like `name`, best first; case does not count. `least_alike` is a share, 0 takes any."""
    by_lower = {k.lower(): k for k in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=most, cutoff=least_alike)
    return tuple(by_lower[f] for f in found)
