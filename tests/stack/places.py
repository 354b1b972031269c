"""Deployments for tests of the stack: a real engine, the local provider, emulated nodes, all in one folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hetops_local import processes

from hetops.app.launchers import program
from hetops.domain.plan import Plan
from hetops.plugin import manager
from hetops.plugin.provider import Node, NodeState
from hetops.stack.changes import PoolEvent
from hetops.stack.driver import FleetStack, StackPlace
from hetops.stack.engine import choose_engine
from hetops.stack.inputs import FleetInputs, RouterInputs
from hetops.stack.program import Program
from hetops.state.drivers import DriverOf, drivers
from hetops.state.home import DeploymentFolder, Home
from tests.doubles.plans import plan

SMALL = plan(l4_nodes=1)
"""Two pools of one node each."""

SLOW = {"emulator": {"faults": {"start_seconds": 3.0}}}
FAST = {"emulator": {"speed": 2.0}}


class Place:
    """One deployment in a folder of its own; what it starts is ended by `clean`."""

    def __init__(self, root: Path, *, backend: str = "", **environment: str) -> None:
        self.home = Home(root=root / "my state, 100% ü#1")
        self.folder: DeploymentFolder = self.home.deployment("chat")
        self.plugins = manager.load(["local"])
        self.program: Program = program(self.plugins)
        self.events: list[PoolEvent] = []
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.place = StackPlace(
            home=self.home,
            folder=self.folder,
            engine=choose_engine(os.environ),
            backend=backend,
            environment={**kept, **environment},
        )

    def stack(self, of: Program | None = None) -> FleetStack:
        """The stack as a command of its own would see it."""
        return FleetStack(self.place, of or self.program)

    def tell(self, event: PoolEvent) -> None:
        """Keeps what is told."""
        self.events.append(event)

    @property
    def told(self) -> list[tuple[str, str]]:
        """What was told of nodes, in order."""
        return [(str(e.what), e.node) for e in self.events if e.node]

    @property
    def notes(self) -> str:
        """What was told apart from nodes."""
        return "\n".join(e.message for e in self.events if not e.node)

    @property
    def driver_of(self) -> DriverOf:
        """The drivers, to look at what really runs."""
        return drivers(self.plugins, self.home)

    def running(self) -> dict[str, int]:
        """Processes of nodes by the node's name, as the machine itself has them."""
        here = str(self.folder.path.resolve())
        return {m.node: m.pid for m in processes.marked() if m.state_folder == here}

    def nodes(self) -> dict[str, Node]:
        """Running nodes by name, as their provider has them."""
        found = asyncio.run(self.driver_of("local", "chat").list("chat"))
        return {n.name: n for n in found if n.state is NodeState.RUNNING}

    def clean(self) -> None:
        """Ends whatever a test left running, by process id."""
        for pid in self.running().values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(os.getpgid(pid), signal.SIGKILL)
        until(lambda: not self.running())


@contextlib.contextmanager
def placed(root: Path, **fields: Any) -> Iterator[Place]:
    """A place that is clean afterwards."""
    place = Place(root, **fields)
    try:
        yield place
    finally:
        place.clean()


def inputs(of: Plan = SMALL, engines: Mapping[str, Mapping[str, Any]] | None = None) -> FleetInputs:
    """A fleet without a router."""
    return FleetInputs(plan=of, engines=engines or {})


def routed(place: Place, of: FleetInputs, port: int) -> FleetInputs:
    """The fleet with a router at that port."""
    folder = place.folder
    return replace(
        of,
        router=RouterInputs(
            port=port, config_path=str(folder.router_config), observations_file=str(folder.observations)
        ),
    )


def only(name: str, of: Plan = SMALL) -> Plan:
    """The plan with one of its pools."""
    return replace(of, pools=(of.pool(name),), shares=())


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)
