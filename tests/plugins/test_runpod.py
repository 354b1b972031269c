"""RunPod as a provider, against its fake: what is its own; test_contract.py has what is everyone's."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hetops_runpod.offers import Machine, machine
from hetops_runpod.settings import Tier

from hetops.domain.offer import AvailabilityState, Offer
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind, ProviderError, Scope
from tests.doubles.fake_api import Fault, FaultKind
from tests.doubles.runpod import CATALOG, PODS
from tests.plugins.clouds import LAUNCH as ENGINE
from tests.plugins.clouds import OnAStand, query, selected


class TestOffers(OnAStand):
    """What of RunPod's catalogue is an offer."""

    of = "runpod"

    def by_sku(self, **settings: Any) -> dict[tuple[str, str], Offer]:
        return {(o.sku, o.region): o for o in self.cloud.offers(**settings) if isinstance(o, Offer)}

    def test_a_price_is_of_one_gpu_and_the_disk_comes_on_top(self) -> None:
        offer = self.by_sku()["NVIDIA H100 80GB HBM3 x8", "US-TX-3"]
        assert (offer.usd_per_hour, offer.gpu, offer.gpu_count) == (Decimal("27.92"), "H100-SXM", 8)
        assert offer.extra_usd_per_hour == Decimal("0.1107"), "808 GB at 0.10 USD a month"
        assert offer.nvlink

    def test_availability_is_of_a_data_centre_and_of_a_count(self) -> None:
        found = self.by_sku()
        states = {
            where: (o.availability.state, o.availability.score)
            for (sku, where), o in found.items()
            if sku == "NVIDIA L40S x2"
        }
        assert states == {
            "US-KS-2": (AvailabilityState.AVAILABLE, 0.9),
            "EU-RO-1": (AvailabilityState.AVAILABLE, 0.3),
        }
        assert ("NVIDIA L40S x4", "EU-RO-1") not in found, "three are left there"

    def test_machines_larger_than_there_are_are_not_listed(self) -> None:
        assert not [sku for sku, _ in self.by_sku() if sku.startswith("NVIDIA L4 x8")]

    def test_what_is_sold_out_everywhere_is_told_as_such(self) -> None:
        refused = {r.offer.sku: r.detail for r in selected(self.cloud.collected()).refused}
        assert refused["NVIDIA B200"] == "none left"

    def test_the_account_may_not_spend_more_than_runpod_lets_it(self) -> None:
        limits = {o.limits.spend_usd_per_hour for o in self.by_sku().values()}
        assert limits == {Decimal(80)}
        limits = {o.limits.spend_usd_per_hour for o in self.by_sku(account_usd_per_hour=200).values()}
        assert limits == {Decimal(200)}

    def test_the_community_cloud_is_asked_for_by_name_and_keeps_its_own_skus(self) -> None:
        assert not [sku for sku, _ in self.by_sku() if "community" in sku]
        found = self.by_sku(clouds=["secure", "community"], gpu_counts=[1])
        assert found["NVIDIA L40S community", "any"].usd_per_hour == Decimal("0.79")
        assert found["NVIDIA L40S", "US-KS-2"].usd_per_hour == Decimal("1.09")

    def test_a_cloud_that_does_not_sell_a_gpu_says_zero_which_is_no_price(self) -> None:
        found = self.cloud.offers(clouds=["community"], gpu_counts=[1])
        told = {o.subject: o.reason for o in found if isinstance(o, Refusal)}
        assert told["runpod NVIDIA H200 community"] == "a price of zero means that it is not sold"

    @pytest.mark.parametrize(
        ("price", "reason"),
        [
            (None, "it has no price"),
            (0, "a price of zero means that it is not sold"),
            ("1.09", "its price is '1.09', which is no number"),
            (-1, "its price is below zero"),
        ],
    )
    def test_a_price_that_is_none_is_told_and_costs_that_type_only(self, price: Any, reason: str) -> None:
        collected = self.another(prices={"NVIDIA L40S": price}).collected()
        assert {r.reason for r in collected.refusals if r.subject == "runpod NVIDIA L40S"} == {reason}
        assert "NVIDIA L4" in {o.sku for o in collected.offers}

    @pytest.mark.parametrize("price", [0.1, 12.5])
    def test_a_price_ten_times_off_the_snapshot_is_refused(self, price: float) -> None:
        selection = selected(self.another(prices={"NVIDIA L40S": price}).collected())
        details = {r.offer.sku: r.detail for r in selection.refused}
        assert "off the list price of 1.09" in details["NVIDIA L40S"]
        assert "off its list price of 1.09" in details["NVIDIA L40S x2"], "a size that the snapshot lacks"
        assert not [o for o in selection.offers if o.gpu == "L40S"]

    def test_a_gpu_that_nobody_knows_and_a_slice_of_one_are_listed_and_refused(self) -> None:
        names = ("NVIDIA R100", "NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 1g.24gb")
        selection = selected(self.another(rows=tuple(_row(name) for name in names)).collected())
        details = {r.offer.sku: r.detail for r in selection.refused}
        for name in names:
            assert details[name] == f"the catalogue does not know the GPU type {name}"

    @pytest.mark.parametrize(
        "row",
        [
            {},
            {"id": "NVIDIA R100"},
            {"id": "NVIDIA R100", "maxCount": 8, "price": 3},
            {**{"id": "x"}, "price": []},
        ],
    )
    def test_a_row_that_cannot_be_read_is_told(self, row: Any) -> None:
        collected = self.another(rows=(row,)).collected()
        assert any("it cannot be understood" in r.reason for r in collected.refusals)
        assert collected.offers

    def test_one_question_of_several_that_fails_costs_its_own_offers(self) -> None:
        fault = Fault(kind=FaultKind.LOGIN_PAGE, path=CATALOG)
        found = self.another(faults=(fault,)).collected()
        assert found.offers
        assert "secure cloud with" in found.coverage
        assert "answered with a web page" in found.coverage

    @pytest.mark.parametrize(
        "settings",
        [
            {"clouds": []},
            {"clouds": ["public"]},
            {"clouds": "secure"},
            {"gpu_counts": [0]},
            {"gpu_counts": [True]},
            {"account_usd_per_hour": "much"},
            {"account_usd_per_hour": 0},
            {"public_ports": "yes"},
            {"cloud": ["secure"]},
        ],
    )
    def test_a_setting_that_is_wrong_is_named(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ProviderError) as caught:
            asyncio.run(self.cloud.provider().fetch_offers(replace(query(), settings=settings)))
        assert caught.value.kind is ErrorKind.INVALID
        assert caught.value.message.startswith(f"providers.runpod.{next(iter(settings))}")


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("count", [1, 2, 8])
@pytest.mark.parametrize(
    "gpu", ["NVIDIA L4", "NVIDIA A100-SXM4-80GB", "AMD Instinct MI300X OAM", "Tesla V100-PCIE-16GB"]
)
def test_a_sku_says_which_machine_it_is(tier: Tier, count: int, gpu: str) -> None:
    what = Machine(gpu_id=gpu, count=count, tier=tier)
    assert machine(what.sku) == what


