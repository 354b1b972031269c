"""A `NodeDriver` for clouds that rent out machines over HTTP: one idempotent create for all of them.

What differs from cloud to cloud is a `NodeCloud`, six plain questions. Decides when to ask, what to adopt and when to
give up. Must not ask twice for a machine that may exist, nor leave one that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import httpx

from hetops.errors import ErrorKind, HetopsError, ProviderError, Scope
from hetops.plugin.http import HttpError
from hetops.plugin.pace import RealClock
from hetops.plugin.provider import Node, NodeRequest, NodeState
from hetops.plugin.surroundings import Clock

PATIENCE_SECONDS = 90.0
"""How long a `NodeCloud` does well to wait for one answer: a create that fails for a busy API costs more."""

_LOCK_POLL_SECONDS = 0.05

_PASSING = frozenset({ErrorKind.TRANSIENT, ErrorKind.THROTTLED})


class NodeCloud(Protocol):
    """One cloud's machines. Every method raises ProviderError and nothing else."""

    provider: str

    def refuse_impossible(self, request: NodeRequest) -> None:
        """Raises ProviderError of kind invalid for what can never be had; asks nobody."""
        ...

    async def launch(self, request: NodeRequest) -> str:
        """Asks for the machine, once, and answers with its id.

        An HttpError whose `unknown_outcome` is set says that it may exist all the same.
        """
        ...

    async def prepare(self, node: Node, request: NodeRequest) -> None:
        """Starts the engines on a machine that runs, where nothing else does. May be called again, and at once.

        A ProviderError of a kind that passes is tried again at the next look.
        """
        ...

    async def look(self, node_id: str) -> Node | None:
        """The machine of that id as a node; None where there is none, or where it is going."""
        ...

    async def ours(self) -> tuple[Node, ...]:
        """Every machine that hetops asked for, whatever the deployment; those that are going left out."""
        ...

    async def terminate(self, node_id: str) -> None:
        """Removes the machine; one that is gone already is success."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long a new node may take, and how often it is looked at."""

    boot_seconds: float = 1800.0
    """Until the machine runs and its addresses are known. Its engines then have their own `ready_seconds`."""
    first_poll_seconds: float = 2.0
    longest_poll_seconds: float = 20.0
    settle_seconds: tuple[float, ...] = (0.0, 3.0, 10.0)
    """After a create whose answer was lost: when to look for what it may have made."""
    health_seconds: float = 5.0


