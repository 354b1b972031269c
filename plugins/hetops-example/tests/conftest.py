"""The cloud of every test, and the provider as the subject of the contract suite."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud import TOKEN, Cloud, running
from hetops_example.provider import TOKEN_VARIABLE, URL_VARIABLE, ExampleProvider

from hetops.plugin import Launch, NodeDriver, NodeRequest, Patience, Surroundings
from hetops.plugin.testing import Subject, Trouble

pytest_plugins = ("hetops.plugin.testing",)

WRONG_TOKEN = "stolen-8c1f5e27"


class Hurried:
    """A clock whose waits are over at once."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """As `Clock.now`."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        self._now += seconds
        await asyncio.sleep(0)


class ExampleSubject(Subject):
    """The provider, its cloud, and a request that can be met."""

    name = "example"

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.token = TOKEN
        self._folder = folder
        self._clock = Hurried()

    def provider(self) -> ExampleProvider:
        """Ours, led to the cloud."""
        told = {"HOME": str(self._folder), URL_VARIABLE: self.cloud.url, TOKEN_VARIABLE: self.token}
        around = Surroundings(environment=told, clock=self._clock, patience=Patience(timeout_seconds=2.0))
        return ExampleProvider(around)

    def secrets(self) -> tuple[str, ...]:
        """The token, and the wrong one."""
        return (TOKEN, WRONG_TOKEN)

    def meets(self, trouble: Trouble) -> None:
        """The cloud can be in any trouble."""
        if trouble is Trouble.KEY_REFUSED:
            self.token = WRONG_TOKEN
        else:
            self.cloud.trouble = trouble

    def driver(self) -> NodeDriver:
        """Ours; nothing lives in the object."""
        return self.provider().node_driver(self._folder, {})

    def request(self, name: str, sku: str = "one-l4") -> NodeRequest:
        """A node that runs two engines."""
        launch = Launch(
            argv=("--model", "some/model"), image="registry.example/engine:1", host="0.0.0.0", port=8000
        )
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

    def impossible_request(self, name: str) -> NodeRequest:
        """A type that is sold out."""
        return self.request(name, sku="sold-out")


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[ExampleSubject]:
    """The provider with a cloud of its own."""
    with running() as cloud:
        yield ExampleSubject(cloud, tmp_path)
