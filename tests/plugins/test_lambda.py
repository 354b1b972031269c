"""Lambda as a provider, against its fake: what is its own; test_contract.py has what is everyone's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hetops_lambda.offers import offers

from hetops.domain.offer import AvailabilityState, Offer
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind, ProviderError, Scope
from hetops.plugin import NodeState
from tests.doubles.fake_api import Fault, FaultKind
from tests.doubles.lambda_cloud import LAUNCH
from tests.plugins.clouds import LAUNCH as ENGINE
from tests.plugins.clouds import NOW, OnAStand, selected


class TestOffers(OnAStand):
    """What of Lambda's list is an offer."""

    of = "lambda"

    def test_a_price_is_of_the_whole_instance_and_in_cents(self) -> None:
        found = {(o.sku, o.region): o for o in self.cloud.offers() if isinstance(o, Offer)}
        eight = found["gpu_8x_h100_sxm5", "us-east-1"]
        assert (eight.usd_per_hour, eight.gpu, eight.gpu_count) == (Decimal("31.92"), "H100-SXM", 8)
        assert eight.nvlink
        assert not found["gpu_2x_a100", "us-west-2"].nvlink, "PCIe cards"
        assert found["gpu_1x_a10", "us-west-1"].host_memory_gb == pytest.approx(214.7)

    def test_there_is_an_offer_for_each_region_with_capacity_and_for_no_other(self) -> None:
        regions = {o.region for o in self.cloud.offers() if isinstance(o, Offer) and o.sku == "gpu_1x_a10"}
        assert regions == {"us-west-1", "us-east-1"}

    def test_what_is_sold_out_everywhere_is_told_as_such(self) -> None:
        gone = [o for o in self.cloud.offers() if isinstance(o, Offer) and o.sku == "gpu_8x_b200_sxm6"]
        assert [(o.region, o.availability.state) for o in gone] == [("any", AvailabilityState.NONE)]
        refused = {r.offer.sku: r.detail for r in selected(self.cloud.collected()).refused}
        assert refused["gpu_8x_b200_sxm6"] == "none left"

    def test_a_region_without_a_firewall_is_not_offered(self) -> None:
        reasons = [(o.subject, o.reason) for o in self.cloud.offers() if isinstance(o, Refusal)]
        assert (
            "lambda gpu_1x_a6000",
            "us-south-1 has no firewall: the engines would be open to the world",
        ) in reasons

    @pytest.mark.parametrize(
        ("cents", "reason"),
        [
            (0, "a price of zero means that it is not sold"),
            (None, "it has no price"),
            (-5, "its price is below zero"),
            ("129", "its price is '129', which is no number"),
            (True, "its price is 'True', which is no number"),
        ],
    )
    def test_a_price_that_is_none_is_told_and_costs_that_type_only(self, cents: Any, reason: str) -> None:
        collected = self.another(prices={"gpu_1x_a10": cents}).collected()
        told = {r.subject: r.reason for r in collected.refusals}
        assert told["lambda gpu_1x_a10"] == reason
        assert {o.sku for o in collected.offers} >= {"gpu_2x_a100", "gpu_1x_gh200"}

    @pytest.mark.parametrize("cents", [12, 13000])
    def test_a_price_ten_times_off_the_snapshot_is_refused(self, cents: int) -> None:
        refused = selected(self.another(prices={"gpu_1x_a10": cents}).collected()).refused
        details = {r.detail for r in refused if r.offer.sku == "gpu_1x_a10"}
        assert any("10 times off the list price of 1.29" in detail for detail in details)

    def test_a_gpu_that_nobody_knows_is_listed_by_lambdas_words_and_refused(self) -> None:
        new = _type("gpu_1x_r100_sxm7", "R100 (288 GB SXM7)")
        selection = selected(self.another(rows=(new,)).collected())
        details = {r.offer.sku: r.detail for r in selection.refused}
        assert details["gpu_1x_r100_sxm7"] == "the catalogue does not know the GPU type R100 (288 GB SXM7)"

    def test_a_name_and_a_description_that_contradict_each_other_are_not_guessed_at(self) -> None:
        odd = {"gpu_1x_h100_pcie": _type("gpu_1x_h100_pcie", "H100 (80 GB SXM5)")}
        assert [o.gpu for o in offers(odd, NOW) if isinstance(o, Offer)] == [
            "H100 (80 GB SXM5) of gpu_1x_h100_pcie"
        ]

    @pytest.mark.parametrize(
        "row",
        [{}, None, [], {"instance_type": {}, "regions_with_capacity_available": [{}]}, {"instance_type": 3}],
    )
    def test_a_row_that_cannot_be_read_is_told(self, row: Any) -> None:
        (found,) = offers({"gpu_1x_a10": row}, NOW)
        assert isinstance(found, Refusal)
        assert found.reason.startswith("it cannot be understood")

    def test_a_price_in_another_currency_is_told(self) -> None:
        row = _type("gpu_1x_a10", "A10 (24 GB PCIe)")
        row["instance_type"]["currency"] = "EUR"
        (found,) = offers({"gpu_1x_a10": row}, NOW)
        assert isinstance(found, Refusal)
        assert found.reason == "its price is in EUR, not in USD"


