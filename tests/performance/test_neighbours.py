"""A measured configuration moves the estimates of those near it, narrows their intervals, and leaves the others alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.catalog import tables
from hetops.domain.configuration import Configuration, Role
from hetops.domain.model import Precision
from hetops.domain.percent import percent
from hetops.domain.performance import EvidenceLayer, Measurement, PerformanceRow
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.performance.estimate import step_times
from hetops.performance.foundations import Basis
from hetops.performance.measured import closed_loop
from hetops.performance.neighbours import Nearness, nearness
from hetops.performance.table import build, build_apart

CATALOG = tables.load()
GPUS = {g.name: g for g in CATALOG.gpu_types}
MODEL = CATALOG.model("llama-3.1-8b")
TP1 = Configuration(
    model=MODEL.name,
    engine="vllm",
    gpu="H100-SXM",
    weights=Precision.BF16,
    kv=Precision.BF16,
    checkpoint="hub",
    max_sequences=64,
    max_context_tokens=4096,
)
TP2 = replace(TP1, tensor_parallel=2)
FP8 = replace(TP1, weights=Precision.FP8)
LONGER = replace(TP1, max_sequences=256)
KIN = replace(TP1, gpu="H200-SXM")
FAR = replace(TP1, gpu="A100-80GB-SXM")
ALL = (TP1, TP2, FP8, LONGER, KIN, FAR)
CLASS = WorkloadClass(
    name="c",
    requests_per_second=1.0,
    input_tokens=TokenLengths.fixed(1000),
    output_tokens=TokenLengths.fixed(200),
    target=LatencyTarget(ttft_seconds=2.0, tpot_seconds=0.05),
)


def runs(slower: float, concurrencies: Sequence[int] = (1, 16, 64)) -> tuple[Measurement, ...]:
    """A benchmark of TP1 whose every time is so many times what the closed form says."""
    times = step_times([TP1], MODEL, GPUS)[0]
    made = []
    for in_flight in concurrencies:
        said = closed_loop(times, 1000, 200, in_flight)
        first = (said.ttft_seconds + times.first_token_delay(1000)) * slower
        made.append(
            Measurement(
                configuration=TP1.id,
                offer_sku="sku",
                host=TP1.gpu,
                input_tokens=1000,
                output_tokens=200,
                concurrency=in_flight,
                requests=100,
                requests_per_second=said.requests_per_second / slower,
                ttft_seconds=(first,) * 4,
                tpot_seconds=(said.tpot_seconds * slower,) * 4,
                measured_at=datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            )
        )
    return tuple(made)


def rows(measurements: Sequence[Measurement]) -> dict[str, PerformanceRow]:
    """What the table says of each configuration."""
    table = build(ALL, (CLASS,), Basis(model=MODEL, gpus=GPUS, measurements=measurements))
    return {c.id: table.row(c.id, CLASS.name) for c in ALL}


def test_another_layout_precision_and_number_of_sequences_move_the_way_the_measured_one_did() -> None:
    before, slow, fast = rows(()), rows(runs(1.5)), rows(runs(0.7))
    for near in (TP2, FP8, LONGER):
        assert slow[near.id].requests_per_second < before[near.id].requests_per_second, near.id
        assert fast[near.id].requests_per_second > before[near.id].requests_per_second, near.id


def test_the_interval_of_a_neighbour_narrows_and_its_source_says_whose_benchmark_did_it_and_by_how_much() -> (
    None
):
    before, after = rows(())[TP2.id].evidence, rows(runs(1.5))[TP2.id].evidence
    assert after.margin < before.margin
    assert after.layer is before.layer is EvidenceLayer.CALIBRATED
    assert TP1.id in after.source
    assert f"interval {percent(before.margin)} -> {percent(after.margin)}" in after.source
    assert "+50 %" in after.source


def test_the_measured_one_itself_is_measured_and_a_far_gpu_is_untouched() -> None:
    before, after = rows(()), rows(runs(1.5))
    assert after[TP1.id].evidence.layer is EvidenceLayer.MEASURED
    assert after[FAR.id] == before[FAR.id]


def test_a_gpu_of_the_family_moves_less_than_another_layout_of_the_same() -> None:
    before, after = rows(()), rows(runs(1.5))
    moved = {c: after[c.id].requests_per_second / before[c.id].requests_per_second for c in (TP2, KIN)}
    assert moved[TP2] < moved[KIN] < 1.0
    assert after[TP2.id].evidence.margin < after[KIN.id].evidence.margin < before[KIN.id].evidence.margin


def test_runs_without_a_lone_request_sharpen_their_own_configuration() -> None:
    before, after = rows(())[TP1.id], rows(runs(1.5, (16, 64)))[TP1.id]
    assert after.evidence.layer is EvidenceLayer.CALIBRATED
    assert after.requests_per_second < before.requests_per_second
    assert after.evidence.margin < before.evidence.margin / 2


def test_an_earlier_benchmark_does_not_count_beside_a_later_one() -> None:
    old = tuple(replace(m, measured_at="2025-01-01T00:00:00+00:00") for m in runs(3.0))
    assert rows((*old, *runs(1.5)))[TP2.id] == rows(runs(1.5))[TP2.id]


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 2.0))
def test_a_neighbour_never_moves_further_than_the_measured_one(slower: float) -> None:
    before, after = rows(()), rows(runs(slower))
    for near in (TP2, FP8, LONGER, KIN):
        moved = after[near.id].requests_per_second / before[near.id].requests_per_second
        low, high = sorted((1.0, 1.0 / slower))
        assert low * 0.9 <= moved <= high * 1.1, near.id


def test_what_is_measured_as_the_form_says_moves_nothing() -> None:
    before, after = rows(()), rows(runs(1.0))
    assert after[TP2.id].requests_per_second == pytest.approx(before[TP2.id].requests_per_second)


def test_another_engine_or_model_says_nothing() -> None:
    assert nearness(replace(TP1, engine="sglang"), TP1, GPUS) is None
    assert nearness(replace(TP1, model="llama-3.1-70b"), TP1, GPUS) is None
    assert nearness(replace(FP8, tensor_parallel=2), TP1, GPUS) is Nearness.LAYOUT_AND_PRECISION


@pytest.mark.parametrize("role", [Role.PREFILL, Role.DECODE])
def test_what_does_a_part_alone_is_as_slow_as_what_was_measured_of_whole_requests(role: Role) -> None:
    """Twice as slow throughout: half the rate without targets, and still a prior, for nobody measured the part."""
    free = replace(CLASS, target=LatencyTarget())
    alone = replace(TP1, role=role)

    def of(*measurements: Measurement) -> PerformanceRow:
        whole = build([TP1], [free], Basis(model=MODEL, gpus=GPUS, measurements=measurements))
        return build_apart([alone], [free], whole).row(alone.id, free.name)

    as_said, slower = of(*runs(1.0)), of(*runs(2.0))
    assert slower.requests_per_second == pytest.approx(as_said.requests_per_second / 2, rel=0.05)
    assert slower.evidence == as_said.evidence
    assert slower.evidence.layer is EvidenceLayer.PRIOR
