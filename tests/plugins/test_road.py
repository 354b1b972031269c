"""Each cloud through the real Pulumi engine and the resource provider's own process: up, the same again, drift, down."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app.launchers import router_config
from hetops.domain.offer import Offer, PriceBasis
from hetops.domain.plan import Plan
from hetops.errors import ProvisioningError
from hetops.plugin import Launch, LaunchContext, manager
from hetops.stack.program import Program
from hetops.stack.survey import survey
from hetops.state.drivers import drivers
from tests.doubles.fake_api import TOKEN, Scenario, WallClock, started
from tests.plugins.clouds import KINDS, LAUNCH, Kind
from tests.stack.places import Place, inputs, only

pytestmark = pytest.mark.road


def launch(_context: LaunchContext) -> Launch:
    """An engine in a container, for clouds."""
    return LAUNCH


PROGRAM = Program(launcher=lambda _engine: launch, router_config=router_config, python=sys.executable)


def planned(kind: Kind) -> Plan:
    """One pool of one node at that cloud, at a price of today."""
    plan = only("l4-fp8")
    (pool,) = plan.pools
    offer = Offer(
        provider=kind.name,
        sku=kind.sku,
        gpu="L4",
        gpu_count=1,
        region=kind.region,
        usd_per_hour=Decimal("1.00"),
        basis=PriceBasis.LIVE,
        observed_at=datetime.now(UTC),
        source="test",
    )
    return replace(plan, pools=(replace(pool, offer=offer, replicas_per_node=kind.launches),))


@pytest.mark.slow
@pytest.mark.parametrize("cloud", KINDS)
def test_a_fleet_comes_up_is_found_drifted_and_goes(
    cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = KINDS[cloud]
    api = started(kind.fake(Scenario(boot_seconds=0.5), clock=WallClock()))  # type: ignore[call-arg]
    try:
        for name, value in api.environment().items():
            monkeypatch.setenv(name, value)
        place = Place(tmp_path, **api.environment())
        fleet, stack = inputs(planned(kind)), place.stack(PROGRAM)
        driver_of = drivers(manager.load([kind.name]), place.home)

        outputs = stack.up(fleet, place.tell)
        (node,) = asyncio.run(driver_of(kind.name, "chat").list("chat"))
        assert outputs.pools["l4-fp8"].endpoints == node.endpoints
        assert len(node.endpoints) == kind.launches
        assert {step.kind for step in stack.preview(fleet).steps} == {"same"}
        assert survey(place.folder, stack.known_nodes(), driver_of) == ()
        files = [path for path in place.home.root.rglob("*") if path.is_file()]
        assert not [path for path in files if TOKEN.encode() in path.read_bytes()]

        asyncio.run(driver_of(kind.name, "chat").delete(node.id))
        assert survey(place.folder, stack.known_nodes(), driver_of) != ()
        stack.up(fleet, place.tell)
        (again,) = asyncio.run(driver_of(kind.name, "chat").list("chat"))
        assert (again.name, again.id != node.id) == (node.name, True)

        stack.down(place.tell)
        assert asyncio.run(driver_of(kind.name, "chat").list("chat")) == ()
    finally:
        api.close()


def test_capacity_that_is_gone_says_which_pool_lacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that `up` plans again without that offer."""
    kind = KINDS["runpod"]
    api = started(kind.fake(Scenario(taken_before_create=True), clock=WallClock()))  # type: ignore[call-arg]
    try:
        for name, value in api.environment().items():
            monkeypatch.setenv(name, value)
        place = Place(tmp_path, **api.environment())
        with pytest.raises(ProvisioningError) as caught:
            place.stack(PROGRAM).up(inputs(planned(kind)), place.tell)
        assert caught.value.short_of == ("l4-fp8",)
    finally:
        api.close()
