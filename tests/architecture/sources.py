"""The project's own Python files as syntax trees: what the tests of the architecture look at."""

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
    lines: int
    tree: ast.Module

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    def functions(self) -> Iterator[Function]:
        """Every function, nested ones too."""
        return (n for n in ast.walk(self.tree) if isinstance(n, Function))


def sources(*folders: str) -> tuple[Source, ...]:
    """The Python files below folders of the project, by path."""
    paths = sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))
    assert paths, folders
    return tuple(_source(path) for path in paths if "__pycache__" not in path.parts)


def _source(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path=path, lines=text.count("\n"), tree=ast.parse(text))


PRODUCT = sources("hetops", "plugins", "stacks")
"""What users run."""
