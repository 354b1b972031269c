"""A calibration from measured cases: fitted coefficients, and how far off they are where they were not fitted. Pure.

The record comes from leaving out one GPU type, one family of them, one publisher and one generation of engines at a time. A
configuration of a measured family is off as GPU types, publishers and generations were that the fit had not seen: its half width
held 80 % of those errors. One of a family or format that nobody measured is off as a family was that the fit had not seen, besides:
the two half widths add as independent errors do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from hetops.domain.performance import EvidenceLayer
from hetops.performance.cases import Case, Cases, Metric, predict
from hetops.performance.estimate import Calibration, measured_as
from hetops.performance.fit import PARAMETERS, Parameter, fit
from hetops.performance.physics import Bools, Floats, Names
from hetops.performance.replica import family

COUNTED_QUALITIES = ("A", "B", "")
"""Rows of quality C rest on assumed lengths or queue-limited runs: never fitted, never scored."""

INTERVAL = 0.8
_WAYS = 0.6
"""Half width of what TTFT of one load comes out as by the ways in which closed loops are measured, were every step known
(`benchmarks/closed_loops.py`): a publisher seldom tells how many requests were sent, of which lengths, after which warm-up."""
_ENOUGH_ROWS = 20
"""Of a load, or a kind of model, to tell a half width of its own."""
_ROUNDING = 1e-9
GROUPS: Mapping[str, tuple[Metric, ...]] = {
    "throughput": (Metric.OUTPUT, Metric.TOTAL, Metric.INPUT, Metric.REQUESTS),
    "tpot": (Metric.TPOT,),
    "ttft": (Metric.TTFT,),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unseen:
    """Logarithms of predicted over measured, each case predicted from a fit that never saw its kind."""

    kinds: Names
    errors: Floats

    def rows(self, which: Bools) -> Unseen:
        """Some of the cases."""
        return Unseen(kinds=self.kinds[which], errors=self.errors[which])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeftOut:
    """The same cases by fits that saw no GPU type, family, publisher or generation of engines of theirs."""

    gpu: Unseen
    family: Unseen
    publisher: Unseen
    generation: Unseen

    def rows(self, which: Bools) -> LeftOut:
        """Some of the cases."""
        return LeftOut(**{f.name: getattr(self, f.name).rows(which) for f in fields(self)})


def counted(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The measured cases that a fit or a score may use."""
    return tuple(c for c in cases if c.value is not None and c.quality in COUNTED_QUALITIES)


def calibrate(cases: Sequence[Case], *, source: str) -> tuple[Calibration, LeftOut]:
    """The calibration of measured cases, and the errors that its half widths come from.

    Raises:
        ValueError: no case is measured.
    """
    known = [metric for group in GROUPS.values() for metric in group]
    used = [c for c in counted(cases) if c.percentile is None and c.metric in known]
    if not used:
        raise ValueError("no measured case of quality A or B")
    columns = Cases.of(used)
    values = fit(columns)
    left_out = LeftOut(
        **{
            of: Unseen(kinds=np.array(kinds), errors=out_of_sample(columns, [kinds], values))
            for of, kinds in kinds_of(used).items()
        }
    )
    calibration = Calibration(
        source=source,
        values=values,
        half_width=half_widths(columns, left_out),
        throughput=throughput_widths(used, left_out),
        families=tuple(sorted({measured_as(c.replica) for c in used})),
    )
    return calibration, left_out


def kinds_of(cases: Sequence[Case]) -> Mapping[str, Sequence[str]]:
    """What each case is of, as `LeftOut` names it."""
    return {
        "gpu": [c.gpu for c in cases],
        "family": [family(c.replica.gpu) for c in cases],
        "publisher": [publisher(c) for c in cases],
        "generation": [c.replica.generation.coefficients for c in cases],
    }


