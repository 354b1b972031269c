"""Hyperbolic as a provider, against its fake: what is its own; test_contract.py has what is everyone's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hetops_hyperbolic.offers import Option, option
from hetops_hyperbolic.shell import Door

from hetops.domain.offer import AvailabilityState, Offer
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind, ProviderError, Scope
from tests.doubles.fake_api import Fault, FaultKind
from tests.doubles.hyperbolic import RENTALS
from tests.plugins.clouds import LAUNCH as ENGINE
from tests.plugins.clouds import OnAStand, query, selected

ONE = {
    "machineType": "virtual-machine",
    "gpuType": "h100",
    "gpuCount": 1,
    "gpuFormFactor": "sxm5",
    "region": "eu-1",
    "connectionType": "ethernet",
    "costPerHourCents": 319,
    "enabled": True,
    "totalAvailable": 6,
    "nodes": [],
}


class TestOffers(OnAStand):
    """What of Hyperbolic's options is an offer."""

    of = "hyperbolic"

    def test_a_price_is_of_the_whole_option_and_in_cents(self) -> None:
        found = {o.sku: o for o in self.cloud.offers() if isinstance(o, Offer)}
        eight = found["h100 (virtual-machine, 8 GPU)"]
        assert (eight.usd_per_hour, eight.gpu, eight.gpu_count) == (Decimal("25.52"), "H100-SXM", 8)
        assert eight.notes == "the price is taken to be of the whole machine"
        assert (eight.nvlink, eight.limits.max_count) == (True, 1)

    def test_a_price_that_may_be_of_each_gpu_is_refused_and_not_reinterpreted(self) -> None:
        collected = self.another(prices={"h100 x8": 319}).collected()
        told = {r.subject: r.reason for r in collected.refusals}
        assert "nobody can tell" in told["hyperbolic 8 x h100 in us-east-1"]
        assert "h100 (virtual-machine, 1 GPU)" in {o.sku for o in collected.offers}

    def test_what_is_sold_out_or_disabled_is_told_as_such(self) -> None:
        found = self.another(rows=({**ONE, "enabled": False},)).offers()
        states = {(o.sku, o.region): o.availability.state for o in found if isinstance(o, Offer)}
        assert states["b200 (virtual-machine, 1 GPU)", "us-east-1"] is AvailabilityState.NONE
        assert states["h100 (virtual-machine, 1 GPU)", "eu-1"] is AvailabilityState.NONE

    def test_stock_that_is_not_told_is_unknown_and_not_unlimited(self) -> None:
        row = {name: value for name, value in ONE.items() if name != "totalAvailable"}
        found = [o for o in self.another(rows=(row,)).offers() if isinstance(o, Offer) and o.region == "eu-1"]
        assert [(o.availability.state, o.limits.max_count) for o in found] == [
            (AvailabilityState.UNKNOWN, None)
        ]

    def test_bare_metal_is_told_and_not_offered(self) -> None:
        found = self.another(rows=({**ONE, "machineType": "bare-metal"},)).offers()
        reasons = [o.reason for o in found if isinstance(o, Refusal)]
        assert reasons == ["bare-metal: hetops rents virtual machines only"]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"costPerHourCents": 0}, "a price of zero means that it is not sold"),
            ({"costPerHourCents": None}, "it has no price"),
            ({"costPerHourCents": "319"}, "its price is '319', which is no number"),
            ({"currency": "EUR"}, "its price is in EUR, not in USD"),
            (
                {"region": None, "gpuFormFactor": None, "gpuType": None, "gpuCount": None},
                "it cannot be understood",
            ),
        ],
    )
    def test_a_row_that_is_no_offer_is_told_and_costs_itself_only(
        self, change: dict[str, Any], reason: str
    ) -> None:
        collected = self.another(rows=({**ONE, **change},)).collected()
        assert any(r.reason.startswith(reason) for r in collected.refusals), collected.refusals
        assert len(collected.offers) == 4

    @pytest.mark.parametrize("row", [None, 3, "h100", []])
    def test_a_row_that_is_none_at_all_is_told_and_costs_itself_only(self, row: Any) -> None:
        collected = self.another(rows=(row,)).collected()
        assert ("hyperbolic options", 1) in [(r.subject, r.count) for r in collected.refusals]
        assert len(collected.offers) == 4

    @pytest.mark.parametrize("cents", [31, 3200])
    def test_a_price_ten_times_off_the_snapshot_is_refused(self, cents: int) -> None:
        refused = selected(self.another(prices={"h100 x1": cents}).collected()).refused
        assert any("off the list price of 3.19" in r.detail for r in refused)

    @pytest.mark.parametrize(
        ("change", "gpu"),
        [
            ({"gpuType": "r100"}, "r100 sxm5"),
            ({"gpuFormFactor": "oam"}, "h100 oam"),
        ],
    )
    def test_a_gpu_that_nobody_knows_is_listed_and_refused(self, change: dict[str, Any], gpu: str) -> None:
        selection = selected(self.another(rows=({**ONE, **change},)).collected())
        details = {r.detail for r in selection.refused}
        assert f"the catalogue does not know the GPU type {gpu}" in details

    def test_prices_can_be_asked_for_without_a_key(self) -> None:
        offers = asyncio.run(self.cloud.provider(HYPERBOLIC_API_KEY="").fetch_offers(query()))
        assert len(offers) == 4


