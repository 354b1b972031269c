"""Nodes as processes: adopted after their creator was killed, never doubled, never left behind, free of credentials."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hetops_local.driver import LocalDriver

from hetops.plugin import ErrorKind, Node, NodeState, ProviderError, Scope
from hetops.plugin.engine import INHERITED
from tests.plugins.nodes import PATIENCE_SECONDS, driven, launch, marked, pid_of, request, until


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[LocalDriver]:
    """A driver with a state folder of its own."""
    with driven(tmp_path) as found:
        yield found


def created(driver: LocalDriver, *args, **kwargs) -> Node:
    return asyncio.run(driver.create(request(*args, **kwargs)))


CREATE = """
import asyncio, pathlib, sys
from hetops_local.driver import LocalDriver
from tests.plugins.nodes import launch, request
asyncio.run(LocalDriver(pathlib.Path(sys.argv[1])).create(request("a", launch("--loading", "0.5"))))
"""


def test_a_node_whose_creator_was_killed_is_adopted_by_the_next_create(
    driver: LocalDriver, tmp_path: Path
) -> None:
    creator = subprocess.Popen([sys.executable, "-c", CREATE, str(tmp_path)], cwd=Path(__file__).parents[2])
    until((tmp_path / "nodes" / "a" / "0" / "pid").exists)
    creator.send_signal(signal.SIGKILL)
    creator.wait(PATIENCE_SECONDS)
    pid = pid_of(tmp_path, "a")
    node = created(driver, "a", launch("--loading", "0.5"))
    assert node.state is NodeState.RUNNING
    assert pid_of(tmp_path, "a") == pid, "a second process was started"
    assert [m.pid for m in marked(tmp_path)] == [pid]


def test_an_engine_leads_a_session_of_its_own_and_is_nobodys_child(
    driver: LocalDriver, tmp_path: Path
) -> None:
    created(driver, "a")
    pid = pid_of(tmp_path, "a")
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert os.getsid(pid) != os.getsid(0)
    status = Path(f"/proc/{pid}/status").read_text()
    (parent,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid"))
    assert parent != os.getpid()


def test_nodes_that_start_at_once_get_ports_of_their_own(driver: LocalDriver) -> None:
    async def create_all() -> list[Node]:
        return await asyncio.gather(*(driver.create(request(f"n{i}", launch(), launch())) for i in range(4)))

    nodes = asyncio.run(create_all())
    endpoints = [endpoint for node in nodes for endpoint in node.endpoints]
    assert len(set(endpoints)) == 8
    assert {httpx.get(f"{endpoint}/health").status_code for endpoint in endpoints} == {200}


def test_an_engine_gets_the_marks_of_its_node_and_no_credentials(
    driver: LocalDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("AWS_SECRET_ACCESS_KEY", "PULUMI_CONFIG_PASSPHRASE", "LAMBDA_API_KEY", "HF_TOKEN")
    for name in secrets:
        monkeypatch.setenv(name, "secret-of-the-user")
    created(driver, "a", launch(environment=(("OMP_NUM_THREADS", "1"),)), sku="light")
    pid = pid_of(tmp_path, "a")
    environment = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    assert "OMP_NUM_THREADS=1" in environment
    assert {"HETOPS_NODE=a", "HETOPS_DEPLOYMENT=test", f"HETOPS_NODE_STATE={tmp_path}"} <= set(environment)
    for place in (*tmp_path.rglob("*"), Path(f"/proc/{pid}/environ"), Path(f"/proc/{pid}/cmdline")):
        assert place.is_dir() or b"secret-of-the-user" not in place.read_bytes(), place


def test_what_a_launch_inherits_reaches_the_process_and_no_file(
    driver: LocalDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYGO_KEY", "secret-of-the-user")
    inherits = ((INHERITED, "PAYGO_KEY,NOT_THERE"),)
    created(driver, "a", launch(environment=inherits), sku="light")
    environment = Path(f"/proc/{pid_of(tmp_path, 'a')}/environ").read_bytes().decode().split("\0")
    assert "PAYGO_KEY=secret-of-the-user" in environment
    for place in tmp_path.rglob("*"):
        assert place.is_dir() or b"secret-of-the-user" not in place.read_bytes(), place


def test_an_engine_that_dies_is_read_as_failed_with_its_last_words(
    driver: LocalDriver, tmp_path: Path
) -> None:
    created(driver, "a", launch(), launch())
    os.kill(pid_of(tmp_path, "a", 1), signal.SIGKILL)
    until(lambda: asyncio.run(driver.read("a")).state is NodeState.FAILED)
    node = asyncio.run(driver.read("a"))
    assert node.message == "its engine has died\nlight engine starts"
    assert (bool(node.endpoints[0]), node.endpoints[1]) == (True, "")
    assert [n.state for n in asyncio.run(driver.list("test"))] == [NodeState.FAILED]


def test_creating_a_failed_node_again_starts_what_died_and_keeps_what_lives(
    driver: LocalDriver, tmp_path: Path
) -> None:
    created(driver, "a", launch(), launch())
    lives, dies = pid_of(tmp_path, "a", 0), pid_of(tmp_path, "a", 1)
    os.kill(dies, signal.SIGKILL)
    until(lambda: asyncio.run(driver.read("a")).state is NodeState.FAILED)
    node = created(driver, "a", launch(), launch())
    assert node.state is NodeState.RUNNING
    assert pid_of(tmp_path, "a", 0) == lives
    assert pid_of(tmp_path, "a", 1) != dies
    assert len(marked(tmp_path)) == 2
    assert (tmp_path / "nodes" / "a" / "1" / "log.1").read_text() == "light engine starts\n"


def test_a_mend_that_fails_ends_nothing_that_it_did_not_start(driver: LocalDriver, tmp_path: Path) -> None:
    created(driver, "a", launch(), launch())
    lives = pid_of(tmp_path, "a", 0)
    os.kill(pid_of(tmp_path, "a", 1), signal.SIGKILL)
    until(lambda: asyncio.run(driver.read("a")).state is NodeState.FAILED)
    with pytest.raises(ProviderError, match="could not be started"):
        created(driver, "a", launch(), launch(argv=("no-such-program",)))
    assert [m.pid for m in marked(tmp_path)] == [lives]
    assert [n.state for n in asyncio.run(driver.list("test"))] == [NodeState.FAILED]


def test_an_engine_that_dies_at_its_start_leaves_nothing_but_its_log(
    driver: LocalDriver, tmp_path: Path
) -> None:
    with pytest.raises(ProviderError) as caught:
        created(driver, "a", launch(), launch("--die", "CUDA out of memory"))
    error = caught.value
    assert (error.provider, error.kind, error.scope) == ("local", ErrorKind.INVALID, Scope.OFFER)
    assert error.message == "a died while it started: CUDA out of memory"
    assert error.details == ("light engine starts", "CUDA out of memory")
    log = tmp_path / "nodes" / "a.failed.log"
    assert str(log) in error.hint
    assert "CUDA out of memory" in log.read_text()
    assert marked(tmp_path) == ()
    assert asyncio.run(driver.list("test")) == ()
    asyncio.run(driver.delete("a"))
    assert list((tmp_path / "nodes").iterdir()) == []


def test_an_engine_that_never_answers_is_ended_when_its_time_is_over(
    driver: LocalDriver, tmp_path: Path
) -> None:
    with pytest.raises(ProviderError, match=r"a did not answer within 1 s") as caught:
        created(driver, "a", launch("--loading", "60", ready_seconds=0.6))
    assert caught.value.kind is ErrorKind.TRANSIENT
    assert marked(tmp_path) == ()


def test_what_cannot_be_started_is_named(driver: LocalDriver, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"a could not be started: .*no-such-program cannot be started"):
        created(driver, "a", launch(), launch(argv=("no-such-program",)))
    assert marked(tmp_path) == ()
    assert asyncio.run(driver.read("a")).state is NodeState.GONE


def test_an_engine_that_is_deaf_to_sigterm_is_killed_after_its_drain(
    driver: LocalDriver, tmp_path: Path
) -> None:
    created(driver, "a", launch("--deaf", drain_seconds=0.3))
    asyncio.run(driver.delete("a"))
    assert marked(tmp_path) == ()
    assert list((tmp_path / "nodes").iterdir()) == []


def test_what_an_engine_started_ends_with_its_node(driver: LocalDriver, tmp_path: Path) -> None:
    created(driver, "a", launch("--child"))
    until(lambda: len(marked(tmp_path)) == 2)
    asyncio.run(driver.delete("a"))
    assert marked(tmp_path) == ()


def test_processes_whose_folder_was_removed_are_found_and_can_be_deleted(
    driver: LocalDriver, tmp_path: Path
) -> None:
    created(driver, "a")
    pid = pid_of(tmp_path, "a")
    for path in sorted((tmp_path / "nodes").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (stray,) = asyncio.run(driver.list("test"))
    assert (stray.name, stray.state) == ("a", NodeState.FAILED)
    assert stray.message == f"its folder is gone; process {pid} still runs"
    assert asyncio.run(driver.read("a")).state is NodeState.FAILED
    asyncio.run(driver.delete("a"))
    assert asyncio.run(driver.read("a")).state is NodeState.GONE
    assert marked(tmp_path) == ()


def test_creating_over_such_processes_ends_them_first(driver: LocalDriver, tmp_path: Path) -> None:
    created(driver, "a")
    old = pid_of(tmp_path, "a")
    for path in sorted((tmp_path / "nodes").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    created(driver, "a")
    until(lambda: [m.pid for m in marked(tmp_path)] == [pid_of(tmp_path, "a")])
    assert pid_of(tmp_path, "a") != old


def test_nodes_of_one_name_in_two_state_folders_are_strangers(driver: LocalDriver, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with driven(tmp_path / "other") as other:
        created(driver, "a")
        created(other, "a")
        asyncio.run(other.delete("a"))
        assert asyncio.run(driver.read("a")).state is NodeState.RUNNING
        assert asyncio.run(other.list("test")) == ()


def test_a_node_file_that_cannot_be_understood_is_a_provider_error(
    driver: LocalDriver, tmp_path: Path
) -> None:
    (tmp_path / "nodes" / "a").mkdir(parents=True)
    for text in ("{", "{}", "[]", '{"deployment": 1, "replicas": "x"}'):
        (tmp_path / "nodes" / "a" / "node.json").write_text(text)
        with pytest.raises(ProviderError, match="cannot be understood"):
            asyncio.run(driver.read("a"))


def test_a_state_folder_that_cannot_be_written_is_a_provider_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProviderError):
        created(LocalDriver(tmp_path / "file"), "a")


def test_the_files_of_a_node_are_its_owners_alone(driver: LocalDriver, tmp_path: Path) -> None:
    created(driver, "a")
    folder = tmp_path / "nodes" / "a"
    assert {folder.stat().st_mode & 0o777, (folder / "0").stat().st_mode & 0o777} == {0o700}
    assert (folder / "0" / "launch.json").stat().st_mode & 0o777 == 0o600
    assert (folder / "0" / "log").stat().st_mode & 0o777 == 0o600
