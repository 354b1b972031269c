"""Where the files that travel with the code lie: in the wheel and in a checkout alike. Reads nothing itself."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder `stacks`, `templates` or `plugins`, installed or in a checkout; of plugins the example alone travels."""
    installed = _PACKAGE / "_bundled" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
