"""Edge: asks aiconfigurator's tables of measured kernels what a benchmark would give. Decides nothing of its own.

aiconfigurator 0.12 (Apache-2.0, Linux x86-64, about a second an answer) knows vLLM, SGLang and TensorRT-LLM on the GPUs below,
and models by the hub ids that its wheel carries; others it would fetch, which is refused here. On 988 published runs its median
error was 18 % on throughput (hetops' closed form fitted to the same kind of data: 12 %).
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hetops.plugin import Benchmark, BenchmarkAnswer, HetopsError, Precision, nearest

_SYSTEMS = {
    "H100-SXM": "h100_sxm",
    "H200-SXM": "h200_sxm",
    "B200": "b200_sxm",
    "B300": "b300_sxm",
    "GB200": "gb200",
    "GB300": "gb300",
    "L40S": "l40s",
    "A100-80GB-SXM": "a100_sxm",
}
"""GPU types of which it has measured kernels. Others it only reckons from peaks: hetops does that itself."""
_BACKENDS = {"vllm": "vllm", "sglang": "sglang", "trtllm": "trtllm"}
_WEIGHTS: Mapping[Precision, str | None] = {
    Precision.BF16: None,
    Precision.FP16: None,
    Precision.FP8: "fp8",
    Precision.INT8: "sq",
    Precision.INT8_WEIGHTS: "int8_wo",
    Precision.INT4: "int4_wo",
    Precision.FP4: "nvfp4",
}
_KV: Mapping[Precision, str | None] = {Precision.BF16: None, Precision.FP16: None, Precision.FP8: "fp8"}


class AiConfigurator:
    """aiconfigurator's aggregated mode: prefill and decode in one engine."""

    name = "aiconfigurator"
    margin = 0.36
    """Twice its median error: nobody published where 80 % of its errors lie."""

    def answer(self, asked: Benchmark) -> BenchmarkAnswer:
        """What its tables say; HetopsError where they hold nothing, or the package is not installed."""
        arguments = _arguments(asked)
        package = _package()
        model = _shape_known(asked.model.hub_id, package.models)
        try:
            found = package.estimate(model_path=model, **arguments)
            ttft, tpot = float(found.ttft) / 1e3, float(found.tpot) / 1e3
            cycle = ttft + (asked.output_tokens - 1) * tpot
            return BenchmarkAnswer(
                requests_per_second=asked.concurrency / cycle, ttft_seconds=ttft, tpot_seconds=tpot
            )
        except Exception as fault:
            raise HetopsError(
                f"aiconfigurator has no answer for {asked.configuration.id}: {type(fault).__name__}: {fault}",
                hint="leave it to hetops' own estimate, or measure it with hetops bench",
            ) from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    """What is used of it: its estimate of one point, and the hub ids that its wheel carries."""

    estimate: Callable[..., Any]
    models: Iterable[str]


def _package() -> _Package:
    try:
        api = importlib.import_module("aiconfigurator.cli.api")
        common = importlib.import_module("aiconfigurator_core.sdk.common")
    except ImportError as fault:
        raise HetopsError(
            "the estimator aiconfigurator is not installed",
            hint="pip install 'hetops[aiconfigurator]' (850 MB, Linux on x86-64), or name no estimator",
        ) from fault
    for name in ("aiconfigurator", "aiconfigurator_core"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return _Package(estimate=api.cli_estimate, models=common.DefaultHFModels)


def _shape_known(hub_id: str, models: Iterable[str]) -> str:
    """The id of the same shape: an instruct model has that of its base. Others would be fetched, which nobody asked for."""
    by_shape = {_shape(known): known for known in models}
    if _shape(hub_id) not in by_shape:
        raise HetopsError(
            f"aiconfigurator has measured nothing of model {hub_id}",
            hint=f"it knows {', '.join(nearest(hub_id, by_shape.values())) or 'none like it'}",
        )
    return by_shape[_shape(hub_id)]


def _shape(hub_id: str) -> str:
    return hub_id.lower().replace("-instruct", "").replace("/meta-llama-", "/llama-")


def _arguments(asked: Benchmark) -> dict[str, Any]:
    """The question in its words; HetopsError where it has none for it."""
    c = asked.configuration
    for what, value, known in (
        ("GPU type", c.gpu, _SYSTEMS),
        ("engine", c.engine, _BACKENDS),
        ("weight precision", c.weights, _WEIGHTS),
        ("KV precision", c.kv, _KV),
    ):
        if value not in known:
            raise HetopsError(
                f"aiconfigurator has measured nothing of {what} {value}",
                hint=f"it knows {', '.join(str(k) for k in known)}",
            )
    if c.speculation is not None:
        raise HetopsError(
            "aiconfigurator is not asked about speculative decoding", hint="leave [engine.speculative] out"
        )
    if c.attention_data_parallel > 1:
        raise HetopsError(
            "aiconfigurator is not asked about attention in data parallel",
            hint="measure it with hetops bench, or leave engine.estimator out",
        )
    quantized = _WEIGHTS[c.weights]
    return {
        "system_name": _SYSTEMS[c.gpu],
        "backend_name": _BACKENDS[c.engine],
        "isl": asked.input_tokens,
        "osl": asked.output_tokens,
        "batch_size": asked.concurrency,
        "tp_size": c.tensor_parallel,
        "pp_size": c.pipeline_parallel,
        "gemm_quant_mode": quantized,
        "moe_quant_mode": quantized if asked.model.experts else None,
        "kvcache_quant_mode": _KV[c.kv],
    }
