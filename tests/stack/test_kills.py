"""SIGKILL of the client, and of the engine, at whatever moment: nothing doubled, nothing lost, nothing left."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from hetops.stack.survey import remove_strays, survey
from hetops.state import intents
from tests.stack.child import killed_at, started
from tests.stack.places import SMALL, Place, inputs, until

pytestmark = pytest.mark.road

SECONDS = 1.5
"""How long nodes take to start."""


def wanted() -> object:
    return inputs(engines={"emulator": {"faults": {"start_seconds": SECONDS}}})


def assert_removed(place: Place) -> None:
    """What `down` does: the stack, then what no state knows. Nothing runs and nothing is on record."""
    place.stack().down(place.tell)
    remove_strays(place.folder, (), place.driver_of)
    assert place.running() == {}
    assert intents.read_all(place.folder.intents) == ()
    assert not place.folder.engine.exists()
    assert list((place.folder.backend / ".pulumi" / "locks").rglob("*.json")) == []


def killed_when_running(place: Place, root: Path) -> int:
    """Kills an `up` whose nodes have all begun to start; its engine's process id."""
    command = started("up", root, SECONDS)
    until(lambda: len(place.running()) == 2)
    engine = int(json.loads(place.folder.engine.read_text())["pid"])
    command.kill()
    command.communicate()
    return engine


@pytest.mark.parametrize("moment", ["begin", "creating", "running"])
def test_a_killed_up_is_gone_on_with_and_nothing_is_doubled(
    place: Place, tmp_path: Path, moment: str
) -> None:
    if moment == "running":
        killed_when_running(place, tmp_path)
    else:
        killed_at(started("up", tmp_path, SECONDS), moment)
    begun = place.running()

    stack = place.stack()
    stack.up(wanted(), place.tell)
    assert len(place.running()) == sum(p.nodes for p in SMALL.pools)
    assert place.running().items() >= begun.items(), "what was begun is adopted"
    known = stack.known_nodes()
    assert {k.name for k in known} == set(place.running())
    assert survey(place.folder, known, place.driver_of) == ()
    assert remove_strays(place.folder, known, place.driver_of) == ()
    state = place.folder.backend / ".pulumi" / "stacks" / "hetops" / "chat.json"
    assert not json.loads(state.read_bytes())["checkpoint"]["latest"].get("pending_operations")


def test_what_a_killed_up_began_is_removed_by_down(place: Place, tmp_path: Path) -> None:
    engine = killed_when_running(place, tmp_path)
    assert_removed(place)
    assert f"ended the Pulumi engine that a killed command had left running (process {engine})" in place.notes
    assert session(engine) == [], "neither it nor its plugins"


def test_client_and_engine_killed_together_leave_a_lock_that_is_cleared_with_a_word(
    place: Place, tmp_path: Path
) -> None:
    command = started("up", tmp_path, SECONDS)
    until(lambda: len(place.running()) == 2)
    engine = json.loads(place.folder.engine.read_text())["pid"]
    command.kill()
    os.kill(engine, signal.SIGKILL)
    command.communicate()
    locks = place.folder.backend / ".pulumi" / "locks"
    assert len(list(locks.rglob("*.json"))) == 1
    begun = place.running()

    stack = place.stack()
    stack.up(wanted(), place.tell)
    assert f"cleared the lock of process {engine}, which is dead" in place.notes
    assert "its nodes are found by their names" in place.notes
    assert place.running() == begun
    assert {k.name for k in stack.known_nodes()} == set(begun)


def test_an_engine_killed_alone_is_told_as_a_failure_and_up_goes_on(place: Place, tmp_path: Path) -> None:
    command = started("up", tmp_path, SECONDS)
    until(lambda: len(place.running()) == 2)
    os.kill(json.loads(place.folder.engine.read_text())["pid"], signal.SIGKILL)
    said, _ = command.communicate(timeout=30)
    assert command.returncode == 1, said
    begun = place.running()
    place.stack().up(wanted(), place.tell)
    assert place.running() == begun


def test_settings_of_the_stack_that_a_kill_tore_hinder_nobody(place: Place) -> None:
    stack = place.stack()
    stack.up(inputs(), place.tell)
    settings = place.folder.work / "Pulumi.chat.yaml"
    settings.write_text(settings.read_text()[:20])
    stack.up(inputs(), place.tell)
    settings.write_text("encr")
    assert_removed(place)


def test_a_killed_down_is_gone_on_with(place: Place, tmp_path: Path) -> None:
    place.stack().up(inputs(), place.tell)
    killed_at(started("down", tmp_path), "deleting")
    assert_removed(place)


def test_a_killed_down_does_not_hinder_an_up(place: Place, tmp_path: Path) -> None:
    place.stack().up(inputs(), place.tell)
    killed_at(started("down", tmp_path), "deleting")
    stack = place.stack()
    stack.up(inputs(), place.tell)
    assert {k.name for k in stack.known_nodes()} == set(place.nodes())
    assert len(place.nodes()) == 2


def session(leader: int) -> list[bytes]:
    """Command lines of the living processes of a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == leader:
                found.append((entry / "cmdline").read_bytes())
        except (ProcessLookupError, FileNotFoundError):
            continue
    return [command for command in found if command]
