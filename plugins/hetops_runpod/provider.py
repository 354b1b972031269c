"""RunPod as a provider. Keeps nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from hetops_runpod.offers import offers
from hetops_runpod.settings import PROVIDER, Tier, read_settings

_CHECK_SECONDS = 1.2


class RunPodProvider:
    """RunPod's pods, on demand. The API tells neither quota nor spend limit."""

    name = PROVIDER
    capabilities = frozenset(
        {Capability.CONTAINER_ONLY, Capability.ONE_ENGINE, Capability.STOP, Capability.MULTI_GPU_NVLINK}
    )

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self._surroundings = surroundings or Surroundings()

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """The settings and the key; with a key, whether RunPod takes it and what `hetops up` needs besides."""
        from hetops_runpod import cloud
        from hetops_runpod.nodes import public_ports

        around = self._surroundings

        def understood() -> str:
            read_settings(settings)
            return "understood"

        known = finding("settings", understood, fix=f"correct [providers.{PROVIDER}]")
        if not known.ok:
            return (known,)
        read = read_settings(settings)
        key = finding(
            "API key",
            lambda: f"from {read_credential(PROVIDER, around, cloud.KEY_VARIABLES, cloud.KEY_FILES).source}",
            fix=f"export {cloud.KEY_VARIABLES[0]}=...",
            topic=Topic.CREDENTIALS,
        )
        if not key.ok:
            return known, key
        client = cloud.api(around, around.patience.within(_CHECK_SECONDS))

        async def asked() -> str:
            async with client:
                return f"open; {len(await cloud.pods(client))} pods"

        account = finding("account", lambda: asyncio.run(asked()), fix="run again", topic=Topic.CREDENTIALS)
        account = replace(account, clock_ahead_seconds=client.clock_ahead_seconds)
        ports = finding("open ports", lambda: public_ports(read, around.environment), fix="")
        return known, key, account, ports

    async def fetch_offers(self, query: OfferQuery) -> tuple[OfferOrReason, ...]:
        """Every GPU type in every data centre that has it, for each tier and count of the settings."""
        from hetops_runpod import cloud

        settings = read_settings(query.settings)
        asked = [(tier, count) for tier in settings.tiers for count in settings.gpu_counts]
        around = self._surroundings
        async with cloud.api(around, around.patience.within(query.deadline_seconds * 0.9)) as client:
            questions = (cloud.gpu_types(client, *each) for each in asked)
            answers = await asyncio.gather(*questions, return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, ProviderError)]
        if failures and (len(failures) == len(answers) or failures[0].kind is ErrorKind.AUTH):
            raise failures[0]
        found: list[OfferOrReason] = []
        for (tier, count), answer in zip(asked, answers, strict=True):
            if isinstance(answer, ProviderError):
                found.append(_in_part(answer, tier, count))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.extend(offers(answer, tier, count, settings, query.now))
        return tuple(found)

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """RunPod tells none."""
        read_settings(settings)
        return ()

    def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
        """The driver; its files in `state_folder` are locks."""
        from hetops.plugin import CloudDriver
        from hetops_runpod.nodes import RunPodNodes

        nodes = RunPodNodes(self._surroundings, read_settings(settings))
        return CloudDriver(nodes, state_folder, clock=self._surroundings.clock)


def _in_part(fault: ProviderError, tier: Tier, count: int) -> ProviderError:
    """The failure of one question of several, which says which."""
    return ProviderError(
        f"{tier.lower()} cloud with {count} GPUs: {fault.message}",
        provider=PROVIDER,
        kind=fault.kind,
        hint=fault.hint,
        retry_after_seconds=fault.retry_after_seconds,
    )
