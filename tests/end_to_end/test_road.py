"""The whole road on an emulated fleet, as a person walks it: up, requests, status, a changed line, diff, up, down.

One deployment for the whole module; the tests stand in the order of the road and each leaves it up.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.ports import free_port
from tests.end_to_end import specs
from tests.end_to_end.person import Finished, Person, ask, ended, until

pytestmark = pytest.mark.road

MODEL = "llama-3.1-8b"


class Road:
    """A person with a deployment that is up."""

    def __init__(self, folder: Path) -> None:
        self.person = Person(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.person.write(specs.emulated(self.port))
        self.first = self.person.hetops("up", "-y", "--json")

    @property
    def key(self) -> str:
        """The API key that `up` made."""
        return (self.person.state("road") / "router" / "api_keys").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """The deployment, removed at the end whatever happened."""
    road = Road(tmp_path_factory.mktemp("road"))
    try:
        assert road.first.code == 0, road.first.stderr
        yield road
    finally:
        road.person.hetops("down", "-y")
        assert road.person.processes == {}


def less() -> str:
    """A quarter of the requests: no need for the L4."""
    return f"workload.classes={specs.classes(specs.mixed_rate() / 4)}"


def typed(person: Person, answers: str, *arguments: str) -> Finished:
    """A command on a terminal, with these answers typed when it asks; what the terminal showed is its stderr."""
    ours, theirs = pty.openpty()
    process = person.start(*arguments, stdin=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while b"etails)] " not in shown and b"to remove it: " not in shown:
            shown += os.read(ours, 65536)
        os.write(ours, answers.encode())
        stdout = process.communicate(timeout=60)[0]
        with contextlib.suppress(OSError):  # a terminal without a program says so
            while chunk := os.read(ours, 65536):
                shown += chunk
    finally:
        os.close(ours)
    return Finished(process.returncode, stdout, shown.decode("utf-8", "replace").replace("\r\n", "\n"))


def test_up_says_where_it_answers_and_where_the_key_lies_and_never_the_key(road: Road) -> None:
    document = road.first.document
    assert document["endpoint"] == road.url
    assert document["emulated"] is True
    assert document["probe"]["output_tokens"] == 1
    keys = Path(document["api_keys_file"])
    assert keys.stat().st_mode & 0o777 == 0o600
    said = road.first.stdout + road.first.stderr
    assert road.key not in said
    assert re.search(r"^\d\d:\d\d:\d\d  l4-\S+: l4-\S+-0 is ready$", road.first.stderr, re.MULTILINE)


def test_the_curl_line_of_up_is_answered(road: Road) -> None:
    said = subprocess.run(
        ["bash", "-c", road.first.document["curl"] + " --silent --max-time 20"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(said.stdout)["choices"][0]["message"]["content"]


def test_the_key_stands_in_no_state_no_plan_and_no_log(road: Road) -> None:
    key = road.key.encode()
    holders = [p for p in road.person.folder.rglob("*") if p.is_file() and key in p.read_bytes()]
    assert [p.name for p in holders] == ["api_keys"]


def test_requests_stream_through_the_router_from_the_pools_of_the_plan(road: Road) -> None:
    pools = set()
    for _ in range(12):
        status, pool, body = ask(road.url, road.key, model=MODEL, stream=True)
        assert status == 200
        assert body.rstrip().endswith("data: [DONE]")
        pools.add(pool)
    assert pools == set(road.first.document["nodes"])


def test_a_request_without_a_known_key_is_refused(road: Road) -> None:
    assert ask(road.url, "sk-of-somebody-else", model=MODEL)[0] == 401


def test_status_holds_what_was_measured_against_the_plan(road: Road) -> None:
    for _ in range(4):
        assert ask(road.url, road.key, model=MODEL, tokens=50)[0] == 200
    found: dict[str, Finished] = {}

    def told() -> bool:
        found["status"] = road.person.hetops("status", "--json")
        return bool(found["status"].document["requests"])

    assert until(told), "the router writes what it measured"
    status = found["status"]
    assert (status.code, status.document["health"]) == (0, "healthy")
    assert {p["nodes_running"] for p in status.document["pools"]} == {1}
    assert status.document["usd_per_million_tokens"]["measured"] > 0
    text = road.person.hetops("status").stdout
    assert text.startswith(f"road: healthy, {MODEL}\n")
    assert "L4 (emulated)" in text


def test_without_changes_diff_says_so_and_up_changes_nothing(road: Road) -> None:
    before = road.person.processes
    diff = road.person.hetops("diff", "--detailed-exitcode")
    assert (diff.code, diff.stderr) == (0, "")
    assert re.fullmatch(r"road: no changes · \$\S+ /h \(\$\S+ /month\)\n", diff.stdout)
    again = road.person.hetops("up", "-y", "--json")
    assert (again.code, again.document["changed"]) == (0, False)
    assert road.person.processes == before


def test_diff_shows_a_changed_line_of_the_spec_with_its_money_and_changes_nothing(road: Road) -> None:
    before = road.person.processes
    diff = road.person.hetops("diff", "--set", less(), "--detailed-exitcode")
    assert diff.code == 2
    assert "0 pools to add" in diff.stdout
    assert "1 to remove" in diff.stdout
    assert re.search(r"^ +- +l4-\S+ +L4 \(emulated\) +1 → 0 +\$\S+ → \$0\.00", diff.stdout, re.MULTILINE)
    raw = road.person.hetops("diff", "--set", less(), "--json").document
    assert raw["format"] == "hetops.diff"
    assert float(raw["usd_per_hour_after"]) < float(raw["usd_per_hour_before"])
    assert road.person.processes == before


def test_no_terminal_means_no_question_and_no_change(road: Road) -> None:
    for command, arguments in (("up", ("--set", less())), ("down", ())):
        done = road.person.hetops(command, *arguments, "--json")
        assert done.code == 1
        assert done.document["hint"] == f"agree beforehand: hetops {command} --yes"
    assert len(road.person.processes) == 3


def test_a_declined_question_changes_nothing_and_details_show_the_plan(road: Road) -> None:
    before = road.person.processes
    done = typed(road.person, "d\nn\n", "up", "--set", less())
    assert done.code == 1
    assert done.stderr.count("Bring it up? [y/N/d(etails)]") == 2
    assert "Proof: cost" in done.stderr
    assert "Error: declined: nothing was changed" in done.stderr
    wrong = typed(road.person, "rode\n", "down")
    assert wrong.code == 1
    assert "Type road to remove it: " in wrong.stderr
    assert road.person.processes == before


def test_a_second_command_is_told_who_works_on_the_deployment(road: Road) -> None:
    ours, theirs = pty.openpty()
    first = road.person.start("down", stdin=theirs, stderr=theirs)
    try:
        shown = b""
        while b"to remove it: " not in shown:
            shown += os.read(ours, 65536)
        for command in ("diff", "up", "down"):
            second = road.person.hetops(command, "--json")
            assert second.code == 9
            assert second.document["message"].startswith(f"deployment road is in use by process {first.pid} ")
            assert "hetops down" in second.document["message"]
        assert road.person.hetops("status").code == 0, "who only looks may look"
    finally:
        os.write(ours, b"no\n")
        first.communicate(timeout=30)
        os.close(ours)
        os.close(theirs)


def test_a_reader_who_is_gone_ends_a_command_quietly(road: Road) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = road.person.start("status", stdout=writing)
    os.close(writing)
    done = ended(process)
    assert (done.code, done.stderr) == (141, "")


def test_an_engine_that_dies_is_drift_that_up_mends(road: Road) -> None:
    pid, node = next((p, n) for p, n in road.person.processes.items() if "-l4-" in n)
    os.kill(pid, 9)
    assert until(lambda: pid not in road.person.processes)
    status = road.person.hetops("status", "--json").document
    assert status["health"] == "degraded"
    diff = road.person.hetops("diff", "--detailed-exitcode")
    assert diff.code == 2
    assert "1 node has drifted" in diff.stdout
    assert "its engine has died" in diff.stdout
    assert road.person.hetops("up", "-y").code == 0
    assert node in road.person.processes.values()
    assert road.person.hetops("diff", "--detailed-exitcode").code == 0


def test_an_update_that_fails_leaves_the_fleet_serving_as_it_was(road: Road) -> None:
    before = road.person.processes
    road.person.write(specs.emulated(road.port, faults='exit_at_start = "no driver"'))
    failed = road.person.hetops("up", "-y", "--json")
    road.person.write(specs.emulated(road.port))
    assert failed.code == 4
    assert road.person.processes == before
    assert ask(road.url, road.key, model=MODEL)[0] == 200
    assert road.person.hetops("diff", "--detailed-exitcode").code == 0


def test_a_plan_file_is_brought_up_and_requests_run_on_meanwhile(road: Road) -> None:
    plan = road.person.folder / "plan.json"
    smaller = ("--set", less())
    assert road.person.hetops("plan", *smaller, "-o", str(plan)).code == 0
    up = road.person.start("up", str(plan), "-y", "--json")
    statuses = []
    while up.poll() is None:
        statuses.append(ask(road.url, road.key, model=MODEL)[0])
        time.sleep(0.05)
    done = ended(up)
    assert done.code == 0, done.stderr
    assert "note: the plan was made from another state of the spec" in done.stderr
    assert set(statuses) == {200}, "an update drops no request"
    assert sorted(n.split("-")[1] for n in road.person.processes.values()) == ["l40s", "router"]


def test_the_history_tells_each_up_with_its_cost_and_nodes(road: Road) -> None:
    lines = (road.person.folder / ".hetops/history/road.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert [e["action"] for e in entries] == ["up", "up", "failed", "up"]
    assert entries[0]["usd_per_hour"] == road.first.document["usd_per_hour"]
    assert sum(entries[-1]["nodes"].values()) == 1


def test_down_leaves_no_process_and_no_file_but_the_history(road: Road) -> None:
    done = typed(road.person, "road\n", "down", "--json")
    assert done.code == 0
    assert json.loads(done.stdout)["changed"] is True
    assert road.person.processes == {}
    assert road.person.engines == []
    left = {p.name for p in (road.person.folder / ".hetops").iterdir()}
    assert left <= {"history", "cache"}
    again = road.person.hetops("down")
    assert (again.code, again.stdout) == (0, "road: nothing is up\n")
    status = road.person.hetops("status", "--json")
    assert (status.code, status.document["message"]) == (1, "road: nothing is up")
