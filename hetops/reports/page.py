"""How wide the reader's page is, and columns and lines that fold to fit it. Pure but for that width, which whoever prints sets once.

A column folds at spaces, where that does not do after `/` and `,`, and only then after `-`, last within `g6e.12xlarge`:
a name that stays whole can be copied. Where that would not do either, it folds wherever its column ends.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterator, Sequence
from contextvars import ContextVar

WIDTH: ContextVar[int | None] = ContextVar("page width", default=None)
"""Characters in a line; None is as many as there are: a file, a pipe."""

GAP = 2
"""Blanks between columns."""

_SPACE = re.compile(r"(?<=\D) | (?!(?:s|ms|%|/s|/h|GB)(?:[\s),]|$))")
"""One that may end a line: not between a number and its unit."""
_NAMES = rf"{_SPACE.pattern}|(?<=\S[/,])(?=\S)"
_PARTS = rf"{_NAMES}|(?<=\S-)(?=\D)|(?<=\D-)(?=\S)"
_ENDS = (
    _SPACE,
    *map(re.compile, (_NAMES, _PARTS, rf"{_PARTS}|(?<=[a-z]\.)(?=\d)|(?<=\d\.)(?=\d+[a-z]{{2}})")),
)
"""Where a line may end, from what is liked best; never within a date."""
_LEAST = 6


def fitted(grid: Sequence[Sequence[str]], rigid: Collection[int], indent: int = 0) -> list[list[list[str]]]:
    """For each row its cells as lines, so that all columns fit the page, `indent` blanks from its left. Of columns of `rigid` only
    the first cell folds, at spaces."""
    columns = list(zip(*grid, strict=True))
    widths = [max(map(len, column)) for column in columns]
    page = WIDTH.get()
    room = None if page is None else page - indent
    if room is not None and _whole(widths) > room:
        whole = {i: _whole_below(columns[i]) for i in rigid}
        for ends in _ENDS:
            least = [whole.get(i, min(w, _least(columns[i], ends))) for i, w in enumerate(widths)]
            if _whole(least) <= room:
                return _lined(grid, _narrowed(widths, least, room), ends)
        cut = [whole.get(i, min(w, _LEAST)) for i, w in enumerate(widths)]
        if _whole(cut) <= room:
            return _lined(grid, _narrowed(least, cut, room), ends)
    return [[[cell] for cell in row] for row in grid]


def _lined(
    grid: Sequence[Sequence[str]], widths: Sequence[int], ends: re.Pattern[str]
) -> list[list[list[str]]]:
    return [[list(_folded(*cell, ends)) for cell in zip(row, widths, strict=True)] for row in grid]


def folded(text: str) -> str:
    """Text whose lines end at words where the page does; what goes on stands below the first word."""
    room = WIDTH.get()
    return text if room is None else "".join(_line(line, room) for line in text.splitlines(keepends=True))


def _line(line: str, room: int) -> str:
    if len(line.rstrip("\n")) <= room:
        return line
    begin = re.match(r"\s*(?:\d+\s+|\* )?", line)
    below = " " * min(begin.end() if begin else 0, room // 2)
    end = "\n" if line.endswith("\n") else ""
    return (
        textwrap.fill(line, room, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)
        + end
    )


def _whole(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _whole_below(column: Sequence[str]) -> int:
    """The width of a column whose first cell, its header, folds at spaces, and no other."""
    header, *cells = column
    return max(len(piece.strip()) for piece in (*_pieces(header, _SPACE), *cells))


def _least(column: Sequence[str], ends: re.Pattern[str]) -> int:
    """The longest piece that stays whole."""
    return max(_LEAST, *(len(piece.strip()) for cell in column for piece in _pieces(cell, ends)))


def _pieces(cell: str, ends: re.Pattern[str]) -> Iterator[str]:
    """What a cell may be taken apart into; blanks stay at the ends of pieces."""
    begin = 0
    for found in ends.finditer(cell):
        if found.end() > begin:
            yield cell[begin : found.end()]
            begin = found.end()
    yield cell[begin:]


def _narrowed(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that fit, taken from the widest columns first; the least ones do."""
    narrowed = list(widths)
    while _whole(narrowed) > room:
        can = [i for i, width in enumerate(narrowed) if width > least[i]]
        narrowed[max(can, key=lambda i: narrowed[i])] -= 1
    return narrowed


def _folded(cell: str, width: int, ends: re.Pattern[str]) -> Iterator[str]:
    if len(cell) <= width:
        yield cell
        return
    line = ""
    for piece in _pieces(cell, ends):
        if line and len((line + piece).rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
        while len(line.rstrip()) > width:
            yield line[:width]
            line = line[width:]
    yield line.rstrip()
