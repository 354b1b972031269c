"""The project's own Python files: what the tests of the architecture look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file."""

    path: Path
    tree: ast.Module
    functions: tuple[Function, ...]
    """Every function, nested ones too."""

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))


def paths(*folders: str) -> tuple[Path, ...]:
    """The Python files below folders of the project, in order."""
    found = sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))
    assert found, folders
    return tuple(path for path in found if "__pycache__" not in path.parts)


def lines(path: Path) -> int:
    """How long a file is."""
    return path.read_bytes().count(b"\n")


def parsed(path: Path) -> Source:
    """A file as its syntax tree."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = tuple(node for node in ast.walk(tree) if isinstance(node, Function))
    return Source(path=path, tree=tree, functions=functions)


def public_functions(tree: ast.Module) -> Iterator[Function]:
    """Functions of the module and methods of its public classes that others may call."""
    for body in (tree.body, *(c.body for c in public_classes(tree))):
        yield from (n for n in body if isinstance(n, Function) and not n.name.startswith("_"))


def public_classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """Classes of the module that others may use."""
    return (n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_"))


PRODUCT = paths("hetops", "plugins", "stacks")
"""What users run."""
