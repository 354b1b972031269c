"""What `up` refuses before it changes anything, and what it makes ready."""

from __future__ import annotations

import socket
import stat
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from hetops.app import preconditions
from hetops.app.up import stock_left
from hetops.domain.offer import Market, PriceBasis
from hetops.domain.plan import Plan
from hetops.errors import HetopsError, PolicyError
from hetops.spec.fields import BudgetSpec
from hetops.stack.inputs import RouterInputs
from tests.doubles import plans
from tests.doubles.plans import NOW


def with_basis(plan: Plan, basis: PriceBasis, **fields: object) -> Plan:
    """The plan with offers whose prices come from elsewhere."""
    pools = (replace(p, offer=replace(p.offer, basis=basis, **fields)) for p in plan.pools)
    return replace(plan, pools=tuple(pools))


def router(port: int) -> RouterInputs:
    """A router on this host."""
    return RouterInputs(port=port, config_path="/nowhere/router.json")


def test_a_list_price_is_refused_unless_its_nodes_are_emulated() -> None:
    emulated = with_basis(plans.plan(), PriceBasis.LIST, emulated=True)
    preconditions.check_prices(emulated, NOW)
    with pytest.raises(PolicyError, match="planning only") as refused:
        preconditions.check_prices(with_basis(plans.plan(), PriceBasis.LIST, emulated=False), NOW)
    assert len(refused.value.details) == 2
    assert refused.value.exit_code == 5


def test_a_live_price_is_refused_once_it_is_older_than_it_holds() -> None:
    live = with_basis(plans.plan(), PriceBasis.LIVE, ttl_seconds=300)
    preconditions.check_prices(live, NOW + timedelta(seconds=300))
    with pytest.raises(PolicyError, match="out of date") as refused:
        preconditions.check_prices(live, NOW + timedelta(seconds=301))
    assert "seen 301 s ago, holds 300 s" in refused.value.details[0]


@pytest.mark.parametrize("market", [Market.RESERVED, Market.CAPACITY_BLOCK])
def test_nodes_of_a_reservation_are_refused_unless_they_are_emulated(market: Market) -> None:
    preconditions.check_markets(with_basis(plans.plan(), PriceBasis.LIVE, market=market, emulated=True))
    with pytest.raises(PolicyError, match="cannot provision on them yet") as refused:
        preconditions.check_markets(with_basis(plans.plan(), PriceBasis.LIVE, market=market, emulated=False))
    assert all(told.endswith(f"/{market}") for told in refused.value.details)


@pytest.mark.parametrize(
    ("budget", "kept"),
    [
        (BudgetSpec(), True),
        (BudgetSpec(usd_per_hour=Decimal("3.50")), True),
        (BudgetSpec(usd_per_hour=Decimal("3.49")), False),
        (BudgetSpec(usd_per_month=Decimal(2555)), True),
        (BudgetSpec(usd_per_hour=Decimal(9), usd_per_month=Decimal(2554)), False),
    ],
)
def test_a_fleet_beyond_the_tighter_budget_is_refused(budget: BudgetSpec, kept: bool) -> None:
    if kept:
        preconditions.check_budget(plans.plan(), budget)
        return
    with pytest.raises(PolicyError, match=r"the fleet costs \$3\.50 /h"):
        preconditions.check_budget(plans.plan(), budget)


def test_a_port_that_another_process_has_is_refused_with_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(HetopsError, match=f"port {port}: another process does") as refused:
            preconditions.check_port(router(port), ())
    suggested = int(refused.value.hint.rsplit(" ", 1)[1])
    preconditions.check_port(router(suggested), ())


def test_a_port_that_our_own_router_has_is_no_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        preconditions.check_port(router(port), (f"http://127.0.0.1:{port}/",))


def test_an_address_that_is_not_this_machine_s_is_told() -> None:
    elsewhere = RouterInputs(host="192.0.2.1", port=8080, config_path="/nowhere/router.json")
    with pytest.raises(HetopsError, match=r"cannot listen on 192\.0\.2\.1 port 8080"):
        preconditions.check_port(elsewhere, ())


@pytest.mark.parametrize(
    ("standing", "left"),
    [
        ({}, 0),
        ({"l4-fp8": 2}, 2),
        ({"l4-fp8": 2, "another": 9}, 2),
        ({"l4-fp8": 4}, 3),
    ],
    ids=["none made", "some made", "another's do not count", "all old ones stand beside new ones"],
)
def test_what_is_left_of_an_offer_is_what_stands_and_less_than_was_wanted(
    standing: dict[str, int], left: int
) -> None:
    plan = plans.plan(l4_nodes=4)
    assert stock_left(plan, ("l4-fp8",), standing) == {plan.pool("l4-fp8").offer.id: left}


def test_pools_of_one_offer_share_what_is_left_of_it() -> None:
    plan = plans.plan(l4_nodes=2)
    one, other = plan.pools
    shared = replace(plan, pools=(one, replace(other, offer=one.offer, nodes=2)))
    assert stock_left(shared, ("l40s-fp8",), {"l4-fp8": 2, "l40s-fp8": 1}) == {one.offer.id: 3}
    assert stock_left(shared, (), {}) == {}


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    own = tmp_path / "api_keys"
    preconditions.ensure_keys(own, own)
    key = preconditions.first_key(own)
    assert key.startswith("sk-hetops-")
    assert len(key) > 40
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    preconditions.ensure_keys(own, own)
    assert preconditions.first_key(own) == key


def test_a_file_of_keys_that_the_spec_names_must_be_there_closed_and_hold_a_key(tmp_path: Path) -> None:
    own, named = tmp_path / "api_keys", tmp_path / "mine"
    with pytest.raises(HetopsError, match="cannot be read"):
        preconditions.ensure_keys(named, own)
    named.write_text("# none yet\n\n")
    with pytest.raises(HetopsError, match="holds no key"):
        preconditions.ensure_keys(named, own)
    named.write_text("# of the team\nsk-mine\nsk-other\n")
    named.chmod(0o644)
    with pytest.raises(HetopsError, match="can be read by others"):
        preconditions.ensure_keys(named, own)
    named.chmod(0o600)
    preconditions.ensure_keys(named, own)
    assert preconditions.first_key(named) == "sk-mine"
