"""Edge: the state file of Pulumi's file backend, which the engine does not write whole, and the copy that it keeps.

Decides only which of the two is read; a state that is whole is never touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path


def state_file(backend: Path, project: str, stack: str) -> Path:
    """Where the backend keeps the state of a stack."""
    return backend / ".pulumi" / "stacks" / project / f"{stack}.json"


def read_state(path: Path) -> bytes:
    """The state, or the copy of the one before where a full disk or a kill cut the state off.

    Raises:
        FileNotFoundError: there is no stack.
        OSError: it cannot be read.
    """
    text = path.read_bytes()
    if _is_whole(text):
        return text
    with contextlib.suppress(FileNotFoundError):
        copy = _copy(path).read_bytes()
        return copy if _is_whole(copy) else text
    return text


def mend(path: Path) -> list[str]:
    """Puts the copy in the place of a state that is cut off, or leaves no state where no copy is whole; says so.

    Raises:
        OSError: the disk does not take it.
    """
    try:
        if _is_whole(path.read_bytes()):
            return []
    except FileNotFoundError:
        return []
    with contextlib.suppress(FileNotFoundError):
        if _is_whole(_copy(path).read_bytes()):
            fresh = path.with_name(f".{path.name}.mended")
            shutil.copyfile(_copy(path), fresh)
            os.replace(fresh, path)
            return [
                "the state was cut off in the middle: the one before it counts, nodes are found by their names"
            ]
    path.replace(path.with_name(f"{path.name}.torn"))
    return ["the state was cut off at its start: nodes are found by their names"]


def _copy(path: Path) -> Path:
    """The engine puts the state there before it writes another."""
    return path.with_name(f"{path.name}.bak")


def _is_whole(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
