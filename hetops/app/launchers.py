"""Wires the stack program to those who know what it must not: plugins' engines, the emulator, the router."""

from __future__ import annotations

import sys

from hetops.domain import codec
from hetops.plugin.manager import Plugins
from hetops.router.config import RouterSettings, from_plan
from hetops.simulate.launch import emulator_launch
from hetops.stack.inputs import FleetInputs
from hetops.stack.program import Endpoints, Program
from hetops.stack.render import EMULATOR, LaunchOf


def program(plugins: Plugins) -> Program:
    """The program of every fleet, with the engines of these plugins."""

    def launcher(engine: str) -> LaunchOf:
        return emulator_launch if engine == EMULATOR else plugins.engine(engine).launch

    return Program(launcher=launcher, router_config=router_config, python=sys.executable)


def router_config(inputs: FleetInputs, endpoints: Endpoints) -> str:
    """The router's configuration file: the plan's shares over these endpoints."""
    router = inputs.router
    settings = RouterSettings(
        api_keys_file=router.api_keys_file if router else "",
        observations_file=router.observations_file if router else "",
        origin=router.origin if router else "",
    )
    return codec.encode(from_plan(inputs.plan, endpoints, settings)).decode()
