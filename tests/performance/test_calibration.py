"""The fit, its record and its answers: reproducible, within physics, and as good as it says."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hetops.app.calibrate import SHIPPED, predict_file, score_file
from hetops.catalog import tables
from hetops.domain.model import Precision
from hetops.domain.performance import EvidenceLayer
from hetops.performance.calibrate import LeftOut, Unseen, counted, half_widths, splits, throughput_widths
from hetops.performance.cases import Case, Cases, Metric, predict
from hetops.performance.draining import drained
from hetops.performance.estimate import calibration, replica_of
from hetops.performance.fit import PARAMETERS, fit, starting_values
from hetops.performance.form import terms
from hetops.performance.generation import Generation
from hetops.performance.predict import predictions
from hetops.performance.replica import Replica
from hetops.performance.rows import read_cases
from hetops.performance.score import Ranked, configurations_ranked, gpu_types_ranked, score
from tests.performance.test_model import GPUS, LLAMA_8B, configuration

CATALOG = tables.load()
CASES, REFUSED = read_cases(tables.rows("perf_calibration"), CATALOG.gpu_types, CATALOG.models)


def a_case(
    gpu: str = "H100-SXM", metric: Metric = Metric.OUTPUT, concurrency: float = 16, **replica: object
) -> Case:
    told = {"gpu": GPUS[gpu], "model": LLAMA_8B, "weights": Precision.BF16, **replica}
    return Case(
        id="a",
        replica=Replica(**told),  # type: ignore[arg-type]
        gpu_count=int(told.get("tensor_parallel", 1)),  # type: ignore[call-overload]
        input_tokens=1000,
        output_tokens=200,
        concurrency=concurrency,
        requests_per_second=math.inf,
        metric=metric,
        value=None,
        gpu=gpu,
    )


def answer(*cases: Case) -> list[float]:
    return [float(v) for v in predict(Cases.of(cases), calibration().values)]


def test_every_shipped_measurement_can_be_answered() -> None:
    assert REFUSED == ()
    found = predict_file(SHIPPED)
    assert len(found) == len(CASES)
    assert all(p.value and p.low and p.high and p.low < p.value < p.high for p in found)


def test_the_shipped_coefficients_are_those_of_a_fit_to_the_shipped_measurements() -> None:
    again = fit(Cases.of(counted(CASES)))
    shipped = calibration().values
    assert set(again) == set(shipped) == {p.name for p in PARAMETERS}
    assert all(again[name] == pytest.approx(shipped[name], rel=1e-4) for name in again)


def test_the_shipped_calibration_does_as_well_as_its_page_says() -> None:
    found = score(CASES, predictions(CASES, calibration()))
    errors = {s.subject: s.median_error for s in found.metrics}
    assert errors["throughput"] < 0.10
    assert errors["tpot"] < 0.13
    assert errors["ttft"] < 0.28
    assert found.ordered_right is not None
    assert found.ordered_right > 0.95
    assert 0.75 < found.covered < 0.9


def test_the_order_of_gpu_types_goes_by_each_gpu_and_that_of_configurations_by_the_whole() -> None:
    """Of 100 on one GPU, 150 on two and 95 on one of another type, 75 a GPU are less than 95, and 150 more than both others."""
    told = (a_case(), 100.0), (a_case(tensor_parallel=2), 150.0), (a_case(gpu="A100-80GB-SXM"), 95.0)
    measured = [replace(c, value=v) for c, v in told]
    ranked = gpu_types_ranked, configurations_ranked
    right, wrong = (
        tuple(of(measured, values) for of in ranked) for values in ([100, 150, 90], [100, 200, 90])
    )
    assert right == (Ranked(right=1.0, pairs=1), Ranked(right=1.0, pairs=2))
    assert wrong == (Ranked(right=0.0, pairs=1), Ranked(right=1.0, pairs=2))
    assert gpu_types_ranked(measured[:1], [1.0]) == Ranked(right=None, pairs=0)


def test_what_is_left_out_by_several_criteria_is_predicted_by_what_shares_none_of_them() -> None:
    found = {
        s.names: (s.out.nonzero()[0].tolist(), s.seen.nonzero()[0].tolist())
        for s in splits([list("aabbc"), list("xyxyz")])
    }
    assert found == {
        ("a", "x"): ([0], [3, 4]),
        ("a", "y"): ([1], [2, 4]),
        ("b", "x"): ([2], [1, 4]),
        ("b", "y"): ([3], [0, 4]),
        ("c", "z"): ([4], [0, 1, 2, 3]),
    }
    assert [s.seen.tolist() for s in splits([list("aba")])] == [[False, True, False], [True, False, True]]


def test_half_widths_hold_every_kind_that_was_left_out_however_few_rows_it_has() -> None:
    cases = Cases.of([a_case()] * 100)
    many = Unseen(kinds=np.array(["many"] * 100), errors=np.full(100, 0.1))
    few = Unseen(kinds=np.array(["many"] * 90 + ["few"] * 10), errors=np.array([0.1] * 90 + [-0.5] * 10))
    alike = half_widths(cases, LeftOut(gpu=many, family=many, publisher=many, generation=many))
    assert alike["calibrated"]["throughput"] == pytest.approx(0.1)
    assert alike["prior"]["throughput"] == pytest.approx(math.hypot(0.1, 0.1))
    assert math.isnan(alike["calibrated"]["ttft"]), "nobody measured one"
    for kind in ("gpu", "publisher", "generation"):
        told = {"gpu": many, "family": many, "publisher": many, "generation": many, kind: few}
        assert half_widths(cases, LeftOut(**told))["calibrated"]["throughput"] == pytest.approx(0.5)


def test_throughput_is_known_as_loads_and_models_like_its_own_were_predicted() -> None:
    """Half of the rows queue all, the others keep 32 requests; the first are off by a tenth, the others by three."""
    cases = [a_case(concurrency=n) for n in (math.inf, 32)] * 50
    one = Unseen(kinds=np.array(["one"] * 100), errors=np.array([0.1, 0.3] * 50))
    off = LeftOut(gpu=one, family=one, publisher=one, generation=one)
    assert throughput_widths(cases, off) == pytest.approx({"queued": 0.1, "at_once": 0.3, "dense": 0.3})
    few = throughput_widths(cases[:20], off.rows(np.arange(100) < 20))
    assert few == pytest.approx({"dense": 0.3}), "ten rows tell no width of their own"


def test_an_estimate_has_the_wider_of_its_loads_and_its_models_half_width() -> None:
    """What a layer that nobody measured adds comes on top, as an independent error."""
    case, calibrated = a_case(concurrency=32), calibration()
    for told, wider in (({"at_once": 0.4, "dense": 0.3}, 0.4), ({"at_once": 0.2, "dense": 0.3}, 0.3)):
        found = predictions([case], replace(calibrated, throughput=told))[0]
        assert math.log((found.high or 0.0) / (found.low or 1.0)) / 2 == pytest.approx(wider)


def test_who_measured_lone_requests_alone_is_not_sure_of_closed_loops() -> None:
    lone = Unseen(kinds=np.array(["one"] * 10), errors=np.full(10, 0.1))
    told = LeftOut(gpu=lone, family=lone, publisher=lone, generation=lone)
    alone, several = (
        half_widths(Cases.of([a_case(metric=Metric.TTFT, concurrency=n)] * 10), told) for n in (1, 64)
    )
    assert alone["calibrated"]["ttft"] == pytest.approx(math.hypot(0.1, 0.6))
    assert several["calibrated"]["ttft"] == pytest.approx(0.1), "these were measured in some way"


def test_many_lone_requests_do_not_make_first_tokens_under_load_look_known() -> None:
    """Nine rows in ten are of lone requests, off by a tenth; the others are off by nine tenths."""
    at_once = [1] * 90 + [64] * 10
    cases = Cases.of([a_case(metric=Metric.TTFT, concurrency=n) for n in at_once])
    off = Unseen(kinds=np.array(["one"] * 100), errors=np.where(np.array(at_once) > 1, 0.9, 0.1))
    found = half_widths(cases, LeftOut(gpu=off, family=off, publisher=off, generation=off))
    assert found["calibrated"]["ttft"] == pytest.approx(0.9)


def test_intervals_hold_for_measurements_of_a_publisher_that_no_fit_saw() -> None:
    """17 rows of steady loads that GPUStack published: of the interval alone, no value was fitted or chosen on them."""
    found = score_file(Path(__file__).with_name("outside.csv"))
    assert (found.rows, found.refused) == (17, 0)
    assert 0.6 < found.covered < 1.0


def test_without_a_single_measurement_the_form_is_a_sound_guess() -> None:
    used = Cases.of(counted(CASES))
    errors = np.abs(predict(used, starting_values()) / used.value - 1)
    assert np.median(errors[used.metric == "output_tok_s"]) < 0.25


def test_nothing_is_faster_than_memory_and_compute_allow() -> None:
    for case, value in zip(CASES, answer(*CASES), strict=True):
        gpu, model = case.replica.gpu, case.replica.model
        if case.metric is Metric.TPOT:
            degree = case.replica.tensor_parallel
            least = 0.9 * model.active_parameters_b * 1e9 * case.replica.weights.bytes_per_value
            assert value / 1e3 > 0.5 * least / (degree * gpu.bandwidth_gb_per_second * 1e9), case.id
        if case.metric is Metric.OUTPUT and case.gpu_count == 1:
            peak = max(gpu.fp16_tflops, gpu.bf16_tflops or 0, gpu.fp8_tflops or 0, gpu.fp4_tflops or 0) * 1e12
            tokens = value * (1 + case.input_tokens / case.output_tokens)
            assert 2 * model.active_parameters_b * 1e9 * tokens < peak, case.id


def test_more_bandwidth_and_more_compute_are_never_slower() -> None:
    base = GPUS["H100-SXM"]
    wider = replace(base, bandwidth_gb_per_second=base.bandwidth_gb_per_second * 1.5)
    stronger = replace(base, bf16_tflops=1500.0, fp16_tflops=1500.0, board_watts=1100.0)
    for concurrency in (1, 16, 200):
        plain, *better = answer(*(a_case(gpu="H100-SXM", concurrency=concurrency) for _ in range(3)))
        better = answer(
            *(
                replace(a_case(concurrency=concurrency), replica=replace(a_case().replica, gpu=g))
                for g in (wider, stronger)
            )
        )
        assert all(value >= plain * (1 - 1e-9) for value in better)


def test_more_requests_at_once_never_give_fewer_tokens() -> None:
    rates = answer(*(a_case(concurrency=c) for c in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)))
    assert rates == sorted(rates)


def at_rate(rate: float, metric: Metric = Metric.TTFT, concurrency: float = math.inf) -> Case:
    return replace(a_case(metric=metric, concurrency=concurrency), requests_per_second=rate)


def test_a_first_token_at_a_rate_takes_as_long_as_its_prompt_and_those_ahead_of_it() -> None:
    lone = answer(a_case(metric=Metric.TTFT, concurrency=1))[0]
    few, more, many = answer(*(at_rate(rate) for rate in (0.1, 2.0, 5.0)))
    assert lone < few < 2 * lone, "all that is queued is no wait at a rate that is kept up with"
    assert few < more < many < 5 * lone


def test_a_first_token_waits_where_more_come_than_are_completed() -> None:
    most = answer(at_rate(math.inf, Metric.OUTPUT))[0] / 200
    kept, beyond, queued = answer(*(at_rate(rate) for rate in (0.99 * most, 2 * most, math.inf)))
    assert kept < 2_000
    assert beyond == pytest.approx(1e3 * 500 * (1 / most - 0.5 / most), rel=0.1)
    assert queued == pytest.approx(1e3 * 500 / most, rel=0.12)


def test_those_kept_at_once_beyond_the_places_wait_as_long_as_littles_law_says() -> None:
    """Seven of 256 run; the 256 that come as the benchmark begins wait half as long as those that follow one by one."""
    tight = a_case(concurrency=256, model=CATALOG.model("llama-3.1-70b"), weights=Precision.FP8)
    tokens, tpot = answer(tight, replace(tight, metric=Metric.TPOT))
    whole = 256 * 200 / tokens - 0.2 * tpot
    first = replace(tight, metric=Metric.TTFT)
    endless, thousand, none_follows = answer(*(replace(first, requests=n) for n in (math.inf, 1e3, 256.0)))
    assert endless == pytest.approx(1e3 * whole, rel=0.02)
    assert thousand == pytest.approx(endless * (1 - 0.256 / 2), rel=0.02)
    assert none_follows == pytest.approx(endless / 2, rel=0.02)


def test_hundreds_at_once_wait_for_half_of_the_others_prompts_as_they_start() -> None:
    """Of the 1,000 requests of a benchmark half start together where 500 are kept at once, a hundredth where ten are."""
    prompt = float(
        terms(Cases.of([a_case()]).physics, calibration().values).prefill_seconds(np.array([1e3]))[0]
    )
    few, many, all_at_once = answer(
        *(a_case(metric=Metric.TTFT, concurrency=n, tensor_parallel=8) for n in (10, 500, 1000))
    )
    assert few < 0.5 * 9 / 2 * 1e3 * prompt
    assert many > 0.5 * 499 / 2 * 1e3 * prompt / 8
    assert all_at_once == pytest.approx(4 * many, rel=0.3)


def loop_of_two_passes(generation: Generation) -> tuple[float, float]:
    """TTFT in ms of sixteen prompts of 1,024 tokens, kept at once, and what the engine adds to it beside prompts."""
    case = replace(
        a_case(metric=Metric.TTFT, concurrency=16, generation=generation),
        input_tokens=1024,
        output_tokens=1024,
    )
    parts = terms(Cases.of([case]).physics, {**calibration().values, "queue.sglang": 1.0})
    prompt = parts.prefill_seconds(np.array([1024.0]))
    step = parts.step(np.array([16.0]), np.array([1536.0]))
    beside = parts.first_token + (parts.first_token_factor - 1.0) * prompt + step / 2.0
    found = predict(Cases.of([case]), {**calibration().values, "queue.sglang": 1.0})
    return float(found[0]), 1e3 * float(beside[0])


def test_where_prompts_go_first_a_loop_in_step_waits_for_whole_passes() -> None:
    """Eight of the sixteen prompts have their first token after half of all prompts' time, the others after all of it."""
    found, beside = loop_of_two_passes(Generation.SGLANG)
    case = replace(a_case(generation=Generation.SGLANG), input_tokens=1024)
    parts = terms(Cases.of([case]).physics, calibration().values)
    both = 16e3 * float(parts.prefill_seconds(np.array([1024.0]), 8.0)[0])
    assert found - beside == pytest.approx((both / 2 + both) / 2, rel=1e-6)