@pytest.mark.parametrize("network", ["ethernet", "infiniband"])
@pytest.mark.parametrize("count", [1, 8])
def test_a_sku_says_which_option_it_is(count: int, network: str) -> None:
    what = Option(gpu_type="h100", count=count, network=network)
    assert option(what.sku) == what
    assert option("gpu_1x_h100") is None


class TestCredentials(OnAStand):
    """What `check` and `quota` find."""

    of = "hyperbolic"

    def results(self, **environment: str) -> Mapping[str, Any]:
        return {r.subject: r for r in self.cloud.provider(**environment).check({})}

    def test_all_is_well(self) -> None:
        results = self.results()
        assert all(r.ok for r in results.values()), results
        assert results["account"].detail == "open; 1000.00 USD"

    @pytest.mark.parametrize("variable", ["HYPERBOLIC_API_KEY", "HYPERBOLIC_API_TOKEN"])
    def test_either_variable_counts(self, variable: str) -> None:
        key = self.cloud.surroundings.environment["HYPERBOLIC_API_KEY"]
        results = self.results(**{"HYPERBOLIC_API_KEY": "", variable: key})
        assert results["API key"].detail == f"from {variable}"
        assert results["account"].ok

    def test_a_key_of_a_file_counts(self) -> None:
        key = self.cloud.surroundings.environment["HYPERBOLIC_API_KEY"]
        (self.folder / ".hyperbolic").mkdir()
        (self.folder / ".hyperbolic" / "api_key").write_text(f"{key}\n")
        assert self.results(HYPERBOLIC_API_KEY="")["account"].ok

    def test_a_wrong_key_is_a_matter_of_credentials(self) -> None:
        found = self.results(HYPERBOLIC_API_KEY="wrong")["account"]
        assert (found.ok, found.kind, "new key" in found.fix) == (False, ErrorKind.AUTH, True)

    def test_an_empty_balance_is_a_finding(self) -> None:
        self.cloud = self.another(balance_cents=0)
        found = self.results()["account"]
        assert (found.ok, found.kind, "add credit" in found.fix) == (False, ErrorKind.BALANCE, True)

    def test_the_balance_is_the_quota(self) -> None:
        (quota,) = asyncio.run(self.cloud.provider().quota({}))
        assert (quota.limit, quota.unit) == (1000.0, "USD")

    def test_a_machine_without_ssh_is_a_finding(self) -> None:
        assert not self.results(PATH="/nowhere")["ssh"].ok

    def test_a_private_key_that_is_not_there_is_a_finding(self) -> None:
        assert "no file" in self.results(HYPERBOLIC_SSH_KEY="/nowhere/key")["ssh"].detail
        (self.folder / "key").touch()
        (found,) = (r for r in self.cloud.provider().check({"ssh_key": "~/key"}) if r.subject == "ssh")
        assert found.detail.endswith(f" with {self.folder / 'key'}")

    @pytest.mark.parametrize("wrong", [{"ssh_key": "key"}, {"ssh_key": 7}, {"router_networks": []}])
    def test_a_setting_that_is_wrong_is_named(self, wrong: dict[str, Any]) -> None:
        (found,) = self.cloud.provider().check(wrong)
        assert found.detail.startswith(f"providers.hyperbolic.{next(iter(wrong))}: ")


