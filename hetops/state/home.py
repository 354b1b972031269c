"""Edge: where everything that hetops keeps on disk lies. No other module builds a path below the state root.

    <root>/<deployment>/   lock, plan.json, providers.json, passphrase, engine.json, pulumi/, work/, intents/, nodes/,
                           router/
    <root>/history/        <deployment>.jsonl, outlives the deployment; offers.prices.jsonl, prices over time
    <root>/measurements/   benchmarks of the user's own
    <root>/cache/          may be removed at any time
    <root>/schema.json     the JSON Schema of hetops.toml, for editors

Must not look into the files: each has a module of its own.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hetops.errors import HetopsError, UsageError
from hetops.files import make_private

STATE_ENVIRONMENT = "HETOPS_STATE"
"""Names the state root where it is not `.hetops` beside the spec."""

RESERVED = frozenset({"history", "measurements", "cache"})
"""Folders of the root that are no deployment."""

_DEPLOYMENT = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFolder:
    """The files of one deployment. `path` need not exist before `create`."""

    path: Path

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.path.name

    @property
    def lock(self) -> Path:
        """Held for the life of a command that changes the deployment."""
        return self.path / "lock"

    @property
    def plan(self) -> Path:
        """The plan last asked for."""
        return self.path / "plan.json"

    @property
    def provider_settings(self) -> Path:
        """What the spec said of its providers when nodes were last made."""
        return self.path / "providers.json"

    @property
    def passphrase(self) -> Path:
        """What the stack's secrets are encrypted with; readable by its owner alone."""
        return self.path / "passphrase"

    @property
    def engine(self) -> Path:
        """The Pulumi engine that runs for this deployment, while it does."""
        return self.path / "engine.json"

    @property
    def backend(self) -> Path:
        """Root of Pulumi's file backend."""
        return self.path / "pulumi" / "state"

    @property
    def pulumi_home(self) -> Path:
        """Pulumi's own folder."""
        return self.path / "pulumi" / "home"

    @property
    def work(self) -> Path:
        """Pulumi's work folder: project and stack settings."""
        return self.path / "work"

    @property
    def intents(self) -> Path:
        """Nodes that were begun."""
        return self.path / "intents"

    @property
    def router(self) -> Path:
        """The router's configuration, keys and observations."""
        return self.path / "router"

    @property
    def router_config(self) -> Path:
        """What the router reads and watches."""
        return self.router / "router.json"

    @property
    def api_keys(self) -> Path:
        """The router's API keys; readable by their owner alone."""
        return self.router / "api_keys"

    @property
    def observations(self) -> Path:
        """What the router measured."""
        return self.router / "observations.jsonl"

    @property
    def exists(self) -> bool:
        """Whether a command has ever opened this deployment here."""
        return self.lock.exists()

    def create(self) -> DeploymentFolder:
        """Makes the folders, closed to others, and the passphrase; what exists stays.

        Raises:
            HetopsError: the state root cannot be written.
        """
        try:
            for folder in (self.path, self.backend, self.pulumi_home, self.work, self.intents, self.router):
                make_private(folder)
            _write_once(self.passphrase, secrets.token_hex(32))
        except OSError as fault:
            raise _unwritable(self.path, fault) from fault
        return self

    def remove(self) -> None:
        """Removes all files of the deployment, the lock last; its history is elsewhere and stays."""
        try:
            for entry in sorted(self.path.iterdir(), key=lambda e: e == self.lock):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            self.path.rmdir()
        except FileNotFoundError:
            return
        except OSError as fault:
            raise _unwritable(self.path, fault) from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The state root: `.hetops` beside the spec, or what HETOPS_STATE names."""

    root: Path

    @property
    def history(self) -> Path:
        """One file of JSON lines a deployment."""
        return self.root / "history"

    @property
    def prices(self) -> Path:
        """What offers cost over time; no deployment can have its name."""
        return self.history / "offers.prices.jsonl"

    @property
    def measurements(self) -> Path:
        """The user's own benchmarks."""
        return self.root / "measurements"

    @property
    def cache(self) -> Path:
        """May be removed at any time."""
        return self.root / "cache"

    @property
    def schema(self) -> Path:
        """What editors check hetops.toml by; written anew by every `hetops init`."""
        return self.root / "schema.json"

    def deployment(self, name: str) -> DeploymentFolder:
        """The folder of a deployment, made or not.

        Raises:
            UsageError: no name of a deployment: it stands in folder, node and stack names.
        """
        if not _DEPLOYMENT.fullmatch(name) or name in RESERVED:
            raise UsageError(
                f"{name!r} cannot name a deployment",
                hint="use at most 32 of a-z, 0-9 and '-', first and last a letter or digit, and not "
                + " or ".join(sorted(RESERVED)),
            )
        return DeploymentFolder(path=self.root / name)

    def deployments(self) -> tuple[DeploymentFolder, ...]:
        """Every deployment that has files here, by name."""
        if not self.root.is_dir():
            return ()
        names = (e.name for e in self.root.iterdir() if e.is_dir() and e.name not in RESERVED)
        folders = (DeploymentFolder(path=self.root / n) for n in sorted(names) if _DEPLOYMENT.fullmatch(n))
        return tuple(folder for folder in folders if folder.exists)


def home(environment: Mapping[str, str], *, beside: Path | None = None) -> Home:
    """The state root: HETOPS_STATE, else `.hetops` in the folder `beside`, else the user's state folder."""
    named = environment.get(STATE_ENVIRONMENT)
    if named:
        return Home(root=Path(named).expanduser().absolute())
    if beside is not None:
        return Home(root=beside.absolute() / ".hetops")
    state = environment.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Home(root=Path(state) / "hetops")


def _write_once(path: Path, text: str) -> None:
    """`text` in a file of its owner's alone, unless there is one; never half of it."""
    if path.exists():
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another command was first: its passphrase counts
    finally:
        os.unlink(temporary)


def _unwritable(path: Path, fault: OSError) -> HetopsError:
    return HetopsError(
        f"state folder {path} cannot be written: {fault.strerror or fault}",
        hint=f"make it writable, or set {STATE_ENVIRONMENT} to a folder that is",
    )
