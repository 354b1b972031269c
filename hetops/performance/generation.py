"""Which generation of an engine a version belongs to. Decides by name and version; the speeds are in the coefficients."""

from __future__ import annotations

import re
from enum import Enum, StrEnum
from functools import lru_cache

_NUMBERS = re.compile(r"(\d+)\.(\d+)")
_UNTAGGED = re.compile(r"\b0\.1\.dev\d+")
"""What a build from a copy of the repository without tags calls itself, whatever release it follows."""
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


PREFILL_FIRST = (Generation.VLLM_OLD, Generation.SGLANG, Generation.TGI)
"""Engines whose prompts go before all decoding unless told otherwise; the others run a part of them with each step."""


class _Engine(Enum):
    """Engines that are told apart, by what stands in the names that they are given."""

    LAYERS = r"\(.*(fork|layer)"
    TENSORRT = r"tensorrt|\btrt"
    NIM = r"\bnim\b|nvidia-nim"
    LLAMACPP = r"llama[._ -]?cpp|llama-bench|llamafile|ollama|lm[ -]?studio|koboldcpp"
    SGLANG = r"sglang"
    ATOM = r"\batom\b"
    TGI = r"\btgi|text[-_ ]generation[-_ ]inference"
    VLLM = r"vllm"


_WHATEVER_THE_VERSION = {
    _Engine.LAYERS: Generation.LAYERS,
    _Engine.NIM: Generation.TRTLLM_MID,
    _Engine.LLAMACPP: Generation.LLAMACPP,
    _Engine.SGLANG: Generation.SGLANG,
    _Engine.ATOM: Generation.SGLANG,
}
"""NVIDIA's microservices pack TensorRT-LLM and have numbers of their own. AMD's ATOM hands over a pass of prompts before any decoding, as
SGLang does (github.com/ROCm/ATOM, `atom/model_engine/scheduler.py`)."""


@lru_cache(maxsize=1 << 10)
def generation(engine: str, version: str = "") -> Generation:
    """The generation of an engine by its name and version; what tells no version is of today.

    A version may stand in the name. An engine that nobody knows is taken for one like vLLM.
    """
    name, version = _named(engine), _UNTAGGED.sub("", version or engine)
    if name in _WHATEVER_THE_VERSION:
        return _WHATEVER_THE_VERSION[name]
    if name is _Engine.TENSORRT:
        return _of_tensorrt(version)
    if name is _Engine.TGI and _before(version, (2, 0), 2024):
        return Generation.TGI
    oldest_like_today = (3, 0) if name is _Engine.TGI else (0, 8)
    old = name in (_Engine.TGI, _Engine.VLLM) and _before(version, oldest_like_today, 2025)
    return Generation.VLLM_OLD if old else Generation.VLLM_NEW


def is_known(engine: str) -> bool:
    """Whether an engine's name is one that has coefficients of its own."""
    return _named(engine) not in (None, _Engine.ATOM)


def _named(engine: str) -> _Engine | None:
    name = engine.lower()
    return next((known for known in _Engine if re.search(known.value, name)), None)


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
