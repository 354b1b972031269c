"""The driver for clouds over HTTP, over a cloud in memory: whatever is lost or late, one node of a name and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hetops.errors import ErrorKind, ProviderError
from hetops.plugin import CloudDriver, HttpError, Launch, Node, NodeRequest, NodeState, Waits
from tests.doubles.engines import Engine
from tests.doubles.fake_api import VirtualClock

HOST = "127.3.0.1"
REQUEST = NodeRequest(
    name="n-0-abc",
    deployment="d",
    pool="p",
    sku="s",
    region="r",
    zone="",
    market="on_demand",
    launches=(Launch(argv=(), image="i", host="0.0.0.0", port=8000, ready_seconds=60),),
)


class MemoryCloud:
    """Machines in memory. What goes wrong is set from outside."""

    provider = "memory"

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.launched = 0
        self.prepared = 0
        self.lost: ProviderError | None = None
        self.lag = 0
        self.look_faults: list[ProviderError] = []
        self.prepare_faults: list[ProviderError] = []
        self.terminate_fault: ProviderError | None = None

    def refuse_impossible(self, request: NodeRequest) -> None:
        """All is possible."""

    async def launch(self, request: NodeRequest) -> str:
        self.launched += 1
        node = Node(
            id=f"m{self.launched}",
            name=request.name,
            deployment=request.deployment,
            state=NodeState.RUNNING,
            endpoints=(f"http://{HOST}:8000",),
        )
        self.nodes[node.id] = node
        if self.lost:
            raise self.lost
        return node.id

    async def prepare(self, node: Node, request: NodeRequest) -> None:
        del node, request
        self.prepared += 1
        if self.prepare_faults:
            raise self.prepare_faults.pop(0)

    async def look(self, node_id: str) -> Node | None:
        if self.look_faults:
            raise self.look_faults.pop(0)
        return self.nodes.get(node_id)

    async def ours(self) -> tuple[Node, ...]:
        if self.lag and self.launched:
            self.lag -= 1
            return ()
        return tuple(self.nodes.values())

    async def terminate(self, node_id: str) -> None:
        if self.terminate_fault:
            raise self.terminate_fault
        self.nodes.pop(node_id, None)


class Stand:
    """A cloud, a driver over it and a clock that jumps."""

    def __init__(self, folder: Path) -> None:
        self.cloud = MemoryCloud()
        self.clock = VirtualClock()
        self.folder = folder

    def driver(self) -> CloudDriver:
        return CloudDriver(self.cloud, self.folder, clock=self.clock, waits=Waits(health_seconds=2))

    def created(self) -> Node:
        return asyncio.run(self.driver().create(REQUEST))

    def refusal(self) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            self.created()
        return caught.value


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


@pytest.fixture
def engine() -> Any:
    """An engine that answers where the machines are."""
    engine = Engine(HOST, 8000)
    yield engine
    engine.close()


def error(kind: ErrorKind = ErrorKind.TRANSIENT, *, lost: bool = False) -> HttpError:
    fault = HttpError("something", provider="memory", kind=kind)
    fault.unknown_outcome = lost
    return fault


@pytest.mark.usefixtures("engine")
def test_a_create_whose_answer_is_lost_finds_what_it_made_even_where_lists_lag(stand: Stand) -> None:
    stand.cloud.lost, stand.cloud.lag = error(lost=True), 2
    assert stand.created().id == "m1"
    assert stand.cloud.launched == 1


def test_a_create_that_surely_made_nothing_looks_for_nothing(stand: Stand) -> None:
    stand.cloud.lost, stand.cloud.nodes = error(ErrorKind.CAPACITY), {}
    assert stand.refusal() is stand.cloud.lost
    assert stand.clock.slept == []


def test_a_state_folder_that_cannot_hold_locks_creates_nothing(stand: Stand) -> None:
    (stand.folder / "locks").write_text("a file where a folder should be")
    fault = stand.refusal()
    assert (fault.kind, stand.cloud.launched) == (ErrorKind.INVALID, 0)
    assert "locks cannot be locked" in fault.message


def node(node_id: str, state: NodeState = NodeState.RUNNING) -> Node:
    return Node(
        id=node_id,
        name=REQUEST.name,
        deployment="d",
        state=state,
        endpoints=(f"http://{HOST}:8000",),
    )


@pytest.mark.usefixtures("engine")
def test_where_two_machines_made_one_each_both_keep_the_same(stand: Stand) -> None:
    """Another host's create, which no lock of this one stops."""
    launch = stand.cloud.launch

    async def overtaken(request: NodeRequest) -> str:
        made = await launch(request)
        stand.cloud.nodes["m0"] = node("m0")
        return made

    stand.cloud.launch = overtaken  # type: ignore[method-assign]
    assert stand.created().id == "m0"
    assert list(stand.cloud.nodes) == ["m0"]


