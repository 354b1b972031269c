"""Endpoints that answer nonsense, or never end: each load ends in time and says what came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from hetops.errors import EngineError
from hetops.load import client, drive
from hetops.load.client import Target
from hetops.load.open_loops import at_rate
from hetops.load.samples import Failure
from hetops.load.schedule import Lengths
from hetops.load.stopping import Stop, StopRule

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
LENGTHS = Lengths(input_tokens=20, output_tokens=5)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
TOKEN = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


async def web_page(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"<html><body>Welcome</body></html>\n")


async def whole_json(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b'{"choices": [{"message": {"content": "a b c"}}]}')


async def broken_events(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"data: {not json\n\ndata: \xff\xfe\n\ndata: [DONE]\n\n")


async def one_long_line(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while not writer.is_closing():
        writer.write(b"x" * (1 << 16))
        await writer.drain()


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def said_once(answer: bytes) -> Answer:
    """An endpoint that says the same to everybody."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return say


async def endless_refusal(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Busy\r\n\r\nout of order")
    while not writer.is_closing():
        writer.write(b" " * (1 << 16))
        await writer.drain()


async def endless_tokens(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while not writer.is_closing():
        writer.write(TOKEN)
        await writer.drain()
        await asyncio.sleep(0.02)


async def stalled(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + TOKEN)
    await asyncio.sleep(AT_LENGTH_SECONDS)


AT_LENGTH_SECONDS = 60.0
"""Silence for who is to wait for what comes, however busy this machine is."""


async def served(
    answer: Answer, work: Callable[[Target], Awaitable[object]], silence_seconds: float = 0.5
) -> object:
    """The result of some work on an endpoint that answers so."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):  # the loop ends, or its client
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        target = Target(url=f"http://127.0.0.1:{port}", model="m", silence_seconds=silence_seconds)
        return await work(target)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (web_page, "begins b'<html><body>Welcome"),
        (whole_json, 'begins b\'{"choices"'),
        (broken_events, "begins b'{not json'"),
        (one_long_line, "begins b'xxxx"),
        (no_http, "begins 'SSH-2.0"),
        (endless_refusal, "status 503: out of order"),
        (said_once(b"HTTP/1.1 307 T\r\nLocation: http://there\r\n\r\n"), "it is at http://there"),
        (said_once(b"HTTP/1.1 500 E\r\n\r\n\x1b[31mred"), "status 500:  [31mred"),
        (
            said_once(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 17) + b"\r\n\r\n"),
            "a header of more than 64 KiB",
        ),
        (said_once(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), "'many' for a number of bytes"),
        (said_once(CHUNKED + b"-5\r\n"), "'-5' for a number of bytes"),
        (said_once(CHUNKED + b"zz\r\n"), "'zz' for a number of bytes"),
        (said_once(CHUNKED + b"ffffffffffff\r\n"), "a chunk of 281474976710655 bytes"),
        (said_once(HEAD + TOKEN * 2), "without [DONE]"),
        (said_once(HEAD + TOKEN + b"data: {not json\n\n" + TOKEN + DONE), "no event: b'{not json'"),
        (said_once(HEAD + TOKEN + b"<html>\n" + TOKEN + DONE), "no event: b'<html>'"),
        (said_once(b""), "it closed the connection"),
        (said_once(CHUNKED + b"4\r\n\x01\x02\x03\x04\r\n"), "it begins b'\\x01\\x02"),
        (
            said_once(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\nloading"),
            "status 503, Retry-After 7: loading",
        ),
    ],
)
def test_what_is_no_answer_is_an_error_that_shows_its_beginning(answer: Answer, said: str) -> None:
    with pytest.raises(EngineError) as caught:
        asyncio.run(served(answer, lambda target: drive.tune(target, 200, seed=1), AT_LENGTH_SECONDS))
    assert said in "".join(caught.value.details)
    assert caught.value.hint


@pytest.mark.parametrize(
    "event",
    [
        b'{"choices":[]}',
        b'{"choices":[{"index":0}]}',
        b'{"choices":[{"delta":"abc"}]}',
        b'{"choices":[{"delta":{"content":[{"text":"a"}]}}]}',
        b'{"choices":[{"text":7}]}',
    ],
)
def test_events_without_text_are_no_tokens(event: bytes) -> None:
    body = said_once(HEAD + b"data: " + event + b"\n\ndata: [DONE]\n\n")
    with pytest.raises(EngineError, match="no token in the answer"):
        asyncio.run(served(body, lambda target: drive.tune(target, 200, seed=1), AT_LENGTH_SECONDS))


def test_an_answer_that_says_why_it_ended_needs_no_other_end() -> None:
    finish = b'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\n'
    body = said_once(HEAD + TOKEN + finish)
    tuned = asyncio.run(served(body, lambda target: drive.tune(target, 200, seed=1), AT_LENGTH_SECONDS))
    assert isinstance(tuned, drive.Tuned)
    assert tuned.exact, "it says that it gave all tokens that were asked for"


def test_a_probe_whose_answer_never_ends_is_given_up() -> None:
    with pytest.raises(EngineError, match="does not end its answer of 2 tokens within"):
        asyncio.run(served(endless_tokens, lambda target: drive.tune(target, 200, seed=1)))


def test_loads_on_an_endpoint_that_never_ends_are_over_in_time() -> None:
    async def both(target: Target) -> tuple[drive.Loaded, object]:
        tuned = drive.Tuned(target=target)
        closed = await drive.closed_loop(tuned, LENGTHS, 3, StopRule(max_seconds=0.05))
        return closed, await at_rate(tuned, "c", [LENGTHS], 50.0, 0.05)

    began = time.monotonic()
    closed, opened = asyncio.run(served(endless_tokens, both))  # type: ignore[misc]
    assert time.monotonic() - began < 5
    assert (closed.counted, closed.stopped) == ((), Stop.SECONDS)
    assert opened is None


def test_nonsense_in_a_load_is_counted_as_that() -> None:
    async def load(target: Target) -> drive.Loaded:
        return await drive.closed_loop(drive.Tuned(target=target), LENGTHS, 2, StopRule(max_seconds=1.0))

    loaded = asyncio.run(served(web_page, load))
    assert isinstance(loaded, drive.Loaded)
    assert {s.failure for s in loaded.samples} == {Failure.NONSENSE}
    assert loaded.stopped is Stop.FAILURES


def test_an_answer_that_stalls_is_told_as_that_and_not_as_slow() -> None:
    async def load(target: Target) -> drive.Loaded:
        return await drive.closed_loop(drive.Tuned(target=target), LENGTHS, 1, StopRule(max_seconds=0.1))

    loaded = asyncio.run(served(stalled, load, AT_LENGTH_SECONDS))
    assert isinstance(loaded, drive.Loaded)
    assert {s.failure for s in loaded.samples} == {Failure.STALLED}
    assert loaded.samples[0].message == "within its answer not a byte for 0.3 s"


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b'{"version": "0.6.3"}', "0.6.3"),
        (b'{"build_info": "b4120-abc\\u001b[31m"}', "b4120-abc [31m"),
        (b'{"version": 7}', ""),
        (b"[]", ""),
        (b"<html>", ""),
        (b"", ""),
    ],
)
def test_an_engine_tells_its_version_or_nothing_is_said_of_it(body: bytes, version: str) -> None:
    page = said_once(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert asyncio.run(served(page, client.engine_version)) == version


def test_an_endpoint_without_such_a_page_tells_no_version() -> None:
    for answer in (said_once(b"HTTP/1.1 404 None\r\n\r\n{}"), no_http, said_once(b""), one_long_line):
        assert asyncio.run(served(answer, client.engine_version)) == ""
