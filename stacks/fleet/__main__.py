"""The fleet of a plan as a plain Pulumi project: the same program as `hetops up`, for people who run `pulumi` themselves.

Config `hetops:inputs` names a hetops.fleet document. Or `hetops:plan` names a plan, and `hetops:router-port`, where it
is set, the port of a router on this host. Decides nothing.
"""

import os
from pathlib import Path

import pulumi

from hetops.app.launchers import program
from hetops.domain import codec
from hetops.domain.plan import Plan
from hetops.errors import HetopsError
from hetops.files import read_bytes
from hetops.plugin import manager
from hetops.stack.inputs import FleetInputs, RouterInputs
from hetops.stack.program import declare
from hetops.state.home import home


def fleet(config: pulumi.Config) -> FleetInputs:
    """What the configuration names; paths are relative to the project's folder."""
    if path := config.get("inputs"):
        return codec.decode_strict(FleetInputs, read_bytes(Path(path), what="inputs"), source=path)
    path = config.require("plan")
    plan = codec.decode(Plan, read_bytes(Path(path), what="plan"), source=path)
    port = config.get_int("router-port")
    return FleetInputs(plan=plan, router=None if port is None else router(plan, port))


def router(plan: Plan, port: int) -> RouterInputs:
    """A router on this host, for clients on this host: it asks for no keys."""
    folder = home(os.environ).deployment(plan.deployment)
    files = {"config_path": str(folder.router_config), "observations_file": str(folder.observations)}
    return RouterInputs(port=port, **files)


try:
    declare(fleet(pulumi.Config()), program(manager.load()))
except HetopsError as fault:
    raise pulumi.RunError("\n".join(filter(None, (fault.message, *fault.details, fault.hint)))) from fault
