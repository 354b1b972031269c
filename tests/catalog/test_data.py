"""The shipped figures are plausible, told once, and say where they come from."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from hetops.catalog import tables
from hetops.catalog.list_prices import list_prices
from hetops.catalog.tables import DATA
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model, Precision
from tests.doubles.providers import NOW

CATALOG = tables.load()
TABLES = sorted(p.stem for p in DATA.glob("*.csv"))
SOURCES = (DATA / "SOURCES.md").read_text(encoding="utf-8")
COMPRESSED = {"deepseek-v4-flash", "deepseek-v4-pro"}
LATENT_ATTENTION = {row["model"] for row in tables.rows("models") if row["mla_kv_lora"]} | COMPRESSED
"""Their KV cache holds one compressed vector a token, or for some, not keys and values a head."""


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_in_the_list_of_sources_with_its_licence(table: str) -> None:
    (line,) = (line for line in SOURCES.splitlines() if line.startswith(f"| {table}.csv |"))
    what, source, licence = (cell.strip() for cell in line.strip("|").split("|")[1:])
    assert all((what, source, licence))


@pytest.mark.parametrize("table", ["gpus", "models", "perf_calibration"])
def test_the_list_of_sources_counts_right(table: str) -> None:
    (line,) = (line for line in SOURCES.splitlines() if line.startswith(f"| {table}.csv |"))
    told = re.search(r"\| ([\d,]+) ", line)
    assert told is not None
    assert int(told.group(1).replace(",", "")) == len(tables.rows(table))


@pytest.mark.parametrize("table", TABLES)
def test_no_row_has_a_cell_too_many_or_too_few(table: str) -> None:
    for row in tables.rows(table):
        assert None not in row, row
        assert None not in row.values(), row


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("gpus", "verification"),
        ("models", "source"),
        ("models", "licence"),
        ("checkpoints", "source"),
        ("checkpoints", "licence"),
        ("instance_types", "source"),
        ("perf_calibration", "source"),
        ("perf_calibration", "quality"),
    ],
)
def test_every_row_says_where_it_comes_from(table: str, column: str) -> None:
    assert [row for row in tables.rows(table) if not row[column].strip()] == []


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("gpus", ("gpu",)),
        ("models", ("model",)),
        ("checkpoints", ("model", "precision", "reference")),
        ("instance_types", ("provider", "instance_type", "region")),
        ("perf_calibration", ("id",)),
    ],
)
def test_nothing_is_told_twice(table: str, key: tuple[str, ...]) -> None:
    counts = Counter(tuple(row[column] for column in key) for row in tables.rows(table))
    assert {k: n for k, n in counts.items() if n > 1} == {}


@pytest.mark.parametrize("gpu", CATALOG.gpu_types, ids=lambda g: g.name)
def test_the_figures_of_a_gpu_type_are_of_this_world(gpu: GpuType) -> None:
    assert gpu.vendor in {"nvidia", "amd", "intel", "google", "cpu"}
    assert gpu.form_factor
    assert gpu.interconnect
    if gpu.vendor == "cpu":
        return
    assert 10 <= gpu.memory_gb <= 400
    assert 200 <= gpu.bandwidth_gb_per_second <= 10_000
    assert 20 <= gpu.fp16_tflops <= 5_000
    assert gpu.bf16_tflops in (None, gpu.fp16_tflops)
    speeds = [s for s in (gpu.fp16_tflops, gpu.fp8_tflops, gpu.fp4_tflops) if s is not None]
    assert speeds == sorted(speeds), "fewer bits are never slower"
    assert gpu.int8_tops is None or gpu.int8_tops < 20 * gpu.fp16_tflops
    assert gpu.memory_bytes <= gpu.memory_gb * 1.075e9


def test_cards_for_games_and_the_a10g_have_no_peer_copies() -> None:
    without = {g.name for g in CATALOG.gpu_types if not g.peer_to_peer}
    assert {"RTX4090", "RTX5090", "A10G"} < without
    assert without.isdisjoint({"L40S", "A6000", "RTX6000-Ada", "RTXPRO6000-Server", "A100-80GB-PCIe", "CPU"})


def test_parts_whose_matrix_rate_is_halved_are_told_by_their_ratio_to_plain_arithmetic() -> None:
    """NVIDIA's GeForce, A10G, L40 and L20 sum products in 32 bit at half of their units' rate, H20 has a quarter; their kin have all of it."""
    less = {g.name: g.units_tflops / g.fp16_tflops for g in CATALOG.gpu_types if g.units_tflops}
    games = {
        g.name
        for g in CATALOG.gpu_types
        if g.name.startswith(("RTX20", "RTX30", "RTX40", "RTX50")) and "-Ada" not in g.name
    }
    assert less.keys() == games | {"A10G", "L40", "L20", "H20", "H20-141GB"}
    assert all(
        ratio == pytest.approx(4.0 if name.startswith("H20") else 2.0, rel=0.02)
        for name, ratio in less.items()
    )
    assert CATALOG.gpu("L40").units_tflops == CATALOG.gpu("L40S").fp16_tflops


@pytest.mark.parametrize("gpu", [g for g in CATALOG.gpu_types if g.vendor == "nvidia"], ids=lambda g: g.name)
def test_a_format_is_there_from_its_generation_on(gpu: GpuType) -> None:
    generation = float(gpu.compute_capability)
    assert (gpu.bf16_tflops is not None) == (generation >= 8.0)
    assert (gpu.fp8_tflops is not None) == (generation >= 8.9)
    assert (gpu.fp4_tflops is not None) == (generation >= 10.0)


@pytest.mark.parametrize("model", CATALOG.models, ids=lambda m: m.name)
def test_the_shape_of_a_model_hangs_together(model: Model) -> None:
    per_head = 2 * 2 * model.layers * model.kv_heads * model.head_size
    if model.name in LATENT_ATTENTION:
        assert model.kv_bytes_per_token_16bit < per_head / 5
    else:
        assert model.kv_bytes_per_token_16bit == per_head
    assert model.kv_heads <= model.heads
    assert model.heads % model.kv_heads == 0
    assert 0 < model.active_parameters_b <= model.parameters_b
    assert (model.active_parameters_b < model.parameters_b) <= bool(model.experts)
    assert model.active_experts <= model.experts
    embedding_b = model.vocabulary * model.hidden / 1e9
    assert embedding_b < model.parameters_b
    assert model.context_tokens >= 1024
    assert 0 <= model.windowed_layers <= model.layers
    assert model.window_tokens < model.context_tokens
    assert model.attention_16bit_b < model.active_parameters_b
    assert model.licence


def test_what_a_checkpoint_weighs_fits_its_models_parameters() -> None:
    for checkpoint in CATALOG.checkpoints:
        weight = CATALOG.model(checkpoint.model).parameters_b * checkpoint.precision.bytes_per_value
        assert checkpoint.gigabytes is None or 0.8 * weight < checkpoint.gigabytes < 2 * weight, checkpoint
        assert re.fullmatch(r"[\w.-]+/[\w.-]+|package:[\w-]+", checkpoint.reference), checkpoint


def test_checkpoints_are_known_once_and_those_of_bitsandbytes_have_eight_bits() -> None:
    each = [(c.model, c.precision, c.reference) for c in CATALOG.checkpoints]
    assert len(each) == len(set(each))
    assert all(c.licence and c.source for c in CATALOG.checkpoints)
    stored = {(c.format, c.precision) for c in CATALOG.checkpoints if c.format}
    assert stored == {("bitsandbytes", Precision.INT8_WEIGHTS)}
    named = [c for c in CATALOG.checkpoints if re.search("bnb|8bit", c.reference, re.IGNORECASE)]
    assert len(named) > 10
    assert {c.format for c in named} == {"bitsandbytes"}


def test_prices_are_within_reason_and_not_of_the_future() -> None:
    for offer in list_prices(CATALOG).offers:
        per_gpu = float(offer.usd_per_hour) / offer.gpu_count
        assert 0.1 < per_gpu < 25, offer.id
        assert offer.observed_at < NOW, offer.id
        assert offer.observed_at.year >= 2025, offer.id
        assert offer.gpu_count in {1, 2, 4, 8, 16}, offer.id
        assert offer.source
        assert offer.region


def test_more_of_the_same_gpus_never_cost_less() -> None:
    """In one family of one provider, on one market and in one region."""
    prices: dict[tuple[str, ...], list[tuple[int, float]]] = {}
    for o in list_prices(CATALOG).offers:
        family = re.sub(r"\d+", "#", o.sku)
        prices.setdefault((o.provider, family, o.gpu, o.region, o.market), []).append(
            (o.gpu_count, float(o.usd_per_hour))
        )
    for family, known in prices.items():
        cheapest = {count: min(p for c, p in known if c == count) for count, _ in known}
        assert list(dict(sorted(cheapest.items())).values()) == sorted(cheapest.values()), family


def test_a_machine_types_gpu_memory_is_that_of_its_gpu_type() -> None:
    known = {g.name: g.memory_gb for g in CATALOG.gpu_types}
    for row in tables.rows("instance_types"):
        whole = row["gpu_count"].isdigit() and row["gpu"] in known and row["gpu_memory_gb_each"]
        fraction = "not for LLM serving" in row["notes"]
        if whole and not fraction:
            assert float(row["gpu_memory_gb_each"]) == pytest.approx(known[row["gpu"]], rel=0.07), row


def test_measurements_are_of_known_models_above_zero_and_mostly_of_known_gpu_types() -> None:
    found = tables.rows("perf_calibration")
    assert {row["model"] for row in found} <= {m.name for m in CATALOG.models}
    unknown = {row["gpu"] for row in found} - {row["gpu"] for row in tables.rows("gpus")}
    assert unknown == {"RTX-3090", "RTX-4080"}, "written in another way"
    assert all(float(row["value"]) > 0 for row in found)
    assert {row["metric"] for row in found} == {"output_tok_s", "total_tok_s", "ttft_ms", "tpot_ms"}
