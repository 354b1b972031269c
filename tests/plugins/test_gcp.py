"""Google Compute Engine as a provider, against its fake: the contract of everyone, and the traps of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hetops_gcp.machines import Refusal, machines_of

from hetops.domain.offer import Availability, AvailabilityState, Limits, Market
from hetops.errors import ErrorKind, ProviderError
from hetops.offers.select import Reason
from hetops.offers.sources import SourceState
from hetops.plugin.provider import for_planning_only
from tests.doubles.gcp_skus import sku
from tests.plugins.clouds import NOW, query, selected
from tests.plugins.gcp_cloud import Project, project

PAYLOADS = Path(__file__).parents[1] / "doubles" / "payloads"
OK = ("us-central1-a", "us-central1-b", "us-central1-c")


@pytest.fixture(scope="module")
def gcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that is well."""
    with project(tmp_path_factory.mktemp("gcp")) as standing:
        yield standing


def test_it_is_for_planning_only(gcp: Project) -> None:
    assert for_planning_only(gcp.provider())


@pytest.mark.parametrize(
    ("offer", "usd_per_hour"),
    [
        ("gcp/us-central1/g2-standard-4/on_demand", 0.7068),
        ("gcp/us-central1/a2-highgpu-1g/on_demand", 3.6734),
        ("gcp/us-central1/a2-ultragpu-1g/on_demand", 5.0688),
        ("gcp/us-central1/a3-highgpu-8g/on_demand", 88.49),
        ("gcp/us-central1/n1-standard-8+2xT4/on_demand", 1.08),
        ("gcp/europe-west4-a/g2-standard-4/spot", 0.2817),
        ("gcp/us-central1-a/a4-highgpu-8g/spot", 36.08),
    ],
)
def test_the_price_of_a_machine_is_the_sum_of_its_parts(
    gcp: Project, offer: str, usd_per_hour: float
) -> None:
    """The first four to the cent of what Google's own pages say of a machine, its local SSD among them."""
    assert float(gcp.offers()[offer].usd_per_hour) == pytest.approx(usd_per_hour, abs=0.005)


def test_a_slice_of_a_b200_holds_the_whole_machine_already(gcp: Project) -> None:
    offer = gcp.offers()["gcp/us-central1-a/a4-highgpu-8g/spot"]
    assert float(offer.usd_per_hour) == 8 * 4.51
    assert (offer.gpu, offer.gpu_count, offer.nvlink) == ("B200", 8, True)


def test_local_ssd_that_is_bundled_is_in_the_price_whether_or_not_the_api_tells_it(gcp: Project) -> None:
    notes = {o.sku: o.notes for o in gcp.offers().values() if o.market is Market.SPOT}
    assert notes["a3-megagpu-8g"] == "with 6000 GiB of local SSD"
    assert notes["a3-highgpu-8g"] == "with 6000 GiB of local SSD"
    assert notes["g2-standard-4"] == ""


def test_on_demand_is_one_offer_a_region_and_spot_one_a_zone(gcp: Project) -> None:
    l4 = [o for o in gcp.offers().values() if o.sku == "g2-standard-4" and o.region == "us-central1"]
    assert {(o.market, o.zone) for o in l4} == {
        (Market.ON_DEMAND, ""),
        *((Market.SPOT, zone) for zone in OK),
    }
    assert next(o.notes for o in l4 if o.market is Market.ON_DEMAND) == f"in {', '.join(OK)}"


def test_a_machine_is_offered_only_where_its_zones_have_it(gcp: Project) -> None:
    where = {o.region for o in gcp.offers().values() if o.sku == "a2-ultragpu-1g"}
    assert where == {"us-central1"}
    attached = {o.zone for o in gcp.offers().values() if "+" in o.sku and o.zone}
    assert attached == {"us-central1-a", "us-central1-b", "europe-west4-b"}


def test_gpus_are_known_by_their_accelerator_type_with_the_form_factor(gcp: Project) -> None:
    gpus = {o.sku: (o.gpu, o.gpu_count, o.nvlink) for o in gcp.offers().values()}
    assert gpus["a3-megagpu-8g"] == ("H100-SXM", 8, True)
    assert gpus["a3-ultragpu-8g"] == ("H200-SXM", 8, True)
    assert gpus["a2-highgpu-1g"] == ("A100-40GB-SXM", 1, False)
    assert gpus["a2-ultragpu-1g"] == ("A100-80GB-SXM", 1, False)
    assert gpus["g2-standard-24"] == ("L4", 2, False)
    assert gpus["g4-standard-48"] == ("RTXPRO6000-Server", 1, False)
    assert gpus["n1-standard-16+4xT4"] == ("T4", 4, False)


