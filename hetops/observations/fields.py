"""Fields of a document that another tool wrote: asked for by their paths, checked, in our units. Pure.

What is missing or none is an error that names the file and the field as it stands there; nothing is guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hetops.errors import HetopsError

PERCENTS = (50, 90, 95, 99)
AS_WRITTEN = "name the file as the benchmark wrote it"
_STREAMED = "was the run streamed?"
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
"""As some tools write a number; any other comma is no part of one."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A document, and how its fields are asked for: `a.b.c`, the first of several that is there."""

    document: Any
    where: str

    def get(self, *paths: str) -> Any:
        """The first of the paths that is there and not null; else None."""
        return next((found for _, found in self._there(paths)), None)

    def _there(self, paths: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        return ((path, found) for path in paths if (found := self._at(path)) is not None)

    def _at(self, path: str) -> Any:
        found = self.document
        for key in path.split("."):
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict):
                found = found.get(key)
            else:
                return None
        return found

    def number(self, *paths: str, hint: str = AS_WRITTEN) -> float:
        """A number above zero; HetopsError where there is none."""
        path, found = next(self._there(paths), ("", ""))
        if found == "":
            raise HetopsError(f"{self.where}: {' or '.join(paths)} is missing", hint=hint)
        return self._above_zero(found, path)

    def _above_zero(self, found: Any, path: str) -> float:
        text = str(found).strip()
        try:
            value = float(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
        except ValueError:
            value = math.nan
        if isinstance(found, bool) or not (value > 0 and math.isfinite(value)):
            raise HetopsError(
                f"{self.where}: {path} must be a number above zero, found {found!r}", hint=AS_WRITTEN
            )
        return value

    def count(self, *paths: str) -> int:
        """A whole number above zero; HetopsError where there is none."""
        value = self.number(*paths)
        if value != int(value):
            raise HetopsError(
                f"{self.where}: {paths[0]} must be a whole number, found {value:g}", hint=AS_WRITTEN
            )
        return int(value)

    def failed(self, *paths: str) -> int:
        """How many requests failed; 0 where that is not told."""
        told = self.get(*paths)
        return int(told) if isinstance(told, int | float) and 0 < told < math.inf else 0

    def percentiles(self, scale: float, *patterns: str) -> tuple[float, ...]:
        """p50 and what follows it as far as it is told, in seconds; patterns hold `{}` for the percent."""
        median = [p.replace("p{}", "median") for p in patterns]
        told = [self.number(*(p.format(PERCENTS[0]) for p in patterns), *median, hint=_STREAMED)]
        for percent in PERCENTS[1:]:
            paths = [p.format(percent) for p in patterns]
            if self.get(*paths) in (None, ""):
                break
            told.append(self.number(*paths))
        return tuple(value * scale for value in told)

    def in_flight(self, given: int | None, *paths: str) -> int | None:
        """Requests in flight: as the file tells, else as given; HetopsError where it tells several, or both tell and differ."""
        scalars = (
            path for path, found in self._there(paths) if isinstance(found, int | float | str) and found != ""
        )
        told = sorted({self.number(path) for path in scalars})
        if not told:
            return given
        if len(told) > 1 or told[0] != int(told[0]) or given not in (None, int(told[0])):
            raise HetopsError(
                f"{self.where}: {' and '.join(f'{n:g}' for n in told)} requests were in flight"
                + (f", not {given}" if given else ""),
                hint="leave --concurrency out" if given else "name a run with one whole number of them",
            )
        return int(told[0])

    def time(self, *paths: str) -> datetime | None:
        """When it was measured, where that is told; UTC where no zone is."""
        found = self.get(*paths)
        if not found:
            return None
        try:
            if isinstance(found, int | float):
                return datetime.fromtimestamp(found, UTC)
            stamp = re.fullmatch(r"\d{8}-\d{6}", found)
            at = datetime.strptime(found, "%Y%m%d-%H%M%S") if stamp else datetime.fromisoformat(found)
        except (ValueError, OverflowError, OSError, TypeError) as fault:
            raise HetopsError(
                f"{self.where}: {paths[0]} is no time: {found!r}", hint="write it as in 2026-11-24T12:00:00Z"
            ) from fault
        return at if at.tzinfo else at.replace(tzinfo=UTC)
