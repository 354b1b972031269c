"""The contract suite: what every provider and every driver of nodes must hold to. For pytest, in a plugin's own tests.

    class TestMyProvider(ProviderContract):
        def provider(self): return MyProvider()

    class TestMyDriver(NodeDriverContract):
        def driver(self): return MyProvider().node_driver(self.folder, {})
        def request(self, name): return NodeRequest(name=name, deployment="contract", ...)

Our own providers pass the same suite. It needs no pytest itself: every method is a plain function that raises
AssertionError with what is wrong. Must not ask a provider for anything that costs money; what its driver creates it
deletes, whatever fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hetops.domain.offer import Offer, PriceBasis
from hetops.domain.plan import Refusal
from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.provider import (
    Capability,
    CheckResult,
    Node,
    NodeDriver,
    NodeRequest,
    NodeState,
    OfferOrReason,
    OfferQuery,
    Provider,
)
from hetops.plugin.soundness import sound_offer

CHECK_SECONDS = 2.0
"""How long `Provider.check` may take."""

_TURNS_BEFORE_CANCEL = 20
"""Of the event loop: by then a create is under way."""


class ProviderContract:
    """What a provider must hold to. Say which in `provider`; the other methods may stay as they are."""

    def provider(self) -> Provider:
        """A fresh provider, able to answer."""
        raise NotImplementedError("say which provider is tested")

    def query(self) -> OfferQuery:
        """What it is asked for. With `gpu_types` of the catalogue, offers of other GPU types are found out."""
        return OfferQuery(now=datetime.now(UTC), gpu_types=(), settings=self.settings())

    def settings(self) -> Mapping[str, Any]:
        """Settings that are right."""
        return {}

    def wrong_settings(self) -> Mapping[str, Any] | None:
        """Settings that must be refused; None where the provider has none."""
        return {"no-such-field": 1}

    def secrets(self) -> tuple[str, ...]:
        """Values that may stand in nothing that is shown: the keys that the provider was given."""
        return ()

    def test_it_is_a_provider_with_a_plain_name_and_known_capabilities(self) -> None:
        """The name stands in offers, in `[providers.NAME]` and in the names of resources."""
        provider = self.provider()
        assert isinstance(provider, Provider), "name, capabilities, check, fetch_offers and quota are needed"
        name = provider.name
        plain = name.isascii() and name == name.lower() and name.replace("-", "").isalnum()
        assert plain, f"{name!r} may hold a-z, 0-9 and '-' only"
        foreign = [c for c in provider.capabilities if not isinstance(c, Capability)]
        assert not foreign, f"no capabilities: {foreign}"

    def test_its_offers_are_sound(self) -> None:
        """What is not sound would be refused one by one, with its reason."""
        provider, query = self.provider(), self.query()
        for thing in _offers(provider, query):
            try:
                sound_offer(provider.name, thing, now=query.now)
            except ValueError as fault:
                raise AssertionError(f"no offer: {fault}: {thing!r}") from fault

    def test_its_offers_can_be_told_apart_and_keep_their_ids(self) -> None:
        """Pools are named after offers: an id that changes replaces machines."""
        provider, query = self.provider(), self.query()
        first, second = ([o.id for o in _offers(provider, query)] for _ in range(2))
        assert len(set(first)) == len(first), "two offers have one id"
        assert set(first) == set(second), "asked twice, the ids differ"

    def test_its_offers_are_of_known_gpu_types(self) -> None:
        """Says nothing where the query has none."""
        query = self.query()
        known = {g.name for g in query.gpu_types}
        unknown = {o.gpu for o in _offers(self.provider(), query)} - known
        assert not known or not unknown, f"not in the catalogue: {sorted(unknown)}"

    def test_a_price_that_holds_for_a_while_says_for_how_long(self) -> None:
        """Live prices are refused once they are older than `ttl_seconds`."""
        for offer in _offers(self.provider(), self.query()):
            live = offer.basis is PriceBasis.LIVE
            assert not live or offer.ttl_seconds > 0, f"{offer.id} is live and holds no second"
            assert offer.source, f"{offer.id} does not say where its price comes from"

    def test_what_it_checks_is_told_quickly_and_each_fault_has_its_fix(self) -> None:
        """`hetops doctor` waits no longer."""
        began = time.monotonic()
        results = self.provider().check(self.settings())
        took = time.monotonic() - began
        assert took < CHECK_SECONDS, f"check took {took:.1f} s"
        _are_check_results(results)

    def test_wrong_settings_are_a_finding_of_check_and_an_error_of_fetch(self) -> None:
        """A misspelt setting would otherwise be one that silently does not hold."""
        wrong = self.wrong_settings()
        if wrong is None:
            return
        provider, query = self.provider(), self.query()
        results = provider.check(wrong)
        _are_check_results(results)
        assert not all(r.ok for r in results), "check finds nothing wrong with wrong settings"
        asked = OfferQuery(
            now=query.now, gpu_types=query.gpu_types, settings=wrong, list_prices=query.list_prices
        )
        error = _refusal(lambda: provider.fetch_offers(asked), provider.name)
        assert error.kind is ErrorKind.INVALID, f"the kind is {error.kind}, not invalid"

    def test_its_quota_is_sound_and_knows_the_groups_of_its_offers(self) -> None:
        """Offers share a limit by the name of its group."""
        provider = self.provider()
        quotas = asyncio.run(provider.quota(self.settings()))
        for quota in quotas:
            assert quota.limit >= 0, f"{quota.group}: a limit below zero"
            assert quota.used >= 0, f"{quota.group}: less than nothing used"
            assert quota.unit, f"{quota.group} has no unit"
        known = {q.group for q in quotas}
        named = {s.group for o in _offers(provider, self.query()) for s in o.limits.quotas}
        assert not quotas or named <= known, f"quota() knows nothing of {sorted(named - known)}"

    def test_no_secret_is_in_what_it_hands_over_or_logs(self) -> None:
        """Whatever is handed over may be printed, cached, or be part of a plan."""
        provider, query = self.provider(), self.query()
        with _logged() as log:
            shown = [
                provider.check(self.settings()),
                asyncio.run(_fetched(provider, query)),
                asyncio.run(provider.quota(self.settings())),
                provider,
            ]
        for secret in self.secrets():
            assert not any(secret in repr(thing) for thing in shown), "a secret is in what it hands over"
            assert not any(secret in line for line in log), "a secret is in a log"


class NodeDriverContract:
    """What a driver of nodes must hold to. Every test has a node of its own and deletes it."""

    provider_name = ""
    """Of the provider whose driver it is; errors must carry it. Empty: not looked at."""

    def driver(self) -> NodeDriver:
        """A driver. Called again within a test it must see the same nodes: nothing may live in the object alone."""
        raise NotImplementedError("say which driver is tested")

    def request(self, name: str) -> NodeRequest:
        """A request for a node of that name that can be met, all in one deployment."""
        raise NotImplementedError("say what a node is")

    def impossible_request(self, name: str) -> NodeRequest | None:
        """A request that cannot be met; None where there is none."""
        del name
        return None

    def losing_driver(self) -> NodeDriver | None:
        """A driver whose first create happens and whose answer is lost; None where that cannot be brought about."""
        return None

    def test_a_created_node_runs_and_has_an_endpoint_for_each_launch(self) -> None:
        """`create` returns when the endpoints are known."""

        async def test(driver: NodeDriver, request: NodeRequest) -> None:
            node = await driver.create(request)
            assert node.state is NodeState.RUNNING, f"state is {node.state}: {node.message}"
            assert (node.name, node.deployment) == (request.name, request.deployment)
            assert len(node.endpoints) == len(request.launches), f"endpoints are {node.endpoints}"
            assert all(node.endpoints), f"endpoints are {node.endpoints}"

        self._with_a_node("contract-created", test)

    def test_a_node_that_exists_is_adopted_by_another_driver_never_doubled(self) -> None:
        """A killed run comes back with a new process and the same names."""

        async def test(driver: NodeDriver, request: NodeRequest) -> None:
            first = await driver.create(request)
            second = await self.driver().create(request)
            assert (second.id, second.endpoints) == (first.id, first.endpoints), "create made a second node"
            assert await _names(driver, request) == [request.name]

        self._with_a_node("contract-adopted", test)

    def test_creates_of_one_name_at_once_make_one_node(self) -> None:
        """Two runs may overlap where a lock was lost."""

        async def test(driver: NodeDriver, request: NodeRequest) -> None:
            one, two = await asyncio.gather(driver.create(request), self.driver().create(request))
            assert one.id == two.id, "two creates at once made two nodes"
            assert await _names(driver, request) == [request.name]

        self._with_a_node("contract-at-once", test)

    def test_a_create_whose_answer_is_lost_makes_one_node(self) -> None:
        """It is looked for by its name before it is asked for again."""
        losing = self.losing_driver()
        if losing is None:
            return

        async def test(driver: NodeDriver, request: NodeRequest) -> None:
            with contextlib.suppress(ProviderError):
                await losing.create(request)
            node = await driver.create(request)
            assert await _names(driver, request) == [request.name]
            assert node.state is NodeState.RUNNING, f"state is {node.state}: {node.message}"

        self._with_a_node("contract-lost", test)

    def test_a_create_that_is_cancelled_leaves_nothing_that_the_next_one_does_not_adopt(self) -> None:
        """A user who presses Ctrl-C pays for no second node."""

        async def test(driver: NodeDriver, request: NodeRequest) -> None:
            create = asyncio.ensure_future(driver.create(request))
            for _ in range(_TURNS_BEFORE_CANCEL):
                await asyncio.sleep(0)
            create.cancel()
            await asyncio.gather(create, return_exceptions=True)
            node = await self.driver().create(request)
            assert await _names(driver, request) == [request.name]
            assert node.state is NodeState.RUNNING, f"state is {node.state}: {node.message}"

        self._with_a_node("contract-cancelled", test)

    def test_a_node_is_read_as_it_was_created(self) -> None:
        """What `read` tells is what drift is found by."""

        async def test(driver: NodeDriver, request: NodeRequest) -> None:
            created = await driver.create(request)
            read = await self.driver().read(created.id)
            assert (read.id, read.name, read.deployment) == (created.id, created.name, created.deployment)
            assert (read.state, read.endpoints) == (NodeState.RUNNING, created.endpoints)

        self._with_a_node("contract-read", test)

    def test_list_finds_the_nodes_of_its_deployment_alone(self) -> None:
        """Found without any state of ours: this is how orphans are found."""

        async def test(driver: NodeDriver, request: NodeRequest) -> None:
            await driver.create(request)
            assert request.name in await _names(self.driver(), request)
            others = await driver.list(f"not-{request.deployment}")
            assert request.name not in [n.name for n in others], "found in another deployment too"

        self._with_a_node("contract-listed", test)

    def test_a_deleted_node_is_gone_for_read_and_list(self) -> None:
        """And deleting it again is success."""

        async def test(driver: NodeDriver, request: NodeRequest) -> None:
            node = await driver.create(request)
            await driver.delete(node.id)
            assert (await driver.read(node.id)).state is NodeState.GONE
            assert request.name not in await _names(driver, request)
            await driver.delete(node.id)

        self._with_a_node("contract-deleted", test)

    def test_a_node_that_never_was_is_gone_and_its_deletion_success(self) -> None:
        """Neither is an error: another run may have been first."""

        async def test() -> None:
            driver = self.driver()
            node = await driver.read("contract-never-was")
            assert node.state is NodeState.GONE, f"state is {node.state}"
            await driver.delete("contract-never-was")

        asyncio.run(test())

    def test_what_cannot_be_created_is_a_provider_error_and_leaves_nothing(self) -> None:
        """A node that no state knows would cost money for ever."""
        request = self.impossible_request("contract-impossible")
        if request is None:
            return
        driver = self.driver()
        try:
            _refusal(lambda: driver.create(request), self.provider_name)
            left = asyncio.run(_names(driver, request))
            assert request.name not in left, f"{request.name} was left behind"
        finally:
            asyncio.run(driver.delete(request.name))

    def _with_a_node(self, name: str, test: Callable[[NodeDriver, NodeRequest], Awaitable[None]]) -> None:
        """Runs the test and deletes what it left, found by the driver's own `list`."""
        request = self.request(name)
        driver = self.driver()

        async def run() -> None:
            try:
                await test(driver, request)
            finally:
                for node in await driver.list(request.deployment):
                    if node.name == request.name:
                        await driver.delete(node.id)

        asyncio.run(run())


