"""The contract suite passes what holds to it and finds out what does not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest import SkipTest

import pytest

from hetops.catalog import tables
from hetops.domain.offer import Limits, Offer, PriceBasis, QuotaShare
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.engine import Launch
from hetops.plugin.provider import CheckResult, Node, NodeRequest, NodeState, OfferQuery, Quota
from hetops.plugin.testing import (
    CHECK_SECONDS,
    PROMISES_OF_DRIVERS,
    PROMISES_OF_PROVIDERS,
    Promise,
    Subject,
    Trouble,
)
from hetops.plugin.testing.offers import a_question_that_is_cancelled_ends_at_once, its_offers_are_sound
from tests.doubles.drivers import NAME, Cloud, MemoryDriver, MemoryProvider
from tests.doubles.providers import failing, live_offer


def request(name: str, sku: str = "one-h100") -> NodeRequest:
    return NodeRequest(
        name=name,
        deployment="contract",
        pool="p",
        sku=sku,
        region="us-east-1",
        zone="",
        market="on_demand",
        launches=(Launch(argv=("engine",)), Launch(argv=("engine",))),
    )


class Memory(Subject):
    """The cloud in memory, with the catalogue's GPU types."""

    name = NAME
    driven: type[MemoryDriver] = MemoryDriver

    def __init__(self) -> None:
        self.cloud = Cloud()

    def provider(self) -> MemoryProvider:
        return MemoryProvider()

    def query(self) -> OfferQuery:
        return replace(super().query(), gpu_types=tables.load().gpu_types)

    def secrets(self) -> tuple[str, ...]:
        return ("open-sesame",)

    def meets(self, trouble: Trouble) -> None:
        if trouble is not Trouble.SOLD_OUT:
            super().meets(trouble)
        self.cloud.room = 0

    def driver(self) -> MemoryDriver:
        return self.driven(self.cloud)

    def request(self, name: str) -> NodeRequest:
        return request(name)

    def impossible_request(self, name: str) -> NodeRequest:
        return request(name, sku="sold-out")


class Served(Memory):
    """The same, behind a service that can be in trouble. What it raises then is what it is told to raise."""

    def __init__(self, raised: Exception | None = None) -> None:
        super().__init__()
        self.raised = raised
        self.troubled = False

    def meets(self, trouble: Trouble) -> None:
        del trouble
        self.troubled = True

    def provider(self) -> MemoryProvider:
        fault = self.raised if self.troubled else None

        class Troubled(MemoryProvider):
            async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
                if fault:
                    raise fault
                return await super().fetch_offers(query)

        return Troubled()


def test_what_keeps_every_promise_is_found_to(promise: Promise) -> None:
    promise(Memory())


def test_what_cannot_be_brought_about_is_skipped_by_name() -> None:
    with pytest.raises(SkipTest, match="nothing brings about: short_pages"):
        Memory().meets(Trouble.SHORT_PAGES)
    with pytest.raises(SkipTest, match="it drives no nodes"):
        Subject().driver()


def broken_offers(*offers: Any) -> type[MemoryProvider]:
    class Broken(MemoryProvider):
        async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
            await super().fetch_offers(query)
            return offers

    return Broken


def checking(check: Callable[[], tuple[CheckResult, ...]]) -> type[MemoryProvider]:
    class Broken(MemoryProvider):
        def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:  # noqa: ARG002
            return check()

    return Broken


def named(name: str) -> type[MemoryProvider]:
    class Broken(MemoryProvider):
        pass

    Broken.name = name
    return Broken


class _OtherIdsEachTime(MemoryProvider):
    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        del query
        return (live_offer(NAME, sku=f"sku-{time.monotonic_ns()}"),)


class _RaisesWhatItLikes(MemoryProvider):
    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        if query.settings:
            raise KeyError("region")
        return ()


class _RefusesAsTransient(MemoryProvider):
    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        if query.settings:
            raise ProviderError("no", provider=NAME, kind=ErrorKind.TRANSIENT)
        return ()


class _RefusesForAnother(MemoryProvider):
    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        if query.settings:
            raise ProviderError("no", provider="other", kind=ErrorKind.INVALID)
        return ()


class _OwesQuota(MemoryProvider):
    async def quota(self, settings: Mapping[str, Any]) -> tuple[Quota, ...]:  # noqa: ARG002
        return (Quota(group="nodes", limit=-1, used=0, unit="nodes"),)


