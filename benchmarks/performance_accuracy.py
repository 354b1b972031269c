"""Prints how far off the closed form is on the shipped measurements: fitted, and on what a fit had not seen.

    python benchmarks/performance_accuracy.py

Each table: medians of the absolute relative error, the share of rows within 25 %, and of rows within the 80 % interval. Beside the
form stands a plain roofline: the same equations with the numbers of families, formats and engines' queues left at 1 or at their
start, fitted and left out alike. Some three minutes on one core; nothing is asserted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from hetops.app.calibrate import SHIPPED, predict_file, score_file
from hetops.catalog import tables
from hetops.domain.performance import EvidenceLayer
from hetops.performance.calibrate import (
    GROUPS,
    LeftOut,
    counted,
    half_widths,
    out_of_sample,
    publisher,
)
from hetops.performance.cases import Cases, Metric, predict
from hetops.performance.fit import PARAMETERS, Parameter, fit
from hetops.performance.physics import Floats, family
from hetops.performance.rows import read_cases

_FITTED_ROOFLINE = (
    *("weight_bandwidth", "weight_bandwidth.amd", "compute", "compute.amd", "decode", "mixture"),
    *("weight_only_4bit", "all_reduce.nvlink", "all_reduce.pcie", "interference", "queue.power"),
)
_LEAST_ROWS = 5


def main() -> None:
    """Prints all tables."""
    catalog = tables.load()
    cases, _ = read_cases(tables.rows("perf_calibration"), catalog.gpu_types, catalog.models)
    used = counted(cases)
    columns = Cases.of(used)
    kinds = {
        "GPU type": [c.gpu for c in used],
        "GPU family": [family(c.replica.gpu) for c in used],
        "publisher": [publisher(c) for c in used],
        "engine generation": [str(c.replica.generation) for c in used],
    }
    refused = sum(1 for p in predict_file(SHIPPED) if p.reason)
    found = score_file(SHIPPED)
    print(f"{len(used)} measured rows of quality A and B, {refused} refused")
    print(f"order of GPU types right: {found.ordered_right:.1%} of {found.pairs} pairs; in sample\n")
    errors = {}
    for name, parameters in (("closed form", PARAMETERS), ("plain roofline", _roofline())):
        values = fit(columns, None, parameters)
        _line(f"{name}, fitted", columns, np.log(predict(columns, values) / columns.value))
        for kind, of in kinds.items():
            errors[name, kind] = out_of_sample(columns, of, values, parameters)
            _line(f"{name}, {kind} left out", columns, errors[name, kind])
    for kind, of in kinds.items():
        _by(kind, of, columns, errors["closed form", kind])
    left_out = LeftOut(
        by_gpu=errors["closed form", "GPU type"],
        by_family=errors["closed form", "GPU family"],
        by_publisher=errors["closed form", "publisher"],
    )
    for kind, of in kinds.items():
        _coverage(kind, of, columns, errors["closed form", kind], left_out)


def _roofline() -> tuple[Parameter, ...]:
    return tuple(_plain(p) for p in PARAMETERS)


def _plain(p: Parameter) -> Parameter:
    kind = p.name.partition(".")[0]
    if p.name in _FITTED_ROOFLINE or kind == "overhead":
        return replace(p, spread=5.0)
    none = {"power": 1e-3, "layer": 1e-7, "mixture_layer": 1e-7, "sequence": 1e-7}
    one = {"family": 1.0, "graphics_memory": 1.0, "fp8": 1.0}
    alike = {"first_token": 20e-3, "first_token_factor": 1.2, "queue": 0.3}
    of_engines = {} if p.name.startswith("queue.") and p.name.endswith(("power", "load")) else alike
    return replace(p, start={**none, **one, **of_engines}.get(kind, p.start), spread=1e-3)


def _line(subject: str, cases: Cases, errors: Floats) -> None:
    parts = []
    for group, metrics in GROUPS.items():
        of = np.abs(np.expm1(errors[np.isin(cases.metric, [str(m) for m in metrics])]))
        parts.append(f"{group} {np.median(of):6.1%} ({(of <= 0.25).mean():4.0%} within 25 %)")
    print(f"{subject:38s} " + "   ".join(parts))


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
                    f"  {group:10s} {name:22s} {which.sum():4d} rows {np.median(off):6.1%}, bias {bias:+.2f}"
                )


def _coverage(kind: str, names: Sequence[str], cases: Cases, errors: Floats, left_out: LeftOut) -> None:
    """Rows within the interval, of kinds that neither the fit nor the intervals had seen."""
    print(f"\nrows within their 80 % interval, each {kind} seen by neither fit nor interval")
    kinds = np.array(names)
    told = np.zeros(len(cases), dtype=bool)
    inside = np.zeros(len(cases), dtype=bool)
    for name in np.unique(kinds):
        out = kinds == name
        others = LeftOut(**{f.name: getattr(left_out, f.name)[~out] for f in fields(left_out)})
        widths = half_widths(cases.metric[~out], others)[str(EvidenceLayer.CALIBRATED)]
        for group, members in GROUPS.items():
            which = out & np.isin(cases.metric, [str(m) for m in members])
            if which.any() and np.isfinite(widths[group]):
                told |= which
                inside[which] = np.abs(errors[which]) <= widths[group]
                print(f"  {group:10s} {name:22s} {which.sum():4d} rows {inside[which].mean():4.0%}")
    for group, members in (*GROUPS.items(), ("all", tuple(Metric))):
        which = told & np.isin(cases.metric, [str(m) for m in members])
        if which.any():
            print(f"  {group:10s} {'all':22s} {which.sum():4d} rows {inside[which].mean():4.0%}")


if __name__ == "__main__":
    main()
