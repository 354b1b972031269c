"""Edge: keeps the threads of all nodes on this machine within its cores (llama.cpp's threads spin: two servers with two
threads each on two cores fall from 27 to 2-11 tokens/s).

Cores are counted over all deployments and state folders of this user, from the marks of the running processes. Older
nodes of the deployment that asks are left out: an update makes the new nodes before it removes the old ones, and the
plan that asks has been held to the cores as a whole. So for the length of an update a deployment may have its old and
its new nodes at once, never two plans' worth of new ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from hetops.plugin import ErrorKind, HetopsError, NodeRequest, ProviderError
from hetops_local import machine, processes
from hetops_local.settings import PROVIDER

RUN = secrets.token_hex(8)
"""Marks the nodes that this very process started."""
_CORES_SKU = "cpu-"


def cores_of(sku: str) -> int:
    """Cores that a node of this SKU takes: N of `cpu-N`, none of any other."""
    count = sku.removeprefix(_CORES_SKU)
    return int(count) if sku.startswith(_CORES_SKU) and count.isdecimal() else 0


@contextlib.contextmanager
def admitted(request: NodeRequest, state_folder: Path) -> Iterator[None]:
    """The node may be started inside; one node of this user at a time is.

    Raises:
        ProviderError: of kind capacity, where the cores are taken.
    """
    if cores_of(request.sku) == 0:
        yield
        return
    with _one_at_a_time():
        _check(request, str(state_folder))
        yield


def _check(request: NodeRequest, state_folder: str) -> None:
    total, wanted = machine.cores(), cores_of(request.sku)
    others = [
        m
        for m in processes.marked()
        if (m.state_folder, m.node) != (state_folder, request.name)
        and ((m.state_folder, m.deployment) != (state_folder, request.deployment) or m.run == RUN)
    ]
    taken = {node: cores for node, cores in processes.cores_by_node(others).items() if cores}
    if sum(taken.values()) + wanted <= total:
        return
    raise ProviderError(
        f"{request.name} needs {wanted} cores, {max(0, total - sum(taken.values()))} of this machine's {total} are free",
        provider=PROVIDER,
        kind=ErrorKind.CAPACITY,
        details=(f"{name} holds {cores}" for (_, name), cores in sorted(taken.items())),
        hint="take another deployment down, or plan with fewer: cores under [providers.local]",
    )


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """A lock over all runs of this user, so that two of them cannot take the same cores."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hetops"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "local-cores.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise HetopsError(
            f"{folder} cannot be written: {fault.strerror}", hint="set XDG_CACHE_HOME"
        ) from fault
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
