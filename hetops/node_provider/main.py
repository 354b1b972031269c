"""Edge: the program `pulumi-resource-hetops`, which the Pulumi engine starts and asks over gRPC.

Its first line on stdout is the port; it writes nothing else and keeps no log. It ends with the engine that started it,
however that ends: a provider that outlived a killed engine would go on creating what nobody waits for.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import NoReturn

import grpc
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from hetops import __version__
from hetops.node_provider import file, node
from hetops.node_provider.file import FileResource
from hetops.node_provider.node import NodeResource
from hetops.node_provider.servicer import HetopsServicer
from hetops.plugin import manager
from hetops.state.drivers import drivers
from hetops.state.home import home

_WATCH_SECONDS = 0.25
_MESSAGE_BYTES = 400 * 1024 * 1024
"""As the engine's own limit."""


def main() -> NoReturn:
    """Serves until the engine is gone, then ends at once: a driver's threads may wait for nodes for minutes yet."""
    asyncio.run(_serve_and_exit(os.getppid()))
    raise AssertionError("the process has ended")


async def _serve_and_exit(engine: int) -> NoReturn:
    state = home(os.environ)
    nodes = NodeResource(state, drivers(manager.load(), state))
    servicer = HetopsServicer({node.TYPE: nodes, file.TYPE: FileResource()}, __version__)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", _MESSAGE_BYTES)])
    add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ended = asyncio.Event()
    _end_on_signals(servicer, ended)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while not ended.is_set() and os.getppid() == engine:
        try:
            await asyncio.wait_for(ended.wait(), _WATCH_SECONDS)
        except TimeoutError:
            continue
    os._exit(0)


def _end_on_signals(servicer: HetopsServicer, ended: asyncio.Event) -> None:
    """SIGTERM ends it. SIGINT, which a terminal sends to all, only when idle: the engine cancels by a call of its own."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None if servicer.busy else ended.set())


if __name__ == "__main__":
    main()
