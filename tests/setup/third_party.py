"""The third-party example for tests of ours: its cloud, its distribution on a path, and a spec that plans with both."""

from __future__ import annotations

import contextlib
import os
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from tests.setup.wheels import EXAMPLE

PROJECT = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]

SPEC = """
[deployment]
name = "elsewhere"

[model]
name = "llama-3.1-8b"

[workload]
classes = [{{name = "chat", requests_per_second = 1.0, input_tokens = 300, output_tokens = 50}}]

[targets]
ttft_seconds = 2.0
tpot_seconds = 0.1

[engine]
names = ["example"]

[providers.{provider}]
{settings}

[router]
port = {port}
"""


def spec(folder: Path, provider: str, port: int, settings: str = "") -> None:
    """A fleet of the example's engine on one provider, as hetops.toml of the folder."""
    text = SPEC.format(provider=provider, port=port, settings=settings)
    (folder / "hetops.toml").write_text(text, encoding="utf-8")


@contextlib.contextmanager
def cloud() -> Iterator[Any]:
    """The example's own cloud, answering; `environment` leads to it."""
    found = spec_from_file_location("example_cloud", EXAMPLE / "tests" / "cloud.py")
    assert found is not None
    assert found.loader is not None
    module = sys.modules.setdefault("example_cloud", module_from_spec(found))
    found.loader.exec_module(module)
    with module.running() as answering:
        answering.environment = {"EXAMPLE_CLOUD_URL": answering.url, "EXAMPLE_CLOUD_TOKEN": module.TOKEN}
        yield answering


def on_path(folder: Path) -> str:
    """A path on which the example lies as pip would have installed it."""
    information = folder / "hetops_example-0.1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {PROJECT['version']}\n"
    )
    (point,) = PROJECT["entry-points"]["hetops"].items()
    (information / "entry_points.txt").write_text(f"[hetops]\n{point[0]} = {point[1]}\n")
    return os.pathsep.join((str(folder), str(EXAMPLE)))
