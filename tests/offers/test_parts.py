"""A provider that failed in part keeps its other offers, and what is missing is named, from the cache as well."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hetops.domain.offer import PriceBasis
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind, ProviderError
from hetops.offers.collect import Source, Terms, collect
from hetops.offers.sources import Collected, SourceState
from hetops.plugin.provider import OfferQuery
from tests.doubles.providers import NOW, TellingProvider, answering, list_offer, live_offer

NOT_SOLD = Refusal(subject="p5e.48xlarge in us-east-1", reason="listed at 0: not sold", count=2)


def denied(kind: ErrorKind = ErrorKind.AUTH) -> ProviderError:
    return ProviderError(
        "eu-west-1 refused: AccessDenied", provider="cloud", kind=kind, hint="grant pricing:GetProducts"
    )


def asked(provider: TellingProvider, folder: Path | None = None, seconds_later: float = 0) -> Collected:
    query = OfferQuery(
        now=NOW + timedelta(seconds=seconds_later), gpu_types=(), list_prices=(list_offer("cloud"),)
    )
    return collect([Source(name="cloud", provider=provider)], query, Terms(cache_folder=folder))


def test_a_part_that_failed_is_named_and_costs_the_other_offers_nothing() -> None:
    found = asked(answering("cloud", live_offer("cloud"), denied(), NOT_SOLD))
    assert [o.basis for o in found.offers] == [PriceBasis.LIVE]
    (report,) = found.sources
    assert (report.state, report.hint) == (SourceState.LIVE, "grant pricing:GetProducts")
    assert found.coverage == "1 of 1 source live (cloud); cloud eu-west-1 refused: AccessDenied"
    assert [(r.subject, r.reason, r.count) for r in found.refusals] == [
        ("part of cloud", "eu-west-1 refused: AccessDenied", 1),
        ("p5e.48xlarge in us-east-1", "listed at 0: not sold", 2),
    ]


def test_what_the_provider_does_not_sell_is_no_fault_of_it() -> None:
    found = asked(answering("cloud", live_offer("cloud"), NOT_SOLD))
    assert found.coverage == "1 of 1 source live (cloud)"
    assert found.refusals == (NOT_SOLD,)


def test_what_an_answer_lacks_is_told_from_the_cache_too(tmp_path: Path) -> None:
    cloud = answering("cloud", live_offer("cloud"), denied(), NOT_SOLD)
    first = asked(cloud, tmp_path)
    second = asked(cloud, tmp_path, seconds_later=10)
    assert len(cloud.queries) == 1
    assert second.refusals == first.refusals
    assert second.sources[0].hint == "grant pricing:GetProducts"
    assert second.coverage == (
        "0 of 1 source live; cloud eu-west-1 refused: AccessDenied; cloud from cache, 10 s old"
    )


@pytest.mark.parametrize("kind", [ErrorKind.TRANSIENT, ErrorKind.THROTTLED])
def test_an_answer_whose_gap_may_mend_is_asked_for_again(kind: ErrorKind, tmp_path: Path) -> None:
    cloud = answering("cloud", live_offer("cloud"), denied(kind))
    asked(cloud, tmp_path)
    asked(cloud, tmp_path, seconds_later=10)
    assert len(cloud.queries) == 2


def test_a_provider_is_told_how_long_it_may_take() -> None:
    cloud = answering("cloud", live_offer("cloud"))
    query = OfferQuery(now=NOW, gpu_types=())
    collect([Source(name="cloud", provider=cloud)], query, Terms(deadline_seconds=3.5))
    assert [q.deadline_seconds for q in cloud.queries] == [3.5]
