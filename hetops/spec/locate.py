"""Finds the line of a field in TOML text, which the parser does not tell. Pure; best effort: 0 where it is not found.

Headers, array-of-tables headers, plain and dotted keys are followed; a key inside an inline table or a list is found at
the line where its outermost key stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The 1-based line of the deepest prefix of `path` that the text names, 0 where none is."""
    lines = _lines_by_path(text)
    wanted = tuple(path)
    for length in range(len(wanted), 0, -1):
        if wanted[:length] in lines:
            return lines[wanted[:length]]
    return 0


@dataclass(slots=True)
class _Reading:
    lines: dict[Path, int] = field(default_factory=dict)
    table: Path = ()
    counts: dict[Path, int] = field(default_factory=dict)

    def header(self, double: bool, parts: Sequence[str], line: int) -> None:
        path: Path = ()
        for part in parts:
            path = (*path, part)
            if path in self.counts and path != tuple(parts):
                path = (*path, self.counts[path])
            self.lines.setdefault(path, line)
        if double:
            self.counts[path] = self.counts.get(path, -1) + 1
            path = (*path, self.counts[path])
        self.table = path
        self.lines[path] = line


def _lines_by_path(text: str) -> dict[Path, int]:
    reading = _Reading()
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            reading.header(header.group(1) == "[[", _parts(header.group(2)), number)
        elif key:
            reading.lines.setdefault((*reading.table, *_parts(key.group(1))), number)
    return reading.lines


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]
