"""Edge: the HTTP client for authors of providers. Needs httpx, so `hetops.plugin` loads it when it is first asked for.

Decides how long to wait, what may be asked again, and whether an answer is an answer at all. What a refusal means is
said by the provider (`Service.meaning`). Must not follow a redirect, send a key over an open line, repeat what may have
had an effect, or let a secret into a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from hetops.errors import ErrorKind, ProviderError, Scope
from hetops.plugin.surroundings import Clock, Patience, Secret

T = TypeVar("T")

MOST_BYTES = 64 << 20
"""An answer beyond this is none: a price list of everything is no page of an API."""

_MOST_WORDS = 300
"""Characters of a provider's own words that a message takes."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_FIRST_WAIT_SECONDS = 0.25
_TURN_POLL_SECONDS = 0.01

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Failures before a byte of the request was on its way."""


class Repeat(StrEnum):
    """Whether a request may be sent again when nobody knows what became of it."""

    SAFE = "safe"
    """A second one changes nothing: reading, removing."""
    NEVER = "never"
    """It would create a second thing. Asked again only where the first one surely had no effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An answer with a status of 400 or more. `said` is its JSON, None where it is none."""

    status: int
    method: str
    path: str
    said: Any

    @property
    def words(self) -> str:
        """What the provider says, from the fields that error bodies usually have; empty where it says nothing."""
        body = self.said.get("error", self.said) if isinstance(self.said, Mapping) else self.said
        if not isinstance(body, Mapping):
            return body if isinstance(body, str) else ""
        parts = (body.get(name) for name in ("message", "detail", "suggestion", "title"))
        told = [part for part in parts if isinstance(part, str) and part]
        return " ".join(told[:2]) if "suggestion" in body else next(iter(told), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a refusal means. An empty message leaves the provider's own words."""

    kind: ErrorKind
    scope: Scope = Scope.PROVIDER
    message: str = ""
    hint: str = ""


MeaningOf = Callable[[Refused], Meaning | None]
"""The provider's own reading of a refusal; None leaves it to the status."""


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


class RealClock:
    """The clock of this machine."""

    def now(self) -> float:
        """As `Clock.now`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        await asyncio.sleep(max(0.0, seconds))


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


class Pace:
    """One request at a time, and so many seconds from the end of one to the next: `async with pace: ...`.

    From the end, because a request may arrive late. Loops, threads and clients share one pace.
    """

    def __init__(self, seconds_between: float, clock: Clock | None = None) -> None:
        self._seconds = seconds_between
        self._clock = clock or RealClock()
        self._taken = threading.Lock()
        self._free_at = float("-inf")

    async def __aenter__(self) -> None:
        while not self._taken.acquire(blocking=False):
            await asyncio.sleep(_TURN_POLL_SECONDS)
        try:
            await self._clock.sleep(max(0.0, self._free_at - self._clock.now()))
        except BaseException:
            self._taken.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._free_at = self._clock.now() + self._seconds
        self._taken.release()


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
        said_at = _date(str(response.headers.get("date", "")))
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
        kind = _media_type(response)
        if _is_page(kind, content):
            self._no_answer(asked, "answered with a web page, not with JSON", ErrorKind.INVALID)
        if kind and not _is_json(kind):
            self._no_answer(asked, f"answered with {kind}, not with JSON", ErrorKind.INVALID)
        try:
            return _parsed(content)
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
            said = _parsed(content) if content and not _is_page(_media_type(response), content) else None
        except ValueError:
            said = None
        refused = Refused(status=status, method=asked.method, path=asked.path, said=said)
        meaning = self._service.meaning(refused) or _by_status(status)
        words = meaning.message or refused.words or f"status {status}"
        wait = _retry_after(response)
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


def _parsed(content: bytes) -> Any:
    """JSON whose fractions stay exact; ValueError where it is none."""
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def _is_page(media_type: str, content: bytes) -> bool:
    return media_type in ("text/html", "application/xhtml+xml") or content.lstrip()[:1] == b"<"


def _by_status(status: int) -> Meaning:
    kinds = {
        HTTPStatus.UNAUTHORIZED: ErrorKind.AUTH,
        HTTPStatus.PAYMENT_REQUIRED: ErrorKind.BALANCE,
        HTTPStatus.FORBIDDEN: ErrorKind.AUTH,
        HTTPStatus.REQUEST_TIMEOUT: ErrorKind.TRANSIENT,
        HTTPStatus.TOO_MANY_REQUESTS: ErrorKind.THROTTLED,
    }
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    default = ErrorKind.TRANSIENT if may_pass else ErrorKind.INVALID
    scope = Scope.OFFER if status == HTTPStatus.NOT_FOUND else Scope.PROVIDER
    return Meaning(kind=next((k for s, k in kinds.items() if s == status), default), scope=scope)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from either form of the header; a date is held against the server's clock, not ours."""
    text = str(response.headers.get("retry-after", "")).strip()
    if text.isdecimal():
        return float(text)
    until, said_at = _date(text), _date(str(response.headers.get("date", "")))
    return None if until is None else max(0.0, (until - (said_at or datetime.now(UTC))).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _may_repeat(fault: HttpError, asked: _Asked) -> bool:
    """Throttled requests had no effect; of the rest, those that may pass and do no harm."""
    if fault.kind is ErrorKind.THROTTLED:
        return True
    return fault.kind is ErrorKind.TRANSIENT and (asked.repeat is Repeat.SAFE or not fault.unknown_outcome)


def _wait(fault: HttpError, attempt: int) -> float:
    told = fault.retry_after_seconds
    return told if told is not None else _FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
