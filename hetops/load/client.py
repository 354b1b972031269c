"""Edge: sends one request to an OpenAI-compatible endpoint and times its streamed answer.

A connection of its own for each request: engines close idle ones as they like, and a request that meets a closed one
would be a failure of ours. Written on bare streams: the generator shares the machine with the engines it measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from hetops.errors import UsageError
from hetops.load.samples import Failure, Sample
from hetops.load.schedule import Lengths
from hetops.load.stream import Answer

EXACT: Mapping[str, Any] = {"ignore_eos": True, "cache_prompt": False}
"""Fields that llama.cpp, vLLM and SGLang take, each what it knows: answers as long as asked, prompts never from a cache."""
_PATH = "/v1/chat/completions"
_HEAD_BYTES = 64 << 10
_READ_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go."""

    url: str
    """Base URL, without `/v1`."""
    model: str
    api_key: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=lambda: dict(EXACT))
    silence_seconds: float = 120.0
    """Longest wait for the next byte."""

    def __post_init__(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise UsageError(
                f"{self.url!r} is no endpoint", hint="give its base URL, such as http://127.0.0.1:8000"
            )


async def ask(target: Target, lengths: Lengths, text: str, *, due: float, began: float) -> Sample:
    """The sample of one request, sent now. `began` is when the load did, on the monotonic clock. Never raises for what
    the endpoint does; a cancelled call closes its connection."""
    started = time.monotonic()
    answer, failure, message = Answer(), None, ""
    try:
        await _exchange(target, _body(target, lengths, text), answer)
    except _FailedError as fault:
        failure, message = fault.failure, str(fault)
    except TimeoutError:
        failure, message = Failure.SILENT, f"not a byte for {target.silence_seconds:g} s"
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as fault:
        failure = Failure.CONNECT if answer.first_at is None else Failure.TORN
        message = str(fault) or type(fault).__name__
    if failure is None and answer.nonsense:
        failure, message = Failure.NONSENSE, answer.nonsense
    if failure is None and (answer.error or not answer.whole):
        failure, message = Failure.TORN, answer.error or "the stream ended early"
    if failure is None and answer.first_at is None:
        failure = Failure.EMPTY
    return Sample(
        due=due,
        started=started - began,
        ended=time.monotonic() - began,
        asked=lengths,
        input_tokens=answer.input_tokens or lengths.input_tokens,
        output_tokens=answer.tokens,
        ttft_seconds=None if failure or answer.first_at is None else answer.first_at - started,
        tpot_seconds=None if failure else answer.tpot_seconds,
        failure=failure,
        message=message,
    )


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
            "stream_options": {"include_usage": True},
            **target.extra,
        }
    )


async def _exchange(target: Target, body: bytes, answer: Answer) -> None:
    async with _connection(target) as (reader, writer):
        writer.write(_head(target, len(body)) + body)
        await writer.drain()
        async with asyncio.timeout(target.silence_seconds):
            status, headers = await _answer_head(reader)
        parts = _parts(reader, headers, target.silence_seconds)
        if status != 200:
            said = b"".join([part async for part in parts])
            raise _FailedError(_failure(status), f"status {status}: {said[:300].decode('utf-8', 'replace')}")
        async for part in parts:
            answer.feed(part, time.monotonic())
            if answer.error:
                return


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


def _head(target: Target, length: int) -> bytes:
    url = urlsplit(target.url)
    lines = [
        f"POST {url.path.rstrip('/')}{_PATH} HTTP/1.1",
        f"Host: {url.netloc.rpartition('@')[2]}",
        "Content-Type: application/json",
        "Accept: text/event-stream",
        f"Content-Length: {length}",
        "Connection: close",
        *([f"Authorization: Bearer {target.api_key}"] if target.api_key else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _answer_head(reader: asyncio.StreamReader) -> tuple[int, Mapping[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
        raise _FailedError(Failure.ENGINE, f"no HTTP: {lines[0][:80]!r}")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _parts(
    reader: asyncio.StreamReader, headers: Mapping[str, str], silence_seconds: float
) -> AsyncIterator[bytes]:
    """The body, part by part as it comes in."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while True:
            async with asyncio.timeout(silence_seconds):
                part = await _chunk(reader)
            if not part:
                return
            yield part
    left = int(headers["content-length"]) if "content-length" in headers else None
    while left is None or left > 0:
        async with asyncio.timeout(silence_seconds):
            part = await reader.read(_READ_BYTES if left is None else min(left, _READ_BYTES))
        if not part:
            return
        left = None if left is None else left - len(part)
        yield part


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    size = int((await reader.readline()).partition(b";")[0], 16)
    return (await reader.readexactly(size + 2))[:-2]


def _failure(status: int) -> Failure:
    if status == 429:
        return Failure.THROTTLED
    return Failure.ENGINE if status >= 500 else Failure.REFUSED
