"""Use case: a distribution of one's own, as a copy of the example under another name. Never overwrites a folder."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hetops import bundled
from hetops.errors import HetopsError, UsageError
from hetops.files import unwritable, write_whole
from hetops.plugin import manager

_EXAMPLE = "hetops-example"
_NAME = re.compile(r"(?=.{1,30}$)[a-z][a-z0-9]*(-[a-z0-9]+)*")

_WORDS: tuple[tuple[str, str], ...] = (
    (r"hetops-example: a provider to copy", "hetops-{name}: a provider of hetops"),
    (r": the plugin to copy\.", "."),
    (r"1\. `hetops plugins new NAME` writes .*; set the", "1. Set the"),
    (r"hetops-example", "hetops-{name}"),
    (r"hetops_example", "hetops_{module}"),
    (r"EXAMPLE_CLOUD", "{variable}"),
    (r"Example(Provider|Nodes|Engine|Subject)", r"{camel}\1"),
    (r"Example Cloud", "{title}"),
    (r'"example"', '"{name}"'),
    (r"(?m)^example = ", "{name} = "),
    (r"providers\.example\b", "providers.{name}"),
    (r"(provider|engine) example\b", r"\1 {name}"),
    (r"# example  ", "# {name}  "),
    (r"\[([^\]]+)\]\(\.\./\.\./[^)]*\)", r"\1"),
)
"""What stands in the example's files, and what stands in the copy's: names, and links out of the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlugin:
    """The folder that was written."""

    FORMAT: ClassVar[str] = "hetops.new-plugin"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    folder: str
    name: str
    """Of the provider."""
    files: tuple[str, ...]
    """Below the folder."""


def new_plugin(name: str, folder: Path) -> NewPlugin:
    """The example as `hetops-NAME` in the folder, whole or not at all.

    Raises:
        UsageError: no name of a provider, or one that is taken.
        HetopsError: the folder exists, or cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a provider", hint="use at most 30 of a-z, 0-9 and '-', a letter first"
        )
    if name in manager.installed():
        raise UsageError(f"a plugin {name!r} is installed already", hint="hetops plugins lists them")
    target = folder / f"hetops-{name}"
    if target.exists() or target.is_symlink():
        raise HetopsError(f"{target} exists already", hint="remove it, or choose another name")
    files = dict(_renamed(name))
    _write(target, files)
    return NewPlugin(folder=str(target), name=name, files=tuple(files))


def _renamed(name: str) -> Iterator[tuple[str, str]]:
    """Path and text of every file of the copy."""
    example = bundled.folder("plugins") / _EXAMPLE
    for path in sorted(example.rglob("*")):
        inside = path.relative_to(example)
        hidden = any(part.startswith((".", "__pycache__")) for part in inside.parts)
        if path.is_file() and not hidden:
            yield _reworded(inside.as_posix(), name), _reworded(path.read_text(encoding="utf-8"), name)


def _reworded(text: str, name: str) -> str:
    parts = name.split("-")
    names = {
        "name": name,
        "module": "_".join(parts),
        "variable": "_".join(parts).upper(),
        "camel": "".join(part.capitalize() for part in parts),
        "title": " ".join(part.capitalize() for part in parts),
    }
    for pattern, words in _WORDS:
        text = re.sub(pattern, words.format(**names), text)
    return text


def _write(target: Path, files: Mapping[str, str]) -> None:
    """Beside the target first, then under its name."""
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".hetops-") as made:
            whole = Path(made) / target.name
            for inside, text in files.items():
                path = whole / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, text.encode())
            shutil.move(whole, target)
    except OSError as fault:
        raise unwritable(str(target), fault) from fault
