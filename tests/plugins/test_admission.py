"""All threads of all nodes together never exceed the cores."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hetops_local import admission, machine, processes
from hetops_local.driver import LocalDriver
from hetops_local.provider import LocalProvider

from hetops.plugin import ErrorKind, Node, NodeState, ProviderError
from tests.plugins.nodes import driven, launch, marked, request


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalDriver]:
    """A machine of two cores on which nobody else has nodes: others may be at work while the tests run."""
    everything = processes.marked
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(
        processes,
        "marked",
        lambda: tuple(m for m in everything() if m.state_folder.startswith(str(tmp_path))),
    )
    with driven(tmp_path / "one") as found, driven(tmp_path / "two"):
        yield found


def created(driver: LocalDriver, name: str, cores: int, deployment: str = "test") -> Node:
    return asyncio.run(driver.create(request(name, sku=f"cpu-{cores}", deployment=deployment)))


def test_two_deployments_cannot_exceed_the_cores(driver: LocalDriver, tmp_path: Path) -> None:
    other = LocalDriver(tmp_path / "two")
    created(driver, "a", 1)
    with pytest.raises(ProviderError) as caught:
        created(other, "b", 2, "other")
    error = caught.value
    assert error.kind is ErrorKind.CAPACITY
    assert error.message == "b needs 2 cores, 1 of this machine's 2 are free"
    assert error.details == ("a holds 1",)
    assert "cores under [providers.local]" in error.hint
    assert marked(tmp_path / "two") == ()
    assert asyncio.run(other.list("other")) == ()
    created(other, "b", 1, "other")
    with pytest.raises(ProviderError, match="c needs 1 cores, 0 of this machine's 2 are free"):
        created(other, "c", 1, "other")


def test_a_node_that_goes_gives_its_cores_back(driver: LocalDriver, tmp_path: Path) -> None:
    created(driver, "a", 2)
    asyncio.run(driver.delete("a"))
    assert created(LocalDriver(tmp_path / "two"), "b", 2).state is NodeState.RUNNING


def test_a_node_is_not_in_its_own_way(driver: LocalDriver) -> None:
    first, second = created(driver, "a", 2), created(driver, "a", 2)
    assert first.endpoints == second.endpoints


def test_nodes_that_start_at_once_cannot_take_the_same_cores(driver: LocalDriver) -> None:
    async def create_all() -> list[Node | BaseException]:
        asked = [driver.create(request(f"n{i}", sku="cpu-1")) for i in range(4)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(create_all())
    assert sum(isinstance(a, Node) for a in answers) == 2
    refused = [a for a in answers if isinstance(a, ProviderError)]
    assert {r.kind for r in refused} == {ErrorKind.CAPACITY}


def test_what_takes_no_cores_is_always_let_in(driver: LocalDriver) -> None:
    created(driver, "a", 2)
    node = asyncio.run(driver.create(request("b", sku="aws/p5.48xlarge")))
    assert node.state is NodeState.RUNNING
    assert [admission.cores_of(s) for s in ("cpu-2", "cpu-", "cpu-x", "aws/cpu-2")] == [2, 0, 0, 0]


CREATE = """
import asyncio, pathlib, sys
from hetops_local import machine, processes
from hetops_local.driver import LocalDriver
from tests.plugins.nodes import request
folder, name = sys.argv[1:]
everything = processes.marked
processes.marked = lambda: tuple(m for m in everything() if m.state_folder == folder)
asyncio.run(LocalDriver(pathlib.Path(folder)).create(request(name, sku="cpu-1")))
"""


def test_an_update_may_have_the_old_and_the_new_nodes_of_its_deployment_at_once(
    driver: LocalDriver, tmp_path: Path
) -> None:
    folder = tmp_path / "one"
    earlier = [sys.executable, "-c", CREATE, str(folder), "old"]
    subprocess.run(earlier, cwd=Path(__file__).parents[2], check=True)
    created(driver, "new-1", 1)
    created(driver, "new-2", 1)
    with pytest.raises(ProviderError, match="new-3 needs 1 cores, 0 of"):
        created(driver, "new-3", 1)
    with pytest.raises(ProviderError, match="of this machine's 2 are free"):
        created(LocalDriver(tmp_path / "two"), "b", 1, "other")


def test_the_quota_counts_what_runs_once_however_many_replicas_a_node_has(driver: LocalDriver) -> None:
    asyncio.run(driver.create(request("a", launch(), launch(), sku="cpu-2")))
    (quota,) = asyncio.run(LocalProvider().quota({}))
    assert (quota.limit, quota.used, quota.unit) == (2, 2, "cores")
