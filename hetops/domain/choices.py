"""Which names a field of a document may have, for an error that tells of another. Pure; knows documents by their types alone."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

_STEP = re.compile(r"\.(\w+)|\[[^]]*\]")
_UNIONS = (typing.Union, types.UnionType)


def names_allowed(kind: type, said: str) -> str:
    """The names that are allowed where msgspec's words, said of a document of `kind`, tell of one that is not; else empty."""
    found = re.search(r"Invalid enum value .*(?:at `(key)` in|at) `(\$[^`]*)`", said)
    if not found:
        return ""
    key, path = found.groups()
    kinds: list[Any] = [kind]
    for step in _STEP.finditer(path):
        kinds = [inner for of in kinds for inner in _within(of, step[1])]
    if key:
        kinds = [one for of in kinds for one in _plain(typing.get_args(of)[0])]
    names = [str(member.value) for of in kinds if _is_enum(of) for member in of]
    return f"{'a key of ' if key else ''}{path} may be {', '.join(names)}" if names else ""


def _within(kind: Any, name: str | None) -> Iterator[Any]:
    """The types of a field of this name; without one, of what a list, or an object by its keys, holds."""
    if name is not None:
        if dataclasses.is_dataclass(kind):
            yield from _plain(typing.get_type_hints(kind).get(name))
        return
    holder, of = typing.get_origin(kind), typing.get_args(kind)
    if of:
        values = of[1:] if isinstance(holder, type) and issubclass(holder, Mapping) else of
        for one in values:
            yield from _plain(one)


def _plain(kind: Any) -> Iterator[Any]:
    """The types that a hint is of, one by one."""
    kind = getattr(kind, "__value__", kind)
    if kind is None or kind is type(None) or kind is Ellipsis:
        return
    if typing.get_origin(kind) in _UNIONS:
        for one in typing.get_args(kind):
            yield from _plain(one)
    else:
        yield kind


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)
