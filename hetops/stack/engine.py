"""Edge: which Pulumi engine runs the stacks, and how one is made where there is none.

The only place that chooses: a `pulumi` on PATH that fits the SDK, else the one in the cache. It never builds and never
downloads by itself: `build_engine` and `stack.engine_download` do, when the user asks for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hetops import bundled
from hetops.errors import HetopsError

ENGINE_VERSION = "3.259.0"
"""What is built, cached and tested; the version of the SDK in pyproject.toml and of the Go module in stacks/engine."""

OLDEST_VERSION = (3, 206, 0)
"""From here on the engine streams its events to the SDK over gRPC and refreshes inline programs (SDK 3.259.0)."""

TOO_NEW_MAJOR = 4

_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_ANSWER_SECONDS = 10.0
_BUILD_SECONDS = 3600.0
_ANOTHER = "put `pulumi` 3 on PATH, or fetch one: hetops doctor --download"

Say = Callable[[str], None]
"""Takes one line of progress for the user."""


class EngineOrigin(StrEnum):
    """Where the engine comes from."""

    PATH = "path"
    CACHE = "cache"
    BUILD = "build"
    DOWNLOAD = "download"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The engine to run. `path` is `<root>/bin/pulumi`, absolute."""

    path: Path
    version: str
    origin: EngineOrigin
    reason: str
    """Why this one, and why not those looked at before it."""

    @property
    def root(self) -> Path:
        """What the Automation API calls the root of an installation."""
        return self.path.parent.parent


def choose_engine(environment: Mapping[str, str]) -> EngineChoice:
    """The engine on PATH if it fits, else the cached one; PATH, HOME and XDG_CACHE_HOME are read in `environment`.

    Raises:
        HetopsError: there is neither; names the ways to get one.
    """
    on_path, refused = _on_path(environment)
    if on_path:
        return on_path
    cached = cached_engine(environment)
    if os.access(cached, os.X_OK):
        return _choice(cached, EngineOrigin.CACHE, f"{refused}; {ENGINE_VERSION} is in the cache")
    raise HetopsError(
        "no Pulumi engine to provision with",
        details=(refused, f"{cached} does not exist"),
        hint="build one with `hetops doctor --fix` (needs Go 1.25 or newer, some minutes, once), download one with"
        " `hetops doctor --download`, or put `pulumi` on PATH",
    )


def cached_engine(environment: Mapping[str, str]) -> Path:
    """Where the cache keeps the engine of ENGINE_VERSION, there or not."""
    return _cache(environment) / ENGINE_VERSION / "bin" / "pulumi"


def build_engine(environment: Mapping[str, str], say: Say) -> EngineChoice:
    """The engine in the cache, built from its Go module unless it is there; some four minutes on two cores.

    A second builder waits for the first. A build that is killed leaves no engine, and the next one clears up after it.

    Raises:
        HetopsError: no Go, the module cannot be fetched, the build fails, or the cache cannot be written.
    """
    go = shutil.which("go", path=environment.get("PATH", ""))
    if not go:
        raise HetopsError(
            "the Pulumi engine cannot be built: no Go on PATH",
            hint="install Go 1.25 or newer, or put `pulumi` 3 on PATH (`hetops doctor --download` fetches one)",
        )

    def build(root: Path) -> None:
        say(f"building the Pulumi engine {ENGINE_VERSION} from source with {go}: some minutes, once")
        with tempfile.TemporaryDirectory(dir=root.parent, prefix="go-", ignore_cleanup_errors=True) as caches:
            _go_build(go, root / "bin" / "pulumi", _with_caches(environment, Path(caches)))

    return install(environment, EngineOrigin.BUILD, build, say)


def install(
    environment: Mapping[str, str], origin: EngineOrigin, make: Callable[[Path], None], say: Say
) -> EngineChoice:
    """The engine in the cache; where it is missing, what `make` leaves in a folder beside it, renamed when it runs.

    Raises:
        HetopsError: of `make`, or what it made is not the engine of ENGINE_VERSION, or the cache cannot be written.
    """
    engine = cached_engine(environment)
    cache = engine.parent.parent.parent
    try:
        with _alone(cache, say):
            if os.access(engine, os.X_OK):
                return _choice(engine, EngineOrigin.CACHE, f"{ENGINE_VERSION} was in the cache already")
            _make_beside(engine, environment, make)
    except OSError as fault:
        raise HetopsError(
            f"the engine cache {cache} cannot be written: {fault.strerror or fault}",
            hint="make it writable or set XDG_CACHE_HOME; an engine takes some 120 MB",
        ) from fault
    return _choice(engine, origin, f"{ENGINE_VERSION} came by {origin} just now")


