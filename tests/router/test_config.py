"""What a router's configuration may say, and what a plan makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hetops.domain import codec
from hetops.router.config import Limits, RoutedClass, RoutedPool, RouterConfig, RouterSettings, from_plan
from tests.doubles import plans

POOL = RoutedPool(
    name="a", configuration="c", gpu="L4", endpoints=(), max_sequences=4, max_context_tokens=100
)
CONFIG = RouterConfig(
    deployment="d",
    models=("m",),
    classes=(RoutedClass(name="chat", input_tokens=1, output_tokens=1),),
    pools=(POOL,),
    shares={"chat": {"a": 1.0}},
)


def test_a_plan_makes_a_configuration_that_survives_its_file() -> None:
    endpoints = {"l4-fp8": ["http://127.0.0.1:1", "http://127.0.0.1:2"]}
    made = from_plan(plans.plan(), endpoints, RouterSettings(observations_file="/o"))
    assert codec.decode(RouterConfig, codec.encode(made), source="test") == made
    assert made.shares == {"chat": {"l4-fp8": 0.6, "l40s-fp8": 0.4}, "code": {"l40s-fp8": 1.0}}
    l4, l40s = made.pools
    assert l4.endpoints == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert l40s.endpoints == ()
    assert l40s.serves == ("chat", "code")
    assert l4.emulated


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"models": ()}, "at least one model"),
        ({"pools": (POOL, POOL)}, "pool a stands there twice"),
        ({"shares": {"chat": {"b": 1.0}}}, "there is no pool b"),
        ({"shares": {"chat": {"a": 0.5}}}, "together they are 0.5"),
        ({"shares": {"chat": {"a": 1.5}}}, "between 0 and 1"),
        ({"shares": {"chat": {"a": 1.0}, "code": {"a": 1.0}}}, "there is no class code"),
        ({"models": ("m\r\nx: 1",)}, "cannot stand in a header"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change: Mapping[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        replace(CONFIG, **change)


@pytest.mark.parametrize(
    "endpoint", ["ftp://h", "http://", "http://h:99999", "http://u:p@h", "http://h?q", "http://h:0", "h:80"]
)
def test_an_endpoint_must_be_a_base_url(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        replace(POOL, endpoints=(endpoint,))


def test_only_endpoints_of_the_pool_can_drain() -> None:
    with pytest.raises(ValueError, match="drains and is none of its endpoints"):
        replace(POOL, endpoints=("http://h:1",), draining=("http://h:2",))


def test_every_limit_is_above_zero() -> None:
    for name in Limits.__slots__:
        with pytest.raises(ValueError, match=name):
            replace(Limits(), **{name: 0})
