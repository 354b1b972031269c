"""Use case: the weights that a fleet's engines read lie on this host. Fetches nothing that the user did not agree to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hetops.domain.configuration import Configuration
from hetops.errors import HetopsError
from hetops.plugin.engine import Download, FetchesWeights
from hetops.plugin.manager import Plugins

Accept = Callable[[Download], bool]
"""Shows the user the licence and the size, and says whether they agree."""


def ensure_weights(configurations: Iterable[Configuration], plugins: Plugins, accept: Accept) -> None:
    """Every checkpoint is where its engine reads it, fetched where it was missing.

    Raises:
        HetopsError: the licence was not accepted, or the download failed.
        UnknownNameError: an engine that no plugin brings.
    """
    for name, checkpoint in dict.fromkeys((c.engine, c.checkpoint) for c in configurations):
        engine = plugins.engine(name)
        if not isinstance(engine, FetchesWeights):
            continue
        download = engine.missing_weights(checkpoint)
        if download is None:
            continue
        if not accept(download):
            raise HetopsError(
                f"the licence of {download.name} was not accepted; nothing was fetched",
                hint=f"name weights of your own under [engine.settings.{name}]",
            )
        engine.fetch_weights(checkpoint)
