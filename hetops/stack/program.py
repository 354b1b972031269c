"""The Pulumi program of a fleet: pools, the router's configuration made of their endpoints, the router, the outputs.

The same for `hetops up` (inline) and for plain `pulumi up` in stacks/fleet. What runs where is decided in `stack.render`;
this module only declares it, so that the configuration is written after the nodes answer and before old ones go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import pulumi

from hetops.domain import codec
from hetops.stack.inputs import FleetInputs, RouterInputs
from hetops.stack.render import ROUTER, LauncherOf, NodeDeclaration, PoolDeclaration, render
from hetops.stack.resources import File, Node, Pool, Router

ROUTER_CONFIG = "router-config"
"""Logical name of the file that the router watches."""

_NOTICE_SECONDS = 1.0
"""Old nodes go no earlier than this after a change of the configuration; the router looks at it four times a second."""

Endpoints = Mapping[str, Sequence[str]]
"""Base URLs of all replicas, by pool."""

RouterConfigOf = Callable[[FleetInputs, Endpoints], str]
"""The router's configuration file as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What the stack must be told by those who know engines and the router."""

    launcher: LauncherOf
    router_config: RouterConfigOf
    python: str
    """The interpreter that the router runs in."""


def declare(inputs: FleetInputs, program: Program) -> None:
    """Declares the fleet; to be called inside a running Pulumi program."""
    fleet = render(inputs, program.launcher, python=program.python)
    pools = {pool.pool.name: _pool(pool) for pool in fleet.pools}
    endpoints = {name: pulumi.Output.all(*(n.endpoints for n in nodes)) for name, nodes in pools.items()}
    known = pulumi.Output.all(**endpoints) if endpoints else pulumi.Output.from_input({})
    by_pool = known.apply(
        lambda found: {name: list(chain.from_iterable(urls)) for name, urls in found.items()}
    )
    if inputs.router is not None and fleet.router is not None:
        content = by_pool.apply(lambda found: program.router_config(inputs, found))
        _router(inputs.router, fleet.router, content)
    names = {name: pulumi.Output.all(*(n.name for n in nodes)) for name, nodes in pools.items()}
    pulumi.export(
        "pools", {name: {"nodes": names[name], "endpoints": by_pool.apply(_of(name))} for name in pools}
    )
    pulumi.export("router_url", "" if inputs.router is None else inputs.router.url)
    pulumi.export("plan", codec.encode(inputs.plan).decode())


def _pool(declared: PoolDeclaration) -> list[Node]:
    parent = pulumi.ResourceOptions(parent=Pool(declared.pool.name))
    return [Node(node, parent) for node in declared.nodes]


def _router(inputs: RouterInputs, declared: NodeDeclaration, content: pulumi.Input[str]) -> None:
    parent = Router(ROUTER)
    properties = {"path": inputs.config_path, "content": content, "notice_seconds": _NOTICE_SECONDS}
    config = File(ROUTER_CONFIG, properties, pulumi.ResourceOptions(parent=parent))
    # A changed router listens where the old one does: the old one has to go first.
    Node(declared, pulumi.ResourceOptions(parent=parent, depends_on=[config], delete_before_replace=True))


def _of(pool: str) -> Callable[[Endpoints], Sequence[str]]:
    return lambda found: found[pool]
