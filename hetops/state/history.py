"""Edge: what was up when, at what cost: JSON lines that are only ever appended to and outlive their deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import msgspec

from hetops.domain import codec
from hetops.errors import DocumentError
from hetops.files import append_line, make_private, unreadable_own, unwritable


class Action(StrEnum):
    """What a command did to a deployment."""

    UP = "up"
    FAILED = "failed"
    """An `up` that stopped part-way."""
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"
    """A first `up` that failed and left nothing."""
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One line: what runs from `at` on, as far as the command knows."""

    FORMAT: ClassVar[str] = "hetops.history"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    at: datetime
    deployment: str
    action: Action
    usd_per_hour: Decimal
    nodes: Mapping[str, int] = field(default_factory=dict)
    """Nodes by pool."""
    plan_digest: str = ""
    message: str = ""


def append(folder: Path, entry: HistoryEntry) -> None:
    """Adds a line to the deployment's history; one write, so that lines of two commands never mix.

    Raises:
        HetopsError: it cannot be written.
    """
    try:
        make_private(folder)
        append_line(_path(folder, entry.deployment), msgspec.json.encode(codec.to_builtins(entry)))
    except OSError as fault:
        raise unwritable(f"history in {folder}", fault) from fault


def read(folder: Path, deployment: str) -> tuple[HistoryEntry, ...]:
    """The deployment's history, oldest first; empty where there is none. A torn line (a kill, a full disk) is left out."""
    path = _path(folder, deployment)
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    except OSError as fault:
        raise unreadable_own(f"history {path}", fault) from fault
    return tuple(entry for line in lines if (entry := _entry(line, str(path))) is not None)


def _entry(line: bytes, source: str) -> HistoryEntry | None:
    try:
        return codec.decode(HistoryEntry, line, source=source)
    except DocumentError:
        return None


def _path(folder: Path, deployment: str) -> Path:
    return folder / f"{deployment}.jsonl"
