"""Faults of a simulation as people write them: on the command line and as a TOML file, both with the same fields. Pure.

    lose,zone=us-east-1a,at_seconds=600,for_seconds=300

    [[fault]]
    kind = "lose"
    zone = "us-east-1a"
    at_seconds = 600
    for_seconds = 300

What a fault does to which node is decided in `timeline`; here only what may be said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import tomli

from hetops.errors import HetopsError, UsageError, nearest

PLACES = ("pool", "offer", "provider", "region", "zone", "gpu")
"""What a fault may be said to hit, one of them a fault."""

MOST_TIMES = 1000
"""How many times as many requests a burst may bring."""

_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]*)`")


class _Anywhen(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    at_seconds: float

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float | int) and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of at least 0, not {value:g}")
        for name in ("nodes", "for_seconds", "factor"):
            if getattr(self, name, None) == 0:
                raise ValueError(f"{name} must be above 0")


class _Somewhere(_Anywhen, frozen=True, kw_only=True):
    pool: str = ""
    offer: str = ""
    provider: str = ""
    region: str = ""
    zone: str = ""
    gpu: str = ""

    def __post_init__(self) -> None:
        _Anywhen.__post_init__(self)
        if sum(bool(getattr(self, name)) for name in PLACES) != 1:
            raise ValueError(f"exactly one of {', '.join(PLACES)} says what it hits")

    @property
    def place(self) -> tuple[str, str]:
        """What it hits: the kind of name, and the name."""
        return next((name, getattr(self, name)) for name in PLACES if getattr(self, name))


class Lose(_Somewhere, frozen=True, kw_only=True, tag="lose"):
    """Nodes are gone at once, with what they were doing; for a time, or to the end. All that the name means, or `nodes`."""

    for_seconds: float | None = None
    nodes: int | None = None


class Reclaim(_Somewhere, frozen=True, kw_only=True, tag="reclaim"):
    """A provider takes spot nodes back. From the notice on they get no new requests; then they are gone, with what they were
    still doing; others in their place serve once they have booted."""

    nodes: int = 1
    notice_seconds: float = 30.0
    """What Google gives; AWS gives 120 s."""
    boot_seconds: float = 300.0


class Slow(_Somewhere, frozen=True, kw_only=True, tag="slow"):
    """Nodes whose every step takes `factor` times as long; for a time, or to the end."""

    for_seconds: float | None = None
    nodes: int = 1
    factor: float = 2.0

    def __post_init__(self) -> None:
        _Somewhere.__post_init__(self)
        if self.factor < 1:
            raise ValueError("factor must be at least 1: what is slow takes longer")


class Burst(_Anywhen, frozen=True, kw_only=True, tag="burst"):
    """`factor` times as many requests as the trace has in a stretch of time, like those that it has."""

    for_seconds: float = 60.0
    factor: float = 10.0

    def __post_init__(self) -> None:
        _Anywhen.__post_init__(self)
        if not 1 <= self.factor <= MOST_TIMES:
            raise ValueError(f"factor must lie between 1 and {MOST_TIMES}")


Fault: TypeAlias = Lose | Reclaim | Slow | Burst

KINDS: Mapping[str, type[Fault]] = {"lose": Lose, "reclaim": Reclaim, "slow": Slow, "burst": Burst}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where a fault was written, for errors."""

    where: str
    kind: type[HetopsError]

    def error(self, message: str, hint: str = "") -> HetopsError:
        return self.kind(f"{self.where}: {message}", hint=hint)


def from_option(text: str) -> Fault:
    """The fault in `KIND,FIELD=VALUE,...`.

    Raises:
        UsageError: it makes no sense; says which field and what could have been meant.
    """
    source = _Source(where=f"--fault {text}", kind=UsageError)
    kind, *pairs = text.split(",")
    given: dict[str, Any] = {"kind": kind.strip()}
    for pair in pairs:
        name, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or not name:
            raise source.error(
                f"{pair!r} is no FIELD=VALUE", "for example lose,zone=us-east-1a,at_seconds=600"
            )
        if name in given:
            raise source.error(f"{name} stands there twice")
        given[name] = _value(value)
    return _fault(given, source)


def from_toml(text: str, name: str) -> tuple[Fault, ...]:
    """The faults of a file's text, `[[fault]]` each; `name` is the file's, for errors.

    Raises:
        HetopsError: not TOML, no fault in it, or one that makes no sense; says which and which field.
    """
    try:
        raw = tomli.loads(text)
    except tomli.TOMLDecodeError as fault:
        raise HetopsError(
            f"{name}:{fault.lineno}: not TOML: {fault.msg}", hint=f"look at column {fault.colno}"
        ) from fault
    tables = raw.get("fault")
    strangers = [key for key in raw if key != "fault"]
    if strangers or not isinstance(tables, list) or not tables:
        what = f"unknown field {strangers[0]!r}" if strangers else "no fault in it"
        raise HetopsError(f"{name}: {what}", hint="each fault is a table: [[fault]]")
    return tuple(
        _fault(table, _Source(where=f"{name}: fault[{number}]", kind=HetopsError))
        for number, table in enumerate(tables)
    )


def until(fault: Fault) -> float | None:
    """When it is over; None where it is not before the end."""
    if isinstance(fault, Reclaim):
        return fault.at_seconds + fault.notice_seconds + fault.boot_seconds
    return None if fault.for_seconds is None else fault.at_seconds + fault.for_seconds


def in_short(fault: Fault) -> str:
    """The fault as `from_option` reads it, without what has its default."""
    name = next(kind for kind, of in KINDS.items() if isinstance(fault, of))
    defaults = dict(zip(reversed(fault.__struct_fields__), reversed(fault.__struct_defaults__), strict=False))
    told = (
        f"{field}={value:g}" if isinstance(value, float) else f"{field}={value}"
        for field in fault.__struct_fields__
        if (value := getattr(fault, field)) != defaults.get(field, msgspec.NODEFAULT)
    )
    return ",".join((name, *told))


def _value(text: str) -> Any:
    """A number where it reads as one."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _fault(given: Any, source: _Source) -> Fault:
    if not isinstance(given, dict):
        raise source.error("a fault is a table")
    kind = str(given.get("kind", ""))
    if kind not in KINDS:
        near = nearest(kind, KINDS, most=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KINDS)}"
        raise source.error(f"no such kind of fault {kind!r}" if kind else "no kind", hint)
    texts = {name: str(given[name]) for name in PLACES if name in given and source.kind is UsageError}
    try:
        return msgspec.convert({**given, **texts}, KINDS[kind])
    except msgspec.ValidationError as fault:
        raise _explained(str(fault), KINDS[kind], source) from fault


def _explained(message: str, kind: type[Fault], source: _Source) -> HetopsError:
    """The validator's words with the field in front and what could have been meant behind."""
    unknown = _UNKNOWN.search(message)
    known: Sequence[str] = kind.__struct_fields__
    if unknown:
        near = nearest(unknown["field"], known, most=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        return source.error(f"unknown field {unknown['field']!r}", hint)
    if missing := _MISSING.search(message):
        return source.error(f"{missing['field']} is missing")
    path = _AT.search(message)
    if path and path["path"]:
        field = path["path"].lstrip(".")
        return source.error(f"{field}: {message[: path.start()].lower()}")
    return source.error(message)
