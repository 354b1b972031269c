"""Edge: reads hetops.toml into a `Spec`. Every mistake is an error with file, line, field and what to do next."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import tomli

from hetops.domain import schema
from hetops.errors import SpecError, UsageError, nearest
from hetops.files import read_bytes
from hetops.spec.fields import LoadedSpec, Spec
from hetops.spec.locate import line_of
from hetops.spec.table import Table

_ENTRY = re.compile(r"\[(\d+)\]")
"""`models[0].name`, as errors tell it, is `models.0.name`."""
_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_EXAMPLE = "for example --set budget.usd_per_hour=40"
_NO_MEMBER = "Invalid enum value"
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]")


def find(given: Path | None, start: Path) -> Path:
    """The spec to use: the given one, else hetops.toml in `start`.

    Raises:
        SpecError: there is none.
    """
    path = given or start / Spec.FILE_NAME
    if path.is_dir():
        path = path / Spec.FILE_NAME
    if not path.is_file():
        raise SpecError(
            f"no spec: {path} does not exist", hint="write one with `hetops init`, or name one with -f"
        )
    return path


def load(
    path: Path, overrides: Sequence[str] = (), environment: Mapping[str, str] = os.environ
) -> LoadedSpec:
    """The spec in a file; `overrides` are `key.path=value` with a TOML value, applied last.

    Raises:
        SpecError: unreadable, not TOML, an unknown key, a wrong type, an impossible value.
        UsageError: an override that is none.
    """
    try:
        return _loaded(path, overrides, environment)
    except SpecError as fault:
        if not overrides:
            raise
        _loaded(path, (), environment)  # raises where the file is wrong without them
        told = " ".join(f"--set {override}" for override in overrides)
        raise SpecError(f"{told}: {_beside(path, overrides, fault)}", hint=fault.hint) from fault


def _beside(path: Path, overrides: Sequence[str], fault: SpecError) -> str:
    """What is wrong with overrides: the field alone where one sets it, its line too where they clash with the file."""
    found = re.match(rf"{re.escape(str(path))}(:\d+)?: (([\w.\[\]-]+): )?", fault.message)
    raw = _parsed(path, _text(path))
    if found and found[1] and not _setting(overrides, _steps(f".{found[3] or ''}"), raw):
        return fault.message
    return fault.message[found.start(2) if found and found[2] else found.end() if found else 0 :]


def _loaded(path: Path, overrides: Sequence[str], environment: Mapping[str, str]) -> LoadedSpec:
    text = _text(path)
    raw = _parsed(path, text)
    for override in overrides:
        _override(raw, override)
    resolved = _resolved(raw, _Source(path=path, text=text, environment=environment))
    return LoadedSpec(
        spec=_converted(path, text, resolved),
        path=path.resolve(),
        digest=_digest(resolved),
        overrides=tuple(overrides),
    )


def place(loaded: LoadedSpec, *where: str | int) -> str:
    """Where a field stands, for errors that only its reader can find: `hetops.toml:12: offers.gpus[0]`."""
    text = _text(loaded.path)
    if override := _setting(loaded.overrides, where, _parsed(loaded.path, text)):
        return f"--set {override}: {_dotted(where)}"
    return _place(loaded.path, text, where)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of hetops.toml."""
    return {**schema.of_table(Spec), "title": Spec.FILE_NAME}


class _Source(msgspec.Struct, frozen=True, kw_only=True):
    path: Path
    text: str
    environment: Mapping[str, str]

    def error(self, where: Sequence[str | int], message: str, hint: str = "") -> SpecError:
        return SpecError(f"{_place(self.path, self.text, where)}: {message}", hint=hint)


def _text(path: Path) -> str:
    try:
        return read_bytes(path, what="spec").decode("utf-8")
    except UnicodeDecodeError as fault:
        raise SpecError(f"{path}: not text in UTF-8 (byte {fault.start})", hint="save it as UTF-8") from fault


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomli.loads(text, parse_float=Decimal)
    except tomli.TOMLDecodeError as fault:
        raise SpecError(
            f"{path}:{fault.lineno}: not TOML: {fault.msg}", hint=f"look at column {fault.colno}"
        ) from fault


def _override(raw: dict[str, Any], override: str) -> None:
    """Sets one field in the raw tables."""
    key, sign, text = override.partition("=")
    try:
        value = tomli.loads(f"value = {text}", parse_float=Decimal)["value"] if sign else None
    except tomli.TOMLDecodeError:
        value = text
    if not sign or not key.strip():
        raise UsageError(f"--set {override!r} is no key.path=value", hint=_EXAMPLE)
    *tables, last = _steps_of(key)
    table: Any = raw
    for name in tables:
        if isinstance(table, dict):
            table.setdefault(name, {})
        table = table[_step(table, name, key)]
    table[_step(table, last, key)] = value


def _steps_of(key: str) -> list[str]:
    """`models[0].name` and `models.0.name` in steps."""
    return _ENTRY.sub(r".\1", key.strip()).split(".")


def _setting(overrides: Sequence[str], where: Sequence[str | int], raw: Mapping[str, Any]) -> str:
    """The last override that sets the field or what it is in, or something in it that the file has not; else empty."""
    wanted = [str(step) for step in where]
    absent = _at(raw, where) is None
    set_to = ((one, _steps_of(one.partition("=")[0])) for one in reversed(overrides))
    makes = (
        one
        for one, steps in set_to
        if wanted[: len(steps)] == steps or (absent and steps[: len(wanted)] == wanted)
    )
    return next(makes, "")


