"""Edge: trace files of several publishers to `Trace`. The columns decide the format; nothing is guessed or repaired.

Read: CSV with `timestamp,input_tokens,output_tokens` in seconds; the Azure traces as published
(`TIMESTAMP,ContextTokens,GeneratedTokens`, wall-clock times); BurstGPT (`Timestamp,...,Request tokens,Response tokens`);
Mooncake JSON lines (`timestamp` in milliseconds, `input_length`, `output_length`); JSON lines of hetops
(`at_seconds`, `input_tokens`, `output_tokens`). Gzipped files are read as they are. Where requests are for several models, a column
`model` beside these says for which.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hetops.errors import TraceError, UnknownNameError
from hetops.workloads.trace import Trace

_GZIP = b"\x1f\x8b"
_MOST_TOKENS = 1e9
"""No request is longer; a larger number is a wrong column."""
_MODEL = "model"
"""The column that says which model a request asks for."""

_MEND_LINE = "mend this line, or leave it out"

_Row = tuple[float, float, float, float]
"""Seconds, tokens in, tokens out, the model's index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """Names of the three columns, and how a time becomes seconds."""

    name: str
    at: str
    input_tokens: str
    output_tokens: str
    seconds: Callable[[Any], float]
    no_output_means_failed: bool = False

    @property
    def columns(self) -> tuple[str, str, str]:
        """The columns that must be there."""
        return self.at, self.input_tokens, self.output_tokens


def _wall_clock(text: Any) -> float:
    """`2023-11-16 18:15:46.6805900` or `2024-05-10 00:00:00.009930+00:00` to UNIX seconds; UTC where none is told."""
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


