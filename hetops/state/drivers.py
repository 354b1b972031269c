"""Drivers of nodes by provider and deployment, each with the deployment's folder to keep its files in.

Each gets its provider's settings as they are kept with the deployment (`provider_settings`): nodes are made, read and
removed by several processes, most of which never see a spec.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from hetops.errors import HetopsError
from hetops.plugin.manager import Plugins
from hetops.plugin.provider import DrivesNodes, NodeDriver
from hetops.state import provider_settings
from hetops.state.home import Home

DriverOf = Callable[[str, str], NodeDriver]
"""(provider, deployment) to its driver; UnknownNameError or HetopsError where there is none."""


def drivers(plugins: Plugins, home: Home) -> DriverOf:
    """The drivers of all providers that create single nodes, made once each."""

    @cache
    def driver(provider: str, deployment: str) -> NodeDriver:
        found = plugins.provider(provider)
        if not isinstance(found, DrivesNodes):
            raise HetopsError(
                f"provider {provider} does not create single nodes",
                hint=f"plan without it: set providers.{provider}.enabled = false",
            )
        folder = home.deployment(deployment)
        settings = provider_settings.read(folder.provider_settings)
        return found.node_driver(folder.path, settings.get(provider, {}))

    return driver
