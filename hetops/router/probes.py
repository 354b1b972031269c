"""Edge: asks engines how they are, and tells what came of it. Decides neither when nor what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hetops.router import heads
from hetops.router.engines import AnswerHead, Call, Engines
from hetops.router.health import Fault

_PROBE_SECONDS = 2.0
"""How long an engine may take to say how it is."""

_SERVER_ERRORS = 500
KEY_REFUSED = frozenset({401, 402, 403})
"""A service does not serve whoever asks with our key: no fault of the client's."""

Tell = Callable[[str, Fault | None], None]
"""Takes an endpoint and its fault, None where it answers."""


def probe(engines: Engines, endpoint: str, tell: Tell) -> None:
    """Asks an endpoint; `tell` is called once."""
    address = engines.address(endpoint)
    one = _Probe(endpoint, tell, frozenset())
    one.call = engines.call(endpoint, heads.probe_head(address.prefix + b"/health", address.header), one)


def probe_service(engines: Engines, endpoint: str, key: str, tell: Tell) -> None:
    """Asks a service for its models, which costs nothing; `tell` is called once."""
    address = engines.address(endpoint)
    one = _Probe(endpoint, tell, KEY_REFUSED)
    head = heads.probe_head(address.prefix + b"/models", address.header, key)
    one.call = engines.call(endpoint, head, one)


class _Probe:
    """One question: any answer that is no server error will do, nor one of those that are refused."""

    def __init__(self, endpoint: str, tell: Tell, refused: frozenset[int]) -> None:
        self._endpoint = endpoint
        self._tell = tell
        self._refused = refused
        self._fault: Fault | None = Fault.BROKEN
        self._timer = asyncio.get_running_loop().call_later(_PROBE_SECONDS, self._unanswered)
        self.call: Call | None = None

    def head(self, head: AnswerHead) -> None:
        bad = head.status >= _SERVER_ERRORS or head.status in self._refused
        self._fault = Fault.BROKEN if bad else None

    def body(self, data: bytes) -> None:
        del data

    def complete(self) -> None:
        self._end(self._fault)

    def broken(self, fault: Fault) -> None:
        self._end(fault)

    def _unanswered(self) -> None:
        if self.call:
            self.call.cancel()
        self._end(Fault.BROKEN)

    def _end(self, fault: Fault | None) -> None:
        self._timer.cancel()
        self._tell(self._endpoint, fault)
