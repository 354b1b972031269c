"""The keys of one `config.json`, as whole numbers or as an error that names the file and the key. Reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetops.errors import HetopsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The keys of one file."""

    file: Path
    keys: Mapping[str, Any]

    def number(self, *names: str, otherwise: int | None = None) -> int:
        """The first of these keys that is there."""
        for name in names:
            value = self.keys.get(name)
            if value is not None:
                return self._checked(name, value)
        if otherwise is None:
            raise HetopsError(
                f"{self.file}: the key {' or '.join(names)} is missing",
                hint="a config.json of a text model has it: look whether it is that of the model itself",
            )
        return otherwise

    def _checked(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise HetopsError(
                f"{self.file}: {name} must be a whole number of at least 0, found {value!r}",
                hint=f"correct {name}",
            )
        return value
