"""Edge: a client's connection. Reads requests whole, in order and within limits; sends what it is given.

Decides nothing about answers: whole requests go to `Front.begin`, one at a time, those behind wait. What a request may
cost stands in `Limits`; what is malformed or could be read in two ways (two lengths, a length and a coding) is refused and
the connection closed, for nobody knows where the next request would begin.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from enum import Enum, auto
from typing import Protocol, cast

import httptools

from hetops.router.config import Limits
from hetops.router.heads import CONTINUE, Framing, Header, answer_head
from hetops.router.refusals import Refusal
from hetops.router.requests import (
    Answering,
    Request,
    RequestHead,
    ambiguity,
    body_too_large,
    head_too_large,
    large_body,
    last_of_all,
)

_HIGH_WATER_BYTES = 64 << 10
"""Unsent bytes of an answer from which on the engine is not read any further."""

_READ_BYTES = 256 << 10
"""The most that one read brings."""

_LINGER_SECONDS = 2.0
"""How long a client that is still sending gets to read why it was refused, before the connection is reset."""


class Front(Protocol):
    """What stands behind all connections."""

    @property
    def limits(self) -> Limits:
        """What holds now."""

    @property
    def draining(self) -> bool:
        """Whether no further request is taken."""

    def admit(self, connection: ClientConnection) -> Refusal | None:
        """A connection is made; a refusal where it is one too many."""

    def closed(self, connection: ClientConnection) -> None:
        """A connection is gone."""

    def screen(self, head: RequestHead) -> Refusal | None:
        """Why a request is refused before its body is read; None where it is not."""

    def refused(self) -> None:
        """A request is refused before its body was read."""

    def begin(self, connection: ClientConnection, request: Request) -> Answering | None:
        """Answers a request; None where that is done already."""


class _Phase(Enum):
    """Where the reading of requests stands."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    DEAF = auto()
    """Nothing more is read: what comes is dropped until the connection ends."""


