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

Tell = Callable[[str, Fault | None], None]
"""Takes an endpoint and its fault, None where it answers."""


def probe(engines: Engines, endpoint: str, tell: Tell) -> None:
    """Asks an endpoint; `tell` is called once."""
    address = engines.address(endpoint)
    one = _Probe(endpoint, tell)
    one.call = engines.call(endpoint, heads.probe_head(address.prefix + b"/health", address.header), one)


class _Probe:
    """One question: any answer that is no server error will do."""

    def __init__(self, endpoint: str, tell: Tell) -> None:
        self._endpoint = endpoint
        self._tell = tell
        self._fault: Fault | None = Fault.BROKEN
        self._timer = asyncio.get_running_loop().call_later(_PROBE_SECONDS, self._unanswered)
        self.call: Call | None = None

    def head(self, head: AnswerHead) -> None:
        self._fault = None if head.status < _SERVER_ERRORS else Fault.BROKEN

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
