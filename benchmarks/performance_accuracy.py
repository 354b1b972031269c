"""Prints how far off the closed form is on the shipped measurements: fitted, and on what a fit had not seen.

    python benchmarks/performance_accuracy.py

Each table: medians of the absolute relative error, the share of rows within 25 %, and of rows within the 80 % interval. Beside the
form stands a plain roofline: the same equations with the numbers of families, formats and engines' queues left at 1 or at their
start, fitted and left out alike. "All three" is each row by a fit with no row of its GPU type, its publisher or its engine generation,
as others' measurements are to the fit. Some three minutes on one core; nothing is asserted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from hetops.app.calibrate import SHIPPED, predict_file
from hetops.catalog import tables
from hetops.domain.percent import percent
from hetops.domain.performance import EvidenceLayer
from hetops.performance.calibrate import (
    GROUPS,
    LeftOut,
    Unseen,
    counted,
    half_widths,
    kinds_of,
    out_of_sample,
    sorts_of,
    splits,
    throughput_widths,
)
from hetops.performance.cases import Case, Cases, Metric, predict
from hetops.performance.estimate import measured_as
from hetops.performance.fit import PARAMETERS, Parameter, fit
from hetops.performance.physics import Bools, Floats, Names
from hetops.performance.rows import read_cases
from hetops.performance.score import configurations_ranked, gpu_types_ranked

_FITTED_ROOFLINE = (
    *("weight_bandwidth", "weight_bandwidth.amd", "compute", "compute.amd", "decode", "mixture"),
    *("weight_only_4bit", "all_reduce.nvlink", "all_reduce.pcie", "interference", "queue.power"),
)
_LEAST_ROWS = 5
_KINDS = {
    "gpu": "GPU type",
    "family": "GPU family",
    "publisher": "publisher",
    "generation": "engine generation",
}
_ALL_THREE = ("gpu", "publisher", "generation")
_LAYERS = (EvidenceLayer.CALIBRATED, EvidenceLayer.PRIOR)


def main() -> None:
    """Prints all tables."""
    catalog = tables.load()
    cases, _ = read_cases(tables.rows("perf_calibration"), catalog.gpu_types, catalog.models)
    used = counted(cases)
    columns = Cases.of(used)
    told = kinds_of(used)
    alone = {_KINDS[of]: [names] for of, names in told.items()}
    kinds = {**alone, "all three": [told[of] for of in _ALL_THREE]}
    refused = sum(1 for p in predict_file(SHIPPED) if p.reason)
    print(f"{len(used)} measured rows of quality A and B, {refused} refused\n")
    errors = {}
    for name, parameters in (("closed form", PARAMETERS), ("plain roofline", _roofline())):
        values = fit(columns, None, parameters)
        _line(f"{name}, fitted", columns, np.log(predict(columns, values) / columns.value))
        for kind, of in kinds.items():
            errors[name, kind] = out_of_sample(columns, of, values, parameters)
            _line(f"{name}, {kind} left out", columns, errors[name, kind])
    _order("fitted", used, np.log(predict(columns, fit(columns)) / columns.value))
    for kind in kinds:
        _order(f"{kind} left out", used, errors["closed form", kind])
    for kind, of in alone.items():
        _by(kind, of[0], columns, errors["closed form", kind])
    left_out = _left_out(told, {of: errors["closed form", kind] for of, kind in _KINDS.items()})
    at_once = {of: errors["closed form", "all three" if of in _ALL_THREE else _KINDS[of]] for of in _KINDS}
    _half_widths("each left out alone", used, left_out)
    _half_widths("all three left out", used, _left_out(told, at_once))
    families = np.array([measured_as(c.replica) for c in used])
    for kind, of in kinds.items():
        _coverage(_Kind(kind, of, families), used, errors["closed form", kind], left_out)


def _roofline() -> tuple[Parameter, ...]:
    return tuple(_plain(p) for p in PARAMETERS)


def _plain(p: Parameter) -> Parameter:
    kind = p.name.partition(".")[0]
    if p.name in _FITTED_ROOFLINE or kind == "overhead":
        return replace(p, spread=5.0)
    layers = ("layer", "mixture_layer", "prompt_layer", "mixture_prompt_layer", "sequence")
    none = {"power": 1e-3, **dict.fromkeys(layers, 1e-7)}
    one = {"family": 1.0, "graphics_memory": 1.0, "fp8": 1.0}
    alike = {"first_token": 20e-3, "first_token_factor": 1.2, "queue": 0.3}
    of_engines = {} if p.name.startswith("queue.") and p.name.endswith(("power", "load")) else alike
    return replace(p, start={**none, **one, **of_engines}.get(kind, p.start), spread=1e-3)


def _left_out(told: Mapping[str, Sequence[str]], errors: Mapping[str, Floats]) -> LeftOut:
    return LeftOut(**{of: Unseen(kinds=np.array(told[of]), errors=found) for of, found in errors.items()})


def _half_widths(subject: str, used: Sequence[Case], left_out: LeftOut) -> None:
    """Those of 80 % intervals, by layer, and of throughput by load and sort of model."""
    of = {**half_widths(Cases.of(used), left_out), "throughput": throughput_widths(used, left_out)}
    for name, widths in of.items():
        parts = [f"{group} {width:.3f}" for group, width in widths.items()]
        print(f"half widths, {subject}, {name}: " + "   ".join(parts))


def _line(subject: str, cases: Cases, errors: Floats) -> None:
    parts = []
    for group, metrics in GROUPS.items():
        of = np.abs(np.expm1(errors[np.isin(cases.metric, [str(m) for m in metrics])]))
        parts.append(
            f"{group} {percent(np.median(of), 1):>7} ({percent((of <= 0.25).mean()):>5} within 25 %)"
        )
    print(f"{subject:38s} " + "   ".join(parts))


def _order(subject: str, cases: Sequence[Case], errors: Floats) -> None:
    """Pairs that differ by a fifth and more, told the right way round; and those without AMD's."""
    parts = []
    for which in ("all", "without AMD"):
        kept = [(c, e) for c, e in zip(cases, errors, strict=True) if which == "all" or not _is_amd(c)]
        rows, predicted = [c for c, _ in kept], [(c.value or 0.0) * float(np.exp(e)) for c, e in kept]
        for name, order in (("GPU types", gpu_types_ranked), ("configurations", configurations_ranked)):
            found = order(rows, predicted)
            parts.append(f"{name}, {which} {percent(found.right, 1)} of {found.pairs}")
    print(f"order right, {subject:29s} " + "   ".join(parts))