class ClientConnection(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._limits = front.limits
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._current: Answering | None = None
        self._answering: Request | None = None
        self._phase = _Phase.IDLE
        self._since = self._heard = time.monotonic()
        self._unsent, self._moved = 0, self._since
        self._closing_at: float | None = None
        self._owes_continue = False
        self._reading, self._slow = True, False
        self._fed, self._began = 0, False
        self._head: RequestHead | None = None
        self._refusal: Refusal | None = None
        self._start_message()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        if refusal := self._front.admit(self):
            self._refuse_connection(refusal)

    def data_received(self, data: bytes) -> None:
        """asyncio: the client sent something."""
        if self._phase is _Phase.DEAF:
            return
        self._heard = time.monotonic()
        self._limits = self._front.limits
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._malformed("the connection cannot be upgraded: this server speaks HTTP/1.1")
        except httptools.HttpParserError as fault:
            self._malformed(f"the request is malformed: {fault}")
        self._weigh(len(data))
        self._next()
        self._throttle()

    def eof_received(self) -> None:
        """asyncio: the client sends no more. Whoever closes one half is taken to have gone: no answer is awaited."""
        if self._current:
            self._current.abort()

    def pause_writing(self) -> None:
        """asyncio: the client takes less than it is given."""
        self._slow = True
        if self._current:
            self._current.pause()

    def resume_writing(self) -> None:
        """asyncio: the client has caught up."""
        self._slow = False
        if self._current:
            self._current.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        del exc
        self._phase = _Phase.DEAF
        self._queue.clear()
        if self._current:
            self._current.abort()
        self._current = None
        self._front.closed(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """httptools: the first byte of a request."""
        if self._phase is not _Phase.DEAF:
            self._phase, self._since, self._began = _Phase.HEAD, self._heard, True
        self._start_message()

    def on_url(self, url: bytes) -> None:
        """httptools: a part of the target."""
        self._url += url
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._head_size += len(name) + len(value) + 4
        if self._head_size <= self._limits.head_bytes:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """httptools: the head is whole."""
        if self._phase is _Phase.DEAF:
            return
        self._phase = _Phase.BODY
        self._head = head = RequestHead(
            method=self._parser.get_method(),
            path=self._url.partition(b"?")[0].decode("latin-1"),
            headers=tuple(self._headers),
            fields=dict(self._headers),
            version=self._parser.get_http_version(),
        )
        limits = self._limits
        large = head_too_large(limits) if self._head_size > limits.head_bytes else None
        if fatal := large or ambiguity(head) or large_body(head, limits):
            self._refuse_now(fatal)
            return
        self._refusal = self._front.screen(head)
        if head.version == "1.0" or b"expect" not in head.fields:
            return
        if self._refusal:
            self._refuse_now(self._refusal)
        elif self._current or self._queue:
            self._owes_continue = True
        else:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """httptools: a part of the body."""
        if self._phase is _Phase.DEAF:
            return
        self._body_size += len(body)
        self._fed = 0
        if self._body_size > self._limits.body_bytes:
            self._refuse_now(body_too_large(self._limits))
        elif not self._refusal:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """httptools: the request is whole."""
        if self._phase is _Phase.DEAF:
            return
        self._phase, self._since = _Phase.IDLE, self._heard
        keep_alive = self._parser.should_keep_alive()
        if len(self._queue) >= self._limits.pipelined:
            # More in one read than may wait: those that were taken are answered, the others can be sent again.
            self._phase, keep_alive = _Phase.DEAF, False
            self._queue[-1] = last_of_all(self._queue[-1])
            return
        self._queue.append(
            Request(head=self._head, body=b"".join(self._body), keep_alive=keep_alive, refusal=self._refusal)
        )
        self._start_message()

    # What answers call.

    def write(self, data: bytes) -> None:
        """A part of the answer."""
        self._transport.write(data)

    def reply(self, status: int, body: bytes, headers: tuple[Header, ...]) -> None:
        """A whole answer of the router's own to the request that `begin` was called with."""
        request = self._answering
        assert request is not None
        keep = request.keep_alive and not self._front.draining
        head = answer_head(
            status,
            headers,
            Framing.LENGTH,
            length=len(body),
            closing=self.connection_value(request) if keep else b"close",
        )
        only_head = request.head is not None and request.head.method == b"HEAD"
        self._transport.write(head if only_head else head + body)
        self.finished()

    def refuse(self, refusal: Refusal) -> None:
        """A refusal as the answer."""
        self.reply(refusal.status, refusal.body, (_JSON, *refusal.headers))

    def connection_value(self, request: Request) -> bytes:
        """The value of the Connection header for an answer; empty where nothing need be said."""
        if not request.keep_alive or self._front.draining:
            return b"close"
        return b"keep-alive" if request.head is not None and request.head.version == "1.0" else b""

    def finished(self) -> None:
        """The answer is complete: the next request's turn."""
        request, self._answering, self._current = self._answering, None, None
        if request is None or self._transport.is_closing():
            return
        if not request.keep_alive or (self._front.draining and not self._queue):
            self.close()
            return
        if self._owes_continue and not self._queue:
            self._owes_continue = False
            self._transport.write(CONTINUE)
        if self._phase is _Phase.IDLE:
            self._since = time.monotonic()
        if self._queue or not self._reading:
            self._loop.call_soon(self._next_later)

    def cut(self) -> None:
        """Resets the connection: the answer cannot be completed, and the client must not take it for whole."""
        self._answering = self._current = None
        self._transport.abort()

    def close_after_writes(self) -> None:
        """Closes once what was written is sent; the answer has no proper end."""
        self._answering = self._current = None
        self.close()

    @property
    def answering(self) -> bool:
        """Whether a request is being answered or waits for it."""
        return self._current is not None or bool(self._queue)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self.answering and self._phase in (_Phase.IDLE, _Phase.DEAF)

    def close(self) -> None:
        """Ends the connection; a client that may still be sending gets a moment to read the answer first."""
        if self._closing_at is not None or self._transport.is_closing():
            return
        if self._phase is _Phase.DEAF and self._transport.can_write_eof():
            self._closing_at = time.monotonic() + _LINGER_SECONDS
            self._transport.write_eof()
        else:
            self._phase = _Phase.DEAF
            self._transport.close()

    def tick(self, now: float) -> None:
        """Looks at the deadlines."""
        limits = self._front.limits
        unsent = self._transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._moved = unsent, now
        elif now - self._moved > limits.stalled_seconds:
            self._transport.abort()
            return
        if self._closing_at is None:
            self._end_if_late(limits, now)
        elif now > self._closing_at and not unsent:
            self._transport.abort()
        if self._current:
            self._current.tick(now)

    # Private.

    def _end_if_late(self, limits: Limits, now: float) -> None:
        """What a client is to send is not waited for beyond its deadline."""
        if self._phase is _Phase.HEAD and now - self._since > limits.head_seconds:
            self._late(f"the head of the request did not come within {limits.head_seconds:g} s")
        elif self._phase is _Phase.BODY and now - self._heard > limits.body_seconds:
            self._late(f"the body of the request paused for more than {limits.body_seconds:g} s")
        elif self.idle and now - self._since > limits.idle_seconds:
            self.close()

    def _start_message(self) -> None:
        self._url = b""
        self._headers: list[Header] = []
        self._head = None
        self._head_size = 0
        self._body: list[bytes] = []
        self._body_size = 0
        self._refusal = None

    def _next_later(self) -> None:
        self._next()
        self._throttle()

    def _next(self) -> None:
        while self._queue and self._answering is None and not self._transport.is_closing():
            request = self._answering = self._queue.popleft()
            if request.refusal:
                self._front.refused()
                self.refuse(request.refusal)
                continue
            current = self._front.begin(self, request)
            if self._answering is not request:
                continue
            self._current = current
            if current and self._slow:
                current.pause()

    def _throttle(self) -> None:
        """No more is read while as many wait as may, or as much."""
        limits = self._front.limits
        waiting = sum(len(r.body) for r in self._queue)
        read = len(self._queue) < limits.pipelined and waiting <= limits.body_bytes
        if read is self._reading or self._transport.is_closing():
            return
        self._reading = read
        if read:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _weigh(self, size: int) -> None:
        """A head that never ends is refused, and so is a body in which nothing comes but coding and trailers."""
        self._fed, self._began = (0, False) if self._began else (self._fed + size, False)
        limits = self._limits
        if (self._phase is _Phase.HEAD and self._fed > limits.head_bytes) or (
            self._phase is _Phase.BODY and self._fed > limits.head_bytes + _READ_BYTES
        ):
            self._refuse_now(head_too_large(limits))

    def _malformed(self, message: str) -> None:
        if self._phase is not _Phase.DEAF:
            self._refuse_now(Refusal(400, message, code="bad_request"))

    def _late(self, message: str) -> None:
        self._refuse_now(Refusal(408, message, code="request_timeout"))
        self._next()

    def _refuse_now(self, refusal: Refusal) -> None:
        """Refuses the request that is being read, and hears no more: what follows it cannot be told from it."""
        self._phase = _Phase.DEAF
        self._queue.append(Request(head=self._head, body=b"", keep_alive=False, refusal=refusal))

    def _refuse_connection(self, refusal: Refusal) -> None:
        self._refuse_now(refusal)
        self._next()


_JSON: Header = (b"content-type", b"application/json")
