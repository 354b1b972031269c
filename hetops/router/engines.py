"""Edge: connections to engines, kept and used again. Sends what it is given, hands on what comes, decides nothing.

A kept connection that turns out to be closed before it gave a byte says nothing about the engine: the request goes out
once more, on a new one. Everything else that goes wrong is told to the listener.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import httptools

from hetops.router.address import Address
from hetops.router.heads import Header
from hetops.router.health import Fault

_IDLE_SECONDS = 4.0
"""How long a connection is kept unused: less than the 5 s after which uvicorn, which serves most engines, closes it."""

_HEAD_BYTES = 64 << 10
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """The head of an engine's answer. `length` is None where the answer does not say it."""

    status: int
    headers: tuple[Header, ...]
    length: int | None


class Listener(Protocol):
    """Who waits for an answer. Told nothing more once it was told the end, or has cancelled."""

    def head(self, head: AnswerHead) -> None:
        """The answer has begun."""

    def body(self, data: bytes) -> None:
        """A part of it."""

    def complete(self) -> None:
        """It is whole."""

    def broken(self, fault: Fault) -> None:
        """It will not come, or not to its end."""


class Call:
    """One request to one endpoint, until its answer is whole, broken, or not wanted any more."""

    __slots__ = ("_connection", "_data", "_listener", "_paused", "endpoint")

    def __init__(self, endpoint: str, data: bytes, listener: Listener) -> None:
        self.endpoint = endpoint
        self._data = data
        self._listener: Listener | None = listener
        self._connection: _Connection | None = None
        self._paused = False

    def cancel(self) -> None:
        """The answer is not wanted any more: the engine is told by the end of the connection."""
        self._listener = None
        if self._connection:
            self._connection.abort()

    def pause(self) -> None:
        """Reads no more of the answer for now."""
        self._paused = True
        if self._connection:
            self._connection.pause()

    def resume(self) -> None:
        """Reads on."""
        self._paused = False
        if self._connection:
            self._connection.resume()

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self._listener is not None

    def carried_by(self, connection: _Connection) -> None:
        """The connection takes the request."""
        self._connection = connection
        connection.send(self._data)
        if self._paused:
            connection.pause()

    def told(self) -> Listener | None:
        """Who is to be told."""
        return self._listener

    def over(self) -> Listener | None:
        """Who is to be told the end."""
        listener, self._listener, self._connection = self._listener, None, None
        return listener


