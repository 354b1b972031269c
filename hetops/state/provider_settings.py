"""Edge: what the spec says of its providers, kept with a deployment for those who make its nodes without a spec.

Plain values as they stood in the spec. Providers' keys are never among them: no setting is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from hetops.errors import HetopsError
from hetops.files import read_bytes, unwritable, write_whole

ByProvider = Mapping[str, Mapping[str, Any]]

_WRITER = msgspec.json.Encoder(decimal_format="number")
_READER = msgspec.json.Decoder(dict[str, dict[str, Any]], float_hook=Decimal)


def write(path: Path, settings: ByProvider) -> None:
    """Keeps the settings, whole or not at all.

    Raises:
        HetopsError: they cannot be written.
    """
    try:
        write_whole(path, _WRITER.encode(settings) + b"\n", mode=0o600)
    except OSError as fault:
        raise unwritable(str(path), fault) from fault


def read(path: Path) -> ByProvider:
    """The settings kept; none where there are none that can be read: whoever makes nodes has just written them."""
    try:
        return _READER.decode(read_bytes(path, what="settings of providers"))
    except (HetopsError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
