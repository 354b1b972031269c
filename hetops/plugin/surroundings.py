"""What a provider sees of this machine: environment, home folder, time; and credentials found there.

Values for plugins to hand around, so that a test can hand over its own. Must never show a secret: not in a repr, an
error, a log or a document.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import quote

from hetops.errors import ErrorKind, ProviderError

HIDDEN = "***"
"""What stands where a secret was."""

_SHORTEST_HIDDEN = 4
"""A shorter secret would blot out half of every message; no provider's key is as short."""


class Secret:
    """A value that is never shown. Only `reveal` gives it away, to the one header that needs it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def hide(self, text: str) -> str:
        """The text with every occurrence of the value hidden, as it is and as a URL spells it."""
        if len(self._value) < _SHORTEST_HIDDEN:
            return text
        return text.replace(self._value, HIDDEN).replace(quote(self._value, safe=""), HIDDEN)


class Clock(Protocol):
    """The passing of time, for who waits."""

    def now(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Back after so many seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a provider's API is waited for."""

    timeout_seconds: float = 5.0
    """For one attempt, from the first byte sent to the last received."""
    seconds: float = 8.0
    """For one request with all its repeats. A wait that would end later is not begun."""
    attempts: int = 3

    def within(self, seconds: float) -> Patience:
        """As patient, but done within so many seconds."""
        return replace(
            self, timeout_seconds=min(self.timeout_seconds, seconds), seconds=min(self.seconds, seconds)
        )

    def at_least(self, seconds: float) -> Patience:
        """As patient, and for so many seconds or more: for who would rather wait than fail."""
        return replace(self, seconds=max(self.seconds, seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a provider finds its credentials and addresses, the clock it waits by, and for how long."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    clock: Clock | None = None
    """None: the clock of this machine."""
    patience: Patience = field(default_factory=Patience)

    @property
    def home(self) -> Path:
        """The user's folder, where vendors' own tools keep their keys."""
        return Path(self.environment.get("HOME", "") or Path("~").expanduser())


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A file below the home folder where a vendor's tool keeps a key. `find` answers with the key; empty: none."""

    path: str
    find: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key and where it was found."""

    secret: Secret
    source: str


def read_credential(
    provider: str, surroundings: Surroundings, variables: tuple[str, ...], files: tuple[KeyFile, ...] = ()
) -> Credential:
    """The key of a provider: from the environment first, then from where the vendor's own tools keep it.

    Raises:
        ProviderError: of kind auth; there is none, or what there is can be no key.
    """
    places = (*_in_variables(surroundings, variables), *_in_files(surroundings, files))
    found = next(((where, key) for where, key in places if key), None)
    if found is None:
        looked = ", ".join((*variables, *(f"~/{f.path}" for f in files)))
        raise _auth(provider, f"no API key: looked at {looked}", f"export {variables[0]}=...")
    where, key = found
    if not key.isascii() or not key.isprintable() or " " in key:
        raise _auth(provider, f"{where} holds characters that no API key has", f"set {where} anew")
    return Credential(secret=Secret(key), source=where)


def _in_variables(surroundings: Surroundings, names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, surroundings.environment.get(name, "").strip()) for name in names]


def _in_files(surroundings: Surroundings, files: tuple[KeyFile, ...]) -> list[tuple[str, str]]:
    return [(f"~/{file.path}", _key_in(surroundings.home / file.path, file)) for file in files]


def _key_in(path: Path, file: KeyFile) -> str:
    """The key in a file; none where the file is missing, may not be read or says something else."""
    try:
        return file.find(path.read_text(encoding="utf-8")).strip()
    except (OSError, ValueError):
        return ""


def _auth(provider: str, message: str, hint: str) -> ProviderError:
    return ProviderError(message, provider=provider, kind=ErrorKind.AUTH, hint=hint)
