"""Who launches what, and the router's configuration that a stack writes."""

from __future__ import annotations

import sys

import pytest

from hetops.app.launchers import program
from hetops.domain import codec
from hetops.errors import UnknownNameError
from hetops.plugin import manager
from hetops.plugin.engine import LaunchContext
from hetops.router.config import RouterConfig
from hetops.stack.inputs import FleetInputs, RouterInputs
from hetops.stack.render import EMULATOR
from tests.doubles.plans import plan, pool

PROGRAM = program(manager.load(["local"]))


def test_emulated_offers_run_the_emulator_in_this_interpreter() -> None:
    launch = PROGRAM.launcher(EMULATOR)(LaunchContext(pool=pool(), deployment="chat"))
    assert launch.argv[:3] == (sys.executable, "-m", "hetops.simulate")
    assert PROGRAM.python == sys.executable


def test_engines_come_from_plugins_by_name() -> None:
    engine = manager.load(["local"]).engine("llamacpp")
    assert PROGRAM.launcher("llamacpp").__func__ is type(engine).launch
    with pytest.raises(UnknownNameError, match="llamacp"):
        PROGRAM.launcher("llamacp")


def test_the_routers_file_holds_the_plans_shares_over_the_endpoints_and_no_key() -> None:
    router = RouterInputs(config_path="/s/router.json", api_keys_file="/s/keys", observations_file="/s/seen")
    inputs = FleetInputs(plan=plan(l4_nodes=1), router=router)
    endpoints = {"l4-fp8": ["http://a:1"], "l40s-fp8": ["http://b:1"]}
    text = PROGRAM.router_config(inputs, endpoints)
    config = codec.decode(RouterConfig, text, source="router.json")
    assert {p.name: list(p.endpoints) for p in config.pools} == endpoints
    assert config.shares["chat"] == {"l4-fp8": 0.6, "l40s-fp8": 0.4}
    assert config.plan_digest == codec.digest(inputs.plan)
    assert (config.api_keys_file, config.observations_file) == ("/s/keys", "/s/seen")
    assert PROGRAM.router_config(inputs, endpoints) == text, "the same inputs write the same file"
