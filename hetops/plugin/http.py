"""Edge: the HTTP client for authors of providers. Needs httpx, so `hetops.plugin` loads it when it is first asked for.

Decides how long to wait, what may be asked again, and whether an answer is an answer at all. What a refusal means is
said by the provider (`Service.meaning`). Must not follow a redirect, send a key over an open line, repeat what may have
had an effect, or let a secret into a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from hetops.errors import ErrorKind, ProviderError
from hetops.plugin.answers import (
    MeaningOf,
    Refused,
    by_status,
    date_of,
    is_json,
    is_page,
    media_type,
    parsed,
    retry_after,
)
from hetops.plugin.pace import Pace, RealClock
from hetops.plugin.surroundings import Clock, Patience, Secret

T = TypeVar("T")

MOST_BYTES = 64 << 20
"""An answer beyond this is none: a price list of everything is no page of an API."""

_MOST_WORDS = 300
"""Characters of a provider's own words that a message takes."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_FIRST_WAIT_SECONDS = 0.25

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Failures before a byte of the request was on its way."""


class Repeat(StrEnum):
    """Whether a request may be sent again when nobody knows what became of it."""

    SAFE = "safe"
    """A second one changes nothing: reading, removing."""
    NEVER = "never"
    """It would create a second thing. Asked again only where the first one surely had no effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One provider's API: where it is, the key that opens it, and how patient its callers are."""

    provider: str
    base_url: str
    token: Secret
    """Empty for a service that asks for none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further ones of every request. No secrets: they are not hidden in messages."""
    meaning: MeaningOf = lambda _: None
    patience: Patience = field(default_factory=Patience)
    url_hint: str = "is the address of the API right? A proxy or a captive network may answer in its place"


class HttpError(ProviderError):
    """A request that did not succeed. `status` is 0 where there was no answer."""

    status: int = 0
    unknown_outcome: bool = False
    """The request was sent and may have had its effect all the same: look before asking again."""


def understood(said: Any, kind: type[T], *, provider: str, what: str) -> T:
    """JSON as a value of that type.

    Raises:
        HttpError: of kind invalid; says where in `what` it is something else.
    """
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as fault:
        message = f"{what} cannot be understood: {fault}"
        raise HttpError(message, provider=provider, kind=ErrorKind.INVALID) from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Any = None
    repeat: Repeat = Repeat.SAFE


