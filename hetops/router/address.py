"""Where an engine's endpoint listens: its base URL, taken apart once."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an endpoint listens."""

    host: str
    port: int
    prefix: bytes
    header: bytes
    """The value of Host."""
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str) -> Address:
        """The address of a base URL, which `RouterConfig` has checked."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        assert parts.hostname
        return cls(
            host=parts.hostname,
            port=parts.port or (443 if secure else 80),
            prefix=parts.path.rstrip("/").encode(),
            header=parts.netloc.encode(),
            tls=ssl.create_default_context() if secure else None,
        )