_CSV = (
    _Format(
        name="hetops CSV",
        at="timestamp",
        input_tokens="input_tokens",
        output_tokens="output_tokens",
        seconds=float,
    ),
    _Format(
        name="Azure",
        at="TIMESTAMP",
        input_tokens="ContextTokens",
        output_tokens="GeneratedTokens",
        seconds=_wall_clock,
    ),
    _Format(
        name="BurstGPT",
        at="Timestamp",
        input_tokens="Request tokens",
        output_tokens="Response tokens",
        seconds=float,
        no_output_means_failed=True,  # HPMLL/BurstGPT, README: "Response tokens" is 0 for a failed request
    ),
)
_JSON = (
    _Format(
        name="Mooncake",
        at="timestamp",
        input_tokens="input_length",
        output_tokens="output_length",
        seconds=lambda milliseconds: float(milliseconds) / 1000.0,
    ),
    _Format(
        name="hetops JSON lines",
        at="at_seconds",
        input_tokens="input_tokens",
        output_tokens="output_tokens",
        seconds=float,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A file, and the models that its requests may ask for: none where it need not say."""

    path: Path
    models: tuple[str, ...] = ()

    def columns(self, form: _Format) -> tuple[str, ...]:
        """What is read of each record."""
        return (*form.columns, _MODEL) if self.models else form.columns


def read_trace(path: Path, models: Sequence[str] = ()) -> Trace:
    """The trace in a file, counted in seconds from its first request.

    Of several `models` each request must say which it asks for; of one or none nobody is asked.

    Raises:
        TraceError: unreadable, no known columns, a length that is no number of tokens, times that go back,
            fewer than two requests. Names file and line.
        UnknownNameError: a request asks for another model.
    """
    source = _Source(path=path, models=tuple(models) if len(models) > 1 else ())
    text = _text(path)
    if not text.strip():
        raise TraceError(f"{path}: the file is empty", hint="a trace needs at least two requests")
    records = _json_records(source, text) if text.lstrip().startswith("{") else _csv_records(source, text)
    columns = np.array(list(records), dtype=np.float64).reshape(-1, 4)
    served = columns[columns[:, 2] > 0]
    if len(served) < 2 or served[-1, 0] == served[0, 0]:
        raise TraceError(
            f"{path}: {_too_few(len(served))}",
            hint="give at least two requests at different times, or state classes with rates in the spec",
        )
    return Trace(
        name=path.name,
        at_seconds=served[:, 0] - served[0, 0],
        input_tokens=served[:, 1],
        output_tokens=served[:, 2],
        failed_requests=len(columns) - len(served),
        models=source.models,
        asked=served[:, 3].astype(np.int64) if source.models else None,
    )


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if raw.startswith(_GZIP):
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise TraceError(
            f"{path}: not text in UTF-8 (byte {fault.start})", hint="give a CSV or JSON lines file"
        ) from fault
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise TraceError(f"{path}: a broken gzip file: {fault}", hint="fetch it again") from fault
    except OSError as fault:
        raise TraceError(
            f"trace {path} cannot be read: {fault.strerror or fault}",
            hint="name a CSV or JSON lines file that is there and may be read",
        ) from fault


def _csv_records(source: _Source, text: str) -> Iterator[_Row]:
    path = source.path
    rows = _rows(path, text)
    header = [name.strip() for name in next(rows)[1]]
    form = _matching(source, header, _CSV)
    wanted = tuple(header.index(name) for name in source.columns(form))
    return _checked(source, form, (_cells(path, line, row, wanted) for line, row in rows if row))


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with its line."""
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as fault:
        raise TraceError(
            f"{path}:{reader.line_num}: not CSV: {fault}",
            hint="end every line alike: where a column was added behind \\r\\n, take the \\r out first (tr -d '\\r')",
        ) from fault


def _cells(path: Path, line: int, row: list[str], wanted: tuple[int, ...]) -> tuple[int, tuple[str, ...]]:
    if len(row) <= max(wanted):
        raise TraceError(f"{path}:{line}: {len(row)} columns, the header has more", hint=_MEND_LINE)
    return line, tuple(row[i] for i in wanted)


def _json_records(source: _Source, text: str) -> Iterator[_Row]:
    path = source.path
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    form = _matching(source, list(_object(path, *lines[0])), _JSON)
    records = ((number, _object(path, number, line)) for number, line in lines)
    names = source.columns(form)
    return _checked(source, form, (_values(path, number, record, names) for number, record in records))


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as fault:
        raise TraceError(f"{path}:{number}: not JSON: {fault}", hint=_MEND_LINE) from fault
    if not isinstance(found, dict):
        raise TraceError(f"{path}:{number}: expected one JSON object a line", hint=_MEND_LINE)
    return found


def _values(
    path: Path, number: int, record: dict[str, Any], names: tuple[str, ...]
) -> tuple[int, tuple[Any, ...]]:
    missing = [name for name in names if name not in record]
    if missing:
        raise TraceError(f"{path}:{number}: no {missing[0]!r}", hint=_MEND_LINE)
    return number, tuple(record[name] for name in names)


def _matching(source: _Source, columns: list[str], formats: tuple[_Format, ...]) -> _Format:
    """The format whose three columns are there; otherwise the nearest one's missing columns are named."""
    for form in formats:
        if set(form.columns) <= set(columns):
            _demand_model(source, columns)
            return form
    nearest = min(formats, key=lambda f: len(set(f.columns) - set(columns)))
    missing = [repr(c) for c in nearest.columns if c not in columns]
    raise TraceError(
        f"{source.path}:1: no column {' and no column '.join(missing)}",
        details=(f"found: {', '.join(map(repr, columns))[:200]}",),
        hint="known: " + "; ".join(f"{f.name} ({', '.join(f.columns)})" for f in (*_CSV, *_JSON)),
    )


def _demand_model(source: _Source, columns: list[str]) -> None:
    if source.models and _MODEL not in columns:
        raise TraceError(
            f"{source.path}:1: no column {_MODEL!r} says which of {len(source.models)} models a request asks for",
            hint="add it, or give each model a file of its own: [workload.traces] in the spec, --trace MODEL=FILE",
        )


def _checked(
    source: _Source, form: _Format, records: Iterable[tuple[int, tuple[Any, ...]]]
) -> Iterator[_Row]:
    """Each record as numbers; the first impossible one is an error with its line."""
    path, before = source.path, -math.inf
    for line, (at, input_tokens, output_tokens, *model) in records:
        seconds = _seconds(path, line, form, at)
        if seconds < before:
            raise TraceError(
                f"{path}:{line}: the time goes back from {before:g} to {seconds:g}", hint="sort by time"
            )
        before = seconds
        least = 0 if form.no_output_means_failed else 1
        yield (
            seconds,
            _length(f"{path}:{line}: {form.input_tokens}", input_tokens, 1),
            _length(f"{path}:{line}: {form.output_tokens}", output_tokens, least),
            _asked(source, line, model[0]) if model else 0.0,
        )


def _asked(source: _Source, line: int, name: Any) -> float:
    told = str(name).strip()
    if told not in source.models:
        raise UnknownNameError("model of a request", told, source.models, where=f"{source.path}:{line}")
    return float(source.models.index(told))


def _too_few(served: int) -> str:
    """What a trace is that has no two moments."""
    if served == 0:
        return "no request, only a header or failed ones"
    return (
        "a single request makes no rate" if served == 1 else f"{served} requests at one moment make no rate"
    )


def _seconds(path: Path, line: int, form: _Format, at: Any) -> float:
    if at in ("", None):
        raise TraceError(
            f"{path}:{line}: no time: lengths alone make no rates",
            hint="state the rates: [[workload.classes]] with requests_per_second",
        )
    try:
        seconds = form.seconds(at)
    except (ValueError, TypeError) as fault:
        raise TraceError(f"{path}:{line}: {form.at} {at!r} is no time", hint=_MEND_LINE) from fault
    if not math.isfinite(seconds):
        raise TraceError(f"{path}:{line}: {form.at} {at!r} is no time", hint=_MEND_LINE)
    return seconds


def _length(place: str, value: Any, least: int) -> float:
    try:
        tokens = float(value)
    except (TypeError, ValueError) as fault:
        raise TraceError(f"{place} {value!r} is no number", hint=_MEND_LINE) from fault
    if not least <= tokens <= _MOST_TOKENS:
        raise TraceError(
            f"{place} is {value}: a request has at least {least} token{'s' * (least != 1)}",
            hint="leave out requests that failed",
        )
    return tokens
