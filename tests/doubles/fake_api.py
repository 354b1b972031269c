"""What fakes of providers' APIs have in common: a real HTTP server on loopback, scenarios, faults, a clock that can jump.

python -m tests.doubles.runpod --scenario sold_out
python -m tests.doubles.lambda --scenario my_scenario.toml --port 8001
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

TOKEN = "fake-key-4f1d9c27e0b86a53"
"""What opens every fake; tests look for it where no secret may be."""

LOGIN_PAGE = b"<!doctype html><html><title>Sign in</title><body><form action=/login></form></body></html>"


class FaultKind(StrEnum):
    """What can go wrong with one request."""

    THROTTLED = "throttled"
    """429 with Retry-After of `seconds`."""
    THROTTLED_BARE = "throttled_bare"
    """429 and no word of when."""
    ERROR_500 = "error_500"
    SLOW_BODY = "slow_body"
    """A byte now and then, for ever."""
    TRUNCATED_JSON = "truncated_json"
    """Half of the document, told to be all of it."""
    SHORT_BODY = "short_body"
    """Half of the bytes that were promised, then the connection closes."""
    WRONG_CONTENT_TYPE = "wrong_content_type"
    LOGIN_PAGE = "login_page"
    REDIRECT = "redirect"
    """302 to somebody else's login."""
    RESET = "reset"
    """The connection is reset, and nothing was done."""
    LOST_ANSWER = "lost_answer"
    """Done, and then the connection is reset."""
    SILENT_SUCCESS = "silent_success"
    """Done, and then no answer: the client's patience ends first."""
    DEAD = "dead"
    """Accepts and never answers; nothing is done."""
    CLOCK_SKEW = "clock_skew"
    """The answer's Date is `seconds` off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of the requests that match, after `skip` of them, so many `times`."""

    kind: FaultKind
    method: str = ""
    path: str = ""
    """The beginning of the path; empty: every one."""
    skip: int = 0
    times: int = 1
    seconds: float = 1.0

    def meets(self, seen: Seen) -> bool:
        """Whether it may happen to that request."""
        return self.method in ("", seen.method) and seen.path.startswith(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How a fake behaves. `stock` and `prices` replace those of its catalogue, by the fake's own keys."""

    stock: Mapping[str, int] = field(default_factory=dict)
    prices: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Any, ...] = ()
    """Raw rows of the catalogue to add, however wrong."""
    faults: tuple[Fault, ...] = ()
    taken_before_create: bool = False
    """The lists still show what another customer has just taken."""
    quota_exceeded: bool = False
    balance_cents: int = 100_000
    boot_seconds: float = 5.0
    fails_to_boot: bool = False
    seconds_between_requests: float = 0.0
    seconds_between_creates: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    authorization: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a fake says."""

    status: int = 200
    said: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class VirtualClock:
    """Time that passes only where somebody sleeps; shared by a fake and who speaks to it."""

    def __init__(self) -> None:
        self._now = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self._now + seconds
        await asyncio.sleep(0)
        self._now = max(self._now, until)


class WallClock:
    """Time as it is, for fakes that run by themselves."""

    def now(self) -> float:
        return time.monotonic()


class FakeApi(ThreadingHTTPServer):
    """A provider's API. Subclasses say what the API answers; faults, the key and the pace are seen to here."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, scenario: Scenario, *, clock: Any = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.scenario = scenario
        self.clock = clock or VirtualClock()
        self.seen: list[Seen] = []
        self.lock = threading.RLock()
        self._faults = [[fault, fault.skip, fault.times] for fault in scenario.faults]
        self._last = {"": float("-inf"), "create": float("-inf")}

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def address(self, machine: int) -> str:
        """Of the fake's machine of that number: on loopback, and of no other fake that runs now."""
        return f"127.{self.server_port >> 8}.{self.server_port & 255}.{machine}"

    def environment(self) -> dict[str, str]:
        """What a client finds the fake by."""
        raise NotImplementedError

    def answer(self, seen: Seen) -> Answer:
        """The API itself, called under the lock."""
        raise NotImplementedError

    def unauthorized(self) -> Answer:
        """How the API refuses a key."""
        raise NotImplementedError

    def throttled(self) -> Answer:
        """How the API says that it is asked too often."""
        raise NotImplementedError

    def is_create(self, seen: Seen) -> bool:
        """Whether the request would create a node."""
        raise NotImplementedError

    def is_open(self, seen: Seen) -> bool:
        """Whether the request needs no key."""
        del seen
        return False

    def fault_of(self, seen: Seen) -> Fault | None:
        """The fault that this request meets."""
        with self.lock:
            for entry in (e for e in self._faults if e[0].meets(seen)):
                if entry[1] > 0:
                    entry[1] -= 1
                    continue
                if entry[2] > 0:
                    entry[2] -= 1
                    return entry[0]
        return None

    def heal(self) -> None:
        """No fault from now on."""
        with self.lock:
            self._faults.clear()

    def respond(self, seen: Seen) -> Answer:
        """What a request without a fault gets."""
        with self.lock:
            self.seen.append(seen)
            if not self.is_open(seen) and seen.authorization != f"Bearer {TOKEN}":
                return self.unauthorized()
            if not self.is_open(seen) and self._too_soon(seen):
                return self.throttled()
            return self.answer(seen)

    def _too_soon(self, seen: Seen) -> bool:
        limits = {"": self.scenario.seconds_between_requests}
        if self.is_create(seen):
            limits["create"] = self.scenario.seconds_between_creates
        now = self.clock.now()
        soon = any(now - self._last[key] < seconds - 1e-6 for key, seconds in limits.items())
        for key in limits:
            self._last[key] = now
        return soon

    def close(self) -> None:
        """Ends the server and what it started."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are part of the game."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeApi
    protocol_version = "HTTP/1.1"
    _skew = 0.0

    def handle_any(self) -> None:
        """Any request."""
        length = int(self.headers.get("Content-Length", 0))
        sent = self.rfile.read(length)
        form = self.headers.get_content_type() == "application/x-www-form-urlencoded"
        body = (dict(parse_qsl(sent.decode())) if form else json.loads(sent)) if sent else None
        parts = urlsplit(self.path)
        seen = Seen(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query)),
            body=body,
            authorization=self.headers.get("Authorization", ""),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        fault = self.server.fault_of(seen)
        self._skew = fault.seconds if fault and fault.kind is FaultKind.CLOCK_SKEW else 0.0
        if fault and fault.kind is not FaultKind.CLOCK_SKEW:
            self._fail(fault, seen)
        else:
            self._say(self.server.respond(seen))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate((timestamp or time.time()) + self._skew, usegmt=True)

    def _say(self, answer: Answer) -> None:
        content = b"" if answer.said is None else json.dumps(answer.said).encode()
        self._send(answer.status, content, {"Content-Type": "application/json", **answer.headers})

    def _send(
        self, status: int, content: bytes, headers: Mapping[str, str], length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def _fail(self, fault: Fault, seen: Seen) -> None:
        kind = fault.kind
        match kind:
            case FaultKind.THROTTLED | FaultKind.THROTTLED_BARE:
                answer = self.server.throttled()
                bare = {k: v for k, v in answer.headers.items() if k != "Retry-After"}
                told = {**bare, "Retry-After": f"{fault.seconds:g}"}
                self._say(replace(answer, headers=bare if kind is FaultKind.THROTTLED_BARE else told))
            case FaultKind.ERROR_500:
                self._send(500, b"<html>upstream error</html>", {"Content-Type": "text/html"})
            case FaultKind.LOGIN_PAGE:
                self._send(200, LOGIN_PAGE, {"Content-Type": "text/html; charset=utf-8"})
            case FaultKind.REDIRECT:
                self._send(302, b"", {"Location": "https://login.example/?next=api"})
            case FaultKind.RESET | FaultKind.DEAD:
                self._leave(fault)
            case _:
                self._spoil(fault, self.server.respond(seen))

    def _spoil(self, fault: Fault, answer: Answer) -> None:
        """The right answer, which does not arrive as it should."""
        content = json.dumps(answer.said).encode()
        as_json = {"Content-Type": "application/json", **answer.headers}
        match fault.kind:
            case FaultKind.LOST_ANSWER | FaultKind.SILENT_SUCCESS:
                self._leave(fault)
            case FaultKind.WRONG_CONTENT_TYPE:
                self._send(answer.status, content, {"Content-Type": "text/plain"})
            case FaultKind.TRUNCATED_JSON:
                self._send(answer.status, content[: len(content) // 2], as_json)
            case FaultKind.SHORT_BODY:
                self._send(answer.status, content[: len(content) // 2], as_json, length=len(content))
                self._reset(struct.pack("ii", 0, 0))
            case _:
                self._send(answer.status, content[:1], as_json, length=len(content))
                self._trickle(content[1:])

    def _trickle(self, content: bytes) -> None:
        """A byte now and then, until the client has had enough."""
        for byte in content:
            if self._gone(0.02):
                return
            self.wfile.write(bytes((byte,)))

    def _leave(self, fault: Fault) -> None:
        """No answer: the connection is reset at once, or held until the client has had enough."""
        if fault.kind in (FaultKind.DEAD, FaultKind.SILENT_SUCCESS):
            end = time.monotonic() + 60
            while time.monotonic() < end and not self._gone(0.05):
                pass
        self._reset(struct.pack("ii", 1, 0))

    def _gone(self, seconds: float) -> bool:
        """Whether the client has closed, looked at for so long."""
        self.connection.settimeout(seconds)
        try:
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def _reset(self, linger: bytes) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()


def started(api: FakeApi) -> FakeApi:
    """The fake, answering in the background."""
    threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return api


@contextlib.contextmanager
def running(make: Callable[[Scenario], FakeApi], scenario: Scenario | None = None) -> Iterator[Any]:
    """A fake that answers until the block ends."""
    api = started(make(scenario or Scenario()))
    try:
        yield api
    finally:
        api.close()


def main(
    make: Callable[..., FakeApi], scenarios: Mapping[str, Scenario], kind: type[Scenario] = Scenario
) -> None:
    """A fake by itself: says how to reach it, and answers until it is interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenario", default="plain", help=f"a TOML file, or one of {', '.join(scenarios)}")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    api = make(_scenario(options.scenario, scenarios, kind), clock=WallClock(), port=options.port)
    for name, value in api.environment().items():
        print(f"export {name}={value}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        api.serve_forever()
    api.server_close()


def _scenario(told: str, scenarios: Mapping[str, Scenario], kind: type[Scenario]) -> Scenario:
    if told in scenarios:
        return scenarios[told]
    try:
        return msgspec.convert(tomllib.loads(Path(told).read_text(encoding="utf-8")), kind)
    except (OSError, ValueError) as fault:
        raise SystemExit(f"no scenario {told}: {fault}; there are {', '.join(scenarios)}") from fault