class TestCredentials(OnAStand):
    """What `check` finds."""

    of = "lambda"

    def results(self, settings: Mapping[str, Any] | None = None, **environment: str) -> Mapping[str, Any]:
        return {r.subject: r for r in self.cloud.provider(**environment).check(settings or {})}

    def test_all_is_well(self) -> None:
        results = self.results()
        assert all(r.ok for r in results.values()), results
        assert results["API key"].detail == "from LAMBDA_API_KEY"
        assert results["account"].detail == "open; SSH key hetops"

    def test_a_key_of_a_file_counts(self) -> None:
        key = self.cloud.surroundings.environment["LAMBDA_API_KEY"]
        (self.folder / ".lambda_cloud").mkdir()
        (self.folder / ".lambda_cloud" / "lambda_keys").write_text(f"api_key = {key}\n")
        assert self.results(LAMBDA_API_KEY="")["account"].ok

    def test_without_a_key_nobody_is_asked(self) -> None:
        results = self.results(LAMBDA_API_KEY="")
        assert (results["API key"].ok, results["API key"].kind) == (False, ErrorKind.AUTH)
        assert results["API key"].fix == "export LAMBDA_API_KEY=..."
        assert self.cloud.api.seen == []

    def test_a_wrong_key_is_a_matter_of_credentials(self) -> None:
        account = self.results(LAMBDA_API_KEY="wrong")["account"]
        assert (account.ok, account.kind) == (False, ErrorKind.AUTH)
        assert "https://cloud.lambda.ai/api-keys" in account.fix

    def test_several_ssh_keys_are_a_question(self) -> None:
        self.cloud.api.keys = ["mine", "yours"]
        assert "exactly one SSH key: the account has mine, yours" in self.results()["account"].detail
        assert self.results(LAMBDA_SSH_KEY_NAME="yours")["account"].detail == "open; SSH key yours"
        assert not self.results(LAMBDA_SSH_KEY_NAME="ours")["account"].ok

    def test_a_router_that_nobody_knows_the_address_of_is_a_finding(self) -> None:
        assert not self.results(HETOPS_ROUTER_NETWORKS="")["router's address"].ok
        assert not self.results(HETOPS_ROUTER_NETWORKS="everywhere")["router's address"].ok

    def test_a_clock_that_is_off_is_found_by_what_an_answer_says(self) -> None:
        assert abs(self.results()["account"].clock_ahead_seconds) < 5
        self.cloud = self.another(faults=(Fault(kind=FaultKind.CLOCK_SKEW, seconds=-900.0, times=9),))
        assert abs(self.results()["account"].clock_ahead_seconds - 900) < 5

    def test_settings_go_before_the_environment(self) -> None:
        self.cloud.api.keys = ["mine", "yours"]
        told = {"ssh_key": "mine", "router_networks": ["203.0.113.7"]}
        found = self.results(told, LAMBDA_SSH_KEY_NAME="yours", HETOPS_ROUTER_NETWORKS="")
        assert found["settings"].detail == "understood"
        assert found["account"].detail == "open; SSH key mine"
        assert found["router's address"].detail == "203.0.113.7/32"

    @pytest.mark.parametrize("wrong", [{"ssh_key": 7}, {"ssh_key": " "}, {"router_networks": "203.0.113.7"}])
    def test_a_setting_that_is_wrong_is_named_and_nobody_is_asked(self, wrong: dict[str, Any]) -> None:
        (result,) = self.results(wrong).values()
        assert (result.ok, result.detail.startswith(f"providers.lambda.{next(iter(wrong))}: ")) == (
            False,
            True,
        )
        assert self.cloud.api.seen == []


