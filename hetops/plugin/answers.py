"""What an answer over HTTP says: JSON or none, how long to wait, what a refusal means by its status. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NoReturn

from hetops.errors import ErrorKind, Scope


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


def parsed(content: bytes) -> Any:
    """JSON whose fractions stay exact; ValueError where it is none."""
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def media_type(headers: Mapping[str, str]) -> str:
    """In lower case, without parameters; empty where it is not told."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether it is JSON or made of it."""
    return media_type == "application/json" or media_type.endswith("+json")


def is_page(media_type: str, content: bytes) -> bool:
    """Whether it is a page for a browser, whatever its type says."""
    return media_type in ("text/html", "application/xhtml+xml") or content.lstrip()[:1] == b"<"


def by_status(status: int) -> Meaning:
    """What a refusal means where the provider has no reading of its own."""
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


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, from either form of the header; a date is held against the server's clock, not ours."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    until, said_at = date_of(text), date_of(headers.get("date", ""))
    return None if until is None else max(0.0, (until - (said_at or now)).total_seconds())


def date_of(text: str) -> datetime | None:
    """A date as HTTP writes it; None where it is none."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
