"""What a bare machine runs so that it becomes a node: a shell script that starts one container for each launch.

Pure: for cloud-init, or for a shell over SSH. The serving ports are closed to everybody but the networks named; the
engines' GPUs do not overlap. Must hold no secret: user data can be read on the machine.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hetops.plugin.engine import Launch

FIRST_PORT = 8000
"""Replica i of a node answers on this port plus i."""

ROUTER_NETWORKS = "HETOPS_ROUTER_NETWORKS"
"""Environment variable: from where a router reaches nodes, as addresses or networks with commas between them."""

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


def router_networks(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The networks that the environment names, each in full (`203.0.113.7/32`); none where it names none.

    Raises:
        ValueError: one of them is no network.
    """
    told = (part.strip() for part in environment.get(ROUTER_NETWORKS, "").split(","))
    return tuple(str(ipaddress.ip_network(part)) for part in told if part)


def boot_script(boot: Boot) -> str:
    """The script; run again it changes nothing."""
    lines = (
        "#!/bin/bash",
        f"# hetops: node {boot.node}",
        "set -euo pipefail",
        *_firewall(boot),
        *(line for image in dict.fromkeys(launch.image for launch in boot.launches) for line in _pull(image)),
        *(shlex.join(command) for command in _containers(boot)),
    )
    return "\n".join(lines) + "\n"


def _firewall(boot: Boot) -> Iterable[str]:
    """Docker publishes ports past the usual firewall; its own chain DOCKER-USER comes first. Made anew each time."""
    ports = f"{boot.ports[0]}:{boot.ports[-1]}"
    yield "iptables -N HETOPS 2>/dev/null || iptables -F HETOPS"
    for network in boot.networks:
        if ":" not in network:
            yield f"iptables -A HETOPS -s {network} -j RETURN"
    yield "iptables -A HETOPS -j DROP"
    rule = f"-p tcp -m conntrack --ctstate NEW --ctorigdstport {ports} -j HETOPS"
    yield f"iptables -C DOCKER-USER {rule} 2>/dev/null || iptables -I DOCKER-USER {rule}"


def _pull(image: str) -> Iterable[str]:
    """Registries fail now and then; a machine that is paid for tries again."""
    pull = shlex.join(("docker", "pull", "--quiet", image))
    yield f"{pull} || {{ sleep 10; {pull}; }} || {{ sleep 60; {pull}; }}"


def _containers(boot: Boot) -> Iterable[tuple[str, ...]]:
    each = boot.gpus // len(boot.launches)
    for index, (launch, port) in enumerate(zip(boot.launches, boot.ports, strict=True)):
        name = f"hetops-{index}"
        devices = ",".join(str(gpu) for gpu in range(index * each, (index + 1) * each))
        yield ("docker", "rm", "--force", name)
        yield (
            *("docker", "run", "--detach", "--name", name, "--restart", "on-failure:3"),
            *("--gpus", f'"device={devices}"', "--ipc", "host", "--ulimit", "memlock=-1"),
            *("--publish", f"{port}:{launch.port}"),
            *(part for key, value in launch.environment for part in ("--env", f"{key}={value}")),
            launch.image,
            *launch.argv,
        )
