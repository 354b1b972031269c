"""What the GPU engines can run, as facts for planning. How they are started belongs to their templates and plugins.

Sources: engine flags of vLLM 0.33 and SGLang 0.5.23; both serve one to many GPUs of a node, tensor parallel first, attend in data
parallel (vLLM `--data-parallel-size` with `--enable-expert-parallel`, SGLang `--attn-dp-size` with `--ep-size`), and hand KV caches over
(vLLM `--kv-transfer-config`, SGLang `--disaggregation-mode`).

Which GPUs their images have kernels for: vLLM's from compute capability 7.5 on (its installation page in 0.21; in 0.14 it was 7.0, and with 0.20
its image went to CUDA 13, which knows no Volta), and all of AMD's in the catalogue. SGLang's kernels are built from 8.0 on, and for gfx942 and gfx950
(`sgl-kernel/CMakeLists.txt`, `setup_rocm.py`; on T4 and RTX 2080 it stops as it starts: its issues 24224, 24302, 38515). TensorRT-LLM names Ampere
as the oldest (its page of supported hardware). Neither reads bitsandbytes by itself: vLLM wants the package
vllm-bnb-plugin since 0.28, SGLang the package bitsandbytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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

BUILT_IN: Mapping[str, EngineNeeds] = {
    "vllm": replace(_GPU_ENGINE, least_compute_capability=7.5),
    "sglang": replace(
        _GPU_ENGINE, least_compute_capability=8.0, amd_architectures=frozenset({"gfx942", "gfx950"})
    ),
}
"""Engines that can be planned with though no plugin registers them."""

ESTIMATED: Mapping[str, EngineNeeds] = {
    **BUILT_IN,
    "tensorrt-llm": replace(_GPU_ENGINE, gpu_vendors=frozenset({"nvidia"}), least_compute_capability=8.0),
}
"""These, and what can be estimated without being planned with."""