def engine_version(path: Path, environment: Mapping[str, str]) -> str:
    """What `pulumi version` answers, without its `v`.

    Raises:
        HetopsError: it does not run, does not answer in time, or tells no version.
    """
    asked = {**environment, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [path, "version"], env=asked, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as fault:
        raise HetopsError(f"{path} does not answer to `pulumi version`: {fault}", hint=_ANOTHER) from fault
    found = _VERSION.match(answer.strip())
    if not found:
        raise HetopsError(f"{path} tells no version: {answer.strip()[:80]!r}", hint=_ANOTHER)
    return answer.strip().removeprefix("v")


def _on_path(environment: Mapping[str, str]) -> tuple[EngineChoice | None, str]:
    """The engine on PATH, or why there is none to use."""
    found = shutil.which("pulumi", path=environment.get("PATH", ""))
    if not found:
        return None, "no pulumi on PATH"
    path = Path(found).absolute()
    try:
        version = engine_version(path, environment)
    except HetopsError as fault:
        return None, fault.message
    refused = _misfit(version)
    if refused:
        return None, f"{path} is {version}, {refused}"
    reason = f"{version} is on PATH and fits the SDK {ENGINE_VERSION}"
    return EngineChoice(path=path, version=version, origin=EngineOrigin.PATH, reason=reason), ""


def _misfit(version: str) -> str:
    """Why an engine of that version cannot be used; empty where it can."""
    found = _VERSION.match(version)
    number = tuple(int(part) for part in found.groups()) if found else (0, 0, 0)
    if number < OLDEST_VERSION:
        return f"older than {'.'.join(map(str, OLDEST_VERSION))}"
    if number >= (TOO_NEW_MAJOR, 0, 0):
        return f"of another major version than the SDK {ENGINE_VERSION}"
    return ""


def _choice(path: Path, origin: EngineOrigin, reason: str) -> EngineChoice:
    return EngineChoice(path=path, version=ENGINE_VERSION, origin=origin, reason=reason)


def _cache(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path(environment.get("HOME") or Path.home()) / ".cache"
    return root / "hetops" / "engine"


@contextlib.contextmanager
def _alone(cache: Path, say: Say) -> Iterator[None]:
    """Holds the cache against other builders; the kernel lets go of it when this process ends, however it ends."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is making the engine; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_beside(engine: Path, environment: Mapping[str, str], make: Callable[[Path], None]) -> None:
    """Lets `make` work in a folder of its own, tries what it made, and puts it in place in one step."""
    home = engine.parent.parent
    cache = home.parent
    for left_by_a_killed_build in cache.glob(".making-*"):
        shutil.rmtree(left_by_a_killed_build, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".making-", ignore_cleanup_errors=True) as scratch:
        made = Path(scratch) / home.name
        (made / "bin").mkdir(parents=True)
        make(made)
        version = engine_version(made / "bin" / "pulumi", environment)
        if version != ENGINE_VERSION:
            raise HetopsError(
                f"the engine that was made says it is {version}, not {ENGINE_VERSION}", hint=_ANOTHER
            )
        shutil.rmtree(home, ignore_errors=True)  # what stands there holds no engine
        made.rename(home)


def _with_caches(environment: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """Go's caches in a folder that goes with the build, 3 GB that nobody needs again; but where the user has said where."""
    return {"GOMODCACHE": str(folder / "modules"), "GOCACHE": str(folder / "build"), **environment}


def _go_build(go: str, target: Path, environment: Mapping[str, str]) -> None:
    """One `go build` of the tool that stacks/engine names; its go.sum decides what may be fetched."""
    command = [
        *(go, "build", "-trimpath", "-tags", "osusergo,grpcnotrace"),
        *(
            "-ldflags",
            f"-s -w -X {_VERSION_VARIABLE}=v{ENGINE_VERSION}",
        ),  # without it the SDK refuses the engine
        *("-o", str(target), _PACKAGE),
    ]
    flags = f"{environment.get('GOFLAGS', '')} -mod=readonly -modcacherw".strip()
    try:
        subprocess.run(
            command,
            cwd=bundled.folder("stacks") / "engine",
            env={**environment, "CGO_ENABLED": "0", "GOFLAGS": flags},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as fault:
        raise HetopsError(
            "the build of the Pulumi engine failed",
            details=fault.stderr.strip().splitlines()[-8:],
            hint="check that Go is 1.25 or newer and that its module proxy can be reached, then try again",
        ) from fault
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise HetopsError(f"the build of the Pulumi engine did not run: {fault}", hint=_ANOTHER) from fault