class CloudDriver:
    """Nodes of one cloud, by the contract of `NodeDriver`. A node's name is its identity; ids are the cloud's."""

    def __init__(
        self, cloud: NodeCloud, state_folder: Path, *, clock: Clock | None = None, waits: Waits | None = None
    ) -> None:
        self._cloud = cloud
        self._locks = state_folder / "locks"
        self._clock = clock or RealClock()
        self._waits = waits or Waits()

    async def create(self, request: NodeRequest) -> Node:
        """As `NodeDriver.create`. What cannot serve is removed again."""
        self._cloud.refuse_impossible(request)
        async with self._alone(request.name):
            node = await self._standing(request) or await self._launched(request)
        try:
            return await self._serving(node, request)
        except _NotServingError as failure:
            raise await self._removed(node, str(failure)) from failure

    async def read(self, node_id: str) -> Node:
        """As `NodeDriver.read`: RUNNING once its engines answer."""
        node = await self._cloud.look(node_id)
        if node is None:
            return Node(id=node_id, name=node_id, deployment="", state=NodeState.GONE)
        if node.state is not NodeState.RUNNING:
            return node
        answers = await _all_answer(node.endpoints, self._waits.health_seconds)
        return node if answers else replace(node, state=NodeState.PENDING)

    async def delete(self, node_id: str) -> None:
        """As `NodeDriver.delete`. The machine ends at once: requests are drained by who stops sending them."""
        await self._cloud.terminate(node_id)

    async def list(self, deployment: str) -> tuple[Node, ...]:
        """As `NodeDriver.list`: by what the cloud itself remembers of each machine."""
        return tuple(node for node in await self._cloud.ours() if node.deployment == deployment)

    # Creating

    @contextlib.asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """One create of a name at a time on this machine: these clouds would make a second node of the name."""
        with contextlib.ExitStack() as opened:
            try:
                self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = opened.enter_context((self._locks / f"{name}.lock").open("w"))
                while not _locked(file.fileno()):
                    await asyncio.sleep(_LOCK_POLL_SECONDS)
            except OSError as fault:
                message = f"{self._locks} cannot be locked: {fault.strerror or fault}"
                raise ProviderError(
                    message, provider=self._cloud.provider, kind=ErrorKind.INVALID, scope=Scope.OFFER
                ) from fault
            yield

    async def _standing(self, request: NodeRequest) -> Node | None:
        """The node of the name that stands; one that failed makes room for a new one."""
        node = _first(await self._named(request))
        if node is None or node.state is not NodeState.FAILED:
            return node
        await self._cloud.terminate(node.id)
        return None

    async def _launched(self, request: NodeRequest) -> Node:
        try:
            node_id = await self._cloud.launch(request)
        except ProviderError as fault:
            found = await self._made_all_the_same(request) if _may_exist(fault) else None
            if found is None:
                raise
            return found
        return await self._the_only_one(request, node_id)

    async def _made_all_the_same(self, request: NodeRequest) -> Node | None:
        """What a create made whose answer was lost. Lists may lag behind."""
        for seconds in self._waits.settle_seconds:
            await self._clock.sleep(seconds)
            if node := _first(await self._named(request)):
                return node
        return None

    async def _the_only_one(self, request: NodeRequest, node_id: str) -> Node:
        """The new node; where another machine made one of the name as well, both keep the same and remove the rest."""
        named = await self._named(request)
        kept = _first(named)
        for other in named:
            if kept and other.id != kept.id:
                await self._cloud.terminate(other.id)
        pending = Node(id=node_id, name=request.name, deployment=request.deployment, state=NodeState.PENDING)
        return kept or pending

    async def _named(self, request: NodeRequest) -> Sequence[Node]:
        return [node for node in await self.list(request.deployment) if node.name == request.name]

    # Waiting

    async def _serving(self, node: Node, request: NodeRequest) -> Node:
        """The node once all its engines answer."""
        end, pause = self._clock.now() + self._waits.boot_seconds, self._waits.first_poll_seconds
        prepared = False
        while True:
            now = await self._looked(node)
            if now.state is NodeState.RUNNING and all(now.endpoints):
                if await self._healthy(now, request):
                    return now
                if not prepared and await self._prepared(now, request):
                    prepared = True
                    end = self._clock.now() + max(each.ready_seconds for each in request.launches)
            if self._clock.now() >= end:
                what = "its engines do not answer" if prepared else "the machine does not run"
                raise _NotServingError(f"{what} in the time they have")
            await self._clock.sleep(pause)
            pause = min(2 * pause, self._waits.longest_poll_seconds)

    async def _prepared(self, node: Node, request: NodeRequest) -> bool:
        try:
            await self._cloud.prepare(node, request)
        except ProviderError as fault:
            if fault.kind not in _PASSING:
                raise _NotServingError(fault.message) from fault
            return False
        return True

    async def _looked(self, node: Node) -> Node:
        """The node now; a look that fails and may succeed the next time tells nothing."""
        try:
            now = await self._cloud.look(node.id)
        except ProviderError as fault:
            if fault.kind not in _PASSING:
                raise
            return replace(node, state=NodeState.PENDING)
        if now is None:
            raise _NotServingError("it vanished while it started")
        if now.state is NodeState.FAILED:
            raise _NotServingError(now.message or "it failed while it started")
        return now

    async def _healthy(self, node: Node, request: NodeRequest) -> bool:
        paths = [launch.health_path for launch in request.launches]
        if len(node.endpoints) != len(paths):
            return False
        urls = {f"{url.rstrip('/')}{path}" for url, path in zip(node.endpoints, paths, strict=True)}
        statuses = await _statuses(urls, self._waits.health_seconds)
        return all(status == 200 for status in statuses.values())

    async def _removed(self, node: Node, problem: str) -> ProviderError:
        """The error of a node that did not come to serve. Nothing of it is left, or its id is told."""
        details = []
        try:
            await self._cloud.terminate(node.id)
        except HetopsError as fault:
            details.append(f"{node.id} could not be removed: {fault.message}")
        return ProviderError(
            f"node {node.name} ({node.id}) did not start: {problem}",
            provider=self._cloud.provider,
            kind=ErrorKind.TRANSIENT,
            scope=Scope.OFFER,
            details=details,
        )


class _NotServingError(Exception):
    """A node that will not serve."""


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _first(nodes: Iterable[Node]) -> Node | None:
    """Of nodes of one name, the one that everybody would choose: one that has not failed, then by id."""
    return min(nodes, key=lambda node: (node.state is NodeState.FAILED, node.id), default=None)


def _may_exist(fault: ProviderError) -> bool:
    return isinstance(fault, HttpError) and fault.unknown_outcome


async def _all_answer(endpoints: tuple[str, ...], seconds: float) -> bool:
    """Whether something speaks HTTP at every endpoint. A proxy in front of a dead engine answers with 5xx."""
    statuses = await _statuses(endpoints, seconds)
    return bool(endpoints) and all(0 < status < 500 for status in statuses.values())


async def _statuses(urls: Iterable[str], seconds: float) -> Mapping[str, int]:
    """The status that each URL answers with, 0 where none does. Engines do not redirect and get no cookies."""
    asked = tuple(urls)
    async with httpx.AsyncClient(timeout=seconds, trust_env=False) as client:
        return dict(zip(asked, await asyncio.gather(*(_status(client, url) for url in asked)), strict=True))


async def _status(client: httpx.AsyncClient, url: str) -> int:
    try:
        async with client.stream("GET", url) as response:
            return response.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return 0
