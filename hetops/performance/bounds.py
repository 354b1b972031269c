"""The arithmetic bound: no plan may ask more of its GPUs than their peaks allow. Pure, and blind to the estimate.

Of every request served, the output and what no prefix cache holds of the prompt pass the weights (2 P_active operations a
token; embeddings are looked up, and the output head is needed for tokens that come out alone). A decode step of a batch reads
at least the weights that one token touches, once, and the KV of its sequences; with speculative decoding it yields several
tokens. Peaks are the vendor's dense figures with no efficiency taken off, so a plan that breaks them is wrong whatever the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from hetops.domain.configuration import Configuration, Role, StageGpus
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model
from hetops.domain.percent import percent
from hetops.domain.performance import Measurement
from hetops.domain.plan import ClassShare, PeakUse, PlannedPool
from hetops.domain.workload import WorkloadClass
from hetops.performance.memory import kv_bytes, within
from hetops.performance.replica import peak_tflops


def peak_uses(
    pools: Sequence[PlannedPool],
    shares: Sequence[ClassShare],
    classes: Mapping[str, WorkloadClass],
    models: Mapping[str, Model],
    gpus: Mapping[str, GpuType],
) -> tuple[PeakUse, ...]:
    """What each pool's requests take of the peaks of its GPUs, at the least that any engine needs; models and GPUs by name."""
    found = []
    for pool in pools:
        load = [(classes[s.workload_class], s.requests_per_second) for s in shares if s.pool == pool.name]
        model = models[pool.configuration.model]
        found.append(
            PeakUse(
                pool=pool.name,
                gpu="+".join(dict.fromkeys(stage.gpu for stage in pool.configuration.each_stage)),
                compute=_compute_use(pool, load, model, gpus),
                bandwidth=_bandwidth_use(pool, load, model, gpus),
            )
        )
    return tuple(found)


def violations(uses: Sequence[PeakUse]) -> tuple[str, ...]:
    """One sentence for each peak that a pool is asked to exceed; none for a sound plan."""
    return tuple(
        f"pool {use.pool} would need {percent(share)} of the {what} peak of its {use.gpu}"
        for use in uses
        for what, share in (("compute", use.compute), ("bandwidth", use.bandwidth))
        if share > 1.0
    )


def beyond_peaks(
    configuration: Configuration, model: Model, gpus: Mapping[str, GpuType], m: Measurement
) -> tuple[str, ...]:
    """What of a measurement no engine can do on these GPUs with prompts that no cache holds: a rate or a first token ahead of
    the arithmetic, steps ahead of reading the weights. Nothing is said of host cores, whose caches may hold the weights."""
    stages = configuration.each_stage
    if any(gpus[stage.gpu].vendor == "cpu" for stage in stages):
        return ()
    table, active = _embedding(model), model.active_parameters_b * 1e9
    flops = _of_stages(stages, gpus, lambda gpu: peak_tflops(gpu, configuration.weights) * 1e12)
    bandwidth = _of_stages(stages, gpus, lambda gpu: gpu.bandwidth_gb_per_second * 1e9)
    prompt = 2.0 * m.input_tokens * max(active - 2.0 * table, 0.0) / flops
    decoded = 2.0 * m.output_tokens * (active - table) / flops
    per_step = configuration.speculation.tokens_per_step if configuration.speculation else 1.0
    step = (active - table) * configuration.weights.bytes_per_value / bandwidth / per_step
    told = (
        ("a request", 1.0 / m.requests_per_second, prompt + decoded),
        ("a first token", m.ttft_seconds[0], prompt),
        *(("a token", seconds, step) for seconds in m.tpot_seconds[:1]),
    )
    return tuple(
        f"{what} takes {least * 1000:.3g} ms at least on {configuration.gpu}, not {seconds * 1000:.3g} ms"
        for what, seconds, least in told
        if seconds < least
    )


_Load = Sequence[tuple[WorkloadClass, float]]


_Gpus = Mapping[str, GpuType]


def _compute_use(pool: PlannedPool, load: _Load, model: Model, gpus: _Gpus) -> float:
    """Share of the pool's peak operations a second that its requests take; prefill is shared work, never free."""
    table, active = _embedding(model), model.active_parameters_b * 1e9
    prompts = sum(rate * c.input_tokens.mean * (1.0 - c.prefix_share) for c, rate in load)
    decoded = sum(rate * c.output_tokens.mean for c, rate in load)
    prompts *= pool.configuration.role is not Role.DECODE
    decoded *= pool.configuration.role is not Role.PREFILL
    operations = 2.0 * (prompts * max(active - 2.0 * table, 0.0) + decoded * (active - table))
    weights = pool.configuration.weights
    return operations / _of_all(pool, gpus, lambda gpu: peak_tflops(gpu, weights) * 1e12)


def _of_all(pool: PlannedPool, gpus: _Gpus, peak: Callable[[GpuType], float]) -> float:
    """A peak of all GPUs of a pool together."""
    return pool.replicas * _of_stages(pool.configuration.each_stage, gpus, peak)


def _of_stages(stages: Sequence[StageGpus], gpus: _Gpus, peak: Callable[[GpuType], float]) -> float:
    """A peak of all GPUs of a replica together."""
    return math.fsum(stage.tensor_parallel * peak(gpus[stage.gpu]) for stage in stages)


def _embedding(model: Model) -> float:
    """Parameters of the embedding table; the output head has as many, or is the same."""
    return float(model.vocabulary * model.hidden)


def _bandwidth_use(pool: PlannedPool, load: _Load, model: Model, gpus: _Gpus) -> float:
    """Share of the pool's memory bandwidth that decoding takes when every step runs the largest batch allowed."""
    configuration, near = pool.configuration, within(model, pool.configuration.kv, pool.configuration)
    if configuration.role is Role.PREFILL:
        return 0.0
    decoded = sum(rate * c.output_tokens.mean for c, rate in load)
    kv = sum(
        rate * c.output_tokens.mean * near.attended(c.input_tokens.mean + c.output_tokens.mean / 2.0)
        for c, rate in load
    )
    active = model.active_parameters_b * 1e9 - _embedding(model)
    active_bytes = active * configuration.weights.bytes_per_value
    per_step = configuration.speculation.tokens_per_step if configuration.speculation else 1.0
    states = 2.0 * decoded * model.state_bytes
    kept = kv_bytes(model, configuration.kv)
    read = (decoded / configuration.max_sequences * active_bytes + kv * kept + states) / per_step
    return read / _of_all(pool, gpus, lambda gpu: gpu.bandwidth_gb_per_second * 1e9)
