"""Fits the closed form's coefficients to measurements. Pure, deterministic, numpy alone.

Every coefficient is positive and fitted as its logarithm, drawn to a starting value known from elsewhere by its spread: what
the measurements cannot tell stays there, and a family or generation of few rows stays near its kin. Residuals are logarithms of
predicted over measured, with the loss 2 (sqrt(1 + r^2) - 1), which counts outliers linearly. Rows of one series (publisher, GPU
type, model, engine, precision) share an offset of their own, so that twenty rows of one odd set-up do not outvote physics.
Levenberg-Marquardt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hetops.performance.cases import Cases, Metric, predict
from hetops.performance.physics import Floats

_TYPICAL = 0.12
"""Relative error of a good prediction: the unit of residuals. Repeats of one benchmark differ by some 3 %."""
_TTFT_WEIGHT = 0.5
"""TTFT under load holds ramps and warm-ups: it counts half."""
_SERIES_OFFSET = 1.0
"""Spread of the offsets of series over that within them. Between the medians of series of four rows and more the errors of this
form spread by 0.07 (throughput), 0.12 (TPOT), 0.22 (TTFT), within them by 0.07, 0.09, 0.17: as much."""
_HELD = 0.2
"""Spreads of coefficients are taken so many times: rows of one publisher are no independent witnesses of what holds for others.
Of 1, 0.4 and 0.2 this one predicts a publisher left out best, whichever publisher is kept from the choice."""
_STEP = 1e-5
_MOST_ROUNDS = 60
_ENOUGH = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One coefficient: where it starts, and by what factor it may sensibly differ (one standard deviation, as a logarithm)."""

    name: str
    start: float
    spread: float


def _each(name: str, spread: float, **starts: float) -> tuple[Parameter, ...]:
    return tuple(Parameter(name=f"{name}.{of}", start=start, spread=spread) for of, start in starts.items())


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(name="weight_bandwidth", start=0.85, spread=0.08),
    Parameter(name="weight_bandwidth.amd", start=0.6, spread=0.2),
    Parameter(name="weight_bandwidth.amd_new", start=0.7, spread=0.12),
    Parameter(name="graphics_memory", start=1.0, spread=0.08),
    Parameter(name="llamacpp_hbm", start=0.7, spread=0.3),
    Parameter(name="mixture_bandwidth", start=0.9, spread=0.15),
    Parameter(name="kv_bandwidth", start=0.75, spread=0.03),
    Parameter(name="compute", start=0.62, spread=0.15),
    Parameter(name="compute.amd", start=0.3, spread=0.4),
    Parameter(name="compute.amd_new", start=0.45, spread=0.2),
    *_each("family", 0.12, Volta=1.08, Turing=0.92, Ampere=1.23, Ada=1.15, Blackwell=1.0),
    Parameter(name="power", start=0.6, spread=0.2),
    Parameter(name="decode", start=0.7, spread=1.5),
    Parameter(name="fp8", start=1.0, spread=0.15),
    Parameter(name="fp4", start=0.75, spread=0.2),
    Parameter(name="weight_only_4bit", start=0.6, spread=0.25),
    Parameter(name="mixture", start=0.7, spread=0.25),
    Parameter(name="attention", start=0.5, spread=0.4),
    *_each(
        "overhead", 0.4, vllm_old=3e-3, vllm_new=1.5e-3, sglang=2e-3, trtllm_old=1.5e-3, trtllm_mid=1.2e-3,
        trtllm_new=1.2e-3, tgi=15e-3, llamacpp=1.5e-3, layers=2e-3,
    ),
    Parameter(name="layer", start=30e-6, spread=0.5),
    Parameter(name="mixture_layer", start=30e-6, spread=0.7),
    *_each(
        "sequence", 0.4, vllm_old=40e-6, vllm_new=3e-6, sglang=5e-6, trtllm_old=3e-6, trtllm_mid=2e-6,
        trtllm_new=2e-6, tgi=40e-6, llamacpp=3e-6, layers=3e-6,
    ),
    *_each("all_reduce", 0.5, nvlink=10e-6, infinity_fabric=20e-6, infinity_fabric_new=20e-6, pcie=40e-6),
    Parameter(name="link", start=0.45, spread=0.3),
    Parameter(name="host_link", start=12.5e9, spread=1.0),
    Parameter(name="hop", start=60e-6, spread=0.5),
    Parameter(name="sharpness", start=3.0, spread=2.0),
    Parameter(name="interference", start=0.5, spread=0.4),
    *_each(
        "first_token", 0.8, vllm_old=12e-3, vllm_new=12e-3, sglang=25e-3, trtllm_old=6e-3, trtllm_mid=9e-3,
        trtllm_new=25e-3, tgi=18e-3, llamacpp=3e-3, layers=0.6e-3,
    ),
    Parameter(name="prompt_layer", start=0.1e-3, spread=0.7),
    Parameter(name="mixture_prompt_layer", start=0.4e-3, spread=0.7),
    *_each(
        "first_token_factor", 0.3, vllm_old=1.2, vllm_new=1.2, sglang=1.4, trtllm_old=1.1, trtllm_mid=1.1,
        trtllm_new=1.1, tgi=1.2, llamacpp=1.0, layers=1.0,
    ),
    *_each(
        "queue", 0.6, vllm_old=1.0, vllm_new=0.25, sglang=1.0, trtllm_old=0.3, trtllm_mid=0.3, trtllm_new=0.3,
        tgi=1.0, llamacpp=0.5, layers=0.3,
    ),
    Parameter(name="queue.power", start=0.8, spread=0.2),
    Parameter(name="queue.load", start=0.1, spread=0.8),
)  # fmt: skip
"""Starting values: shares of peaks that vendors' and open GEMM and stream benchmarks reach by family (V100 0.7, T4 0.6 at full
power, A100 0.8, L40S 0.75, H100 0.65, B200 0.65 of the dense peak), the 70 to 80 % of bandwidth that paged attention is published
to read the cache at (long batches tell it badly from compute and overheads, so it is held there), engine overheads of the order that their own traces show."""


