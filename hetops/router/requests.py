"""A client's request, and why it is refused for its form: too large, or to be read in two ways. Pure; parses nothing.

Where two readers could see the end of a request in different places, one of them can be made to take a part of it for
another request. So two lengths, a length and a coding, and codings other than chunked are refused, all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from hetops.router.config import Limits
from hetops.router.heads import Header
from hetops.router.refusals import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """A request up to its body. Header names are in lower case; of repeated headers `fields` has the last."""

    method: bytes
    path: str
    headers: tuple[Header, ...]
    fields: Mapping[bytes, bytes]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A whole request, or one that is refused. `keep_alive`: whether the connection may stay open after its answer."""

    head: RequestHead | None
    body: bytes
    keep_alive: bool
    refusal: Refusal | None = None


class Answering(Protocol):
    """What answers one request."""

    def abort(self) -> None:
        """The client is gone."""

    def pause(self) -> None:
        """The client is slow: give no more for now."""

    def resume(self) -> None:
        """The client takes more."""

    def tick(self, now: float) -> None:
        """A moment has passed."""


def last_of_all(request: Request) -> Request:
    """The same request, after whose answer the connection closes."""
    return replace(request, keep_alive=False)


def ambiguity(head: RequestHead) -> Refusal | None:
    """What two readers could read in two ways, or what HTTP/1.1 requires and is missing."""
    if fault := _fault(head):
        return Refusal(400, fault, code="bad_request")
    if head.fields.get(b"expect", b"100-continue").lower() != b"100-continue":
        return Refusal(417, "only 100-continue can be expected", code="expectation_failed")
    return None


def _fault(head: RequestHead) -> str:
    """What is wrong with the head; empty where nothing is."""
    names = [name for name, _ in head.headers]
    lengths, codings = names.count(b"content-length"), names.count(b"transfer-encoding")
    if lengths > 1 or codings > 1 or (lengths and codings):
        return "the request says its length twice"
    if codings and (head.version == "1.0" or head.fields[b"transfer-encoding"].strip().lower() != b"chunked"):
        return "the only Transfer-Encoding that is understood is chunked, in HTTP/1.1"
    if lengths and not head.fields[b"content-length"].isdigit():
        return "Content-Length must be a number"
    if names.count(b"host") > 1 or (head.version == "1.1" and b"host" not in head.fields):
        return "the request must have one Host header"
    if b"upgrade" in head.fields or head.method == b"CONNECT":
        return "the connection cannot be upgraded: this server speaks HTTP/1.1"
    return ""


def large_body(head: RequestHead, limits: Limits) -> Refusal | None:
    """A body that says itself that it is too large."""
    return body_too_large(limits) if int(head.fields.get(b"content-length", 0)) > limits.body_bytes else None


def body_too_large(limits: Limits) -> Refusal:
    """A body that is larger than allowed."""
    return Refusal(
        413, f"the request body is larger than {limits.body_bytes} bytes", code="request_too_large"
    )


def head_too_large(limits: Limits) -> Refusal:
    """A head that is larger than allowed."""
    return Refusal(
        431, f"the head of the request is larger than {limits.head_bytes} bytes", code="headers_too_large"
    )
