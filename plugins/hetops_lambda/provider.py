"""Lambda Cloud as a provider. Keeps nothing but the pace that the API asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetops.plugin import (
    Capability,
    CheckResult,
    NodeDriver,
    OfferOrReason,
    OfferQuery,
    Quota,
    Surroundings,
    Topic,
    finding,
    read_credential,
)
from hetops_lambda.offers import PROVIDER, offers

if TYPE_CHECKING:
    from hetops_lambda.cloud import Line

_CHECK_SECONDS = 1.2


class LambdaProvider:
    """Lambda's on-demand instances. It tells no quota and has no spot market."""

    name = PROVIDER
    capabilities = frozenset(
        {Capability.USER_DATA, Capability.TAGS, Capability.FIREWALL, Capability.MULTI_GPU_NVLINK}
    )

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self._surroundings = surroundings or Surroundings()
        self._opened: Line | None = None

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """The settings and the key; with a key, whether Lambda takes it and what `hetops up` needs besides."""
        from hetops.plugin import router_networks
        from hetops_lambda import nodes
        from hetops_lambda.cloud import KEY_FILES, KEY_VARIABLES, ssh_keys
        from hetops_lambda.settings import read_settings

        around = self._surroundings
        known = finding("settings", lambda: _understood(settings), fix=f"correct [providers.{PROVIDER}]")
        if not known.ok:
            return (known,)
        read = read_settings(settings)
        key = finding(
            "API key",
            lambda: f"from {read_credential(PROVIDER, around, KEY_VARIABLES, KEY_FILES).source}",
            fix=f"export {KEY_VARIABLES[0]}=...",
            topic=Topic.CREDENTIALS,
        )
        if not key.ok:
            return known, key
        api = self._line().api(around.patience.within(_CHECK_SECONDS))

        async def asked() -> str:
            async with api:
                return nodes.ssh_key(await ssh_keys(api), read, around.environment)

        account = finding(
            "account",
            lambda: f"open; SSH key {asyncio.run(asked())}",
            fix="run again",
            topic=Topic.CREDENTIALS,
        )
        account = replace(account, clock_ahead_seconds=api.clock_ahead_seconds)
        networks = finding(
            "router's address",
            lambda: ", ".join(router_networks(PROVIDER, read.router_networks, around.environment)),
            fix="",
        )
        return known, key, account, networks

    async def fetch_offers(self, query: OfferQuery) -> tuple[OfferOrReason, ...]:
        """Every instance type in every region that has it now; a type that is sold out, as such."""
        from hetops_lambda.cloud import instance_types

        _understood(query.settings)
        patience = self._surroundings.patience.within(query.deadline_seconds * 0.9)
        async with self._line().api(patience) as api:
            return offers(await instance_types(api), query.now)

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """Lambda tells its quota only by refusing."""
        _understood(settings)
        return ()

    def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
        """The driver; its files in `state_folder` are locks."""
        from hetops_lambda.nodes import LambdaNodes, driver
        from hetops_lambda.settings import read_settings

        return driver(LambdaNodes(self._line(), read_settings(settings)), state_folder)

    def _line(self) -> Line:
        from hetops_lambda.cloud import Line

        if self._opened is None:
            self._opened = Line(self._surroundings)
        return self._opened


def _understood(settings: Mapping[str, Any]) -> str:
    from hetops_lambda.settings import read_settings

    read_settings(settings)
    return "understood"
