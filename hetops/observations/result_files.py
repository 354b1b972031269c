"""Result files of `vllm bench serve`, guidellm, genai-perf and aiperf, and a plain CSV, to runs. Pure: text in, runs out.

The fields decide the format. What is missing is an error that names the field; a run that did not keep a number of requests
in flight (an open loop) is none that step times can be read from, and is refused or, beside others, left out with a note.
Field names as published: what `vllm bench serve` saves (2024 and 2025), guidellm 0.6 and earlier reports with `args.strategy`,
genai-perf's exporters (2024 and 2025), aiperf 0.5. None of these files was produced here.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hetops.errors import HetopsError
from hetops.observations.imports import ImportedFile, ImportedRun

PERCENTS = (50, 90, 95, 99)
FORMATS = (
    "`vllm bench serve --save-result` (JSON)",
    "guidellm (JSON)",
    "genai-perf and aiperf (JSON or CSV)",
    "CSV with "
    + ", ".join(("input_tokens", "output_tokens", "concurrency", "requests_per_second"))
    + ", ...",
)
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_AS_WRITTEN = "name the file as the benchmark wrote it"
_OWN_CSV = ("input_tokens", "output_tokens", "requests_per_second", "ttft_p50_seconds")
"""Columns by which our own CSV is known."""


def read(name: str, text: str, concurrency: int | None = None) -> ImportedFile:
    """The runs of a file's text; `concurrency` is that of files that do not tell it.

    Raises:
        HetopsError: the format is none of these, a field is missing or no number, or no run kept a number in flight.
    """
    if text.lstrip()[:1] in ("{", "["):
        return _merged(
            _of_json(_Fields(document, where), concurrency) for where, document in _json(name, text)
        )
    rows = _rows(name, text)
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header[:1] == ["Metric"]:
        return _merged([_of_genai(_Fields(_metrics(rows), name), "genai-perf or aiperf", concurrency)])
    if set(_OWN_CSV) <= set(header):
        return _of_own_csv(name, header, rows[1:], concurrency)
    raise _unknown(name)


def _rows(name: str, text: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    except csv.Error as fault:
        raise HetopsError(f"{name} is no CSV: {fault}", hint=_AS_WRITTEN) from fault


def _unknown(where: str) -> HetopsError:
    return HetopsError(
        f"{where}: a result file of no known format", details=FORMATS, hint="name a file of one of these"
    )


def _json(name: str, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The documents of a file: one, or one after the other as `--append-result` writes them."""
    decoder, at = json.JSONDecoder(), 0
    text = text.strip()
    try:
        while at < len(text):
            document, at = decoder.raw_decode(text, at)
            if not isinstance(document, dict):
                raise _unknown(name)
            yield name, document
            at += len(text[at:]) - len(text[at:].lstrip())
    except (ValueError, RecursionError) as fault:  # torn; a number of too many digits; nested too deeply
        raise HetopsError(f"{name} is not JSON: {fault}", hint="was it copied whole?") from fault


def _merged(files: Any) -> ImportedFile:
    """Several documents as one file. Open loops are left out where closed ones stand beside them."""
    found = tuple(files)
    merged = ImportedFile(
        runs=tuple(r for f in found for r in f.runs), notes=tuple(n for f in found for n in f.notes)
    )
    if not merged.runs:
        raise HetopsError(
            "no run kept a number of requests in flight, so no step times can be read from it",
            details=merged.notes,
            hint="measure at a fixed concurrency: vllm bench serve --max-concurrency N --request-rate inf",
        )
    return merged


@dataclass(frozen=True, slots=True)
class _Fields:
    """A document, and how its fields are asked for: `a.b.c`, the first of several that is there."""

    document: Any
    where: str

    def get(self, *paths: str) -> Any:
        """The first of the paths that is there and not null; else None."""
        return next((found for path in paths if (found := self._at(path)) is not None), None)

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

    def number(self, *paths: str) -> float:
        """A number above zero; HetopsError where there is none."""
        found = self.get(*paths)
        if found is None or found == "":
            raise HetopsError(f"{self.where}: {' or '.join(paths)} is missing", hint="was the run streamed?")
        return self._above_zero(found, paths[0])

    def _above_zero(self, found: Any, path: str) -> float:
        try:
            value = float(str(found).replace(",", ""))
        except ValueError:
            value = math.nan
        if isinstance(found, bool) or not (value > 0 and math.isfinite(value)):
            raise HetopsError(
                f"{self.where}: {path} must be a number above zero, found {found!r}", hint=_AS_WRITTEN
            )
        return value

    def percentiles(self, scale: float, *patterns: str) -> tuple[float, ...]:
        """p50 and what follows it as far as it is told, in seconds; patterns hold `{}` for the percent."""
        median = [p.replace("p{}", "median") for p in patterns]
        told = [self.number(*(p.format(PERCENTS[0]) for p in patterns), *median)]
        for percent in PERCENTS[1:]:
            paths = [p.format(percent) for p in patterns]
            if self.get(*paths) in (None, ""):
                break
            told.append(self.number(*paths))
        return tuple(value * scale for value in told)