@pytest.mark.usefixtures("engine")
def test_a_node_that_failed_makes_room_for_a_new_one(stand: Stand) -> None:
    stand.cloud.nodes["old"] = node("old", NodeState.FAILED)
    assert stand.created().id == "m1"
    assert list(stand.cloud.nodes) == ["m1"]


@pytest.mark.usefixtures("engine")
def test_a_node_that_serves_is_adopted_and_not_prepared_again(stand: Stand) -> None:
    stand.cloud.nodes["old"] = node("old")
    assert stand.created().id == "old"
    assert (stand.cloud.launched, stand.cloud.prepared) == (0, 0)


@pytest.mark.usefixtures("engine")
def test_looks_that_fail_for_a_while_are_outlived(stand: Stand) -> None:
    stand.cloud.look_faults = [error(), error(ErrorKind.THROTTLED), error()]
    assert stand.created().id == "m1"


def test_a_look_that_is_refused_ends_the_wait(stand: Stand) -> None:
    stand.cloud.look_faults = [error(ErrorKind.AUTH)]
    assert stand.refusal().kind is ErrorKind.AUTH


def test_a_machine_that_cannot_be_prepared_is_tried_again_where_that_may_pass(stand: Stand) -> None:
    stand.cloud.prepare_faults = [error(), error(), error(ErrorKind.INVALID)]
    fault = stand.refusal()
    assert (stand.cloud.prepared, stand.cloud.nodes) == (3, {})
    assert fault.message == "node n-0-abc (m1) did not start: something"


def test_engines_that_never_answer_end_the_machine_in_the_time_they_have(stand: Stand) -> None:
    began = stand.clock.now()
    fault = stand.refusal()
    assert "its engines do not answer in the time they have" in fault.message
    assert stand.clock.now() - began < 2 * REQUEST.launches[0].ready_seconds
    assert stand.cloud.nodes == {}


def test_a_machine_that_never_runs_is_ended(stand: Stand) -> None:
    launch = stand.cloud.launch

    async def pending(request: NodeRequest) -> str:
        made = await launch(request)
        stand.cloud.nodes[made] = replace(stand.cloud.nodes[made], state=NodeState.PENDING, endpoints=())
        return made

    stand.cloud.launch = pending  # type: ignore[method-assign]
    assert "the machine does not run in the time they have" in stand.refusal().message
    assert stand.cloud.nodes == {}


def test_a_machine_that_vanishes_is_told(stand: Stand) -> None:
    stand.cloud.look = _nothing  # type: ignore[method-assign]
    assert "it vanished while it started" in stand.refusal().message


async def _nothing(_node_id: str) -> None:
    return None


def test_what_cannot_be_removed_is_named(stand: Stand) -> None:
    stand.cloud.terminate_fault = error(ErrorKind.AUTH)
    assert stand.refusal().details == ("m1 could not be removed: something",)


def test_a_machine_whose_engine_does_not_answer_is_pending(stand: Stand) -> None:
    stand.cloud.nodes["old"] = node("old")
    assert asyncio.run(stand.driver().read("old")).state is NodeState.PENDING


@pytest.mark.usefixtures("engine")
def test_a_machine_whose_engine_answers_runs(stand: Stand) -> None:
    stand.cloud.nodes["old"] = node("old")
    assert asyncio.run(stand.driver().read("old")).state is NodeState.RUNNING


def test_the_kit_is_loaded_when_it_is_asked_for_and_has_no_other_names() -> None:
    import hetops.plugin

    get: Callable[[str], Any] = lambda name: getattr(hetops.plugin, name)  # noqa: E731
    assert {get(name) is not None for name in hetops.plugin.__all__} == {True}
    with pytest.raises(AttributeError, match="no attribute 'Apis'"):
        get("Apis")
