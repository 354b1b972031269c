"""Google Cloud with its fake: what the tests of it need to know."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hetops_gcp.provider import GcpProvider

from hetops.domain.offer import Offer
from hetops.domain.plan import Refusal
from hetops.errors import ProviderError
from hetops.offers.collect import Freshness, Source, Terms, collect
from hetops.offers.sources import Collected
from hetops.plugin import CheckResult, Patience, Surroundings
from tests.doubles.fake_api import started
from tests.doubles.gcp import Gcp, GcpScenario
from tests.plugins.clouds import query

PATIENCE = Patience(timeout_seconds=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project that answers, and the way to it."""

    api: Gcp
    folder: Path

    @property
    def surroundings(self) -> Surroundings:
        """Those that lead to the fake."""
        told = {"HOME": str(self.folder), **self.api.environment()}
        return Surroundings(environment=told, clock=self.api.clock, patience=PATIENCE)

    def provider(self, **environment: str) -> GcpProvider:
        """A provider in these surroundings; variables may be others, or empty."""
        around = self.surroundings
        return GcpProvider(replace(around, environment={**around.environment, **environment}))

    def told(self, **settings: Any) -> tuple[Any, ...]:
        """What the provider hands over."""
        return asyncio.run(self.provider().fetch_offers(replace(query(), settings=settings)))

    def offers(self, **settings: Any) -> dict[str, Offer]:
        """Its offers by id."""
        return {thing.id: thing for thing in self.told(**settings) if isinstance(thing, Offer)}

    def refusals(self, **settings: Any) -> dict[str, str]:
        """Why things are no offers, by what they are."""
        return {thing.subject: thing.reason for thing in self.told(**settings) if isinstance(thing, Refusal)}

    def failures(self, **settings: Any) -> tuple[ProviderError, ...]:
        """The parts that failed."""
        return tuple(thing for thing in self.told(**settings) if isinstance(thing, ProviderError))

    def collected(self, *others: Source, **settings: Any) -> Collected:
        """What `hetops offers` gets of it, asked beside others."""
        source = Source(name="gcp", provider=self.provider(), settings=settings)
        return collect([source, *others], query(), Terms(freshness=Freshness.ASKED, deadline_seconds=5.0))

    def checked(self, settings: dict[str, Any] | None = None, **environment: str) -> dict[str, CheckResult]:
        """What `check` finds, by subject."""
        return {r.subject: r for r in self.provider(**environment).check(settings or {})}


@contextlib.contextmanager
def project(folder: Path, **scenario: Any) -> Iterator[Project]:
    """A project that behaves so, until the block ends."""
    api = Gcp(GcpScenario(**scenario))
    started(api)
    try:
        yield Project(api=api, folder=folder)
    finally:
        api.close()
