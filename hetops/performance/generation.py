"""Which generation of an engine a version belongs to. Decides by name and version; the speeds are in the coefficients."""

from __future__ import annotations

import re
from enum import StrEnum

_NUMBERS = re.compile(r"(\d+)\.(\d+)")
_YEAR = re.compile(r"20(\d\d)")


class Generation(StrEnum):
    """Engines whose releases differ less among themselves than from the others."""

    VLLM_OLD = "vllm_old"
    """Before the V1 core of 0.8 (2025): scheduling in Python between steps."""
    VLLM_NEW = "vllm_new"
    SGLANG = "sglang"
    TRTLLM_OLD = "trtllm_old"
    """Up to 0.9 (early 2024)."""
    TRTLLM_MID = "trtllm_mid"
    TRTLLM_NEW = "trtllm_new"
    """From 1.0 (2025) on."""
    TGI = "tgi"
    """Before 2.0 (2024), which brought CUDA graphs and kernels that vLLM had as well."""
    LLAMACPP = "llamacpp"
    LAYERS = "layers"
    """No engine: timings of single layers added up."""


_WHATEVER_THE_VERSION = {
    ("nim", "nvidia-nim", "nvidia nim"): Generation.TRTLLM_MID,
    ("llama.cpp", "llamacpp", "llama-cpp", "llama_cpp", "ollama"): Generation.LLAMACPP,
    ("sglang",): Generation.SGLANG,
}
"""NVIDIA's microservices pack TensorRT-LLM and have numbers of their own."""


def generation(engine: str, version: str = "") -> Generation:
    """The generation of an engine by its name and version; what tells no version is of today.

    An engine that nobody knows is taken for one like vLLM.
    """
    name = engine.lower()
    if "(" in name:
        return Generation.LAYERS
    if name.startswith(("tensorrt", "trt")):
        return _of_tensorrt(version)
    for prefixes, known in _WHATEVER_THE_VERSION.items():
        if name.startswith(prefixes):
            return known
    of_tgi = name.startswith(("tgi", "text-generation-inference"))
    if of_tgi and _before(version, (2, 0), 2024):
        return Generation.TGI
    return (
        Generation.VLLM_OLD if _before(version, (3, 0) if of_tgi else (0, 8), 2025) else Generation.VLLM_NEW
    )


def _of_tensorrt(version: str) -> Generation:
    if _before(version, (0, 10), 2024):
        return Generation.TRTLLM_OLD
    return Generation.TRTLLM_MID if _before(version, (1, 0), 2025) else Generation.TRTLLM_NEW


def _before(version: str, number: tuple[int, int], year: int) -> bool:
    """Whether a version such as `0.6.3`, `v0.10` or `mid-2024` is older than a number or a year."""
    if told := _YEAR.search(version):
        return 2000 + int(told.group(1)) < year
    found = _NUMBERS.search(version)
    return found is not None and (int(found.group(1)), int(found.group(2))) < number