class _ChecksSlowly(MemoryProvider):
    def check(self, settings: Mapping[str, Any]) -> tuple[CheckResult, ...]:
        time.sleep(0 if settings else CHECK_SECONDS + 0.1)
        return super().check(settings)


OTHER_GROUP = live_offer(NAME, limits=Limits(quotas=(QuotaShare(group="vcpus", left=1, per_node=1),)))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (named("My Cloud"), "may hold a-z, 0-9 and '-' only"),
        (broken_offers("cheap"), "no offer: of type str"),
        (broken_offers(live_offer("other")), "belongs to provider 'other'"),
        (broken_offers(live_offer(NAME, extra_usd_per_hour=Decimal(-1))), "its price is 2.00"),
        (broken_offers(live_offer(NAME) , live_offer(NAME)), "two offers have one id"),
        (broken_offers(live_offer(NAME, gpu="H100")), "not in the catalogue: ['H100']"),
        (broken_offers(live_offer(NAME, ttl_seconds=0)), "is live and holds no second"),
        (broken_offers(live_offer(NAME, source="", basis=PriceBasis.LIST)), "does not say where"),
        (broken_offers(OTHER_GROUP), "quota() knows nothing of ['vcpus']"),
        (_OtherIdsEachTime, "asked twice, the ids differ"),
        (_RaisesWhatItLikes, "KeyError is no ProviderError"),
        (_RefusesAsTransient, "the kind is transient, not invalid"),
        (_RefusesForAnother, "the error is of provider 'other'"),
        (_OwesQuota, "nodes: a limit below zero"),
        (checking(lambda: ()), "check finds nothing wrong with wrong settings"),
        (checking(lambda: (CheckResult(subject="key", ok=False, detail="none"),)), "key: a fault without a fix"),
        (_ChecksSlowly, "check took 2.1 s"),
    ],
)  # fmt: skip
def test_a_provider_that_breaks_the_contract_is_found_out(broken: type[MemoryProvider], said: str) -> None:
    class Broken(Memory):
        def provider(self) -> MemoryProvider:
            return broken()

    assert said in faults(Broken, PROMISES_OF_PROVIDERS)


def test_a_price_that_is_to_come_is_found_out() -> None:
    class Hasty(Memory):
        def provider(self) -> MemoryProvider:
            ahead = self.query().now + timedelta(days=1)
            return broken_offers(live_offer(NAME, observed_at=ahead))()

    assert "which is to come" in faults(Hasty, PROMISES_OF_PROVIDERS)


def test_a_provider_that_cannot_be_asked_fails_with_its_own_words() -> None:
    class Dead(Memory):
        def provider(self) -> Any:
            return failing(NAME, RuntimeError("socket closed"))

    with pytest.raises(RuntimeError, match="socket closed"):
        its_offers_are_sound(Dead())


def told(kind: ErrorKind, message: str = "no") -> ProviderError:
    return ProviderError(message, provider=NAME, kind=kind)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (None, "being_throttled_is_told_as_that: AssertionError: nothing was refused"),
        (ValueError("no JSON"), "half_an_answer_is_none: AssertionError: ValueError is no ProviderError"),
        (told(ErrorKind.INVALID), "the kind is invalid, not throttled"),
        (told(ErrorKind.AUTH), "an_error_of_the_server_is_one_that_passes: AssertionError: the kind is auth"),
        (told(ErrorKind.CAPACITY), "the kind is capacity, not transient or invalid"),
        (told(ErrorKind.THROTTLED, "open-sesame is bad"), "a secret is shown"),
        (told(ErrorKind.THROTTLED, ""), "the error says nothing"),
    ],
)
def test_a_provider_that_misreads_its_service_is_found_out(raised: Exception | None, said: str) -> None:
    assert said in faults(lambda: Served(raised), PROMISES_OF_PROVIDERS)


def test_a_refused_key_has_to_be_found_by_check_as_well() -> None:
    found = faults(lambda: Served(told(ErrorKind.AUTH)), PROMISES_OF_PROVIDERS)
    assert "check finds nothing wrong with a key that is refused" in found


def test_a_provider_that_reads_the_first_page_alone_is_found_out() -> None:
    class Hasty(Served):
        def provider(self) -> MemoryProvider:
            both = (live_offer(NAME), live_offer(NAME, sku="second"))
            return broken_offers(*both[: 1 if self.troubled else 2])()

    assert "lost between pages: ['memory/" in faults(Hasty, PROMISES_OF_PROVIDERS)


