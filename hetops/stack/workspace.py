"""Where a stack lies and what the engine works in: backend, folders, environment. Starts nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pulumi import automation

from hetops.files import write_whole
from hetops.stack.engine import EngineChoice
from hetops.stack.engine_process import EngineProcess
from hetops.state.home import STATE_ENVIRONMENT, DeploymentFolder, Home

PROJECT = "hetops"
"""The Pulumi project of all deployments; a stack is named after its deployment."""

_PROJECT_FILE = f"name: {PROJECT}\nruntime: python\n"
_NO_SIDECARS = "?metadata=skip"
"""Files of attributes beside each file are not written whole: one torn by a kill makes its state unreadable ("EOF")."""

_PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
_DROPPED = frozenset(
    {
        *("PULUMI_IGNORE_AMBIENT_PLUGINS", "PULUMI_STACK", "PULUMI_BACKEND_URL", "PULUMI_DEV"),
        *("PULUMI_DIY_BACKEND_GZIP", "PULUMI_DIY_BACKEND_ZSTD", "PULUMI_DIY_BACKEND_LEGACY_LAYOUT"),
    }
)
_ALWAYS = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    "PULUMI_AUTOMATION_API": "true",
    "PULUMI_DEBUG_COMMANDS": "true",
    "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": "20",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlace:
    """Where a deployment's stack lies and which engine works on it."""

    home: Home
    folder: DeploymentFolder
    engine: EngineChoice
    backend: str = ""
    """A Pulumi backend's URL; empty for the file backend in the deployment's folder."""
    environment: Mapping[str, str]
    """What engines and plugins get: PATH, credentials of providers."""


class Workspace(automation.LocalWorkspace):  # type: ignore[misc]  # the SDK is untyped to us
    """A workspace whose stacks are named in each command. Selecting one would cost a process and write a file."""

    def select_stack(self, stack_name: str) -> None:
        """Nothing: see above."""


def workspace(folder: DeploymentFolder, process: EngineProcess) -> Workspace:
    """The Automation API's workspace in the deployment's work folder."""
    settings = folder.work / "Pulumi.yaml"
    if not settings.exists():
        write_whole(settings, _PROJECT_FILE.encode(), mode=0o600)
    return Workspace(work_dir=str(folder.work), pulumi_command=process)


def stack_settings(folder: DeploymentFolder) -> Path:
    """The engine's file of the stack's settings; ours are none, it holds what the state says of its encryption."""
    return folder.work / f"Pulumi.{folder.name}.yaml"


def environment(place: StackPlace) -> dict[str, str]:
    """What the engine runs in. Its plugins are looked for beside our interpreter first; nothing is fetched."""
    given = {name: value for name, value in place.environment.items() if name not in _DROPPED}
    path = (str(Path(sys.executable).parent), str(place.engine.path.parent), given.get("PATH", ""))
    ours = {
        **_ALWAYS,
        "PATH": ":".join(filter(None, path)),
        STATE_ENVIRONMENT: str(place.home.root),
        "PULUMI_BACKEND_URL": place.backend or place.folder.backend.as_uri() + _NO_SIDECARS,
    }
    passphrase = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(place.folder.passphrase)}
    if place.backend:
        # A backend that others use too: the user's own login, and the passphrase where one is set.
        return {**({} if any(p in given for p in _PASSPHRASES) else passphrase), **given, **ours}
    rest = {name: value for name, value in given.items() if name not in _PASSPHRASES}
    local = {
        "PULUMI_HOME": str(place.folder.pulumi_home),
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
    }
    return {**rest, **ours, **passphrase, **local}