def test_where_prompts_go_with_steps_a_loop_does_not_stay_in_step() -> None:
    in_step, _ = loop_of_two_passes(Generation.SGLANG)
    apart, _ = loop_of_two_passes(Generation.VLLM_NEW)
    assert apart < 0.7 * in_step


def test_lengths_that_differ_pull_a_loop_apart_where_prompts_go_first() -> None:
    """Each then waits as where prompts go with steps, and as the benchmark begins with all others."""
    case = replace(a_case(metric=Metric.TTFT, generation=Generation.VLLM_OLD), input_tokens=1024)
    alike, apart = answer(case, replace(case, unequal=True))
    assert apart < 0.5 * alike
    values = {**calibration().values, "queue.vllm_new": 1e-6}
    unequal = Cases.of([replace(case, unequal=True)])
    assert float(predict(unequal, values)[0]) < apart


def test_where_no_request_follows_all_wait_as_those_that_start_together() -> None:
    case = a_case(metric=Metric.TTFT, concurrency=32)
    many, few, none_follows = answer(*(replace(case, requests=n) for n in (10_000.0, 320.0, 32.0)))
    assert many <= few < none_follows
    assert none_follows > 3 * many


def test_a_run_at_a_rate_lasts_until_the_last_that_came_is_answered() -> None:
    """A hundred at eight a second come within 12.5 seconds; over the whole run fewer are answered a second, and fewer run at once."""
    case = replace(a_case(concurrency=math.inf), requests_per_second=8.0, output_tokens=512.0)
    steady, long, short = answer(case, *(replace(case, requests_told=True, requests=n) for n in (1e6, 100.0)))
    assert steady == pytest.approx(8.0 * 512.0)
    assert long == pytest.approx(steady, rel=1e-3)
    e2e, tpot = answer(
        *(replace(case, requests_told=True, requests=100.0, metric=m) for m in (Metric.E2E, Metric.TPOT))
    )
    assert short == pytest.approx(100 * 512 / (100 / 8 + e2e / 1e3), rel=0.05)
    assert tpot <= answer(replace(case, metric=Metric.TPOT))[0]


