"""Google Compute Engine as a provider: what it rents out in every region, and how much of it the project may have.

For planning only: it declares no pools yet, so `up` refuses its offers. Keeps nothing; imports httpx and google-auth when it
is asked something, so that a plan of other clouds does not wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetops.plugin import (
    Capability,
    CheckResult,
    OfferOrReason,
    OfferQuery,
    ProviderError,
    Quota,
    Surroundings,
)
from hetops_gcp.settings import PROVIDER, read_settings


class GcpProvider:
    """Machines with GPUs of one project, over all regions or those that the settings name."""

    name = PROVIDER
    capabilities = frozenset(
        {
            Capability.USER_DATA,
            Capability.SPOT,
            Capability.STOP,
            Capability.TAGS,
            Capability.FIREWALL,
            Capability.AUTOSCALING_GROUP,
            Capability.MULTI_GPU_NVLINK,
            Capability.GPU_SLICES,  # GKE cuts those of a2 and a3 by `gpuPartitionSize` (cloud.google.com/kubernetes-engine/docs/how-to/gpus-multi)
        }
    )

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        self._surroundings = surroundings or Surroundings()

    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        """The settings, the credentials with the project, and each permission, asked for one row of each list."""
        try:
            read = read_settings(settings)
        except ProviderError as fault:
            return (CheckResult(subject="settings", ok=False, detail=fault.message, fix=fault.hint),)
        from hetops_gcp.checks import checked

        return (
            CheckResult(subject="settings", ok=True, detail="understood"),
            *checked(read, self._surroundings),
        )

    async def fetch_offers(self, query: OfferQuery) -> tuple[OfferOrReason, ...]:
        """Offers of all regions, one for each zone on the spot market, with what failed of GCP among them."""
        read = read_settings(query.settings)
        from hetops_gcp.fetch import fetch_offers

        return await fetch_offers(query, read, self._surroundings)

    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:
        """The GPU quotas of the regions of the settings, and the one over all regions."""
        read = read_settings(settings)
        from hetops_gcp.fetch import fetch_quotas

        return await fetch_quotas(read, self._surroundings)
