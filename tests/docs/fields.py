"""The fields of hetops.toml and of the documents as tables, out of their JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from hetops.app.schema import SPEC, formats, schema_of
from hetops.reports.schema import Format, in_short

Schema = Mapping[str, Any]


def spec() -> str:
    """Every table of hetops.toml."""
    schema = schema_of("spec")
    return "\n\n".join(_tables(schema, schema["$defs"], ()))


def documents() -> str:
    """Every document with its fields, then the parts that they are made of."""
    schemas = {each: _told_apart(schema_of(each.name), each.name) for each in formats() if each.name != SPEC}
    parts = {name: part for schema in schemas.values() for name, part in schema["$defs"].items()}
    sections = (_document(each, schema) for each, schema in schemas.items())
    return "\n\n".join((*sections, "## Parts", *(_part(name, parts[name]) for name in sorted(parts))))


def _document(each: Format, schema: Schema) -> str:
    short = in_short(each.name)
    head = f"## {each.name} {each.version}\n\n{schema['description']} Schema: [{short}.json](schemas/{short}.json)."
    return f"{head}\n\n{_table(schema)}"


@cache
def _shared() -> frozenset[str]:
    """Names that parts of more than one document have, though their fields differ."""
    found: dict[str, list[Schema]] = {}
    for each in formats():
        for name, part in schema_of(each.name)["$defs"].items():
            found.setdefault(name, []).append(part)
    return frozenset(name for name, parts in found.items() if any(part != parts[0] for part in parts))


def _told_apart(schema: Schema, document: str) -> Schema:
    """The schema with its document behind the names of parts that another document has too."""
    text = json.dumps(schema)
    for name in _shared() & schema["$defs"].keys():
        own = f"{name} of {document}"
        text = text.replace(f'"#/$defs/{name}"', f'"#/$defs/{own}"').replace(f'"{name}": {{', f'"{own}": {{')
    told: Schema = json.loads(text)
    return told


def _tables(
    schema: Schema, parts: Mapping[str, Schema], path: tuple[str, ...], form: str = ""
) -> Iterator[str]:
    """A table of the spec and those within it, each under its header."""
    inner = {name: found for name, field in schema["properties"].items() if (found := _inner(field, parts))}
    own = {**schema, "properties": {n: f for n, f in schema["properties"].items() if n not in inner}}
    if path:
        yield f"## {form.format('.'.join(path))}\n\n{schema['description']}\n\n{_table(own, parts)}"
    elif own["properties"]:
        yield _table(own, parts)
    for name, (part, form_) in inner.items():
        yield from _tables(parts[part], parts, (*path, name), form_)


def _inner(field: Schema, parts: Mapping[str, Schema]) -> tuple[str, str] | None:
    """The part that a field holds as a table, which may be left out, or as an array of tables, with how its header is written."""
    tables = ((table, "`[{}]`") for table in (field, *field.get("anyOf", ())))
    for holder, form in (*tables, (field.get("items", {}), "`[[{}]]`")):
        name = str(holder.get("$ref", "")).rpartition("/")[2]
        if "properties" in parts.get(name, {}):
            return name, form
    return None


def _part(name: str, part: Schema) -> str:
    head = f"### {name}\n\n{part.get('description', '')}".strip()
    if "enum" in part:
        return f"{head}\n\nOne of {', '.join(f'`{value}`' for value in part['enum'])}."
    return f"{head}\n\n{_table(part)}"


def _table(schema: Schema, parts: Mapping[str, Schema] | None = None) -> str:
    rows = ["| field | type | without it | meaning |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        cells = (
            f"`{name}`",
            _type(field, parts or {}),
            _default(name, field, schema),
            field.get("description", ""),
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(rows)


def _type(field: Schema, parts: Mapping[str, Schema]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        inner = parts.get(name, {})
        return _type(inner, parts) if "enum" in inner else f"[{name}](#{_anchor(name)})"
    if "anyOf" in field:
        return " or ".join(_type(each, parts) for each in field["anyOf"])
    if values := field.get("enum") or [field[key] for key in ("const",) if key in field]:
        return ", ".join(f"`{value}`" for value in values)
    if field.get("type") == "array":
        held = field.get("items") or (field.get("prefixItems") or [{}])[0]
        return f"list of {_type(held, parts)}" if held else "list"
    if isinstance(field.get("additionalProperties"), dict):
        return f"table of {_type(field['additionalProperties'], parts)}"
    return _plain(field)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-").replace(".", "")


_BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "at least",
    "exclusiveMaximum": "below",
    "maximum": "at most",
}


def _plain(field: Schema) -> str:
    name = {"object": "table", "string": "text", "null": "nothing"}.get(
        field.get("type", ""), field.get("type", "any")
    )
    name = "decimal" if field.get("format") == "decimal" else name
    bounds = [f"{words} {field[bound]}" for bound, words in _BOUNDS.items() if bound in field]
    return " ".join((name, " and ".join(bounds))).strip()


def _default(name: str, field: Schema, schema: Schema) -> str:
    if name in schema.get("required", ()):
        return "needed"
    default = field.get("default")
    if default is None or default in ("", [], {}, ()):
        return "nothing"
    if isinstance(default, list | tuple):
        return ", ".join(f"`{each}`" for each in default)
    if isinstance(default, dict):
        return "its own defaults"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
