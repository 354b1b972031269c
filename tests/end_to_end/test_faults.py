"""What goes wrong on the road: the error is told, the exit code fits, and nothing runs that no state knows."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.ports import free_port
from tests.end_to_end import specs
from tests.end_to_end.person import Person, ended, interrupt, until

pytestmark = pytest.mark.road

SLOW_START = "start_seconds = 3.0"


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """Somebody with a folder; whatever runs for it at the end is removed, and that nothing else does is checked."""
    person = Person(tmp_path)
    yield person
    assert person.hetops("down", "--deployment", "road", "-y").code == 0
    assert person.processes == {}
    assert until(lambda: not person.engines)


def marks(person: Person) -> set[str]:
    """Names of the nodes that run."""
    return set(person.processes.values())


def test_a_taken_port_is_told_before_anything_starts(person: Person) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        person.write(specs.emulated(port))
        done = person.hetops("up", "-y", "--json")
    assert done.code == 1
    assert done.document["message"].startswith(f"the router cannot listen on 127.0.0.1 port {port}: ")
    assert done.document["hint"].startswith("set router.port to a free one")
    assert person.processes == {}
    assert person.known("road") == set()


def test_an_engine_that_dies_at_start_shows_its_last_lines_and_leaves_nothing(person: Person) -> None:
    person.write(specs.emulated(free_port(), faults='exit_at_start = "CUDA error: out of memory"'))
    done = person.hetops("up", "-y", "--json")
    assert done.code == 4
    assert "died while it started" in done.document["message"]
    assert "CUDA error: out of memory" in done.document["details"]
    assert "nothing is left running" in done.document["details"]
    assert person.processes == {}
    (history,) = (person.folder / ".hetops/history/road.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(history)["action"] == "rolled_back"


def test_after_a_failed_start_a_mended_spec_comes_up(person: Person) -> None:
    port = free_port()
    person.write(specs.emulated(port, faults='exit_at_start = "no"'))
    assert person.hetops("up", "-y").code == 4
    person.write(specs.emulated(port))
    assert person.hetops("up", "-y").code == 0
    assert marks(person) == person.known("road")


def test_list_prices_of_a_cloud_are_refused_before_anything_starts(person: Person) -> None:
    spec = specs.emulated(free_port()).replace("[providers.local]\nemulate = true", "[providers.gcp]")
    person.write(spec)
    done = person.hetops("up", "-y", "--json")
    assert (done.code, done.document["kind"]) == (5, "PolicyError")
    assert "list prices are for planning only" in done.document["message"]
    assert person.processes == {}


def test_a_plan_beyond_the_budget_is_refused(person: Person) -> None:
    person.write(specs.emulated(free_port()))
    assert person.hetops("plan", "-o", "plan.json").code == 0
    person.write(specs.emulated(free_port(), more="[budget]\nusd_per_hour = 1.0\n"))
    done = person.hetops("up", "plan.json", "-y", "--json")
    assert (done.code, done.document["kind"]) == (5, "PolicyError")
    assert "the budget is $1.00 /h" in done.document["message"]


def test_a_plan_of_another_deployment_is_refused(person: Person) -> None:
    person.write(specs.emulated(free_port(), name="other"))
    assert person.hetops("plan", "-o", "plan.json").code == 0
    person.write(specs.emulated(free_port()))
    done = person.hetops("diff", "plan.json", "--json")
    assert (done.code, done.document["message"]) == (64, "the plan is for other, the spec for road")


def test_a_plan_needs_no_spec_beside_it(person: Person) -> None:
    person.write(specs.emulated(free_port()))
    assert person.hetops("plan", "-o", "plan.json").code == 0
    (person.folder / "hetops.toml").unlink()
    diff = person.hetops("diff", "plan.json", "--json")
    assert (diff.code, diff.document["deployment"]) == (0, "road")
    assert {p["change"] for p in diff.document["pools"]} == {"added"}


@pytest.mark.parametrize("command", ["diff", "up", "down", "status"])
def test_every_command_tells_of_a_missing_or_broken_spec_as_json(person: Person, command: str) -> None:
    missing = person.hetops(command, "--json")
    assert (missing.code, missing.document["kind"]) == (1, "SpecError")
    person.write("this is = = no toml")
    broken = person.hetops(command, "--json")
    assert (broken.code, broken.document["kind"]) == (1, "SpecError")
    assert "hetops.toml:1" in broken.document["message"]


def test_down_by_name_works_when_the_spec_no_longer_parses(person: Person) -> None:
    person.write(specs.emulated(free_port()))
    assert person.hetops("up", "-y").code == 0
    person.write("this is = = no toml")
    assert person.hetops("down", "-y").code == 1
    done = person.hetops("down", "--deployment", "road", "-y", "--json")
    assert (done.code, len(done.document["nodes"])) == (0, 3)
    assert person.processes == {}


def test_down_of_what_never_was_says_so_and_makes_no_file(person: Person) -> None:
    person.write(specs.emulated(free_port()))
    done = person.hetops("down", "--json")
    assert (done.code, done.document["changed"]) == (0, False)
    assert [p.name for p in person.folder.iterdir()] == ["hetops.toml"]


def test_ctrl_c_while_nodes_start_is_told_and_a_second_up_goes_on(person: Person) -> None:
    person.write(specs.emulated(free_port(), faults=SLOW_START))
    process = person.start("up", "-y")
    assert until(lambda: len(person.processes) == 2)
    interrupt(process)
    done = ended(process)
    assert done.code == 8
    assert "Error: stopped" in done.stderr
    assert until(lambda: not person.engines)
    assert person.hetops("up", "-y").code == 0
    assert len(person.processes) == 3
    assert marks(person) == person.known("road")


def test_a_terminal_that_is_closed_while_nodes_start_stops_the_up_in_good_order(person: Person) -> None:
    person.write(specs.emulated(free_port(), faults=SLOW_START))
    ours, its = os.openpty()
    process = person.start(
        "up",
        "-y",
        **dict.fromkeys(("stdin", "stdout", "stderr"), its),
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(its)
    os.set_blocking(ours, False)

    def nodes_start() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(ours, 65536)
        return len(person.processes) == 2

    assert until(nodes_start)
    os.close(ours)
    assert process.wait(30) == 8
    assert until(lambda: not person.engines)
    assert person.hetops("up", "-y").code == 0
    assert marks(person) == person.known("road")


def test_a_kill_while_nodes_start_leaves_nothing_that_the_next_up_does_not_adopt(person: Person) -> None:
    person.write(specs.emulated(free_port(), faults=SLOW_START))
    process = person.start("up", "-y")
    assert until(lambda: len(person.processes) == 2)
    process.kill()
    process.communicate(timeout=30)
    begun = person.processes
    up = person.hetops("up", "-y")
    assert up.code == 0, up.stderr
    assert begun.items() <= person.processes.items(), "what ran is adopted, not started twice"
    assert marks(person) == person.known("road")
    assert len(person.processes) == 3


def test_a_kill_while_nodes_start_is_cleared_up_by_down(person: Person) -> None:
    person.write(specs.emulated(free_port(), faults=SLOW_START))
    process = person.start("up", "-y")
    assert until(lambda: len(person.processes) == 2)
    process.kill()
    process.communicate(timeout=30)
    done = person.hetops("down", "-y", "--json")
    assert done.code == 0, done.stderr
    assert len(done.document["nodes"]) == 2
    assert person.processes == {}
    assert not person.state("road").exists()


def test_an_engine_that_is_killed_while_nodes_start_is_named_with_what_to_run_next(
    person: Person,
) -> None:
    person.write(specs.emulated(free_port(), faults=SLOW_START))
    process = person.start("up", "-y", "--json")
    assert until(lambda: len(person.processes) == 2)
    os.kill(json.loads((person.state("road") / "engine.json").read_text())["pid"], signal.SIGKILL)
    done = ended(process)
    assert done.code == 4, done.stderr
    assert "the Pulumi engine was ended by SIGKILL, by somebody or for want of memory" in done.stderr
    assert "nothing is lost" in done.stderr
    assert "try: run the same command again: it goes on from here" in done.stderr


def test_what_a_killed_up_began_for_another_plan_is_removed_by_the_next_up(person: Person) -> None:
    port = free_port()
    person.write(specs.emulated(port, faults=SLOW_START))
    process = person.start("up", "-y")
    assert until(lambda: len(person.processes) == 2)
    process.kill()
    process.communicate(timeout=30)
    begun = marks(person)
    person.write(specs.emulated(port))
    up = person.hetops("up", "-y")
    assert up.code == 0, up.stderr
    for node in begun:
        assert f"removed {node}, which no state knew" in up.stderr
    assert marks(person) == person.known("road")
    assert marks(person).isdisjoint(begun)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
@pytest.mark.parametrize("after", [0.1, 0.8, 1.6, 2.4, 4.0], ids="{}s".format)
@pytest.mark.parametrize("then", ["up", "down"])
def test_whenever_up_is_ended_the_next_command_finds_everything(
    person: Person, number: signal.Signals, after: float, then: str
) -> None:
    person.write(specs.emulated(free_port(), faults="start_seconds = 0.5"))
    process = person.start("up", "-y")
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
    done = ended(process)
    before_it_listens = (-number,) if after <= 0.1 else ()
    if number is not signal.SIGKILL:
        assert done.code in (0, 8, *before_it_listens), done.stderr
    following = person.hetops(then, "-y")
    assert following.code == 0, following.stderr
    assert marks(person) == person.known("road")
    assert len(person.processes) == (3 if then == "up" else 0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda n: n.name)
@pytest.mark.parametrize("after", [0.3, 0.8, 1.4], ids="{}s".format)
def test_whenever_down_is_ended_the_next_down_finishes(
    person: Person, number: signal.Signals, after: float
) -> None:
    person.write(specs.emulated(free_port()))
    assert person.hetops("up", "-y").code == 0
    process = person.start("down", "-y")
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
    ended(process)
    again = person.hetops("down", "-y")
    assert again.code == 0, again.stderr
    assert person.processes == {}
    assert not person.state("road").exists()
