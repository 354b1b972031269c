"""An answer is kept as long as its prices hold, never instead of asking when they do not, and may always be lost."""

from __future__ import annotations

import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hetops.domain.offer import PriceBasis
from hetops.offers.collect import Freshness, Source, Terms, collect
from hetops.offers.sources import Collected, SourceState
from hetops.plugin.provider import OfferQuery
from tests.doubles.providers import NOW, TellingProvider, answering, list_offer, live_offer


def asked(
    provider: TellingProvider,
    folder: Path,
    *,
    now: datetime = NOW,
    freshness: Freshness = Freshness.CACHED,
    settings: dict[str, Any] | None = None,
    max_age: float | None = None,
) -> Collected:
    source = Source(name=provider.name, provider=provider, settings=settings or {})
    query = OfferQuery(now=now, gpu_types=(), list_prices=(list_offer(provider.name),))
    return collect([source], query, Terms(freshness=freshness, cache_folder=folder, max_age_seconds=max_age))


@pytest.fixture
def cloud() -> TellingProvider:
    return answering("cloud", live_offer("cloud"), live_offer("cloud", sku="short", ttl_seconds=60))


def test_an_answer_that_still_holds_is_not_asked_for_again(cloud: TellingProvider, tmp_path: Path) -> None:
    first = asked(cloud, tmp_path)
    second = asked(cloud, tmp_path, now=NOW + timedelta(seconds=50))
    assert len(cloud.queries) == 1
    assert second.offers == first.offers
    assert second.coverage == "0 of 1 source live; cloud from cache, 50 s old"


def test_one_price_that_no_longer_holds_is_enough_to_ask_again(
    cloud: TellingProvider, tmp_path: Path
) -> None:
    asked(cloud, tmp_path)
    found = asked(cloud, tmp_path, now=NOW + timedelta(seconds=61))
    assert len(cloud.queries) == 2
    assert found.sources[0].state is SourceState.LIVE


def test_no_price_from_the_cache_is_older_than_was_said(cloud: TellingProvider, tmp_path: Path) -> None:
    asked(cloud, tmp_path)
    later = NOW + timedelta(seconds=30)
    assert asked(cloud, tmp_path, now=later, max_age=30).sources[0].state is SourceState.CACHED
    assert asked(cloud, tmp_path, now=later, max_age=29).sources[0].state is SourceState.LIVE
    assert len(cloud.queries) == 2


def test_offline_a_price_that_is_too_old_gives_way_to_list_prices(
    cloud: TellingProvider, tmp_path: Path
) -> None:
    asked(cloud, tmp_path)
    days = NOW + timedelta(days=3)
    found = asked(cloud, tmp_path, now=days, freshness=Freshness.OFFLINE, max_age=3600)
    assert ([o.basis for o in found.offers], len(cloud.queries)) == ([PriceBasis.LIST], 1)


def test_a_refresh_asks_whatever_still_holds(cloud: TellingProvider, tmp_path: Path) -> None:
    asked(cloud, tmp_path)
    asked(cloud, tmp_path, freshness=Freshness.ASKED)
    assert len(cloud.queries) == 2


def test_other_settings_are_another_question(cloud: TellingProvider, tmp_path: Path) -> None:
    asked(cloud, tmp_path, settings={"region": "a"})
    asked(cloud, tmp_path, settings={"region": "b"})
    asked(cloud, tmp_path, settings={"region": "a"})
    assert len(cloud.queries) == 2


def test_settings_are_not_written_and_the_file_is_its_owners_alone(
    cloud: TellingProvider, tmp_path: Path
) -> None:
    asked(cloud, tmp_path / "cache", settings={"project": "very-private-name"})
    (kept,) = (tmp_path / "cache").iterdir()
    assert "very-private-name" not in kept.read_text() + kept.name
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_offline_the_last_answer_counts_and_its_age_is_told(cloud: TellingProvider, tmp_path: Path) -> None:
    first = asked(cloud, tmp_path)
    found = asked(cloud, tmp_path, now=NOW + timedelta(days=3), freshness=Freshness.OFFLINE)
    assert len(cloud.queries) == 1
    assert found.offers == first.offers
    assert all(o.stale(found.collected_at) for o in found.offers)
    assert "cloud from cache, 3 days old" in found.coverage


def test_offline_without_an_answer_list_prices_count(cloud: TellingProvider, tmp_path: Path) -> None:
    found = asked(cloud, tmp_path, freshness=Freshness.OFFLINE)
    assert cloud.queries == []
    assert [o.basis for o in found.offers] == [PriceBasis.LIST]


def test_an_answer_from_a_clock_that_ran_ahead_is_asked_for_again(
    cloud: TellingProvider, tmp_path: Path
) -> None:
    asked(cloud, tmp_path)
    asked(cloud, tmp_path, now=NOW - timedelta(hours=2))
    assert len(cloud.queries) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00", b'{"format": "hetops.offer-cache"', b"[1]"])
def test_a_spoilt_file_is_as_good_as_none(cloud: TellingProvider, tmp_path: Path, content: bytes) -> None:
    asked(cloud, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(content)
    assert len(asked(cloud, tmp_path).offers) == 2
    assert len(cloud.queries) == 2
    asked(cloud, tmp_path)
    assert len(cloud.queries) == 2


def test_a_file_of_another_provider_is_not_taken_for_ones_own(cloud: TellingProvider, tmp_path: Path) -> None:
    asked(cloud, tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes().replace(b'"cloud"', b'"other"'))
    assert {o.provider for o in asked(cloud, tmp_path).offers} == {"cloud"}
    assert len(cloud.queries) == 2


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_cache(
    cloud: TellingProvider, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert len(asked(cloud, blocked).offers) == 2


def test_prices_of_this_host_are_not_kept(tmp_path: Path) -> None:
    near = answering("near", live_offer("near", basis=PriceBasis.NOMINAL))
    asked(near, tmp_path)
    asked(near, tmp_path)
    assert len(near.queries) == 2
    assert list(tmp_path.iterdir()) == []
