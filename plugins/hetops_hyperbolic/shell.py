"""Edge: a shell on a rented machine over `ssh`, whose keys and agent are the user's. The only way in at Hyperbolic."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hetops.plugin import ErrorKind, ProviderError, Scope, Surroundings
from hetops_hyperbolic.offers import PROVIDER
from hetops_hyperbolic.settings import HyperbolicSettings

KEY_VARIABLE = "HYPERBOLIC_SSH_KEY"
"""A private key for `ssh -i`, where the agent and the default ones are not the right ones."""

_SECONDS = 600.0
_UNREACHED = 255
"""The status of ssh itself: nobody knows the machine yet, or not any more."""

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*")
_USER = re.compile(r"[a-z_][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where a machine's shell is. ProviderError of kind invalid where the words could be taken for options."""

    host: str
    port: int
    user: str

    def __post_init__(self) -> None:
        if not (_HOST.fullmatch(self.host) and _USER.fullmatch(self.user) and 0 < self.port < 65536):
            raise _error(f"{self.user}@{self.host}:{self.port} is no address of a shell", ErrorKind.INVALID)


def ssh_program(environment: Mapping[str, str]) -> str:
    """The `ssh` on PATH; ProviderError of kind invalid where there is none."""
    found = shutil.which("ssh", path=environment.get("PATH"))
    if found is None:
        raise _error("there is no ssh on PATH", ErrorKind.INVALID, hint="install openssh-client")
    return found


def key_file(settings: HyperbolicSettings, around: Surroundings) -> Path | None:
    """The private key that is named; None leaves it to ssh. ProviderError of kind invalid where there is no such file."""
    named = settings.ssh_key or around.environment.get(KEY_VARIABLE, "")
    if not named:
        return None
    path = around.home / named[2:] if named.startswith("~/") else Path(named)
    if not path.is_file():
        place = f"ssh_key of [providers.{PROVIDER}]" if settings.ssh_key else KEY_VARIABLE
        raise _error(f"{place}: {path} is no file", ErrorKind.INVALID, hint=f"correct {place}")
    return path


async def run(
    door: Door, script: str, environment: Mapping[str, str], *, known_hosts: Path, key: Path | None
) -> None:
    """Runs a script as root. The host's key is taken as it is the first time: the API does not tell it.

    Raises:
        ProviderError: transient where the machine cannot be reached, invalid where the script fails there.
    """
    command = (
        ssh_program(environment),
        *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=10"),
        *("-o", f"UserKnownHostsFile={known_hosts}", *(("-i", str(key)) if key else ())),
        *("-p", str(door.port), f"{door.user}@{door.host}", "sudo", "-n", "bash", "-s"),
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environment),
        )
    except OSError as fault:
        raise _error(f"{command[0]} cannot be run: {fault.strerror or fault}", ErrorKind.INVALID) from fault
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate(script.encode())
    except TimeoutError as fault:
        raise _error(f"{door.host} did not finish within {_SECONDS:.0f} s", ErrorKind.TRANSIENT) from fault
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = output.decode(errors="replace").strip().splitlines()[-1:] or [f"status {process.returncode}"]
        kind = ErrorKind.TRANSIENT if process.returncode == _UNREACHED else ErrorKind.INVALID
        raise _error(f"{door.host}: {lines[0][:200]}", kind)


def _error(message: str, kind: ErrorKind, *, hint: str = "") -> ProviderError:
    return ProviderError(message, provider=PROVIDER, kind=kind, scope=Scope.OFFER, hint=hint)
