"""The provider against its cloud: the contract that hetops asks of everyone, and what is this cloud's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud import TOKEN, Cloud, running
from hetops_example.provider import TOKEN_VARIABLE, URL_VARIABLE, ExampleDriver, ExampleProvider

from hetops.plugin import ErrorKind, Launch, Node, NodeDriver, NodeRequest, Provider, ProviderError
from hetops.plugin.testing import NodeDriverContract, ProviderContract


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A cloud of its own for every test, and the token that opens it."""
    with running() as cloud:
        monkeypatch.setenv(URL_VARIABLE, cloud.url)
        monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
        yield cloud


def a_request(name: str, sku: str = "one-l4") -> NodeRequest:
    """A node that runs two engines."""
    launch = Launch(argv=("--model", "some/model"), image="registry.example/engine:1")
    return NodeRequest(
        name=name,
        deployment="contract",
        pool="small",
        sku=sku,
        region="north",
        zone="",
        market="on_demand",
        launches=(launch, launch),
    )


class TestProvider(ProviderContract):
    """What every provider must hold to."""

    def provider(self) -> Provider:
        """Ours."""
        return ExampleProvider()


class TestDriver(NodeDriverContract):
    """What every driver of nodes must hold to."""

    provider_name = "example"

    def driver(self) -> NodeDriver:
        """Ours; nothing lives in the object."""
        return ExampleProvider().node_driver(Path(), {})

    def request(self, name: str) -> NodeRequest:
        """A node that can be had."""
        return a_request(name)

    def impossible_request(self, name: str) -> NodeRequest:
        """A type that is sold out."""
        return a_request(name, sku="retired")


def created(name: str, sku: str = "one-l4") -> Node:
    """The node that the driver creates."""
    return asyncio.run(ExampleDriver().create(a_request(name, sku)))


def test_a_create_whose_answer_is_lost_makes_one_node(cloud: Cloud) -> None:
    """The connection breaks after the cloud has begun: the node is found by name."""
    cloud.loses = 1
    node = created("lost")
    assert [n["id"] for n in cloud.nodes.values()] == [node.id]


@pytest.mark.parametrize(("token", "kind"), [("", ErrorKind.AUTH), ("stolen", ErrorKind.AUTH)])
def test_a_token_that_is_missing_or_wrong_is_a_matter_of_credentials(
    token: str, kind: ErrorKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So hetops says which credentials to mend."""
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(ProviderError) as caught:
        created("never")
    assert caught.value.kind is kind


def test_a_type_that_is_sold_out_is_a_matter_of_capacity() -> None:
    """So hetops plans again without it."""
    with pytest.raises(ProviderError) as caught:
        created("never", sku="retired")
    assert caught.value.kind is ErrorKind.CAPACITY


def test_a_cloud_that_is_down_is_an_error_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """So hetops tries again later."""
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(ProviderError) as caught:
        created("never")
    assert caught.value.kind is ErrorKind.TRANSIENT
