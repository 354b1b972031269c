"""The hooks of the local plugin. Hands over objects; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from hetops.plugin import Engine, Provider, hookimpl
from hetops_local.cuda import LlamaCppCuda
from hetops_local.engine import LlamaCpp
from hetops_local.provider import LocalProvider


@hookimpl
def register_providers() -> Iterable[Provider]:
    """This machine."""
    return (LocalProvider(),)


@hookimpl
def register_engines() -> Iterable[Engine]:
    """llama.cpp on the cores of this machine, and in containers on GPUs."""
    return (LlamaCpp(), LlamaCppCuda())
