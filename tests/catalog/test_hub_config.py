"""A model's shape out of a config.json: the catalogue's own models are found again, and what is wrong is named."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from hetops.catalog import tables
from hetops.catalog.hub_config import read
from hetops.domain.model import Precision, Selection
from hetops.errors import HetopsError
from tests.catalog.hub_configs import (
    DEEPSEEK,
    DEEPSEEK_V4,
    DEEPSEEK_V32,
    GLM_52,
    GRANITE,
    HY3,
    KIMI_K3,
    LFM2,
    LLAMA,
    MINIMAX_M3,
    MINIMAX_TEXT_01,
    MIXTRAL,
    NEMOTRON,
    NEMOTRON_NANO,
    QWEN3_NEXT,
    ROWS,
    config_of,
)

TURNS = "layers of Mamba, of experts or of MLPs, and of attention in turn"
KINDS = "layers without KV of a kind that has no columns"
UNCOUNTED = {
    "tiny-llama": "made by whoever tests: nobody published its size",
    "nemotron-3-nano-30b-a3b": TURNS,
    "nemotron-3-super-120b-a12b": TURNS,
    "nemotron-3-ultra-550b-a55b": TURNS,
    "nemotron-h-56b": TURNS,
    "nemotron-3-nano-4b": TURNS,
    "nemotron-3.5-lightning-30b-a3b": TURNS,
    "nemotron-nano-9b-v2": TURNS,
    "kimi-k3": KINDS,
    "kimi-linear-48b-a3b": KINDS,
    "minimax-text-01": KINDS,
    "minimax-m1": KINDS,
    "granite-4.0-h-small": KINDS,
    "granite-4.0-h-tiny": KINDS,
    "lfm2-8b-a1b": KINDS,
    "lfm2.5-8b-a1b": KINDS,
    "ling-3.0-flash": KINDS,
    "llama-3.2-11b-vision": "layers that attend to images alone",
    "deepseek-v4-flash": "compressed KV",
    "deepseek-v4-pro": "compressed KV",
    "llama-3.3-nemotron-super-49b": "layers of unlike width, some without attention",
}
"""Models whose parameters do not follow from one shape of a layer."""
BESIDE = {
    "gemma-3-4b": "a vision tower of 0.42",
    "gemma-3-12b": "a vision tower of 0.42",
    "gemma-4-31b": "wider heads in global layers, a vision tower",
    "gemma-4-26b-a4b": "wider heads in global layers, a vision tower",
    "mimo-7b": "a draft layer of 0.2",
    "mistral-medium-3.5-128b": "a vision tower of 2.7",
    "muse-glimmer-30b": "a vision tower of 1.9",
    "qwen3-vl-2b": "a vision tower of 0.4",
    "qwen3.5-4b": "the name says 4 of 4.2",
    "qwen3.5-0.8b": "the name says 0.8 of 0.75 and a vision tower of 0.1",
}
"""What the published total counts besides, where that is more than 2 %."""


def written(folder: Path, config: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("llama-3.1-8b", LLAMA),
        ("mixtral-8x7b", MIXTRAL),
        ("deepseek-v3", DEEPSEEK),
        ("qwen3-next-80b-a3b", QWEN3_NEXT),
        ("nemotron-3-nano-30b-a3b", NEMOTRON),
        ("kimi-k3", KIMI_K3),
        ("minimax-text-01", MINIMAX_TEXT_01),
        ("granite-4.0-h-small", GRANITE),
        ("lfm2-8b-a1b", LFM2),
        ("nemotron-3-nano-4b", NEMOTRON_NANO),
        ("hy3", HY3),
        ("deepseek-v4-flash", DEEPSEEK_V4),
        ("deepseek-v3.2", DEEPSEEK_V32),
        ("glm-5.2", GLM_52),
        ("minimax-m3", MINIMAX_M3),
    ],
)
def test_the_catalogues_models_of_every_kind_are_found_again(
    tmp_path: Path, name: str, config: dict[str, Any]
) -> None:
    found, known = read(written(tmp_path, config), name).model, tables.load().model(name)
    for field in ("parameters_b", "active_parameters_b", "kv_bytes_per_token_16bit"):
        assert getattr(found, field) == pytest.approx(getattr(known, field), rel=0.02)
    for field in ("layers", "hidden", "heads", "vocabulary", "experts", "active_experts", "latent_kv"):
        assert getattr(found, field) == getattr(known, field)
    for field in ("windowed_layers", "window_tokens", "state_bytes"):
        assert getattr(found, field) == getattr(known, field)
    assert alike(found.selection, known.selection)
    assert known.parameters_b == pytest.approx(float(ROWS[name]["published_b"]), rel=0.02)


def alike(found: Selection | None, known: Selection | None) -> bool:
    """Whether two are the same but for digits that a table has no room for."""
    if found is None or known is None:
        return found is known
    return asdict(found) == pytest.approx(asdict(known), rel=1e-5)


@pytest.mark.parametrize(
    ("config", "by_hand"),
    [
        (LLAMA, 0),
        (QWEN3_NEXT, 36 * (32 * 128 * 128 * 2 + 3 * (2 * 16 * 128 + 32 * 128) * 2)),
        (
            {**QWEN3_NEXT, "mamba_ssm_dtype": "float32"},
            36 * (32 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 32 * 128) * 2),
        ),
        (NEMOTRON, 23 * (64 * 64 * 128 * 4 + 3 * (64 * 64 + 2 * 8 * 128) * 2)),
        (KIMI_K3, 69 * (96 * 128 * 128 * 4 + 3 * 3 * 96 * 128 * 2)),
        (MINIMAX_TEXT_01, 70 * 64 * 128 * 128 * 2),
        (GRANITE, 36 * (128 * 64 * 128 * 2 + 3 * (128 * 64 + 2 * 128) * 2)),
        (LFM2, 18 * 2 * 2048 * 2),
        (DEEPSEEK_V4, 43 * 128 * 512 * 2),
    ],
)
def test_the_state_of_layers_without_kv_follows_from_their_heads(
    tmp_path: Path, config: dict[str, Any], by_hand: int
) -> None:
    assert read(written(tmp_path, config), "mine").model.state_bytes == by_hand


def test_compressed_kv_grows_by_the_part_of_an_entry_that_a_token_is(tmp_path: Path) -> None:
    found = read(written(tmp_path, DEEPSEEK_V4), "mine").model
    assert found.kv_bytes_per_token_16bit == 21 * 512 * 2 / 4 + 20 * 512 * 2 / 128
    assert found.native is Precision.FP4


@pytest.mark.parametrize(
    ("config", "by_hand"),
    [
        (LLAMA, None),
        ({**DEEPSEEK, "index_topk": None}, None),
        (
            DEEPSEEK_V32,
            Selection(
                tokens=2048,
                index_bytes=61 * (128 + 4),
                attention=128 * (512 + 64 + 512) / 2,
                other_attention=64 * 128 / 4,
            ),
        ),
        (
            GLM_52,
            Selection(
                tokens=2048,
                index_bytes=21 * (128 + 4),
                attention=64 * (512 + 64 + 512) / 2,
                other_attention=32 * 128 / 4 * 21 / 78,
            ),
        ),
        (
            MINIMAX_M3,
            Selection(
                tokens=16 * 128,
                index_bytes=57 * 128 * 2,
                kv_share=57 / 60,
                attention=57 / 60 * 64 * 128,
                other_attention=3 / 60 * 64 * 128 + 57 / 60 * 4 * 128 / 2,
            ),
        ),
        (
            DEEPSEEK_V4,
            Selection(
                tokens=4 * 512,
                index_bytes=21 * (128 + 4) / 4,
                kv_share=(21 / 4) / (21 / 4 + 20 / 128),
                attention=21 / 4 * 64 * 512 / 43,
                other_attention=(20 / 128 * 64 * 512 + 21 / 4 * 64 * 128 / 4) / 43,
            ),
        ),
    ],
)
def test_what_sparse_attention_reads_and_computes_follows_from_its_index(
    tmp_path: Path, config: dict[str, Any], by_hand: Selection | None
) -> None:
    assert alike(read(written(tmp_path, config), "mine").model.selection, by_hand)


def test_an_index_has_parameters_in_the_layers_that_have_one(tmp_path: Path) -> None:
    plain, indexed = (read(written(tmp_path, c), "mine").model for c in (DEEPSEEK, DEEPSEEK_V32))
    each = 1536 * 64 * 128 + 7168 * (128 + 64)
    assert indexed.parameters_b - plain.parameters_b == pytest.approx(61 * each / 1e9)
    assert indexed.active_parameters_b - plain.active_parameters_b == pytest.approx(61 * each / 1e9)


@pytest.mark.parametrize("missing", ["index_n_heads", "index_head_dim"])
def test_an_index_that_lacks_a_size_is_named(tmp_path: Path, missing: str) -> None:
    with pytest.raises(HetopsError, match=missing):
        read(written(tmp_path, {**DEEPSEEK_V32, missing: None}), "mine")


@pytest.mark.parametrize("name", [name for name in ROWS if name not in UNCOUNTED])
def test_every_model_has_the_parameters_that_its_shape_tells_and_its_makers_print(
    tmp_path: Path, name: str
) -> None:
    row, known = ROWS[name], tables.load().model(name)
    found = read(written(tmp_path, {"text_config": config_of(row)}).parent, name)
    assert found.model.parameters_b == pytest.approx(known.parameters_b, rel=0.01)
    assert found.model.active_parameters_b == pytest.approx(known.active_parameters_b, rel=0.01)
    assert found.model.kv_bytes_per_token_16bit == pytest.approx(known.kv_bytes_per_token_16bit)
    for field in ("windowed_layers", "window_tokens", "state_bytes", "tied_embeddings", "latent_kv"):
        assert getattr(found.model, field) == getattr(known, field)
    assert alike(found.model.selection, known.selection)
    off = abs(found.model.parameters_b / float(row["published_b"]) - 1.0)
    assert (off > 0.02) == (name in BESIDE), f"{off:.1%}"
    assert found.checkpoint.precision is Precision.BF16


WINDOW = {"sliding_window": 1024}


@pytest.mark.parametrize(
    ("told", "windowed", "window"),
    [
        ({"sliding_window": None}, 0, 0),
        (WINDOW, 32, 1024),
        ({**WINDOW, "use_sliding_window": False}, 0, 0),
        ({**WINDOW, "use_sliding_window": True, "max_window_layers": 20}, 12, 1024),
        ({"sliding_window": 131072}, 0, 0),
        ({**WINDOW, "model_type": "gemma2"}, 16, 1024),
        ({**WINDOW, "model_type": "gemma3_text"}, 27, 1024),
        ({**WINDOW, "sliding_window_pattern": 4}, 24, 1024),
        ({**WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 16}, 16, 1024),
        ({**WINDOW, "layer_types": ["full_attention"] * 32}, 0, 0),
        ({**WINDOW, "hybrid_layer_pattern": [0, 1, 1, 1] * 8}, 24, 1024),
        ({"attention_chunk_size": 8192, "model_type": "llama4_text"}, 24, 8192),
        ({"layer_types": ["linear_attention"] * 24 + ["full_attention"] * 8}, 24, 0),
        ({"full_attention_interval": 4}, 24, 0),
    ],
)
def test_windows_are_those_that_the_file_or_its_architecture_tells(
    tmp_path: Path, told: dict[str, Any], windowed: int, window: int
) -> None:
    found = read(written(tmp_path, {**LLAMA, **told}), "mine").model
    assert (found.windowed_layers, found.window_tokens) == (windowed, window)


def test_attention_that_is_not_converted_stays_in_16_bit(tmp_path: Path) -> None:
    left = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    found = read(written(tmp_path, {**LLAMA, "quantization_config": left}), "mine").model
    assert found.native is Precision.FP4
    assert found.attention_16bit_b == pytest.approx(32 * 2 * 4096 * 128 * 40 / 1e9)
    left["modules_to_not_convert"] = ["lm_head"]
    assert (
        read(written(tmp_path, {**LLAMA, "quantization_config": left}), "mine").model.attention_16bit_b == 0
    )


def test_layers_with_experts_may_be_told_one_by_one(tmp_path: Path) -> None:
    experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 1024}
    listed, every_second = (
        read(written(tmp_path, {**LLAMA, **experts, **told}), "mine").model.parameters_b
        for told in (
            {"moe_layer_freq": [0, 1] * (LLAMA["num_hidden_layers"] // 2)},
            {"decoder_sparse_step": 2},
        )
    )
    assert listed == every_second


@pytest.mark.parametrize(
    "told", [{"mlp_layer_types": ["dense"] * 3 + ["sparse"] * 29}, {"num_dense_layers": 3}]
)
def test_the_first_layers_without_experts_are_told_by_several_keys(
    tmp_path: Path, told: dict[str, Any]
) -> None:
    experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 1024}
    found, known = (
        read(written(tmp_path, {**LLAMA, **experts, **keys}), "mine").model
        for keys in (told, {"first_k_dense_replace": 3})
    )
    assert (found.parameters_b, found.active_parameters_b) == (known.parameters_b, known.active_parameters_b)
    assert found.parameters_b > read(written(tmp_path, {**LLAMA, **experts}), "mine").model.parameters_b


def group(bits: int, kind: str, activations: object = None) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": kind}
    return {"config_groups": {"group_0": {"weights": weights, "input_activations": activations}}}


@pytest.mark.parametrize(
    ("quantization", "stored"),
    [
        ({"quant_method": "compressed-tensors", **group(4, "int")}, Precision.INT4),
        ({"quant_method": "compressed-tensors", **group(8, "int", {"num_bits": 8})}, Precision.INT8),
        ({"quant_method": "compressed-tensors", **group(8, "int")}, Precision.INT8_WEIGHTS),
        ({"quant_method": "compressed-tensors", **group(8, "float")}, Precision.FP8),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", **group(4, "float")}, Precision.FP4),
        ({"quant_method": "gptq", "bits": 8}, Precision.INT8_WEIGHTS),
        ({"quant_method": "awq", "bits": 4}, Precision.INT4),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, Precision.INT4),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, Precision.INT8_WEIGHTS),
        ({"quant_method": "fp8", "config_groups": []}, Precision.FP8),
    ],
)
def test_quantized_weights_have_the_bits_that_the_file_tells(
    tmp_path: Path, quantization: dict[str, Any], stored: Precision
) -> None:
    found = read(written(tmp_path, {**LLAMA, "quantization_config": quantization}), "mine")
    assert found.checkpoint.precision is stored
    of_bitsandbytes = quantization["quant_method"] == "bitsandbytes"
    assert found.checkpoint.format == ("bitsandbytes" if of_bitsandbytes else "")


@pytest.mark.parametrize("told", ["int4", [4], {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}])
def test_bits_that_the_file_does_not_tell_are_not_guessed(tmp_path: Path, told: object) -> None:
    with pytest.raises(HetopsError, match="no config_groups tell its bits"):
        read(written(tmp_path, {**LLAMA, "quantization_config": told}), "mine")


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size"])
def test_a_key_that_is_missing_or_no_number_is_named_with_the_file(tmp_path: Path, key: str) -> None:
    file = written(tmp_path, {k: v for k, v in LLAMA.items() if k != key})
    with pytest.raises(HetopsError, match=f"config.json: the key {key} is missing"):
        read(file, "mine")
    with pytest.raises(HetopsError, match=f"{key} must be a whole number"):
        read(written(tmp_path, {**LLAMA, key: "many"}), "mine")


def test_what_is_no_config_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match="no such file"):
        read(tmp_path / "absent.json", "mine")
    (tmp_path / "text.json").write_text("{", encoding="utf-8")
    with pytest.raises(HetopsError, match="no JSON"):
        read(tmp_path / "text.json", "mine")
    with pytest.raises(HetopsError, match="not an object"):
        read(written(tmp_path, [1]), "mine")
    with pytest.raises(HetopsError, match="num_experts_per_tok"):
        read(written(tmp_path, {**LLAMA, "num_experts": 8}), "mine")
    with pytest.raises(HetopsError, match="quant_method 'hqq' is not known"):
        read(written(tmp_path, {**LLAMA, "quantization_config": {"quant_method": "hqq"}}), "mine")
