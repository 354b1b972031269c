"""Which generation of an engine a version belongs to. Decides by name and version; the speeds are in the coefficients."""

from __future__ import annotations

import re
from enum import Enum, StrEnum
from functools import lru_cache

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_UNTAGGED = re.compile(r"\b0\.1\.dev\d+")
"""What a build from a copy of the repository without tags calls itself, whatever release it follows."""
_DATE = re.compile(r"20(\d\d)[-_./]?(0[1-9]|1[0-2])?")
_LAST = 99
"""What a version that tells no third number may have there."""


class Generation(StrEnum):
    """Engines whose releases differ less among themselves than from the others."""

    VLLM_OLD = "vllm_old"
    """Before 0.6.2 (September 2024): scheduling in Python between steps, beside the server that answers."""
    VLLM_MID = "vllm_mid"
    """Up to the V1 core of 0.8 (2025): answers go out while the next step runs, from a process of their own, and one schedule may serve
    several steps, since 0.6 (vLLM's blog of 5 September 2024); AMD's own attention, since 0.6.2 (its pull request 8310)."""
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

    @property
    def coefficients(self) -> str:
        """The name under which its coefficients stand: its own, but for vLLM of 0.6.2 to 0.7, of which no row under load is known."""
        return str(Generation.VLLM_OLD if self is Generation.VLLM_MID else self)


TENSORRT = (Generation.TRTLLM_OLD, Generation.TRTLLM_MID, Generation.TRTLLM_NEW)
PREFILL_FIRST = (Generation.VLLM_OLD, Generation.VLLM_MID, Generation.SGLANG, Generation.TGI)
"""Engines whose prompts go before all decoding unless told otherwise; the others run a part of them with each step."""

PASS_TOKENS = 8192
"""Prompt tokens that one step takes in, whose activations must fit: vLLM's `max_num_batched_tokens` for servers on GPUs with 70 GB and more,
TensorRT-LLM's `max_num_tokens`."""
_MOST_SEQUENCES = {
    "vllm_old": 256.0,
    "vllm_new": 1024.0,
    "sglang": 1024.0,
    "trtllm_old": 1024.0,
    "trtllm_mid": 2048.0,
    "trtllm_new": 2048.0,
}
"""Sequences that an engine runs at once unless told otherwise: TensorRT-LLM builds for 2,048, vLLM ran 256, and offline runs
1,024 from its V1 core on."""
_OTHER_SEQUENCES = 512.0


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


def most_sequences(generation: str) -> float:
    """Sequences that a generation of engines runs at once, unless told otherwise."""
    return _MOST_SEQUENCES.get(generation, _OTHER_SEQUENCES)


def memory_share(engine: str, version: str = "") -> float:
    """Share of a GPU's memory that an engine takes by itself for weights, activations and KV together: vLLM 0.9, and 0.92 from 0.21 on
    (May 2026; its pull request 38284), SGLang about 0.88, and llama.cpp is given 0.9. What nobody knows is taken for one like the older
    vLLM; TensorRT-LLM has another rule."""
    name, version = _named(engine), _UNTAGGED.sub("", version or engine)
    if name is _Engine.VLLM and not _before(_of_vllm_alone(version), (0, 21, 0), (2026, 5)):
        return 0.92
    return 0.88 if name is _Engine.SGLANG else 0.9


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
    if name is _Engine.TGI:
        return _of_tgi(version)
    return _of_vllm(version) if name is _Engine.VLLM else Generation.VLLM_NEW


def is_known(engine: str) -> bool:
    """Whether an engine's name is one that has coefficients of its own."""
    return _named(engine) not in (None, _Engine.ATOM)


def unread_version(engine: str) -> str:
    """What stands behind the name of an engine whose version matters, and tells neither a version nor a month; else nothing."""
    name = _named(engine)
    if name is None or name in _WHATEVER_THE_VERSION:
        return ""
    behind = re.split(rf"(?:{name.value})\S*", engine.lower(), maxsplit=1)[-1].strip()
    return "" if _NUMBERS.search(engine) or _DATE.search(engine) else behind


def _named(engine: str) -> _Engine | None:
    name = engine.lower()
    return next((known for known in _Engine if re.search(known.value, name)), None)


def _of_tensorrt(version: str) -> Generation:
    if _before(version, (0, 10, 0), (2024, 1)):
        return Generation.TRTLLM_OLD
    return Generation.TRTLLM_MID if _before(version, (1, 0, 0), (2025, 1)) else Generation.TRTLLM_NEW


def _of_tgi(version: str) -> Generation:
    if _before(version, (2, 0, 0), (2024, 1)):
        return Generation.TGI
    return Generation.VLLM_OLD if _before(version, (3, 0, 0), (2025, 1)) else Generation.VLLM_NEW


def _of_vllm(version: str) -> Generation:
    version = _of_vllm_alone(version)
    if _before(version, (0, 6, 2), (2024, 10)):
        return Generation.VLLM_OLD
    return Generation.VLLM_MID if _before(version, (0, 8, 0), (2025, 1)) else Generation.VLLM_NEW


def _of_vllm_alone(version: str) -> str:
    """Without what stands before vLLM's own version: images of AMD's name others there (`rocm6.2_vllm_0.6.4`)."""
    return version.lower().rpartition("vllm")[2]


def _before(version: str, number: tuple[int, int, int], month: tuple[int, int]) -> bool:
    """Whether a version such as `0.6.3`, `v0.10`, `2024-11` or `mid-2024` is older than a number or a month; of a year alone its first
    month counts, and of two numbers alone the last that begins with them."""
    if told := _DATE.search(version):
        return (2000 + int(told.group(1)), int(told.group(2) or 1)) < month
    found = _NUMBERS.search(version)
    return found is not None and tuple(int(n or _LAST) for n in found.groups()) < number