def _step(table: Any, name: str, key: str) -> str | int:
    """The key of a field in a table, or the place of an entry in an array: `models.0.name`."""
    if isinstance(table, dict):
        return name
    if not isinstance(table, list):
        raise UsageError(f"--set {key}: {name} stands in no table", hint=_EXAMPLE)
    if name not in map(str, range(len(table))):
        raise UsageError(
            f"--set {key}: no entry {name} in an array of {len(table)}",
            hint="entries are counted from 0, as in models.0.name; a whole array is given as [...]",
        )
    return int(name)


def _resolved(value: Any, source: _Source, where: tuple[str | int, ...] = ()) -> Any:
    """The value with `${env:NAME}` replaced. Money (`usd` stands in the name) is Decimal, every other fraction float."""
    if isinstance(value, dict):
        return {k: _resolved(v, source, (*where, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolved(v, source, (*where, i)) for i, v in enumerate(value)]
    if isinstance(value, Decimal) and not value.is_finite():
        raise source.error(where, f"expected a finite number, found {value}".lower())
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _number(value, str(where[-1]))
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: _environment(found.group(1), source, where), value)
    return value


def _number(value: int | Decimal, field: str) -> int | Decimal | float:
    if "usd" in field:
        return Decimal(value)
    return value if isinstance(value, int) else float(value)


def _environment(name: str, source: _Source, where: tuple[str | int, ...]) -> str:
    if _SECRET.search(name):
        raise source.error(
            where,
            f"${{env:{name}}} looks like a secret, and this value lands in plans and state",
            "providers read their keys from the environment themselves; the router reads router.api_keys_file",
        )
    if name not in source.environment:
        raise source.error(
            where, f"the environment variable {name} is not set", f"export {name}=... or write the value"
        )
    return source.environment[name]


def _converted(path: Path, text: str, raw: Mapping[str, Any]) -> Spec:
    """The spec, or every unknown key of the file in one error, or the first other fault."""
    unknown = tuple(_unknown(raw, Spec, ()))
    if unknown:
        first, *more = (_unknown_text(path, text, where, known) for where, known in unknown)
        message, _, hint = first.partition("\n")
        raise SpecError(message, details=[m.replace("\n", "; ") for m in more], hint=hint)
    try:
        return msgspec.convert(raw, Spec, builtin_types=(Decimal,), strict=True)
    except msgspec.ValidationError as fault:
        found = _AT.search(str(fault))
        where = _steps(found.group("path")) if found else ()
        said = _AT.sub("", str(fault)).replace("`", "")
        raise SpecError(
            f"{_place(path, text, where)}: {_plain(said, raw, where)}", hint=_choices(said, raw, where)
        ) from fault


def _unknown(
    raw: Any, kind: Any, where: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], list[str]]]:
    """Keys that no field takes, through tables and arrays of tables, with what would be known there."""
    if not (isinstance(kind, type) and issubclass(kind, Table) and isinstance(raw, dict)):
        return
    fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        if key not in fields:
            yield (*where, key), list(fields)
            continue
        inner = _table_type(fields[key])
        items = enumerate(value) if isinstance(value, list) else ()
        yield from _unknown(value, inner, (*where, key))
        for index, item in items:
            yield from _unknown(item, inner, (*where, key, index))


def _table_type(annotation: Any) -> Any:
    """The Table class in an annotation such as `tuple[ClassSpec, ...]`, or the annotation itself."""
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Table)), annotation)


def _unknown_text(path: Path, text: str, where: Sequence[str | int], known: list[str]) -> str:
    near = difflib.get_close_matches(str(where[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"{_place(path, text, where)}: unknown key\n{hint}"


def _place(path: Path, text: str, where: Sequence[str | int]) -> str:
    line = line_of(text, where)
    dotted = _dotted(where)
    return f"{path}:{line}" * bool(line) + str(path) * (not line) + f": {dotted}" * bool(dotted)


def _dotted(where: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")


def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(name or (int(index) if index.isdigit() else 0) for name, index in _STEP.findall(path))


def _plain(said: str, raw: Mapping[str, Any], where: Sequence[str | int]) -> str:
    """msgspec's words in the user's."""
    value = _at(raw, where)
    shown = (
        ""
        if isinstance(value, dict | list) or value is None or _NO_MEMBER in said
        else f", found {value!r}".replace("Decimal('", "").replace("')", "")
    )
    said = said.replace("Object missing required field", "missing").replace("Expected", "expected")
    return said[:1].lower() + said[1:] + shown


def _choices(said: str, raw: Mapping[str, Any], where: Sequence[str | int]) -> str:
    """For a bad choice among names, the nearest good one; for a table that lacks, how to come by one."""
    if "missing required field" in said and not where:
        return "`hetops init -o FILE` writes a whole spec to go by"
    if _NO_MEMBER not in said:
        return ""
    known = _enum_values(where)
    near = nearest(str(_at(raw, where)), known)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def _enum_values(where: Sequence[str | int]) -> list[str]:
    kind: Any = Spec
    for step in (s for s in where if isinstance(s, str)):
        fields = (
            {f.name: f.type for f in msgspec.structs.fields(kind)}
            if hasattr(kind, "__struct_fields__")
            else {}
        )
        annotation = fields.get(step, kind)
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        kind = next(
            (
                c
                for c in candidates
                if isinstance(c, type) and (issubclass(c, Table) or hasattr(c, "__members__"))
            ),
            kind,
        )
    return [str(member) for member in getattr(kind, "__members__", {}).values()]


def _at(raw: Any, where: Sequence[str | int]) -> Any:
    for step in where:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _digest(resolved: Mapping[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(resolved, order="sorted")).hexdigest()
