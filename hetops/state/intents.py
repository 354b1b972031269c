"""Edge: a record of every node that was begun, written before it is created and kept as long as it may exist.

A killed run leaves nodes that Pulumi's state does not know. Their records say which providers have to be asked, so
that the next command adopts or removes them. A record proves nothing: only the provider says what exists.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hetops.domain import codec
from hetops.files import make_private, read_bytes, unwritable, write_whole
from hetops.plugin.provider import NodeRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A node that `provider` was, or was about to be, asked for."""

    FORMAT: ClassVar[str] = "hetops.intent"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    provider: str
    request: NodeRequest

    @property
    def node(self) -> str:
        """The node's name."""
        return self.request.name


def record(folder: Path, intent: Intent) -> None:
    """Writes the intent so that it outlives a kill and a power cut; again for the same node is no change.

    Raises:
        HetopsError: it cannot be written; then nothing may be created.
    """
    try:
        make_private(folder)
        write_whole(_path(folder, intent.node), codec.encode(intent), mode=0o600)
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as fault:
        raise unwritable(f"intents in {folder}", fault) from fault


def withdraw(folder: Path, node: str) -> None:
    """Removes the record of a node that no longer exists."""
    _path(folder, node).unlink(missing_ok=True)


def read_all(folder: Path) -> tuple[Intent, ...]:
    """Every intent on record, by node name."""
    if not folder.is_dir():
        return ()
    paths = sorted(p for p in folder.glob("*.json") if not p.name.startswith("."))
    return tuple(codec.decode(Intent, read_bytes(p, what="intent"), source=str(p)) for p in paths)


def _path(folder: Path, node: str) -> Path:
    if not node or "/" in node or node.startswith("."):
        raise ValueError(f"{node!r} is no name of a node")
    return folder / f"{node}.json"
