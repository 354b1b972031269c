"""`[providers.hyperbolic]` of the spec, checked. Decides what the words mean; reads nothing.

All of it is for nodes: what a new machine needs besides the offer. Environment variables stand in for what is not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetops.plugin import NETWORKS_SETTING, invalid_setting, networks_setting, refuse_unknown
from hetops_hyperbolic.offers import PROVIDER

_SSH_KEY = "ssh_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class HyperbolicSettings:
    """What new nodes need. Empty: see the environment."""

    ssh_key: str = ""
    """A file with a private key for `ssh -i`, as it was written, `~` and all."""
    router_networks: tuple[str, ...] = ()
    """From where the engines can be reached."""


def read_settings(given: Mapping[str, Any]) -> HyperbolicSettings:
    """The settings of a table.

    Raises:
        ProviderError: of kind invalid, naming the field.
    """
    refuse_unknown(PROVIDER, given, (_SSH_KEY, NETWORKS_SETTING))
    key = given.get(_SSH_KEY, "")
    if not isinstance(key, str) or (_SSH_KEY in given and not _is_whole(key)):
        problem = f"must be the whole path of a private key, as ~/.ssh/id_ed25519, not {key!r}"
        raise invalid_setting(PROVIDER, _SSH_KEY, problem)
    return HyperbolicSettings(ssh_key=key, router_networks=networks_setting(PROVIDER, given))


def _is_whole(path: str) -> bool:
    """Whether a path means the same from any folder: nodes are made by a process that runs in another one."""
    return path.startswith("~/") or Path(path).is_absolute()
