"""Writes HTTP heads: of requests to engines and of answers to clients. Pure: values in, bytes out.

What goes to an engine is written anew from a list of what may pass, so a client's key, cookies and framing cannot travel.
To a service goes no header of a client's at all.
What comes back passes but for what concerns one connection only (RFC 9110, 7.6.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from http import HTTPStatus

Header = tuple[bytes, bytes]

_FORWARDED = frozenset({b"accept", b"content-type", b"traceparent", b"tracestate", b"user-agent"})
_OURS = b"x-hetops-"
_FROM_SERVICES = frozenset({b"cache-control", b"content-type", b"retry-after"})

_OF_ONE_CONNECTION = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length"),
    }
)

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Framing(Enum):
    """How a client knows where an answer ends."""

    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


def request_head(
    target: bytes, host: bytes, headers: Iterable[Header], length: int, request_id: bytes
) -> bytes:
    """The head of a request to an engine."""
    passed = b"".join(
        b"%b: %b\r\n" % (name, value)
        for name, value in headers
        if name in _FORWARDED or name.startswith(_OURS)
    )
    return b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b\r\n" % (
        target,
        host,
        length,
        request_id,
        passed,
    )


def service_head(target: bytes, host: bytes, key: str, length: int) -> bytes:
    """The head of a request to a service: of the client's headers nothing, of ours the key."""
    return (
        b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-type: application/json\r\naccept: */*\r\n"
        b"user-agent: hetops\r\ncontent-length: %d\r\n%b\r\n"
    ) % (target, host, length, _authorization(key))


def probe_head(target: bytes, host: bytes, key: str = "") -> bytes:
    """A whole request that asks an engine, or a service with its key, how it is."""
    return b"GET %b HTTP/1.1\r\nhost: %b\r\naccept: */*\r\n%b\r\n" % (target, host, _authorization(key))


def _authorization(key: str) -> bytes:
    return b"authorization: Bearer %b\r\n" % key.encode() if key else b""


def of_service(headers: Iterable[Header]) -> list[Header]:
    """A service's headers that a client may see: nothing of the account that pays, no cookie."""
    return [(name, value) for name, value in headers if name in _FROM_SERVICES]


def end_to_end(headers: Sequence[Header]) -> list[Header]:
    """An engine's headers that may pass: those that do not concern its own connection or framing."""
    named = {
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    return [(n, v) for n, v in headers if n not in _OF_ONE_CONNECTION and n not in named]


def answer_head(
    status: int,
    headers: Iterable[Header],
    framing: Framing,
    *,
    length: int | None = None,
    closing: bytes = b"",
) -> bytes:
    """The head of an answer to a client. `closing` is the value of Connection, empty for none."""
    lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status]
    lines += [b"%b: %b\r\n" % header for header in headers]
    if framing is Framing.LENGTH:
        lines.append(b"content-length: %d\r\n" % (length or 0))
    elif framing is Framing.CHUNKED:
        lines.append(b"transfer-encoding: chunked\r\n")
    if closing:
        lines.append(b"connection: %b\r\n" % closing)
    lines.append(b"\r\n")
    return b"".join(lines)


def chunk(data: bytes) -> bytes:
    """A part of a chunked body; nothing for no data, which would end it."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


LAST_CHUNK = b"0\r\n\r\n"
