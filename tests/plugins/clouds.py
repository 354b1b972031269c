"""The clouds whose nodes are rented one by one, each with its fake: what tests of all of them need to know.

Every call makes a provider of its own, so that nothing can live in an object alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hetops_hyperbolic.provider import HyperbolicProvider
from hetops_lambda.provider import LambdaProvider
from hetops_runpod.provider import RunPodProvider

from hetops.catalog import tables
from hetops.catalog.list_prices import list_prices
from hetops.offers.collect import Freshness, Source, Terms, collect
from hetops.offers.select import OfferRules, Selection, select
from hetops.offers.sources import Collected
from hetops.plugin import (
    CloudDriver,
    Launch,
    Node,
    NodeRequest,
    OfferQuery,
    Patience,
    Surroundings,
)
from tests.doubles.fake_api import FakeApi, Scenario, started
from tests.doubles.hyperbolic import Hyperbolic
from tests.doubles.lambda_cloud import LambdaCloud
from tests.doubles.runpod import RunPod

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PATIENCE = Patience(timeout_seconds=0.3)

LAUNCH = Launch(
    argv=("--model", "some/model", "--port", "8000"),
    image="registry.example/engine:1",
    host="0.0.0.0",
    port=8000,
    ready_seconds=120,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One cloud: its fake, its provider, and what a node of it is."""

    name: str
    fake: Callable[[Scenario], FakeApi]
    provider: Callable[[Surroundings], Any]
    sku: str
    region: str
    sold_out: str
    """A SKU that the fake has none of."""
    launches: int
    """How many engines a node takes."""
    create_path: str
    list_path: str


KINDS = {
    "lambda": Kind(
        name="lambda",
        fake=LambdaCloud,
        provider=LambdaProvider,
        sku="gpu_2x_a100",
        region="us-west-2",
        sold_out="gpu_8x_b200_sxm6",
        launches=2,
        create_path="/api/v1/instance-operations/launch",
        list_path="/api/v1/instances",
    ),
    "runpod": Kind(
        name="runpod",
        fake=RunPod,
        provider=RunPodProvider,
        sku="NVIDIA L40S x2",
        region="US-KS-2",
        sold_out="NVIDIA B200",
        launches=1,
        create_path="/v2/pods",
        list_path="/v2/pods",
    ),
    "hyperbolic": Kind(
        name="hyperbolic",
        fake=Hyperbolic,
        provider=HyperbolicProvider,
        sku="h100 (virtual-machine, 8 GPU)",
        region="us-east-1",
        sold_out="b200 (virtual-machine, 1 GPU)",
        launches=2,
        create_path="/v2/on-demand/virtual-machine-rentals",
        list_path="/v2/on-demand/virtual-machine-rentals",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A cloud that runs, and the way to it."""

    kind: Kind
    api: Any
    folder: Path

    @property
    def surroundings(self) -> Surroundings:
        """Those that lead to the fake."""
        told = {"HOME": str(self.folder), **self.api.environment()}
        return Surroundings(environment=told, clock=self.api.clock, patience=PATIENCE)

    def provider(self, **environment: str) -> Any:
        """A provider in these surroundings; variables may be others, or empty."""
        around = self.surroundings
        return self.kind.provider(replace(around, environment={**around.environment, **environment}))

    def driver(self, settings: Mapping[str, Any] | None = None, **environment: str) -> CloudDriver:
        """The provider's own driver, with these settings."""
        driver: CloudDriver = self.provider(**environment).node_driver(self.folder, settings or {})
        return driver

    def request(self, name: str = "p-0-abc123", **fields: Any) -> NodeRequest:
        """A node that can be had; any field may be another."""
        told: dict[str, Any] = {
            "deployment": "contract",
            "pool": "p",
            "sku": self.kind.sku,
            "region": self.kind.region,
            "zone": "",
            "market": "on_demand",
            "launches": (LAUNCH,) * self.kind.launches,
        }
        return NodeRequest(name=name, **(told | fields))

    def created(self, name: str = "p-0-abc123", **fields: Any) -> Node:
        """The node that the driver creates."""
        return asyncio.run(self.driver().create(self.request(name, **fields)))

    def names(self) -> list[str]:
        """The names of the nodes that a driver lists."""
        return sorted(node.name for node in asyncio.run(self.driver().list("contract")))

    def offers(self, **settings: Any) -> tuple[Any, ...]:
        """What the provider hands over."""
        return tuple(asyncio.run(self.provider().fetch_offers(replace(query(), settings=settings))))

    def collected(self, *others: Source) -> Collected:
        """What `hetops offers` gets of it, asked beside others."""
        source = Source(name=self.kind.name, provider=self.provider())
        return collect([source, *others], query(), Terms(freshness=Freshness.ASKED, deadline_seconds=5.0))


def query() -> OfferQuery:
    """What is asked for, with the catalogue's GPU types and list prices."""
    catalog = tables.load()
    return OfferQuery(now=NOW, gpu_types=catalog.gpu_types, list_prices=list_prices(catalog).offers)


def selected(collected: Collected) -> Selection:
    """What may be chosen of it, by the catalogue."""
    asked = query()
    return select(
        collected.offers,
        OfferRules(),
        now=NOW,
        gpus=frozenset(g.name for g in asked.gpu_types),
        list_prices=asked.list_prices,
    )


@contextlib.contextmanager
def stand(name: str, folder: Path, scenario: Scenario | None = None) -> Iterator[Stand]:
    """A cloud of its own until the block ends."""
    kind = KINDS[name]
    api = started(kind.fake(scenario or Scenario()))
    try:
        yield Stand(kind=kind, api=api, folder=folder)
    finally:
        api.close()


class OnAStand:
    """Tests of one cloud: `cloud` stands before each test, `another(scenario)` makes one that behaves so."""

    of = ""
    cloud: Stand

    @pytest.fixture(autouse=True)
    def _stand(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        with contextlib.ExitStack() as stack:
            self._stack = stack
            self.cloud = self.another()
            yield

    def another(self, **scenario: Any) -> Stand:
        """A cloud that behaves so, until the test ends."""
        return self._stack.enter_context(stand(self.of, self.folder, Scenario(**scenario)))