def _of_json(fields: _Fields, concurrency: int | None) -> ImportedFile:
    if isinstance(fields.get("benchmarks"), list):
        return _of_guidellm(fields, concurrency)
    if isinstance(fields.get("request_throughput"), dict):
        tool = "aiperf" if fields.get("aiperf_version", "input_config.loadgen") else "genai-perf"
        return _of_genai(fields, tool, concurrency)
    if fields.get("request_throughput") is not None and fields.get("total_input_tokens") is not None:
        return _of_vllm(fields, concurrency)
    raise _unknown(fields.where)


def _of_vllm(fields: _Fields, concurrency: int | None) -> ImportedFile:
    rate = fields.get("request_rate")
    if rate not in (None, "inf", math.inf):
        return _open_loop(f"{fields.where}: requests came at a rate of {rate} /s")
    in_flight = _in_flight(fields, concurrency, "max_concurrency")
    if in_flight is None:
        return _open_loop(f"{fields.where}: all requests were sent at once (no max_concurrency)")
    completed = fields.number("completed")
    output = fields.number("total_output_tokens") / completed
    run = ImportedRun(
        where=fields.where,
        tool="vllm bench serve",
        input_tokens=fields.number("total_input_tokens") / completed,
        output_tokens=output,
        concurrency=in_flight,
        requests=int(completed),
        requests_per_second=fields.number("request_throughput"),
        ttft_seconds=fields.percentiles(1e-3, "p{}_ttft_ms"),
        tpot_seconds=fields.percentiles(1e-3, "p{}_tpot_ms") if output > 1 else (),
        model=str(fields.get("model_id") or ""),
        measured_at=_time(fields, "date"),
    )
    return ImportedFile(runs=(run,))


def _of_guidellm(fields: _Fields, concurrency: int | None) -> ImportedFile:
    benchmarks = fields.get("benchmarks")
    found = [
        _guidellm_run(_Fields(one, f"{fields.where}, benchmark {number}"), concurrency)
        for number, one in enumerate(benchmarks, 1)
    ]
    return ImportedFile(
        runs=tuple(r for f in found for r in f.runs), notes=tuple(n for f in found for n in f.notes)
    )


def _guidellm_run(fields: _Fields, concurrency: int | None) -> ImportedFile:
    """One benchmark. Its `time_per_output_token_ms` counts the first token's time in: ours is its inter-token latency."""
    strategy = str(fields.get("config.strategy.type_", "args.strategy.type_") or "unnamed")
    at = [f"{place}.strategy.{key}" for place in ("config", "args") for key in ("streams", "max_concurrency")]
    in_flight = 1 if strategy == "synchronous" else _in_flight(fields, concurrency, *at)
    if in_flight is None or strategy in ("constant", "poisson", "async"):
        return _open_loop(f"{fields.where}: its strategy {strategy} keeps no number of requests in flight")
    output = fields.number("metrics.output_token_count.successful.mean")
    pattern = "metrics.{}.successful.percentiles.p{{}}", "metrics.{}.successful.p{{}}"
    ttft, tpot = (
        [p.format(metric) for p in pattern] for metric in ("time_to_first_token_ms", "inter_token_latency_ms")
    )
    run = ImportedRun(
        where=fields.where,
        tool="guidellm",
        input_tokens=fields.number("metrics.prompt_token_count.successful.mean"),
        output_tokens=output,
        concurrency=in_flight,
        requests=int(
            fields.number(
                "metrics.request_totals.successful.count",
                "metrics.request_totals.successful",
                "request_totals.successful",
            )
        ),
        requests_per_second=fields.number("metrics.requests_per_second.successful.mean"),
        ttft_seconds=fields.percentiles(1e-3, *ttft),
        tpot_seconds=fields.percentiles(1e-3, *tpot) if output > 1 else (),
        model=str(fields.get("config.backend.model", "worker.backend_model") or ""),
        measured_at=_time(fields, "start_time", "scheduler_metrics.start_time", "run_stats.start_time"),
    )
    return ImportedFile(runs=(run,))


def _of_genai(fields: _Fields, tool: str, concurrency: int | None) -> ImportedFile:
    config = "input_config."
    rate = fields.get(
        config + "loadgen.request_rate",
        config + "perf_analyzer.stimulus.request_rate",
        config + "request_rate",
    )
    if rate:
        return _open_loop(f"{fields.where}: requests came at a rate of {rate} /s")
    names = (
        *("loadgen.concurrency", "perf_analyzer.stimulus.concurrency", "phases.0.concurrency"),
        *("concurrency.0", "concurrency"),
    )
    in_flight = _in_flight(fields, concurrency, *(config + name for name in names))
    if in_flight is None:
        raise HetopsError(
            f"{fields.where} does not tell how many requests were in flight", hint="--concurrency tells it"
        )
    output = fields.number("output_sequence_length.avg")
    run = ImportedRun(
        where=fields.where,
        tool=tool,
        input_tokens=fields.number("input_sequence_length.avg"),
        output_tokens=output,
        concurrency=in_flight,
        requests=int(fields.number("request_count.avg")),
        requests_per_second=fields.number("request_throughput.avg"),
        ttft_seconds=_latency(fields, "time_to_first_token"),
        tpot_seconds=_latency(fields, "inter_token_latency") if output > 1 else (),
        model=str(fields.get(config + "endpoint.model_names.0", config + "model_names.0") or ""),
        measured_at=_time(fields, "start_time"),
    )
    return ImportedFile(runs=(run,))


