"""Edge: a router's process: its port, its clock, its signals, its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hetops.errors import HetopsError
from hetops.files import write_whole
from hetops.router.proxy import TICK_SECONDS, Router
from hetops.router.watch import Orders, Watcher, read_orders

try:
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop

_BACKLOG = 2048

Say = Callable[[str], None]
"""Takes a line of talk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """Where a router stands: what it reads, where it listens (port 0: any free one), where it tells so (empty: nowhere)."""

    config: Path
    host: str
    port: int
    endpoint_file: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where services' keys are."""


def serve(post: Post, say: Say) -> None:
    """Routes until a signal; returns once running answers are finished, or may take no longer.

    Raises:
        HetopsError: it cannot start: a file is missing or broken, the port is taken, keys are needed.
    """
    watcher = Watcher(post.config)
    orders = read_orders(post.config, post.host, post.environment)
    watcher.changed(orders.config.api_keys_file)
    listener = _listen(post)

    def talk(text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads it any more: no reason to stop routing
            say(text)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(post, orders, watcher, listener, talk))


async def _serve(post: Post, orders: Orders, watcher: Watcher, listener: socket.socket, say: Say) -> None:
    router = Router(orders)
    router.warnings = orders.warnings
    loop = asyncio.get_running_loop()
    stop = _Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    server = await loop.create_server(router.client, sock=listener, backlog=_BACKLOG)
    url = _url(listener)
    if post.endpoint_file:
        write_whole(Path(post.endpoint_file), f"{url}\n".encode())
    for line in (f"router of {orders.config.deployment} on {url}", *orders.warnings):
        say(line)
    _settle()
    while not stop.asked:
        if watcher.changed(router.config.api_keys_file):
            _reread(post, router, say)
        router.tick()
        await stop.wait(TICK_SECONDS)
    server.close()
    await _drain(router, stop, say)
    await router.close()


def _reread(post: Post, router: Router, say: Say) -> None:
    """Goes by the files as they are now; where they are broken the old ones hold, and that is said."""
    try:
        orders = read_orders(post.config, post.host, post.environment)
    except HetopsError as fault:
        router.warnings = (f"{fault.message}; the configuration read before holds",)
        say(router.warnings[0])
        return
    router.warnings = orders.warnings
    router.obey(orders)
    endpoints = sum(len(p.endpoints) for p in orders.config.pools)
    told = f"configuration read again: {len(orders.config.pools)} pools, {endpoints} endpoints"
    for line in (told, *orders.warnings):
        say(line)


async def _drain(router: Router, stop: _Stop, say: Say) -> None:
    """Lets running answers finish; a second signal ends them."""
    seconds = router.limits.drain_seconds
    say(f"stopping: running answers have {seconds:g} s")
    stop.asked = False
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end and not stop.asked:
        router.drain()
        if not router.busy:
            break
        router.tick()
        await stop.wait(TICK_SECONDS / 5)
    if router.busy:
        say("running answers were cut")


def _settle() -> None:
    """What is there now stays: the collector need not look at it. Each request may take two open files."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # a system that takes no such number: the limit stays
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Stop:
    """What signals say."""

    def __init__(self) -> None:
        self.asked = False
        self._event = asyncio.Event()

    def ask(self) -> None:
        """A signal came."""
        self.asked = True
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Until a signal, or so many seconds."""
        self._event.clear()
        if self.asked:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return


def _listen(post: Post) -> socket.socket:
    family = socket.AF_INET6 if ":" in post.host else socket.AF_INET
    try:
        return socket.create_server((post.host, post.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else fault
        raise HetopsError(
            f"port {post.port} on {post.host} cannot be used: {reason}",
            hint="stop what listens there, or choose another port with --port",
        ) from fault


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
