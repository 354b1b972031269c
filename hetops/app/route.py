"""Use case: run a router in the foreground until a signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hetops.errors import HetopsError

try:
    from hetops.router.serve import Post, serve
except ImportError as fault:
    raise HetopsError(
        f"the router needs a package that is not installed: {fault.name}",
        hint="pip install 'hetops[router]'",
    ) from fault

ENDPOINT_FILE = "HETOPS_ENDPOINT_FILE"
"""Names the file in which the router tells its base URL once it listens."""


def route(
    config: Path, host: str, port: int, environment: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Routes by the configuration in a file until SIGTERM or SIGINT.

    Raises:
        HetopsError: it cannot start.
    """
    endpoint_file = environment.get(ENDPOINT_FILE, "")
    post = Post(config=config, host=host, port=port, endpoint_file=endpoint_file, environment=environment)
    serve(post, say)
