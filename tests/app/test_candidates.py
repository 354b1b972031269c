"""What a fleet can be chosen from: classes, offers, configurations, each from the spec as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetops.app.candidates import candidates, engine_settings, load_spec
from hetops.app.requests import trace_of
from hetops.domain.model import Precision
from hetops.domain.workload import Priority
from hetops.errors import HetopsError, UnknownNameError
from tests.doubles import specs, tiny_gguf


def test_stated_classes_take_their_own_targets_before_those_of_all(tmp_path: Path) -> None:
    found = candidates(
        specs.asked(tmp_path, specs.LISTED, "workload.rate_scale=2", "workload.length_scale=0.5")
    )
    short, long = found.workload.classes
    assert (short.target.ttft_seconds, short.target.tpot_seconds) == (1.0, 0.08)
    assert (long.target.ttft_seconds, long.target.tpot_seconds) == (4.0, 0.08)
    assert (short.requests_per_second, short.input_tokens.mean) == (16.0, 150.0)


def test_a_trace_becomes_classes_with_rates_by_period_and_their_error(tmp_path: Path) -> None:
    found = candidates(specs.asked(tmp_path, specs.TRACED))
    workload = found.workload
    assert len(workload.classes) == 4
    assert all(len(c.requests_per_second_by_period) == 3 for c in workload.classes)
    assert all(c.requests_per_second == max(c.requests_per_second_by_period) for c in workload.classes)
    assert 0 < workload.class_error < 0.05
    assert "19,366 requests in 3,50" in workload.notes[0]
    by_length = {c.input_tokens.mean > 2000: c for c in workload.classes}
    assert (by_length[True].priority, by_length[True].target.ttft_seconds) == (Priority.BATCH, 5.0)
    assert by_length[False].priority is Priority.INTERACTIVE


def test_a_context_holds_the_longest_requests_and_never_exceeds_the_models(tmp_path: Path) -> None:
    found = candidates(specs.asked(tmp_path))
    assert {c.max_context_tokens for c in found.enumeration.configurations} == {6400}


def test_a_context_holds_every_request_of_a_trace(tmp_path: Path) -> None:
    found = candidates(specs.asked(tmp_path, specs.TRACED))
    trace = trace_of(found.loaded)
    longest = (trace.input_tokens + trace.output_tokens).max()
    assert {c.max_context_tokens >= longest for c in found.enumeration.configurations} == {True}


def test_configurations_exist_only_for_gpu_types_on_offer_and_engines_allowed(tmp_path: Path) -> None:
    found = candidates(specs.asked(tmp_path, specs.LISTED, 'offers.gpus=["L4", "H100-SXM"]'))
    assert {c.gpu for c in found.enumeration.configurations} == {"L4", "H100-SXM"}
    assert {c.engine for c in found.enumeration.configurations} == {"vllm"}


def test_a_gguf_of_the_users_own_is_served_on_the_cores_under_any_name(tmp_path: Path) -> None:
    tiny_gguf.write(tmp_path / "tiny.gguf")
    text = specs.LISTED.replace("llama-3.1-8b", "my-own").replace('"vllm"', '"llamacpp"')
    text = text.replace("[providers.aws]\n[providers.gcp]", "[providers.local]") + (
        "[engine.settings.llamacpp]\ngguf = './tiny.gguf'\n"
    )
    found = candidates(specs.asked(tmp_path, text, "workload.length_scale=0.02"))
    assert found.names == "my-own"
    assert found.models[0].model.source == "header of tiny.gguf"
    assert {c.gpu for c in found.enumeration.configurations} == {"CPU"}
    assert {c.checkpoint for c in found.enumeration.configurations} == {f"file:{tmp_path / 'tiny.gguf'}"}


def test_weights_on_this_machine_are_no_checkpoint_for_gpus_of_a_cloud(tmp_path: Path) -> None:
    with pytest.raises(HetopsError) as caught:
        candidates(specs.asked(tmp_path, specs.LISTED.replace("llama-3.1-8b", "gemma-3-27")))
    assert "did you mean" in caught.value.hint
    found = candidates(specs.asked(tmp_path, specs.LISTED.replace("llama-3.1-8b", "gemma-3-270m")))
    assert found.enumeration.configurations == () or all(
        not c.checkpoint.startswith("package:") and c.weights is not Precision.GGUF_Q4_K_M
        for c in found.enumeration.configurations
    )


@pytest.mark.parametrize(
    ("override", "kind", "near", "place"),
    [
        ('model.name="llama-3-1-8b"', "model", "llama-3.1-8b", "--set model.name="),
        ('engine.names=["vlm"]', "engine", "vllm", "--set engine.names="),
        ('offers.gpus=["H10-SXM"]', "GPU type", "H100-SXM", "--set offers.gpus="),
        ("providers.awz.enabled=true", "provider", "aws", "--set providers.awz.enabled="),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest(
    tmp_path: Path, override: str, kind: str, near: str, place: str
) -> None:
    with pytest.raises(UnknownNameError) as caught:
        candidates(specs.asked(tmp_path, specs.LISTED, override))
    assert caught.value.kind == kind
    assert near in caught.value.hint
    assert place in caught.value.message


def test_paths_in_an_engines_settings_are_beside_the_spec(tmp_path: Path) -> None:
    text = specs.LISTED + "[engine.settings.llamacpp]\ngguf = './a.gguf'\nready_seconds = 5\n"
    loaded = load_spec(specs.asked(tmp_path, text))
    assert engine_settings(loaded, "llamacpp") == {"gguf": str(tmp_path / "a.gguf"), "ready_seconds": 5}
    assert engine_settings(loaded, "vllm") == {}


def test_the_trace_that_is_planned_for_is_cut_and_scaled_as_the_spec_says(tmp_path: Path) -> None:
    part = ("workload.start_seconds=60", "workload.duration_seconds=120", "workload.rate_scale=0.5")
    trace = trace_of(load_spec(specs.asked(tmp_path, specs.TRACED, *part)))
    assert trace.seconds == pytest.approx(240)
    with pytest.raises(HetopsError, match="there is no trace"):
        trace_of(load_spec(specs.asked(tmp_path)))