def test_the_longest_answers_of_a_run_leave_places_empty_that_others_would_fill() -> None:
    """Of a thousand conversations sent at once the last few run nearly alone; of a million nobody sees it, nor where lengths are alike."""
    case = a_case(concurrency=math.inf)
    told = [replace(case, requests_told=True, talks=True, requests=n) for n in (1e7, 1e4, 1e3)]
    steady, endless, long, short = answer(case, *told)
    assert endless == pytest.approx(steady, rel=1e-3)
    assert short < long < endless
    alike = replace(case, requests_told=True, requests=1e3)
    assert answer(alike)[0] == steady


def test_those_left_run_as_fast_as_so_few_do() -> None:
    """Where n requests take as long as one, 148 with one in e^5 of the longest take five times the mean; where one after another is
    answered, as long as all of them."""
    alone, running = 2.0, np.array([148.0])
    talk, long = (np.array([tokens]) for tokens in (200.0, 500.0))
    side_by_side = drained(running, talk, lambda left: left / alone)
    assert side_by_side[0] == pytest.approx(5.0 * alone, rel=0.02)
    capped = drained(running, long, lambda left: left / alone)
    assert capped[0] == pytest.approx(2.0 * alone, rel=0.02), "none is longer than 1,000 tokens"
    in_a_row = drained(running, talk, lambda left: np.full_like(left, 1.0 / alone))
    assert in_a_row[0] == pytest.approx(148.0 * alone, rel=0.03)


