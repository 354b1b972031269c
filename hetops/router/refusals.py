"""What the router answers itself when it does not forward: OpenAI's error shape, the right status, a code. Pure."""

from __future__ import annotations

import orjson

_TYPES = {
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "service_unavailable_error",
    504: "api_error",
}
"""By status; all others are the request's fault."""


class Refusal(Exception):  # noqa: N818 - an answer, not an error of ours: the client is told, nobody else
    """A request that is answered by the router. `headers` go beside the body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = error_body(status, message, code=code, param=param)


def error_body(status: int, message: str, *, code: str, param: str | None = None) -> bytes:
    """An error as OpenAI's clients read it."""
    kind = _TYPES.get(status, "invalid_request_error")
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})


def error_event(message: str, *, code: str) -> bytes:
    """The last event of a stream that cannot be finished; no [DONE] comes after it."""
    return b"data: " + error_body(502, message, code=code) + b"\n\n"


def unauthorised() -> Refusal:
    """No key, or none that is known."""
    return Refusal(
        401,
        "the Authorization header carries no API key that is known here",
        code="invalid_api_key",
        headers=((b"www-authenticate", b"Bearer"),),
    )


def unavailable(message: str, *, code: str = "no_endpoint", retry_seconds: int = 2) -> Refusal:
    """No replica can take the request now."""
    return Refusal(503, message, code=code, headers=((b"retry-after", str(retry_seconds).encode()),))
