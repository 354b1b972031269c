"""Edge: asks a running router for its status, and for tokens. Waits where it is told to; decides nothing."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hetops.domain import codec
from hetops.errors import DocumentError, EngineError
from hetops.reports.deployment import Probe
from hetops.router.status import RouterStatus

STATUS_PATH = "/hetops/status"
_CHAT_PATH = "/v1/chat/completions"
_POOL_HEADER = "x-hetops-pool"
_STATUS_SECONDS = 2.0
_PROBE_SECONDS = 120.0
_POLL_SECONDS = 0.05
_HINT = "`hetops status` says what of it is up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A router and a key that it knows."""

    url: str
    key: str = ""

    def status(self) -> RouterStatus:
        """What the router says of itself.

        Raises:
            EngineError: it does not answer, or what answers is no router of ours.
        """
        status, _, body = self._ask("GET", STATUS_PATH, None, _STATUS_SECONDS)
        if status != http.client.OK:
            raise EngineError(
                f"{self.url} answers {status} to {STATUS_PATH}", details=_lines(body), hint=_HINT
            )
        try:
            return codec.decode(RouterStatus, body, source=f"{self.url}{STATUS_PATH}")
        except DocumentError as fault:
            raise EngineError(
                f"what answers on {self.url} is no router of ours: {fault.message}",
                hint="another program has the port: set router.port to a free one",
            ) from fault

    def await_plan(self, digest: str, seconds: float) -> None:
        """Returns once the router goes by the plan of that digest.

        Raises:
            EngineError: it does not within that time.
        """
        deadline = time.monotonic() + seconds
        while True:
            fault = self._not_yet(digest)
            if fault is None:
                return
            if time.monotonic() >= deadline:
                raise fault
            time.sleep(_POLL_SECONDS)

    def _not_yet(self, digest: str) -> EngineError | None:
        """Why it cannot be asked by that plan yet; None where it can."""
        try:
            said = self.status()
        except EngineError as fault:
            return fault
        if said.plan_digest != digest:
            return EngineError("the router goes by another plan", details=said.warnings, hint=_HINT)
        if not said.healthy:
            return EngineError("the router has no healthy replica", details=said.warnings, hint=_HINT)
        return None

    def probe(self, model: str) -> Probe:
        """Asks the model for one token.

        Raises:
            EngineError: there is no answer, or it is an error.
        """
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1}
        began = time.monotonic()
        status, headers, answer = self._ask("POST", _CHAT_PATH, body, _PROBE_SECONDS)
        seconds = time.monotonic() - began
        if status != http.client.OK:
            raise EngineError(
                f"the probe of {model} was answered with {status}", details=_lines(answer), hint=_HINT
            )
        try:
            tokens = int(json.loads(answer)["usage"]["completion_tokens"])
        except (ValueError, KeyError, TypeError):
            tokens = 0
        return Probe(pool=headers.get(_POOL_HEADER, ""), seconds=seconds, output_tokens=tokens)

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=seconds)
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read()
        except (OSError, http.client.HTTPException) as fault:
            reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
            raise EngineError(
                f"{self.url} does not answer: {reason or type(fault).__name__}", hint=_HINT
            ) from fault
        finally:
            connection.close()


def _lines(body: bytes) -> tuple[str, ...]:
    return tuple(body.decode("utf-8", "replace").strip().splitlines()[:5])
