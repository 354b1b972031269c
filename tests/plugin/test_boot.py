"""The boot script, run by a real shell with docker and iptables that write down what they were told."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hetops.errors import ErrorKind, ProviderError
from hetops.plugin import Boot, Launch, boot_script, container_problem, networks_setting, router_networks

LAUNCH = Launch(
    argv=("--model", "an org/a model", "--dtype", "auto; rm -rf /"),
    environment=(("GREETING", "it's $HOME"),),
    image="registry.example/engine:1",
    host="0.0.0.0",
    port=9000,
)

RECORDER = """#!/bin/bash
printf '%s ' "$(basename "$0")" >> "$RECORD"
printf '%q ' "$@" >> "$RECORD"
echo >> "$RECORD"
case "$(basename "$0") $1 $2" in
  "docker container inspect") [ -e "$STANDS" ] ;;
  "docker pull --quiet") [ ! -e "$FAILS" ] || { rm "$FAILS"; false; } ;;
  "iptables -C"*) false ;;
esac
"""


def boot(*launches: Launch, gpus: int = 2, networks: tuple[str, ...] = ("203.0.113.7/32",)) -> Boot:
    return Boot(node="n-0-abc", launches=launches or (LAUNCH,), gpus=gpus, networks=networks)


def ran(script: str, folder: Path, *, stands: bool = False, pull_fails: bool = False) -> list[list[str]]:
    """The commands that the script ran."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("docker", "iptables"):
        (programs / name).write_text(RECORDER)
        (programs / name).chmod(0o755)
    (programs / "sleep").write_text("#!/bin/sh\n")
    (programs / "sleep").chmod(0o755)
    for name, there in (("stands", stands), ("fails", pull_fails)):
        if there:
            (folder / name).touch()
    told = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "RECORD": str(folder / "record"),
        "STANDS": str(folder / "stands"),
        "FAILS": str(folder / "fails"),
    }
    here = script.replace("/run/lock/hetops", str(folder / "lock"))
    subprocess.run(["bash", "-s"], input=here, text=True, env=told, check=True, timeout=30)
    return [shlex.split(line) for line in (folder / "record").read_text().splitlines()]


def runs(commands: list[list[str]]) -> list[list[str]]:
    return [command for command in commands if command[:2] == ["docker", "run"]]


def test_the_container_gets_every_word_as_it_is(tmp_path: Path) -> None:
    (run,) = runs(ran(boot_script(boot()), tmp_path))
    image = run.index(LAUNCH.image)
    assert tuple(run[image + 1 :]) == LAUNCH.argv
    assert run[run.index("--env") + 1] == "GREETING=it's $HOME"
    assert run[run.index("--publish") + 1] == "0.0.0.0:8000:9000"


def test_engines_share_the_gpus_and_have_a_port_each(tmp_path: Path) -> None:
    found = runs(ran(boot_script(boot(LAUNCH, LAUNCH, gpus=8)), tmp_path))
    assert [run[run.index("--gpus") + 1] for run in found] == ['"device=0,1,2,3"', '"device=4,5,6,7"']
    assert [run[run.index("--publish") + 1] for run in found] == ["0.0.0.0:8000:9000", "0.0.0.0:8001:9000"]


def test_what_runs_already_is_left_alone(tmp_path: Path) -> None:
    assert runs(ran(boot_script(boot()), tmp_path, stands=True)) == []


def test_an_image_that_does_not_come_at_once_is_asked_for_again(tmp_path: Path) -> None:
    commands = ran(boot_script(boot()), tmp_path, pull_fails=True)
    assert len([c for c in commands if c[:2] == ["docker", "pull"]]) == 2
    assert runs(commands)


def test_the_ports_are_closed_to_all_but_the_networks_before_anything_serves(tmp_path: Path) -> None:
    commands = ran(
        boot_script(boot(LAUNCH, LAUNCH, networks=("203.0.113.7/32", "198.51.100.0/24"))), tmp_path
    )
    rules = [command for command in commands if command[0] == "iptables"]
    chain = [rule[2:] for rule in rules if rule[1] == "-A"]
    assert chain == [
        ["HETOPS", "-s", "203.0.113.7/32", "-j", "RETURN"],
        ["HETOPS", "-s", "198.51.100.0/24", "-j", "RETURN"],
        ["HETOPS", "-j", "DROP"],
    ]
    (entered,) = [rule for rule in rules if rule[1] == "-I"]
    assert entered[2] == "DOCKER-USER"
    assert entered[entered.index("--ctorigdstport") + 1] == "8000:8001"
    assert commands.index(entered) < commands.index(runs(commands)[0])


@pytest.mark.parametrize(
    ("launch", "problem"),
    [
        (replace(LAUNCH, image=""), "no container image"),
        (replace(LAUNCH, port=0), "fixed one"),
        (replace(LAUNCH, host="127.0.0.1"), "nobody outside its container"),
    ],
)
def test_a_launch_that_no_container_can_be_made_of_is_refused(launch: Launch, problem: str) -> None:
    assert problem in container_problem(launch)
    with pytest.raises(ValueError, match=problem):
        boot(launch)


def test_gpus_that_cannot_be_shared_out_and_ports_that_nobody_reaches_are_refused() -> None:
    with pytest.raises(ValueError, match="2 GPUs cannot be shared out to 3 engines"):
        boot(LAUNCH, LAUNCH, LAUNCH)
    with pytest.raises(ValueError, match="nobody could reach the engines"):
        boot(networks=())


def test_networks_are_read_in_full() -> None:
    told = {"HETOPS_ROUTER_NETWORKS": "203.0.113.7, 198.51.100.0/24, 2001:db8::/32"}
    assert router_networks("p", (), told) == ("203.0.113.7/32", "198.51.100.0/24")


@pytest.mark.parametrize("told", ["", "everywhere", "203.0.113.7/33", "2001:db8::1", "198.51.100.7/24"])
def test_networks_that_are_none_open_no_port(told: str) -> None:
    with pytest.raises(ProviderError) as caught:
        router_networks("p", (), {"HETOPS_ROUTER_NETWORKS": told})
    assert (caught.value.kind, "HETOPS_ROUTER_NETWORKS" in caught.value.hint) == (ErrorKind.INVALID, True)
    assert "router_networks = " in caught.value.hint


def test_the_networks_of_the_setting_go_before_those_of_the_environment() -> None:
    told = networks_setting("p", {"router_networks": ["203.0.113.7", "2001:db8::/32"]})
    assert told == ("203.0.113.7/32",)
    assert router_networks("p", told, {"HETOPS_ROUTER_NETWORKS": "198.51.100.0/24"}) == told
    assert networks_setting("p", {}) == ()


@pytest.mark.parametrize(
    "told", ["203.0.113.7", [], ["everywhere"], ["203.0.113.7/8"], ["2001:db8::1"], [7], 7]
)
def test_a_setting_that_is_no_list_of_networks_is_named(told: Any) -> None:
    with pytest.raises(ProviderError) as caught:
        networks_setting("p", {"router_networks": told})
    assert caught.value.message.startswith("providers.p.router_networks: ")
    assert caught.value.kind is ErrorKind.INVALID
