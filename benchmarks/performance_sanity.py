"""Prints where the closed form contradicts what is known without any measurement: datasheets, and how loads and layouts compare.

    python benchmarks/performance_sanity.py

Throughput over a grid of GPU types, models, precisions, engines, layouts, lengths and loads, as ratios of neighbours: the least, the
10th, 50th and 90th percentile, the most, and the share that is out of bounds, with the worst of these. Some two minutes on one core;
nothing is asserted.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from hetops.catalog import tables
from hetops.domain.percent import percent
from hetops.performance.cases import Cases, predict
from hetops.performance.estimate import calibration
from hetops.performance.rows import read_cases

_LENGTHS = (
    (128, 128),
    (128, 2048),
    (2048, 128),
    (1000, 1000),
    (5000, 500),
    (20_000, 2000),
    (1, 2048),
    (2048, 1),
)
_DENSE = ("llama-3.2-1b", "llama-3.1-8b", "qwen2.5-32b", "llama-3.1-70b", "llama-3.1-405b")
_MODELS = (*_DENSE, "mixtral-8x7b", "qwen3-30b-a3b", "gpt-oss-120b", "deepseek-r1")
_LOADS = ("1", "8", "64", "256", "1024", "")
_TODAY = ("vllm 0.11", "sglang 0.5", "tensorrt-llm 1.0")
_VERSIONS = ("vllm 0.5.4", "vllm 0.6.3", "vllm 0.8.5", "vllm 0.23", "tensorrt-llm 0.8", "tensorrt-llm 0.15")
_GPUS = (
    "T4",
    "A10G",
    "L4",
    "L40S",
    "A100-80GB-SXM",
    "H100-SXM",
    "H100-PCIe",
    "H100-NVL",
    "H200-SXM",
    "B200",
    "GB10",
    "MI300X",
)
_FASTER = (
    ("H200-SXM", "H100-SXM"), ("B200", "H200-SXM"), ("GB200", "B200"), ("B300", "B200"), ("B200", "B100"),
    ("H100-SXM", "H100-PCIe"), ("H100-NVL", "H100-PCIe"), ("H200-SXM", "H200-NVL"), ("H100-SXM", "A100-80GB-SXM"),
    ("A100-80GB-SXM", "A100-80GB-PCIe"), ("A100-80GB-SXM", "A100-40GB-SXM"), ("V100-32GB-SXM2", "V100-32GB-PCIe"),
    ("L40S", "L40"), ("L40", "L20"), ("L40S", "L4"), ("A10", "A10G"), ("RTX5090", "RTX4090"), ("RTX4090", "RTX3090"),
    ("RTXPRO6000-Workstation", "RTXPRO6000-Server"), ("RTXPRO6000-Server", "L40S"), ("RTX6000-Ada", "A6000"),
    ("MI325X", "MI300X"), ("MI355X", "MI325X"), ("MI300X", "MI250"),
)  # fmt: skip
"""GPU types of which the first has no less of anything in its datasheet than the second."""
_LESS_TO_READ = (("fp8", "bf16"), ("w8a16", "bf16"), ("nvfp4", "awq"), ("gguf q4_k_m", "gguf q8_0"))


@dataclass(frozen=True)
class _Bounds:
    """What a ratio of neighbours should lie between."""

    low: float
    high: float


Key = tuple[str, ...]


def main() -> None:
    """Prints all ratios."""
    gpus = sorted({gpu for pair in _FASTER for gpu in pair})
    found = _throughput(gpus, ("bf16", "fp8", "nvfp4"), _TODAY[:1], ("1x1", "4x1"), ("1", "64", ""))
    for faster, slower in _FASTER:
        _ratios(f"{faster} over {slower}", _pairs(found, 0, slower, faster), _Bounds(0.995, np.inf))
    found = _throughput(_GPUS, sorted({p for pair in _LESS_TO_READ for p in pair}), _TODAY[:1], ("1x1",))
    for less, more in _LESS_TO_READ:
        _ratios(f"{less} over {more}", _pairs(found, 2, more, less), _Bounds(0.9, 10.0))
    found = _throughput(_GPUS, ("bf16", "fp8"), _TODAY, ("1x1", "2x1", "4x1", "8x1"))
    for one, more in itertools.pairwise(_LOADS):
        _ratios(f"{more or 'all'} at once over {one}", _pairs(found, 6, one, more), _Bounds(1.0, 8.0))
    for one, more in itertools.pairwise(("1x1", "2x1", "4x1", "8x1")):
        _ratios(f"tp x pp {more} over {one}", _pairs(found, 4, one, more), _Bounds(0.6, 2.0))
    found = _throughput(_GPUS, ("bf16", "fp8"), _TODAY[:1], ("4x1", "4x2", "4x4"))
    for one, more in itertools.pairwise(("4x1", "4x2", "4x4")):
        _ratios(f"tp x pp {more} over {one}", _pairs(found, 4, one, more), _Bounds(0.9, 2.0))
    found = _throughput(_GPUS, ("bf16", "fp8"), _VERSIONS, ("1x1", "8x1"))
    for one, more in itertools.pairwise(_VERSIONS):
        if one.split()[0] == more.split()[0]:
            _ratios(f"{more} over {one}", _pairs(found, 3, one, more), _Bounds(1 / 1.6, 1.6))


def _throughput(
    gpus: Sequence[str],
    precisions: Sequence[str],
    engines: Sequence[str],
    layouts: Sequence[str],
    loads: Sequence[str] = _LOADS,
) -> Mapping[Key, float]:
    """Tokens out a second by GPU type, model, precision, engine, layout (tensor x pipeline degree), lengths and load, where weights
    fit."""
    catalog = tables.load()
    lengths = [f"{i}/{o}" for i, o in _LENGTHS]
    keys = list(itertools.product(gpus, _MODELS, precisions, engines, layouts, lengths, loads))
    cases, _ = read_cases(
        [_row(str(i), key) for i, key in enumerate(keys)], catalog.gpu_types, catalog.models
    )
    values = predict(Cases.of(cases), calibration().values)
    return {keys[int(c.id)]: float(v) for c, v in zip(cases, values, strict=True) if not c.assumed}


def _row(name: str, key: Key) -> dict[str, str]:
    gpu, model, precision, engine, layout, lengths, load = key
    (tensor, stages), (tokens_in, tokens_out) = layout.split("x"), lengths.split("/")
    engine, version = engine.split()
    told = {
        "id": name,
        "gpu": gpu,
        "model": model,
        "precision_weights": precision,
        "tp": tensor,
        "pp": stages,
    }
    asked = {
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "concurrency": load,
        "request_rate": "inf",
    }
    gpus = str(int(tensor) * int(stages))
    return {
        **told,
        **asked,
        "engine": engine,
        "engine_version": version,
        "gpu_count": gpus,
        "metric": "output_tok_s",
    }


def _pairs(found: Mapping[Key, float], at: int, one: str, other: str) -> Iterable[tuple[Key, float]]:
    """Of keys with `one` at a place, what the same with the other gives over it."""
    for key, value in found.items():
        like = (*key[:at], other, *key[at + 1 :])
        if key[at] == one and like in found:
            yield key, found[like] / value


def _ratios(subject: str, pairs: Iterable[tuple[Key, float]], bounds: _Bounds) -> None:
    keys, found = zip(*pairs, strict=True)
    ratios = np.array(found)
    out = (ratios < bounds.low) | (ratios > bounds.high)
    shown = " ".join(f"{q:8.2f}" for q in np.quantile(ratios, (0, 0.1, 0.5, 0.9, 1)))
    worst = int(np.argmax(np.maximum(bounds.low / ratios, ratios / bounds.high)))
    print(
        f"{subject:46s} {shown}  {percent(out.mean(), 1):>7} of {len(ratios)} out  {' '.join(keys[worst]) if out.any() else ''}"
    )


if __name__ == "__main__":
    main()
