"""Use case: fit the closed form to a file of measurements, or say how well it does on one. Wires; decides nothing."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hetops.app.percentiles import over_mean
from hetops.catalog import tables
from hetops.errors import DocumentError
from hetops.files import read_bytes, write_whole
from hetops.performance.calibrate import calibrate
from hetops.performance.cases import Case, RefusedCase
from hetops.performance.estimate import Calibration, calibration
from hetops.performance.predict import Prediction, as_told, predictions, refusal
from hetops.performance.rows import NEEDED, read_cases
from hetops.performance.score import Score, score
from hetops.performance.sheet import Sheet, read_sheet
from hetops.plugin import manager

SHIPPED = tables.DATA / "perf_calibration.csv"
"""The measurements that the shipped coefficients were fitted on."""

_ALSO_READ = ("attention_dp", "requests", "unit")
"""Columns that a file may have beyond those of the shipped one."""

_MEASURED = f"each row needs a value of its metric, as in hetops' own {SHIPPED.name}"

_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A calibration, and how it does on what it was fitted on."""

    calibration: Calibration
    score: Score
    refused: tuple[RefusedCase, ...]


def fit_file(path: Path) -> Fitted:
    """The calibration of the measurements in a file; the same file gives the same calibration.

    Raises:
        DocumentError: unreadable, columns missing or twice there, or nothing measured.
    """
    cases, refused = _measured_cases(path)
    try:
        found, _ = calibrate(cases, source=path.name)
        scored = score(cases, _answers(cases, found), refused=len(refused))
    except ValueError as fault:
        raise DocumentError(f"{path}: {fault}", hint=_MEASURED) from fault
    return Fitted(calibration=found, score=scored, refused=refused)


def score_file(path: Path) -> Score:
    """How the shipped calibration does on the measurements in a file; errors as `fit_file`."""
    cases, refused = _measured_cases(path)
    try:
        return score(cases, _answers(cases, calibration()), refused=len(refused))
    except ValueError as fault:
        raise DocumentError(f"{path}: {fault}", hint=_MEASURED) from fault


def predict_file(path: Path) -> tuple[Prediction, ...]:
    """An answer for every row of a file, in its order, measured or not; a refusal where there is none.

    Raises:
        DocumentError: unreadable, or columns missing or twice there.
    """
    cases, refused = _cases(path)
    found = _answers(cases, calibration())
    answers = {c.place: as_told(c, one) for c, one in zip(cases, found, strict=True)} | {
        r.place: refusal(r) for r in refused
    }
    return tuple(answers[place] for place in sorted(answers))


def unread_columns(path: Path) -> str:
    """Which columns of a file of measurements nobody reads, in words; empty where there are none. Errors as `fit_file`."""
    known = _known_columns()
    unread = [name for name in _sheet(path).columns if name and name not in known]
    return f"{path}: {', '.join(unread)} not read; columns are {', '.join(known)}" if unread else ""


def _known_columns() -> tuple[str, ...]:
    shipped = SHIPPED.read_text(encoding="utf-8").partition("\n")[0]
    return (*read_sheet(shipped).columns, *_ALSO_READ)


def write_coefficients(found: Calibration, path: Path) -> None:
    """The calibration as the file that `hetops.performance` reads, whole or not at all."""
    content = {
        "source": found.source,
        "families": list(found.families),
        "half_width": {layer: _rounded(widths) for layer, widths in found.half_width.items()},
        "throughput": _rounded(found.throughput),
        "values": _rounded(found.values),
    }
    write_whole(path, json.dumps(content, indent=2).encode() + b"\n")


def _answers(cases: Sequence[Case], by: Calibration) -> tuple[Prediction, ...]:
    return predictions(cases, by, over_mean(cases, by))


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.{_DIGITS}g}") for name, value in values.items()}


def _measured_cases(path: Path) -> tuple[tuple[Case, ...], tuple[RefusedCase, ...]]:
    """As `_cases`, but that those are refused whose value cannot be read."""
    cases, refused = _cases(path)
    without = (RefusedCase(id=c.id, reason=c.unread, place=c.place) for c in cases if c.unread)
    return tuple(c for c in cases if not c.unread), (*refused, *without)


def _cases(path: Path) -> tuple[tuple[Case, ...], tuple[RefusedCase, ...]]:
    plugins = manager.load()
    catalog = tables.load(plugins.gpu_types, plugins.models, plugins.checkpoints)
    return read_cases(_sheet(path).rows, tuple(catalog.devices.values()), catalog.models)


def _sheet(path: Path) -> Sheet:
    raw = read_bytes(path, what="measurements")
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    sheet = read_sheet(raw.decode(encoding, errors="replace"))
    if twice := next((name for name in _known_columns() if sheet.columns.count(name) > 1), ""):
        raise DocumentError(
            f"{path}: two columns are called {twice!r}", hint="leave one of them out, or rename it"
        )
    missing = [name for name in NEEDED if name not in sheet.columns]
    if missing:
        raise DocumentError(
            f"{path}:1: no column {missing[0]!r}",
            details=(f"found: {', '.join(sheet.columns)[:200]}",),
            hint=f"columns are those of hetops' own {SHIPPED.name}; no row does without {', '.join(NEEDED)}",
        )
    return sheet