def _offers(provider: Provider, query: OfferQuery) -> tuple[Offer, ...]:
    """What it hands over, less the reasons for what it does not."""
    answer = asyncio.run(_fetched(provider, query))
    return tuple(thing for thing in answer if not isinstance(thing, Refusal | ProviderError))


async def _fetched(provider: Provider, query: OfferQuery) -> tuple[OfferOrReason, ...]:
    return await provider.fetch_offers(query)


async def _names(driver: NodeDriver, request: NodeRequest) -> list[str]:
    found: tuple[Node, ...] = await driver.list(request.deployment)
    return [node.name for node in found if node.name == request.name]


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Everything that is logged in the block, whoever logs it and however little it matters."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    root, handler = logging.getLogger(), Keeping(logging.DEBUG)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def _are_check_results(results: tuple[CheckResult, ...]) -> None:
    for result in results:
        assert isinstance(result, CheckResult), f"check gave {result!r}"
        assert result.subject, f"it does not say what was looked at: {result}"
        assert result.detail, f"{result.subject}: it does not say what was found"
        assert result.ok or result.fix, f"{result.subject}: a fault without a fix"


def _refusal(call: Callable[[], Awaitable[Any]], provider: str) -> ProviderError:
    """The ProviderError that the call must raise."""

    async def called() -> object:
        return await call()

    try:
        answer = asyncio.run(called())
    except ProviderError as fault:
        error = fault
    except Exception as fault:
        raise AssertionError(f"{type(fault).__name__} is no ProviderError: {fault}") from fault
    else:
        raise AssertionError(f"nothing was refused: {answer!r}")
    assert not provider or error.provider == provider, f"the error is of provider {error.provider!r}"
    assert error.message, "the error says nothing"
    return error
