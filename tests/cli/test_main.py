"""The command line as a shell meets it: exit codes, streams, options anywhere, errors for people and for programs."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from hetops.cli.main import COMMANDS
from tests.cli.process import HETOPS, environment, hetops, spec, told
from tests.cli.test_plugins import installed

SLOW = """
import asyncio
from pathlib import Path
from hetops.plugin import hookimpl

class Slow:
    name = "slow"
    capabilities = frozenset()

    def check(self, settings):
        return ()

    async def fetch_offers(self, query):
        Path("asked").touch()
        await asyncio.sleep(60)
        return ()

    async def quota(self, settings):
        return ()

@hookimpl
def register_providers():
    return [Slow()]
"""


def test_a_bare_call_prints_the_help_as_an_error(tmp_path: Path) -> None:
    run = hetops(tmp_path)
    assert (run.returncode, run.stdout) == (64, "")
    assert run.stderr == hetops(tmp_path, "--help").stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_that_begins_as_the_list_says(name: str, tmp_path: Path) -> None:
    run = hetops(tmp_path, name, "--help")
    assert run.returncode == 0
    assert run.stdout.startswith(f"Usage: hetops {name} ")
    listed, sentence = COMMANDS[name], re.split(r"\n\s*\n", run.stdout)[1]
    verb = listed.split()[0]
    assert " ".join(sentence.split()).startswith(verb), f"the list says: {listed}"
    assert listed in " ".join(hetops(tmp_path, "--help").stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--offline", "offers"),
        ("offers", "--json", "--offline"),
        ("--json", "offers", "--offline"),
        ("--offline", "offers", "--json"),
    ],
    ids=" ".join,
)
def test_global_options_mean_the_same_before_and_after_the_command(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    assert told(hetops(tmp_path, *arguments))["format"] == "hetops.offers"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_every_global_option(name: str, tmp_path: Path) -> None:
    given = ("-f", "some.toml", "-q", "-v", "-y", "--color=never", "--offline", "--json")
    assert hetops(tmp_path, name, *given, "--help").returncode == 0
    assert hetops(tmp_path, name, "--no-such-option", "--help").returncode == 64


def test_what_stands_after_the_command_wins_then_what_stands_before_then_the_environment(
    tmp_path: Path,
) -> None:
    told_by = {"HETOPS_FILE": "environment.toml"}
    for arguments, named in (
        (("offers",), "environment"),
        (("-f", "before.toml", "offers"), "before"),
        (("-f", "before.toml", "offers", "-f", "after.toml"), "after"),
    ):
        run = hetops(tmp_path, *arguments, variables=told_by)
        assert f"no spec: {named}.toml does not exist" in run.stderr


@pytest.mark.parametrize(("value", "document"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_json_can_be_asked_for_by_the_environment(value: str, document: bool, tmp_path: Path) -> None:
    run = hetops(tmp_path, "xyzzy", variables={"HETOPS_JSON": value})
    assert run.stdout.startswith("{") is document
    told_of_success = hetops(tmp_path, "plugins", variables={"HETOPS_JSON": value})
    assert told_of_success.stdout.startswith("{") is document


@pytest.mark.parametrize("arguments", [("-q", "init"), ("init", "-q"), ("init",)], ids=" ".join)
def test_talk_goes_to_stderr_and_quiet_ends_it(arguments: tuple[str, ...], tmp_path: Path) -> None:
    run = hetops(tmp_path, *arguments)
    assert run.stdout == f"{tmp_path / 'hetops.toml'}\n"
    assert (run.stderr == "") is ("-q" in arguments)


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("--help",), ("plugins",), ("schema",), ("offers", "--offline")],
    ids=" ".join,
)
def test_nothing_is_coloured_where_it_is_piped_or_not_wanted(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    for variables in ({}, {"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in hetops(tmp_path, *arguments, variables=variables).stdout


@pytest.mark.parametrize(
    "arguments", [("offers", "--offline"), ("schema",), ("--help",), ("xyzzy", "--json")], ids=" ".join
)
def test_who_stops_reading_early_sees_no_traceback(arguments: tuple[str, ...], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        run = hetops(tmp_path, *arguments, stdout=writer)
    finally:
        os.close(writer)
    assert run.returncode == (64 if "xyzzy" in arguments else 141)
    assert run.stderr == "" or "xyzzy" in arguments


def test_a_closed_stdout_is_no_fault(tmp_path: Path) -> None:
    run = hetops(tmp_path, "init", under=("sh", "-c", 'exec "$@" >&-', "sh"))
    assert (run.returncode, run.stdout) == (0, "")
    assert (tmp_path / "hetops.toml").read_text().startswith("#:schema")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("offers", "--offline"), 1), (("schema",), 1), (("--help",), 1), (("xyzzy", "--json"), 64)],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_a_full_disk_behind_stdout_is_an_error(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        run = hetops(tmp_path, *arguments, stdout=full)
    assert run.returncode == code
    assert "Error: " in run.stderr
    assert code == 64 or "No space left on device" in run.stderr


@pytest.mark.parametrize(
    ("number", "when"),
    [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "terminated"), (signal.SIGHUP, "hung up")],
)
def test_a_cancelled_command_ends_at_once_with_its_exit_code(
    number: signal.Signals, when: str, tmp_path: Path
) -> None:
    del when
    installed(tmp_path, "slow", SLOW)
    process = subprocess.Popen(
        [*HETOPS, "offers", "--provider", "slow", "--deadline", "60", "--json"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "asked").exists():
        assert process.poll() is None, process.communicate()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == json.loads(stdout)["exit_code"] == 8
    assert stderr.strip() == "Error: cancelled"


SPACE = ("sh", "-c", 'ulimit -f 2; exec "$@"', "sh")
"""A disk on which no file can grow beyond 2 blocks, as a full one would have it."""


LEFT_ALONE = """
import atexit, sys, threading
from hetops.cli import main
sys.argv = ["hetops", "--version"]
atexit.register(print, "aborted")
threading.Thread(target=threading.Event().wait, daemon=True).start()
main.main()
"""
"""What is left of a search that has not looked at the clock in time, which C++ would abort the process for."""


def test_a_search_that_was_left_alone_does_not_spoil_the_end() -> None:
    run = subprocess.run(
        [sys.executable, "-c", LEFT_ALONE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.returncode, run.stdout.split()[0], run.stderr) == (0, "hetops,", "")
    assert "aborted" not in run.stdout


@pytest.mark.parametrize("old", [b"the old plan", None], ids=["over an old plan", "where there was none"])
def test_a_full_disk_while_the_plan_is_written_leaves_the_old_file_whole(
    old: bytes | None, tmp_path: Path
) -> None:
    spec(tmp_path)
    target = tmp_path / "plan.json"
    if old is not None:
        target.write_bytes(old)
    before = sorted(p.name for p in tmp_path.iterdir())
    run = hetops(tmp_path, "plan", "-o", "plan.json", "--json", under=SPACE)
    assert run.returncode == told(run)["exit_code"] == 1
    assert "plan.json could not be written: File too large" in run.stderr
    assert "the old file, if there was one, is unchanged" in run.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (target.read_bytes() if target.exists() else None) == old


def test_a_plan_can_be_written_to_a_pipe_and_no_device_is_replaced(tmp_path: Path) -> None:
    spec(tmp_path)
    (tmp_path / "pipe").symlink_to("/dev/stdout")
    run = hetops(tmp_path, "-q", "plan", "-o", "pipe")
    assert run.returncode == 0
    assert '"format": "hetops.plan"' in run.stdout
    assert (tmp_path / "pipe").is_symlink()


@pytest.mark.parametrize("name", ["status", "down"])
def test_where_nothing_is_up_commands_say_so_in_text_and_as_a_document(name: str, tmp_path: Path) -> None:
    spec(tmp_path)
    as_text, as_json = (hetops(tmp_path, name, *option) for option in ((), ("--json",)))
    assert as_text.returncode == as_json.returncode
    assert "chat" in as_text.stdout + as_text.stderr
    assert told(as_json)["format"].startswith("hetops.")


def test_tables_fold_to_the_terminal_and_never_in_a_pipe(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    run = hetops(tmp_path, "plugins", variables={"COLUMNS": ""}, stdout=theirs)
    os.close(theirs)
    assert run.returncode == 0
    shown = os.read(ours, 65536).decode().splitlines()
    os.close(ours)
    assert max(map(len, shown)) <= 60
    assert max(map(len, hetops(tmp_path, "plugins").stdout.splitlines())) > 60
