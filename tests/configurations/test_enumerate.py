"""Every combination is kept or refused with a reason."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hetops.catalog import tables
from hetops.configurations.engines import BUILT_IN
from hetops.configurations.enumerate import (
    Enumeration,
    Rules,
    Space,
    Why,
    context_needed,
    enumerate_configurations,
    runs,
)
from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Precision
from hetops.performance.replica import Replica, computes_in
from hetops.plugin.engine import EngineNeeds

CATALOG = tables.load()
GPUS = {g.name: g for g in CATALOG.gpu_types}
LLAMACPP = EngineNeeds(
    gpu_vendors=frozenset({"cpu"}),
    precisions=frozenset({"q4_k_m"}),
    max_sequences=(1, 4),
    tensor_parallel=(1, 2),
)


OLDER = replace(BUILT_IN["vllm"], least_compute_capability=0.0)
"""An engine like vLLM that has kernels for every GPU of its vendors."""


def found(
    model: str,
    gpus: dict[str, int],
    rules: Rules | None = None,
    fits: object = None,
    vllm: EngineNeeds = BUILT_IN["vllm"],
) -> Enumeration:
    space = Space(
        model=CATALOG.model(model),
        checkpoints=CATALOG.checkpoints_of(model),
        engines={"vllm": vllm, "llamacpp": LLAMACPP},
        gpus=GPUS,
        largest_node=gpus,
    )
    return enumerate_configurations(
        space, rules or Rules(max_context_tokens=4096), fits or (lambda _c, _g: "")
    )  # type: ignore[arg-type]


def precisions(e: Enumeration) -> set[Precision]:
    return {c.weights for c in e.configurations}


@pytest.mark.parametrize(
    ("gpu", "kept"),
    [
        ("H100-SXM", {"bf16", "fp8", "int8", "w8a16", "int4"}),
        ("A100-80GB-SXM", {"bf16", "fp8", "int8", "w8a16", "int4"}),
        ("T4", {"fp16", "fp8", "int8", "w8a16", "int4"}),
        ("V100-32GB-SXM2", {"fp16", "w8a16"}),
        ("B200", {"bf16", "fp8", "w8a16", "int4"}),
        ("RTX5090", {"bf16", "fp8", "w8a16", "int4"}),
        ("MI300X", {"bf16", "fp8"}),
        ("MI250", {"bf16"}),
    ],
)
def test_precisions_follow_the_hardware(gpu: str, kept: set[str]) -> None:
    assert {str(p) for p in precisions(found("llama-3.1-70b", {gpu: 8}, vllm=OLDER))} == kept


def started(engine: str) -> dict[str, str]:
    """The GPU types that an engine is offered, and why those do not start it that do not."""
    space = Space(
        model=CATALOG.model("qwen2.5-7b"),
        checkpoints=CATALOG.checkpoints_of("qwen2.5-7b"),
        engines={engine: BUILT_IN[engine]},
        gpus=GPUS,
        largest_node={name: 8 for name, gpu in GPUS.items() if gpu.vendor in ("nvidia", "amd")},
    )
    tried = enumerate_configurations(space, Rules(max_context_tokens=4096), lambda _c, _g: "")
    kept = dict.fromkeys((c.gpu for c in tried.configurations), "")
    return kept | {r.subject: r.reason for r in tried.refusals if Why.NO_KERNELS in r.reason}


def test_an_engine_is_planned_on_gpus_that_it_has_kernels_for_as_it_is_shipped_and_others_say_what_they_lack() -> (
    None
):
    volta = {name for name in GPUS if name.startswith("V100")}
    turing = {"T4", "RTX6000-Turing", "RTX8000-Turing", "RTX2080Ti"}
    others_of_amd = {"MI250", "MI250X", "MI210", "RX7900XTX", "W7900", "R9700"}
    vllm, sglang = started("vllm"), started("sglang")
    assert {name for name, why in vllm.items() if why} == volta
    assert {name for name, why in sglang.items() if why} == volta | turing | others_of_amd
    told = f"vllm: {Why.NO_KERNELS} (compute capability 7.0, it wants 7.5 or more)"
    assert vllm["V100-32GB-SXM2"] == told
    told = f"sglang: {Why.NO_KERNELS} (architecture gfx90a, it has those for gfx942, gfx950)"
    assert sglang["MI250"] == told


def test_a_part_of_any_other_vendor_is_asked_for_its_arithmetic_and_not_for_a_capability() -> None:
    other = replace(CATALOG.gpu("MI300X"), vendor="another", compute_capability="one of its own")
    assert {p for p in Precision if runs(p, other)} == {Precision.BF16, Precision.FP16, Precision.FP8}


@pytest.mark.parametrize(
    ("gpu", "others", "published"),
    [
        ("V100-32GB-SXM2", False, False),
        ("T4", True, False),
        ("A100-80GB-SXM", True, True),
        ("H100-SXM", True, True),
        ("B200", True, True),
        ("MI250", False, False),
        ("MI300X", False, True),
    ],
)
def test_fp4_runs_where_the_gpu_has_it_and_where_the_makers_published_it_on_others_too(
    gpu: str, others: bool, published: bool
) -> None:
    assert runs(Precision.FP4, GPUS[gpu]) is others
    assert runs(Precision.FP4, GPUS[gpu], Precision.FP4) is published


def test_the_page_says_what_runs_where_as_the_planner_has_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "performance-model.md").read_text(encoding="utf-8")
    header, _, *rows = re.findall(r"^\|.*\|$", page.partition("### What runs where")[2], re.MULTILINE)[:8]
    told = [[cell.strip() for cell in row.strip("|").split("|")] for row in (header, *rows)]
    names = [cell.rpartition("(")[2].rstrip(")") for cell in told[0][1:]]
    assert len(rows) == 6
    assert all(not started("vllm").get(name, "") for name in names)
    for precision, *cells in told[1:]:
        for gpu, cell in zip((GPUS[name] for name in names), cells, strict=True):
            format = Precision(precision.strip("`"))
            r = Replica(gpu=gpu, model=CATALOG.model("llama-3.1-8b"), weights=format)
            native = computes_in(r) is format
            expected = ("yes" if native else "in 16 bit") if runs(format, gpu) else "no"
            assert cell == expected, (precision, gpu.name)


def test_a_precision_that_is_asked_for_and_has_no_checkpoint_is_told_first() -> None:
    asked = Rules(max_context_tokens=4096, precisions=(Precision.FP4, Precision.FP8, Precision.FP16))
    tried = found("qwen2.5-72b", {"B200": 8}, asked)
    assert precisions(tried) == {Precision.FP8, Precision.BF16}
    told = [r for r in tried.refusals if Why.NO_CHECKPOINT in r.reason]
    assert told == [tried.refusals[0]]
    assert (told[0].subject, told[0].reason) == ("qwen2.5-72b", "fp4: no checkpoint is known")


def of_eight_bits(needs: EngineNeeds, *formats: str) -> Enumeration:
    """Llama 3 8B on an L4, from checkpoints of INT8 weights that are stored so, in this order."""
    base = CATALOG.checkpoints_of("llama-3-8b")[0]
    eight = tuple(
        replace(base, precision=Precision.INT8_WEIGHTS, format=one, reference=one or "plain")
        for one in formats
    )
    space = Space(
        model=CATALOG.model("llama-3-8b"),
        checkpoints=(base, *eight),
        engines={"vllm": needs},
        gpus=GPUS,
        largest_node={"L4": 1},
    )
    asked = Rules(max_context_tokens=4096, precisions=(Precision.INT8_WEIGHTS,))
    return enumerate_configurations(space, asked, lambda _c, _g: "")


def test_weights_of_a_format_that_an_engine_does_not_read_are_refused_with_it() -> None:
    vllm = BUILT_IN["vllm"]
    refused = of_eight_bits(vllm, "bitsandbytes")
    assert refused.configurations == ()
    told = f"w8a16: {Why.FORMAT} bitsandbytes"
    assert [(r.subject, r.reason) for r in refused.refusals if Why.FORMAT in r.reason] == [("L4", told)]
    assert not any(Why.NO_CHECKPOINT in r.reason for r in refused.refusals)
    packaged = of_eight_bits(replace(vllm, formats=frozenset({"bitsandbytes"})), "bitsandbytes", "")
    assert {c.checkpoint for c in packaged.configurations} == {"bitsandbytes"}, "the first that it reads"


@pytest.mark.parametrize("formats", [("", "bitsandbytes"), ("bitsandbytes", "")])
def test_of_several_checkpoints_of_a_precision_one_that_the_engine_reads_is_taken(
    formats: tuple[str, ...],
) -> None:
    tried = of_eight_bits(BUILT_IN["vllm"], *formats)
    assert {c.checkpoint for c in tried.configurations} == {"plain"}
    assert not any(Why.FORMAT in r.reason for r in tried.refusals)


@pytest.mark.parametrize("asked", [Precision.FP16, Precision.BF16])
def test_16_bit_is_one_precision_whichever_format_is_asked_for(asked: Precision) -> None:
    tried = found(
        "llama-3.1-8b",
        {"H100-SXM": 1, "T4": 1},
        Rules(max_context_tokens=4096, precisions=(asked,)),
    )
    assert {(c.gpu, c.weights) for c in tried.configurations} == {
        ("H100-SXM", Precision.BF16),
        ("T4", Precision.FP16),
    }


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        ("deepseek-v3.2", {"H200-SXM", "B200", "MI300X"}),
        ("deepseek-v4-flash", {"H200-SXM", "B200", "MI300X"}),
        ("deepseek-v3.1", {"A100-80GB-SXM", "L40S", "H200-SXM", "B200", "RTXPRO6000-Server", "MI300X"}),
    ],
)
def test_sparse_attention_is_planned_where_its_kernels_run(model: str, kept: set[str]) -> None:
    gpus = dict.fromkeys(("A100-80GB-SXM", "L40S", "H200-SXM", "B200", "RTXPRO6000-Server", "MI300X"), 8)
    tried = found(model, gpus, Rules(max_context_tokens=4096))
    assert {c.gpu for c in tried.configurations} == kept
    refused = {r.subject for r in tried.refusals if r.reason == Why.ATTENTION}
    assert refused == (set(gpus) - kept if "v3.1" not in model else set())


def test_int8_weights_are_planned_wherever_the_engine_starts_if_a_checkpoint_has_them() -> None:
    asked = Rules(max_context_tokens=4096, precisions=(Precision.INT8_WEIGHTS,))
    gpus = {"V100-32GB-SXM2": 1, "T4": 1, "H100-SXM": 1, "B200": 1}
    assert {c.gpu for c in found("qwen2.5-7b", gpus, asked).configurations} == {"T4", "H100-SXM", "B200"}
    assert {c.gpu for c in found("qwen2.5-7b", gpus, asked, vllm=OLDER).configurations} == set(gpus)


def test_int4_needs_a_large_model_or_the_users_word() -> None:
    assert Precision.INT4 not in precisions(found("llama-3.1-8b", {"H100-SXM": 1}))
    asked = Rules(max_context_tokens=4096, precisions=(Precision.INT4,))
    assert precisions(found("llama-3.1-8b", {"H100-SXM": 1}, asked)) == {Precision.INT4}
    long = Rules(max_context_tokens=65_536, input_tokens_p90=40_000)
    assert Precision.INT4 not in precisions(found("llama-3.1-70b", {"H100-SXM": 8}, long))


def test_parallelism_stays_within_a_node_and_divides_the_heads() -> None:
    kept = found("llama-3.1-70b", {"H100-SXM": 4}).configurations
    assert max(c.gpu_count for c in kept) == 4
    qwen = found("qwen2.5-0.5b", {"H100-SXM": 8})  # 14 heads
    assert {c.tensor_parallel for c in qwen.configurations} == {1, 2}
    assert any(r.reason == Why.PARALLELISM for r in qwen.refusals)


def test_refusals_for_memory_are_counted_with_one_case_and_its_numbers() -> None:
    def fits(configuration: Configuration, gpu: GpuType) -> str:
        return f"{gpu.name} lacks 5 GB" if configuration.weights is Precision.BF16 else ""

    e = found("llama-3.1-70b", {"L4": 1}, fits=fits)
    (memory,) = [r for r in e.refusals if r.reason.startswith(Why.MEMORY)]
    assert memory.reason == "does not fit into memory: L4 lacks 5 GB"
    assert memory.count == 1


def test_threads_and_slots_make_unequal_configurations_of_a_host_core() -> None:
    kept = found("gemma-3-270m", {"CPU": 2}).configurations
    assert {(c.tensor_parallel, c.max_sequences) for c in kept} == {(1, 1), (1, 4), (2, 1), (2, 4)}
    assert {c.engine for c in kept} == {"llamacpp"}


def test_the_context_is_what_is_asked_else_what_the_longest_requests_need() -> None:
    model = CATALOG.model("llama-3-8b")
    assert context_needed([3000.0, 100.0], None, model) == 3072
    assert context_needed([3000.0], 4096, model) == 4096
    assert context_needed([30_000.0], None, model) == model.context_tokens


@pytest.mark.parametrize(
    ("model", "groups"),
    [("deepseek-r1", {1, 2, 4, 8}), ("qwen3-235b-a22b", {1}), ("llama-3.1-8b", {1})],
)
def test_mixtures_with_latent_kv_are_laid_out_with_attention_in_data_parallel_too(
    model: str, groups: set[int]
) -> None:
    """Other models divide their KV by heads, or have no experts that would lie over all GPUs."""
    kept = found(model, {"H200-SXM": 8}).configurations
    assert {c.attention_data_parallel for c in kept} == groups
    for c in (c for c in kept if c.attention_data_parallel > 1):
        assert c.tensor_parallel == c.attention_data_parallel
        assert c.max_sequences == 256 * c.attention_data_parallel