class _Deaf(MemoryProvider):
    async def fetch_offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        return await super().fetch_offers(query)


def test_a_question_that_goes_on_when_it_is_cancelled_is_found_out() -> None:
    class Deaf(Served):
        def provider(self) -> MemoryProvider:
            return _Deaf()

    with pytest.raises(AssertionError, match="it goes on, or answers"):
        a_question_that_is_cancelled_ends_at_once(Deaf())


class _Doubles(MemoryDriver):
    async def create(self, request: NodeRequest) -> Node:
        node = await super().create(request)
        if node.name + "-2" in self.cloud.nodes or node.id != request.name:
            return node
        again = replace(node, id=node.id + "-2")
        self.cloud.nodes[again.id] = again
        return again


class _TellsTheKey(MemoryDriver):
    async def create(self, request: NodeRequest) -> Node:
        logging.getLogger("cloud").debug("Authorization: open-sesame")
        return await super().create(request)


class _IsNeverFull(MemoryDriver):
    async def create(self, request: NodeRequest) -> Node:
        self.cloud.room = 8
        return await super().create(request)


class _ForgetsLaunches(MemoryDriver):
    async def create(self, request: NodeRequest) -> Node:
        return await super().create(replace(request, launches=request.launches[:1]))


class _RaisesForGone(MemoryDriver):
    async def read(self, node_id: str) -> Node:
        return self.cloud.nodes[node_id]


class _CannotDeleteTwice(MemoryDriver):
    async def delete(self, node_id: str) -> None:
        del self.cloud.nodes[node_id]


class _ListsEverything(MemoryDriver):
    async def list(self, deployment: str) -> tuple[Node, ...]:
        del deployment
        return tuple(self.cloud.nodes.values())


class _ListsOnlyItsOwn(MemoryDriver):
    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.mine: set[str] = set()

    async def create(self, request: NodeRequest) -> Node:
        self.mine.add(request.name)
        return await super().create(request)

    async def list(self, deployment: str) -> tuple[Node, ...]:
        return tuple(n for n in await super().list(deployment) if n.name in self.mine)


class _LeavesWhatFailed(MemoryDriver):
    async def create(self, request: NodeRequest) -> Node:
        try:
            return await super().create(request)
        except ProviderError:
            left = Node(id=request.name, name=request.name, deployment="contract", state=NodeState.FAILED)
            self.cloud.nodes[left.id] = left
            raise


class _OverlapsItself(MemoryDriver):
    async def create(self, request: NodeRequest) -> Node:
        if request.name in self.cloud.nodes:
            return self.cloud.nodes[request.name]
        await asyncio.sleep(0)
        second = "-2" if request.name in self.cloud.nodes else ""
        return await super().create(replace(request, name=request.name + second))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (_Doubles, "create made a second node"),
        (_ForgetsLaunches, "endpoints are"),
        (_RaisesForGone, "contract-never-was"),
        (_CannotDeleteTwice, "contract-never-was"),
        (_ListsEverything, "found in another deployment too"),
        (_ListsOnlyItsOwn, "list_finds_the_nodes_of_its_deployment_alone"),
        (_LeavesWhatFailed, "contract-impossible was left behind"),
        (_OverlapsItself, "two creates at once made two nodes"),
        (_TellsTheKey, "no_secret_is_in_a_node_its_driver_or_a_log: AssertionError: a secret is shown"),
        (
            _IsNeverFull,
            "capacity_that_goes_between_list_and_create_is_told_as_that: AssertionError: nothing was",
        ),
    ],
)
def test_a_driver_that_breaks_the_contract_is_found_out(broken: type[MemoryDriver], said: str) -> None:
    class Broken(Memory):
        driven = broken

    assert said in faults(Broken, PROMISES_OF_DRIVERS)


def faults(make: Callable[[], Subject], promises: Iterable[Promise]) -> str:
    """What the suite says is wrong, each promise with a subject of its own."""
    found = []
    for promise in promises:
        try:
            promise(make())
        except SkipTest:
            continue
        except Exception as fault:
            found.append(f"{promise.__name__}: {type(fault).__name__}: {fault}")
    assert found, "the suite found nothing"
    return "\n".join(found)
