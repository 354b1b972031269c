"""`hetops plugins` through the real loader: distributions that lie on the path, good, broken and misspelt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.process import hetops, told

GOOD = """
from hetops.plugin import GpuType, hookimpl

@hookimpl
def register_gpu_types():
    return [GpuType(name="Abacus", vendor="nvidia", architecture="wood", compute_capability="0.1", form_factor="PCIe",
                    memory_gb=24, bandwidth_gb_per_second=300, fp16_tflops=60, interconnect="PCIe4",
                    interconnect_gb_per_second=64)]
"""
MISSPELT = """
from hetops.plugin import hookimpl

@hookimpl
def register_provider():
    return []
"""
RAISES = """
from hetops.plugin import hookimpl

@hookimpl
def register_providers():
    raise RuntimeError("no luck")
"""
NO_PROVIDER = """
from hetops.plugin import hookimpl

@hookimpl
def register_providers():
    return ["cloud"]
"""


def installed(folder: Path, name: str, text: str | None) -> None:
    """A distribution of one plugin, as pip would leave it; without text its module is missing."""
    metadata = folder / f"{name}-1.2.3.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
    (metadata / "entry_points.txt").write_text(f"[hetops]\n{name} = {name}_plugin\n")
    if text is not None:
        (folder / f"{name}_plugin.py").write_text(text)


def listed(folder: Path, **variables: str) -> dict[str, dict[str, object]]:
    """The plugins that hetops lists with the folder on its path."""
    run = hetops(folder, "plugins", "--json", variables={"PYTHONPATH": str(folder), **variables})
    assert run.returncode == 0
    return {p["name"]: p for p in told(run)["plugins"]}


def test_a_plugin_of_another_distribution_is_found_with_what_it_brings(tmp_path: Path) -> None:
    installed(tmp_path, "abacus", GOOD)
    found = listed(tmp_path)["abacus"]
    assert (found["distribution"], found["version"], found["error"]) == ("abacus", "1.2.3", "")
    assert found["brings"] == ["gpu type Abacus"]
    text = hetops(tmp_path, "plugins", variables={"PYTHONPATH": str(tmp_path)}).stdout
    row = r"^abacus +1\.2\.3 +abacus +ready +gpu_types +gpu type Abacus$"
    assert re.search(row, text, flags=re.MULTILINE), text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MISSPELT, "unknown or misspelt hook: unknown hook 'register_provider'"),
        (RAISES, "register_providers failed: RuntimeError: no luck"),
        (NO_PROVIDER, "handed over 'cloud', which is no Provider"),
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError"),
        (None, "cannot be loaded: ModuleNotFoundError"),
    ],
    ids=["misspelt hook", "hook raises", "no provider", "import fails", "module missing"],
)
def test_a_broken_plugin_is_shown_by_name_and_version_and_costs_only_itself(
    text: str | None, says: str, tmp_path: Path
) -> None:
    installed(tmp_path, "broken", text)
    found = listed(tmp_path)
    assert says in str(found["broken"]["error"])
    assert found["local"]["error"] == ""
    path = {"PYTHONPATH": str(tmp_path)}
    text = hetops(tmp_path, "plugins", variables=path).stdout
    assert re.search(r"^broken +1\.2\.3 +broken +broken$", text, flags=re.MULTILINE), text
    assert "broken 1.2.3 cannot be used: " in text
    offers = hetops(tmp_path, "offers", "--offline", "--json", variables=path)
    assert offers.returncode == 0
    assert [w for w in told(offers)["warnings"] if w.startswith("plugin broken 1.2.3 cannot be used: ")]


def test_the_environment_and_the_spec_say_which_plugins_are_loaded(tmp_path: Path) -> None:
    installed(tmp_path, "abacus", GOOD)
    assert set(listed(tmp_path, HETOPS_PLUGINS="abacus")) == {"abacus"}
    assert hetops(tmp_path, "init", "--name", "chat").returncode == 0
    with (tmp_path / "hetops.toml").open("a") as file:
        file.write('\n[plugins]\nallow = ["local"]\n')
    assert set(listed(tmp_path)) == {"local"}
    assert set(listed(tmp_path, HETOPS_PLUGINS="abacus,local")) == {"abacus", "local"}


def test_a_spec_that_was_named_must_exist(tmp_path: Path) -> None:
    run = hetops(tmp_path, "plugins", "-f", "other.toml")
    assert run.returncode == 1
    assert "other.toml does not exist" in run.stderr
