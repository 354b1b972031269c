"""Speculative decoding, prefix caches and KV precisions: what they change in step times, memory, bounds and plans."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.catalog import tables
from hetops.configurations.engines import BUILT_IN
from hetops.configurations.enumerate import Rules, Space, Why, enumerate_configurations
from hetops.domain.configuration import Configuration, Speculation
from hetops.domain.model import Checkpoint, Precision
from hetops.domain.offer import Offer
from hetops.domain.plan import ClassShare, PlannedPool
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance import bounds
from hetops.performance.estimate import step_times
from hetops.performance.foundations import Basis
from hetops.performance.memory import fit
from hetops.performance.rate import sustained
from hetops.performance.speculation import speculative
from hetops.performance.table import build
from tests.doubles import plans

CATALOG = tables.load()
GPUS = {g.name: g for g in CATALOG.gpu_types}
SPECULATION = Speculation(draft_tokens=4, acceptance=0.7, draft_share=0.02)


def configuration(model: str = "llama-3.1-8b", gpu: str = "H100-SXM", **changed: object) -> Configuration:
    plain = Configuration(
        model=model,
        engine="vllm",
        gpu=gpu,
        weights=Precision.FP8,
        kv=Precision.BF16,
        checkpoint="hub",
        max_sequences=256,
        max_context_tokens=4096,
    )
    return replace(plain, **changed)  # type: ignore[arg-type]


def a_class(
    tokens: tuple[float, float] = (1000, 200), prefix_share: float = 0.0, tpot: float | None = None
) -> WorkloadClass:
    return WorkloadClass(
        name="chat",
        requests_per_second=1.0,
        input_tokens=TokenLengths.fixed(tokens[0]),
        output_tokens=TokenLengths.fixed(tokens[1]),
        target=LatencyTarget(ttft_seconds=5.0, tpot_seconds=tpot),
        prefix_share=prefix_share,
    )


def test_tokens_per_step_are_those_of_the_geometric_series() -> None:
    for a in (0.0, 0.3, 0.9):
        one = Speculation(draft_tokens=3, acceptance=a)
        assert one.tokens_per_step == pytest.approx(1 + a + a**2 + a**3)


def test_speculation_helps_small_batches_and_costs_full_ones() -> None:
    plain, drafted = (
        step_times([configuration(speculation=s)], CATALOG.model("llama-3.1-8b"), GPUS)[0]
        for s in (None, SPECULATION)
    )
    assert drafted.decode_seconds(1, 500) < 0.5 * plain.decode_seconds(1, 500)
    assert drafted.decode_seconds(2000, 0) > plain.decode_seconds(2000, 0)
    assert drafted.prefill_seconds(1000) + drafted.first_token_seconds == pytest.approx(
        plain.prefill_seconds(1000) + plain.first_token_seconds
    )


def test_a_guess_that_is_never_right_costs_its_verification() -> None:
    plain = step_times([configuration()], CATALOG.model("llama-3.1-8b"), GPUS)[0]
    useless = speculative(plain, Speculation(draft_tokens=3, acceptance=0.0))
    for n in (1, 16, 256):
        assert useless.decode_seconds(n, 1000) >= plain.decode_seconds(n, 1000)
    assert useless.compute_seconds_per_sequence == pytest.approx(4 * plain.compute_seconds_per_sequence)


def test_verifying_touches_the_experts_of_all_guesses() -> None:
    asked = configuration("mixtral-8x7b", tensor_parallel=2)
    plain = step_times([asked], CATALOG.model("mixtral-8x7b"), GPUS)[0]
    drafted = speculative(plain, Speculation(draft_tokens=3, acceptance=0.5))
    assert drafted.expert_share == pytest.approx(1 - (1 - plain.expert_share) ** 4)


def test_fp8_kv_holds_twice_as_many_tokens_and_a_draft_takes_its_share() -> None:
    model, gpu = CATALOG.model("llama-3.1-8b"), GPUS["H100-SXM"]
    plain = fit(configuration(), model, gpu)
    assert fit(configuration(kv=Precision.FP8), model, gpu).kv_capacity_tokens == pytest.approx(
        2 * plain.kv_capacity_tokens, rel=1e-4
    )
    large = replace(SPECULATION, draft_share=0.2)
    assert fit(configuration(speculation=large), model, gpu).weights_gb == pytest.approx(
        1.2 * plain.weights_gb
    )


def enumerated(rules: Rules, *gpus: str) -> tuple[Configuration, ...]:
    found = enumerate_configurations(space(*gpus), rules, lambda _configuration, _gpu: "")
    return found.configurations


def space(*gpus: str) -> Space:
    model = CATALOG.model("llama-3.1-8b")
    return Space(
        model=model,
        checkpoints=(Checkpoint(model=model.name, precision=Precision.BF16, reference="hub"),),
        engines={"vllm": BUILT_IN["vllm"]},
        gpus=GPUS,
        largest_node=dict.fromkeys(gpus, 1),
    )


def test_speculation_stands_beside_plain_decoding_and_names_itself() -> None:
    found = enumerated(Rules(max_context_tokens=4096, speculation=SPECULATION), "H100-SXM")
    ids = {c.id for c in found}
    assert len(ids) == len(found)
    assert {c.speculation for c in found} == {None, SPECULATION}
    assert any(i.endswith("/spec4x0.7d0.02") for i in ids)


def test_a_kv_precision_that_a_gpu_cannot_run_is_refused_by_name() -> None:
    rules = Rules(max_context_tokens=4096, kv=Precision.FP8)
    assert {c.kv for c in enumerated(rules, "H100-SXM")} == {Precision.FP8}
    refused = enumerate_configurations(
        space("A100-80GB-SXM"), rules, lambda _configuration, _gpu: ""
    ).refusals
    assert all(Why.KV_HARDWARE in r.reason for r in refused)
    assert refused


def test_what_the_spec_tells_stands_in_the_evidence() -> None:
    asked = configuration(speculation=SPECULATION)
    basis = Basis(model=CATALOG.model("llama-3.1-8b"), gpus=GPUS)
    row = build([asked], [a_class(prefix_share=0.4)], basis).row(asked.id, "chat")
    assert "4 tokens drafted, 70 % accepted, 2.77 tokens a step" in row.evidence.source
    assert "40 % of a prompt from the prefix cache" in row.evidence.source


BOUNDED = (
    ("llama-3.1-8b", "L4", 1, Precision.FP8, None),
    ("llama-3.1-70b", "H100-SXM", 4, Precision.BF16, SPECULATION),
    ("mixtral-8x7b", "H100-SXM", 2, Precision.FP8, SPECULATION),
    ("deepseek-v3", "H200-SXM", 8, Precision.FP8, None),
    ("llama-3.1-70b", "A100-80GB-SXM", 1, Precision.INT4, None),
    ("llama-3.1-70b", "B200", 1, Precision.FP4, SPECULATION),
)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(BOUNDED),
    st.floats(10, 3000),
    st.floats(2, 1000),
    st.sampled_from([0.0, 0.5, 0.95]),
    st.sampled_from([None, 0.02, 0.2]),
)
def test_no_rate_asks_for_more_than_compute_and_bandwidth_allow(
    case: tuple[str, str, int, Precision, Speculation | None],
    inputs: float,
    outputs: float,
    prefix_share: float,
    tpot: float | None,
) -> None:
    name, gpu, tensor, weights, speculation = case
    model = CATALOG.model(name)
    asked = configuration(name, gpu, tensor_parallel=tensor, weights=weights, speculation=speculation)
    c = a_class((inputs, outputs), prefix_share, tpot)
    rate = sustained(step_times([asked], model, GPUS), c, [4096])[0].requests_per_second
    pool = PlannedPool(name="p", offer=an_offer(), configuration=asked, nodes=1, replicas_per_node=1)
    share = ClassShare(workload_class="chat", pool="p", share=1.0, requests_per_second=rate)
    uses = bounds.peak_uses([pool], [share], {"chat": c}, {name: model}, GPUS)
    assert bounds.violations(uses) == ()
    assert rate == 0 or uses[0].compute > 0


def an_offer() -> Offer:
    return plans.plan().pools[0].offer
