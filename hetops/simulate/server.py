"""Edge: the emulated engine as an HTTP server. Reads requests, asks the engine, sends what it says when it says it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from hetops.simulate import replies
from hetops.simulate.clocked import ClockedEngine, Ticket
from hetops.simulate.engine import EventKind
from hetops.simulate.options import EmulatorOptions, Fault
from hetops.simulate.requests import ApiError, Ask, Kind, read

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON = b"application/json"
_BODY_LIMIT_BYTES = 64 << 20
_DIED = 137
"""The exit code of a process that was killed, as an engine out of memory is."""


class Emulator:
    """An ASGI application that is one emulated replica."""

    def __init__(self, options: EmulatorOptions) -> None:
        """Must be made inside a running event loop; loading begins now."""
        self._options = options
        self._engine = ClockedEngine(options)
        self._loop = asyncio.get_running_loop()
        self._ready_at = self._loop.time() + options.faults.start_seconds
        self._created = int(time.time())
        self._asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        out = _Out(send, self._options)
        try:
            await self._route(scope, receive, out)
        except ApiError as refusal:
            await out.whole(refusal.status, refusal.body)

    async def _route(self, scope: Scope, receive: Receive, out: _Out) -> None:
        method, path = scope["method"], scope["path"]
        if path not in _ROUTES:
            raise ApiError(404, f"no such path: {path}")
        allowed, answer = _ROUTES[path]
        if method not in allowed:
            raise ApiError(405, f"{path} takes {' or '.join(allowed)}, not {method}")
        await answer(self, scope, receive, out)

    async def _health(self, _scope: Scope, _receive: Receive, out: _Out) -> None:
        if self._loading:
            await out.whole(503, b'{"status":"loading model"}')
        else:
            await out.whole(200, b'{"status":"ok"}')

    async def _models(self, _scope: Scope, _receive: Receive, out: _Out) -> None:
        await out.whole(200, replies.models(self._options, self._created))

    async def _metrics(self, _scope: Scope, _receive: Receive, out: _Out) -> None:
        text = self._engine.metrics.text(self._options.model, self._engine.gauges)
        await out.whole(200, text.encode(), b"text/plain; version=0.0.4; charset=utf-8")

    async def _chat(self, scope: Scope, receive: Receive, out: _Out) -> None:
        await self._generate(Kind.CHAT, scope, receive, out)

    async def _completion(self, scope: Scope, receive: Receive, out: _Out) -> None:
        await self._generate(Kind.COMPLETION, scope, receive, out)

    @property
    def _loading(self) -> bool:
        return self._loop.time() < self._ready_at

    async def _generate(self, kind: Kind, scope: Scope, receive: Receive, out: _Out) -> None:
        body = await _body(receive)
        if self._loading:
            raise ApiError(503, "loading model")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        ask = read(kind, body, headers, self._options)
        self._asked += 1
        fault = self._options.faults.of(self._asked)
        if fault is Fault.FAIL:
            raise ApiError(
                self._options.faults.fail_status, "a fault that the emulated engine was told to act out"
            )
        if fault is Fault.HANG:
            await _gone(receive)
            return
        await self._answer(ask, receive, out, fault)

    async def _answer(self, ask: Ask, receive: Receive, out: _Out, fault: Fault) -> None:
        ticket = self._engine.submit(ask)
        reply = replies.Reply(
            ask=ask,
            id=f"emulated-{ticket.generation.id}",
            model=self._options.model,
            created=int(time.time()),
        )
        watcher = asyncio.ensure_future(self._abort_when_gone(ticket, receive))
        try:
            if ask.stream:
                await _stream(ticket, reply, out, fault)
            else:
                await _whole(ticket, reply, out, fault)
        finally:
            watcher.cancel()
            self._engine.abort(ticket)

    async def _abort_when_gone(self, ticket: Ticket, receive: Receive) -> None:
        await _gone(receive)
        self._engine.abort(ticket)


_Answer = Callable[[Emulator, Scope, Receive, "_Out"], Awaitable[None]]
_ROUTES: dict[str, tuple[tuple[str, ...], _Answer]] = {
    "/health": (("GET",), Emulator._health),
    "/v1/models": (("GET",), Emulator._models),
    "/metrics": (("GET",), Emulator._metrics),
    "/v1/chat/completions": (("POST",), Emulator._chat),
    "/v1/completions": (("POST",), Emulator._completion),
}


async def _stream(ticket: Ticket, reply: replies.Reply, out: _Out, fault: Fault) -> None:
    """Each token as its own event, when the engine gives it."""
    sent = 0
    while event := await ticket.next():
        match event.kind:
            case EventKind.FIRST_TOKEN:
                await out.begin(200, b"text/event-stream; charset=utf-8")
                await out.part(reply.opening() + reply.piece(0, 1))
                sent = 1
                _die_of(fault)
            case EventKind.TOKEN if event.tokens > sent:
                await out.part(reply.piece(sent, event.tokens))
                sent = event.tokens
            case EventKind.FINISHED:
                await out.part(reply.closing())
                await out.end()
                return


async def _whole(ticket: Ticket, reply: replies.Reply, out: _Out, fault: Fault) -> None:
    """The answer in one piece, when its last token is there."""
    while event := await ticket.next():
        _die_of(fault)
        if event.kind is EventKind.FINISHED:
            await out.whole(200, reply.whole())
            return


def _die_of(fault: Fault) -> None:
    if fault is Fault.DIE:
        os._exit(_DIED)


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ApiError(400, "the client went away")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _BODY_LIMIT_BYTES:
            raise ApiError(413, f"the request body is larger than {_BODY_LIMIT_BYTES} bytes")
        if not message.get("more_body"):
            return b"".join(parts)


async def _gone(receive: Receive) -> None:
    """Returns when the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _Out:
    """An answer on its way to the client, with the headers that say what gives it."""

    def __init__(self, send: Send, options: EmulatorOptions) -> None:
        self._send = send
        self._headers = (
            (b"server", b"hetops-emulated"),
            (b"x-hetops-emulated", f"{options.gpu} {options.model}".encode("ascii", "replace")),
        )

    async def begin(self, status: int, content_type: bytes, *extra: tuple[bytes, bytes]) -> None:
        """Status and headers."""
        headers = [*self._headers, (b"content-type", content_type), *extra]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def part(self, body: bytes) -> None:
        """A part of the body; returns when the client's connection takes more."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self) -> None:
        """The body is complete."""
        await self._send({"type": "http.response.body", "body": b""})

    async def whole(self, status: int, body: bytes, content_type: bytes = _JSON) -> None:
        """An answer in one piece."""
        await self.begin(status, content_type, (b"content-length", str(len(body)).encode()))
        await self._send({"type": "http.response.body", "body": body})
