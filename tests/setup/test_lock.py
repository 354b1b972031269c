"""The lock: names, versions and hashes for all that the project stands on, and no address of any index anywhere."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED = ("requirements/dev.txt", "requirements/uv.txt", "plugins/hetops_local/weights.txt")

HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ADDRESS = re.compile(
    r"(--(extra-)?index-url|--find-links|UV_DEFAULT_INDEX|PIP_INDEX_URL)[ =]*['\"]?https?://"
    r"|https?://[^\s'\"]*(/simple\b|pypi|artifactory|nexus|devpi)",
    re.IGNORECASE,
)


def locked(path: str) -> dict[str, tuple[Requirement, int]]:
    """The requirements of a lock with the number of hashes of each."""
    text = (ROOT / path).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    found = [(Requirement(HASH.sub("", line).strip()), len(HASH.findall(line))) for line in lines]
    return {canonicalize_name(requirement.name): (requirement, hashes) for requirement, hashes in found}


def committed() -> list[Path]:
    """Every file that git has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", LOCKED)
def test_every_requirement_is_one_version_with_its_hashes(path: str) -> None:
    requirements = locked(path)
    assert requirements
    for name, (requirement, hashes) in requirements.items():
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), name
        assert hashes, name
        assert requirement.url is None, name


def test_everything_that_the_project_asks_for_is_locked_within_its_bounds() -> None:
    lock = locked("requirements/dev.txt")
    asked = [*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["local"], *EXTRAS["router"]]
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        if name == "hetops":
            continue
        assert name in lock, name
        (pin,) = lock[name][0].specifier
        assert pin.version in requirement.specifier, name


def test_every_extra_is_there_and_names_of_ours_in_them_are_extras() -> None:
    assert set(EXTRAS) == {"aws", "gcp", "router", "local", "aiconfigurator", "all", "dev"}
    assert "aiconfigurator" not in Requirement(EXTRAS["all"][0]).extras, (
        "hundreds of megabytes for one estimator"
    )
    for extra in ("aws", "gcp", "router", "local"):
        assert extra in Requirement(EXTRAS["all"][0]).extras
    ours = [Requirement(r) for extra in EXTRAS.values() for r in extra if Requirement(r).name == "hetops"]
    assert all(requirement.extras <= set(EXTRAS) for requirement in ours)


def test_the_builder_is_the_one_that_is_locked() -> None:
    (required,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"][
        "requires"
    ]
    assert str(locked("requirements/dev.txt")["hatchling"][0].specifier) == str(
        Requirement(required).specifier
    )


def test_no_committed_file_holds_the_address_of_an_index() -> None:
    found = {}
    for path in committed():
        if path == Path(__file__):
            continue
        match = ADDRESS.search(path.read_text(encoding="utf-8", errors="replace"))
        if match:
            found[str(path.relative_to(ROOT))] = match.group()
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://mirror.example/simple",
        "see https://pypi.example/p",
        'UV_DEFAULT_INDEX="http://10.0.0.1/x',
    ],
)
def test_an_address_would_be_found(line: str) -> None:
    assert ADDRESS.search(line)
