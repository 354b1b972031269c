"""What nodes are called and what runs on them: pure, from inputs to requests."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetops.domain.plan import Plan
from hetops.plugin.engine import INHERITED, Launch, LaunchContext
from hetops.stack.inputs import FleetInputs, RouterInputs
from hetops.stack.render import EMULATOR, ROUTER, FleetDeclaration, LaunchOf, render
from tests.doubles.plans import plan, pool, with_service

ROUTER_INPUTS = RouterInputs(port=8099, config_path="/state/router.json")


def launcher(engine: str) -> LaunchOf:
    """Engines that only say their name, their pool and their settings."""

    def launch(context: LaunchContext) -> Launch:
        words = (f"{key}={value}" for key, value in sorted(context.settings.items()))
        return Launch(argv=(engine, context.pool.name, *words))

    return launch


def rendered(of: Plan, **fields: object) -> FleetDeclaration:
    return render(FleetInputs(plan=of, **fields), launcher, python="/venv/python")


def names(fleet: FleetDeclaration) -> list[str]:
    return [node.request.name for node in fleet.nodes]


def test_every_planned_node_is_declared_once_with_its_pool_offer_and_price() -> None:
    fleet = rendered(plan(l4_nodes=2))
    assert [n.logical_name for n in fleet.nodes] == ["l4-fp8-0", "l4-fp8-1", "l40s-fp8-0"]
    first = fleet.nodes[0]
    assert (first.provider, first.request.sku, first.request.pool) == ("local", "gcp/l4-fp8", "l4-fp8")
    assert (first.request.deployment, first.request.market) == ("chat", "on_demand")
    assert [n.usd_per_hour for n in fleet.nodes] == [Decimal("0.80"), Decimal("0.80"), Decimal("1.90")]


def test_a_name_says_deployment_pool_and_index_and_ends_in_a_digest() -> None:
    for name, start in zip(
        names(rendered(plan())), ("chat-l4-fp8-0", "chat-l4-fp8-1", "chat-l40s-fp8-0"), strict=True
    ):
        assert re.fullmatch(rf"{start}-[0-9a-f]{{6}}", name)


def test_the_same_inputs_have_the_same_names_for_ever() -> None:
    assert names(rendered(plan())) == names(rendered(plan()))
    assert names(rendered(plan())) == [
        "chat-l4-fp8-0-cd6724",
        "chat-l4-fp8-1-cd6724",
        "chat-l40s-fp8-0-5e9537",
    ], "another name is another node: an upgrade would replace every machine"


def test_one_more_node_leaves_the_names_of_the_others() -> None:
    assert set(names(rendered(plan(l4_nodes=2)))) < set(names(rendered(plan(l4_nodes=3))))


def test_another_launch_is_another_name_under_the_same_logical_name() -> None:
    before, after = rendered(plan()), rendered(plan(), engines={EMULATOR: {"speed": 2}})
    assert [n.logical_name for n in before.nodes] == [n.logical_name for n in after.nodes]
    assert set(names(before)).isdisjoint(names(after))


def test_settings_of_an_engine_that_no_pool_uses_change_nothing() -> None:
    assert names(rendered(plan(), engines={"vllm": {"speed": 2}})) == names(rendered(plan()))


def test_a_price_that_moved_changes_no_name() -> None:
    dear = replace(
        plan(), pools=tuple(replace(p, offer=replace(p.offer, usd_per_hour=Decimal(9))) for p in plan().pools)
    )
    assert names(rendered(dear)) == names(rendered(plan()))


def test_emulated_offers_run_the_emulator_and_real_ones_the_configurations_engine() -> None:
    emulated = pool()
    real = replace(emulated, name="real", offer=replace(emulated.offer, emulated=False))
    fleet = rendered(replace(plan(), pools=(emulated, real)))
    assert [p.launches[0].argv[0] for p in fleet.pools] == [EMULATOR, "vllm"]


def test_a_node_runs_as_many_launches_as_it_has_replicas() -> None:
    fleet = rendered(replace(plan(), pools=(replace(pool(nodes=1), replicas_per_node=3),)))
    assert len(fleet.nodes[0].request.launches) == 3


def test_the_router_is_a_local_node_at_its_own_port_and_comes_last() -> None:
    node = rendered(plan(), router=ROUTER_INPUTS).nodes[-1]
    (launch,) = node.request.launches
    assert (node.logical_name, node.provider, node.request.pool) == (ROUTER, "local", ROUTER)
    assert launch.argv[:4] == ("/venv/python", "-m", "hetops.cli.main", "route")
    assert launch.argv[4:] == ("--config", "/state/router.json", "--host", "127.0.0.1", "--port", "8099")
    assert (launch.host, launch.port) == ("127.0.0.1", 8099)


def test_without_router_inputs_there_is_no_router() -> None:
    assert rendered(plan()).router is None


@given(
    name=st.text(alphabet="abc-._+ /Ü0", min_size=1, max_size=120),
    deployment=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True),
)
def test_names_fit_every_provider_whatever_pools_are_called(name: str, deployment: str) -> None:
    fleet = rendered(replace(plan(deployment), pools=(pool(name, nodes=2),)))
    for node in names(fleet):
        assert re.fullmatch(r"[a-z0-9-]{1,63}", node)
        assert node.startswith(deployment)
    assert len(set(names(fleet))) == 2


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"port": 0}, "no port"),
        ({"port": 70000}, "no port"),
        ({"config_path": "router.json"}, "absolute"),
        ({"api_keys_file": "keys"}, "absolute"),
    ],
)
def test_router_inputs_that_cannot_be_are_refused(fields: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        RouterInputs(**{"config_path": "/state/router.json", **fields})


def test_the_routers_url_puts_ipv6_hosts_in_brackets() -> None:
    assert RouterInputs(host="::1", port=80, config_path="/c").url == "http://[::1]:80"
    assert ROUTER_INPUTS.url == "http://127.0.0.1:8099"


def test_a_router_inherits_the_keys_of_services_by_their_names_and_is_another_with_others() -> None:
    plain = rendered(plan(), router=ROUTER_INPUTS).router
    keyed = rendered(with_service(plan()), router=ROUTER_INPUTS).router
    more = rendered(with_service(with_service(plan()), "other"), router=ROUTER_INPUTS).router
    assert plain
    assert keyed
    assert more
    assert plain.request.launches[0].environment == ()
    assert keyed.request.launches[0].environment == ((INHERITED, "PAYGO_KEY"),)
    assert more.request.launches[0].environment == ((INHERITED, "OTHER_KEY,PAYGO_KEY"),)
    assert len({plain.request.name, keyed.request.name, more.request.name}) == 3
