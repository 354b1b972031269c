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

FAULTS = {
    "no such command": (("ofers",), 64, "did you mean 'offers'?"),
    "nothing like a command": (("xyzzy",), 64, "hetops --help lists them"),
    "no such option": (("offers", "--gpus", "L4"), 64, "hetops offers --help"),
    "no such option of hetops": (("--gpus", "offers"), 64, "--gpus"),
    "an option without its value": (("offers", "--gpu"), 64, "hetops offers --help"),
    "a value that is no choice": (("offers", "--market", "gray"), 64, "'gray' is not one of"),
    "too many arguments": (("doctor", "clock", "moon"), 64, "'moon' is not one of"),
    "no spec": (("offers", "-f", "none.toml"), 1, "no spec: none.toml does not exist"),
    "no file": (("solve", "none.json"), 1, "problem none.json cannot be read: No such file or directory"),
    "a folder for a file": (("solve", "."), 1, "problem . cannot be read: Is a directory"),
    "unknown GPU type": (("offers", "--gpu", "H100-SMX"), 1, "did you mean 'H100-SXM'"),
    "unknown provider": (("offers", "--provider", "awss"), 1, "did you mean 'aws'"),
    "unknown model": (("init", "--model", "llama-3.1-8"), 1, "did you mean 'llama-3.1-8b'"),
    "unknown format": (("schema", "plam"), 1, "did you mean 'plan'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_mistake_has_its_exit_code_and_says_what_to_do(fault: str, tmp_path: Path) -> None:
    arguments, code, says = FAULTS[fault]
    run = hetops(tmp_path, *arguments)
    assert run.returncode == code
    assert run.stderr.startswith("Error: ")
    assert says in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize("fault", FAULTS)
def test_every_mistake_is_a_document_where_json_was_asked_for(fault: str, tmp_path: Path) -> None:
    arguments, code, says = FAULTS[fault]
    run = hetops(tmp_path, "--json", *arguments)
    document = told(run)
    assert run.returncode == document["exit_code"] == code
    assert says in f"{document['message']} {document['hint']}"
    assert document["format"] == "hetops.error"
    assert f"Error: {document['message']}" in run.stderr


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


TOML_FAULTS = {
    "not TOML": ("[model]", "[model", "hetops.toml:8: not TOML"),
    "unknown key": (
        "requests_per_second = 12",
        "request_per_second = 12",
        "did you mean 'requests_per_second'?",
    ),
    "unknown table": ("[policy]", "[polcy]", "did you mean 'policy'?"),
    "a wrong type": ("port = 8080", 'port = "8080"', "router.port: expected int, got str, found '8080'"),
    "an impossible value": ("headroom = 0.15", "headroom = 1.5", "policy.headroom: expected float < 1.0"),
    "no choice": ('markets = ["on_demand"]', 'markets = ["on-demand"]', "did you mean 'on_demand'?"),
    "a budget of zero": ("# [budget]", "[budget]\nusd_per_hour = 0 #", "a budget must be above zero"),
    "unknown GPU type": ('# gpus = ["L4", ', 'gpus = ["L44", ', "offers.gpus[0]"),
    "unknown provider": ("# [providers.aws]", "[providers.awz]", "did you mean 'aws'"),
    "a secret": ('name = "chat"', 'name = "${env:API_KEY}"', "looks like a secret"),
    "a variable that is not set": ('name = "chat"', 'name = "${env:NOT_SET}"', "NOT_SET is not set"),
}


@pytest.mark.parametrize("fault", TOML_FAULTS)
def test_every_mistake_in_the_spec_names_its_place(fault: str, tmp_path: Path) -> None:
    old, new, says = TOML_FAULTS[fault]
    path = spec(tmp_path, (old, new))
    line = 1 + path.read_text().partition(new.partition("\n")[0])[0].count("\n")
    run = hetops(tmp_path, "offers", "--offline", "--json")
    assert run.returncode == 1
    assert says in run.stderr
    assert re.search(rf"hetops\.toml:({line}|{line + 1})\b", run.stderr), run.stderr
    assert told(run)["exit_code"] == 1


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[deployment]\nname = 'x'"], ids=["empty", "not text", "half"]
)
def test_a_spec_that_is_none_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "hetops.toml").write_bytes(content)
    run = hetops(tmp_path, "offers", "--offline")
    assert run.returncode == 1
    assert "hetops.toml" in run.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_spec_is_an_error(tmp_path: Path) -> None:
    spec(tmp_path).chmod(0)
    run = hetops(tmp_path, "offers", "--offline")
    assert run.returncode == 1
    assert "cannot be read: Permission denied" in run.stderr


SPACE = ("sh", "-c", 'ulimit -f 2; exec "$@"', "sh")
"""A disk on which no file can grow beyond 2 blocks, as a full one would have it."""


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


