"""Drivers of nodes by provider and deployment, each with the deployment's folder to keep its files in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from hetops.errors import HetopsError
from hetops.plugin.manager import Plugins
from hetops.plugin.provider import DrivesNodes, NodeDriver
from hetops.state.home import Home

DriverOf = Callable[[str, str], NodeDriver]
"""(provider, deployment) to its driver; UnknownNameError or HetopsError where there is none."""


def drivers(plugins: Plugins, home: Home) -> DriverOf:
    """The drivers of all providers that create single nodes, made once each."""

    @cache
    def driver(provider: str, deployment: str) -> NodeDriver:
        found = plugins.provider(provider)
        if not isinstance(found, DrivesNodes):
            raise HetopsError(f"provider {provider} does not create single nodes")
        return found.node_driver(home.deployment(deployment).path)

    return driver
