"""Edge: an access token out of a file's credentials, by google-auth, whose way to the token server is httpx here.

Must not show a token or a key: what google-auth raises may repeat an answer, so its words are not passed on.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from google.auth import exceptions, load_credentials_from_dict
from google.auth.transport import Request, Response

from hetops.plugin import ErrorKind, ProviderError
from hetops_gcp.settings import PROVIDER

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""The only one that the sign-in of a person has as well; what may be done is a matter of roles."""


def refreshed(told: Mapping[str, Any], *, source: str, seconds: float, hint: str) -> str:
    """A token for an hour; `hint` is the fix where the credentials are refused.

    Raises:
        ProviderError: of kind auth, or transient where the token server could not be reached.
    """
    transport = Transport(seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of files that strangers handed over
            credentials, _ = load_credentials_from_dict(dict(told), scopes=[_SCOPE], request=transport)
        credentials.refresh(transport)
    except exceptions.TransportError as fault:
        raise ProviderError(
            f"no token for {source}: Google's token server could not be reached",
            provider=PROVIDER,
            kind=ErrorKind.TRANSIENT,
            hint="run again; is the network up?",
        ) from fault
    except (exceptions.GoogleAuthError, ValueError, KeyError, TypeError) as fault:
        off = transport.clock_ahead_seconds
        if abs(off) > _MOST_SKEW_SECONDS:
            why = f"this machine's clock is {abs(off) / 60:.0f} min {'ahead of' if off > 0 else 'behind'} Google's"
            hint = "set the clock of this machine: timedatectl set-ntp true"
        else:
            why = "it was refused, or is no credentials"
        raise ProviderError(
            f"no token for {source}: {why}", provider=PROVIDER, kind=ErrorKind.AUTH, hint=hint
        ) from fault
    return str(credentials.token or "")


_LATER = (408, 429)

_MOST_SKEW_SECONDS = 300.0
"""Google refuses what a clock has signed that is off by more."""


class _Answer(Response):  # type: ignore[misc] # google-auth is untyped
    """An answer as google-auth wants it."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


class Transport(Request):  # type: ignore[misc] # google-auth is untyped
    """Sends one request within so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.clock_ahead_seconds = 0.0
        """How far this machine's clock was ahead of the server's at the last answer."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        """The answer; TransportError where there is none, or one that may be better later: google-auth would wait for it."""
        try:
            patience = min(self._seconds, timeout or self._seconds)
            response = httpx.request(method, url, content=body, headers=headers, timeout=patience)
            self._hear(response.headers.get("date", ""))
            if response.status_code in _LATER or response.is_server_error:
                raise exceptions.TransportError(f"status {response.status_code}")
            return _Answer(response)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise exceptions.TransportError(type(fault).__name__) from fault

    def _hear(self, date: str) -> None:
        with contextlib.suppress(ValueError):
            said_at = parsedate_to_datetime(date).replace(tzinfo=UTC)
            self.clock_ahead_seconds = (datetime.now(UTC) - said_at).total_seconds()
