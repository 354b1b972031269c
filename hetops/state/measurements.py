"""Edge: the user's own benchmarks, one file of JSON lines that is only ever appended to. The newest of a kind counts last.

Must not judge them: which are valid on which hardware is for the performance table's makers to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from hetops.domain import codec
from hetops.domain.performance import Measurement
from hetops.errors import DocumentError
from hetops.files import append_line, unreadable_own, unwritable

_FILE = "measurements.jsonl"


def append(folder: Path, measurements: Sequence[Measurement]) -> None:
    """Adds the measurements; one write, so that lines of two commands never mix.

    Raises:
        HetopsError: they cannot be written.
    """
    lines = b"\n".join(msgspec.json.encode(codec.to_builtins(m)) for m in measurements)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if lines:
            append_line(folder / _FILE, lines)
    except OSError as fault:
        raise unwritable(f"measurements in {folder}", fault) from fault


def read(folder: Path) -> tuple[Measurement, ...]:
    """Every measurement, oldest first; empty where there is none. A torn line (a kill, a full disk) is left out."""
    path = folder / _FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    except OSError as fault:
        raise unreadable_own(f"measurements {path}", fault) from fault
    return tuple(m for line in lines if (m := _measurement(line, str(path))) is not None)


def _measurement(line: bytes, source: str) -> Measurement | None:
    try:
        return codec.decode(Measurement, line, source=source)
    except DocumentError:
        return None
