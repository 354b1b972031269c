"""How the tests of the AWS plugin ask: against the double, with its credentials in the environment and nothing else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hetops_aws.provider import AwsProvider

from hetops.catalog import tables
from hetops.domain.offer import Market, Offer
from hetops.domain.plan import Refusal
from hetops.errors import ProviderError
from hetops.plugin.provider import OfferQuery
from tests.doubles.aws import NOW, AwsCloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer of the provider, sorted."""

    offers: tuple[Offer, ...]
    refusals: tuple[Refusal, ...]
    failures: tuple[ProviderError, ...]

    def on(self, market: Market, sku: str = "", region: str = "") -> tuple[Offer, ...]:
        """The offers on a market, of a type and region where they are named."""
        return tuple(
            o for o in self.offers if o.market is market and sku in ("", o.sku) and region in ("", o.region)
        )

    def reason(self, subject: str) -> list[str]:
        """Why the thing is no offer."""
        return [r.reason for r in self.refusals if r.subject == subject]


def enter(cloud: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment in which boto3 finds the double and no credentials of anybody else."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def query(settings: Mapping[str, Any] | None = None, *, seconds: float = 20.0) -> OfferQuery:
    """The question, on the day of the double's prices."""
    return OfferQuery(
        now=NOW, gpu_types=tables.load().gpu_types, settings=settings or {}, deadline_seconds=seconds
    )


def ask(settings: Mapping[str, Any] | None = None, *, seconds: float = 20.0) -> Told:
    """What the provider hands over."""
    return sorted_out(asyncio.run(AwsProvider().fetch_offers(query(settings, seconds=seconds))))


def sorted_out(things: Iterable[Any]) -> Told:
    """An answer by kinds."""
    told = tuple(things)
    return Told(
        offers=tuple(t for t in told if isinstance(t, Offer)),
        refusals=tuple(t for t in told if isinstance(t, Refusal)),
        failures=tuple(t for t in told if isinstance(t, ProviderError)),
    )
