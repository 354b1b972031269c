"""Faults at clouds that pass, and those while a node is made: no offer is lost, no second node made, no key shown.

test_fault_table.py has those that stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hetops.errors import ErrorKind, ProviderError
from hetops.offers.collect import Source
from hetops.offers.sources import Collected, SourceState
from hetops.plugin import Node
from tests.doubles.fake_api import TOKEN, Fault, FaultKind, Scenario
from tests.doubles.meanings import EVERY_TIME, MEANS, PASSING
from tests.doubles.providers import answering, live_offer
from tests.plugins.clouds import KINDS, Stand, stand

GOOD = live_offer("good")


def collected(cloud: str, folder: Path, *faults: Fault) -> Collected:
    """The cloud with these faults, asked beside one that is well."""
    with stand(cloud, folder, Scenario(faults=faults)) as standing:
        return standing.collected(Source(name="good", provider=answering("good", GOOD)))


def cell(cloud: str, folder: Path, kind: FaultKind) -> str:
    """What became of the cloud where the fault stays, in a word or two; the other one is well, or this fails."""
    return word(collected(cloud, folder, Fault(kind=kind, times=EVERY_TIME, seconds=86400.0)))


def word(found: Collected) -> str:
    """What became of the first source, in a word or two; the other one is well, or this fails."""
    assert GOOD in found.offers, "the other provider was harmed"
    report = found.sources[0]
    told = f"{found.coverage} {report.detail} {report.hint} {found.refusals}"
    assert TOKEN not in told
    if report.state is SourceState.LIVE:
        return f"{report.offers} offers"
    assert report.detail, "it does not say why"
    return str(report.error_kind)


def tried(standing: Stand) -> Node | ProviderError:
    """The node, or why there is none."""
    try:
        return standing.created()
    except ProviderError as refused:
        return refused


@pytest.mark.slow
@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("cloud", KINDS)
def test_a_fault_that_passes_costs_nothing(cloud: str, kind: FaultKind, tmp_path: Path) -> None:
    well = collected(cloud, tmp_path / "well")
    found = collected(cloud, tmp_path / "fault", Fault(kind=kind))
    assert {o.id for o in found.offers} == {o.id for o in well.offers}
    assert found.coverage == well.coverage


@pytest.mark.parametrize("kind", MEANS)
@pytest.mark.parametrize("cloud", KINDS)
def test_a_fault_while_a_node_is_created_makes_no_second_one_and_leaves_none_unknown(
    cloud: str, kind: FaultKind, tmp_path: Path
) -> None:
    fault = Fault(kind=kind, method="POST", path=KINDS[cloud].create_path)
    with stand(cloud, tmp_path, Scenario(faults=(fault,))) as standing:
        came = tried(standing)
        if isinstance(came, ProviderError):
            assert came.kind is MEANS[kind], came.message
            assert standing.names() == []
            came = standing.created()
        assert standing.names() == [came.name]


@pytest.mark.parametrize("cloud", KINDS)
def test_a_create_waits_longer_than_a_question_where_the_cloud_says_so(cloud: str, tmp_path: Path) -> None:
    faults = (Fault(kind=FaultKind.THROTTLED, method="POST", path=KINDS[cloud].create_path, seconds=40),)
    with stand(cloud, tmp_path, Scenario(faults=faults)) as standing:
        assert standing.created()
        assert 40 in standing.api.clock.slept
    with stand(
        cloud, tmp_path, Scenario(faults=(Fault(kind=FaultKind.THROTTLED, seconds=40, times=4),))
    ) as standing:
        report = standing.collected().sources[0]
        assert (report.error_kind, report.hint) == (ErrorKind.THROTTLED, "run again in 40 s")


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.ERROR_500, FaultKind.TRUNCATED_JSON])
@pytest.mark.parametrize("cloud", KINDS)
def test_a_fault_while_a_node_boots_is_outlived(cloud: str, kind: FaultKind, tmp_path: Path) -> None:
    """Longer than one request is patient for."""
    fault = Fault(kind=kind, method="GET", path=KINDS[cloud].list_path, skip=3, times=4)
    with stand(cloud, tmp_path, Scenario(faults=(fault,))) as standing:
        node = standing.created()
        assert standing.names() == [node.name]


@pytest.mark.parametrize("cloud", KINDS)
def test_a_create_that_is_cancelled_leaves_what_the_next_one_adopts(cloud: str, tmp_path: Path) -> None:
    with stand(cloud, tmp_path, Scenario(boot_seconds=500)) as standing:

        async def cancelled() -> None:
            create = asyncio.ensure_future(standing.driver().create(standing.request()))
            while not await standing.driver().list("contract"):
                await asyncio.sleep(0.01)
            create.cancel()
            await asyncio.wait([create])
            assert create.cancelled()

        asyncio.run(cancelled())
        (left,) = asyncio.run(standing.driver().list("contract"))
        assert standing.created().id == left.id
        assert standing.names() == [left.name]


@pytest.fixture
def no_key(tmp_path: Path) -> Iterator[Path]:
    """A folder that must not hold the key when the test is over."""
    yield tmp_path
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize("cloud", KINDS)
def test_no_key_is_in_anything_that_a_provider_hands_over_or_writes(
    cloud: str, no_key: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with stand(cloud, no_key) as standing:
        provider = standing.provider()
        node = standing.created()
        things: list[Any] = [
            provider,
            vars(provider),
            standing.driver(),
            vars(standing.driver()),
            node,
            standing.offers(),
            provider.check({}),
            asyncio.run(provider.quota({})),
            caplog.text,
        ]
        asyncio.run(standing.driver().delete(node.id))
    assert not [thing for thing in things if TOKEN in repr(thing)]
