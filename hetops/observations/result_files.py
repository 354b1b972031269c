"""Result files of `vllm bench serve`, guidellm, genai-perf and aiperf, and a plain CSV, to runs. Pure: text in, runs out.

The fields decide the format. What is missing is an error that names the field; a run that did not keep a number of requests
in flight (an open loop) is none that step times can be read from, and is refused or, beside others, left out with a note.
Field names as published: what `vllm bench serve` saves (2024 and 2025), guidellm 0.6 and earlier reports with `args.strategy`,
genai-perf's exporters (2024 and 2025), aiperf 0.5 to 0.10, whose warm-up is a phase. None of these files was produced here.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hetops.errors import HetopsError
from hetops.observations.fields import AS_WRITTEN, PERCENTS, Fields
from hetops.observations.imports import ImportedFile, ImportedRun

FORMATS = (
    "`vllm bench serve --save-result` (JSON)",
    "guidellm (JSON)",
    "genai-perf and aiperf (JSON or CSV)",
    "CSV with "
    + ", ".join(("input_tokens", "output_tokens", "concurrency", "requests_per_second"))
    + ", ...",
)
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_OWN_CSV = ("input_tokens", "output_tokens", "requests_per_second", "ttft_p50_seconds")
"""Columns by which our own CSV is known."""
_OWN_MORE = ("concurrency", "requests", "tpot_p50_seconds", "configuration", "measured_at", "engine_version")
_KEPT = ("synchronous", "concurrent", "throughput")
"""Strategies of guidellm that keep a number of requests in flight."""


def read(name: str, text: str, concurrency: int | None = None) -> ImportedFile:
    """The runs of a file's text; `concurrency` is that of files that do not tell it.

    Raises:
        HetopsError: the format is none of these, a field is missing or no number, or no run kept a number in flight.
    """
    if text.lstrip()[:1] in ("{", "["):
        return _merged(
            _of_json(Fields(document, where), concurrency) for where, document in _json(name, text)
        )
    rows = _rows(name, text)
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header[:1] == ["Metric"]:
        return _merged([_of_genai(Fields(_metrics(rows), name), "genai-perf or aiperf", concurrency)])
    if set(_OWN_CSV) <= set(header):
        return _of_own_csv(name, header, rows[1:], concurrency)
    raise _unknown(name)


def _rows(name: str, text: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    except csv.Error as fault:
        raise HetopsError(f"{name} is no CSV: {fault}", hint=AS_WRITTEN) from fault


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


def _of_json(fields: Fields, concurrency: int | None) -> ImportedFile:
    if isinstance(fields.get("benchmarks"), list):
        return _of_guidellm(fields, concurrency)
    if isinstance(fields.get("request_throughput"), dict):
        tool = "aiperf" if fields.get("aiperf_version", "input_config.loadgen") else "genai-perf"
        return _of_genai(fields, tool, concurrency)
    if fields.get("request_throughput") is not None and fields.get("total_input_tokens") is not None:
        return _of_vllm(fields, concurrency)
    raise _unknown(fields.where)


def _of_vllm(fields: Fields, concurrency: int | None) -> ImportedFile:
    rate = fields.get("request_rate")
    if rate not in (None, "inf", math.inf):
        return _open_loop(f"{fields.where}: requests came at a rate of {rate} /s")
    in_flight = fields.in_flight(concurrency, "max_concurrency")
    if in_flight is None:
        return _open_loop(f"{fields.where}: all requests were sent at once (no max_concurrency)")
    completed = fields.count("completed")
    output = fields.number("total_output_tokens") / completed
    run = ImportedRun(
        where=fields.where,
        tool="vllm bench serve",
        input_tokens=fields.number("total_input_tokens") / completed,
        output_tokens=output,
        concurrency=in_flight,
        requests=completed,
        failed=fields.failed("failed"),
        requests_per_second=fields.number("request_throughput"),
        ttft_seconds=fields.percentiles(1e-3, "p{}_ttft_ms"),
        tpot_seconds=fields.percentiles(1e-3, "p{}_tpot_ms") if output > 1 else (),
        model=str(fields.get("model_id") or ""),
        measured_at=fields.time("date"),
    )
    return ImportedFile(runs=(run,))


def _of_guidellm(fields: Fields, concurrency: int | None) -> ImportedFile:
    benchmarks = fields.get("benchmarks")
    found = [
        _guidellm_run(Fields(one, f"{fields.where}, benchmark {number}"), concurrency)
        for number, one in enumerate(benchmarks, 1)
    ]
    return ImportedFile(
        runs=tuple(r for f in found for r in f.runs), notes=tuple(n for f in found for n in f.notes)
    )


def _guidellm_run(fields: Fields, concurrency: int | None) -> ImportedFile:
    """One benchmark. Its `time_per_output_token_ms` counts the first token's time in: ours is its inter-token latency."""
    named = ("config.strategy.type_", "config.strategy.kind", "args.strategy.type_")
    strategy = str(fields.get(*named) or "unnamed")
    if strategy not in _KEPT:
        return _open_loop(f"{fields.where}: its strategy {strategy} keeps no number of requests in flight")
    at = [f"{place}.strategy.{key}" for place in ("config", "args") for key in ("streams", "max_concurrency")]
    in_flight = 1 if strategy == "synchronous" else fields.in_flight(concurrency, *at)
    if in_flight is None:
        return _open_loop(f"{fields.where}: its strategy {strategy} sent all requests at once")
    totals = ("metrics.request_totals", "request_totals")
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
        requests=fields.count(
            "metrics.request_totals.successful.count", *(f"{t}.successful" for t in totals)
        ),
        failed=fields.failed(*(f"{t}.errored" for t in totals)),
        requests_per_second=fields.number("metrics.requests_per_second.successful.mean"),
        ttft_seconds=fields.percentiles(1e-3, *ttft),
        tpot_seconds=fields.percentiles(1e-3, *tpot) if output > 1 else (),
        model=str(fields.get("config.backend.model", "worker.backend_model") or ""),
        measured_at=fields.time("start_time", "scheduler_metrics.start_time", "run_stats.start_time"),
    )
    return ImportedFile(runs=(run,))


