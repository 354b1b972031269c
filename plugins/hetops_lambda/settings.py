"""`[providers.lambda]` of the spec, checked. Decides what the words mean; reads nothing.

All of it is for nodes: what a launch needs besides the offer. Environment variables stand in for what is not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hetops.plugin import NETWORKS_SETTING, invalid_setting, networks_setting, refuse_unknown
from hetops_lambda.offers import PROVIDER

_SSH_KEY = "ssh_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaSettings:
    """What new nodes are given. Empty: see the environment."""

    ssh_key: str = ""
    """The name of one of the account's SSH keys."""
    router_networks: tuple[str, ...] = ()
    """From where the engines can be reached."""


def read_settings(given: Mapping[str, Any]) -> LambdaSettings:
    """The settings of a table.

    Raises:
        ProviderError: of kind invalid, naming the field.
    """
    refuse_unknown(PROVIDER, given, (_SSH_KEY, NETWORKS_SETTING))
    name = given.get(_SSH_KEY, "")
    if not isinstance(name, str) or (_SSH_KEY in given and not name.strip()):
        raise invalid_setting(PROVIDER, _SSH_KEY, f"must be the name of an SSH key, not {name!r}")
    return LambdaSettings(ssh_key=name.strip(), router_networks=networks_setting(PROVIDER, given))