class Api:
    """A client of one service, for one piece of work: `async with Api(service) as api: await api.get("/v1/things")`.

    Answers are JSON: objects, arrays, text, int, and Decimal for every number with a point. Every failure is an
    HttpError.
    """

    def __init__(self, service: Service, *, clock: Clock | None = None, pace: Pace | None = None) -> None:
        self._service = service
        self._clock = clock or RealClock()
        self._pace = pace
        self.clock_ahead_seconds: float | None = None
        """How far this machine's clock was ahead of the service's at its last answer; None before one told a time."""
        self._guard_the_line()
        self._client = httpx.AsyncClient(
            base_url=service.base_url,
            headers={"Accept": "application/json", **service.headers, **_authorization(service.token)},
            timeout=service.patience.timeout_seconds,
            verify=_tls(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What stands there."""
        return await self._ask(_Asked(method="GET", path=path, query=query))

    async def post(self, path: str, body: Any, *, repeat: Repeat = Repeat.NEVER) -> Any:
        """What the service answers. Without `repeat` the request has an effect at most once."""
        return await self._ask(_Asked(method="POST", path=path, body=body, repeat=repeat))

    async def put(self, path: str, body: Any) -> Any:
        """What the service answers; the same body again changes nothing."""
        return await self._ask(_Asked(method="PUT", path=path, body=body))

    async def delete(self, path: str) -> Any:
        """What the service answers, mostly nothing."""
        return await self._ask(_Asked(method="DELETE", path=path))

    def _guard_the_line(self) -> None:
        """A key goes over TLS, or stays on this machine."""
        url = urlsplit(self._service.base_url)
        if url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOOPBACK):
            return
        raise self._error(
            f"{url.scheme}://{url.netloc} is no https address",
            ErrorKind.INVALID,
            hint="a key is sent over TLS only: write https://",
        )

    # Asking, and asking again. The waits obey the service, the patience and the clock of a test at once: no library of
    # retries knows all three.

    async def _ask(self, asked: _Asked) -> Any:
        attempt, end = 0, float("inf")
        while True:
            attempt += 1
            try:
                async with self._pace or contextlib.nullcontext():
                    end = min(end, self._clock.now() + self._service.patience.seconds)
                    return await self._once(asked)
            except HttpError as fault:
                wait = _wait(fault, attempt)
                again = attempt < self._service.patience.attempts and _may_repeat(fault, asked)
                if not again or self._clock.now() + wait > end:
                    raise
            await self._clock.sleep(wait)

    async def _once(self, asked: _Asked) -> Any:
        seconds = self._service.patience.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                async with self._client.stream(
                    asked.method, asked.path, params=asked.query, json=asked.body
                ) as response:
                    content = await _content(response)
        except TimeoutError as fault:
            raise self._unanswered(asked, f"no whole answer within {seconds:g} s", sent=True) from fault
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            reason = str(fault) or type(fault).__name__
            raise self._unanswered(asked, reason, sent=not isinstance(fault, _UNSENT)) from fault
        return self._judged(asked, response, content)

    # Judging

    def _judged(self, asked: _Asked, response: httpx.Response, content: bytes | None) -> Any:
        said_at = date_of(response.headers.get("date", ""))
        if said_at is not None:
            self.clock_ahead_seconds = (datetime.now(UTC) - said_at).total_seconds()
        status = response.status_code
        if status >= HTTPStatus.BAD_REQUEST:
            raise self._refused(asked, response, content or b"")
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            host = urlsplit(response.headers.get("location", "")).netloc or "elsewhere"
            self._no_answer(asked, f"sends to {host} (status {status})", ErrorKind.INVALID)
        if content is None:
            self._no_answer(asked, f"answered with more than {MOST_BYTES >> 20} MiB", ErrorKind.INVALID)
        if status == HTTPStatus.NO_CONTENT or (not content and asked.method != "GET"):
            return None
        kind = media_type(response.headers)
        if is_page(kind, content):
            self._no_answer(asked, "answered with a web page, not with JSON", ErrorKind.INVALID)
        if kind and not is_json(kind):
            self._no_answer(asked, f"answered with {kind}, not with JSON", ErrorKind.INVALID)
        try:
            return parsed(content)
        except ValueError:
            return self._no_answer(
                asked,
                f"answered with JSON that breaks off or is none ({len(content)} bytes)",
                ErrorKind.TRANSIENT,
            )

    def _no_answer(self, asked: _Asked, problem: str, kind: ErrorKind) -> NoReturn:
        """A success that says nothing: what was asked for may have been done."""
        fault = self._error(f"{asked.method} {asked.path} {problem}", kind)
        fault.unknown_outcome = asked.repeat is Repeat.NEVER
        raise fault

    def _unanswered(self, asked: _Asked, problem: str, *, sent: bool) -> HttpError:
        fault = self._error(
            f"{asked.method} {asked.path}: {problem}",
            ErrorKind.TRANSIENT,
            hint="run again; is the network up?",
        )
        fault.unknown_outcome = sent and asked.repeat is Repeat.NEVER
        return fault

    def _refused(self, asked: _Asked, response: httpx.Response, content: bytes) -> HttpError:
        status = response.status_code
        try:
            said = parsed(content) if content and not is_page(media_type(response.headers), content) else None
        except ValueError:
            said = None
        refused = Refused(status=status, method=asked.method, path=asked.path, said=said)
        meaning = self._service.meaning(refused) or by_status(status)
        words = meaning.message or refused.words or f"status {status}"
        wait = retry_after(response.headers, datetime.now(UTC))
        again = f"run again in {wait:.0f} s" if wait is not None else "run again in a while"
        fault = HttpError(
            self._shown(f"{asked.method} {asked.path}: {words}"),
            provider=self._service.provider,
            kind=meaning.kind,
            scope=meaning.scope,
            hint=self._shown(meaning.hint) or again * (meaning.kind is ErrorKind.THROTTLED),
            retry_after_seconds=wait,
        )
        fault.status = status
        fault.unknown_outcome = status >= HTTPStatus.INTERNAL_SERVER_ERROR and asked.repeat is Repeat.NEVER
        return fault

    def _error(self, message: str, kind: ErrorKind, *, hint: str = "") -> HttpError:
        return HttpError(
            self._shown(message),
            provider=self._service.provider,
            kind=kind,
            hint=hint or self._service.url_hint,
        )

    def _shown(self, text: str) -> str:
        """The text as one line without secrets and of bearable length: others' words stand in it."""
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split()).rstrip(".")
        shown = self._service.token.hide(line)
        return shown if len(shown) <= _MOST_WORDS else f"{shown[:_MOST_WORDS]}…"


def _authorization(token: Secret) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.reveal()}"} if token else {}


@functools.cache
def _tls() -> ssl.SSLContext:
    """Loading certificates takes longer than most requests: once a process."""
    return httpx.create_ssl_context()


async def _content(response: httpx.Response) -> bytes | None:
    """The body; None where it is longer than any answer is."""
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _may_repeat(fault: HttpError, asked: _Asked) -> bool:
    """Throttled requests had no effect; of the rest, those that may pass and do no harm."""
    if fault.kind is ErrorKind.THROTTLED:
        return True
    return fault.kind is ErrorKind.TRANSIENT and (asked.repeat is Repeat.SAFE or not fault.unknown_outcome)


def _wait(fault: HttpError, attempt: int) -> float:
    told = fault.retry_after_seconds
    return told if told is not None else _FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
