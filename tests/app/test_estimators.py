"""`hetops estimate --estimator`: a plugin's answers in place of the closed form's, and why where it has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetops.app.estimate import Subject, estimate
from hetops.app.under_load import NOTHING_MORE, Asked
from hetops.domain.model import Precision
from hetops.domain.workload import LatencyTarget
from hetops.errors import HetopsError, UnknownNameError
from hetops.performance.breakdown import Load
from hetops.performance.measured import closed_loop
from hetops.plugin import Estimator, manager
from hetops.reports import estimate as report
from tests.doubles.estimators import Absent, Broken, Known
from tests.performance.test_estimators import TIMES

SUBJECT = Subject(
    model="llama-3.1-8b",
    gpu="H100-SXM",
    engine="vllm",
    tensor_parallel=1,
    pipeline_parallel=1,
    weights=None,
    kv=Precision.BF16,
    estimator="known",
)
LOAD = Load(input_tokens=1000.0, output_tokens=200.0, concurrency=8.0)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    known, plugins = Known(TIMES, "H100-SXM"), manager.load()
    brought: tuple[Estimator, ...] = (known, Broken(), Absent())
    monkeypatch.setattr(manager, "load", lambda _allowed=None: replace(plugins, estimators=brought))
    return known


def test_the_answers_are_the_estimators_and_the_parts_of_a_step_the_closed_forms(known: Known) -> None:
    found = estimate(SUBJECT, LOAD, Asked(target=LatencyTarget(ttft_seconds=2.0, tpot_seconds=0.1)))
    own = estimate(replace(SUBJECT, estimator=""), LOAD)
    told, closed_form = found.answer.breakdown, own.answer.breakdown
    of_estimator = closed_loop(TIMES, 1000.0, 200.0, 8.0)
    assert told.output_tokens_per_second.value == pytest.approx(
        200.0 * of_estimator.requests_per_second, rel=0.05
    )
    assert told.tpot.value == pytest.approx(of_estimator.tpot_seconds * 1e3, rel=0.05)
    assert {b.concurrency for b in known.asked} == {1, 8, 16, 64}
    for one in (told.output_tokens_per_second, told.tpot, told.ttft):
        assert one.value
        assert (one.low, one.high) == pytest.approx((0.7 * one.value, one.value / 0.7))
    assert (told.parts, told.roofline) == (closed_form.parts, closed_form.roofline)
    slower = closed_form.tpot.value / told.tpot.value
    saturated, of_own = found.answer.saturation, own.answer.saturation
    assert saturated.requests_per_second.value == pytest.approx(
        of_own.requests_per_second.value * slower, rel=0.5
    )
    assert found.answer.largest_rate
    assert found.answer.largest_rate.requests_per_second.value < saturated.requests_per_second.value


def test_a_lone_request_waits_for_its_first_token_as_long_as_the_estimator_says() -> None:
    alone = replace(LOAD, concurrency=1.0)
    found = estimate(SUBJECT, alone).answer
    said = closed_loop(TIMES, 1000.0, 200.0, 1.0).ttft_seconds
    assert found.breakdown.ttft.value == pytest.approx(said * 1e3, rel=0.05)
    assert found.under_load.ttft.mean.value == pytest.approx(said, rel=0.05)


def test_requests_at_a_rate_are_played_with_its_step_times(known: Known) -> None:
    at_rate = Asked(requests_per_second=0.3)
    known.times = replace(TIMES, overhead_seconds=0.05)
    slow = estimate(SUBJECT, LOAD, at_rate).answer.under_load
    assert slow.tpot
    assert slow.tpot.p50.value > 0.05
    assert slow.in_flight > 0.3 * 0.05 * LOAD.output_tokens


def test_memory_that_binds_is_waited_for_as_long_as_its_steps_take(known: Known) -> None:
    many = replace(LOAD, input_tokens=4000.0, concurrency=256.0)
    found, own = (estimate(one, many).answer.breakdown for one in (SUBJECT, replace(SUBJECT, estimator="")))
    assert 100 < max(b.concurrency for b in known.asked) <= found.in_flight < 256
    slower = own.output_tokens_per_second.value / found.output_tokens_per_second.value
    assert found.memory_wait_seconds == pytest.approx(slower * own.memory_wait_seconds)
    assert found.ttft.value > found.memory_wait_seconds * 1e3


def test_what_it_has_no_answer_for_is_the_closed_forms_and_says_why() -> None:
    own = estimate(replace(SUBJECT, gpu="L40S", estimator=""), LOAD).answer
    for name, reason in (
        ("known", "known: known has measured nothing of L40S"),
        ("broken", "broken failed: KeyError: 'L40S'"),
    ):
        found = estimate(replace(SUBJECT, gpu="L40S", estimator=name), LOAD)
        told = found.answer.breakdown
        assert told.evidence_source == f"{own.breakdown.evidence_source}; {reason}"
        assert replace(told, evidence_source="") == replace(own.breakdown, evidence_source="")
        assert found.answer.saturation == own.saturation
        assert f"Evidence: calibrated ({told.evidence_source})" in report.as_text(found)


def test_evidence_is_told_as_text_and_as_json() -> None:
    found = estimate(SUBJECT, LOAD)
    text, told = report.as_text(found), report.as_json(found)
    assert "Evidence: estimator (known, asked for 4 benchmarks); low and high enclose 80 % of cases" in text
    assert "A DECODE STEP BY THE CLOSED FORM" in text.upper()
    assert (told["evidence"], told["evidence_source"]) == ("estimator", "known, asked for 4 benchmarks")


def test_one_that_nobody_knows_or_that_cannot_be_used_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="unknown estimator 'knwon'") as caught:
        estimate(replace(SUBJECT, estimator="knwon"), LOAD, NOTHING_MORE)
    assert "'known'" in caught.value.hint
    with pytest.raises(HetopsError, match="absent cannot be used: its package is not installed") as caught:
        estimate(replace(SUBJECT, estimator="absent"), LOAD)
    assert caught.value.hint == "pip install it"


def test_roles_apart_take_its_step_times() -> None:
    apart, own = (
        estimate(replace(one, link_gb_per_second=50.0), LOAD).apart
        for one in (SUBJECT, replace(SUBJECT, estimator=""))
    )
    assert apart
    assert own
    assert apart.tpot_seconds > 1.2 * own.tpot_seconds
