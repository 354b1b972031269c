"""What every command on a deployment asks about: its spec, from here and now."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def about(
    file: Path | None, overrides: tuple[str, ...] = (), *, offline: bool = False, period: str = ""
) -> Any:
    """The `Asked` of a command line."""
    from hetops.app.candidates import Asked
    from hetops.offers.collect import Freshness

    return Asked(
        file=file,
        folder=Path.cwd(),
        environment=os.environ,
        now=datetime.now(UTC),
        overrides=overrides,
        period=period,
        freshness=Freshness.OFFLINE if offline else Freshness.CACHED,
    )
