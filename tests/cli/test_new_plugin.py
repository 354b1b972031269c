"""`hetops plugins new`: the example under another name, which installs and passes its tests at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.process import hetops, told
from tests.cli.test_documents import keeps
from tests.setup.wheels import ROOT

RESERVED = re.compile(r"(cloud|registry)\.example\b")
"""Hosts that nobody has, by RFC 2606: they stay."""


def written(folder: Path, name: str = "acme-gpu") -> Path:
    """The new plugin's folder."""
    run = hetops(folder, "plugins", "new", name)
    assert run.returncode == 0, run.stderr
    return folder / f"hetops-{name}"


def test_the_copy_bears_the_name_everywhere(tmp_path: Path) -> None:
    folder = written(tmp_path)
    paths = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert paths == [
        "README.md",
        "hetops_acme_gpu/__init__.py",
        "hetops_acme_gpu/engine.py",
        "hetops_acme_gpu/provider.py",
        "pyproject.toml",
        "tests/cloud.py",
        "tests/conftest.py",
        "tests/test_provider.py",
    ]
    for path in paths:
        text = RESERVED.sub("", (folder / path).read_text(encoding="utf-8"))
        assert not re.findall(r".*(?:example|to copy).*", text, flags=re.IGNORECASE), path
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "hetops-acme-gpu"
    assert project["entry-points"]["hetops"] == {"acme-gpu": "hetops_acme_gpu.provider"}
    provider = (folder / "hetops_acme_gpu" / "provider.py").read_text(encoding="utf-8")
    assert "class AcmeGpuProvider:" in provider
    assert 'TOKEN_VARIABLE = "ACME_GPU_TOKEN"' in provider


def test_the_readme_of_the_copy_speaks_to_its_author_and_links_nowhere_outside(tmp_path: Path) -> None:
    text = (written(tmp_path) / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# hetops-acme-gpu: a provider of hetops\n")
    assert "\n1. Set the address of your cloud's API in `provider.py`" in text
    assert "](../" not in text


@pytest.mark.parametrize("name", ["acme-gpu", "x"])
def test_the_copy_passes_its_own_tests_with_the_contract_suite_among_them(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path, name)
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"),
            *("-c", ROOT / "pyproject.toml", "--rootdir", folder, folder / "tests"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert "test_it_keeps_the_promise[its_offers_are_sound]" in run.stdout


def test_what_was_written_is_told_with_what_to_do_next(tmp_path: Path) -> None:
    text = hetops(tmp_path, "plugins", "new", "acme").stdout
    assert "hetops_acme/provider.py" in text
    assert "pip install -e . pytest" in text
    document = told(hetops(tmp_path, "plugins", "new", "other", "--json"))
    keeps(document, "new-plugin")
    assert document["folder"].endswith("hetops-other")


@pytest.mark.parametrize(
    ("name", "said", "code"),
    [
        ("Acme", "'Acme' cannot name a provider", 64),
        ("acme_gpu", "cannot name a provider", 64),
        ("../acme", "cannot name a provider", 64),
        ("a" * 31, "cannot name a provider", 64),
        ("", "'' cannot name a provider", 64),
        ("1cloud", "cannot name a provider", 64),
        ("acme-", "cannot name a provider", 64),
        ("acme--gpu", "cannot name a provider", 64),
        ("acmé", "cannot name a provider", 64),
        ("local", "a plugin 'local' is installed already", 64),
        ("taken", "hetops-taken exists already", 1),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(
    name: str, said: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "hetops-taken").mkdir()
    run = hetops(tmp_path, "plugins", "new", name)
    assert (run.returncode, run.stdout) == (code, "")
    assert said in run.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["hetops-taken"]
    assert list((tmp_path / "hetops-taken").iterdir()) == []


def test_a_name_is_taken_by_what_is_installed_and_not_by_what_may_be_loaded(tmp_path: Path) -> None:
    only = {"HETOPS_PLUGINS": "acme"}
    assert hetops(tmp_path, "plugins", "new", "acme", variables=only).returncode == 0
    run = hetops(tmp_path, "plugins", "new", "lambda", variables=only)
    assert (run.returncode, "a plugin 'lambda' is installed already" in run.stderr) == (64, True)


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_whatever_has_the_name_of_the_folder_is_left_alone(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "hetops-acme"
    target.touch() if kind == "file" else target.symlink_to(tmp_path / "nowhere")
    run = hetops(tmp_path, "plugins", "new", "acme")
    assert (run.returncode, "hetops-acme exists already" in run.stderr) == (1, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hetops-acme"]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    run = hetops(gone, "plugins", "new", "acme", under=("sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh"))
    assert run.returncode in (1, 64), run.stderr
    assert "Error: " in run.stderr


def test_listing_stays_what_it_was(tmp_path: Path) -> None:
    assert "local" in {p["name"] for p in told(hetops(tmp_path, "plugins", "--json"))["plugins"]}
    assert hetops(tmp_path, "plugins", "old").returncode == 64