def test_what_is_no_offer_says_why(gcp: Project) -> None:
    refusals = gcp.refusals()
    assert refusals["gcp g4-standard-6"] == "a fraction of a GPU, or an unknown count"
    assert refusals["gcp a4x-highgpu-4g"] == "sold by reservation only"
    assert refusals["gcp a9-highgpu-8g"] == "no GPU type is known for nvidia-r500"
    assert refusals["gcp nvidia-tesla-p100"] == "no GPU type is known by this name"
    assert refusals["gcp a3-highgpu-1g"] == "on_demand: below 8 GPUs not sold on demand"
    for sku_of_spot in ("a3-ultragpu-8g", "a4-highgpu-8g"):
        assert "not on demand" in refusals[f"gcp {sku_of_spot}"]


def test_workstation_twins_are_neither_offers_nor_news(gcp: Project) -> None:
    told = " ".join((*gcp.offers(), *gcp.refusals()))
    assert "vws" not in told


def test_every_offer_may_be_chosen_by_the_catalogue_and_none_is_implausible(gcp: Project) -> None:
    selection = selected(gcp.collected())
    assert {r.reason for r in selection.refused} == {Reason.QUOTA}, "A100s have a quota of none"
    assert len(selection.offers) > 50


def test_settings_narrow_regions_and_markets(gcp: Project) -> None:
    offers = gcp.offers(regions=["europe-*"], markets=["spot"]).values()
    assert {(o.region, o.market) for o in offers} == {("europe-west4", Market.SPOT)}
    assert gcp.refusals(regions=["mars-*", "us-*"])["gcp region mars-*"] == "no machine with a GPU is there"


@pytest.mark.parametrize(
    "settings",
    [
        {"project": "Not A Project"},
        {"regions": "us-central1"},
        {"regions": ["US"]},
        {"markets": ["on-demand"]},
        {"capacity_advice": [3]},
        {"region": ["us-central1"]},
    ],
)
def test_a_setting_that_is_wrong_is_named(gcp: Project, settings: dict[str, Any]) -> None:
    with pytest.raises(ProviderError) as caught:
        gcp.told(**settings)
    assert caught.value.kind is ErrorKind.INVALID
    assert caught.value.message.startswith(f"providers.gcp.{next(iter(settings))}")


class TestQuotas:
    """By region, GPU and market, and over all regions."""

    def shares(self, gcp: Project, offer: str) -> dict[str, tuple[float, float, str]]:
        return {s.group: (s.left, s.per_node, s.unit) for s in gcp.offers()[offer].limits.quotas}

    def test_what_runs_is_taken_off_and_a_node_takes_its_gpus(self, gcp: Project) -> None:
        found = self.shares(gcp, "gcp/us-central1/g2-standard-24/on_demand")
        assert found["us-central1 NVIDIA_L4_GPUS"] == (6, 2, "GPUs")

    def test_the_spot_market_has_quotas_of_its_own(self, gcp: Project) -> None:
        found = self.shares(gcp, "gcp/us-central1-b/g2-standard-4/spot")
        assert found["us-central1 PREEMPTIBLE_NVIDIA_L4_GPUS"] == (16, 1, "GPUs")

    def test_a_node_takes_of_its_own_quota_and_of_the_one_over_all_regions(self, gcp: Project) -> None:
        both = self.shares(gcp, "gcp/us-central1/a2-ultragpu-1g/on_demand")
        assert set(both) == {"us-central1 NVIDIA_A100_80GB_GPUS", "GPUS_ALL_REGIONS"}
        only = self.shares(gcp, "gcp/us-central1/a3-highgpu-8g/on_demand")
        assert only == {"GPUS_ALL_REGIONS": (64, 8, "GPUs")}, "what the API does not tell is not made up"

    def test_a_quota_of_none_everywhere_rules_everything_out(self, tmp_path: Path) -> None:
        with project(tmp_path, stock={"GPUS_ALL_REGIONS": 0}) as poor:
            selection = selected(poor.collected())
        assert selection.offers == ()
        assert "0 GPUs left of quota GPUS_ALL_REGIONS" in {r.detail for r in selection.refused}

    def test_a_quota_that_is_not_told_is_unknown(self, tmp_path: Path) -> None:
        with project(tmp_path, denied=("compute.projects.get", "compute.regions.list")) as silent:
            assert {o.limits for o in silent.offers().values()} == {Limits()}

    def test_they_are_told_by_group(self, gcp: Project) -> None:
        quotas = {q.group: q for q in asyncio.run(gcp.provider().quota({}))}
        found = quotas["us-central1 NVIDIA_L4_GPUS"]
        assert (found.limit, found.used, found.left, found.unit) == (8, 2, 6, "GPUs")
        assert "console.cloud.google.com" in found.ask
        assert "CPUS" not in " ".join(quotas)

    def test_those_of_the_regions_asked_for_are_told_and_the_one_over_all(self, gcp: Project) -> None:
        quotas = asyncio.run(gcp.provider().quota({"regions": ["europe-*"]}))
        assert {q.group for q in quotas} == {"europe-west4 NVIDIA_L4_GPUS", "GPUS_ALL_REGIONS"}

    def test_half_of_them_is_an_error(self, tmp_path: Path) -> None:
        with (
            project(tmp_path, denied=("compute.regions.list",)) as silent,
            pytest.raises(ProviderError) as caught,
        ):
            asyncio.run(silent.provider().quota({}))
        assert "compute.regions.list" in caught.value.message


