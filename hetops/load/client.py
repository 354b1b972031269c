"""Edge: sends one request to an OpenAI-compatible endpoint and times its streamed answer.

A connection of its own for each request: engines close idle ones as they like, and a request that meets a closed one
would be a failure of ours. Written on bare streams: the generator shares the machine with the engines it measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hetops.errors import UsageError
from hetops.load.samples import Failure, Sample
from hetops.load.schedule import Lengths
from hetops.load.stream import Answer

COUNTED: Mapping[str, Any] = {"stream_options": {"include_usage": True}}
"""What has an engine count tokens; where it does not, events are counted."""
EXACT: Mapping[str, Any] = {"ignore_eos": True, "cache_prompt": False, **COUNTED}
"""Fields that llama.cpp, vLLM and SGLang take, each what it knows: answers as long as asked, prompts never from a cache."""
_PATH = "/v1/chat/completions"
_HEAD_BYTES = 64 << 10
_READ_BYTES = 64 << 10
_MOST_CHUNK_BYTES = 4 << 20
"""Of one chunk of a body: an event is a token or a few."""
_VERSIONS = (("/version", "version"), ("/props", "build_info"), ("/get_server_info", "version"))
"""Where vLLM, llama.cpp and SGLang tell theirs, and under which name."""
_VERSION_SECONDS = 3.0
_LONGEST_VERSION = 60
_SHOWN_CHARACTERS = 300
"""Of what an endpoint says of its failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go."""

    url: str
    """Base URL, with or without `/v1`."""
    model: str
    api_key: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=lambda: dict(EXACT))
    silence_seconds: float = 120.0
    """Longest wait for the next byte."""
    stall_seconds: float = 120.0
    """Longest wait for it within an answer, from the first token on."""
    origin: str = ""
    """Where requests come from, for a router of ours."""

    def __post_init__(self) -> None:
        try:
            url = urlsplit(self.url)
            known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:  # of a port or an IPv6 address that is none
            known = False
        if not known or not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise UsageError(
                f"{self.url!r} is no endpoint", hint="give its base URL, such as http://127.0.0.1:8000"
            )
        if url.username is not None:
            raise UsageError(
                f"the endpoint's address at {url.hostname} holds a name or a password",
                hint="leave it out: a key goes with the requests as a bearer token",
            )
        if not self.api_key.isascii() or not self.api_key.isprintable():
            raise UsageError(
                f"the key of {self.url} holds what no header can: line ends or letters beyond ASCII",
                hint="copy the key anew, without what stands around it",
            )


async def ask(target: Target, lengths: Lengths, text: str, *, due: float, began: float) -> Sample:
    """The sample of one request, sent now. `began` is when the load did, on the monotonic clock. Never raises for what
    the endpoint does; a cancelled call closes its connection."""
    started = time.monotonic()
    answer, failure, message = Answer(most_tokens=lengths.output_tokens), None, ""
    try:
        await _exchange(target, _body(target, lengths, text), answer)
    except _FailedError as fault:
        failure, message = fault.failure, str(fault)
    except TimeoutError:
        failure, message = _silence(target, answer)
    except asyncio.LimitOverrunError:
        failure, message = Failure.NO_HTTP, f"a header of more than {_HEAD_BYTES >> 10} KiB"
    except (OSError, asyncio.IncompleteReadError) as fault:
        failure, message = Failure.TORN if answer.heard else Failure.CONNECT, _reason(fault)
    if failure in (None, Failure.TORN) and answer.nonsense:
        failure, message = Failure.NONSENSE, answer.nonsense
    if failure is None and (answer.error or not answer.whole):
        failure, message = Failure.TORN, answer.error or "the stream ended without [DONE]"
    if failure is None and answer.began_at is None:
        failure = Failure.EMPTY
    return Sample(
        due=due,
        started=started - began,
        ended=time.monotonic() - began,
        asked=lengths,
        input_tokens=answer.input_tokens or lengths.input_tokens,
        output_tokens=answer.tokens,
        ttft_seconds=None if failure or answer.began_at is None else answer.began_at - started,
        tpot_seconds=None if failure else answer.tpot_seconds,
        failure=failure,
        message=_printable(message),
    )


async def engine_version(target: Target) -> str:
    """What the engine calls its version; empty where it tells none. Never raises for what the endpoint does."""
    for path, name in _VERSIONS:
        with contextlib.suppress(
            OSError, EOFError, asyncio.LimitOverrunError, _FailedError, msgspec.DecodeError
        ):
            async with asyncio.timeout(_VERSION_SECONDS):
                told = msgspec.json.decode(await _got(target, path), type=dict[str, Any]).get(name)
            if isinstance(told, str) and told.strip():
                return _printable(told.strip())[:_LONGEST_VERSION]
    return ""


async def _got(target: Target, path: str) -> bytes:
    """The body of a page of the engine."""
    async with _connection(target) as (reader, writer):
        writer.write(_head(target, f"GET {_base(target)}{path}", 0))
        await writer.drain()
        status, headers = await _answer_head(reader)
        if status != 200:
            raise _FailedError(_failure(status), f"status {status}")
        body = b""
        async for part in _parts(reader, headers, lambda: _VERSION_SECONDS):
            body += part
            if len(body) > _MOST_CHUNK_BYTES:
                raise _FailedError(Failure.NO_HTTP, "a page without end")
        return body


def _silence(target: Target, answer: Answer) -> tuple[Failure, str]:
    told = f"not a byte for {_patience(target, answer):g} s"
    return (
        (Failure.SILENT, told) if answer.first_at is None else (Failure.STALLED, f"within its answer {told}")
    )


def _reason(fault: OSError | asyncio.IncompleteReadError) -> str:
    if isinstance(fault, asyncio.IncompleteReadError):
        return "it closed the connection within its answer" if fault.partial else "it closed the connection"
    return str(fault) or type(fault).__name__


def _printable(text: str) -> str:
    """As a terminal may see it: what an endpoint says moves no cursor."""
    return "".join(c if c.isprintable() else " " for c in text)


class _FailedError(Exception):
    """An answer that is none."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


