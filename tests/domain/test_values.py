"""Impossible values cannot be built, and what is derived from possible ones is right."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.catalog import tables
from hetops.domain.configuration import Role
from hetops.domain.model import Precision
from hetops.domain.offer import PriceBasis
from hetops.domain.performance import Evidence, EvidenceLayer, StepCurve, StepTimes
from hetops.domain.plan import Plan
from hetops.domain.units import HOURS_PER_MONTH, usd_per_million_tokens, usd_per_month
from hetops.domain.workload import LatencyTarget, TokenLengths, Workload
from tests.doubles import plans
from tests.doubles.providers import NOW, list_offer, live_offer

L4 = tables.load().gpu("L4")
H100 = tables.load().gpu("H100-SXM")
MODEL = tables.load().model("llama-3.1-8b")
CLASS = plans.workload_class("chat", 1.0, 100, 20)


def refused(value: Any, said: str, **fields: Any) -> None:
    with pytest.raises(ValueError, match=said):
        replace(value, **fields)


@pytest.mark.parametrize(
    "field", ["memory_gb", "bandwidth_gb_per_second", "fp16_tflops", "interconnect_gb_per_second"]
)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_a_gpu_type_without_memory_or_speed_cannot_be(field: str, value: float) -> None:
    refused(L4, f"{field} must be above zero", **{field: value})


def test_programs_see_a_little_less_memory_than_the_nominal_gib_and_a_sixteenth_less_of_gddr6() -> None:
    assert H100.memory_bytes == pytest.approx(80 * 1024**3 * 0.99)
    assert L4.memory_bytes == 24e9
    mib = {"GDDR7": (32, 32_607), "GDDR6X": (24, 24_564)}
    for kind, (nominal, told) in mib.items():
        card = replace(L4, memory_type=kind, memory_gb=float(nominal))
        assert card.memory_bytes == pytest.approx(told * 1024**2, rel=0.011)


def test_nvlink_is_whatever_is_not_pcie() -> None:
    assert (H100.nvlink, L4.nvlink) == (True, False)


@pytest.mark.parametrize("field", ["parameters_b", "layers", "hidden", "heads", "context_tokens"])
def test_a_model_without_a_shape_cannot_be(field: str) -> None:
    refused(MODEL, f"{field} must be above zero", **{field: 0})


def test_every_precision_knows_its_bytes_and_fewer_bits_take_fewer() -> None:
    sizes = [p.bytes_per_value for p in (Precision.FP32, Precision.FP16, Precision.FP8, Precision.INT4)]
    assert sizes == sorted(sizes, reverse=True)
    assert all(0.5 <= p.bytes_per_value <= 4 for p in Precision)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "sNaN"])
def test_an_offer_without_a_price_cannot_be(price: str) -> None:
    with pytest.raises(ValueError, match=r"means 'not sold', never 'free'|signaling NaN"):
        live_offer("cloud", usd_per_hour=price)


def test_an_offer_without_gpus_or_a_time_zone_cannot_be() -> None:
    refused(live_offer("cloud"), "gpu_count must be at least 1", gpu_count=0)
    refused(live_offer("cloud"), "needs a time zone", observed_at=NOW.replace(tzinfo=None))


def test_the_id_of_an_offer_holds_whatever_tells_it_from_others() -> None:
    assert live_offer("cloud").id == "cloud/us-east-1/one-h100/on_demand"
    assert live_offer("cloud", zone="us-east-1a").id == "cloud/us-east-1a/one-h100/on_demand"
    assert live_offer("cloud", usd_per_hour="9").id == live_offer("cloud").id, "prices change, ids do not"


def test_extras_are_part_of_the_price() -> None:
    assert live_offer(
        "c", usd_per_hour="3", extra_usd_per_hour=Decimal("0.25")
    ).total_usd_per_hour == Decimal("3.25")


def test_live_prices_grow_stale_and_list_prices_are_for_planning_only() -> None:
    live = live_offer("c", ttl_seconds=60)
    assert not live.stale(NOW + timedelta(seconds=60))
    assert live.stale(NOW + timedelta(seconds=61))
    assert not list_offer("c").stale(NOW)
    assert list_offer("c").plan_only
    assert not live.plan_only
    assert not replace(list_offer("c"), emulated=True).plan_only
    assert not replace(list_offer("c"), basis=PriceBasis.NOMINAL).plan_only


def test_money_and_tokens() -> None:
    assert HOURS_PER_MONTH == 365 * 24 / 12
    assert usd_per_month(Decimal("1.10")) == Decimal("803.00")
    assert usd_per_million_tokens(Decimal("3.60"), 1000) == pytest.approx(1.0)
    assert usd_per_million_tokens(3.6, 0) == float("inf")


lengths = st.lists(st.floats(1, 1e5), min_size=4, max_size=4).map(sorted)


@settings(deadline=None)
@given(lengths, st.floats(1, 99.9), st.floats(1, 99.9))
def test_longer_percentiles_are_never_shorter(known: list[float], one: float, two: float) -> None:
    p50, p90, p95, p99 = known
    found = TokenLengths(mean=p50, p50=p50, p90=p90, p95=p95, p99=p99)
    low, high = sorted((one, two))
    assert found.percentile(low) <= found.percentile(high) * (1 + 1e-12)
    for percent, length in zip((50, 90, 95, 99), known, strict=True):
        assert found.percentile(percent) == pytest.approx(length)


def test_token_lengths_that_fall_or_are_nothing_cannot_be() -> None:
    refused(TokenLengths.fixed(10), "percentiles must rise", p95=9)
    refused(TokenLengths.fixed(10), "the mean must be above zero", mean=0)
    refused(TokenLengths.fixed(10), "percentiles must rise", p50=float("nan"))


@pytest.mark.parametrize("field", ["ttft_seconds", "tpot_seconds"])
def test_a_target_of_nothing_cannot_be(field: str) -> None:
    refused(LatencyTarget(ttft_seconds=1.0), f"{field} must be above zero", **{field: 0.0})
    percentile = field.replace("seconds", "percentile")
    for value in (0, 100, float("nan")):
        refused(LatencyTarget(ttft_seconds=1.0), "must lie between 0 and 100", **{percentile: value})


@pytest.mark.parametrize("rate", [-1.0, float("inf"), float("nan")])
def test_a_rate_that_is_no_number_cannot_be(rate: float) -> None:
    refused(CLASS, "requests_per_second must be a number", requests_per_second=rate)


def test_a_workload_has_classes_and_each_its_own_name() -> None:
    for classes, said in (((), "at least one class"), ((CLASS, CLASS), "class names must differ")):
        with pytest.raises(ValueError, match=said):
            Workload(classes=classes, source="test")
    both = Workload(classes=(CLASS, replace(CLASS, name="code", requests_per_second=2.5)), source="test")
    assert both.requests_per_second == 3.5


@pytest.mark.parametrize(
    "field", ["tensor_parallel", "pipeline_parallel", "max_sequences", "max_context_tokens"]
)
def test_a_configuration_of_nothing_cannot_be(field: str) -> None:
    refused(plans.configuration(), f"{field} must be at least 1", **{field: 0})


def test_the_id_of_a_configuration_says_what_tells_it_from_others() -> None:
    plain = plans.configuration()
    assert plain.id == "llama-3.1-8b/vllm/L4/tp1/fp8/s16"
    split = replace(plain, tensor_parallel=2, pipeline_parallel=3, kv=Precision.FP8, role=Role.DECODE)
    assert split.id == "llama-3.1-8b/vllm/L4/tp2pp3/fp8-kvfp8/s16/decode"
    assert split.gpu_count == 6


def test_a_pool_of_nothing_cannot_be_and_costs_what_its_nodes_cost() -> None:
    pool = plans.pool(nodes=3)
    for what in ("nodes", "replicas_per_node", "parts_per_node"):
        refused(pool, "nodes, replicas_per_node and parts_per_node must be at least 1", **{what: 0})
    assert replace(pool, replicas_per_node=4).replicas == 12
    assert pool.usd_per_hour == Decimal("2.40")
    assert replace(pool, parts_per_node=4).usd_per_hour == Decimal("0.60")


def test_a_plan_costs_what_its_pools_cost_and_finds_them_by_name() -> None:
    plan: Plan = plans.plan()
    assert plan.usd_per_hour == sum(p.usd_per_hour for p in plan.pools) == Decimal("3.50")
    assert plan.usd_per_month == Decimal("2555.00")
    assert plan.pool("l4-fp8").configuration.gpu == "L4"
    with pytest.raises(KeyError):
        plan.pool("l4")
    assert len(plan.evidence) == 1


def test_the_rate_that_is_planned_with_is_never_above_the_estimate() -> None:
    row = plans.row(plans.pool(), "chat", 2.0)
    assert row.planned_requests_per_second == pytest.approx(1.8)
    bare = replace(row, evidence=Evidence(layer=EvidenceLayer.MEASURED, source="bench"))
    assert bare.planned_requests_per_second == 2.0
    refused(row, "fails", requests_per_second_low=2.1)
    refused(row, "fails", requests_per_second_high=1.9)
    refused(row, "fails", requests_per_second_low=-0.1)


CURVE = StepCurve(sequences=(1.0, 2.0, 4.0), seconds=(0.01, 0.04, 0.06))


@pytest.mark.parametrize(
    ("sequences", "seconds"),
    [(0.5, 0.01), (1, 0.01), (1.5, 0.025), (2, 0.04), (3, 0.05), (4, 0.06), (8, 0.10)],
)
def test_a_step_curve_goes_through_what_was_measured_and_on_beyond_it(
    sequences: float, seconds: float
) -> None:
    assert CURVE.at(sequences) == pytest.approx(seconds)
    assert CURVE.scaled(2.0).at(sequences) == pytest.approx(2.0 * seconds)


def test_a_step_curve_of_one_number_is_flat() -> None:
    assert StepCurve(sequences=(2.0,), seconds=(0.02,)).at(64) == 0.02


@pytest.mark.parametrize(
    ("said", "sequences", "seconds"),
    [
        ("seconds for each", (), ()),
        ("seconds for each", (1.0, 2.0), (0.01,)),
        ("seconds for each", (1.0,), (-0.01,)),
        ("rises", (2.0, 1.0), (0.01, 0.02)),
        ("rises", (1.0, 2.0), (0.02, 0.01)),
    ],
)
def test_a_step_curve_never_falls(
    said: str, sequences: tuple[float, ...], seconds: tuple[float, ...]
) -> None:
    refused(CURVE, said, sequences=sequences, seconds=seconds)


@settings(deadline=None)
@given(st.integers(1, 256), st.integers(1, 256), st.floats(1, 1e5), st.floats(1, 1e5))
def test_more_work_never_takes_less_time(one: int, two: int, short: float, long: float) -> None:
    times: StepTimes = plans.STEP_TIMES
    fewer, more = sorted((one, two))
    less, longer = sorted((short, long))
    assert times.decode_seconds(fewer, less) <= times.decode_seconds(more, longer)
    assert times.prefill_seconds(less) <= times.prefill_seconds(longer)
    per_sequence = times.decode_seconds(more, less) / more
    assert per_sequence <= times.decode_seconds(fewer, less) / fewer * (1 + 1e-12), "batching never costs"


def test_values_are_frozen() -> None:
    for value in (L4, MODEL, plans.offer(), plans.configuration(), plans.plan(), CLASS):
        first = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, first, "other")
