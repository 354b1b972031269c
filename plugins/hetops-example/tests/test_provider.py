"""The provider against its cloud: the contract that hetops asks of everyone, and what is this cloud's own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from conftest import ExampleSubject
from hetops_example.provider import NAME

from hetops.plugin import ErrorKind, Launch, Offer, ProviderError, Refusal
from hetops.plugin.testing import Promise


def test_it_keeps_the_promise(promise: Promise, subject: ExampleSubject) -> None:
    """Of every provider, and of every driver of nodes."""
    promise(subject)


def offers(subject: ExampleSubject, **settings: Any) -> list[Offer | Refusal]:
    """What it hands over with these settings."""
    query = replace(subject.query(), settings=settings)
    return [o for o in asyncio.run(subject.provider().fetch_offers(query)) if not isinstance(o, Exception)]


def test_a_region_of_the_settings_leaves_the_others_out(subject: ExampleSubject) -> None:
    """`region` of `[providers.example]`."""
    found = {o.sku for o in offers(subject, region="south") if isinstance(o, Offer)}
    assert found == {"one-h100", "sold-out"}


def test_a_type_without_a_price_is_told_and_never_offered(subject: ExampleSubject) -> None:
    """`hetops offers --refused` lists it."""
    reasons = {o.subject: o.reason for o in offers(subject) if isinstance(o, Refusal)}
    assert reasons == {f"{NAME} retired": "it has no price"}


def test_a_launch_that_no_container_can_be_made_of_is_refused_before_the_cloud_is_asked(
    subject: ExampleSubject,
) -> None:
    """So nothing is paid for."""
    request = replace(subject.request("never"), launches=(Launch(argv=("engine",)),))
    with pytest.raises(ProviderError) as caught:
        asyncio.run(subject.driver().create(request))
    assert (caught.value.kind, subject.cloud.seen) == (ErrorKind.INVALID, [])


def test_without_a_token_nobody_is_asked(subject: ExampleSubject) -> None:
    """And the fix is a line to type."""
    subject.token = ""
    results = {r.subject: r for r in subject.provider().check({})}
    assert (results["token"].ok, results["token"].fix) == (False, "export EXAMPLE_CLOUD_TOKEN=...")
    assert subject.cloud.seen == []
