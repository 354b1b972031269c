"""A calibration from measured cases: fitted coefficients, and how far off they are where they were not fitted. Pure.

The record comes from leaving out one GPU type, one family of them, and one publisher at a time. A configuration of a measured
family is off as GPU types and publishers were that the fit had not seen: its half width held 80 % of those errors. One of a
family or format that nobody measured is off as a family was that the fit had not seen, besides: the two half widths add as
independent errors do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hetops.domain.performance import EvidenceLayer
from hetops.performance.cases import Case, Cases, Metric, predict
from hetops.performance.estimate import Calibration, measured_as
from hetops.performance.fit import PARAMETERS, Parameter, fit
from hetops.performance.physics import Floats, Names, family

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
    by_family: Floats
    by_publisher: Floats


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
        by_gpu=out_of_sample(columns, [c.gpu for c in used], values),
        by_family=out_of_sample(columns, [family(c.replica.gpu) for c in used], values),
        by_publisher=out_of_sample(columns, [publisher(c) for c in used], values),
    )
    calibration = Calibration(
        source=source,
        values=values,
        half_width=half_widths(columns.metric, left_out),
        families=tuple(sorted({measured_as(c.replica) for c in used})),
    )
    return calibration, left_out


def publisher(case: Case) -> str:
    """Who published a case: the owner of the repository that its source names first, or its first word."""
    return case.source.partition("/")[0].partition(" ")[0]


def out_of_sample(
    cases: Cases,
    kinds: Sequence[str],
    start: Mapping[str, float],
    parameters: Sequence[Parameter] = PARAMETERS,
) -> Floats:
    """Errors of cases, as logarithms of predicted over measured, each from a fit without the cases of its kind."""
    names = np.array(kinds)
    errors = np.empty(len(cases))
    for name in np.unique(names):
        out = names == name
        values = fit(cases.rows(~out), start, parameters)
        errors[out] = np.log(predict(cases.rows(out), values) / cases.value[out])
    return errors


def half_widths(metrics: Names, errors: LeftOut) -> dict[str, dict[str, float]]:
    """Half widths of 80 % intervals by layer and kind of metric, in natural logarithms.

    Of GPU types and of publishers left out, those that are predicted worse: who asks is either to us.
    """
    calibrated, prior = {}, {}
    for group, members in GROUPS.items():
        of = np.isin(metrics, [str(m) for m in members])
        width = max(_holding(errors.by_gpu[of]), _holding(errors.by_publisher[of]))
        calibrated[group] = width
        prior[group] = math.hypot(width, _holding(errors.by_family[of]))
    return {str(EvidenceLayer.CALIBRATED): calibrated, str(EvidenceLayer.PRIOR): prior}


def _holding(errors: Floats) -> float:
    """The half width that holds 80 % of errors; not a number without any."""
    return float(np.quantile(np.abs(errors), INTERVAL)) if errors.size else math.nan