def _is_amd(case: Case) -> bool:
    return case.replica.gpu.vendor == "amd"


def _by(kind: str, names: Sequence[str], cases: Cases, errors: Floats) -> None:
    print(f"\neach {kind} by a fit without it")
    for group, metrics in GROUPS.items():
        of = np.isin(cases.metric, [str(m) for m in metrics])
        for name in sorted(set(names)):
            which = of & (np.array(names) == name)
            if which.sum() >= _LEAST_ROWS:
                off = np.abs(np.expm1(errors[which]))
                bias = np.median(errors[which])
                print(
                    f"  {group:10s} {name:22s} {which.sum():4d} rows {percent(np.median(off), 1):>7}, bias {bias:+.2f}"
                )


@dataclass(frozen=True)
class _Kind:
    """What is left out, one of it at a time, by which criteria, and the families under which rows count as measured."""

    name: str
    of: Sequence[Sequence[str]]
    families: Names


def _coverage(kind: _Kind, used: Sequence[Case], errors: Floats, left_out: LeftOut) -> None:
    """Rows within the interval that they would get, of kinds that neither the fit nor the intervals had seen."""
    print(f"\nrows within their 80 % interval, each {kind.name} seen by neither fit nor interval")
    cases, widths = Cases.of(used), np.full(len(used), np.nan)
    for split in splits(kind.of):
        known = np.isin(kind.families, kind.families[split.seen])
        for group, members in GROUPS.items():
            which = split.out & np.isin(cases.metric, [str(m) for m in members])
            calibrated, prior = _widths(group, used, split.seen, left_out)
            widths[which] = np.where(known, calibrated, np.hypot(calibrated, prior))[which]
            if which.any() and np.isfinite(widths[which]).all():
                inside = np.abs(errors[which]) <= widths[which]
                print(
                    f"  {group:10s} {' '.join(split.names):22s} {which.sum():4d} rows {percent(inside.mean()):>5}"
                )
    for group, members in (*GROUPS.items(), ("all", tuple(Metric))):
        which = np.isfinite(widths) & np.isin(cases.metric, [str(m) for m in members])
        if which.any():
            inside = np.abs(errors[which]) <= widths[which]
            print(f"  {group:10s} {'all':22s} {which.sum():4d} rows {percent(inside.mean()):>5}")


def _widths(group: str, used: Sequence[Case], seen: Bools, left_out: LeftOut) -> tuple[Floats, float]:
    """Half widths of a metric for each row, by those that were seen, on measured families; and what others have on top."""
    told = [c for c, known in zip(used, seen, strict=True) if known]
    of = half_widths(Cases.of(told), left_out.rows(seen))
    calibrated, prior = (of[str(layer)][group] for layer in _LAYERS)
    by_sort = throughput_widths(told, left_out.rows(seen)) if group == "throughput" else {}
    rows = [max(by_sort.get(sort, calibrated) for sort in sorts_of(c)) for c in used]
    return np.array(rows), float(np.sqrt(prior**2 - calibrated**2))


if __name__ == "__main__":
    main()
