"""A benchmark in aiconfigurator's words: its names of GPU types, engines and precisions, its degrees. Pure; asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from hetops.plugin import Benchmark, HetopsError, Precision

LEAVE_IT = "leave engine.estimator out, or measure it with hetops bench"
"""What to do where it has no answer."""
_SYSTEMS = {
    "H100-SXM": "h100_sxm",
    "H200-SXM": "h200_sxm",
    "B200": "b200_sxm",
    "B300": "b300_sxm",
    "GB200": "gb200",
    "GB300": "gb300",
    "L40S": "l40s",
    "A100-80GB-SXM": "a100_sxm",
    "RTXPRO6000-Server": "rtx_pro_6000_server",
}
"""GPU types of which it has measured kernels. Others it only reckons from peaks: hetops does that itself."""
_BACKENDS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm", "trtllm": "trtllm"}
_WEIGHTS = {
    Precision.BF16: "bfloat16",
    Precision.FP16: "bfloat16",
    Precision.FP8: "fp8",
    Precision.INT8: "sq",
    Precision.INT8_WEIGHTS: "int8_wo",
    Precision.INT4: "int4_wo",
    Precision.FP4: "nvfp4",
}
_EXPERTS = {p: name for p, name in _WEIGHTS.items() if p not in (Precision.INT8, Precision.INT8_WEIGHTS)}
_KV = {Precision.BF16: "bfloat16", Precision.FP16: "bfloat16", Precision.FP8: "fp8"}
_LINKED = {"L40S": 2}
"""Most GPUs at once that it is asked about: by its tables four exchange so slowly that they serve less than one. Of 17 published runs
of Llama 3.1 70B, its rates on four were half of the measured ones, on eight a sixth."""
_SLOW_EXPERTS = {("vllm", Precision.FP8)}
"""Experts whose tables are slower than those in 16 bit, up to four times: on Hopper per tensor, on Blackwell in blocks. 13 published
runs of Qwen3 235B on H200 had steps of half of what it answers."""
_CURRENT = "current"
"""The newest engine version that it has measured whole. Told outright: finding it out anew takes 0.8 s of each answer."""
_SHARED, _LONE = "agg", "static"
"""Its modes: prompts among others' steps, and one batch from its prompts to its end. The first counts a lone prompt of SGLang and
TensorRT-LLM 1.9 times, as one that waits for others."""


def arguments(asked: Benchmark) -> dict[str, Any]:
    """The question without the model; HetopsError where it has no words for it.

    Its batch is that of one group that attends together, in one stage of a pipeline.
    """
    _refuse_disbelieved(asked)
    c = asked.configuration
    batch = ceil(asked.concurrency / (c.pipeline_parallel * c.attention_data_parallel))
    return {
        "mode": _LONE if batch == 1 else _SHARED,
        "system_name": _word("GPU type", c.gpu, _SYSTEMS),
        "backend_name": _word("engine", c.engine, _BACKENDS),
        "backend_version": _CURRENT,
        "isl": asked.input_tokens,
        "osl": asked.output_tokens,
        "batch_size": batch,
        "tp_size": c.tensor_parallel // c.attention_data_parallel,
        "pp_size": c.pipeline_parallel,
        "kvcache_quant_mode": _word("KV precision", c.kv, _KV),
        **_layout_of_experts(asked),
    }


def _refuse_disbelieved(asked: Benchmark) -> None:
    c = asked.configuration
    if c.speculation is not None:
        raise HetopsError("it is not asked about speculative decoding", hint="leave [engine.speculative] out")
    if c.tensor_parallel > _LINKED.get(c.gpu, c.tensor_parallel):
        what = f"{c.tensor_parallel} {c.gpu} at once: by its tables they serve less than one"
    elif asked.model.experts and (c.engine, c.weights) in _SLOW_EXPERTS:
        what = f"{c.weights} experts under {c.engine}: by its tables they are slower than in 16 bit"
    else:
        return
    raise HetopsError(f"it is not believed on {what}", hint=LEAVE_IT)


def precisions(asked: Benchmark) -> dict[str, str]:
    """How weights are multiplied, where no checkpoint that it knows tells it; HetopsError where it has no words for it."""
    weights = asked.configuration.weights
    found = {"gemm_quant_mode": _word("weight precision", weights, _WEIGHTS)}
    if asked.model.experts:
        found["moe_quant_mode"] = _word("weight precision of experts", weights, _EXPERTS)
    return found


def _layout_of_experts(asked: Benchmark) -> dict[str, int]:
    """Divided like all else, or whole and spread over the groups that attend by themselves."""
    c = asked.configuration
    if not asked.model.experts:
        return {}
    if c.attention_data_parallel == 1:
        return {"moe_tp_size": c.tensor_parallel}
    return {"attention_dp_size": c.attention_data_parallel, "moe_ep_size": c.tensor_parallel}


def _word(what: str, value: str, known: Mapping[Any, str]) -> str:
    if value not in known:
        raise HetopsError(
            f"nothing is measured of {what} {value}",
            hint=f"it knows {', '.join(str(k) for k in known)}",
        )
    return known[value]