class TestAdvice:
    """Chances on the spot market, where they are asked for."""

    def test_nobody_asks_unless_told(self, gcp: Project) -> None:
        assert {o.availability for o in gcp.offers().values()} == {Availability()}

    def test_a_zone_that_is_recommended_has_a_score_and_a_rate_of_interruptions(self, gcp: Project) -> None:
        offers = gcp.offers(capacity_advice=["g2-*"])
        advised = offers["gcp/us-central1-a/g2-standard-4/spot"]
        assert advised.availability == Availability(
            state=AvailabilityState.UNKNOWN, score=0.8, observed_at=NOW
        )
        assert advised.interruptions_per_hour == 0.5
        assert offers["gcp/us-central1-b/g2-standard-4/spot"].availability == Availability()
        assert offers["gcp/us-central1-a/a3-highgpu-8g/spot"].availability == Availability()

    def test_the_sample_answer_is_understood(self, tmp_path: Path) -> None:
        """Each zone has the score of the recommendation that names it for the machine type."""
        answer = json.loads((PAYLOADS / "gcp_advice_capacity.json").read_text(encoding="utf-8"))
        with project(tmp_path, advice=answer) as fresh:
            offers = fresh.offers(capacity_advice=["g2-standard-4"], regions=["us-central1"])
        scores = {
            o.zone: o.availability.score for o in offers.values() if o.sku == "g2-standard-4" and o.zone
        }
        assert scores == {"us-central1-a": 0.8, "us-central1-b": None, "us-central1-c": None}

    def test_it_is_one_question_for_each_machine_type_and_region(self, tmp_path: Path) -> None:
        with project(tmp_path) as fresh:
            fresh.offers(capacity_advice=["g2-standard-4", "n1-*"], regions=["us-*", "europe-*"])
            asked = [seen for seen in fresh.api.seen if seen.path.endswith("/advice/capacity")]
        assert sorted(seen.path.split("/")[-3] for seen in asked) == ["europe-west4", "us-central1"]

    def test_a_region_that_fails_costs_its_own_scores(self, tmp_path: Path) -> None:
        with project(tmp_path, dark=("europe-west4",)) as half:
            offers = half.offers(capacity_advice=["g2-standard-4"])
            (failure,) = half.failures(capacity_advice=["g2-standard-4"])
        assert offers["gcp/us-central1-a/g2-standard-4/spot"].availability.score == 0.8
        assert offers["gcp/europe-west4-a/g2-standard-4/spot"].availability.score is None
        assert failure.message.startswith("europe-west4 capacity advice: ")

    def test_without_the_permission_the_offers_stand(self, tmp_path: Path) -> None:
        with project(tmp_path, denied=("compute.advice.capacity",)) as denied:
            (failure,) = denied.failures(capacity_advice=["g2-standard-4"])
            assert denied.offers(capacity_advice=["g2-standard-4"])
        assert "PERMISSION_DENIED compute.advice.capacity" in failure.message
        assert failure.message.startswith("asia-southeast1, europe-west4, us-central1 capacity advice")


