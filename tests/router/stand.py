"""A router in a thread, engines that play a script, and a client on a bare socket: real sockets on all sides."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from hetops.router.auth import Keys
from hetops.router.config import Limits, RoutedClass, RoutedPool, RouterConfig
from hetops.router.proxy import Router
from hetops.router.serve import new_event_loop
from hetops.router.watch import Orders

MODEL = "tiny"
CHAT = "/v1/chat/completions"
T = TypeVar("T")


def until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    """Waits, in short steps, until something holds; fails where it does not within the time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.005)


def config(
    pools: Mapping[str, tuple[str, ...]],
    shares: Mapping[str, float] | None = None,
    *,
    limits: Limits | None = None,
    max_sequences: int = 8,
    **others: Any,
) -> RouterConfig:
    """One class over some pools, all of which serve it; equal shares unless they are given."""
    shares = shares or {name: 1 / len(pools) for name in pools}
    return RouterConfig(
        deployment="test",
        models=(MODEL,),
        classes=(RoutedClass(name="chat", input_tokens=100, output_tokens=50),),
        pools=tuple(
            RoutedPool(
                name=name,
                configuration="c",
                gpu="L4",
                endpoints=endpoints,
                max_sequences=max_sequences,
                max_context_tokens=8192,
                serves=("chat",),
            )
            for name, endpoints in pools.items()
        ),
        shares={"chat": shares},
        limits=limits or Limits(),
        **others,
    )


class RunningRouter:
    """A router with its own event loop, in a thread."""

    def __init__(self, orders: Orders, tick_seconds: float = 0.02) -> None:
        self.port = 0
        self._ready = threading.Event()
        self._loop = new_event_loop()
        self._tick_seconds = tick_seconds
        self._thread = threading.Thread(target=self._run, args=(orders,), daemon=True)
        self._thread.start()
        assert self._ready.wait(15)

    def _run(self, orders: Orders) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve(orders))
        self._loop.close()

    async def _serve(self, orders: Orders) -> None:
        self.router = Router(orders)
        self._stop = asyncio.Event()
        server = await self._loop.create_server(self.router.client, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        while not self._stop.is_set():
            self.router.tick()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tick_seconds):
                    await self._stop.wait()
        server.close()
        await self.router.close()
        await asyncio.sleep(0)

    def do(self, action: Callable[[Router], T]) -> T:
        """Does something with the router in its own thread."""
        done: Future[T] = Future()
        self._loop.call_soon_threadsafe(lambda: done.set_result(action(self.router)))
        return done.result(15)

    @property
    def in_flight(self) -> int:
        """Requests in flight at all endpoints."""
        return self.do(lambda r: sum(e.in_flight for p in r.status().pools for e in p.endpoints))

    def healthy(self, *, endpoints: int = 1) -> RunningRouter:
        """Waits until so many endpoints are known to be healthy."""
        until(lambda: self._count_healthy() >= endpoints)
        return self

    def _count_healthy(self) -> int:
        states = self.do(lambda r: [e.health for p in r.status().pools for e in p.endpoints])
        return states.count("healthy")

    def close(self) -> None:
        """Ends it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(15)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def running(orders: Orders | RouterConfig) -> Iterator[RunningRouter]:
    """A router while the block lasts."""
    if isinstance(orders, RouterConfig):
        orders = Orders(config=orders, keys=None)
    router = RunningRouter(orders)
    try:
        yield router
    finally:
        router.close()


def with_keys(of: RouterConfig, keys: Keys) -> Orders:
    """Orders that ask for keys."""
    return Orders(config=replace(of, api_keys_file="/keys"), keys=keys)


@dataclass
class Asked:
    """A request as an engine got it, on a connection of its own to answer on."""

    head: str
    body: bytes
    connection: socket.socket

    @property
    def path(self) -> str:
        """The target."""
        return self.head.split(" ")[1]

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name."""
        lines = self.head.split("\r\n")[1:]
        return {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines) if n}

    def send(self, data: bytes) -> None:
        """Bytes of an answer."""
        self.connection.sendall(data)

    def json(self, status: int, value: object, *headers: str) -> None:
        """A whole answer."""
        body = json.dumps(value).encode()
        lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}"]
        self.send("\r\n".join((*lines, *headers, "", "")).encode() + body)

    def begin_stream(self) -> None:
        """The head of a stream."""
        self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def event(self, value: object) -> None:
        """One event of a stream."""
        data = b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def token(self, text: str) -> None:
        """One token."""
        self.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})

    def end_stream(self) -> None:
        """The end of a stream."""
        self.event(b"[DONE]")
        self.send(b"0\r\n\r\n")

    def gone(self, seconds: float = 15.0) -> bool:
        """Whether the router closes the connection within the time."""
        self.connection.settimeout(seconds)
        try:
            return self.connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