def _latency(fields: _Fields, metric: str) -> tuple[float, ...]:
    fields.number(f"{metric}.p50")
    unit = fields.get(f"{metric}.unit")
    if not isinstance(unit, str) or unit not in _SECONDS:
        raise HetopsError(
            f"{fields.where}: {metric}.unit must be one of {', '.join(_SECONDS)}, found {unit!r}",
            hint=_AS_WRITTEN,
        )
    return fields.percentiles(_SECONDS[unit], metric + ".p{}")


def _metrics(rows: Sequence[Sequence[str]]) -> Mapping[str, Mapping[str, str]]:
    """The CSV of genai-perf and aiperf as their JSON would be: `Time To First Token (ms),23.94,...`, then `Metric,Value`."""
    found: dict[str, Mapping[str, str]] = {}
    columns: Sequence[str] = ()
    for name, *values in rows:
        if name == "Metric":
            columns = ["avg" if v == "Value" else v.strip() for v in values]
            continue
        title, _, unit = name.partition("(")
        key = re.sub(r"[^a-z0-9]+", "_", title.strip().lower())
        found[key] = {"unit": unit.rstrip(") "), **dict(zip(columns, values, strict=False))}
    return found


def _of_own_csv(
    name: str, header: Sequence[str], rows: Sequence[Sequence[str]], concurrency: int | None
) -> ImportedFile:
    runs = []
    for number, row in enumerate(rows, 2):
        cells = [cell.strip() for cell in row]
        if len(cells) != len(header):
            raise HetopsError(
                f"{name}, line {number}: {len(cells)} cells under {len(header)} columns",
                hint="a cell with a comma in it stands in quotes",
            )
        runs.append(
            _own_run(_Fields(dict(zip(header, cells, strict=True)), f"{name}, line {number}"), concurrency)
        )
    return _merged([ImportedFile(runs=tuple(runs))])


def _own_run(fields: _Fields, concurrency: int | None) -> ImportedRun:
    in_flight = _in_flight(fields, concurrency, "concurrency")
    if in_flight is None:
        raise HetopsError(f"{fields.where}: concurrency is missing", hint="--concurrency tells it")
    output = fields.number("output_tokens")
    return ImportedRun(
        where=fields.where,
        tool="CSV",
        configuration=fields.get("configuration") or "",
        input_tokens=fields.number("input_tokens"),
        output_tokens=output,
        concurrency=in_flight,
        requests=int(fields.number("requests")),
        requests_per_second=fields.number("requests_per_second"),
        ttft_seconds=fields.percentiles(1.0, "ttft_p{}_seconds"),
        tpot_seconds=fields.percentiles(1.0, "tpot_p{}_seconds") if output > 1 else (),
        measured_at=_time(fields, "measured_at"),
        engine_version=fields.get("engine_version") or "",
    )


def _in_flight(fields: _Fields, given: int | None, *paths: str) -> int | None:
    """Requests in flight: as the file tells, else as given; HetopsError where both do and differ."""
    told = [
        found for path in paths if isinstance(found := fields.get(path), int | float | str) and found != ""
    ]
    if not told:
        return given
    value = fields.number(*(path for path in paths if fields.get(path) == told[0]))
    if value != int(value) or given not in (None, int(value)):
        raise HetopsError(
            f"{fields.where}: {value:g} requests were in flight" + (f", not {given}" if given else ""),
            hint="leave --concurrency out" if given else "name a run with a whole number of them",
        )
    return int(value)


def _open_loop(note: str) -> ImportedFile:
    return ImportedFile(runs=(), notes=(note,))


def _time(fields: _Fields, *paths: str) -> datetime | None:
    """When it was measured, where that is told; UTC where no zone is."""
    found = fields.get(*paths)
    if not found:
        return None
    try:
        if isinstance(found, int | float):
            return datetime.fromtimestamp(found, UTC)
        stamp = re.fullmatch(r"\d{8}-\d{6}", found)
        at = datetime.strptime(found, "%Y%m%d-%H%M%S") if stamp else datetime.fromisoformat(found)
    except (ValueError, OverflowError, OSError, TypeError) as fault:
        raise HetopsError(
            f"{fields.where}: {paths[0]} is no time: {found!r}", hint="write it as in 2026-11-24T12:00:00Z"
        ) from fault
    return at if at.tzinfo else at.replace(tzinfo=UTC)
