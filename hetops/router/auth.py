"""Decides whether a request may come in. Pure; keys are kept as digests and compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

_SCHEME = b"bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The API keys that are known, as SHA-256 digests: equally long, and of no use to who reads the memory."""

    digests: tuple[bytes, ...]


def parse_keys(text: str) -> Keys:
    """The keys of a file: one a line; empty lines and lines that begin with # count nothing."""
    lines = (line.strip() for line in text.splitlines())
    keys = dict.fromkeys(line for line in lines if line and not line.startswith("#"))
    return Keys(digests=tuple(hashlib.sha256(key.encode()).digest() for key in keys))


def allowed(authorization: bytes, keys: Keys) -> bool:
    """Whether the value of an Authorization header carries a known key. Takes as long for any key as for any other."""
    given = authorization.strip()
    if given[: len(_SCHEME)].lower() != _SCHEME:
        return False
    digest = hashlib.sha256(given[len(_SCHEME) :].strip()).digest()
    found = False
    for known in keys.digests:
        found |= hmac.compare_digest(digest, known)
    return found
