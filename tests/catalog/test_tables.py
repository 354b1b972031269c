"""The shipped tables are whole: every row builds, every offer has a price, unknown names get the nearest ones."""

from __future__ import annotations

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
    assert "H100-SXM" in caught.value.hint


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
    on_demand = {(o.provider, o.sku) for o in prices.offers}
    assert len(on_demand) + len(prices.refusals) == len(tables.rows("instance_types"))
    assert all(r.reason for r in prices.refusals)
    assert any("fraction of a GPU" in r.reason for r in prices.refusals)


def test_spot_prices_are_offers_of_their_own() -> None:
    spot = [o for o in list_prices(CATALOG).offers if o.market is Market.SPOT]
    assert len(spot) > 10