class TestParts:
    """What fails of Google costs what it would have told."""

    def test_a_zone_that_does_not_answer_costs_its_own_offers_and_is_named(self, tmp_path: Path) -> None:
        with project(tmp_path, unreachable=("europe-west4-a",)) as half:
            collected = half.collected()
        zones = {o.zone for o in collected.offers if o.region == "europe-west4" and o.zone}
        assert zones == {"europe-west4-b"}
        assert "europe-west4-a machine types: did not answer" in collected.coverage

    @pytest.mark.parametrize(
        ("permission", "part"),
        [
            ("compute.acceleratorTypes.list", "GPUs to attach"),
            ("compute.regions.list", "quotas"),
            ("compute.projects.get", "quotas of all regions"),
        ],
    )
    def test_a_permission_that_is_missing_is_named_and_the_offers_stand(
        self, permission: str, part: str, tmp_path: Path
    ) -> None:
        with project(tmp_path, denied=(permission,)) as denied:
            collected = denied.collected()
        (source,) = collected.sources
        assert source.state is SourceState.LIVE
        assert f"{part}: " in source.detail
        assert f"refused: PERMISSION_DENIED {permission}" in source.detail
        assert "grant roles/compute.viewer" in source.hint

    @pytest.mark.parametrize(
        ("scenario", "said", "fix"),
        [
            (
                {"denied": ("compute.machineTypes.list",)},
                "machine types: refused: PERMISSION_DENIED compute.machineTypes.list",
                "grant roles/compute.viewer",
            ),
            (
                {"disabled": ("cloudbilling.googleapis.com",)},
                "cloudbilling.googleapis.com is not enabled",
                "gcloud services enable cloudbilling.googleapis.com",
            ),
        ],
    )
    def test_without_prices_or_machine_types_list_prices_stand_in(
        self, scenario: dict[str, Any], said: str, fix: str, tmp_path: Path
    ) -> None:
        with project(tmp_path, **scenario) as denied:
            collected = denied.collected()
        (source,) = collected.sources
        assert (source.state, source.error_kind) == (SourceState.REFUSED, ErrorKind.AUTH)
        assert said in source.detail
        assert fix in source.hint
        assert collected.offers, "of the catalogue's list"

    def test_a_part_without_a_price_in_a_region_costs_the_machines_that_need_it(self, tmp_path: Path) -> None:
        with project(tmp_path, prices={"G2 memory": "0"}) as odd:
            offers, refusals = odd.offers(), odd.refusals()
        assert not [o for o in offers.values() if o.sku.startswith("g2") and o.market is Market.ON_DEMAND]
        assert refusals["gcp g2-standard-4"] == "on_demand: no price of G2 memory"
        assert (
            refusals["gcp SKU G2 Instance Ram running in Americas"]
            == "a price of zero means that it is not sold"
        )

    def test_a_price_ten_times_off_the_list_is_not_chosen(self, tmp_path: Path) -> None:
        with project(tmp_path, prices={"Nvidia L4 GPU": "56"}) as odd:
            selection = selected(odd.collected())
        refused = {r.offer.id: r.reason for r in selection.refused}
        assert refused["gcp/us-central1/g2-standard-4/on_demand"] is Reason.IMPLAUSIBLE_PRICE

    def test_two_prices_of_a_part_cost_the_machines_that_need_it(self, tmp_path: Path) -> None:
        another = sku("Nvidia L4 GPU running in Americas", "0.61", "us-central1")
        with project(tmp_path, rows=(another,)) as odd:
            offers, refusals = odd.offers(), odd.refusals()
        assert "gcp/us-central1/g2-standard-4/on_demand" not in offers
        assert "gcp/europe-west4/g2-standard-4/on_demand" in offers
        assert "more than one price" in refusals["gcp nvidia-l4 (on_demand) in us-central1"]

    def test_the_catalogue_is_read_to_its_end_in_dollars(self, gcp: Project) -> None:
        gcp.told()
        pages = [seen for seen in gcp.api.seen if seen.path.endswith("/skus")]
        assert len({seen.query.get("pageToken") for seen in pages}) > 2
        assert {seen.query["currencyCode"] for seen in pages} == {"USD"}


@pytest.mark.parametrize(
    "row",
    [None, 7, {}, {"name": "a2-highgpu-1g", "guestCpus": "many"}, {"name": "a2-x", "guestCpus": 1, "memoryMb": 1, "accelerators": 3}],
)  # fmt: skip
def test_a_machine_type_that_cannot_be_read_is_told(row: Any) -> None:
    (found,) = machines_of({"us-central1-a": [row]}, {})
    assert isinstance(found, Refusal)
    assert "it cannot be understood" in found.reason


def test_a_machine_type_that_is_going_away_is_not_offered() -> None:
    row = {
        "name": "a2-highgpu-1g",
        "guestCpus": 12,
        "memoryMb": 87040,
        "accelerators": [{"guestAcceleratorType": "nvidia-tesla-a100", "guestAcceleratorCount": 1}],
    }
    gone = row | {"deprecated": {"state": "DEPRECATED"}}
    assert len(list(machines_of({"us-central1-a": [row]}, {}))) == 1
    assert list(machines_of({"us-central1-a": [gone]}, {})) == []


def test_a_series_that_nobody_knows_is_listed_never_guessed() -> None:
    row = {
        "name": "a9-highgpu-8g",
        "guestCpus": 256,
        "memoryMb": 1 << 20,
        "accelerators": [{"guestAcceleratorType": "nvidia-l4", "guestAcceleratorCount": 8}],
    }
    (found,) = machines_of({"us-central1-a": [row]}, {})
    assert isinstance(found, Refusal)
    assert found.reason == "nobody knows how this series is priced"


def test_nothing_is_asked_with_wrong_settings(gcp: Project) -> None:
    before = len(gcp.api.seen)
    with pytest.raises(ProviderError):
        asyncio.run(gcp.provider().fetch_offers(replace(query(), settings={"zones": []})))
    assert len(gcp.api.seen) == before
