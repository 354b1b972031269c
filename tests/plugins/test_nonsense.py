"""Whatever JSON a cloud answers with, its provider hands over offers and reasons, and raises nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hetops_hyperbolic import offers as hyperbolic
from hetops_lambda import offers as lambda_offers
from hetops_runpod import offers as runpod
from hetops_runpod.settings import RunPodSettings, Tier
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.domain.offer import Offer
from hetops.domain.plan import Refusal
from tests.plugins.clouds import NOW
from tests.plugins.test_payloads import payload

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.sampled_from((10**400, -(10**400)))
    | st.decimals(-(10**6), 10**6, places=2)
    | st.text(max_size=8)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@st.composite
def broken(draw: st.DrawFn, document: Any) -> Any:
    """The document with one of its places holding something else, or nothing."""
    if not isinstance(document, dict | list) or not document or draw(st.integers(0, 3)) == 0:
        return draw(JSON)
    if isinstance(document, list):
        at = draw(st.integers(0, len(document) - 1))
        return [draw(broken(each)) if i == at else each for i, each in enumerate(document)]
    name = draw(st.sampled_from(sorted(document)))
    if draw(st.integers(0, 4)) == 0:
        return {key: value for key, value in document.items() if key != name}
    return {key: draw(broken(value)) if key == name else value for key, value in document.items()}


def sound(things: tuple[Any, ...]) -> None:
    for thing in things:
        assert isinstance(thing, Offer | Refusal)
        if isinstance(thing, Offer):
            assert isinstance(thing.usd_per_hour, Decimal)
            assert thing.usd_per_hour > 0
        else:
            assert thing.reason


TYPES = payload("lambda_instance_types")["data"]
GPUS = payload("runpod_catalog_gpus_availability")["gpus"]
OPTIONS = payload("hyperbolic_on_demand_rental_options")


@given(broken(TYPES).filter(lambda said: isinstance(said, dict)))
@settings(max_examples=300, deadline=None)
def test_lambdas_types(said: Any) -> None:
    sound(lambda_offers.offers(said, NOW))


@pytest.mark.parametrize("tier", Tier)
@given(rows=broken(GPUS).filter(lambda said: isinstance(said, list)))
@settings(max_examples=200, deadline=None)
def test_runpods_catalogue(tier: Tier, rows: Any) -> None:
    sound(runpod.offers(rows, tier, 1, RunPodSettings(), NOW))


@given(broken(OPTIONS).filter(lambda said: isinstance(said, list)))
@settings(max_examples=300, deadline=None)
def test_hyperbolics_options(rows: Any) -> None:
    sound(hyperbolic.offers(rows, NOW))
    for row in rows:
        if isinstance(row, dict):
            assert hyperbolic.Option(gpu_type="h100", count=1).matches(row, "us-east-1") in (True, False)
