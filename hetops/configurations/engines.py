"""What the GPU engines can run, as facts for planning. How they are started belongs to their templates and plugins.

Sources: engine flags of vLLM 0.33 and SGLang 0.5.23; both serve one to many GPUs of a node, tensor parallel first, attend in data
parallel (vLLM `--data-parallel-size` with `--enable-expert-parallel`, SGLang `--attn-dp-size` with `--ep-size`), and hand KV caches over
(vLLM `--kv-transfer-config`, SGLang `--disaggregation-mode`). Neither reads bitsandbytes by itself: vLLM wants the package
vllm-bnb-plugin since 0.28, SGLang the package bitsandbytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from hetops.plugin.engine import EngineNeeds

_GPU_ENGINE = EngineNeeds(
    gpu_vendors=frozenset({"nvidia", "amd"}),
    precisions=frozenset({"fp16", "bf16", "fp8", "int8", "w8a16", "int4", "fp4"}),
    max_sequences=(256,),
    tensor_parallel=(1, 2, 4, 8),
    pipeline_parallel=(1, 2, 4),
    kv_precisions=frozenset({"fp8"}),
    most_drafted=64,
    attends_apart=True,
    hands_over=True,
)

BUILT_IN: Mapping[str, EngineNeeds] = {"vllm": _GPU_ENGINE, "sglang": _GPU_ENGINE}
"""Engines that can be planned with though no plugin registers them."""
