"""Use case: the JSON Schema of hetops.toml and of every document. Finds the documents; describes none itself."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hetops
from hetops.domain import schema
from hetops.domain.codec import Document
from hetops.errors import UnknownNameError
from hetops.reports.schema import Format, in_short
from hetops.spec import load as specs
from hetops.spec.fields import Spec

SPEC = "spec"
"""Name of the format of hetops.toml."""


def schema_of(name: str = SPEC) -> dict[str, Any]:
    """The schema of a format, named as `plan` or as `hetops.plan`.

    Raises:
        UnknownNameError: no such format.
    """
    short = name.removeprefix("hetops.")
    if short == SPEC:
        return specs.json_schema()
    known = {in_short(kind.FORMAT): kind for kind in documents()}
    if short not in known:
        raise UnknownNameError("format", name, (SPEC, *known))
    return schema.of_document(known[short])


def formats() -> tuple[Format, ...]:
    """hetops.toml and every document, by name."""
    spec = Format(
        name=SPEC, version="", purpose=Spec.FILE_NAME + ": what to serve, how fast, out of which offers."
    )
    return (
        spec,
        *(
            Format(name=kind.FORMAT, version=kind.FORMAT_VERSION, purpose=_first_line(kind))
            for kind in documents()
        ),
    )


@cache
def documents() -> tuple[type[Document], ...]:
    """Every document class of hetops, by format."""
    found = {kind.FORMAT: kind for kind in _document_classes()}
    return tuple(found[name] for name in sorted(found))


def _document_classes() -> Iterator[type[Document]]:
    """Classes that name a format of their own. Modules are read first: none is loaded that declares no document."""
    package = Path(hetops.__file__).parent
    for path in sorted(package.rglob("*.py")):
        names = _declaring(path)
        if names:
            module = importlib.import_module(".".join((hetops.__name__, *_dotted(path.relative_to(package)))))
            yield from (getattr(module, name) for name in names)


def _declaring(path: Path) -> tuple[str, ...]:
    """The classes of a file whose bodies set FORMAT."""
    text = path.read_text(encoding="utf-8")
    if "FORMAT: ClassVar[str] =" not in text:
        return ()
    classes = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    return tuple(c.name for c in classes if any(_sets_format(node) for node in c.body))


def _sets_format(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "FORMAT"
        and node.value is not None
    )


def _dotted(path: Path) -> tuple[str, ...]:
    return tuple(part for part in path.with_suffix("").parts if part != "__init__")


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]
