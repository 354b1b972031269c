"""JSON Schema (draft 2020-12) of what travels as TOML or JSON, docstrings as its descriptions. Reads and writes no files.

What validates a value is msgspec; this adds what people read: the docstring that stands below a field.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from hetops.domain.codec import Document

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def of_table(kind: type) -> dict[str, Any]:
    """The schema of a class whose values are written as a TOML table: decimals are numbers there, strings in JSON."""
    body, definitions = _described(kind)
    table: dict[str, Any] = _with_numbers({"$schema": DRAFT, **body, "$defs": definitions})
    return table


def of_document(kind: type[Document]) -> dict[str, Any]:
    """The schema of a document: its fields after `format` and `format_version`."""
    body, definitions = _described(typing.cast(type, kind))
    major = kind.FORMAT_VERSION.split(".", maxsplit=1)[0]
    own = {
        "format": {"const": kind.FORMAT},
        "format_version": {"type": "string", "pattern": rf"^{major}\.", "default": kind.FORMAT_VERSION},
    }
    return {
        "$schema": DRAFT,
        **body,
        "title": kind.FORMAT,
        "properties": {**own, **body["properties"]},
        "required": [*own, *body["required"]],
        "$defs": definitions,
    }


@cache
def field_docs(kind: type) -> Mapping[str, str]:
    """The docstring below each field of a class, on one line; fields without one are absent."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    pairs = zip(tree.body, tree.body[1:], strict=False)
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def classes_in(kind: type) -> tuple[type, ...]:
    """The class and every class of fields that its own fields hold, each once, outermost first."""
    found: dict[type, None] = {}
    pending: list[Any] = [kind]
    while pending:
        each = pending.pop(0)
        pending += typing.get_args(each)
        if _has_fields(each) and each not in found:
            found[each] = None
            pending += typing.get_type_hints(each).values()
    return tuple(found)


def _has_fields(kind: Any) -> bool:
    return isinstance(kind, type) and (
        hasattr(kind, "__dataclass_fields__") or issubclass(kind, msgspec.Struct)
    )


def _described(kind: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """The object's own schema, and the definitions that it refers to."""
    classes = {each.__name__: each for each in classes_in(kind)}
    _, components = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    definitions = {
        name: _with_descriptions(schema, field_docs(classes[name])) if name in classes else schema
        for name, schema in components.items()
    }
    body = definitions.pop(kind.__name__)
    return body, definitions


def _with_descriptions(schema: Mapping[str, Any], docs: Mapping[str, str]) -> dict[str, Any]:
    properties = {
        name: {**field, "description": docs[name]} if name in docs else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _with_numbers(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_numbers(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return {key: value for key, value in schema.items() if key != "format"} | {"type": "number"}
    return {key: _with_numbers(value) for key, value in schema.items()}
