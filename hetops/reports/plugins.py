"""The plugins that were found, as a document and as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hetops.plugin.manager import PluginStatus
from hetops.reports import quantities as q

_COLUMNS = ("plugin", "version", "from", "status", "hooks", "brings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Every plugin that was looked for, broken ones too."""

    FORMAT: ClassVar[str] = "hetops.plugins"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    plugins: tuple[PluginStatus, ...]

    @property
    def broken(self) -> tuple[PluginStatus, ...]:
        """Those that cannot be used."""
        return tuple(each for each in self.plugins if each.error)


def as_text(inventory: Inventory) -> str:
    """The plugins for a terminal, then what is wrong with the broken ones."""
    table = (
        q.table(_COLUMNS, [_row(each) for each in inventory.plugins]) if inventory.plugins else "no plugins"
    )
    return "\n".join((table, *_faults(inventory))) + "\n"


def _row(plugin: PluginStatus) -> tuple[str, ...]:
    hooks = ", ".join(hook.removeprefix("register_") for hook in plugin.hooks)
    status = "broken" if plugin.error else "ready"
    return plugin.name, plugin.version, plugin.distribution, status, hooks, ", ".join(plugin.brings)


def new_as_text(folder: str, files: Sequence[str]) -> str:
    """What was written for a plugin that is to come, and what to do with it."""
    steps = (f"cd {folder}", "pip install -e . pytest", "pytest tests", "hetops plugins")
    lines = (
        f"{folder} is written:",
        *(f"  {file}" for file in files),
        "",
        "Then:",
        *(f"  {s}" for s in steps),
    )
    return "\n".join(lines) + "\n"


def _faults(inventory: Inventory) -> Iterator[str]:
    for each in inventory.broken:
        yield f"\n{' '.join((each.name, each.version)).strip()} cannot be used: {each.error}"
        if each.distribution:
            yield f"  try: pip install --upgrade {each.distribution}, or tell its authors"
        else:
            yield "  try: correct plugins.allow of the spec, or HETOPS_PLUGINS"
