"""Cells of a row of measurements: whether one tells something, and numbers as people write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hetops.performance.meant import NOT_TOLD

Row = Mapping[str, str]

_NUMBER = re.compile(r"[+-]?(\d+|\d{1,3}([,' _]\d{3})+)(\.\d*)?(e[+-]?\d+)?|[+-]?\.\d+(e[+-]?\d+)?")
"""27792.16, 27,792.16, 1e3: separators between thousands, and a point before the rest."""
_ZERO = re.compile(r"[+-]?(0+(\.0*)?|\.0+)(e[+-]?\d+)?", re.IGNORECASE)
MOST: Mapping[str, float] = {
    "gpu_count": 1e5,
    "tp": 1e3,
    "pp": 1e3,
    "params_b": 1e5,
    "input_tokens": 1e8,
    "output_tokens": 1e8,
    "concurrency": 1e7,
    "request_rate": 1e7,
    "requests": 1e9,
    "value": 1e12,
}
"""By column. More is a slip of the pen: nothing that was ever measured comes near."""
LEAST = 1e-6
"""Above zero: no number that people write comes near."""


def there(row: Row, name: str) -> None:
    """Demands that the row has such a cell, whatever stands in it.

    Raises:
        ValueError: it has none.
    """
    if name not in row:
        raise ValueError(f"{name}: no such cell in this row: it ends too soon, or lacks a separator")


def told(row: Row, name: str) -> str:
    """A cell that must tell something.

    Raises:
        ValueError: it does not.
    """
    there(row, name)
    if not tells(row, name):
        raise ValueError(f"{name}: nothing told")
    return row[name]


def tells(row: Row, name: str) -> bool:
    """Whether a cell is there and tells something."""
    return row.get(name, "").lower() not in NOT_TOLD


def above_none(row: Row, name: str) -> bool:
    """Whether a cell tells something other than 0, which tools write where there is no limit or nothing was measured."""
    return tells(row, name) and not _ZERO.fullmatch(row[name])


def whole(row: Row, name: str, default: int) -> int:
    """A whole number of at least 1; the default where nothing is told.

    Raises:
        ValueError: it is no such number.
    """
    if not tells(row, name):
        return default
    value = number(row, name)
    if value < 1 or value != int(value):
        raise ValueError(f"{name} must be a whole number of at least 1, found {row[name]!r}")
    return int(value)


def number(row: Row, name: str, *, least: float = LEAST) -> float:
    """A number of at least `least`, with or without separators between thousands.

    Raises:
        ValueError: it is no such number, or more than the column ever has.
    """
    text = row[name].lower()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} must be a number such as 1234.5 or 1e3, found {row[name]!r}")
    value = float(re.sub("[,' _]", "", text))
    if value < least:
        raise ValueError(f"{name} must be above zero, found {row[name]!r}")
    if value > MOST[name]:
        raise ValueError(f"{name} must be at most {MOST[name]:g}, found {row[name]!r}")
    return value