PLAN_FAULTS = {
    "unknown model": (
        ("--set", "model.name=llama-3.1-8"),
        1,
        ["unknown model 'llama-3.1-8' at", "hetops.toml:", "did you mean"],
    ),
    "unknown engine": (("--set", 'engine.names=["vlm"]'), 1, ["unknown engine 'vlm'", "did you mean 'vllm'"]),
    "targets that nothing meets": (
        ("--set", "targets.ttft_seconds=0.001"),
        6,
        ["try: loosen the latency targets by a factor of"],
    ),
    "a budget that is too small": (
        ("--set", "budget.usd_per_hour=0.1"),
        6,
        ["try: raise the budget from 0.1 to"],
    ),
    "a budget of zero": (("--set", "budget.usd_per_hour=0"), 1, ["a budget must be above zero"]),
    "nothing but what is not sold": (
        ("--set", 'offers.gpus=["H100-SXM"]', "--set", 'offers.regions=["mars-*"]'),
        6,
        ["no offer may be chosen", "hetops offers --refused"],
    ),
    "an override that is none": (("--set", "budget"), 64, ["is no key.path=value"]),
    "a trace that is not there": (
        ("--set", "workload.classes=[]", "--set", "workload.trace=none.csv"),
        1,
        ["none.csv"],
    ),
}


@pytest.mark.parametrize("fault", PLAN_FAULTS)
def test_every_plan_that_cannot_be_made_says_why_and_what_would_do(fault: str, tmp_path: Path) -> None:
    options, code, says = PLAN_FAULTS[fault]
    spec(tmp_path)
    run = hetops(tmp_path, "plan", *options, "--json")
    assert run.returncode == told(run)["exit_code"] == code, run.stderr
    for words in says:
        assert words in run.stderr
    assert "  try: " in run.stderr or "override" in fault or "zero" in fault or "not there" in fault


def test_the_smallest_relaxation_that_is_named_does_make_a_plan(tmp_path: Path) -> None:
    spec(tmp_path)
    refused = hetops(tmp_path, "plan", "--set", "budget.usd_per_hour=0.1")
    enough = re.search(r"raise the budget from 0\.1 to ([0-9.]+) usd_per_hour", refused.stderr)
    assert enough
    assert hetops(tmp_path, "plan", "--set", f"budget.usd_per_hour={enough.group(1)}").returncode == 0


TRACES = {
    "one request": ("TIMESTAMP,ContextTokens,GeneratedTokens\n2026-01-01 00:00:00,100,20\n", 1),
    "no request": ("TIMESTAMP,ContextTokens,GeneratedTokens\n", 1),
    "empty": ("", 1),
    "a column is missing": ("TIMESTAMP,ContextTokens\n2026-01-01 00:00:00,100\n", 1),
    "a negative length": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2026-01-01 00:00:00,-1,20\n2026-01-01 00:00:01,5,5\n",
        1,
    ),
}


@pytest.mark.parametrize("fault", TRACES)
def test_a_trace_that_no_rate_can_be_made_of_is_an_error_with_its_file(fault: str, tmp_path: Path) -> None:
    content, code = TRACES[fault]
    path = spec(tmp_path)
    text = path.read_text()
    head, _, rest = text.partition("[[workload.classes]]")
    path.write_text(head + '[workload]\ntrace = "requests.csv"\n\n' + rest[rest.index("[targets]") :])
    (tmp_path / "requests.csv").write_text(content)
    run = hetops(tmp_path, "plan", "--json")
    assert run.returncode == told(run)["exit_code"] == code, run.stdout
    assert "requests.csv" in run.stderr
    assert told(run)["kind"] == "TraceError"


def test_a_package_of_an_extra_that_is_missing_is_named_with_the_extra(tmp_path: Path) -> None:
    missing = tmp_path / "httptools.py"
    missing.write_text("raise ModuleNotFoundError(\"No module named 'httptools'\", name='httptools')\n")
    (tmp_path / "router.json").write_text("{}")
    run = hetops(tmp_path, "route", "--config", "router.json", variables={"PYTHONPATH": str(tmp_path)})
    assert run.returncode == 1
    assert "not installed: httptools\n  try: pip install 'hetops[router]'\n" in run.stderr


OF_A_SPEC = ("offers", "bench", "plan", "explain", "diff", "up", "status", "replay", "down", "plugins")


@pytest.mark.parametrize("name", OF_A_SPEC)
def test_a_spec_that_is_not_there_is_said_by_every_command_that_reads_one(name: str, tmp_path: Path) -> None:
    run = hetops(tmp_path, name, "-f", "none.toml", "--json")
    assert run.returncode == told(run)["exit_code"] == 1
    assert told(run)["message"] == "no spec: none.toml does not exist"
    assert list(tmp_path.iterdir()) == []


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
