"""A model's shape out of a config.json: the catalogue's own models are found again, and what is wrong is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hetops.catalog import tables
from hetops.catalog.hub_config import read
from hetops.domain.model import Precision
from hetops.errors import HetopsError

ROWS = {row["model"]: row for row in tables.rows("models")}
LLAMA = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}
MIXTRAL = {
    **LLAMA,
    "vocab_size": 32000,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 32768,
}
DEEPSEEK = {
    "hidden_size": 7168,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 3,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 129280,
    "max_position_embeddings": 163840,
    "quantization_config": {"quant_method": "fp8"},
}


UNCOUNTED = {
    "tiny-llama": "made by whoever tests: nobody published its size",
    "nemotron-3-nano-30b-a3b": "layers of Mamba, of experts and of attention in turn",
    "nemotron-3-super-120b-a12b": "layers of Mamba, of experts and of attention in turn",
    "nemotron-nano-9b-v2": "layers of Mamba, of MLPs and of attention in turn",
    "llama-3.3-nemotron-super-49b": "layers of unlike width, some without attention",
}
"""Models whose parameters do not follow from one shape of a layer."""
BESIDE = {
    "gemma-3-4b": "a vision tower of 0.42",
    "gemma-3-12b": "a vision tower of 0.42",
    "gemma-4-31b": "wider heads in global layers, a vision tower",
    "gemma-4-26b-a4b": "wider heads in global layers, a vision tower",
    "mimo-7b": "a draft layer of 0.2",
}
"""What the published total counts besides, where that is more than 2 %."""
COLUMNS = {
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_dim",
    "intermediate_size": "ffn",
    "vocab_size": "vocab",
    "max_position_embeddings": "context",
    "num_experts": "moe_experts",
    "num_experts_per_tok": "moe_active",
    "moe_intermediate_size": "moe_ffn",
    "n_shared_experts": "moe_shared",
    "first_k_dense_replace": "dense_layers",
    "kv_lora_rank": "mla_kv_lora",
    "q_lora_rank": "mla_q_lora",
    "qk_rope_head_dim": "mla_rope",
    "qk_nope_head_dim": "mla_nope",
    "v_head_dim": "mla_v",
}


def config_of(row: dict[str, str]) -> dict[str, Any]:
    """A config.json that tells what a row of the catalogue does."""
    config: dict[str, Any] = {key: int(row[column]) for key, column in COLUMNS.items() if row[column]}
    config["tie_word_embeddings"] = row["tied_embeddings"] == "1"
    if "non-gated" in row["note"]:
        config["model_type"] = "opt"
    windowed, window = int(row["windowed_layers"] or 0), int(row["window_tokens"] or 0)
    kinds = ["sliding_attention" if window else "linear_attention"] * windowed
    config["layer_types"] = [*kinds, *["full_attention"] * (int(row["layers"]) - windowed)]
    config["sliding_window"] = window or None
    if row["linear_attention"]:
        keys, key_size, values, value_size = map(int, re.split("[x ]", row["linear_attention"]))
        config |= {"linear_num_key_heads": keys, "linear_key_head_dim": key_size, "attn_output_gate": True}
        config |= {"linear_num_value_heads": values, "linear_value_head_dim": value_size}
    return config


def written(folder: Path, config: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "config"), [("llama-3.1-8b", LLAMA), ("mixtral-8x7b", MIXTRAL), ("deepseek-v3", DEEPSEEK)]
)
def test_the_catalogues_dense_mixed_and_latent_models_are_found_again(
    tmp_path: Path, name: str, config: dict[str, Any]
) -> None:
    found, known = read(written(tmp_path, config), name).model, tables.load().model(name)
    for field in ("parameters_b", "active_parameters_b", "kv_bytes_per_token_16bit"):
        assert getattr(found, field) == pytest.approx(getattr(known, field), rel=0.02)
    for field in ("layers", "hidden", "heads", "vocabulary", "experts", "active_experts", "latent_kv"):
        assert getattr(found, field) == getattr(known, field)


@pytest.mark.parametrize("name", [name for name in ROWS if name not in UNCOUNTED])
def test_every_model_has_the_parameters_that_its_shape_tells_and_its_makers_print(
    tmp_path: Path, name: str
) -> None:
    row, known = ROWS[name], tables.load().model(name)
    found = read(written(tmp_path, {"text_config": config_of(row)}).parent, name)
    assert found.model.parameters_b == pytest.approx(known.parameters_b, rel=0.01)
    assert found.model.active_parameters_b == pytest.approx(known.active_parameters_b, rel=0.01)
    assert found.model.kv_bytes_per_token_16bit == pytest.approx(known.kv_bytes_per_token_16bit)
    for field in ("windowed_layers", "window_tokens", "tied_embeddings", "latent_kv"):
        assert getattr(found.model, field) == getattr(known, field)
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
