"""Use case: see to it that there is a Pulumi engine, in the way that the user asked for. Decides nothing of its own."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from hetops.errors import HetopsError
from hetops.stack.engine import EngineChoice, Say, build_engine, choose_engine
from hetops.stack.engine_download import download_engine


class Way(StrEnum):
    """How a missing engine is made."""

    BUILD = "build"
    DOWNLOAD = "download"


def provide_engine(environment: Mapping[str, str], way: Way, say: Say) -> EngineChoice:
    """The engine that can be used; made, and kept in the cache, where there is none.

    Raises:
        HetopsError: it cannot be made that way; names the other ways.
    """
    try:
        return choose_engine(environment)
    except HetopsError:
        return (build_engine if way is Way.BUILD else download_engine)(environment, say)
