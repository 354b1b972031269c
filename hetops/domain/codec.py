"""Values to versioned JSON and back: `{"format": "hetops.plan", "format_version": "1.0", ...}`.

Every document class names its `FORMAT` and `FORMAT_VERSION`. A reader accepts its own major version only. Decimals
travel as strings, times as RFC 3339. Reads and writes no files.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec

from hetops.domain.choices import names_allowed
from hetops.domain.written import slips
from hetops.errors import DocumentError, nearest


class Document(Protocol):
    """A frozen dataclass that travels as JSON on its own."""

    FORMAT: ClassVar[str]
    FORMAT_VERSION: ClassVar[str]


D = TypeVar("D", bound=Document)


def to_builtins(document: Document) -> dict[str, Any]:
    """The document as plain JSON values, its format and version first."""
    body = msgspec.to_builtins(document, order="deterministic")
    return {"format": document.FORMAT, "format_version": document.FORMAT_VERSION, **body}


def encode(document: Document) -> bytes:
    """The document as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(to_builtins(document)), indent=2) + b"\n"


def digest(document: Document) -> str:
    """SHA-256 of the document's canonical JSON, in hex: equal documents have equal digests.

    A minor version that adds fields changes no digest of a document that does not use them.
    """
    major = document.FORMAT_VERSION.split(".", maxsplit=1)[0]
    meant = {
        **_meant(document, to_builtins(document)),
        "format": document.FORMAT,
        "format_version": f"{major}.0",
    }
    return hashlib.sha256(msgspec.json.encode(meant, order="sorted")).hexdigest()


def _meant(value: Any, plain: Any) -> Any:
    """The plain JSON of a value without the added fields that have their defaults."""
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        return [_meant(one, of) for one, of in zip(value, plain, strict=True)]
    if not dataclasses.is_dataclass(value):
        return plain
    kind: Any = type(value)
    added = _added_fields(kind)
    left_out = {"format", "format_version", *(n for n, usual in added.items() if getattr(value, n) == usual)}
    return {
        name: _meant(getattr(value, name), of) if isinstance(of, list | tuple | dict) else of
        for name, of in plain.items()
        if name not in left_out
    }


@functools.cache
def _added_fields(kind: Any) -> dict[str, Any]:
    """The default of each field that a minor version added."""
    return {
        field.name: field.default_factory() if callable(field.default_factory) else field.default
        for field in dataclasses.fields(kind)
        if field.metadata.get("added")
    }


def format_of(text: bytes | str) -> str:
    """The format that a document says it has; empty where it says none, or is no document."""
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return str(raw.get("format", "")) if isinstance(raw, dict) else ""


def decode(kind: type[D], text: bytes | str, *, source: str) -> D:
    """A document of `kind`; `source` names the file or stream in errors.

    Raises:
        DocumentError: not JSON, another format, another major version, or a field that does not fit.
    """
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise DocumentError(f"{source}: not JSON: {fault}") from fault
    return from_builtins(kind, raw, source=source)


def decode_strict(kind: type[D], text: bytes | str, *, source: str) -> D:
    """As `decode`, for documents that people write: a field that `kind` does not have is an error too, and one told twice.

    A misspelt optional field would otherwise be a limit that silently does not hold.
    """
    found = slips(text)
    if found:
        raise DocumentError(f"{source}: {found[0]}", details=found[1:])
    document = decode(kind, text, source=source)
    unknown = tuple(_unknown_fields(msgspec.json.decode(text), to_builtins(document), "$"))
    if unknown:
        path, hint = unknown[0]
        raise DocumentError(
            f"{source}: unknown field {path}",
            details=(f"unknown field {other}" for other, _ in unknown[1:]),
            hint=hint,
        )
    return document


def _unknown_fields(raw: object, known: object, path: str) -> Iterator[tuple[str, str]]:
    """Paths in `raw` that the document does not have, each with what could have been meant."""
    if isinstance(raw, dict) and isinstance(known, dict):
        for key, value in raw.items():
            if key in known:
                yield from _unknown_fields(value, known[key], f"{path}.{key}")
            else:
                near = nearest(key, known, most=1)
                yield (
                    f"{path}.{key}",
                    f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}",
                )
    elif isinstance(raw, list) and isinstance(known, list | tuple):
        for index, (value, of) in enumerate(zip(raw, known, strict=True)):
            yield from _unknown_fields(value, of, f"{path}[{index}]")


def from_builtins(kind: type[D], raw: object, *, source: str) -> D:
    """A document of `kind` out of plain JSON values; errors as in `decode`."""
    if not isinstance(raw, dict):
        raise DocumentError(f"{source}: expected a JSON object with format {kind.FORMAT}")
    found, version = raw.get("format"), str(raw.get("format_version", ""))
    if found != kind.FORMAT:
        raise DocumentError(f"{source}: format is {found!r}, expected {kind.FORMAT!r}")
    if version.split(".", maxsplit=1)[0] != kind.FORMAT_VERSION.split(".")[0]:
        raise DocumentError(
            f"{source}: format_version {version!r} cannot be read, expected {kind.FORMAT_VERSION}",
            hint="write the file again with this version of hetops",
        )
    body = {key: value for key, value in raw.items() if key not in ("format", "format_version")}
    try:
        return msgspec.convert(body, kind, strict=True, str_keys=True, builtin_types=())
    except msgspec.ValidationError as fault:
        raise DocumentError(f"{source}: {fault}", hint=names_allowed(kind, str(fault))) from fault
