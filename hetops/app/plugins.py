"""Use case: what plugins there are and what each brings. A broken one is shown, never raised: it costs only itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hetops.errors import SpecError
from hetops.plugin import manager
from hetops.reports.plugins import Inventory
from hetops.spec.load import find, load


def inventory(file: Path | None, folder: Path, environment: Mapping[str, str]) -> Inventory:
    """Every plugin that may be loaded: all, or those that the spec allows where there is one.

    Raises:
        SpecError: the spec is unreadable or wrong, or the one that was named does not exist.
    """
    return Inventory(plugins=manager.load(_allowed(file, folder, environment)).statuses)


def _allowed(file: Path | None, folder: Path, environment: Mapping[str, str]) -> tuple[str, ...] | None:
    try:
        path = find(file, folder)
    except SpecError:
        if file is not None:
            raise
        return None
    return load(path, environment=environment).spec.plugins.allow
