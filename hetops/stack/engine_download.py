"""Edge: fetches the Pulumi engine from its vendor. Only when the user asks: nothing else of hetops downloads a program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pulumi.automation import PulumiCommand
from semver import VersionInfo

from hetops.errors import HetopsError
from hetops.stack.engine import ENGINE_VERSION, EngineChoice, EngineOrigin, Say, install


def download_engine(environment: Mapping[str, str], say: Say) -> EngineChoice:
    """The engine in the cache, fetched with the vendor's own installer unless it is there.

    Raises:
        HetopsError: it cannot be fetched or does not run, or the cache cannot be written.
    """

    def fetch(root: Path) -> None:
        say(f"downloading the Pulumi engine {ENGINE_VERSION} with its vendor's installer")
        _install(root)

    return install(environment, EngineOrigin.DOWNLOAD, fetch, say)


def _install(root: Path) -> None:
    try:
        PulumiCommand.install(root=str(root), version=VersionInfo.parse(ENGINE_VERSION))
    except Exception as fault:  # the SDK runs a fetched script and lets whatever happens there through
        raise HetopsError(
            f"the Pulumi engine cannot be downloaded: {fault}",
            hint="check the network, or build it with `hetops doctor --fix` (needs Go 1.25 or newer)",
        ) from fault
