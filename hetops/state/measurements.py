"""Edge: the user's own benchmarks, one file of JSON lines that is only ever appended to. The newest of a kind counts last.

Must not judge them: which are valid on which hardware is for the performance table's makers to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a file of benchmarks holds."""

    measurements: tuple[Measurement, ...] = ()
    """Oldest first."""
    left_out: tuple[str, ...] = ()
    """Of each line that is none: file, line and reason."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What there is to do about each line that is none, for everyone who plans with the others."""
        return tuple(f"{said}: left out, delete the line or measure again" for said in self.left_out)


def recorded(folder: Path) -> Recorded:
    """Every measurement, and every line that is none: torn by a kill or a full disk, or changed by hand.

    Raises:
        HetopsError: the file cannot be read.
    """
    path = folder / _FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return Recorded()
    except OSError as fault:
        raise unreadable_own(f"measurements {path}", fault) from fault
    found: list[Measurement] = []
    left_out: list[str] = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(codec.decode(Measurement, line, source=f"{path}:{number}"))
        except DocumentError as fault:
            left_out.append(fault.message)
    return Recorded(measurements=tuple(found), left_out=tuple(left_out))


def read(folder: Path) -> tuple[Measurement, ...]:
    """The measurements alone; errors as `recorded`."""
    return recorded(folder).measurements
