"""Hyperbolic as a provider. Keeps nothing. Its prices can be asked for without a key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetops.plugin import (
    Capability,
    CheckResult,
    ErrorKind,
    NodeDriver,
    OfferOrReason,
    OfferQuery,
    ProviderError,
    Quota,
    Surroundings,
    Topic,
    finding,
    read_credential,
)
from hetops_hyperbolic.offers import PROVIDER, offers

if TYPE_CHECKING:
    from hetops.plugin import Api

BALANCE_QUOTA = "hyperbolic-balance"
_CHECK_SECONDS = 1.2


class HyperbolicProvider:
    """Hyperbolic's virtual machines, on demand and paid in advance."""

    name = PROVIDER
    capabilities = frozenset({Capability.MULTI_GPU_NVLINK})

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self._surroundings = surroundings or Surroundings()

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """The settings and the key; with a key, the balance and what `hetops up` needs besides."""
        from hetops.plugin import router_networks
        from hetops_hyperbolic import cloud, shell
        from hetops_hyperbolic.settings import read_settings

        known = finding("settings", lambda: _understood(settings), fix=f"correct [providers.{PROVIDER}]")
        if not known.ok:
            return (known,)
        read, around = read_settings(settings), self._surroundings

        def ssh() -> str:
            key = shell.key_file(read, around)
            return shell.ssh_program(around.environment) + (f" with {key}" if key else "")

        key = finding(
            "API key",
            lambda: f"from {read_credential(PROVIDER, around, cloud.KEY_VARIABLES, cloud.KEY_FILES).source}",
            fix=f"export {cloud.KEY_VARIABLES[0]}=...",
            topic=Topic.CREDENTIALS,
        )
        if not key.ok:
            return known, key
        client = cloud.api(around, around.patience.within(_CHECK_SECONDS))
        account = finding(
            "account", lambda: asyncio.run(_opened(client)), fix="run again", topic=Topic.CREDENTIALS
        )
        return (
            known,
            key,
            replace(account, clock_ahead_seconds=client.clock_ahead_seconds),
            finding("ssh", ssh, fix=""),
            finding(
                "router's address",
                lambda: ", ".join(router_networks(PROVIDER, read.router_networks, around.environment)),
                fix="",
            ),
        )

    async def fetch_offers(self, query: OfferQuery) -> tuple[OfferOrReason, ...]:
        """Every rental option, those that are sold out as such."""
        from hetops_hyperbolic import cloud

        _understood(query.settings)
        around = self._surroundings
        async with cloud.open_api(around, around.patience.within(query.deadline_seconds * 0.9)) as client:
            return offers(await cloud.rental_options(client), query.now)

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """The balance: what is paid in advance is all that can be spent."""
        from hetops_hyperbolic import cloud

        _understood(settings)
        async with cloud.api(self._surroundings) as client:
            left = await cloud.balance(client)
        limit = max(0.0, float(left.usd + left.overdraft_usd))
        return (Quota(group=BALANCE_QUOTA, limit=limit, used=0.0, unit="USD", ask=cloud.ADD_CREDIT),)

    def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
        """The driver; `state_folder` holds its locks and the host keys of its machines."""
        from hetops.plugin import CloudDriver
        from hetops_hyperbolic.nodes import HyperbolicNodes
        from hetops_hyperbolic.settings import read_settings

        cloud = HyperbolicNodes(self._surroundings, read_settings(settings), state_folder)
        return CloudDriver(cloud, state_folder, clock=self._surroundings.clock)


async def _opened(client: Api) -> str:
    """That the account answers, and what it has left; ProviderError where that is nothing."""
    from hetops_hyperbolic import cloud

    async with client:
        left = await cloud.balance(client)
    if left.usd + left.overdraft_usd <= 0:
        message = "nothing is left to spend"
        raise ProviderError(message, provider=PROVIDER, kind=ErrorKind.BALANCE, hint=cloud.ADD_CREDIT)
    return f"open; {left.usd:.2f} USD"


def _understood(settings: Mapping[str, Any]) -> str:
    from hetops_hyperbolic.settings import read_settings

    read_settings(settings)
    return "understood"
