"""Edge: nodes as processes of this machine. Creates, adopts, reads, lists and deletes them; waits until they answer.

    <state folder>/nodes/<node>/node.json           what was asked for
    <state folder>/nodes/<node>/<replica>/          see `replica`
    <state folder>/nodes/<node>.failed.log          the last start that failed

A node is found by its folder, and by the marks in its processes' environments where the folder is gone. Whoever creates
a node may be killed at any instant: what runs then is found and adopted by the next create of that name.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from hetops.plugin import (
    ErrorKind,
    HetopsError,
    Launch,
    Node,
    NodeRequest,
    NodeState,
    ProviderError,
    Scope,
    write_whole,
)
from hetops_local import admission, processes
from hetops_local.processes import Marked
from hetops_local.replica import Replica
from hetops_local.settings import PROVIDER

_POLL_SECONDS = 0.05
_HEALTH_SECONDS = 5.0
_GRACE_SECONDS = 5.0
"""How long a process may take to vanish after SIGKILL (a disk that hangs)."""

P = ParamSpec("P")
T = TypeVar("T")


def _errors_of_ours(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The one seam: whatever the machine refuses becomes a ProviderError."""

    @functools.wraps(method)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await method(*args, **kwargs)
        except ProviderError:
            raise
        except HetopsError as fault:
            raise _error(fault.message, details=fault.details, hint=fault.hint) from fault
        except OSError as fault:
            raise _error(str(fault), kind=ErrorKind.TRANSIENT) from fault

    return guarded


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What node.json remembers of a request."""

    name: str
    deployment: str
    replicas: int


class LocalDriver:
    """Nodes of this machine whose files lie under one state folder. A node's id is its name."""

    def __init__(self, state_folder: Path) -> None:
        self._state_folder = state_folder.resolve()
        self._nodes = self._state_folder / "nodes"

    @_errors_of_ours
    async def create(self, request: NodeRequest) -> Node:
        """As `NodeDriver.create`. A start that fails leaves nothing but its log.

        Raises:
            ProviderError: capacity (no free cores), invalid (the engine died; its last lines are the details),
                transient (it did not answer in time).
        """
        replicas = [self._replica(request.name, i) for i in range(len(request.launches))]
        await asyncio.to_thread(self._start, request, replicas)
        try:
            answers = [_answered(r, launch) for r, launch in zip(replicas, request.launches, strict=True)]
            endpoints = await _all_or_first_error(answers)
        except _NotServingError as failure:
            raise await self._failed(request, failure) from failure
        return Node(
            id=request.name,
            name=request.name,
            deployment=request.deployment,
            state=NodeState.RUNNING,
            endpoints=endpoints,
        )

    @_errors_of_ours
    async def read(self, node_id: str) -> Node:
        """As `NodeDriver.read`: FAILED, with its last log lines, where one of its engines has died."""
        asked = self._asked(node_id)
        if asked is not None:
            return self._node(asked)
        strays = [m for m in processes.marked() if self._belongs(m, node_id)]
        if strays:
            return _stray(strays[0])
        return Node(id=node_id, name=node_id, deployment="", state=NodeState.GONE)

    @_errors_of_ours
    async def delete(self, node_id: str) -> None:
        """As `NodeDriver.delete`: SIGTERM and time to drain, then SIGKILL, then the folder goes."""
        await self._stop(node_id)
        await asyncio.to_thread(shutil.rmtree, self._nodes / node_id, ignore_errors=True)
        (self._nodes / f"{node_id}.failed.log").unlink(missing_ok=True)

    @_errors_of_ours
    async def list(self, deployment: str) -> tuple[Node, ...]:
        """As `NodeDriver.list`: from the folders, and from the processes whose folder is gone."""
        folders = [entry.parent.name for entry in sorted(self._nodes.glob("*/node.json"))]
        asked = [a for a in map(self._asked, folders) if a and a.deployment == deployment]
        known = {a.name for a in asked}
        here = str(self._state_folder)
        strays = {
            m.node: _stray(m)
            for m in processes.marked()
            if m.state_folder == here and m.deployment == deployment and m.node not in known
        }
        return (*map(self._node, asked), *strays.values())

    def _replica(self, name: str, index: int) -> Replica:
        return Replica(self._nodes / name / str(index))

    def _belongs(self, process: Marked, node: str) -> bool:
        return process.node == node and process.state_folder == str(self._state_folder)

    # Creating

    def _start(self, request: NodeRequest, replicas: Sequence[Replica]) -> None:
        """Every replica has a process, or none has one that this call started."""
        folder = self._nodes / request.name
        self._end_strays(request.name)
        started: set[Replica] = set()
        try:
            with admission.admitted(request, self._state_folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_whole(folder / "node.json", _describe(request))
                missing = [n for n, replica in enumerate(replicas) if not replica.alive]
                for index in missing:
                    started.add(replicas[index])
                    replicas[index].start(request.launches[index], self._mark(request, index))
        except (HetopsError, OSError):
            _end_at_once(started)
            if not any(replica.alive for replica in replicas):
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _mark(self, request: NodeRequest, replica: int) -> Marked:
        return Marked(
            pid=0,
            node=request.name,
            deployment=request.deployment,
            replica=replica,
            state_folder=str(self._state_folder),
            cores=admission.cores_of(request.sku),
            run=admission.RUN,
            lock="",
        )

    def _end_strays(self, name: str) -> None:
        """Ends engines of this node whose folder was removed under them: they can no longer be adopted."""
        for process in processes.marked():
            lock = self._replica(name, process.replica).lock_identity
            if self._belongs(process, name) and process.lock and process.lock != lock:
                _signal(process.pid, signal.SIGKILL)

    async def _failed(self, request: NodeRequest, failure: _NotServingError) -> ProviderError:
        """Nothing of the node is left running; its log is kept beside where its folder was."""
        lines = failure.replica.last_lines()
        kept = self._nodes / f"{request.name}.failed.log"
        with contextlib.suppress(OSError):
            shutil.copyfile(failure.replica.folder / "log", kept)
        await self._stop(request.name)
        await asyncio.to_thread(shutil.rmtree, self._nodes / request.name, ignore_errors=True)
        return _error(
            f"{request.name} {failure}" + (f": {lines[-1]}" if lines and failure.died else ""),
            kind=ErrorKind.INVALID if failure.died else ErrorKind.TRANSIENT,
            scope=Scope.OFFER,
            details=lines,
            hint=f"its whole log: {kept}",
        )

    # Stopping

    async def _stop(self, name: str) -> None:
        """No process of the node lives."""
        folders = [p.parent for p in (self._nodes / name).glob("*/lock")]
        await asyncio.gather(*(_end(Replica(folder)) for folder in folders))
        for process in processes.marked():
            if self._belongs(process, name):
                _signal(process.pid, signal.SIGKILL)
        if not await _until(
            lambda: not any(self._belongs(m, name) for m in processes.marked()), _GRACE_SECONDS
        ):
            raise _error(f"{name} does not end, not even by SIGKILL", kind=ErrorKind.TRANSIENT)

    # Looking

    def _asked(self, name: str) -> _Asked | None:
        try:
            stored = json.loads((self._nodes / name / "node.json").read_text(encoding="utf-8"))
            return _Asked(name=name, deployment=str(stored["deployment"]), replicas=int(stored["replicas"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as fault:
            raise _error(f"{self._nodes / name / 'node.json'} cannot be understood: {fault}") from fault

    def _node(self, asked: _Asked) -> Node:
        replicas = [self._replica(asked.name, i) for i in range(asked.replicas)]
        dead = next((r for r in replicas if not r.alive), None)
        state = NodeState.FAILED if dead else NodeState.RUNNING
        if not dead and not all(r.endpoint for r in replicas):
            state = NodeState.PENDING
        return Node(
            id=asked.name,
            name=asked.name,
            deployment=asked.deployment,
            state=state,
            endpoints=tuple(r.endpoint if r is not dead else "" for r in replicas),
            message="" if dead is None else "\n".join(("its engine has died", *dead.last_lines())),
        )


class _NotServingError(Exception):
    """A replica that will not serve: it died, or its time is up."""

    def __init__(self, replica: Replica, reason: str, *, died: bool) -> None:
        super().__init__(reason)
        self.replica = replica
        self.died = died


async def _answered(replica: Replica, launch: Launch) -> str:
    """The endpoint of a replica once its health path answers 200."""
    try:
        async with asyncio.timeout(launch.ready_seconds):
            while not await _serves(replica, launch):
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        reason = f"did not answer within {launch.ready_seconds:.0f} s"
        raise _NotServingError(replica, reason, died=False) from None
    return replica.endpoint


async def _serves(replica: Replica, launch: Launch) -> bool:
    """Whether its health path answers 200 by now; an error where it died."""
    if not replica.alive:
        raise _NotServingError(replica, "died while it started", died=True)
    return bool(replica.endpoint) and await _healthy(replica.endpoint, launch.health_path)


async def _all_or_first_error(answers: Iterable[Awaitable[str]]) -> tuple[str, ...]:
    """All results, or the first error with the rest given up."""
    tasks = [asyncio.ensure_future(answer) for answer in answers]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def _healthy(endpoint: str, path: str) -> bool:
    """Whether GET of the path answers 200. A connection of its own each time: an engine that loads may close it."""
    url = urlsplit(endpoint)
    request = f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(_HEALTH_SECONDS):
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
            try:
                writer.write(request.encode("ascii"))
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    return False


def _end_at_once(replicas: Collection[Replica]) -> None:
    """SIGKILL; back when the processes are gone, or have not gone for longer than that can take."""
    for replica in replicas:
        replica.kill()
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(replica.alive for replica in replicas) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


async def _end(replica: Replica) -> None:
    """SIGTERM, time to drain, SIGKILL."""
    replica.terminate()
    if not await _until(lambda: not replica.alive, replica.drain_seconds):
        replica.kill()
        await _until(lambda: not replica.alive, _GRACE_SECONDS)


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came to hold within that time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _stray(process: Marked) -> Node:
    return Node(
        id=process.node,
        name=process.node,
        deployment=process.deployment,
        state=NodeState.FAILED,
        message=f"its folder is gone; process {process.pid} still runs",
    )


def _describe(request: NodeRequest) -> bytes:
    known: dict[str, Any] = {
        "name": request.name,
        "deployment": request.deployment,
        "pool": request.pool,
        "sku": request.sku,
        "replicas": len(request.launches),
    }
    return json.dumps(known, indent=2).encode()


def _error(
    message: str,
    *,
    kind: ErrorKind = ErrorKind.INVALID,
    scope: Scope = Scope.PROVIDER,
    details: Iterable[str] = (),
    hint: str = "",
) -> ProviderError:
    return ProviderError(message, provider=PROVIDER, kind=kind, scope=scope, details=details, hint=hint)