def _of_genai(fields: Fields, tool: str, concurrency: int | None) -> ImportedFile:
    config, phases = "input_config.", [f"phases.{number}." for number in _measured_phases(fields)]
    rates = ("loadgen.request_rate", "perf_analyzer.stimulus.request_rate", "request_rate")
    in_phases = (phase + name for phase in phases for name in ("rate", "request_rate"))
    rate = fields.get(*(config + name for name in (*rates, *in_phases)))
    if rate:
        return _open_loop(f"{fields.where}: requests came at a rate of {rate} /s")
    names = (
        *("loadgen.concurrency", "perf_analyzer.stimulus.concurrency", "concurrency.0", "concurrency"),
        *(phase + "concurrency" for phase in phases),
    )
    in_flight = fields.in_flight(concurrency, *(config + name for name in names))
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
        requests=fields.count("request_count.avg"),
        failed=fields.failed("error_request_count.avg"),
        requests_per_second=fields.number("request_throughput.avg"),
        ttft_seconds=_latency(fields, "time_to_first_token"),
        tpot_seconds=_latency(fields, "inter_token_latency") if output > 1 else (),
        model=str(fields.get(*(config + name for name in _MODEL_NAMES)) or ""),
        measured_at=fields.time("start_time"),
    )
    return ImportedFile(runs=(run,))


_MODEL_NAMES = ("endpoint.model_names.0", "model_names.0", "models.items.0.name")


def _measured_phases(fields: Fields) -> Iterator[int]:
    """Of newer aiperf: those that are no warm-up."""
    phases = fields.get("input_config.phases")
    for number, phase in enumerate(phases if isinstance(phases, list) else ()):
        if isinstance(phase, dict) and not phase.get("exclude_from_results"):
            yield number


def _latency(fields: Fields, metric: str) -> tuple[float, ...]:
    fields.number(f"{metric}.p50")
    unit = fields.get(f"{metric}.unit")
    if not isinstance(unit, str) or unit not in _SECONDS:
        raise HetopsError(
            f"{fields.where}: {metric}.unit must be one of {', '.join(_SECONDS)}, found {unit!r}",
            hint=AS_WRITTEN,
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
    if not rows:
        raise HetopsError(f"{name} has no row below its header", hint="write a line for each run")
    latencies = (f"{metric}_p{percent}_seconds" for metric in ("ttft", "tpot") for percent in PERCENTS)
    strange = sorted(set(header) - {*_OWN_CSV, *_OWN_MORE, *latencies})
    for number, row in enumerate(rows, 2):
        cells = [cell.strip() for cell in row]
        if len(cells) != len(header):
            raise HetopsError(
                f"{name}, line {number}: {len(cells)} cells under {len(header)} columns",
                hint="a cell with a comma in it stands in quotes",
            )
        runs.append(
            _own_run(Fields(dict(zip(header, cells, strict=True)), f"{name}, line {number}"), concurrency)
        )
    notes = tuple(f"{name}: column {column!r}, which is none of ours" for column in strange)
    return _merged([ImportedFile(runs=tuple(runs), notes=notes)])


def _own_run(fields: Fields, concurrency: int | None) -> ImportedRun:
    in_flight = fields.in_flight(concurrency, "concurrency")
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
        requests=fields.count("requests"),
        requests_per_second=fields.number("requests_per_second"),
        ttft_seconds=fields.percentiles(1.0, "ttft_p{}_seconds"),
        tpot_seconds=fields.percentiles(1.0, "tpot_p{}_seconds") if output > 1 else (),
        measured_at=fields.time("measured_at"),
        engine_version=fields.get("engine_version") or "",
    )


def _open_loop(note: str) -> ImportedFile:
    return ImportedFile(runs=(), notes=(note,))
