"""The text of a table as rows by name of column. Pure: what separates cells, where a row ends; not what cells mean.

A row is one line, or as many as its quotes hold open if it then has as many cells as there are columns: a quote that is never
closed costs its own line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hetops.performance.meant import plain

BEYOND = ""
"""The key of what stands beyond the last column."""
_SEPARATORS = ",;\t|"
_LONGEST = 200
"""Lines that a quoted cell may go over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The rows of a table. Columns are in lower case with `_` between words; a row lacks the cells that its line lacks."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def read_sheet(text: str) -> Sheet:
    """The table; lines with nothing but separators are none. A row without an `id` has its line for one: `line 7`."""
    lines = re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))
    heads = (number for number, line in enumerate(lines) if plain(line).strip(_SEPARATORS))
    head = next(heads, None)
    if head is None:
        return Sheet(columns=(), rows=())
    separator = max(_SEPARATORS, key=lines[head].count)
    columns = tuple(_column(cell) for cell in _cells(lines[head : head + 1], separator))
    rows = []
    for number, cells in _records(lines, head + 1, separator, len(columns)):
        row = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
        beyond = " ".join(cells[len(columns) :]).strip()
        named = {**row, "id": row.get("id", "").strip() or f"line {number}"}
        rows.append({**named, BEYOND: beyond} if beyond else named)
    return Sheet(columns=columns, rows=tuple(rows))


def _column(cell: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", plain(cell).lower()).strip("_")


def _records(
    lines: Sequence[str], begin: int, separator: str, columns: int
) -> Iterator[tuple[int, list[str]]]:
    """Cells of each row with the number of its first line, from 1."""
    while begin < len(lines):
        end = _closed(lines, begin)
        cells = _cells(lines[begin:end], separator)
        if end > begin + 1 and len(cells) != columns:
            end, cells = begin + 1, _cells(lines[begin : begin + 1], separator)
        if any(cell.strip() for cell in cells):
            yield begin + 1, cells
        begin = end


def _closed(lines: Sequence[str], begin: int) -> int:
    """The line after the one in which a row's quotes are closed; the next where they never are."""
    quotes = 0
    for end in range(begin, min(begin + _LONGEST, len(lines))):
        quotes += lines[end].count('"')
        if quotes % 2 == 0:
            return end + 1
    return begin + 1


def _cells(lines: Sequence[str], separator: str) -> list[str]:
    """The cells of one row; those of a line that no reader takes are cut at its separators."""
    try:
        return next(csv.reader(["\n".join(lines)], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return "\n".join(lines).split(separator)
