"""The offers of this machine: its cores, and where the user wants to rehearse, emulated twins of listed GPUs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hetops.plugin import (
    Availability,
    AvailabilityState,
    Capability,
    CheckResult,
    Limits,
    NodeDriver,
    Offer,
    OfferQuery,
    PriceBasis,
    ProviderError,
    Quota,
    QuotaShare,
)
from hetops_local import machine, processes
from hetops_local.settings import PROVIDER, LocalSettings, read_settings

CORES_QUOTA = "local-cores"
_MOST_EMULATED = 64
"""Nodes of one emulated offer: a process of some 45 MB for each replica."""
_MODULES = (
    ("xllamacpp", "llama.cpp engine"),
    ("uvicorn", "emulated engine"),
)


class LocalProvider:
    """This machine as a provider."""

    name = PROVIDER
    capabilities = frozenset({Capability.PROCESS})

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """The settings, the cores and memory, and the modules of the `local` extra."""
        return (_settings_result(settings), _machine_result(), *(_module_result(*m) for m in _MODULES))

    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """`cpu-1`, `cpu-2`, `cpu-4`, ... up to the cores; with `emulate`, a twin of each listed offer."""
        settings = read_settings(query.settings, machine.cores())
        own = _core_offers(settings, query.now)
        twins = _twins(query.list_prices, query.now) if settings.emulate else ()
        return (*own, *twins)

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """The cores of the settings, and how many of them running nodes hold, whatever their deployment."""
        limit = read_settings(settings, machine.cores()).cores
        used = sum(processes.cores_by_node(processes.marked()).values())
        return (Quota(group=CORES_QUOTA, limit=limit, used=used, unit="cores"),)

    def node_driver(self, state_folder: Path, settings: Mapping[str, Any]) -> NodeDriver:
        """The driver whose nodes are processes on this machine; `state_folder` holds their files."""
        del settings
        from hetops_local.driver import LocalDriver

        return LocalDriver(state_folder)


def _core_offers(settings: LocalSettings, now: datetime) -> Iterator[Offer]:
    count = 1
    while count <= settings.cores:
        yield Offer(
            provider=PROVIDER,
            sku=f"cpu-{count}",
            gpu="CPU",
            gpu_count=count,
            region=PROVIDER,
            usd_per_hour=settings.usd_per_core_hour * count,
            basis=PriceBasis.NOMINAL,
            observed_at=now,
            source="usd_per_core_hour of [providers.local]",
            vcpu=count,
            host_memory_gb=round(machine.memory_gib() * count / machine.cores(), 1),
            availability=Availability(state=AvailabilityState.AVAILABLE, observed_at=now),
            limits=Limits(
                max_count=settings.cores // count,
                quotas=(QuotaShare(group=CORES_QUOTA, left=settings.cores, per_node=count, unit="cores"),),
            ),
        )
        count *= 2


def _twins(listed: tuple[Offer, ...], now: datetime) -> Iterator[Offer]:
    """Emulated GPUs at the list price of real ones, as many as a machine bears."""
    for offer in listed:
        yield replace(
            offer,
            provider=PROVIDER,
            sku=f"{offer.provider}/{offer.sku}",
            emulated=True,
            availability=Availability(state=AvailabilityState.AVAILABLE, observed_at=now),
            limits=Limits(max_count=_MOST_EMULATED),
            notes=f"emulated here at the list price of {offer.observed_at:%Y-%m-%d}",
        )


def _settings_result(settings: Mapping[str, Any]) -> CheckResult:
    try:
        read_settings(settings, machine.cores())
    except ProviderError as fault:
        return CheckResult(subject="settings", ok=False, detail=fault.message, fix=fault.hint)
    return CheckResult(subject="settings", ok=True, detail="understood")


def _machine_result() -> CheckResult:
    detail = f"{machine.cores()} cores, {machine.memory_gib():.1f} GiB of memory"
    return CheckResult(subject="machine", ok=True, detail=detail)


def _module_result(module: str, purpose: str) -> CheckResult:
    if importlib.util.find_spec(module):
        return CheckResult(subject=purpose, ok=True, detail=f"{module} is installed")
    return CheckResult(
        subject=purpose, ok=False, detail=f"{module} is not installed", fix="pip install 'hetops[local]'"
    )
