"""Real small providers: each answers, fails or stalls as it was told, through the public protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hetops.domain.offer import Market, Offer, PriceBasis
from hetops.plugin.provider import Capability, CheckResult, OfferQuery, Quota

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class TellingProvider:
    """Answers each query with what `tell` returns or raises, and remembers the queries."""

    def __init__(
        self,
        name: str,
        tell: Callable[[OfferQuery], Awaitable[Any]],
        capabilities: frozenset[Capability] = frozenset(),
    ) -> None:
        self.name = name
        self.capabilities = capabilities
        self.queries: list[OfferQuery] = []
        self._tell = tell

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:  # noqa: ARG002
        return ()

    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        self.queries.append(query)
        answer: tuple[Offer, ...] = await self._tell(query)
        return answer

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:  # noqa: ARG002
        return ()


def answering(name: str, *things: Any, capabilities: frozenset[Capability] = frozenset()) -> TellingProvider:
    """A provider that hands over these things."""

    async def tell(_query: OfferQuery) -> Any:
        return things

    return TellingProvider(name, tell, capabilities)


def failing(name: str, fault: BaseException) -> TellingProvider:
    """A provider that raises."""

    async def tell(_query: OfferQuery) -> Any:
        raise fault

    return TellingProvider(name, tell)


def live_offer(provider: str, sku: str = "one-h100", usd_per_hour: str = "3.00", **fields: Any) -> Offer:
    """A live offer of one H100, observed now; any field may be another."""
    told: dict[str, Any] = {
        "gpu": "H100-SXM",
        "gpu_count": 1,
        "region": "us-east-1",
        "market": Market.ON_DEMAND,
        "basis": PriceBasis.LIVE,
        "observed_at": NOW,
        "source": "test",
        "ttl_seconds": 300,
        **fields,
    }
    return Offer(provider=provider, sku=sku, usd_per_hour=Decimal(usd_per_hour), **told)


def list_offer(provider: str, sku: str = "one-h100", usd_per_hour: str = "3.00", **fields: Any) -> Offer:
    """A list price of ten months ago."""
    old = {"observed_at": datetime(2026, 1, 19, tzinfo=UTC), "basis": PriceBasis.LIST, "ttl_seconds": 0}
    return live_offer(provider, sku, usd_per_hour, **(old | fields))