class TestCredentials(OnAStand):
    """What `check` finds."""

    of = "runpod"

    def results(self, **environment: str) -> Mapping[str, Any]:
        return {r.subject: r for r in self.cloud.provider(**environment).check({})}

    def test_all_is_well(self) -> None:
        results = self.results()
        assert all(r.ok for r in results.values()), results
        assert results["account"].detail == "open; 0 pods"

    @pytest.mark.parametrize("text", ["apikey = '{}'\napiurl = 'x'\n", '[default]\napi_key = "{}"\n'])
    def test_the_key_of_runpodctl_or_of_the_sdk_counts(self, text: str) -> None:
        key = self.cloud.surroundings.environment["RUNPOD_API_KEY"]
        (self.folder / ".runpod").mkdir()
        (self.folder / ".runpod" / "config.toml").write_text(text.format(key))
        results = self.results(RUNPOD_API_KEY="")
        assert (results["account"].ok, results["API key"].detail) == (True, "from ~/.runpod/config.toml")

    @pytest.mark.parametrize("text", ["", "[default]\n", "no toml", "default = 3\n"])
    def test_a_file_without_a_key_is_no_key(self, text: str) -> None:
        (self.folder / ".runpod").mkdir()
        (self.folder / ".runpod" / "config.toml").write_text(text)
        results = self.results(RUNPOD_API_KEY="")
        assert (results["API key"].ok, results["API key"].kind) == (False, ErrorKind.AUTH)
        assert self.cloud.api.seen == []

    def test_a_wrong_key_is_a_matter_of_credentials(self) -> None:
        account = self.results(RUNPOD_API_KEY="wrong")["account"]
        assert (account.ok, account.kind, "new key" in account.fix) == (False, ErrorKind.AUTH, True)

    def test_ports_that_anybody_may_call_have_to_be_agreed_to(self) -> None:
        ports = self.results(HETOPS_RUNPOD_PUBLIC_PORTS="")["open ports"]
        assert (ports.ok, "export HETOPS_RUNPOD_PUBLIC_PORTS=yes" in ports.fix) == (False, True)


