"""A provider whose cheapest machines are sold out when one is asked for: a real plugin, found by its entry point.

What it rents out are emulated GPUs on this machine, so that what another plan chooses instead does run.
"""

from __future__ import annotations

from pathlib import Path

_PLUGIN = '''
"""Emulated L40S of two regions; in the cheap one as many are left as a file says."""

from decimal import Decimal
from pathlib import Path

from hetops_local.driver import LocalDriver

from hetops.plugin import (
    Availability, AvailabilityState, Capability, ErrorKind, Limits, NodeRequest, Offer, PriceBasis, ProviderError,
    Scope, hookimpl,
)

PRICES = {"cheap": "0.95", "dear": "1.05"}


LEFT = Path(__file__).with_name("left")


class Driver(LocalDriver):
    taken = set()

    async def create(self, request: NodeRequest):
        if request.region == "cheap":
            self.taken.add(request.name)
        if len(self.taken) > int(LEFT.read_text()) and request.region == "cheap":
            self.taken.discard(request.name)
            raise ProviderError(
                "no L40S is left in cheap", provider="scarce", kind=ErrorKind.CAPACITY, scope=Scope.REGION
            )
        return await super().create(request)


class Scarce:
    name = "scarce"
    capabilities = frozenset({Capability.PROCESS})

    def check(self, settings):
        return ()

    async def fetch_offers(self, query):
        return tuple(
            Offer(
                provider="scarce", sku="l40s", gpu="L40S", gpu_count=1, region=region, usd_per_hour=Decimal(price),
                basis=PriceBasis.LIVE, observed_at=query.now, source="test", emulated=True,
                availability=Availability(state=AvailabilityState.AVAILABLE), limits=Limits(max_count=4),
            )
            for region, price in PRICES.items()
            if region in query.settings.get("regions", PRICES)
        )

    async def quota(self, settings):
        return ()

    def node_driver(self, state_folder, settings):
        return Driver(state_folder)


@hookimpl
def register_providers():
    return (Scarce(),)
'''


def restock(folder: Path, left: int) -> None:
    """So many machines are left in the cheap region for each command."""
    (folder / "site" / "left").write_text(str(left), encoding="utf-8")


def installed(folder: Path) -> dict[str, str]:
    """The plugin as an installed distribution, at first with nothing left; the environment that a person needs to have it."""
    site = folder / "site"
    info = site / "scarce-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "scarce_plugin.py").write_text(_PLUGIN, encoding="utf-8")
    restock(folder, 0)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scarce\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[hetops]\nscarce = scarce_plugin\n", encoding="utf-8")
    return {"PYTHONPATH": str(site), "HETOPS_PLUGINS": "local,scarce"}