Script = Callable[[Asked], object]
"""Answers one request. The connection stays open unless it returns False."""


def answer(asked: Asked) -> None:
    """A small whole answer."""
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    asked.json(200, {"choices": [{"message": {"content": "ok"}}], "usage": usage})


@dataclass
class Engine:
    """A server that plays a script; it is healthy as long as `health` is below 500."""

    script: Script = answer
    health: int = 200
    asked: list[Asked] = field(default_factory=list)
    probes: int = 0
    connections: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while asked := _read(connection):
                if asked.path in ("/health", "/v1/models"):
                    self.probes += 1
                    asked.json(self.health, {})
                    continue
                self.asked.append(asked)
                if self.script(asked) is False:
                    return

    def close(self) -> None:
        """Ends it, and all its connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


@contextlib.contextmanager
def engines(*scripts: Script) -> Iterator[list[Engine]]:
    """Engines while the block lasts."""
    made = [Engine(script) for script in scripts]
    try:
        yield made
    finally:
        for engine in made:
            engine.close()


def _read(connection: socket.socket) -> Asked | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    asked = Asked(head=head.decode(), body=b"", connection=connection)
    length = int(asked.headers.get("content-length", 0))
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            return None
        body += more
    asked.body = body
    return asked


class Client:
    """A connection to a router, byte by byte."""

    def __init__(self, port: int, seconds: float = 15.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), seconds)
        self.read = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def send(self, data: bytes) -> Client:
        """Some bytes."""
        self._socket.sendall(data)
        return self

    def until(self, mark: bytes) -> bytes:
        """What comes up to and including a mark."""
        read, seen = bytearray(self.read), 0
        while (at := read.find(mark, max(seen - len(mark), 0))) < 0:
            seen = len(read)
            more = self._socket.recv(1 << 20)
            assert more, f"closed before {mark!r}: {bytes(read[-1000:])!r}"
            read += more
        end = at + len(mark)
        self.read = bytes(read[end:])
        return bytes(read[:end])

    def rest(self) -> bytes:
        """What comes until the router closes, or resets, the connection."""
        with contextlib.suppress(ConnectionResetError):
            while more := self._socket.recv(65536):
                self.read += more
        found, self.read = self.read, b""
        return found

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """One whole answer: status, headers, body."""
        head = self.until(b"\r\n\r\n").decode()
        lines = head.split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:]) if n}
        status = int(lines[0].split(" ")[1])
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, self._chunks()
        length = int(headers.get("content-length", 0))
        while len(self.read) < length:
            more = self._socket.recv(65536)
            assert more
            self.read += more
        body, self.read = self.read[:length], self.read[length:]
        return status, headers, body

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            while len(self.read) < size + 2:
                more = self._socket.recv(65536)
                assert more, "cut in a chunk"
                self.read += more
            body, self.read = body + self.read[:size], self.read[size + 2 :]
        self.until(b"\r\n")
        return body


def request(
    body: object | None = None, *headers: str, path: str = CHAT, method: str = "POST", version: str = "1.1"
) -> bytes:
    """A request's bytes."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/{version}", "host: router", *headers]
    if content or method == "POST":
        lines.append(f"content-length: {len(content)}")
    return "\r\n".join((*lines, "", "")).encode() + content


def chat(text: str = "hello", **more: object) -> dict[str, object]:
    """The body of a chat request."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def ask(router: RunningRouter, *headers: str, **more: object) -> tuple[int, dict[str, str], bytes]:
    """One chat request on a connection of its own."""
    with Client(router.port) as client:
        return client.send(request(chat(**more), *headers)).answer()


def get(router: RunningRouter, path: str, *headers: str) -> tuple[int, dict[str, str], bytes]:
    """One GET on a connection of its own."""
    with Client(router.port) as client:
        return client.send(request(None, *headers, path=path, method="GET")).answer()


def port_of(url: str) -> int:
    """The port of a base URL."""
    port = urlsplit(url).port
    assert port
    return port