class TestNodes(OnAStand):
    """What creating a node does at RunPod."""

    of = "runpod"

    def refusal(self, **fields: Any) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            self.cloud.created(**fields)
        return caught.value

    def test_a_pod_runs_the_launch_and_bears_our_marks(self) -> None:
        node = self.cloud.created(launches=(replace(ENGINE, environment=(("A", "b c"),)),))
        (pod,) = self.cloud.api.pods.values()
        assert shlex.split(pod["args"]) == list(ENGINE.argv)
        assert (pod["image"], pod["ports"], pod["gpu"]) == (
            ENGINE.image,
            ["8000/http"],
            {"id": "NVIDIA L40S", "count": 2},
        )
        assert pod["env"] == {
            "A": "b c",
            "HETOPS_DEPLOYMENT": "contract",
            "HETOPS_NODE": "p-0-abc123",
            "HETOPS_PORT": "8000",
        }
        assert node.endpoints == (f"{self.cloud.api.url}/proxy/{node.id}/8000",)

    def test_without_an_address_of_its_own_the_proxy_of_runpod_is_the_endpoint(self) -> None:
        node = self.cloud.created()
        seen = asyncio.run(self.cloud.driver(RUNPOD_PROXY_URL="").list("contract"))
        assert seen[0].endpoints == (f"https://{node.id}-8000.proxy.runpod.net",)

    def test_capacity_that_goes_between_list_and_create_is_a_matter_of_the_region(self) -> None:
        self.cloud = self.another(taken_before_create=True)
        assert any(o.sku == "NVIDIA L40S x2" for o in self.cloud.collected().offers)
        fault = self.refusal()
        assert (fault.kind, fault.scope, self.cloud.api.pods) == (ErrorKind.CAPACITY, Scope.REGION, {})

    def test_capacity_that_the_catalogue_has_none_of_is_not_even_asked_for(self) -> None:
        fault = self.refusal(region="EU-RO-1", sku="NVIDIA L40S x4")
        assert (fault.kind, fault.message) == (ErrorKind.CAPACITY, "no NVIDIA L40S x4 is left in EU-RO-1")
        assert not [seen for seen in self.cloud.api.seen if seen.method == "POST"]

    def test_a_400_for_a_broken_rule_is_no_matter_of_capacity(self) -> None:
        """RunPod has one answer for both."""
        fault = self.refusal(name="")
        assert (fault.kind, fault.message) == (
            ErrorKind.INVALID,
            "POST /v2/pods: name and image are required",
        )

    def test_an_empty_purse_is_a_matter_of_the_balance(self) -> None:
        self.cloud = self.another(balance_cents=0)
        fault = self.refusal()
        assert (fault.kind, "add credit" in fault.hint) == (ErrorKind.BALANCE, True)

    @pytest.mark.parametrize(
        "kind",
        [FaultKind.LOST_ANSWER, FaultKind.SILENT_SUCCESS, FaultKind.TRUNCATED_JSON, FaultKind.SHORT_BODY],
    )
    def test_a_create_whose_answer_is_lost_makes_one_pod(self, kind: FaultKind) -> None:
        self.cloud = self.another(faults=(Fault(kind=kind, method="POST", path=PODS),))
        node = self.cloud.created()
        assert list(self.cloud.api.pods) == [node.id]

    def test_a_pod_that_fails_is_terminated(self) -> None:
        self.cloud = self.another(fails_to_boot=True)
        fault = self.refusal()
        assert (fault.kind, self.cloud.api.pods) == (ErrorKind.TRANSIENT, {})
        assert "RunPod calls it ERROR" in fault.message

    @pytest.mark.parametrize(
        ("launches", "said"),
        [
            ((ENGINE, ENGINE), "a pod runs one engine, not 2"),
            ((), "a pod runs one engine, not 0"),
            ((replace(ENGINE, image=""),), "its engine has no container image"),
            ((replace(ENGINE, port=0),), "it needs a fixed one"),
            ((replace(ENGINE, host="127.0.0.1"),), "which nobody outside its container reaches"),
        ],
    )
    def test_what_can_never_be_had_is_refused_before_anybody_is_asked(self, launches: Any, said: str) -> None:
        fault = self.refusal(launches=launches)
        assert (fault.kind, said in fault.message) == (ErrorKind.INVALID, True), fault.message
        assert self.cloud.api.seen == []

    def test_without_consent_to_open_ports_nothing_is_created(self) -> None:
        driver = self.cloud.driver(HETOPS_RUNPOD_PUBLIC_PORTS="")
        with pytest.raises(ProviderError) as caught:
            asyncio.run(driver.create(self.cloud.request()))
        assert "no firewall" in caught.value.message
        assert "public_ports = true" in caught.value.hint
        assert self.cloud.api.seen == []

    def test_consent_may_stand_in_the_settings(self) -> None:
        driver = self.cloud.driver({"public_ports": True}, HETOPS_RUNPOD_PUBLIC_PORTS="")
        assert asyncio.run(driver.create(self.cloud.request())).endpoints

    def test_pods_of_others_are_left_alone(self) -> None:
        self.cloud.created()
        (pod,) = self.cloud.api.pods.values()
        pod["env"] = {}
        assert self.cloud.names() == []


def _row(gpu: str) -> dict[str, Any]:
    return {
        "id": gpu,
        "memory": 24,
        "price": {"secure": 2.5, "community": 0},
        "maxCount": {"secure": 8, "community": 0},
        "availability": "LOW",
    }
