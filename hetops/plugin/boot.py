"""What a bare machine runs so that it becomes a node: a shell script that starts one container for each launch.

Pure: for cloud-init, or for a shell over SSH. The serving ports are closed to everybody but the networks named; the
engines' GPUs do not overlap. Must hold no secret: user data can be read on the machine.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.checks import invalid_setting
from hetops.plugin.engine import Launch

FIRST_PORT = 8000
"""Replica i of a node answers on this port plus i."""

ROUTER_NETWORKS = "HETOPS_ROUTER_NETWORKS"
"""Environment variable: from where a router reaches nodes, as addresses or networks with commas between them."""

NETWORKS_SETTING = "router_networks"
"""The same as a list in `[providers.NAME]`, which goes before the variable."""

_EVERYWHERE = "0.0.0.0"
"""Every IPv4 address and no IPv6 one: the rules below are for IPv4."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """The engines of one machine.

    Raises:
        ValueError: a launch that no container can be made of, or more launches than GPUs can be shared out to.
    """

    node: str
    launches: tuple[Launch, ...]
    gpus: int
    networks: tuple[str, ...]
    """From where the serving ports can be reached; nobody else can."""

    def __post_init__(self) -> None:
        for launch in self.launches:
            problem = container_problem(launch)
            if problem:
                raise ValueError(problem)
        if not self.launches or self.gpus % len(self.launches):
            raise ValueError(f"{self.gpus} GPUs cannot be shared out to {len(self.launches)} engines")
        if not self.networks:
            raise ValueError("nobody could reach the engines: no network of a router is named")

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of each replica on the machine."""
        return tuple(range(FIRST_PORT, FIRST_PORT + len(self.launches)))


def container_problem(launch: Launch) -> str:
    """Why a launch is nothing that a container elsewhere can run; empty where it is."""
    if not launch.image:
        return "its engine has no container image"
    if not launch.port:
        return "its engine takes any free port; in a container it needs a fixed one"
    if launch.host in _LOOPBACK:
        return f"its engine serves on {launch.host}, which nobody outside its container reaches"
    return ""


def networks_setting(provider: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The IPv4 networks of the setting, each in full (`203.0.113.7/32`); none where it is not set.

    Raises:
        ProviderError: of kind invalid; it is no list of networks, or has none of IPv4.
    """
    told = settings.get(NETWORKS_SETTING)
    if told is None:
        return ()
    if not isinstance(told, list | tuple) or not all(isinstance(each, str) for each in told):
        problem = f'must be a list such as ["203.0.113.7"], not {told!r}'
        raise invalid_setting(provider, NETWORKS_SETTING, problem)
    try:
        return _networks(told)
    except ValueError as fault:
        raise invalid_setting(provider, NETWORKS_SETTING, str(fault)) from fault


def router_networks(provider: str, told: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """From where a router reaches nodes: the networks of the setting, else those of the environment.

    Raises:
        ProviderError: of kind invalid; neither names one, or what is named is no network. Ports are opened to nobody
            unasked.
    """
    if told:
        return tuple(told)
    parts = [part.strip() for part in environment.get(ROUTER_NETWORKS, "").split(",")]
    if not any(parts):
        raise _no_networks(provider, "not told, so nobody could reach the engines")
    try:
        return _networks([part for part in parts if part])
    except ValueError as fault:
        raise _no_networks(provider, f"{ROUTER_NETWORKS}: {fault}") from fault


def _networks(told: Sequence[str]) -> tuple[str, ...]:
    """The IPv4 networks among them; ValueError where one is no network, or none is of IPv4."""
    named = [ipaddress.ip_network(part) for part in told]
    found = tuple(str(network) for network in named if network.version == 4)
    if not found:
        raise ValueError("no IPv4 network, so nobody could reach the engines")
    return found


def _no_networks(provider: str, problem: str) -> ProviderError:
    return ProviderError(
        f"the router's address: {problem}",
        provider=provider,
        kind=ErrorKind.INVALID,
        hint=f'set {NETWORKS_SETTING} = ["203.0.113.7"] under [providers.{provider}], or export '
        f"{ROUTER_NETWORKS}=203.0.113.7: the address that the router has on the internet",
    )


def boot_script(boot: Boot) -> str:
    """The script; run again it changes nothing."""
    lines = (
        "#!/bin/bash",
        f"# hetops: node {boot.node}",
        "set -euo pipefail",
        "exec 9>/run/lock/hetops && flock 9",
        "for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 2; done",
        *_firewall(boot),
        *(line for image in dict.fromkeys(launch.image for launch in boot.launches) for line in _pull(image)),
        *_containers(boot),
    )
    return "\n".join(lines) + "\n"


def _firewall(boot: Boot) -> Iterable[str]:
    """Docker publishes ports past the usual firewall; its own chain DOCKER-USER comes first. Made anew each time."""
    ports = f"{boot.ports[0]}:{boot.ports[-1]}"
    yield "iptables -N HETOPS 2>/dev/null || iptables -F HETOPS"
    yield from (f"iptables -A HETOPS -s {network} -j RETURN" for network in boot.networks)
    yield "iptables -A HETOPS -j DROP"
    rule = f"-p tcp -m conntrack --ctstate NEW --ctorigdstport {ports} -j HETOPS"
    yield f"iptables -C DOCKER-USER {rule} 2>/dev/null || iptables -I DOCKER-USER {rule}"


def _pull(image: str) -> Iterable[str]:
    """Registries fail now and then; a machine that is paid for tries again."""
    pull = shlex.join(("docker", "pull", "--quiet", image))
    yield f"{pull} || {{ sleep 10; {pull}; }} || {{ sleep 60; {pull}; }}"


def _containers(boot: Boot) -> Iterable[str]:
    """What stands is left alone: the node's name tells what runs on it, so it is the same."""
    each = boot.gpus // len(boot.launches)
    for index, (launch, port) in enumerate(zip(boot.launches, boot.ports, strict=True)):
        name = f"hetops-{index}"
        devices = ",".join(str(gpu) for gpu in range(index * each, (index + 1) * each))
        run = (
            *("docker", "run", "--detach", "--name", name, "--restart", "on-failure:3"),
            *("--gpus", f'"device={devices}"', "--ipc", "host", "--ulimit", "memlock=-1"),
            *("--publish", f"{_EVERYWHERE}:{port}:{launch.port}"),
            *(part for key, value in launch.environment for part in ("--env", f"{key}={value}")),
            launch.image,
            *launch.argv,
        )
        yield f"docker container inspect {name} >/dev/null 2>&1 || {shlex.join(run)}"
