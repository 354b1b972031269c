"""aiconfigurator as its version 0.12 answers: its words, milliseconds and exceptions, with a roofline in place of its tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hetops_aiconfigurator.estimator import Package

_LLAMA = {"architectures": ["LlamaForCausalLM"]}
_OF_32_LAYERS = {"num_hidden_layers": 32, "hidden_size": 2048, "num_key_value_heads": 4, "head_dim": 128}
_QWEN_30B = _OF_32_LAYERS | {"intermediate_size": 768, "num_attention_heads": 32, "num_experts": 128}
_R1 = {
    "kv_lora_rank": 512,
    "num_hidden_layers": 61,
    "hidden_size": 7168,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
}
_WHEEL: Mapping[str, Mapping[str, Any]] = {
    "meta-llama/Meta-Llama-3.1-8B": _LLAMA,
    "Qwen/Qwen3-30B-A3B": _QWEN_30B,
    "Qwen/Qwen3-30B-A3B-FP8": _QWEN_30B | {"quant_algo": "fp8_block"},
    "deepseek-ai/DeepSeek-R1": _R1
    | {"head_dim": 56, "intermediate_size": 2048, "num_experts": 256, "quant_algo": "fp8_block"},
}
"""Some of what its wheel carries of models' `config.json`, with the format of weights as it reads it there."""
_TABLES: Mapping[str, tuple[str, ...]] = {
    "h100_sxm": ("bfloat16", "fp8", "fp8_block"),
    "h200_sxm": ("bfloat16", "fp8", "fp8_block"),
    "b200_sxm": ("bfloat16", "fp8", "fp8_block", "nvfp4"),
    "l40s": ("bfloat16", "fp8"),
}
_MEMORY_GB = {"h100_sxm": 80, "h200_sxm": 141, "b200_sxm": 180, "l40s": 48}
_GB_A_SECOND = {"h100_sxm": 3350, "h200_sxm": 4800, "b200_sxm": 8000, "l40s": 864}
_OVERHEAD_MS = 2.0
_BYTES = {"bfloat16": 2.0, "fp8": 1.0, "fp8_block": 1.0, "nvfp4": 0.56}


class PerfDataNotAvailableError(RuntimeError):
    """As it raises where a table lacks something."""


class HuggingFaceDownloadError(Exception):
    """As it raises without a network, of a model that its wheel does not carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateResult:
    """What is read of its answer: milliseconds, as numpy has them."""

    ttft: np.float64
    tpot: np.float64


@dataclass(slots=True, kw_only=True)
class Tables:
    """The double: what it was asked, in its own words."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    def package(self) -> Package:
        return Package(estimate=self.estimate, config=self.config, models=frozenset(_WHEEL))

    def config(self, model_path: str) -> dict[str, Any]:
        if model_path in _WHEEL:
            return {"raw_config": dict(_WHEEL[model_path])}
        raise HuggingFaceDownloadError(f"Failed to download {model_path}'s config.json from HuggingFace")

    def estimate(self, model_path: str, system_name: str, **question: Any) -> EstimateResult:
        self.asked.append({"model_path": model_path, "system_name": system_name, **question})
        read = self._read(model_path)
        gpus = question["tp_size"] * question.get("attention_dp_size", 1)
        if "num_experts" in read:
            _check_experts(question, read, gpus)
        quant = question.get("gemm_quant_mode") or read.get("quant_algo", "bfloat16")
        _check_table(system_name, question["backend_name"], quant)
        weights = _parameters(read) * _BYTES[quant] / gpus / question["pp_size"]
        context = (
            _kv_bytes(read, question["tp_size"])
            * question["batch_size"]
            * (question["isl"] + question["osl"])
        )
        if weights + context > _MEMORY_GB[system_name] * 1e9:
            raise RuntimeError(
                f"OOM: the model '{model_path}' does not fit in GPU memory on system '{system_name}'"
            )
        step = _OVERHEAD_MS + (weights * question["pp_size"] + context) / (_GB_A_SECOND[system_name] * 1e6)
        lone = step + question["isl"] * _parameters(read) / gpus / 3e11
        waits = 1.0 if question["mode"] == "static" else 1.9
        return EstimateResult(ttft=np.float64(lone * waits), tpot=np.float64(step))

    @staticmethod
    def _read(model_path: str) -> Mapping[str, Any]:
        if Path(model_path).is_dir():
            found: dict[str, Any] = json.loads((Path(model_path) / "config.json").read_text())
            return found
        if model_path in _WHEEL:
            return _WHEEL[model_path]
        raise HuggingFaceDownloadError(f"Failed to download {model_path}'s config.json from HuggingFace")


def _check_experts(question: Mapping[str, Any], read: Mapping[str, Any], gpus: int) -> None:
    tensor, whole = question.get("moe_tp_size"), question.get("moe_ep_size")
    if tensor is None and whole is None:
        raise ValueError("At least one of moe_tp_size or moe_ep_size must be set for MoE models.")
    if (tensor or gpus // whole) * (whole or gpus // tensor) != gpus:
        raise ValueError("attention width must match the expert width")
    quant = question.get("moe_quant_mode") or read.get("quant_algo")
    if quant == "fp8_block" and tensor and read["intermediate_size"] // tensor % 128:
        raise ValueError("Invalid quantized MoE configuration: % weight_block_size=128 != 0.")


def _check_table(system: str, backend: str, quant: str) -> None:
    if quant not in _TABLES[system]:
        raise PerfDataNotAvailableError(
            f"perf database error: GEMM perf data missing for quant '{quant}' at /usr/lib/python3/site-packages/"
            f"aiconfigurator_core/systems/data/{system}/{backend}/0.24.0; available: {list(_TABLES[system])}"
        )


def _kv_bytes(read: Mapping[str, Any], tensor: int) -> float:
    """Of a token, on one GPU: latent KV lies whole on each."""
    if "kv_lora_rank" in read:
        return 2.0 * read["num_hidden_layers"] * (read["kv_lora_rank"] + 64)
    return 4.0 * read["num_hidden_layers"] * read["num_key_value_heads"] * read["head_dim"] / tensor


def _parameters(read: Mapping[str, Any]) -> float:
    attention = 2 * read["head_dim"] * (read["num_attention_heads"] + read["num_key_value_heads"])
    experts = read.get("num_experts", 1)
    return float(
        read["num_hidden_layers"]
        * read["hidden_size"]
        * (attention + 3 * read["intermediate_size"] * experts)
    )
