"""A plugin's estimator stands in for the closed form where nobody measured, and its failures are told, never raised raw."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hetops.domain.configuration import Configuration
from hetops.domain.model import Precision
from hetops.domain.performance import EvidenceLayer, StepTimes
from hetops.domain.workload import LatencyTarget, TokenLengths, WorkloadClass
from hetops.errors import HetopsError, PluginError
from hetops.performance.foundations import Basis
from hetops.performance.table import build
from hetops.plugin import Estimator
from tests.doubles.estimators import Absent, Broken, Known
from tests.performance.test_features import CATALOG, GPUS, configuration

TIMES = StepTimes(
    weights_seconds=0.01,
    compute_seconds_per_sequence=0.0,
    kv_seconds_per_token=6e-8,
    overhead_seconds=0.002,
    overhead_seconds_per_sequence=0.0005,
    prefill_seconds_per_token=2e-5,
    kv_capacity_tokens=100_000,
    max_sequences=256,
)
CLASSES = tuple(
    WorkloadClass(
        name=name,
        requests_per_second=1.0,
        input_tokens=TokenLengths.fixed(inputs),
        output_tokens=TokenLengths.fixed(100),
        target=LatencyTarget(ttft_seconds=5.0, tpot_seconds=0.1),
    )
    for name, inputs in (("short", 200), ("long", 3000))
)


def basis(estimator: Estimator) -> Basis:
    return Basis(model=CATALOG.model("llama-3.1-8b"), gpus=GPUS, estimator=estimator)


def two() -> tuple[Configuration, Configuration]:
    return configuration(gpu="H100-SXM"), configuration(gpu="L40S")


def test_what_it_answers_is_planned_with_and_what_it_does_not_says_why() -> None:
    known, other = two()
    table = build([known, other], CLASSES, basis(Known(TIMES, "H100-SXM")))
    row = table.row(known.id, "short")
    assert (row.evidence.layer, row.evidence.margin) == (EvidenceLayer.ESTIMATOR, 0.3)
    steps = table.step_times[known.id]
    for n in (1, 16, 64):
        for context in (300, 3050):
            assert steps.decode_seconds(n, context) == pytest.approx(
                TIMES.decode_seconds(n, context), rel=0.2
            )
    of_context = TIMES.decode_seconds(64, 3050) - TIMES.decode_seconds(64, 300)
    assert steps.decode_seconds(64, 3050) - steps.decode_seconds(64, 300) == pytest.approx(
        of_context, rel=0.2
    )
    assert steps.prefill_seconds(3000) == pytest.approx(TIMES.prefill_seconds(3000), rel=0.2)
    fallen_back = table.row(other.id, "short").evidence
    assert fallen_back.layer is EvidenceLayer.CALIBRATED
    assert "known has measured nothing of L40S" in fallen_back.source


def test_memory_stays_what_hetops_reckons() -> None:
    known, _ = two()
    own = build([known], CLASSES, Basis(model=CATALOG.model("llama-3.1-8b"), gpus=GPUS))
    asked = build([known], CLASSES, basis(Known(TIMES, "H100-SXM")))
    assert asked.step_times[known.id].kv_capacity_tokens == own.step_times[known.id].kv_capacity_tokens


def test_an_estimator_that_answers_for_nothing_is_an_error_with_its_reasons() -> None:
    with pytest.raises(HetopsError, match="broken has no answer for any of 2") as caught:
        build(two(), CLASSES, basis(Broken()))
    assert "broken failed: KeyError: 'H100-SXM'" in "".join(caught.value.details)


def test_one_that_cannot_be_used_is_an_error_at_once() -> None:
    absent = Absent()
    with pytest.raises(PluginError, match="the estimator absent cannot be used: its package") as caught:
        build(two(), CLASSES, basis(absent))
    assert (len(absent.asked), caught.value.hint) == (1, "pip install it")


def test_an_answer_that_no_gpu_allows_and_a_margin_that_is_none_are_no_answers() -> None:
    known = two()[:1]
    with pytest.raises(HetopsError, match="known has no answer") as caught:
        build(
            known,
            CLASSES,
            basis(Known(replace(TIMES, weights_seconds=1e-5, overhead_seconds=0.0), "H100-SXM")),
        )
    assert "a token takes" in caught.value.details[0]
    assert "at least on H100-SXM" in caught.value.details[0]
    for margin in (-0.1, 1.0, math.nan):
        double = Known(TIMES, "H100-SXM")
        double.margin = margin
        with pytest.raises(HetopsError) as caught:
            build(known, CLASSES, basis(double))
        assert f"its margin is from 0 to below 1, not {margin}" in caught.value.details[0]


def test_a_replica_is_asked_about_no_more_requests_than_its_kv_holds() -> None:
    known, _ = two()
    full = Known(TIMES, "H100-SXM")
    build([known], CLASSES, basis(full))
    assert max(b.concurrency for b in full.asked) == 64
    tight = Known(replace(TIMES, weights_seconds=0.03, prefill_seconds_per_token=2e-4), "H100-SXM")
    heavy = replace(known, weights=Precision.FP8, model="llama-3.1-70b")
    table = build([heavy], CLASSES, replace(basis(tight), model=CATALOG.model("llama-3.1-70b")))
    holds = table.step_times[heavy.id].kv_capacity_tokens
    assert 1 < max(b.concurrency for b in tight.asked) <= holds / (3000 + 100) < 64