class Engines:
    """All connections to all engines."""

    def __init__(self, connect_seconds: Callable[[], float]) -> None:
        """Must be made inside a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._connect_seconds = connect_seconds
        self._addresses: dict[str, Address] = {}
        self._kept: dict[str, list[_Connection]] = {}
        self._open: set[_Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()

    def address(self, endpoint: str) -> Address:
        """Where an endpoint listens."""
        found = self._addresses.get(endpoint)
        if found is None:
            found = self._addresses[endpoint] = Address.of(endpoint)
        return found

    def call(self, endpoint: str, data: bytes, listener: Listener) -> Call:
        """Sends a whole request; the listener is told what comes of it."""
        call = Call(endpoint, data, listener)
        kept = self._kept.get(endpoint)
        while kept:
            connection = kept.pop()
            if connection.usable:
                connection.carry(call)
                return call
        self.connect(call)
        return call

    def connect(self, call: Call) -> None:
        """Sends the request of a call on a new connection."""
        task = self._loop.create_task(self._connect(call))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, call: Call) -> None:
        address = self.address(call.endpoint)
        try:
            async with asyncio.timeout(self._connect_seconds()):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self, call.endpoint), address.host, address.port, ssl=address.tls
                )
        except (OSError, ValueError):  # ValueError: a host name that cannot be one
            if listener := call.over():
                listener.broken(Fault.UNREACHABLE)
            return
        if call.wanted:
            connection.carry(call)
        else:
            self.keep(connection)

    def opened(self, connection: _Connection) -> None:
        """A connection is there."""
        self._open.add(connection)

    def closed(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        kept = self._kept.get(connection.endpoint, [])
        if connection in kept:
            kept.remove(connection)

    def keep(self, connection: _Connection) -> None:
        """A connection is free."""
        connection.since = time.monotonic()
        self._kept.setdefault(connection.endpoint, []).append(connection)

    def tick(self, now: float) -> None:
        """Closes what was unused for too long."""
        for kept in self._kept.values():
            for connection in [c for c in kept if now - c.since > _IDLE_SECONDS]:
                connection.close()

    def forget(self, endpoints: frozenset[str]) -> None:
        """Closes what is kept to endpoints that are not among these any more."""
        for endpoint in [e for e in self._kept if e not in endpoints]:
            for connection in self._kept.pop(endpoint):
                connection.close()
        self._addresses = {e: a for e, a in self._addresses.items() if e in endpoints}

    def close(self) -> None:
        """Ends everything."""
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open):
            connection.abort()


class _Connection(asyncio.Protocol):
    """One connection to an engine: one call at a time."""

    def __init__(self, engines: Engines, endpoint: str) -> None:
        self._engines = engines
        self.endpoint = endpoint
        self.since = 0.0
        self._call: Call | None = None
        self._used = 0
        self._silent = True
        self._reading = True
        self._start()

    def _start(self) -> None:
        self._headers: list[Header] = []
        self._size = 0
        self._head: AnswerHead | None = None
        self._told_head = False
        self._parts: list[bytes] = []
        self._whole = False
        self._reusable = False
        self._framed = False

    @property
    def usable(self) -> bool:
        return not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._engines.opened(self)

    def carry(self, call: Call) -> None:
        """Sends the request of a call and gives it the answer."""
        self._call = call
        self._used += 1
        self._silent = True
        self._start()
        self._parser = httptools.HttpResponseParser(self)
        call.carried_by(self)

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    def pause(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def abort(self) -> None:
        self._call = None
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._call is None:
            self._transport.abort()  # nobody asked: whatever this is, it is no answer to the next request
            return
        self._silent = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break()
            return
        self._size += len(data) if self._head is None else 0
        if self._size > _HEAD_BYTES:
            self._break()
            return
        self._hand_on()

    def _hand_on(self) -> None:
        """What one read brought, told in order; whoever is told may cancel at any point."""
        call = self._call
        assert call is not None
        if self._head and not self._told_head:
            self._told_head = True
            if listener := call.told():
                listener.head(self._head)
        if self._parts:
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts = []
            if listener := call.told():
                listener.body(data)
        if self._whole and self._call is call:
            self._finish(call)

    def _finish(self, call: Call) -> None:
        self._call = None
        self.resume()
        if self._reusable and self.usable:
            self._engines.keep(self)
        else:
            self._transport.close()
        if listener := call.over():
            listener.complete()

    def _break(self) -> None:
        call, self._call = self._call, None
        self._transport.abort()
        if call and (listener := call.over()):
            listener.broken(Fault.BROKEN)

    def connection_lost(self, exc: Exception | None) -> None:
        self._engines.closed(self)
        call, self._call = self._call, None
        if call is None or not call.wanted:
            return
        if self._silent and self._used > 1:
            self._engines.connect(call)
            return
        ended_by_close = self._head is not None and not self._framed and exc is None
        if listener := call.over():
            if ended_by_close:
                listener.complete()
            else:
                listener.broken(Fault.BROKEN)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """httptools: an answer begins. After a whole one nothing was asked: the connection is of no more use."""
        if self._whole:
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        if self._head is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """httptools: a head is whole; that of an interim answer is passed over."""
        status = self._parser.get_status_code()
        if self._whole or status < _OK:
            if not self._whole:
                self._headers = []
            return
        fields = dict(self._headers)
        length = fields.get(b"content-length")
        self._framed = length is not None or b"transfer-encoding" in fields
        self._head = AnswerHead(
            status=status, headers=tuple(self._headers), length=None if length is None else int(length)
        )

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body."""
        if not self._whole:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole."""
        if self._head is not None and not self._whole:
            self._whole = True
            self._reusable = self._parser.should_keep_alive()
