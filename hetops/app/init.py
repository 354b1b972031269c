"""Use case: write the first hetops.toml of a folder. Never overwrites one; what it writes can be planned at once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import msgspec

from hetops import bundled
from hetops.app.candidates import engine_needs
from hetops.app.models import checkpoints_for
from hetops.catalog import tables
from hetops.catalog.tables import Catalog
from hetops.domain.model import Model
from hetops.domain.workload import Priority
from hetops.errors import HetopsError, InfeasibleError, UsageError
from hetops.files import make_private, unwritable, write_whole
from hetops.plugin import manager
from hetops.plugin.manager import Plugins
from hetops.spec import load as specs
from hetops.spec.fields import Spec
from hetops.spec.workload import ClassSpec, TargetsSpec
from hetops.state.home import home

DEFAULT_MODEL = "llama-3.1-8b"
DEFAULT_NAME = "fleet"
"""Where the folder's own name holds no letter."""

_NAME_LENGTH = 32
_TEMPLATE = "project/hetops.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """A workload to begin with, of a size that the hardware bears."""

    classes: tuple[ClassSpec, ...]
    targets: TargetsSpec


_ON_GPUS = _Sample(
    classes=(
        ClassSpec(name="chat", requests_per_second=12, input_tokens=600, output_tokens=180),
        ClassSpec(
            name="documents", requests_per_second=1.5, input_tokens=6000, output_tokens=300, ttft_seconds=3.0
        ),
        ClassSpec(
            name="nightly",
            requests_per_second=2,
            input_tokens=1500,
            output_tokens=700,
            priority=Priority.BATCH,
            ttft_seconds=30.0,
            tpot_seconds=0.2,
        ),
    ),
    targets=TargetsSpec(ttft_seconds=1.0, tpot_seconds=0.06),
)

_ON_CORES = _Sample(
    classes=(
        ClassSpec(name="chat", requests_per_second=0.2, input_tokens=60, output_tokens=30),
        ClassSpec(
            name="documents", requests_per_second=0.02, input_tokens=400, output_tokens=60, ttft_seconds=20.0
        ),
    ),
    targets=TargetsSpec(ttft_seconds=5.0, tpot_seconds=0.25),
)


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
        InfeasibleError: a model whose weights no engine can read.
        UsageError: no name of a deployment.
    """
    path = _target(wish)
    root = home(wish.environment, beside=path.parent)
    name = wish.name or _name_of(path.parent.absolute())
    root.deployment(_as_name(name))
    plugins = manager.load()
    catalog = tables.load(plugins.gpu_types, plugins.models, plugins.checkpoints)
    model = catalog.model(wish.model)
    engine = _engine(model, catalog, plugins)
    on_cores = "cpu" in engine_needs(plugins)[engine].gpu_vendors
    sample = _ON_CORES if on_cores else _ON_GPUS
    text = _rendered(
        schema=_beside(root.schema, path.parent),
        name=name,
        model=model.name,
        engine=engine,
        on_cores=on_cores,
        classes=[_within(model.context_tokens, c) for c in sample.classes],
        targets=sample.targets,
    )
    _make_folder(root.schema.parent)
    write_whole(root.schema, msgspec.json.format(msgspec.json.encode(specs.json_schema()), indent=2) + b"\n")
    write_whole(path, text.encode())
    return Written(spec=str(path), schema=str(root.schema), deployment=name, model=model.name)


def _engine(model: Model, catalog: Catalog, plugins: Plugins) -> str:
    """The first engine that reads weights of the model; GPU engines come first."""
    known = catalog.checkpoints_of(model.name)
    for name, needs in engine_needs(plugins).items():
        if not needs.only_named and any(checkpoints_for(needs, known)):
            return name
    raise InfeasibleError(
        f"no engine can serve {model.name}: no weights of it are known that one reads",
        hint="name another with --model; a GGUF of your own stands as gguf in [engine.settings.llamacpp] of a spec, "
        'with engine.names = ["llamacpp"]',
    )


def _within(context_tokens: int, c: ClassSpec) -> ClassSpec:
    """The class as far as the model's context takes it."""
    output_tokens = min(c.output_tokens, context_tokens // 2)
    input_tokens = min(c.input_tokens, context_tokens - output_tokens)
    return msgspec.structs.replace(c, input_tokens=input_tokens, output_tokens=output_tokens)


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


def _rendered(**values: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(bundled.folder("templates")),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(values)


def _make_folder(folder: Path) -> None:
    try:
        make_private(folder)
    except OSError as fault:
        raise unwritable(str(folder), fault) from fault
