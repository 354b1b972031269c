"""What the router costs: time added to a request, requests a core carries, CPU a streamed token takes. Prints, tests nothing.

    python benchmarks/router.py

The same load goes to a trivial engine directly and through the router, by turns in one run. The router runs alone on one
core, engine and load share another; where there is one core only, that is said and the figures are no more than an upper
bound. CPU is user and system time of the router's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

try:
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop

from hetops.domain import codec
from hetops.domain.percent import percent
from hetops.router.config import RoutedClass, RoutedPool, RouterConfig

ROUNDS = 3
SECONDS = 2.5
CONNECTIONS = 32
RATE = 100
STREAMS = 64
EVENTS = 100
EVENT_SECONDS = 0.02
MODEL = "m"
T = TypeVar("T")
BUSY = 0.5
TICK = os.sysconf("SC_CLK_TCK")

EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    b'"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
)
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":100}}\n\n'
DONE = b"data: [DONE]\n\n"
BODY = json.dumps(
    {
        "choices": [{"message": {"content": "x" * 300}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def request(text_bytes: int, *, stream: bool) -> bytes:
    """A chat request with a prompt of so many bytes."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x" * text_bytes}], "max_tokens": 100}
    content = json.dumps({**body, "stream": True} if stream else body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
    return head + b"content-length: %d\r\n\r\n%b" % (len(content), content)


class Engine(asyncio.Protocol):
    """Answers every request at once, with one answer or with a stream at the pace of an engine."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        buffer = self._buffer = self._buffer + data if self._buffer else data
        head, found, rest = buffer.partition(b"\r\n\r\n")
        if not found:
            return
        if head.startswith(b"GET"):
            self._buffer = rest
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            return
        _, _, length = head.lower().partition(b"content-length: ")
        if len(rest) < int(length.partition(b"\r\n")[0]):
            return
        self._buffer = b""
        if b'"stream": true' in rest:
            asyncio.get_running_loop().create_task(self._stream())
        else:
            self._transport.write(ANSWER)

    async def _stream(self) -> None:
        write = self._transport.write
        write(STREAM)
        for _ in range(EVENTS):
            write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
            await asyncio.sleep(EVENT_SECONDS)
        write(b"".join(b"%x\r\n%b\r\n" % (len(e), e) for e in (USAGE, DONE)) + b"0\r\n\r\n")


class Load(asyncio.Protocol):
    """One connection that sends one request at a time."""

    def __init__(self, end: bytes) -> None:
        self._end = end
        self._done: asyncio.Future[float] | None = None
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio calls it."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """As asyncio calls it."""
        self._seen = (self._seen + data)[-len(self._end) :] if len(data) < len(self._end) else data
        if self._seen.endswith(self._end) and self._done and not self._done.done():
            self._done.set_result(time.perf_counter())

    async def ask(self, content: bytes) -> float:
        """Seconds until the whole answer is there."""
        self._done = asyncio.get_running_loop().create_future()
        self._seen = b""
        began = time.perf_counter()
        self._transport.write(content)
        return await self._done - began

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()


@contextlib.asynccontextmanager
async def connections(port: int, count: int, end: bytes) -> AsyncIterator[list[Load]]:
    """So many connections."""
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(lambda: Load(end), "127.0.0.1", port))[1] for _ in range(count)]
    yield made
    for load in made:
        load.close()


async def saturate(port: int, content: bytes) -> float:
    """Requests per second where each connection sends its next as soon as it has the answer."""
    count = 0
    end = time.perf_counter() + SECONDS

    async def one(load: Load) -> None:
        nonlocal count
        while time.perf_counter() < end:
            await load.ask(content)
            count += 1

    async with connections(port, CONNECTIONS, BODY[-20:]) as loads:
        began = time.perf_counter()
        await asyncio.gather(*map(one, loads))
        return count / (time.perf_counter() - began)


async def paced(port: int, content: bytes) -> list[float]:
    """Seconds of requests that come at a fixed rate, whatever becomes of those before."""
    loop, found = asyncio.get_running_loop(), []
    async with connections(port, 8, BODY[-20:]) as loads:
        start = loop.time()

        async def one(number: int) -> None:
            await asyncio.sleep(max(0.0, start + number / RATE - loop.time()))
            found.append(await loads[number % len(loads)].ask(content))

        await asyncio.gather(*(one(n) for n in range(int(RATE * SECONDS))))
    return found


async def streams(port: int, content: bytes) -> int:
    """Events of many streams at once."""
    async with connections(port, STREAMS, b"[DONE]\n\n\r\n0\r\n\r\n") as loads:
        await asyncio.gather(*(load.ask(content) for load in loads))
    return STREAMS * EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where things listen, and the router's process."""

    engine: int
    router: int
    pid: int

    def cpu_seconds(self) -> float:
        """What the router has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def figures(ports: Ports) -> Iterator[str]:
    """Every line that is printed."""
    small, large = request(500, stream=False), request(200_000, stream=False)
    for name, content in (("0.5 KB prompt", small), ("200 KB prompt", large)):
        direct, routed, cpu = [], [], []
        for _ in range(ROUNDS):
            direct.append(run(saturate(ports.engine, content)))
            before = ports.cpu_seconds()
            routed.append(run(saturate(ports.router, content)))
            cpu.append((ports.cpu_seconds() - before) / (routed[-1] * SECONDS))
        a, b, used = map(statistics.median, (direct, routed, cpu))
        yield (
            f"{name}, {CONNECTIONS} connections: {a:,.0f} requests/s directly, {b:,.0f} through the router "
            f"(ratio {b / a:.2f}); router CPU {used * 1e6:.0f} us a request, {percent(min(1.0, used * b))} of its core: "
            f"{1 / used:,.0f} requests/s a core"
        )
    near, far = [], []
    for _ in range(ROUNDS):
        near += run(paced(ports.engine, small))
        far += run(paced(ports.router, small))
    added = [(percentile(far, p) - percentile(near, p)) * 1e3 for p in (50, 99)]
    yield (
        f"{RATE} requests/s: directly p50 {percentile(near, 50) * 1e3:.2f} ms, p99 {percentile(near, 99) * 1e3:.2f} ms; "
        f"the router adds {added[0]:.2f} ms to p50, {added[1]:.2f} ms to p99"
    )
    content = request(500, stream=True)
    per_token: list[float] = []
    for _ in range(ROUNDS):
        before = ports.cpu_seconds()
        events = run(streams(ports.router, content))
        per_token.append((ports.cpu_seconds() - before) / events)
    yield (
        f"{STREAMS} streams at {1 / EVENT_SECONDS:.0f} tokens/s: router CPU {statistics.median(per_token) * 1e6:.0f} us a token"
    )


def run(what: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, in a loop of its own."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(what)


def percentile(values: list[float], percent: int) -> float:
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def serve_engine() -> None:
    """The engine's process: prints its port, serves until it is killed."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Engine, "0.0.0.0", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()

    run(serve())


@contextlib.contextmanager
def started(folder: Path, core: int) -> Iterator[Ports]:
    """Engine and router while the block lasts; the router alone on its core."""
    engine = subprocess.Popen([sys.executable, __file__, "engine"], stdout=subprocess.PIPE, text=True)
    assert engine.stdout
    port = int(engine.stdout.readline())
    config, told = folder / "router.json", folder / "url"
    config.write_bytes(codec.encode(_config(port, folder)))
    router = subprocess.Popen(
        [sys.executable, "-m", "hetops.cli.main", "route", "--quiet", "--config", str(config), "--port", "0"],
        env={**os.environ, "HETOPS_ENDPOINT_FILE": str(told)},
    )
    os.sched_setaffinity(router.pid, {core})
    try:
        while not told.exists():
            time.sleep(0.05)
        time.sleep(0.5)
        yield Ports(engine=port, router=int(told.read_text().rpartition(":")[2]), pid=router.pid)
    finally:
        for process in (router, engine):
            process.terminate()
            process.wait()


def _config(port: int, folder: Path) -> RouterConfig:
    pools = ("a", "b")
    return RouterConfig(
        deployment="benchmark",
        models=(MODEL,),
        classes=(
            RoutedClass(name="chat", input_tokens=100, output_tokens=100),
            RoutedClass(name="long", input_tokens=50_000, output_tokens=100),
        ),
        pools=tuple(
            RoutedPool(
                name=name,
                configuration="c",
                gpu="L4",
                endpoints=tuple(f"http://{host}:{port}" for host in hosts),
                max_sequences=256,
                max_context_tokens=131_072,
                serves=("chat", "long"),
            )
            for name, hosts in zip(
                pools, (("127.0.0.1", "127.0.0.2"), ("127.0.0.3", "127.0.0.4")), strict=True
            )
        ),
        shares={"chat": {"a": 0.7, "b": 0.3}, "long": {"a": 0.5, "b": 0.5}},
        observations_file=str(folder / "observations"),
    )


def main() -> None:
    """Prints the figures."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[1]})
    else:
        print(
            "one core only: router, engine and load share it, so every figure is worse than the router's own"
        )
    with tempfile.TemporaryDirectory() as folder, started(Path(folder), cores[0]) as ports:
        busy = os.getloadavg()[0]
        print(f"{new_event_loop.__module__}; load of the machine before: {busy:.1f}")
        if busy > BUSY:
            print("others use this machine: only the CPU figures say something about the router")
        for line in figures(ports):
            print(line, flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["engine"]:
        serve_engine()
    else:
        main()
