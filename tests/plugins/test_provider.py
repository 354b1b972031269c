"""This machine as a provider: its cores, emulated twins of listed GPUs, and settings that are checked."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hetops_local import machine, processes
from hetops_local.driver import LocalDriver
from hetops_local.provider import CORES_QUOTA, LocalProvider
from hetops_local.settings import read_settings

from hetops.catalog import tables
from hetops.catalog.list_prices import list_prices
from hetops.domain.offer import AvailabilityState, Offer, PriceBasis
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin import OfferQuery
from tests.doubles.providers import NOW, list_offer

CATALOG = tables.load()


def offers(settings: dict[str, Any], *listed: Offer) -> tuple[Offer, ...]:
    query = OfferQuery(now=NOW, gpu_types=CATALOG.gpu_types, settings=settings, list_prices=listed)
    return asyncio.run(LocalProvider().fetch_offers(query))


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is larger than most that run the tests."""
    monkeypatch.setattr(machine, "cores", lambda: 8)


@pytest.mark.usefixtures("eight_cores")
def test_cores_are_offered_in_powers_of_two_at_one_price_each() -> None:
    found = offers({"usd_per_core_hour": Decimal("0.05")})
    assert [(o.sku, o.gpu, o.gpu_count) for o in found] == [(f"cpu-{n}", "CPU", n) for n in (1, 2, 4, 8)]
    assert [o.usd_per_hour for o in found] == [Decimal("0.05") * n for n in (1, 2, 4, 8)]
    assert [o.limits.max_count for o in found] == [8, 4, 2, 1]
    assert {o.basis for o in found} == {PriceBasis.NOMINAL}
    assert {o.emulated for o in found} == {False}


@pytest.mark.usefixtures("eight_cores")
def test_all_core_offers_share_one_quota() -> None:
    for offer in offers({"cores": 6}):
        (share,) = offer.limits.quotas
        assert (share.group, share.left, share.unit) == (CORES_QUOTA, 6, "cores")
        assert share.per_node == offer.gpu_count


@pytest.mark.usefixtures("eight_cores")
def test_fewer_cores_may_be_offered_than_there_are() -> None:
    assert [o.sku for o in offers({"cores": 3})] == ["cpu-1", "cpu-2"]
    assert [o.limits.max_count for o in offers({"cores": 3})] == [3, 1]


def test_without_emulation_nothing_is_twinned() -> None:
    assert not any(o.emulated for o in offers({}, list_offer("aws")))


def test_a_twin_says_that_it_is_emulated_and_whose_price_it_has() -> None:
    real = list_offer("aws", sku="p5.48xlarge", usd_per_hour="55.04", gpu_count=8, nvlink=True)
    (twin,) = (o for o in offers({"emulate": True}, real) if o.emulated)
    assert (twin.provider, twin.sku, twin.gpu, twin.gpu_count) == ("local", "aws/p5.48xlarge", "H100-SXM", 8)
    assert (twin.usd_per_hour, twin.basis, twin.observed_at) == (
        Decimal("55.04"),
        PriceBasis.LIST,
        real.observed_at,
    )
    assert twin.notes == "emulated here at the list price of 2026-01-19"
    assert twin.nvlink
    assert twin.availability.state is AvailabilityState.AVAILABLE
    assert twin.limits.max_count is not None
    assert twin.limits.quotas == (), "a twin takes no cores"
    assert not twin.plan_only, "a twin can be provisioned: nobody bills it"


def test_twins_keep_their_ids_apart() -> None:
    listed = list_prices(CATALOG).offers
    twins = [o for o in offers({"emulate": True}, *listed) if o.emulated]
    assert len({t.id for t in twins}) == len(twins) == len(listed)


@pytest.mark.parametrize(
    ("settings", "field", "said", "hint"),
    [
        ({"emulated": True}, "emulated", "no such field", "did you mean 'emulate'?"),
        ({"core": 1}, "core", "no such field", "did you mean 'cores'?"),
        ({"zzz": 1}, "zzz", "no such field", "known are cores, emulate, usd_per_core_hour"),
        ({"cores": 0}, "cores", "a whole number above zero", "change cores under [providers.local]"),
        ({"cores": 1.5}, "cores", "a whole number above zero", "change cores"),
        ({"cores": True}, "cores", "a whole number above zero", "change cores"),
        ({"cores": 9999}, "cores", "9999 is more than the 8 that this machine has", "change cores"),
        ({"emulate": "yes"}, "emulate", "must be true or false, not 'yes'", "change emulate"),
        ({"usd_per_core_hour": 0}, "usd_per_core_hour", "must be above zero", "change usd_per_core_hour"),
        ({"usd_per_core_hour": "cheap"}, "usd_per_core_hour", "must be a price", "change usd_per_core_hour"),
        ({"usd_per_core_hour": True}, "usd_per_core_hour", "must be a price", "change usd_per_core_hour"),
        ({"usd_per_core_hour": float("nan")}, "usd_per_core_hour", "must be above zero", "change"),
    ],
)
def test_settings_that_cannot_be_name_their_field(
    settings: dict[str, Any], field: str, said: str, hint: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        read_settings(settings, 8)
    assert caught.value.message.startswith(f"providers.local.{field}: ")
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.kind is ErrorKind.INVALID


def test_what_is_common_to_all_providers_is_no_unknown_field() -> None:
    assert read_settings({"enabled": True, "usd_per_hour": Decimal(3), "emulate": True}, 8).emulate


def test_check_tells_the_machine_and_what_is_installed() -> None:
    results = {r.subject: r for r in LocalProvider().check({})}
    assert f"{machine.cores()} core" in results["machine"].detail
    assert {"settings", "machine", "llama.cpp engine", "emulated engine"} <= results.keys()


def test_the_machine_is_what_this_process_may_use() -> None:
    assert machine.cores() >= 1
    assert 0.1 < machine.memory_gib() < 100_000


@pytest.mark.parametrize(
    ("quota", "cores"), [("150000 100000", 1), ("50000 100000", 1), ("max 100000", None)]
)
def test_the_quota_of_a_container_counts(
    quota: str, cores: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    unlimited = machine.cores()
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine.cores() == (cores or max(unlimited, machine.cores()))


def test_the_memory_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert machine.memory_gib() == 1.0
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.memory_gib() > 0


def test_marks_survive_the_way_through_an_environment(tmp_path: Path) -> None:
    mark = processes.Marked(
        pid=7, node="n", deployment="d", replica=3, state_folder=str(tmp_path), cores=2, run="r", lock=""
    )
    assert processes._read(7, mark.environment()) == mark


def test_its_driver_keeps_its_files_where_it_is_told(tmp_path: Path) -> None:
    assert isinstance(LocalProvider().node_driver(tmp_path, {}), LocalDriver)
