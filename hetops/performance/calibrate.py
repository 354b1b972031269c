"""A calibration from measured cases: fitted coefficients, and how far off they are where they were not fitted. Pure.

The record comes from leaving out one GPU type at a time, for GPUs of families that others stand for, and one publisher at a
time, for what nothing stands for. Half widths are those that held 80 % of these errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hetops.domain.performance import EvidenceLayer
from hetops.performance.cases import Case, Cases, Metric, predict
from hetops.performance.estimate import Calibration, measured_as
from hetops.performance.fit import fit
from hetops.performance.physics import Floats

COUNTED_QUALITIES = ("A", "B", "")
"""Rows of quality C rest on assumed lengths or queue-limited runs: never fitted, never scored."""

INTERVAL = 0.8
GROUPS: Mapping[str, tuple[Metric, ...]] = {
    "throughput": (Metric.OUTPUT, Metric.TOTAL),
    "tpot": (Metric.TPOT,),
    "ttft": (Metric.TTFT,),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeftOut:
    """Logarithms of predicted over measured, each case predicted from a fit that never saw its kind."""

    by_gpu: Floats
    by_source: Floats


def counted(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The measured cases that a fit or a score may use."""
    return tuple(c for c in cases if c.value is not None and c.quality in COUNTED_QUALITIES)


def calibrate(cases: Sequence[Case], *, source: str) -> tuple[Calibration, LeftOut]:
    """The calibration of measured cases, and the errors that its half widths come from.

    Raises:
        ValueError: no case is measured.
    """
    used = counted(cases)
    if not used:
        raise ValueError("no measured case of quality A or B")
    columns = Cases.of(used)
    values = fit(columns)
    left_out = LeftOut(
        by_gpu=_left_out(columns, [c.gpu for c in used], values),
        by_source=_left_out(columns, [c.source for c in used], values),
    )
    widths = {
        EvidenceLayer.CALIBRATED: _half_widths(columns, (left_out.by_gpu,)),
        EvidenceLayer.PRIOR: _half_widths(columns, (left_out.by_gpu, left_out.by_source)),
    }
    calibration = Calibration(
        source=source,
        values=values,
        half_width={str(layer): width for layer, width in widths.items()},
        families=tuple(sorted({measured_as(c.replica) for c in used})),
    )
    return calibration, left_out


def _left_out(cases: Cases, kinds: Sequence[str], start: Mapping[str, float]) -> Floats:
    names = np.array(kinds)
    errors = np.empty(len(cases))
    for name in np.unique(names):
        out = names == name
        values = fit(cases.rows(~out), start)
        errors[out] = np.log(predict(cases.rows(out), values) / cases.value[out])
    return errors


def _half_widths(cases: Cases, errors: Sequence[Floats]) -> dict[str, float]:
    widths = {}
    for group, metrics in GROUPS.items():
        of = np.isin(cases.metric, [str(m) for m in metrics])
        found = np.abs(np.concatenate([e[of] for e in errors]))
        widths[group] = float(np.quantile(found, INTERVAL)) if found.size else float("nan")
    return widths
