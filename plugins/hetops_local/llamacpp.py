"""Edge: `python -m hetops_local.llamacpp`, the process of one llama.cpp replica.

It loads a model, serves OpenAI's API on any free port of the loopback interface, and tells its base URL through the file
that the environment variable HETOPS_ENDPOINT_FILE names. SIGTERM lets running requests finish: llama.cpp itself would
cut them, so the slots are watched until all are idle or the time is over.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hetops.plugin import HetopsError, write_whole
from hetops_local.weights import locate

try:
    import xllamacpp
except ImportError:
    sys.exit("the llama.cpp engine needs xllamacpp: pip install 'hetops[local]'")

_POLL_SECONDS = 0.1
_PING_SECONDS = 1
"""A server that is dropped waits as long for its open streams (measured: 30 s with the default)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    path: Path
    alias: str
    threads: int
    slots: int
    context: int
    drain_seconds: float


def main() -> int:
    """Serves until a signal; 0 after a drain, 1 where the model cannot be loaded."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        options = _options()
    except HetopsError as fault:
        return _refused(fault.message + (f" ({fault.hint})" if fault.hint else ""))
    try:
        server = xllamacpp.Server(_parameters(options))
    except RuntimeError:  # the reason stands above, printed by the library
        return _refused(f"model {options.path} could not be loaded: see the lines above")
    _tell(server.listening_address)
    stop.wait()
    _drain(server.listening_address, options.drain_seconds)
    del server
    return 0


def _refused(reason: str) -> int:
    print(reason, file=sys.stderr, flush=True)
    return 1


def _options() -> _Options:
    parser = argparse.ArgumentParser(prog="python -m hetops_local.llamacpp", description=__doc__)
    parser.add_argument("--gguf", required=True, help="PATH, file:PATH or package:NAME")
    parser.add_argument("--alias", required=True, help="name under which the model is served")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True, help="requests worked on at once")
    parser.add_argument("--context", type=int, required=True, help="tokens of one request, input and output")
    parser.add_argument("--drain-seconds", type=float, default=30.0)
    given = parser.parse_args()
    return _Options(
        path=locate(given.gguf),
        alias=given.alias,
        threads=given.threads,
        slots=given.slots,
        context=given.context,
        drain_seconds=given.drain_seconds,
    )


def _parameters(options: _Options) -> xllamacpp.CommonParams:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(options.path)
    parameters.model_alias = {options.alias}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.cpuparams.n_threads = options.threads
    parameters.cpuparams_batch.n_threads = options.threads
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.context * options.slots  # split evenly over the slots
    parameters.cache_ram_mib = 0  # prompts kept beside the slots: 8 GiB by default
    parameters.endpoint_metrics = True
    parameters.endpoint_slots = True
    parameters.sse_ping_interval = _PING_SECONDS
    parameters.verbosity = 1  # errors only
    return parameters


def _tell(address: str) -> None:
    if endpoint_file := os.environ.get("HETOPS_ENDPOINT_FILE"):
        write_whole(Path(endpoint_file), f"{address}\n".encode())
    print(f"llama.cpp on {address}", flush=True)


def _drain(address: str, seconds: float) -> None:
    """Returns when no slot works any more, or when the time is over."""
    deadline = time.monotonic() + seconds
    while _busy(address) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _busy(address: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=5)
    try:
        connection.request("GET", "/slots")
        slots = json.loads(connection.getresponse().read())
        return any(slot["is_processing"] for slot in slots)
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