class TestNodes(OnAStand):
    """What creating a node does at Hyperbolic."""

    of = "hyperbolic"

    def refusal(self, **fields: Any) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            self.cloud.created(**fields)
        return caught.value

    def script(self) -> str:
        return (self.cloud.api.shells / f"{self.cloud.api.address(1)}.script").read_text()

    def test_a_machine_is_labelled_and_its_engines_are_started_through_its_shell(self) -> None:
        node = self.cloud.created()
        (rental,) = self.cloud.api.rentals.values()
        assert rental["label"] == "hetops.contract.p-0-abc123.2"
        first = self.cloud.api.address(1)
        assert node.endpoints == (f"http://{first}:8000", f"http://{first}:8001")
        assert '"device=0,1,2,3"' in self.script()
        assert '"device=4,5,6,7"' in self.script()

    def test_a_shell_that_is_not_there_yet_is_waited_for(self) -> None:
        (self.cloud.api.shells / "refuse").write_text("3")
        assert self.cloud.created().endpoints

    def test_a_machine_that_cannot_run_containers_is_given_back(self) -> None:
        (self.cloud.api.shells / "broken").touch()
        fault = self.refusal()
        assert (fault.kind, self.cloud.api.rentals) == (ErrorKind.TRANSIENT, {})
        assert "docker: command not found" in fault.message

    def test_a_machine_whose_engines_never_answer_is_given_back(self) -> None:
        """Its own firewall lets another host in."""
        driver = self.cloud.driver(HETOPS_ROUTER_NETWORKS="203.0.113.7")
        with pytest.raises(ProviderError) as caught:
            asyncio.run(driver.create(self.cloud.request()))
        assert "its engines do not answer" in caught.value.message
        assert self.cloud.api.rentals == {}

    def test_the_key_and_the_networks_of_the_settings_count(self) -> None:
        (self.folder / "key").touch()
        settings = {"ssh_key": "~/key", "router_networks": ["127.0.0.1"]}
        driver = self.cloud.driver(settings, HETOPS_ROUTER_NETWORKS="203.0.113.7")
        assert asyncio.run(driver.create(self.cloud.request())).endpoints
        assert f"-i {self.folder / 'key'}" in (self.cloud.api.shells / "options").read_text()

    def test_capacity_that_goes_between_list_and_create_is_a_matter_of_the_region(self) -> None:
        """Hyperbolic's refusal says nothing of the kind: the list is asked again."""
        self.cloud = self.another(taken_before_create=True)
        assert any(o.sku == "h100 (virtual-machine, 8 GPU)" for o in self.cloud.collected().offers)
        fault = self.refusal()
        assert (fault.kind, fault.scope, self.cloud.api.rentals) == (ErrorKind.CAPACITY, Scope.REGION, {})

    def test_a_balance_that_does_not_pay_for_an_hour_rents_nothing(self) -> None:
        self.cloud = self.another(balance_cents=2000)
        fault = self.refusal()
        assert (fault.kind, self.cloud.api.rentals) == (ErrorKind.BALANCE, {})
        assert fault.message == "the balance of 20.00 USD does not pay for an hour at 25.52 USD"
        assert not [seen for seen in self.cloud.api.seen if seen.method == "POST"]

    @pytest.mark.parametrize(
        "kind",
        [FaultKind.LOST_ANSWER, FaultKind.SILENT_SUCCESS, FaultKind.TRUNCATED_JSON, FaultKind.SHORT_BODY],
    )
    def test_a_create_whose_answer_is_lost_makes_one_rental(self, kind: FaultKind) -> None:
        self.cloud = self.another(faults=(Fault(kind=kind, method="POST", path=RENTALS),))
        node = self.cloud.created()
        assert [str(rental) for rental in self.cloud.api.rentals] == [node.id]

    def test_a_machine_that_fails_is_given_back(self) -> None:
        self.cloud = self.another(fails_to_boot=True)
        fault = self.refusal()
        assert (fault.kind, self.cloud.api.rentals) == (ErrorKind.TRANSIENT, {})
        assert "Hyperbolic calls it Failed" in fault.message

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"sku": "gpu_1x_h100"}, "is no virtual machine of Hyperbolic"),
            ({"launches": (ENGINE,) * 3}, "8 GPUs cannot be shared out to 3 engines"),
            ({"launches": (replace(ENGINE, image=""),)}, "no container image"),
        ],
    )
    def test_what_can_never_be_had_is_refused_before_anybody_is_asked(
        self, fields: dict[str, Any], said: str
    ) -> None:
        fault = self.refusal(**fields)
        assert (fault.kind, said in fault.message) == (ErrorKind.INVALID, True), fault.message
        assert self.cloud.api.seen == []

    def test_rentals_of_others_are_left_alone(self) -> None:
        self.cloud.created()
        (rental,) = self.cloud.api.rentals.values()
        rental["label"] = "somebody's"
        assert self.cloud.names() == []


@pytest.mark.parametrize(
    ("host", "port", "user"),
    [("-oProxyCommand=sh", 22, "ubuntu"), ("10.0.0.1", 0, "ubuntu"), ("10.0.0.1", 22, "-l"), ("", 22, "u")],
)
def test_an_address_that_could_be_an_option_is_none(host: str, port: int, user: str) -> None:
    with pytest.raises(ProviderError):
        Door(host=host, port=port, user=user)
