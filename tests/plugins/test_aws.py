"""AWS's offers against the double: what is sold where, on which terms, how much of it is left, and what is no offer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hetops_aws.provider import AwsProvider

from hetops.catalog import tables
from hetops.catalog.list_prices import list_prices
from hetops.domain.offer import AvailabilityState, Market, Offer
from hetops.offers.select import OfferRules, Reason, Selection, select
from hetops.plugin import Capability, DeclaresPools, DrivesNodes
from hetops.plugin.soundness import sound_offer
from tests.doubles import aws, aws_account
from tests.doubles.aws import NOW, AwsCloud
from tests.doubles.aws_account import AwsScenario
from tests.plugins.aws_questions import Told, ask, enter

FEW = ("g6.xlarge", "g6e.12xlarge", "p5.48xlarge")
MANY = tuple(f"{family}.{size}xlarge" for family in ("g5", "g6", "g6e") for size in (2, 4, 8, 12))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsCloud]:
    """Three types in three regions."""
    with aws.running(AwsScenario(only_types=FEW)) as cloud:
        enter(cloud, monkeypatch)
        yield cloud


@pytest.fixture(scope="module")
def trapped() -> Iterator[Told]:
    """What is told where everything that AWS has ever got wrong is wrong."""
    with aws.running(aws_account.scenario("traps")) as cloud, pytest.MonkeyPatch.context() as patch:
        enter(cloud, patch)
        yield ask()


def test_it_is_for_planning_only() -> None:
    provider = AwsProvider()
    assert not isinstance(provider, DrivesNodes | DeclaresPools)
    assert Capability.SPOT in provider.capabilities


@pytest.mark.usefixtures("plain")
def test_a_region_sells_a_type_once_on_demand_and_in_each_zone_on_the_spot_market() -> None:
    told = ask()
    assert told.failures == ()
    (offer,) = told.on(Market.ON_DEMAND, "g6.xlarge", "us-east-1")
    assert (offer.usd_per_hour, offer.zone) == (Decimal("0.8048"), "")
    assert offer.notes == "in use1-az1, use1-az2, use1-az3"
    assert offer.source == "AWS price list of 2026-11-20"
    spot = {o.zone: o.usd_per_hour for o in told.on(Market.SPOT, "g6.xlarge", "us-east-1")}
    assert spot == {
        "use1-az1": Decimal("0.321920"),
        "use1-az2": Decimal("0.354112"),
        "use1-az3": Decimal("0.386304"),
    }
    counts = Counter((o.region, o.market) for o in told.offers)
    for region in aws_account.REGIONS:
        assert counts[region, Market.ON_DEMAND] == 3
        assert counts[region, Market.SPOT] == 9


@pytest.mark.usefixtures("plain")
def test_gpus_are_counted_by_their_description_and_nvlink_by_the_family() -> None:
    by_sku = {o.sku: o for o in ask().offers}
    found = {name: (o.gpu, o.gpu_count, o.nvlink, o.vcpu, o.host_memory_gb) for name, o in by_sku.items()}
    assert found == {
        "g6.xlarge": ("L4", 1, False, 4.0, 16.0),
        "g6e.12xlarge": ("L40S", 4, False, 48.0, 384.0),
        "p5.48xlarge": ("H100-SXM", 8, True, 192.0, 2048.0),
    }


def test_an_instance_type_is_described_once_however_many_regions_have_it(plain: AwsCloud) -> None:
    ask()
    counts = Counter(plain.actions())
    assert counts["ec2:DescribeInstanceTypes"] == 1
    assert counts["ec2:DescribeInstanceTypeOfferings"] == len(aws_account.REGIONS)


def test_a_type_that_only_one_region_has_is_described_there(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = AwsScenario(
        only_types=FEW, not_offered={"us-east-1": ("p5.48xlarge",), "us-west-2": ("p5.48xlarge",)}
    )
    with aws.running(scenario) as cloud:
        enter(cloud, monkeypatch)
        assert {o.region for o in ask().offers if o.sku == "p5.48xlarge"} == {"eu-west-1"}


def test_pages_are_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with aws.running(AwsScenario(regions=("us-east-1",), only_types=MANY, page=5)) as cloud:
        enter(cloud, monkeypatch)
        small = ask()
        assert cloud.actions().count("ec2:DescribeSpotPriceHistory") > 5
    with aws.running(AwsScenario(regions=("us-east-1",), only_types=MANY)) as cloud:
        enter(cloud, monkeypatch)
        assert {o.id for o in small.offers} == {o.id for o in ask().offers}
    assert len(small.on(Market.SPOT)) == 3 * len(MANY)


def test_only_the_regions_and_markets_that_are_wanted_are_asked(plain: AwsCloud) -> None:
    told = ask({"regions": ["eu-west-1"], "markets": ["spot"]})
    assert {(o.region, o.market) for o in told.offers} == {("eu-west-1", Market.SPOT)}
    regions = {a.region for a in plain.asked if a.service == "ec2"}
    assert regions == {"eu-west-1"}
    assert "ec2:DescribeRegions" not in plain.actions(), "named regions need no list"


@pytest.mark.usefixtures("plain")
def test_patterns_choose_among_the_enabled_regions() -> None:
    assert {o.region for o in ask({"regions": ["us-*"]}).offers} == {"us-east-1", "us-west-2"}


def test_the_price_list_of_the_nearest_endpoint_is_asked(plain: AwsCloud) -> None:
    ask({"regions": ["us-east-1"], "home_region": "eu-west-1"})
    assert {a.region for a in plain.asked if a.service == "pricing"} == {"eu-central-1"}


@pytest.mark.usefixtures("plain")
def test_quotas_are_vcpus_that_a_family_shares_on_a_market() -> None:
    told = ask({"regions": ["us-east-1"]})
    shares = {(o.sku, o.market): share for o in told.offers for share in o.limits.quotas}
    g6, g6e = shares["g6.xlarge", Market.ON_DEMAND], shares["g6e.12xlarge", Market.ON_DEMAND]
    assert g6.group == g6e.group == "aws/us-east-1/on_demand/G+VT"
    assert (g6.left, g6.per_node, g6e.per_node, g6.unit) == (768.0, 4.0, 48.0, "vCPU")
    p5 = shares["p5.48xlarge", Market.SPOT]
    assert (p5.group, p5.left) == ("aws/us-east-1/spot/P5", 192.0)


def test_a_quota_of_zero_leaves_nothing_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    none = {"Running On-Demand P instances": 0.0}
    with aws.running(AwsScenario(only_types=FEW, regions=("us-east-1",), quotas=none)) as cloud:
        enter(cloud, monkeypatch)
        told = ask({"markets": ["on_demand"]})
    refused = chosen(told.offers).refused
    assert [(r.offer.sku, r.reason, r.detail) for r in refused] == [
        ("p5.48xlarge", Reason.QUOTA, "0 vCPU left of quota aws/us-east-1/on_demand/P")
    ]


def test_what_runs_already_is_taken_off_its_quota(trapped: Told) -> None:
    left = {share.group: share.left for o in trapped.offers for share in o.limits.quotas}
    assert left["aws/us-east-1/on_demand/P"] == 384 - 192, "the capacity block does not count"
    assert left["aws/us-east-1/spot/G+VT"] == 256 - 4
    assert left["aws/us-east-1/on_demand/G+VT"] == 768


def test_a_price_of_zero_is_not_sold_and_a_reservations_price_no_bargain(trapped: Told) -> None:
    assert trapped.on(Market.ON_DEMAND, "p5e.48xlarge") == ()
    assert trapped.reason("aws p5e.48xlarge in us-east-1") == ["listed at a price of 0, which means not sold"]
    (g6,) = trapped.on(Market.ON_DEMAND, "g6.xlarge")
    assert g6.usd_per_hour == Decimal("0.8048")


@pytest.mark.parametrize(
    ("sku", "reason"),
    [
        ("g5.xlarge", "is priced in CNY, not in USD"),
        ("g5.2xlarge", "is priced per 'Quantity', not per hour"),
        ("g5.4xlarge", "its price holds from 2027-02-01T00:00:00Z, which is to come"),
        ("g4dn.xlarge", "has no on-demand price"),
        ("g4dn.2xlarge", "has several on-demand prices: 0.752, 0.999"),
    ],
)
def test_a_row_that_is_no_price_says_why(trapped: Told, sku: str, reason: str) -> None:
    assert trapped.on(Market.ON_DEMAND, sku) == ()
    assert reason in trapped.reason(f"aws {sku} in us-east-1")


def test_rows_that_cannot_be_read_cost_themselves(trapped: Told) -> None:
    assert trapped.reason("aws price list of us-east-1") == ["a row that cannot be read"] * 2
    assert len(trapped.on(Market.ON_DEMAND)) >= 5


def test_the_latest_spot_price_of_linux_counts(trapped: Told) -> None:
    prices = {o.zone: o.usd_per_hour for o in trapped.on(Market.SPOT, "g6.xlarge")}
    assert prices["use1-az1"] == Decimal("0.321920")


def test_spot_rows_that_are_no_price_say_why(trapped: Told) -> None:
    assert trapped.reason("aws g5.xlarge spot in us-east-1b") == [
        "listed at a price of 0, which means not sold",
        "the row names no zone id or no instance type",
    ]
    assert trapped.reason("aws g5.2xlarge spot in us-east-1c") == ["its price is 'cheap'"]


def test_a_spot_price_that_is_to_come_is_unsound(trapped: Told) -> None:
    (offer,) = (o for o in trapped.on(Market.SPOT, "g5.xlarge") if o.zone == "use1-az3")
    with pytest.raises(ValueError, match="which is to come"):
        sound_offer("aws", offer, now=NOW)


def test_zones_that_are_no_ordinary_ones_are_not_offered(trapped: Told) -> None:
    assert {o.zone for o in trapped.on(Market.SPOT)} == {"use1-az1", "use1-az2", "use1-az3"}
    assert not any("bos" in o.notes for o in trapped.offers)


def test_an_unknown_gpu_is_listed_under_its_own_name_and_never_chosen(trapped: Told) -> None:
    assert {o.gpu for o in trapped.offers if o.sku == "p9.48xlarge"} == {"R300 (589824 MiB)"}
    assert {o.gpu for o in trapped.offers if o.sku == "g9f.large"} == {"L4 (2861 MiB)"}
    refused = {(r.offer.sku, r.reason) for r in chosen(trapped.offers).refused}
    assert {("p9.48xlarge", Reason.UNKNOWN_GPU), ("g9f.large", Reason.UNKNOWN_GPU)} <= refused


def test_gpus_by_halves_or_of_several_kinds_are_no_offer(trapped: Told) -> None:
    assert trapped.reason("aws g6f.large") == ["a fraction of a GPU, or an unknown count"]
    assert trapped.reason("aws g9.metal") == ["has GPUs of several kinds"]
    assert not {"g6f.large", "g9.metal"} & {o.sku for o in trapped.offers}


def test_a_gpu_that_aws_once_misnamed_is_known_by_its_memory(trapped: Told) -> None:
    assert {o.gpu for o in trapped.offers if o.sku == "p5en.48xlarge"} == {"H200-SXM"}


def test_a_price_a_hundred_times_off_is_refused_on_both_markets(trapped: Told) -> None:
    refused = [r for r in chosen(trapped.offers).refused if r.offer.sku == "p4d.24xlarge"]
    assert {(r.offer.market, r.reason) for r in refused} == {
        (Market.ON_DEMAND, Reason.IMPLAUSIBLE_PRICE),
        (Market.SPOT, Reason.IMPLAUSIBLE_PRICE),
    }


def test_a_spot_price_no_lower_than_on_demand_is_told_as_scarce(monkeypatch: pytest.MonkeyPatch) -> None:
    with aws.running(AwsScenario(only_types=FEW, regions=("us-east-1",), spot_share=1.0)) as cloud:
        enter(cloud, monkeypatch)
        told = ask()
    assert {o.notes for o in told.on(Market.SPOT)} == {"no cheaper than on demand: little capacity to spare"}


def test_a_capacity_block_is_a_market_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with aws.running(aws_account.scenario("blocks")) as cloud:
        enter(cloud, monkeypatch)
        told = ask({"markets": ["capacity_block"]})
        asked = [a for a in cloud.asked if a.operation == "DescribeCapacityBlockOfferings"]
    (offer,) = told.offers
    assert (offer.market, offer.sku, offer.zone) == (Market.CAPACITY_BLOCK, "p5.48xlarge", "use1-az1")
    assert offer.usd_per_hour == Decimal("41.527917"), "996.67 USD for 24 hours"
    assert (offer.limits.max_count, offer.availability.state) == (1, AvailabilityState.AVAILABLE)
    assert offer.notes == "24 h from 2026-11-26 11:30 UTC, 996.67 USD in advance"
    assert told.reason("aws p5.48xlarge capacity block in us-west-2") == [
        "has a fee of 0, which means not sold",
        "is priced in CNY, not in USD",
    ]
    assert {a.field("InstanceType") for a in asked} == {"p5.48xlarge"}, "only what is sold so is asked"
    assert "pricing:GetProducts" not in cloud.actions()


def test_placement_scores_are_asked_of_a_group_and_told_of_its_types(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ["g6.xlarge", "g6e.xlarge", "g5.xlarge"]
    with aws.running(aws_account.scenario("blocks")) as cloud:
        enter(cloud, monkeypatch)
        told = ask({"placement_scores": group})
        (asked,) = (a for a in cloud.asked if a.operation == "GetSpotPlacementScores")
    assert set(asked.listed("InstanceType")) == set(group)
    scores = {o.zone: o.availability.score for o in told.on(Market.SPOT, "g6.xlarge")}
    assert scores == {
        "use1-az1": 0.9, "use1-az2": 0.3, "use1-az3": None, "usw2-az1": 0.1, "usw2-az2": None, "usw2-az3": None,
    }  # fmt: skip
    assert {o.availability.state for o in told.on(Market.SPOT)} == {AvailabilityState.UNKNOWN}
    assert all(o.availability.score is None for o in told.on(Market.SPOT, "p5.48xlarge"))


@pytest.mark.usefixtures("plain")
def test_prices_hold_as_long_as_their_market_is_quiet() -> None:
    holds = {o.market: o.ttl_seconds for o in ask().offers}
    assert holds == {Market.ON_DEMAND: 86_400, Market.SPOT: 600}
    later = NOW + timedelta(seconds=601)
    assert {o.stale(later) for o in ask().on(Market.SPOT)} == {True}


def test_every_gpu_type_of_the_capture_has_its_name_in_the_catalogue() -> None:
    """What the catalogue knows by name but not by speed (the RTX PRO 4500), or not at all (the T4g), is refused later."""
    with aws.running(AwsScenario(regions=("us-east-1",))) as cloud, pytest.MonkeyPatch.context() as patch:
        enter(cloud, patch)
        told = ask()
    names = {row["gpu"] for row in tables.rows("gpus")}
    assert {o.gpu for o in told.offers} - names <= {"T4g (16384 MiB)"}
    snapshot = {r["instance_type"]: r for r in tables.rows("instance_types") if r["provider"] == "aws"}
    for offer in told.offers:
        row = snapshot.get(offer.sku, {"gpu": offer.gpu, "gpu_count": str(offer.gpu_count)})
        assert (offer.gpu, str(offer.gpu_count)) == (row["gpu"], row["gpu_count"]), offer.sku


def chosen(offers: tuple[Offer, ...]) -> Selection:
    """What the rules of the catalogue and the snapshot leave."""
    catalog = tables.load()
    return select(
        [replace(o, observed_at=datetime(2026, 11, 24, 12, tzinfo=UTC)) for o in offers],
        OfferRules(),
        now=NOW,
        gpus=frozenset(g.name for g in catalog.gpu_types),
        list_prices=list_prices(catalog).offers,
    )
