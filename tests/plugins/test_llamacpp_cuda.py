"""llama.cpp in containers on GPUs: planned where it is named, one GPU a replica, started as its server wants it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hetops_local.cuda import LlamaCppCuda

from hetops.app.candidates import Candidates, candidates
from hetops.app.plan import make_plan
from hetops.catalog import tables
from hetops.domain.model import Precision
from hetops.domain.performance import EvidenceLayer
from hetops.errors import HetopsError, InfeasibleError
from hetops.performance.estimate import calibration, replica_of
from hetops.performance.memory import fit, kv_bytes
from hetops.plugin import Launch, LaunchContext
from hetops.plugin.boot import Boot, boot_script, container_problem
from tests.doubles import plans, specs

CATALOG = tables.load()
NAMED = 'engine.names=["llamacpp-cuda"]'
SLOW = 'workload.classes=[{name="chat", requests_per_second=0.5, input_tokens=300, output_tokens=150}]'


def launched(weights: Precision = Precision.GGUF_Q4_K_M, **settings: object) -> Launch:
    configuration = replace(
        plans.configuration("L4", max_sequences=4),
        engine="llamacpp-cuda",
        weights=weights,
        checkpoint="bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
    )
    pool = replace(plans.pool(), configuration=configuration)
    return LlamaCppCuda().launch(LaunchContext(pool=pool, deployment="test", settings=settings))


def of_engine(folder: Path, *overrides: str) -> Candidates:
    return candidates(specs.asked(folder, specs.LISTED, *overrides))


def test_a_container_serves_all_layers_from_one_gpu_with_the_whole_context_in_every_slot() -> None:
    launch = launched()
    assert container_problem(launch) == ""
    assert launch.image.startswith("ghcr.io/ggml-org/llama.cpp:server-cuda-b")
    told = dict(zip(launch.argv, launch.argv[1:], strict=False))
    assert told["--hf-repo"] == "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M"
    assert told["--alias"] == "llama-3.1-8b"
    assert (told["--parallel"], told["--ctx-size"]) == ("4", str(4 * 8192))
    assert int(told["--n-gpu-layers"]) > max(model.layers for model in CATALOG.models)
    assert (told["--host"], told["--port"]) == (launch.host, str(launch.port))
    assert {"--no-kv-unified", "--metrics"} <= set(launch.argv)
    assert launched(Precision.GGUF_Q8_0).argv[1].endswith(":Q8_0")


def test_each_gpu_of_a_node_has_a_container_of_its_own() -> None:
    boot = Boot(node="n", launches=(launched(image="mine:1"),) * 2, gpus=2, networks=("203.0.113.7/32",))
    runs = [line for line in boot_script(boot).splitlines() if " docker run " in line]
    for index, line in enumerate(runs):
        words = shlex.split(line)
        assert words[words.index("--gpus") + 1] == f'"device={index}"'
        assert words[words.index("mine:1") + 1] == "--hf-repo"
    assert len(runs) == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [({"image": 7}, "image must name a container image, not 7"), ({"gguf": "x"}, "has no field 'gguf'")],
)
def test_a_setting_that_is_none_is_named(setting: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(HetopsError, match=told):
        launched(**setting)
    ((name, value),) = setting.items()
    shown = f'"{value}"' if isinstance(value, str) else value
    with pytest.raises(HetopsError, match=told):
        of_engine(tmp_path, NAMED, f"engine.settings.llamacpp-cuda.{name}={shown}")


def test_it_is_planned_with_where_it_is_named_alone(tmp_path: Path) -> None:
    every = {one.engine for one in of_engine(tmp_path, "engine.names=[]").enumeration.configurations}
    assert {"vllm", "sglang"} <= every
    assert "llamacpp-cuda" not in every
    named = of_engine(tmp_path, NAMED).enumeration.configurations
    assert {one.engine for one in named} == {"llamacpp-cuda"}
    assert {(one.gpu_count, one.weights) for one in named} == {(1, "q4_k_m")}
    assert {one.max_sequences for one in named} == {1, 4}
    assert all(CATALOG.device(one.gpu).vendor == "nvidia" for one in named)


def test_a_plan_says_that_nobody_measured_several_requests_at_once(tmp_path: Path) -> None:
    plan = make_plan(specs.asked(tmp_path, specs.LISTED, NAMED, SLOW))
    used = {pool.configuration.id for pool in plan.pools}
    assert {pool.configuration.checkpoint for pool in plan.pools} == {
        "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF"
    }
    evidence = [row.evidence for row in plan.performance if row.configuration in used]
    assert {one.layer for one in evidence} == {EvidenceLayer.PRIOR}
    assert {pool.configuration.max_sequences for pool in plan.pools} == {4}
    assert any("llama.cpp with several requests at once" in one for one in plan.warnings)


def test_a_model_without_gguf_and_a_floor_that_nobody_tested_say_so(tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError) as caught:
        make_plan(specs.asked(tmp_path, specs.LISTED, NAMED, 'model.name="qwen2-7b"'))
    assert "qwen2-7b: llamacpp-cuda: no checkpoint is known that this engine reads" in caught.value.details
    with pytest.raises(InfeasibleError) as caught:
        make_plan(specs.asked(tmp_path, specs.LISTED, NAMED, "model.quality_floor=0.98"))
    assert any("q4_k_m: 4-bit weights lose too much" in one for one in caught.value.details)
    asked = 'model.precisions=["q4_k_m"]'
    assert make_plan(
        specs.asked(tmp_path, specs.LISTED, NAMED, SLOW, "model.quality_floor=0.98", asked)
    ).pools


@pytest.mark.parametrize("slots", [1, 4])
def test_the_kv_of_all_slots_must_fit_at_once(slots: int) -> None:
    model, gpu = CATALOG.model("llama-3.1-8b"), CATALOG.gpu("T4")
    one = replace(
        plans.configuration("T4", max_sequences=slots),
        engine="llamacpp-cuda",
        weights=Precision.GGUF_Q4_K_M,
        max_context_tokens=256,
    )
    room = fit(one, model, gpu)
    most = int(room.kv_gb * 1e9 / kv_bytes(model, Precision.BF16) / slots)
    assert fit(replace(one, max_context_tokens=most - 8), model, gpu).reason == ""
    assert "do not fit" in fit(replace(one, max_context_tokens=most + 8), model, gpu).reason


@pytest.mark.parametrize(("gpu", "alone"), [("L4", "calibrated"), ("B200", "prior"), ("CPU", "prior")])
def test_lone_requests_are_calibrated_where_the_family_is_and_several_are_not(gpu: str, alone: str) -> None:
    one = replace(plans.configuration(gpu), engine="llamacpp-cuda", weights=Precision.GGUF_Q4_K_M)
    replica = replica_of(one, CATALOG.model("llama-3.1-8b"), CATALOG.gpu(gpu))
    assert calibration().layer(replica) == alone
    assert calibration().layer(replica, 4) == EvidenceLayer.PRIOR
    told = calibration().evidence(replica, 4).source
    assert ("lone requests of llama.cpp" in told) == (alone == "calibrated")