def test_layers_that_route_take_their_time_to_the_first_token() -> None:
    """A prompt passes each layer kernel by kernel, launched one by one; mixtures have more of them."""
    dense, mixture = (
        float(
            terms(
                Cases.of([replace(a_case(), replica=replace(a_case().replica, model=m))]).physics, v
            ).first_token[0]
        )
        for v in (calibration().values,)
        for m in (LLAMA_8B, CATALOG.model("qwen3-30b-a3b"))
    )
    layers = CATALOG.model("qwen3-30b-a3b").layers
    assert 0.1e-3 * layers < mixture - dense < 2e-3 * layers


def test_so_many_at_once_are_a_limit_that_a_rate_need_not_reach() -> None:
    free, limited = answer(at_rate(2.0), at_rate(2.0, concurrency=64))
    assert limited == pytest.approx(free)
    assert answer(at_rate(1e3, concurrency=64)) == pytest.approx(
        answer(a_case(metric=Metric.TTFT, concurrency=64)), rel=0.01
    )


def test_a_part_that_is_short_of_power_does_not_hold_its_peak() -> None:
    full = GPUS["H100-SXM"]
    starved = replace(full, board_watts=350.0)
    ttft = [
        replace(a_case(metric=Metric.TTFT, concurrency=1), replica=replace(a_case().replica, gpu=g))
        for g in (full, starved)
    ]
    quick, slow = answer(*ttft)
    assert slow > quick * 1.1


