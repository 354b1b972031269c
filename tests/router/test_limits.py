"""What clients may cost, and requests that could be read in two ways."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from hetops.router.config import Limits
from tests.router.stand import (
    CHAT,
    Asked,
    Client,
    RunningRouter,
    answer,
    ask,
    chat,
    config,
    engines,
    request,
    running,
    until,
)

HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: r\r\n"
BODY = json.dumps(chat())
CHUNKED = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"


@contextlib.contextmanager
def limited(**limits: float) -> Iterator[RunningRouter]:
    """A router with an engine that answers, and with some limits."""
    chosen = Limits(**limits)  # type: ignore[arg-type]
    with engines(answer) as (engine,), running(config({"a": (engine.url,)}, limits=chosen)) as router:
        yield router


def refused(router: RunningRouter, data: bytes) -> tuple[int, bytes]:
    """The status and the whole of what comes back until the connection closes."""
    with Client(router.port) as client:
        text = client.send(data).rest()
    return int(text.split(b" ")[1]), text


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}content-length: {len(BODY)}\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKED}",
        f"{HEAD}transfer-encoding: chunked\r\ncontent-length: {len(BODY)}\r\n\r\n{CHUNKED}",
        f"{HEAD}content-length: {len(BODY)}\r\ncontent-length: 3\r\n\r\n{BODY}",
        f"{HEAD}content-length: {len(BODY)}\r\ncontent-length: {len(BODY)}\r\n\r\n{BODY}",
        f"{HEAD}content-length: {len(BODY)}, 3\r\n\r\n{BODY}",
        f"{HEAD}content-length: +{len(BODY)}\r\n\r\n{BODY}",
        f"{HEAD}content-length: -1\r\n\r\n{BODY}",
        f"{HEAD}content-length: 99999999999999999999999\r\n\r\n{BODY}",
        f"{HEAD}transfer-encoding: gzip, chunked\r\n\r\n{CHUNKED}",
        f"{HEAD}transfer-encoding: chunked, identity\r\n\r\n{CHUNKED}",
        f"{HEAD}transfer-encoding: xchunked\r\n\r\n{CHUNKED}",
        f"{HEAD}transfer-encoding : chunked\r\n\r\n{CHUNKED}",
        f"{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n{BODY}\r\n0\r\n\r\n",
        f"{HEAD}transfer-encoding: chunked\r\n\r\n-5\r\n{BODY}\r\n0\r\n\r\n",
        f"{HEAD}content-length: {len(BODY)}\r\n x: folded\r\n\r\n{BODY}",
        f"{HEAD}content-length: {len(BODY)}\r\nbad name: 1\r\n\r\n{BODY}",
        f"{HEAD}content-length: {len(BODY)}\r\nx: a\rb\r\n\r\n{BODY}",
        f"{HEAD}content-length: {len(BODY)}\r\nx: a\0b\r\n\r\n{BODY}",
        f"{HEAD}host: other\r\ncontent-length: {len(BODY)}\r\n\r\n{BODY}",
        f"POST {CHAT} HTTP/1.1\r\ncontent-length: {len(BODY)}\r\n\r\n{BODY}",
        f"POST {CHAT} HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n{CHUNKED}",
        f"{HEAD}upgrade: h2c\r\nconnection: upgrade\r\ncontent-length: {len(BODY)}\r\n\r\n{BODY}",
        "CONNECT engine:80 HTTP/1.1\r\nhost: engine:80\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "hello\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_malformed_or_could_be_read_in_two_ways_is_refused_and_the_connection_closed(
    text: str,
) -> None:
    with engines(answer) as (engine,), running(config({"a": (engine.url,)})) as router:
        status, answered = refused(router, text.encode("latin-1"))
        assert status in (400, 413)
        assert answered.count(b"HTTP/1.1 ") == 1
        assert b"connection: close" in answered
        assert b'"error"' in answered
        assert engine.asked == []


def test_nothing_smuggled_behind_a_refused_request_is_ever_answered() -> None:
    hidden = "GET /hetops/status HTTP/1.1\r\nhost: r\r\n\r\n"
    with limited() as router:
        _, text = refused(
            router,
            f"{HEAD}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}".encode(),
        )
    assert b"deployment" not in text


def test_a_head_that_is_too_large_is_refused() -> None:
    with limited(head_bytes=1000) as router:
        for filler in ("x: " + "y" * 1000, "\r\n".join(f"x{i}: y" for i in range(200))):
            assert refused(router, f"{HEAD}{filler}\r\n\r\n".encode())[0] == 431
        assert refused(router, b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\nhost: r\r\n\r\n")[0] == 431


def test_a_head_that_never_ends_is_refused_while_it_comes() -> None:
    with limited(head_bytes=4000) as router, Client(router.port) as client:
        client.send(f"{HEAD}x: ".encode())
        with contextlib.suppress(OSError):
            for _ in range(3000):
                client.send(b"y" * 100)
                time.sleep(0)
        assert client.rest().startswith(b"HTTP/1.1 431 ")


def test_a_body_is_refused_before_it_is_sent_where_its_length_is_told() -> None:
    with limited(body_bytes=1000) as router:
        assert refused(router, f"{HEAD}content-length: 1001\r\n\r\n".encode())[0] == 413


def test_a_chunked_body_is_refused_once_it_is_too_large() -> None:
    part = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    with limited(body_bytes=1500) as router:
        assert refused(router, f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode() + part * 2)[0] == 413


def test_trailers_without_end_are_refused() -> None:
    with limited(head_bytes=1000) as router, Client(router.port) as client:
        client.send(f"{HEAD}transfer-encoding: chunked\r\n\r\n0\r\nx: ".encode())
        with contextlib.suppress(OSError):
            for _ in range(40):
                client.send(b"y" * 10_000)
                time.sleep(0.001)
        assert client.rest().startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("sent", "limit", "status"),
    [
        (HEAD, "head_seconds", 408),
        (f"{HEAD}content-length: 100\r\n\r\n{{", "body_seconds", 408),
    ],
)
def test_a_request_that_does_not_get_on_is_ended(sent: str, limit: str, status: int) -> None:
    with limited(**{limit: 0.2}) as router:
        began = time.monotonic()
        assert refused(router, sent.encode())[0] == status
        assert time.monotonic() - began < 5


def test_dribbling_a_head_does_not_win_time() -> None:
    with limited(head_seconds=0.3) as router, Client(router.port) as client:
        client.send(HEAD.encode())
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 10:
                client.send(b"x")
                time.sleep(0.05)
        assert time.monotonic() - began < 8


def test_an_idle_connection_is_closed_without_a_word() -> None:
    with limited(idle_seconds=0.2) as router:
        with Client(router.port) as client:
            assert client.rest() == b""
        with Client(router.port) as client:
            assert client.send(request(chat())).answer()[0] == 200
            assert client.rest() == b""


def test_more_connections_than_allowed_are_refused_and_the_others_live() -> None:
    with limited(connections=2) as router, Client(router.port) as first, Client(router.port) as second:
        assert first.send(request(chat())).answer()[0] == 200
        assert second.send(request(chat())).answer()[0] == 200
        with Client(router.port) as third:
            assert b'"too_many_connections"' in third.rest()
        assert first.send(request(chat())).answer()[0] == 200
        second.close()
        until(lambda: router.do(lambda r: r.status().connections) == 1)
        assert ask(router)[0] == 200


def test_requests_beyond_those_that_may_wait_are_not_taken() -> None:
    """Those that were taken are answered in order; then the connection closes, and the client knows what to send again."""
    with limited(pipelined=2) as router, Client(router.port) as client:
        text = client.send(request(chat()) * 50).rest()
    assert 1 <= text.count(b"HTTP/1.1 200 ") <= 4
    assert text.count(b"connection: close") == 1


def test_a_client_that_takes_nothing_of_its_answer_is_dropped() -> None:
    part = b"x" * 65536

    def endless(asked: Asked) -> bool:
        asked.begin_stream()
        with contextlib.suppress(OSError):
            for _ in range(2000):
                asked.send(b"10000\r\n" + part + b"\r\n")
        return False

    with engines(endless) as (engine,):
        limits = Limits(stalled_seconds=0.5)
        with running(config({"a": (engine.url,)}, limits=limits)) as router, Client(router.port) as client:
            client.send(request(chat(stream=True)))
            until(lambda: router.in_flight == 1)
            until(lambda: router.in_flight == 0, 10)
            until(lambda: router.do(lambda r: r.status().connections) == 0)


def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    with limited(body_bytes=1000) as router, Client(router.port) as client:
        client.send(f"{HEAD}content-length: 5000000\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            for _ in range(20):
                client.send(b"x" * 10_000)
                time.sleep(0.002)
        assert client.rest().startswith(b"HTTP/1.1 413 ")
