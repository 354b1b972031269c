"""`hetops up`, `status` and `down` at each cloud's fake, by the command itself, with an engine that a third party brings, and with ours."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.fake_api import TOKEN, Scenario, WallClock, started
from tests.doubles.ports import free_port
from tests.end_to_end.person import Finished, Person
from tests.plugins.clouds import KINDS
from tests.setup import third_party

pytestmark = [pytest.mark.road, pytest.mark.slow, pytest.mark.timeout(400)]

UP_SECONDS = 150.0


@contextmanager
def account(cloud: str, folder: Path, **scenario: Any) -> Iterator[Person]:
    """Somebody with an account at the cloud, and a spec for it in their folder."""
    api = started(KINDS[cloud].fake(Scenario(boot_seconds=0.5, **scenario), clock=WallClock()))  # type: ignore[call-arg]
    plugins = {"HETOPS_PLUGINS": f"{cloud},example,local", "PYTHONPATH": third_party.on_path(folder / "path")}
    third_party.spec(folder, cloud, port=free_port())
    person = Person(folder, {**api.environment(), **plugins})
    try:
        yield person
    finally:
        person.hetops("down", "--yes", timeout=UP_SECONDS)
        api.close()


@contextmanager
def watched() -> Iterator[set[str]]:
    """The command lines of all processes of this machine, as long as the block lasts."""
    lines: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    lines.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lines
    finally:
        over.set()
        thread.join()


def kept(folder: Path) -> dict[str, str]:
    """Every file below the folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes().decode(errors="replace") for path in files}


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("cloud", KINDS)
def test_a_fleet_comes_up_serves_and_goes_and_shows_its_key_nowhere(cloud: str, tmp_path: Path) -> None:
    with account(cloud, tmp_path) as person:
        with watched() as lines:
            up = person.hetops("up", "--yes", "--json", "-v", timeout=UP_SECONDS)
        assert up.code == 0, up.stderr
        assert up.document["probe"]["output_tokens"] == 1, "through the router, to a node of the cloud"
        status = person.hetops("status", "--json")
        assert status.code == 0, status.stderr
        files = kept(tmp_path)
        down = person.hetops("down", "--yes", "-v", timeout=UP_SECONDS)
        assert (down.code, person.known("elsewhere")) == (0, set()), down.stderr
    assert any("pulumi" in line for line in lines), "they were looked at while the engine was at work"
    assert any('"checkpoint"' in text for text in files.values()), "the state is among the files"
    assert any("hetops.offer-cache" in text for text in files.values()), "the cache is among the files"
    told = {"command lines": "\n".join(lines), **said(up=up, status=status, down=down)}
    assert [where for where, text in (told | files).items() if TOKEN in text] == []


def test_llamacpp_comes_up_in_its_container(tmp_path: Path) -> None:
    with account("runpod", tmp_path) as person:
        named = 'engine.names=["llamacpp-cuda"]'
        up = person.hetops("up", "--yes", "--json", "--set", named, timeout=UP_SECONDS)
        assert up.code == 0, up.stderr
        assert up.document["probe"]["output_tokens"] == 1
        assert any("llama.cpp:server-cuda" in text for text in kept(tmp_path).values()), (
            "the image is in the state"
        )


def said(**commands: Finished) -> dict[str, str]:
    """What each command printed."""
    return {name: done.stdout + done.stderr for name, done in commands.items()}
