"""Edge: asks all regions at once under one deadline, each request as soon as what it needs is known.

A region's zones come first; then its prices, and the descriptions of types that no region has described yet: a type is
the same everywhere, and its description is long. A request that fails costs what it would have told, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from hetops.plugin import ErrorKind, Market, Offer, Refusal, Scope
from hetops_aws import calls
from hetops_aws.blocks import read_blocks
from hetops_aws.failures import Failure, Meaning, meaning_of
from hetops_aws.fan_out import FanOut
from hetops_aws.offers import Region, offers_of
from hetops_aws.prices import OnDemandPrices, SpotPrices, read_price_list, read_spot_history
from hetops_aws.quotas import FamilyQuota, RegionQuotas, read_quotas, used_by_group
from hetops_aws.session import Session
from hetops_aws.settings import AwsSettings
from hetops_aws.shapes import Shape, read_shapes

THREADS = 64
"""More than regions, so that those which hang leave threads to the others."""

_BLOCK_CLASS = "capacity-block"


class Action(StrEnum):
    """What is asked, by the name that an IAM policy allows it under."""

    ZONES = "ec2:DescribeInstanceTypeOfferings"
    SHAPES = "ec2:DescribeInstanceTypes"
    PRICES = "pricing:GetProducts"
    SPOT = "ec2:DescribeSpotPriceHistory"
    QUOTAS = "servicequotas:ListServiceQuotas"
    RUNNING = "ec2:DescribeInstances"
    SCORES = "ec2:GetSpotPlacementScores"
    BLOCKS = "ec2:DescribeCapacityBlockOfferings"


class Request(NamedTuple):
    """One request: an action, its region (empty for the whole account) and what tells it from others like it."""

    action: Action
    region: str
    about: str = ""


class Inquiry:
    """One round of questions. `offers`, `quotas` and `failures` hold what came of it once `run` has returned."""

    def __init__(
        self, session: Session, settings: AwsSettings, regions: Sequence[str], now: datetime
    ) -> None:
        self._session = session
        self._settings = settings
        self._regions = tuple(regions)
        self._now = now
        self._told: dict[Request, Any] = {}
        self._failed: list[Failure] = []
        self._asked: set[Request] = set()
        self._describing: dict[str, Request] = {}
        self._tried: set[tuple[str, str]] = set()
        self._fan: FanOut[Request]

    def run(self, *, seconds: float) -> None:
        """Asks everything that offers need."""
        self._fan = FanOut(threads=THREADS, deadline_seconds=seconds)
        for region in self._regions:
            self._ask_zones(region)
            self._ask_quotas(region)
        self._ask_scores()
        self._listen(self._ask_what_follows)

    def run_quotas(self, *, seconds: float) -> None:
        """Asks for the limits of the account and what is used of them, nothing else."""
        self._fan = FanOut(threads=THREADS, deadline_seconds=seconds)
        for region in self._regions:
            self._ask_quotas(region)
        self._listen(lambda: None)

    def offers(self) -> Iterator[Offer | Refusal]:
        """Everything that was learnt, region by region."""
        shapes, refusals = self._shapes()
        yield from refusals
        for name in self._regions:
            if (Action.ZONES, name, "") in self._told:
                yield from offers_of(self._region(name, shapes), shapes, self._now)
        for request, told in self._told.items():
            if request.action is Action.BLOCKS:
                yield from told[1]

    def quotas(self) -> Iterator[RegionQuotas]:
        """The limits of each region that told them."""
        return (self._quotas_of(name, {}) for name in self._regions)

    def failures(self) -> tuple[Failure, ...]:
        """Everything that failed or did not answer in time; of a region that cannot even tell its zones, that alone."""
        every = (*self._failed, *(_late(request) for request in sorted(self._fan.pending)))
        lost = {f.region for f in every if f.action == Action.ZONES}
        return tuple(f for f in every if f.region not in lost or f.action == Action.ZONES)

    def _listen(self, then: Callable[[], None]) -> None:
        for request, outcome in self._fan.outcomes():
            if isinstance(outcome, Exception):
                self._fail(request, outcome)
            else:
                self._told[request] = outcome
            then()

    def _fail(self, request: Request, fault: Exception) -> None:
        meaning = meaning_of(fault, request.action, self._settings)
        self._failed.append(Failure(action=request.action, region=request.region, meaning=meaning))
        if request.action is Action.SHAPES:
            again = [name for name, asked in self._describing.items() if asked == request]
            self._tried.update((request.region, name) for name in again)
            for name in again:
                del self._describing[name]

    def _ask(self, request: Request, call: Callable[[], object]) -> None:
        if request not in self._asked:
            self._asked.add(request)
            self._fan.submit(request, call)

    def _client(self, service: str, region: str) -> Any:
        return self._session.client(service, region)

    def _ask_zones(self, region: str) -> None:
        ec2 = self._client("ec2", region)
        self._ask(Request(Action.ZONES, region), lambda: calls.offered_types(ec2))

    def _ask_quotas(self, region: str) -> None:
        quotas, ec2 = self._client("service-quotas", region), self._client("ec2", region)
        self._ask(Request(Action.QUOTAS, region), lambda: read_quotas(calls.service_quotas(quotas), region))
        self._ask(Request(Action.RUNNING, region), lambda: calls.running_instances(ec2))

    def _ask_scores(self) -> None:
        types, home = self._settings.placement_scores, self._settings.home_region
        if types and Market.SPOT in self._settings.markets:
            ec2 = self._client("ec2", home)
            self._ask(Request(Action.SCORES, ""), lambda: calls.placement_scores(ec2, types, self._regions))

    def _ask_what_follows(self) -> None:
        """Every request that what has been told makes possible."""
        for region in self._regions:
            zones: Mapping[str, tuple[str, ...]] = self._told.get(Request(Action.ZONES, region), {})
            if zones:
                self._ask_shapes(region, zones)
                self._ask_prices(region, tuple(zones))
        if Market.CAPACITY_BLOCK in self._settings.markets:
            self._ask_blocks()

    def _ask_shapes(self, region: str, types: Mapping[str, object]) -> None:
        new = [t for t in types if t not in self._describing and (region, t) not in self._tried]
        if new:
            request = Request(Action.SHAPES, region, new[0])
            self._describing.update(dict.fromkeys(new, request))
            ec2 = self._client("ec2", region)
            self._ask(request, lambda: read_shapes(calls.described_types(ec2, new)))

    def _ask_prices(self, region: str, types: tuple[str, ...]) -> None:
        markets, now = self._settings.markets, self._now
        if {Market.ON_DEMAND, Market.SPOT} & set(markets):
            pricing = self._client("pricing", self._settings.pricing_region)
            self._ask(
                Request(Action.PRICES, region),
                lambda: read_price_list(calls.price_list(pricing, region, types), region, now),
            )
        if Market.SPOT in markets:
            ec2 = self._client("ec2", region)
            self._ask(
                Request(Action.SPOT, region),
                lambda: read_spot_history(calls.spot_history(ec2, types, now), region),
            )

    def _ask_blocks(self) -> None:
        shapes, _ = self._shapes()
        for region in self._regions:
            for name in self._told.get(Request(Action.ZONES, region), ()):
                if name in shapes and _BLOCK_CLASS in shapes[name].usage_classes:
                    self._ask_blocks_of(region, name)

    def _ask_blocks_of(self, region: str, name: str) -> None:
        ec2, hours, now = self._client("ec2", region), self._settings.capacity_block_hours, self._now
        self._ask(
            Request(Action.BLOCKS, region, name),
            lambda: read_blocks(calls.capacity_blocks(ec2, name, hours, now), region),
        )

    def _shapes(self) -> tuple[dict[str, Shape], tuple[Refusal, ...]]:
        told = [t for request, t in self._told.items() if request.action is Action.SHAPES]
        shapes = {name: shape for found, _ in told for name, shape in found.items()}
        return shapes, tuple(refusal for _, refusals in told for refusal in refusals)

    def _region(self, name: str, shapes: Mapping[str, Shape]) -> Region:
        def told(action: Action, otherwise: Any) -> Any:
            return self._told.get(Request(action, name), otherwise)

        blocks = [
            block
            for request, told_blocks in self._told.items()
            if (request.action, request.region) == (Action.BLOCKS, name)
            for block in told_blocks[0]
            if block.instance_type in shapes
        ]
        wanted = self._settings.markets
        prices: OnDemandPrices = told(Action.PRICES, OnDemandPrices(by_type={}))
        spot: SpotPrices = told(Action.SPOT, SpotPrices(by_zone_and_type={}))
        return Region(
            name=name,
            zones_of=told(Action.ZONES, {}),
            on_demand=prices,
            sold_on_demand=Market.ON_DEMAND in wanted,
            spot=spot,
            blocks=tuple(blocks),
            quotas=self._quotas_of(name, shapes),
            scores=self._scores_of(name),
            scored=self._settings.placement_scores,
        )

    def _quotas_of(self, region: str, shapes: Mapping[str, Shape]) -> RegionQuotas:
        limits: tuple[FamilyQuota, ...] = self._told.get(Request(Action.QUOTAS, region), ())
        running = self._told.get(Request(Action.RUNNING, region))
        vcpu_of = {name: shape.vcpu for name, shape in shapes.items()}
        used = None if running is None else used_by_group(running, limits, vcpu_of)
        return RegionQuotas(limits=limits, used=used)

    def _scores_of(self, region: str) -> dict[str, int]:
        rows = self._told.get(Request(Action.SCORES, ""), ())
        return {
            row["AvailabilityZoneId"]: int(row["Score"])
            for row in rows
            if row.get("Region") == region and row.get("AvailabilityZoneId") and row.get("Score")
        }


def _late(request: Request) -> Failure:
    words = f"did not answer {request.action} in time"
    meaning = Meaning(kind=ErrorKind.TRANSIENT, scope=Scope.REGION, words=words, fix="run again")
    return Failure(action=request.action, region=request.region, meaning=meaning)
