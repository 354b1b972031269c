"""What every driver of nodes promises: one node for a name whatever happens, and none that nobody finds.

Every promise has a node of its own, found by the driver's own list and deleted whatever fails.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.provider import NodeDriver, NodeRequest, NodeState
from hetops.plugin.testing.subject import Promise, Subject, Trouble, logged, no_secret_in, refusal

_TURNS_BEFORE_CANCEL = 20
"""Of the event loop: by then a create is under way."""


def a_created_node_runs_and_has_an_endpoint_for_each_launch(subject: Subject) -> None:
    """`create` returns when the endpoints are known."""

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        node = await driver.create(request)
        assert node.state is NodeState.RUNNING, f"state is {node.state}: {node.message}"
        told = (node.name, node.deployment)
        assert told == (request.name, request.deployment), f"name and deployment are {told}"
        assert len(node.endpoints) == len(request.launches), f"endpoints are {node.endpoints}"
        assert all(node.endpoints), f"endpoints are {node.endpoints}"

    _with_a_node(subject, "contract-created", test)


def a_node_that_exists_is_adopted_by_another_driver_never_doubled(subject: Subject) -> None:
    """A killed run comes back with a new process and the same names."""

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        first = await driver.create(request)
        second = await subject.driver().create(request)
        assert (second.id, second.endpoints) == (first.id, first.endpoints), "create made a second node"
        await _is_the_only_one(driver, request)

    _with_a_node(subject, "contract-adopted", test)


def creates_of_one_name_at_once_make_one_node(subject: Subject) -> None:
    """Two runs may overlap where a lock was lost."""

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        one, two = await asyncio.gather(driver.create(request), subject.driver().create(request))
        assert one.id == two.id, "two creates at once made two nodes"
        await _is_the_only_one(driver, request)

    _with_a_node(subject, "contract-at-once", test)


def a_create_whose_answer_is_lost_makes_one_node_that_list_finds(subject: Subject) -> None:
    """It is looked for by its name before it is asked for again."""
    subject.meets(Trouble.LOST_CREATE)

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        with contextlib.suppress(ProviderError):
            await driver.create(request)
        await _is_the_only_one(subject.driver(), request)
        node = await subject.driver().create(request)
        await _is_the_only_one(driver, request)
        assert node.state is NodeState.RUNNING, f"state is {node.state}: {node.message}"

    _with_a_node(subject, "contract-lost", test)


def a_create_that_is_cancelled_leaves_nothing_that_the_next_one_does_not_adopt(subject: Subject) -> None:
    """A user who presses Ctrl-C pays for no second node."""

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        create = asyncio.ensure_future(driver.create(request))
        for _ in range(_TURNS_BEFORE_CANCEL):
            await asyncio.sleep(0)
        create.cancel()
        await asyncio.gather(create, return_exceptions=True)
        node = await subject.driver().create(request)
        await _is_the_only_one(driver, request)
        assert node.state is NodeState.RUNNING, f"state is {node.state}: {node.message}"

    _with_a_node(subject, "contract-cancelled", test)


def a_node_is_read_as_it_was_created(subject: Subject) -> None:
    """What `read` tells is what drift is found by."""

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        created = await driver.create(request)
        read = await subject.driver().read(created.id)
        same = (read.id, read.name, read.deployment) == (created.id, created.name, created.deployment)
        assert same, f"created was {created}, read is {read}"
        assert read.state is NodeState.RUNNING, f"state is {read.state}: {read.message}"
        assert read.endpoints == created.endpoints, f"endpoints are {read.endpoints}"

    _with_a_node(subject, "contract-read", test)


def list_finds_the_nodes_of_its_deployment_alone(subject: Subject) -> None:
    """Found without any state of ours: this is how orphans are found."""

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        await driver.create(request)
        await _is_the_only_one(subject.driver(), request)
        others = await driver.list(f"not-{request.deployment}")
        assert request.name not in [n.name for n in others], "found in another deployment too"

    _with_a_node(subject, "contract-listed", test)


def a_deleted_node_is_gone_for_read_and_list(subject: Subject) -> None:
    """And deleting it again is success."""

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        node = await driver.create(request)
        await driver.delete(node.id)
        read = await driver.read(node.id)
        assert read.state is NodeState.GONE, f"state is {read.state}"
        assert not await _names(driver, request), f"{request.name} is still listed"
        await driver.delete(node.id)

    _with_a_node(subject, "contract-deleted", test)


def a_node_that_never_was_is_gone_and_its_deletion_success(subject: Subject) -> None:
    """Neither is an error: another run may have been first."""

    async def test() -> None:
        driver = subject.driver()
        node = await driver.read("contract-never-was")
        assert node.state is NodeState.GONE, f"state is {node.state}"
        await driver.delete("contract-never-was")

    asyncio.run(test())


def nodes_are_listed_to_the_last_page(subject: Subject) -> None:
    """A node on the second page is as much an orphan as one on the first."""
    subject.meets(Trouble.SHORT_PAGES)

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        second = replace(request, name=f"{request.name}-too")
        await driver.create(request)
        other = await driver.create(second)
        try:
            names = [node.name for node in await driver.list(request.deployment)]
            assert {request.name, second.name} <= set(names), f"listed are {names}"
        finally:
            await driver.delete(other.id)

    _with_a_node(subject, "contract-paged", test)


def capacity_that_goes_between_list_and_create_is_told_as_that(subject: Subject) -> None:
    """`up` then plans again without the offer. Nothing is left behind."""
    subject.meets(Trouble.SOLD_OUT)
    _creates_nothing(subject, subject.request("contract-taken"), ErrorKind.CAPACITY)


def what_cannot_be_created_is_a_provider_error_and_leaves_nothing(subject: Subject) -> None:
    """A node that no state knows would cost money for ever."""
    _creates_nothing(subject, subject.impossible_request("contract-impossible"), *ErrorKind)


def a_key_that_is_refused_creates_nothing(subject: Subject) -> None:
    """And is told as a matter of credentials."""
    subject.meets(Trouble.KEY_REFUSED)
    driver, request = subject.driver(), subject.request("contract-refused")
    error = refusal(subject, lambda: driver.create(request))
    assert error.kind is ErrorKind.AUTH, f"the kind is {error.kind}, not auth: {error.message}"


def no_secret_is_in_a_node_its_driver_or_a_log(subject: Subject) -> None:
    """Nodes stand in the state, as they are."""
    shown: list[object] = []

    async def test(driver: NodeDriver, request: NodeRequest) -> None:
        node = await driver.create(request)
        read = await driver.read(node.id)
        listed = await driver.list(request.deployment)
        shown.extend((driver, getattr(driver, "__dict__", {}), node, read, listed))

    with logged() as log:
        _with_a_node(subject, "contract-secret", test)
    no_secret_in(subject, *shown, *log)


PROMISES_OF_DRIVERS: tuple[Promise, ...] = (
    a_created_node_runs_and_has_an_endpoint_for_each_launch,
    a_node_that_exists_is_adopted_by_another_driver_never_doubled,
    creates_of_one_name_at_once_make_one_node,
    a_create_whose_answer_is_lost_makes_one_node_that_list_finds,
    a_create_that_is_cancelled_leaves_nothing_that_the_next_one_does_not_adopt,
    a_node_is_read_as_it_was_created,
    list_finds_the_nodes_of_its_deployment_alone,
    a_deleted_node_is_gone_for_read_and_list,
    a_node_that_never_was_is_gone_and_its_deletion_success,
    nodes_are_listed_to_the_last_page,
    capacity_that_goes_between_list_and_create_is_told_as_that,
    what_cannot_be_created_is_a_provider_error_and_leaves_nothing,
    a_key_that_is_refused_creates_nothing,
    no_secret_is_in_a_node_its_driver_or_a_log,
)
"""What every driver of nodes holds to."""


def _with_a_node(
    subject: Subject, name: str, test: Callable[[NodeDriver, NodeRequest], Awaitable[None]]
) -> None:
    """Runs the test and deletes what it left."""
    driver, request = subject.driver(), subject.request(name)

    async def run() -> None:
        try:
            await test(driver, request)
        finally:
            for node in await driver.list(request.deployment):
                if node.name == request.name:
                    await driver.delete(node.id)

    asyncio.run(run())


def _creates_nothing(subject: Subject, request: NodeRequest, *kinds: ErrorKind) -> None:
    """The create is refused as one of these kinds, and no node of the name is there afterwards."""
    driver = subject.driver()
    try:
        error = refusal(subject, lambda: driver.create(request))
        assert error.kind in kinds, f"the kind is {error.kind}, not {kinds[0]}: {error.message}"
        left = asyncio.run(_names(driver, request))
        assert not left, f"{request.name} was left behind"
    finally:
        asyncio.run(driver.delete(request.name))


async def _names(driver: NodeDriver, request: NodeRequest) -> list[str]:
    return [node.name for node in await driver.list(request.deployment) if node.name == request.name]


async def _is_the_only_one(driver: NodeDriver, request: NodeRequest) -> None:
    """The name is listed once."""
    names = await _names(driver, request)
    assert names == [request.name], f"of {request.name} there are {len(names)} in the list"