def starting_values() -> dict[str, float]:
    """The coefficients before any measurement."""
    return {p.name: p.start for p in PARAMETERS}


def fit(
    cases: Cases, start: Mapping[str, float] | None = None, parameters: Sequence[Parameter] = PARAMETERS
) -> dict[str, float]:
    """Coefficients that fit the measured cases; the same cases give the same coefficients."""
    prior = np.log([p.start for p in parameters])
    spread = np.array([p.spread * _HELD for p in parameters])
    at = prior if start is None else np.log([start[p.name] for p in parameters])
    weight = np.where(cases.metric == str(Metric.TTFT), _TTFT_WEIGHT, 1.0) / _TYPICAL
    log_value = np.log(cases.value)
    own = _own(cases)

    def values(x: Floats) -> dict[str, float]:
        return {p.name: float(v) for p, v in zip(parameters, np.exp(x), strict=True)}

    def residuals(x: Floats) -> Floats:
        predicted = np.log(predict(cases, values(x)))
        found: Floats = np.concatenate([own((predicted - log_value) * weight), (x - prior) / spread])
        return found

    return values(_minimised(residuals, at))


def _own(cases: Cases) -> Callable[[Floats], Floats]:
    """Takes out of residuals what the rows of a series share, so that independent errors of one size are left.

    With errors of variance 1 and an offset of variance rho^2 for all n rows of a series, the square root of their
    covariance's inverse takes (1 - 1 / sqrt(1 + n rho^2)) of the series' mean from each row.
    """
    _, series = np.unique(cases.series, return_inverse=True)
    rows = np.bincount(series)
    shared = (1.0 - 1.0 / np.sqrt(1.0 + rows * _SERIES_OFFSET**2)) / rows

    def own(residuals: Floats) -> Floats:
        found: Floats = residuals - (shared * np.bincount(series, residuals))[series]
        return found

    return own


def _minimised(residuals: object, x: Floats) -> Floats:
    """Where the robust sum of squares is least."""
    assert callable(residuals)
    damping, found = 1e-2, residuals(x)
    loss = _loss(found)
    for _ in range(_MOST_ROUNDS):
        slopes = np.column_stack([(residuals(x + h) - found) / _STEP for h in np.eye(len(x)) * _STEP])
        heavy = 1.0 / np.sqrt(1.0 + found**2)
        normal, toward = slopes.T @ (slopes * heavy[:, None]), slopes.T @ (found * heavy)
        while damping < 1e8:
            moved = x - np.linalg.solve(normal + damping * np.diag(np.diag(normal)), toward)
            tried = residuals(moved)
            if _loss(tried) < loss:
                break
            damping *= 4.0
        else:
            return x
        gain, x, found, damping = loss - _loss(tried), moved, tried, max(damping / 8.0, 1e-9)
        loss -= gain
        if gain < _ENOUGH * loss:
            return x
    return x


def _loss(residuals: Floats) -> float:
    return float(2.0 * (np.sqrt(1.0 + residuals**2) - 1.0).sum())
