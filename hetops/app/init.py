"""Use case: write the first hetops.toml of a folder. Never overwrites one; what it writes can be planned at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jinja2
import msgspec

from hetops import bundled
from hetops.catalog import tables
from hetops.errors import HetopsError, UsageError
from hetops.files import make_private, write_whole
from hetops.plugin import manager
from hetops.spec import load as specs
from hetops.spec.fields import Spec
from hetops.state.home import home

DEFAULT_MODEL = "llama-3.1-8b"
DEFAULT_NAME = "fleet"
"""Where the folder's own name holds no letter."""

_NAME_LENGTH = 32
_TEMPLATE = "project/hetops.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asks for. `output` is a file or a folder; None takes hetops.toml in `folder`."""

    folder: Path
    environment: Mapping[str, str]
    output: Path | None = None
    name: str = ""
    """Of the deployment; empty takes the folder's."""
    model: str = DEFAULT_MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files that `init` wrote."""

    FORMAT: ClassVar[str] = "hetops.init"
    FORMAT_VERSION: ClassVar[str] = "1.0"

    spec: str
    schema: str
    """The JSON Schema that the spec's first line names, for editors."""
    deployment: str
    model: str


def init(wish: Wish) -> Written:
    """Writes the spec and its schema.

    Raises:
        HetopsError: there is a spec already, or the folder takes no files.
        UnknownNameError: a model that nobody knows.
        UsageError: no name of a deployment.
    """
    path = _target(wish)
    root = home(wish.environment, beside=path.parent)
    name = wish.name or _name_of(path.parent.absolute())
    root.deployment(_as_name(name))
    plugins = manager.load()
    model = tables.load(plugins.gpu_types, plugins.models, plugins.checkpoints).model(wish.model)
    text = _rendered(schema=_beside(root.schema, path.parent), name=name, model=model.name)
    _make_folder(root.schema.parent)
    write_whole(root.schema, msgspec.json.format(msgspec.json.encode(specs.json_schema()), indent=2) + b"\n")
    write_whole(path, text.encode())
    return Written(spec=str(path), schema=str(root.schema), deployment=name, model=model.name)


def _target(wish: Wish) -> Path:
    path = wish.output or wish.folder / Spec.FILE_NAME
    path = path / Spec.FILE_NAME if path.is_dir() else path
    if os.path.lexists(path):
        raise HetopsError(
            f"{path} exists and is not overwritten", hint="edit it, or name another file with --output"
        )
    if not path.parent.is_dir():
        raise HetopsError(f"no such folder: {path.parent}", hint=f"mkdir -p {path.parent}")
    return path


def _name_of(folder: Path) -> str:
    """The folder's name as a deployment may be called."""
    words = re.sub(r"[^a-z0-9]+", "-", folder.name.lower())
    return re.sub(r"^[^a-z]+", "", words)[:_NAME_LENGTH].rstrip("-") or DEFAULT_NAME


def _as_name(name: str) -> str:
    if not re.match("[a-z]", name):
        raise UsageError(f"{name!r} cannot name a deployment", hint="let it begin with a letter, a to z")
    return name


def _beside(path: Path, folder: Path) -> str:
    """The path as an editor finds it from a file in the folder."""
    relative = Path(os.path.relpath(path, folder.absolute())).as_posix()
    return relative if relative.startswith("..") else f"./{relative}"


def _rendered(**values: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(bundled.folder("templates")),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(_TEMPLATE).render(values)


def _make_folder(folder: Path) -> None:
    try:
        make_private(folder)
    except OSError as fault:
        raise HetopsError(f"{folder} cannot be made: {fault.strerror or fault}") from fault
