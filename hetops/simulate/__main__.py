"""Edge: `python -m hetops.simulate`, the process of one emulated replica.

It serves on the given host and port (0: any free one) and tells its base URL through the file that the environment
variable HETOPS_ENDPOINT_FILE names. SIGTERM lets running requests finish.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
from pathlib import Path

from hetops.files import write_whole
from hetops.simulate.options import EmulatorOptions, from_arguments
from hetops.simulate.server import Emulator

try:
    import uvicorn
except ImportError:
    sys.exit("the emulated engine needs uvicorn: pip install 'hetops[local]'")


class _Server(uvicorn.Server):
    """Tells where it listens once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        host, port = sockets[0].getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        if endpoint_file := os.environ.get("HETOPS_ENDPOINT_FILE"):
            write_whole(Path(endpoint_file), f"{url}\n".encode())
        print(f"emulated engine on {url}", flush=True)


def main() -> int:
    """Serves until a signal; 0 after a drain, 1 where it cannot start."""
    options = from_arguments(sys.argv[1:])
    if options.faults.exit_at_start:
        print(options.faults.exit_at_start, file=sys.stderr)
        return 1
    try:
        listener = socket.create_server((options.host, options.port), backlog=2048)
    except OSError as fault:
        print(f"port {options.port} on {options.host} cannot be used: {fault.strerror}", file=sys.stderr)
        return 1
    # uvicorn raises the signal again when it is done; the drain was the answer to it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    asyncio.run(_serve(options, listener))
    return 0


async def _serve(options: EmulatorOptions, listener: socket.socket) -> None:
    config = uvicorn.Config(
        Emulator(options),
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=math.ceil(options.drain_seconds),
    )
    await _Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