class TestNodes(OnAStand):
    """What creating a node does at Lambda."""

    of = "lambda"

    def refusal(self, **fields: Any) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            self.cloud.created(**fields)
        return caught.value

    def test_a_node_is_tagged_and_its_engines_are_behind_a_firewall(self) -> None:
        node = self.cloud.created()
        first = self.cloud.api.address(1)
        assert node.endpoints == (f"http://{first}:8000", f"http://{first}:8001")
        (instance,) = self.cloud.api.instances.values()
        assert {t["key"]: t["value"] for t in instance["tags"]} == {
            "hetops:deployment": "contract",
            "hetops:pool": "p",
            "hetops:replicas": "2",
        }
        (ruleset,) = self.cloud.api.rulesets.values()
        assert [rule["source_network"] for rule in ruleset["rules"]] == ["127.0.0.1/32"]
        assert not any(seen.path == "/api/v1/firewall-rules" for seen in self.cloud.api.seen)

    def test_a_second_node_of_the_deployment_uses_the_ruleset_that_stands(self) -> None:
        self.cloud.created("one")
        self.cloud.created("two")
        assert len(self.cloud.api.rulesets) == 1

    def test_capacity_that_goes_between_list_and_create_is_a_matter_of_the_region(self) -> None:
        self.cloud = self.another(taken_before_create=True)
        assert any(o.sku == "gpu_2x_a100" for o in self.cloud.collected().offers)
        fault = self.refusal()
        assert (fault.kind, fault.scope) == (ErrorKind.CAPACITY, Scope.REGION)
        assert self.cloud.api.instances == {}

    def test_a_quota_that_is_used_up_is_a_matter_of_the_account(self) -> None:
        self.cloud = self.another(quota_exceeded=True)
        fault = self.refusal()
        assert (fault.kind, fault.scope) == (ErrorKind.QUOTA, Scope.PROVIDER)
        assert "support" in fault.hint

    @pytest.mark.parametrize(
        "kind", [FaultKind.LOST_ANSWER, FaultKind.SILENT_SUCCESS, FaultKind.TRUNCATED_JSON]
    )
    def test_a_launch_whose_answer_is_lost_makes_one_node(self, kind: FaultKind) -> None:
        self.cloud = self.another(faults=(Fault(kind=kind, path=LAUNCH),))
        node = self.cloud.created()
        assert list(self.cloud.api.instances) == [node.id]

    def test_an_instance_that_fails_is_terminated(self) -> None:
        self.cloud = self.another(fails_to_boot=True)
        fault = self.refusal()
        assert (fault.kind, self.cloud.api.instances) == (ErrorKind.TRANSIENT, {})
        assert "Lambda calls it unhealthy" in fault.message

    def test_an_instance_whose_engines_never_answer_is_terminated(self) -> None:
        """Its firewall lets another host in."""
        with pytest.raises(ProviderError) as caught:
            asyncio.run(self.cloud.driver(HETOPS_ROUTER_NETWORKS="203.0.113.7").create(self.cloud.request()))
        assert "its engines do not answer in the time they have" in caught.value.message
        assert self.cloud.api.instances == {}

    def test_the_key_and_the_networks_of_the_settings_count(self) -> None:
        self.cloud.api.keys = ["mine", "yours"]
        settings = {"ssh_key": "yours", "router_networks": ["127.0.0.1"]}
        driver = self.cloud.driver(settings, HETOPS_ROUTER_NETWORKS="203.0.113.7", LAMBDA_SSH_KEY_NAME="mine")
        assert asyncio.run(driver.create(self.cloud.request())).endpoints
        (launch,) = (r.body for r in self.cloud.api.seen if r.path == self.cloud.kind.create_path)
        assert launch["ssh_key_names"] == ["yours"]

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"region": "us-south-1"}, "has no firewall"),
            ({"sku": "h100"}, "is no instance type of Lambda"),
            ({"launches": ()}, "cannot be shared out to 0 engines"),
            ({"launches": (ENGINE,) * 3}, "2 GPUs cannot be shared out to 3 engines"),
        ],
    )
    def test_what_can_never_be_had_is_refused_before_anybody_is_asked(
        self, fields: dict[str, Any], said: str
    ) -> None:
        fault = self.refusal(**fields)
        assert (fault.kind, said in fault.message) == (ErrorKind.INVALID, True), fault.message
        assert self.cloud.api.seen == []

    def test_launches_and_requests_keep_to_lambdas_pace(self) -> None:
        self.cloud = self.another(seconds_between_requests=1.0, seconds_between_creates=12.0)
        driver = self.cloud.driver()

        async def both() -> None:
            await asyncio.gather(*(driver.create(self.cloud.request(name)) for name in ("one", "two")))

        asyncio.run(both())
        assert self.cloud.names() == ["one", "two"]
        assert len([seen for seen in self.cloud.api.seen if seen.path == LAUNCH]) == 2, "one was throttled"

    def test_instances_of_others_are_left_alone(self) -> None:
        self.cloud.created()
        (instance,) = self.cloud.api.instances.values()
        instance["tags"] = []
        assert self.cloud.names() == []

    def test_an_instance_that_goes_is_gone(self) -> None:
        node = self.cloud.created()
        asyncio.run(self.cloud.driver().delete(node.id))
        assert asyncio.run(self.cloud.driver().read(node.id)).state is NodeState.GONE


def _type(name: str, description: str) -> dict[str, Any]:
    kind = {
        "name": name,
        "description": f"1x {description}",
        "gpu_description": description,
        "price_cents_per_hour": 129,
        "specs": {"vcpus": 30, "memory_gib": 200, "storage_gib": 1400, "gpus": 1},
    }
    there = [{"name": "us-west-1", "description": "California, USA"}]
    return {"instance_type": kind, "regions_with_capacity_available": there}