def test_a_family_or_format_that_was_not_measured_is_a_prior_with_a_wider_interval() -> None:
    found = calibration()
    h100, b200 = (
        replica_of(configuration(g, Precision.FP8), LLAMA_8B, GPUS[g]) for g in ("H100-SXM", "B200")
    )
    assert found.evidence(h100).layer is EvidenceLayer.CALIBRATED
    assert found.evidence(b200).layer is EvidenceLayer.PRIOR
    assert found.evidence(b200).margin > found.evidence(h100).margin > 0.1
    mi300 = replica_of(configuration("MI300X", Precision.FP8), LLAMA_8B, GPUS["MI300X"])
    assert found.evidence(mi300).layer is EvidenceLayer.PRIOR, "today's software of AMD was not measured"


def test_prompts_that_pass_together_share_the_reading_of_the_weights() -> None:
    parts = terms(Cases.of([a_case()]).physics, calibration().values)
    alone, shared = (float(parts.prefill_seconds(np.array([16.0]), together)[0]) for together in (1.0, 64.0))
    assert shared < alone / 4
    long = [float(parts.prefill_seconds(np.array([8192.0]), t)[0]) for t in (1.0, 2.0)]
    assert long[1] > long[0] * 0.8, "a long prompt is bound by its own operations"


def test_what_the_weights_leave_in_a_tight_fit_is_used_for_the_cache() -> None:
    """70 GB of weights on 80 GB: TensorRT-LLM counts its share from what is free, and served 775 tokens a second."""
    tight = next(
        c
        for c in CASES
        if c.replica.model.name == "llama-3.1-70b"
        and c.replica.tensor_parallel == 1
        and c.input_tokens == c.output_tokens == 1000
    )
    assert answer(tight)[0] == pytest.approx(tight.value, rel=0.25)


