"""Edge: providers' last answers on disk. May be lost or removed at any time; never a reason for a command to fail.

One file for a provider and its settings: other settings may mean other offers. Settings themselves are not written.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from hetops.domain import codec
from hetops.domain.offer import Offer
from hetops.domain.plan import Refusal
from hetops.errors import HetopsError
from hetops.files import read_bytes, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedOffers:
    """One answer of one provider; each offer says itself when it was observed and how long it holds."""

    FORMAT: ClassVar[str] = "hetops.offer-cache"
    FORMAT_VERSION: ClassVar[str] = "2.0"

    provider: str
    offers: tuple[Offer, ...]
    missing: str = ""
    """What failed of the provider when it was asked, with the fix in `hint`."""
    hint: str = ""
    refusals: tuple[Refusal, ...] = ()


class _Head(msgspec.Struct):
    format: str
    format_version: str


_HEAD = msgspec.json.Decoder(_Head)
_OFFERS = msgspec.json.Decoder(CachedOffers)
"""Thousands of offers are read straight into their types: by way of plain values takes twice as long."""


def read(folder: Path, provider: str, settings: Mapping[str, Any]) -> CachedOffers | None:
    """The last answer kept; None where there is none that can be read."""
    path = _path(folder, provider, settings)
    try:
        text = read_bytes(path, what="cached offers")
        head, cached = _HEAD.decode(text), _OFFERS.decode(text)
    except (HetopsError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if (head.format, head.format_version) != (CachedOffers.FORMAT, CachedOffers.FORMAT_VERSION):
        return None
    sound = cached.provider == provider and all(o.provider == provider for o in cached.offers)
    return cached if sound else None


def write(folder: Path, settings: Mapping[str, Any], answer: CachedOffers) -> None:
    """Keeps an answer, whole or not at all; where the folder cannot be written nothing is kept."""
    with contextlib.suppress(HetopsError, OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(_path(folder, answer.provider, settings), codec.encode(answer), mode=0o600)


def _path(folder: Path, provider: str, settings: Mapping[str, Any]) -> Path:
    told = msgspec.json.encode([provider, settings], order="sorted", enc_hook=str)
    name = re.sub(r"[^a-z0-9-]+", "-", provider.lower())
    return folder / f"{name}-{hashlib.sha256(told).hexdigest()[:16]}.json"