def publisher(case: Case) -> str:
    """Who published a case: the owner of the repository that its source names first, or its first word."""
    return case.source.partition("/")[0].partition(" ")[0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Cases that are left out together, as these, and those that are left."""

    names: tuple[str, ...]
    out: Bools
    seen: Bools


def splits(kinds: Sequence[Sequence[str]]) -> Iterator[Split]:
    """Of kinds by several criteria, each by case: the cases that are alike by all, and those that are alike to them by none."""
    of = np.array(kinds)
    for names in sorted(set(zip(*kinds, strict=True))):
        same = of == np.array(names)[:, np.newaxis]
        yield Split(names=names, out=same.all(axis=0), seen=~same.any(axis=0))


def out_of_sample(
    cases: Cases,
    kinds: Sequence[Sequence[str]],
    start: Mapping[str, float],
    parameters: Sequence[Parameter] = PARAMETERS,
) -> Floats:
    """Errors of cases, as logarithms of predicted over measured, each from a fit without the cases that are like it by any criterion."""
    errors = np.empty(len(cases))
    for split in splits(kinds):
        values = fit(cases.rows(split.seen), start, parameters)
        errors[split.out] = np.log(predict(cases.rows(split.out), values) / cases.value[split.out])
    return errors


def half_widths(cases: Cases, errors: LeftOut) -> dict[str, dict[str, float]]:
    """Half widths of 80 % intervals by layer and kind of metric, in natural logarithms; not a number without any error.

    Of GPU types, publishers and generations left out, those that are predicted worst: who asks is any of these to us. TTFT is at least
    as far off as under load, where it is asked for, and as that of lone requests and the ways of measuring closed loops together make
    it, by whomever these were measured.
    """
    calibrated, prior = {}, {}
    first, alone = cases.metric == str(Metric.TTFT), cases.concurrency <= 1.0
    for group, members in GROUPS.items():
        of = errors.rows(np.isin(cases.metric, [str(m) for m in members]))
        width = _widest(of)
        if Metric.TTFT in members:
            of_ways = math.hypot(_widest(errors.rows(first & alone)), _WAYS)
            width = float(np.fmax.reduce([width, _widest(errors.rows(first & ~alone)), of_ways]))
        calibrated[group] = width
        prior[group] = math.hypot(width, _quantile(np.abs(of.family.errors), np.ones(len(of.family.errors))))
    return {str(EvidenceLayer.CALIBRATED): calibrated, str(EvidenceLayer.PRIOR): prior}


def throughput_widths(cases: Sequence[Case], errors: LeftOut) -> dict[str, float]:
    """Half widths of throughput by the load and by the kind of model, as `sorts_of` names them, of those with enough rows."""
    sorts = np.array([sorts_of(c) for c in cases])
    of_throughput = np.array([c.metric.is_throughput for c in cases])
    rows = {name: of_throughput & (sorts == name).any(axis=1) for name in np.unique(sorts)}
    return {str(name): _widest(errors.rows(of)) for name, of in rows.items() if of.sum() >= _ENOUGH_ROWS}


def sorts_of(case: Case) -> tuple[str, str]:
    """What an estimate of throughput is known by: how requests come, and the kind of model."""
    load = "queued" if math.isinf(case.concurrency) and math.isinf(case.requests_per_second) else "at_once"
    return "alone" if case.concurrency <= 1.0 else load, "mixture" if case.replica.model.experts else "dense"


def _widest(errors: LeftOut) -> float:
    return max(_holding(kind) for kind in (errors.gpu, errors.publisher, errors.generation))


def _holding(unseen: Unseen) -> float:
    """The half width that holds 80 % of errors, and 80 % where each kind counts alike, however many rows it has."""
    if not unseen.errors.size:
        return math.nan
    _, kind, rows = np.unique(unseen.kinds, return_inverse=True, return_counts=True)
    size = np.abs(unseen.errors)
    return max(_quantile(size, np.ones(len(size))), _quantile(size, 1.0 / rows[kind]))


def _quantile(size: Floats, weight: Floats) -> float:
    """The least size that so much of the weight does not exceed; not a number without any."""
    if not size.size:
        return math.nan
    order = np.argsort(size)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(size[order][min(int(np.searchsorted(share, INTERVAL - _ROUNDING)), len(size) - 1)])