def test_a_tensor_group_over_two_nodes_pays_for_the_network() -> None:
    ttft = [answer(a_case(metric=Metric.TTFT, concurrency=1, tensor_parallel=k))[0] for k in (8, 16)]
    assert ttft[1] > ttft[0] * 1.2


def test_gpus_without_peer_copies_share_their_hosts_memory() -> None:
    """Twice as many of them take as long to exchange a long prompt as half of them and more; others share it out."""

    def ttft(interconnect: str, degree: int) -> float:
        gpu = replace(GPUS["L40S"], interconnect=interconnect)
        case = a_case(metric=Metric.TTFT, concurrency=1, tensor_parallel=degree)
        return answer(replace(case, input_tokens=8000, replica=replace(case.replica, gpu=gpu)))[0]

    assert ttft("PCIe through host", 1) == ttft("PCIe", 1)
    assert ttft("PCIe through host", 2) > ttft("PCIe", 2)
    assert ttft("PCIe through host", 8) > ttft("PCIe through host", 4) > 2 * ttft("PCIe", 4)


def test_rows_of_one_odd_series_do_not_outvote_the_others() -> None:
    """Twenty rows of one set-up that is twice as slow move the fit less than twenty rows of twenty set-ups do."""
    cases = [replace(c, id=str(i)) for i, c in enumerate(counted(CASES)) if c.metric.is_throughput][::8]
    odd = [replace(a_case(concurrency=2.0 ** (i % 8)), id=f"odd{i}", source="odd") for i in range(20)]
    slow = [replace(c, value=v / 2) for c, v in zip(odd, answer(*odd), strict=True)]
    many = [replace(c, source=f"odd {i}") for i, c in enumerate(slow)]
    probe = Cases.of(odd)
    one, twenty = (
        float(np.median(predict(probe, fit(Cases.of([*cases, *extra]))))) for extra in (slow, many)
    )
    assert one > twenty * 1.02


def test_thousands_of_configurations_are_estimated_in_a_moment() -> None:
    """Not a timed test: a hundred times the time that it takes would still pass."""
    many = Cases.of([a_case(concurrency=1 + i % 300) for i in range(2000)])
    began = time.perf_counter()
    for _ in range(24):
        predict(many, calibration().values)
    assert time.perf_counter() - began < 60
