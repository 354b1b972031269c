"""Edge: boto3's session and its clients. The only module that reads credentials, all of them through boto3's own chain.

Decides how long a request may take and how often it is tried; what failed means is decided in `failures`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

from hetops_aws.settings import AwsSettings

_CONNECT_SECONDS = 3.0
_LEAST_READ_SECONDS = 0.5
_ATTEMPTS = 4

logging.getLogger("botocore").setLevel(logging.INFO)
"""Its lines below that repeat whole requests, the session token and the signature among them."""


class NoCredentialsFoundError(Exception):
    """Boto3's chain ended without credentials."""


class Session:
    """Clients by service and region, made once each. They may be used from any thread."""

    def __init__(self, settings: AwsSettings, *, seconds: float) -> None:
        core = botocore.session.Session(profile=settings.profile or None)
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_time)
        core.register("response-received", self._hear)
        self.clock_ahead_seconds: float | None = None
        """How far this machine's clock was ahead of AWS's at the last answer; None before one told a time."""
        self._boto3 = boto3.Session(botocore_session=core)
        self._settings = settings
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()
        self._config = Config(
            connect_timeout=min(_CONNECT_SECONDS, seconds),
            read_timeout=max(_LEAST_READ_SECONDS, seconds),
            retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
            user_agent_extra="hetops",
        )

    def require_credentials(self) -> str:
        """Where the credentials are from, by boto3's word for it (`env`, `sso`, `iam-role`, ...).

        Raises:
            NoCredentialsFoundError: there are none. Boto3's own errors where there are half of them, or expired ones.
        """
        credentials = self._boto3.get_credentials()
        if credentials is None:
            raise NoCredentialsFoundError("no AWS credentials were found")
        credentials.get_frozen_credentials()
        return str(credentials.method)

    def _hear(self, parsed_response: Mapping[str, Any] | None, **_: Any) -> None:
        """An answer, a refusal as well: boto3 calls this for each."""
        headers = ((parsed_response or {}).get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
        ahead = _ahead(str(headers.get("date", "")))
        self.clock_ahead_seconds = self.clock_ahead_seconds if ahead is None else ahead

    def known_regions(self) -> tuple[str, ...]:
        """The regions that boto3 knows."""
        return tuple(self._boto3.get_available_regions("ec2"))

    def client(self, service: str, region: str) -> Any:
        """The client, at the endpoint of the settings or of the environment where one is named."""
        with self._making:
            key = (service, region)
            if key not in self._clients:
                self._clients[key] = self._boto3.client(
                    service,
                    region_name=region,
                    endpoint_url=self._settings.endpoints.get(service),
                    config=self._config,
                )
            return self._clients[key]


def _ahead(date: str) -> float | None:
    """Seconds since a Date header; None where it is none."""
    try:
        said_at = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (datetime.now(UTC) - said_at.replace(tzinfo=UTC)).total_seconds()


def _time(value: Any) -> datetime:
    """A time of an answer. Thousands come, nearly all in the form that the standard library reads, twenty times faster."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        time = parse_timestamp(value)
    return time
