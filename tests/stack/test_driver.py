"""The stack through the real Pulumi engine, on the local provider with emulated nodes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from hetops.errors import CancelledError, LockError, ProvisioningError, SpecError
from hetops.stack.changes import Changes, DriftKind, Happening, StackOutputs
from hetops.stack.survey import remove_strays, survey
from tests.doubles.plans import plan
from tests.doubles.ports import free_port
from tests.stack.places import FAST, SLOW, SMALL, Place, inputs, only, placed, routed, until

pytestmark = pytest.mark.road

SECRET = "sk-never-to-be-seen-7f3a"


def kinds(changes: Changes) -> dict[str, str]:
    return {step.name: str(step.kind) for step in changes.steps}


def test_a_preview_clears_up_after_one_that_was_killed(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left, used = (tmp_path / f"hetops-preview-{pid}-abc" for pid in (gone.pid, os.getpid()))
    for folder in (left / "road", used):
        folder.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place.stack().preview(inputs())
    assert list(tmp_path.glob("hetops-preview-*")) == [used]


def test_a_fleet_comes_up_with_its_router_and_goes_without_a_trace(tmp_path: Path) -> None:
    with placed(tmp_path, CLOUD_TOKEN=SECRET) as place:
        fleet = routed(place, inputs(), free_port())
        stack = place.stack()

        assert stack.outputs() == StackOutputs()
        before = stack.preview(fleet)
        assert set(kinds(before).values()) == {"create"}
        assert {s.name: s.pool for s in before.steps} == {
            "l4-fp8-0": "l4-fp8",
            "l40s-fp8-0": "l40s-fp8",
            "router-config": "router",
            "router": "router",
        }
        assert not place.folder.path.exists(), "a preview leaves nothing"

        outputs = stack.up(fleet, place.tell)
        assert outputs.plan == SMALL
        assert outputs == place.stack().outputs(), "another command reads the same"
        assert fleet.router is not None
        assert outputs.router_url == fleet.router.url
        assert {e for p in outputs.pools.values() for e in p.endpoints} == {
            n.endpoints[0] for n in place.nodes().values() if "router" not in n.name
        }
        assert httpx.get(f"{outputs.router_url}/health").json()["healthy_endpoints"] == 2
        assert place.told.index(("done", "l40s-fp8-0")) < place.told.index(("creating", "router-config"))
        assert place.told[-2:] == [("creating", "router"), ("done", "router")]
        assert place.notes == "", "what the engine says of itself is noise"
        known = stack.known_nodes()
        assert {(k.logical_name, k.pool, k.provider) for k in known} == {
            ("l4-fp8-0", "l4-fp8", "local"),
            ("l40s-fp8-0", "l40s-fp8", "local"),
            ("router", "router", "local"),
        }
        assert survey(place.folder, known, place.driver_of) == ()
        assert set(kinds(place.stack().preview(fleet)).values()) == {"same"}

        files = [f for f in place.folder.path.rglob("*") if f.is_file()]
        assert [f for f in files if SECRET.encode() in f.read_bytes()] == []
        passphrase = place.folder.passphrase.read_bytes()
        assert [f for f in files if passphrase in f.read_bytes()] == [place.folder.passphrase]

        place.events.clear()
        stack.down(place.tell)
        assert place.told[0] == ("deleting", "router"), "no request goes to a node that is being deleted"
        assert place.told.index(("done", "router-config")) < place.told.index(("deleting", "l4-fp8-0"))
        assert place.running() == {}
        assert place.stack().outputs() == StackOutputs()
        assert not place.folder.router_config.exists()
        assert not place.folder.engine.exists()


def test_a_changed_launch_makes_new_nodes_before_old_ones_go_and_no_request_fails(place: Place) -> None:
    fleet = routed(place, inputs(), free_port())
    stack = place.stack()
    url = stack.up(fleet, place.tell).router_url
    old = set(place.nodes())
    changed = replace(fleet, engines=FAST)
    previewed = kinds(stack.preview(changed))
    assert previewed == {
        "l4-fp8-0": "replace",
        "l40s-fp8-0": "replace",
        "router-config": "update",
        "router": "same",
    }
    place.events.clear()
    with asking(url) as answers:
        until(lambda: answers)
        stack.up(changed, place.tell)
        after_the_up = len(answers)
        until(lambda: len(answers) > after_the_up + 2)
    assert set(answers) == {200}
    nodes = ("l4-fp8-0", "l40s-fp8-0")
    first_deletion = min(place.told.index(("deleting", n)) for n in nodes)
    assert place.told.index(("done", "router-config")) < first_deletion
    assert all(place.told.index(("done", n)) < place.told.index(("updating", "router-config")) for n in nodes)
    assert len(set(place.nodes()) & old) == 1, "the router alone is the same"
    assert len(place.nodes()) == 3
    stack.down(place.tell)
    assert place.running() == {}


@contextlib.contextmanager
def asking(url: str) -> Iterator[list[int]]:
    """A client that asks one thing after another while the block runs; the statuses of its answers."""
    statuses: list[int] = []
    ended = threading.Event()
    body = {
        "model": SMALL.model,
        "messages": [{"role": "user", "content": "word " * 20}],
        "max_tokens": 4,
    }

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=20) as client:
            while not ended.is_set():
                statuses.append(client.post("/v1/chat/completions", json=body).status_code)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield statuses
    finally:
        ended.set()
        asker.join()


def test_an_engine_that_dies_costs_its_own_node_and_tells_its_last_words(place: Place) -> None:
    dying = replace(
        place.program,
        launcher=lambda engine: (
            lambda context: place.program.launcher(engine)(
                replace(context, settings={"faults": {"exit_at_start": "CUDA error: out of memory"}})
                if context.pool.name == "l4-fp8"
                else context
            )
        ),
    )
    with pytest.raises(ProvisioningError) as failed:
        place.stack(dying).up(inputs(), place.tell)
    fault = failed.value
    assert fault.message.endswith("died while it started: CUDA error: out of memory")
    assert fault.details == ("CUDA error: out of memory",)
    assert fault.hint.startswith("its whole log: ")
    assert fault.short_of == ()
    (told,) = [e for e in place.events if e.what is Happening.FAILED]
    assert (told.pool, told.node) == ("l4-fp8", "l4-fp8-0")
    assert fault.message in told.message
    stack = place.stack()
    assert [k.logical_name for k in stack.known_nodes()] == ["l40s-fp8-0"], "the other stands and is known"
    survivor = place.running()
    assert list(survivor) == [k.name for k in stack.known_nodes()], "nothing else is left running"

    stack.up(inputs(), place.tell)
    assert place.running().items() > survivor.items(), "run again it goes on from there"
    stack.down(place.tell)
    assert place.running() == {}


def test_a_pool_that_failed_keeps_the_pool_that_it_was_to_take_over_from(place: Place) -> None:
    stack = place.stack()
    stack.up(inputs(only("l40s-fp8")), place.tell)
    standing = place.running()
    dying = {"emulator": {"faults": {"exit_at_start": "no driver"}}}
    with pytest.raises(ProvisioningError, match="no driver"):
        stack.up(inputs(only("l4-fp8"), dying), place.tell)
    assert place.running() == standing
    assert [k.logical_name for k in stack.known_nodes()] == ["l40s-fp8-0"]


def test_a_lack_of_capacity_names_the_pools_that_are_short(place: Place) -> None:
    l4, l40s = SMALL.pools
    huge = replace(SMALL, pools=(replace(l4, offer=replace(l4.offer, sku="cpu-4096")), l40s))
    with pytest.raises(ProvisioningError, match="needs 4096 cores") as failed:
        place.stack().up(inputs(huge), place.tell)
    assert failed.value.short_of == ("l4-fp8",)
    assert not any("kind:" in line for line in (*failed.value.details, failed.value.hint))


def test_drift_is_surveyed_previewed_and_mended(place: Place) -> None:
    stack = place.stack()
    stack.up(inputs(plan(l4_nodes=2)), place.tell)
    dead, *alive = [k for k in stack.known_nodes() if k.pool == "l4-fp8"]
    (gone,) = [k for k in stack.known_nodes() if k.pool == "l40s-fp8"]
    os.kill(place.running()[dead.name], signal.SIGKILL)
    asyncio.run(place.driver_of("local", "chat").delete(gone.name))
    until(lambda: dead.name not in place.running())

    drift = survey(place.folder, stack.known_nodes(), place.driver_of)
    assert {(d.kind, d.node, d.pool) for d in drift} == {
        (DriftKind.FAILED, dead.logical_name, "l4-fp8"),
        (DriftKind.GONE, "l40s-fp8-0", "l40s-fp8"),
    }
    changes = kinds(place.stack().preview(inputs(plan(l4_nodes=2))))
    assert changes == {dead.logical_name: "replace", alive[0].logical_name: "same", "l40s-fp8-0": "create"}
    kept = place.running()[alive[0].name]
    stack.up(inputs(plan(l4_nodes=2)), place.tell)
    assert survey(place.folder, stack.known_nodes(), place.driver_of) == ()
    assert place.running()[alive[0].name] == kept
    assert len(place.running()) == 3


def test_a_cancelled_up_ends_soon_and_up_goes_on_from_there(place: Place) -> None:
    stack = place.stack()
    raised: list[BaseException] = []

    def up() -> None:
        try:
            stack.up(inputs(engines=SLOW), place.tell)
        except BaseException as fault:
            raised.append(fault)

    running = threading.Thread(target=up)
    running.start()
    until(lambda: len(place.running()) == 2)
    with pytest.raises(LockError, match=f"changed by process {os.getpid()}"):
        place.stack().recover(place.tell)
    stack.cancel()
    running.join(timeout=20)
    assert [type(fault) for fault in raised] == [CancelledError]
    assert not place.folder.engine.exists()
    begun = place.running()

    stack.up(inputs(engines=SLOW), place.tell)
    assert place.running() == begun, "what was begun is adopted"
    assert {k.name for k in stack.known_nodes()} == set(begun)
    stack.down(place.tell)
    assert place.running() == {}


def test_ctrl_c_asks_the_engine_to_stop_and_leaves_strays_that_can_be_removed(place: Place) -> None:
    stack = place.stack()

    def press() -> None:
        until(place.running)
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    with pytest.raises(CancelledError):
        stack.up(inputs(only("l4-fp8"), SLOW), place.tell)
    pressing.join()
    assert stack.known_nodes() == ()
    stack.down(place.tell)
    (stray,) = place.running()
    assert [(d.kind, d.node) for d in survey(place.folder, (), place.driver_of)] == [(DriftKind.STRAY, stray)]
    assert remove_strays(place.folder, (), place.driver_of) == (stray,)
    assert (place.running(), list(place.folder.intents.iterdir())) == ({}, [])


def test_settings_that_no_engine_has_are_refused_before_an_engine_runs(place: Place) -> None:
    for act in (place.stack().preview, lambda wanted: place.stack().up(wanted, place.tell)):
        with pytest.raises(SpecError, match="no field 'sped'"):
            act(inputs(engines={"emulator": {"sped": 2}}))
    assert not place.folder.path.exists()


def test_a_router_configuration_that_cannot_be_made_is_told_in_its_own_words(place: Place) -> None:
    def refuse(*_args: object) -> str:
        raise SpecError("router: two pools with one endpoint", hint="name them apart")

    fleet = routed(place, inputs(only("l4-fp8")), free_port())
    with pytest.raises(SpecError, match="two pools with one endpoint"):
        place.stack(replace(place.program, router_config=refuse)).up(fleet, place.tell)


def test_any_backend_that_pulumi_knows_will_do(tmp_path: Path) -> None:
    backend = tmp_path / "elsewhere"
    backend.mkdir()
    url = f"file://{backend}"
    with placed(tmp_path, backend=url, PULUMI_CONFIG_PASSPHRASE="mine") as place:
        stack = place.stack()
        assert stack.outputs() == StackOutputs()
        outputs = stack.up(inputs(only("l4-fp8")), place.tell)
        assert outputs.plan == only("l4-fp8")
        assert [k.pool for k in place.stack().known_nodes()] == ["l4-fp8"]
        assert (backend / ".pulumi" / "stacks" / "hetops" / "chat.json").exists()
        assert not list(place.folder.backend.iterdir())
        stack.down(place.tell)
        assert place.running() == {}
