"""The closed form: step times of a configuration from the model's shape and the GPU's speeds. Pure after its data is read.

Per replica with tensor parallel degree k and S pipeline stages (formulas in docs/performance.md):
weights  = bytes of the weights touched / (k W eta_w)            W memory bandwidth
compute  = 2 P_active / (k F eta_c) a token                      F peak of the precision the kernels use
KV       = bytes a context token / (min(k, kv heads) W eta_kv)
links    = 2 all-reduces a layer of 2 (k-1)/k * hidden * 2 bytes / (N eta_N)
overhead = alpha * layers
Coefficients are data with their source in coefficients.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from hetops.domain.performance import Evidence, EvidenceLayer, StepTimes
from hetops.performance.memory import fit, weight_bytes

_FILE = Path(__file__).with_name("coefficients.json")
_TERA = 1e12
_TYPICAL_BATCH = 16
"""Sequences in flight when the share of experts that a step touches is reckoned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """Efficiencies (shares of a peak) of one GPU family, and how well they are founded."""

    weight_bandwidth: float
    compute: float
    kv_bandwidth: float
    seconds_per_layer: float
    link: float
    interference: float
    evidence: Evidence


def coefficients(gpu: GpuType) -> Coefficients:
    """The coefficients of a GPU's family; families without a fit of their own take the default as a prior."""
    data = _data()
    families: Mapping[str, Mapping[str, Any]] = data["families"]
    family = families.get(gpu.architecture) or families.get(gpu.form_factor) or {}
    values = {**families["default"], **family}
    layer = EvidenceLayer(values.pop("layer"))
    evidence = Evidence(layer=layer, source=_SOURCE[layer], margin=margin(layer))
    return Coefficients(**values, evidence=evidence)


_SOURCE = {
    EvidenceLayer.CALIBRATED: "closed form fitted on published measurements of this GPU family",
    EvidenceLayer.PRIOR: "closed form with coefficients of another GPU family",
}


def margin(layer: EvidenceLayer) -> float:
    """Share taken off an estimate of this layer when planning; also half the width of its 80 % interval."""
    return float(_data()["margins"][layer])


def step_times(configuration: Configuration, model: Model, gpu: GpuType) -> StepTimes:
    """Step times of one replica.

    Raises:
        ValueError: the configuration does not fit into memory.
    """
    lying = fit(configuration, model, gpu)
    if lying.reason:
        raise ValueError(lying.reason)
    c = coefficients(gpu)
    degree, stages = configuration.tensor_parallel, configuration.pipeline_parallel
    bandwidth = gpu.bandwidth_gb_per_second * 1e9 * degree
    flops = compute_tflops(configuration, gpu) * _TERA * c.compute * degree
    kv_shards = degree if gpu.vendor == "cpu" else min(degree, max(model.kv_heads, 1))
    kv_bytes = model.kv_bytes_per_token_16bit * configuration.kv.bytes_per_value / 2.0
    per_token = 2.0 * model.active_parameters_b * 1e9 / flops
    link = _link_seconds_per_token(configuration, model, gpu, c)
    return StepTimes(
        weights_seconds=weight_bytes(model, configuration.weights)
        * touched_share(model)
        / (bandwidth * c.weight_bandwidth),
        compute_seconds_per_sequence=per_token / stages,
        kv_seconds_per_token=kv_bytes
        / (gpu.bandwidth_gb_per_second * 1e9 * kv_shards * c.kv_bandwidth)
        / stages,
        overhead_seconds=c.seconds_per_layer * model.layers,
        overhead_seconds_per_sequence=link / stages,
        prefill_seconds_per_token=per_token + link,
        prefill_seconds_per_token_squared=2.0 * model.layers * model.heads * model.head_size / flops,
        kv_capacity_tokens=lying.kv_capacity_tokens,
        max_sequences=configuration.max_sequences,
        prefill_interference=c.interference,
        pipeline_stages=stages,
    )


def compute_tflops(configuration: Configuration, gpu: GpuType) -> float:
    """Dense peak of the format that the matrix kernels run in; weight-only formats compute in 16 bit."""
    native: dict[Precision, float | None] = {
        Precision.FP8: gpu.fp8_tflops,
        Precision.INT8: gpu.int8_tops,
        Precision.FP4: gpu.fp4_tflops,
    }
    return native.get(configuration.weights) or gpu.bf16_tflops or gpu.fp16_tflops


def touched_share(model: Model, sequences: float = _TYPICAL_BATCH) -> float:
    """Share of the weights that one decode step reads: all of a dense model, of a mixture the experts that
    `sequences` tokens choose when each picks its experts at random, and everything that is no expert."""
    if not model.experts:
        return 1.0
    one = model.active_experts / model.experts
    expert_share = 1.0 - math.pow(1.0 - one, sequences)
    shared = (model.active_parameters_b / model.parameters_b - one) / (1.0 - one)
    return max(0.0, shared) + (1.0 - max(0.0, shared)) * expert_share


def _link_seconds_per_token(
    configuration: Configuration, model: Model, gpu: GpuType, c: Coefficients
) -> float:
    degree = configuration.tensor_parallel
    if degree == 1 or gpu.vendor == "cpu":
        return 0.0
    volume = 2 * model.layers * 2.0 * (degree - 1) / degree * model.hidden * 2.0
    return volume / (gpu.interconnect_gb_per_second * 1e9 * c.link)


@cache
def _data() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return loaded
