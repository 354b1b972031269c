"""Edge: reads what routers measured out of their files: JSON lines that a router appends to while they are read.

Must not judge or add up; that is `merge`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from hetops.domain.observation import Observation
from hetops.files import unreadable_own

_BLOCK_BYTES = 256 << 10
_SLACK_SECONDS = 5.0
"""How much earlier than its neighbours a line may have been measured: routers write in bunches."""


class _Head(msgspec.Struct):
    """What says that a line is one of ours."""

    format: str
    format_version: str


_HEAD = msgspec.json.Decoder(_Head)
_OBSERVATION = msgspec.json.Decoder(Observation)


def read(path: Path, since: float = 0.0) -> tuple[Observation, ...]:
    """The observations of requests that came at `since` (UNIX seconds) or later, in the order of the file; none where
    there is no file. Only the end of the file that can hold them is read; a line that is not whole is left out.

    Raises:
        HetopsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            blocks = list(_newest_first(file, since))
    except FileNotFoundError:
        return ()
    except OSError as fault:
        raise unreadable_own(f"observations {path}", fault) from fault
    return tuple(o for block in reversed(blocks) for o in block if o.at >= since)


def _newest_first(file: BinaryIO, since: float) -> Iterator[Sequence[Observation]]:
    """Blocks of whole lines from the end of the file back to the first that was written before `since` as a whole: what
    was written before a moment came before it too."""
    position = file.seek(0, os.SEEK_END)
    rest = b""  # of a line whose beginning stands in the block before
    while position > 0:
        size = min(_BLOCK_BYTES, position)
        position = file.seek(position - size)
        content = file.read(size) + rest
        cut = content.find(b"\n") + 1 if position > 0 else 0
        if position > 0 and cut == 0:
            rest = content  # one line longer than a block
            continue
        rest, lines = content[:cut], content[cut:].splitlines()
        block = [o for line in lines if (o := _observation(line)) is not None]
        yield block
        if block and max(o.at + o.total_seconds for o in block) < since - _SLACK_SECONDS:
            return


def _observation(line: bytes) -> Observation | None:
    try:
        head = _HEAD.decode(line)
        major = head.format_version.split(".")[0]
        if head.format != Observation.FORMAT or major != Observation.FORMAT_VERSION.split(".")[0]:
            return None
        return _OBSERVATION.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