def _body(target: Target, lengths: Lengths, text: str) -> bytes:
    return msgspec.json.encode(
        {
            "model": target.model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": lengths.output_tokens,
            "stream": True,
            **target.extra,
        }
    )


async def _exchange(target: Target, body: bytes, answer: Answer) -> None:
    async with _connection(target) as (reader, writer):
        async with asyncio.timeout(target.silence_seconds):
            writer.write(_head(target, f"POST {_base(target)}{_PATH}", len(body)) + body)
            await writer.drain()
            status, headers = await _answer_head(reader)
        parts = _parts(reader, headers, lambda: _patience(target, answer))
        if status != 200:
            raise _FailedError(_failure(status), await _refusal(status, headers, parts))
        async for part in parts:
            answer.feed(part, time.monotonic())
            if answer.error or answer.done:
                return


def _patience(target: Target, answer: Answer) -> float:
    """Seconds that the next byte is waited for."""
    begun = answer.first_at is not None
    return min(target.silence_seconds, target.stall_seconds) if begun else target.silence_seconds


async def _refusal(status: int, headers: Mapping[str, str], parts: AsyncIterator[bytes]) -> str:
    """What an answer that is none says, as far as it is worth reading."""
    if "location" in headers:
        return f"status {status}: it is at {headers['location'][:_SHOWN_CHARACTERS]}"
    wait = f", Retry-After {headers['retry-after'][:_SHOWN_CHARACTERS]}" if "retry-after" in headers else ""
    said = b""
    async for part in parts:
        said += part
        if len(said) > _SHOWN_CHARACTERS:
            break
    return f"status {status}{wait}: {said.decode('utf-8', 'replace')[:_SHOWN_CHARACTERS]}"


@contextlib.asynccontextmanager
async def _connection(target: Target) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    url = urlsplit(target.url)
    secure = ssl.create_default_context() if url.scheme == "https" else None
    port = url.port or (443 if secure else 80)
    async with asyncio.timeout(target.silence_seconds):
        reader, writer = await asyncio.open_connection(url.hostname, port, ssl=secure, limit=_HEAD_BYTES)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _base(target: Target) -> str:
    """The path that all pages of the engine are under."""
    return urlsplit(target.url).path.rstrip("/").removesuffix("/v1")


def _head(target: Target, asked: str, length: int) -> bytes:
    """`asked` is the method and the path."""
    url = urlsplit(target.url)
    lines = [
        f"{asked} HTTP/1.1",
        f"Host: {url.netloc.rpartition('@')[2]}",
        "Content-Type: application/json",
        "Accept: text/event-stream",
        f"Content-Length: {length}",
        "Connection: close",
        *([f"Authorization: Bearer {target.api_key}"] if target.api_key else []),
        *([f"X-Hetops-Origin: {target.origin}"] if target.origin else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _answer_head(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
        raise _FailedError(Failure.NO_HTTP, f"it begins {lines[0][:80]!r}")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _parts(
    reader: asyncio.StreamReader, headers: Mapping[str, str], patience: Callable[[], float]
) -> AsyncIterator[bytes]:
    """The body, part by part as it comes in."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while True:
            async with asyncio.timeout(patience()):
                part = await _chunk(reader)
            if not part:
                return
            yield part
    left = _size(headers["content-length"], 10) if "content-length" in headers else None
    while left is None or left > 0:
        async with asyncio.timeout(patience()):
            part = await reader.read(_READ_BYTES if left is None else min(left, _READ_BYTES))
        if not part:
            return
        left = None if left is None else left - len(part)
        yield part


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    size = _size((await reader.readuntil(b"\n")).partition(b";")[0].decode("latin-1"), 16)
    if size > _MOST_CHUNK_BYTES:
        raise _FailedError(Failure.NO_HTTP, f"a chunk of {size} bytes")
    return (await reader.readexactly(size + 2))[:-2]


def _size(text: str, base: int) -> int:
    with contextlib.suppress(ValueError):
        if (size := int(text, base)) >= 0:
            return size
    raise _FailedError(Failure.NO_HTTP, f"{text.strip()[:80]!r} for a number of bytes")


def _failure(status: int) -> Failure:
    if status == 429:
        return Failure.THROTTLED
    if status < 400:
        return Failure.MOVED if status >= 300 else Failure.NO_HTTP
    return Failure.ENGINE if status >= 500 else Failure.REFUSED
