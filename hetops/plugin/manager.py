"""Loads plugins one by one from the entry-point group `hetops`. A broken plugin costs only itself.

What must not happen here: work. Hooks hand over objects; this module checks them and reports what failed by the
plugin's name and version.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any, TypeVar

import pluggy

from hetops.domain.gpu import GpuType
from hetops.domain.model import Checkpoint, Model
from hetops.domain.performance import Measurement
from hetops.errors import HetopsError, PluginError, UnknownNameError
from hetops.plugin import hookspecs
from hetops.plugin.engine import Engine
from hetops.plugin.provider import Provider

T = TypeVar("T")

ONLY_ENVIRONMENT = "HETOPS_PLUGINS"
"""Comma-separated names; where set, no other plugin is loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStatus:
    """One plugin as it was found. `error` is empty where it is usable."""

    name: str
    version: str
    distribution: str
    hooks: tuple[str, ...] = ()
    brings: tuple[str, ...] = ()
    """What it handed over, each by its kind and name: `provider local`."""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What the usable plugins handed over, by name, and the status of every plugin."""

    statuses: tuple[PluginStatus, ...]
    providers: tuple[Provider, ...] = ()
    engines: tuple[Engine, ...] = ()
    gpu_types: tuple[GpuType, ...] = ()
    models: tuple[Model, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    estimators: tuple[Any, ...] = ()

    def provider(self, name: str) -> Provider:
        """The provider of that name; UnknownNameError with the nearest otherwise."""
        return _by_name("provider", name, self.providers)

    def engine(self, name: str) -> Engine:
        """The engine of that name; UnknownNameError with the nearest otherwise."""
        return _by_name("engine", name, self.engines)

    @property
    def broken(self) -> tuple[PluginStatus, ...]:
        """Plugins that could not be used."""
        return tuple(s for s in self.statuses if s.error)


def load(allowed: Iterable[str] | None = None) -> Plugins:
    """All plugins of the entry-point group, or the allowed ones; never raises for a broken plugin."""
    only = _only(allowed)
    points = [p for p in metadata.entry_points(group=hookspecs.GROUP) if only is None or p.name in only]
    return collect(
        tuple((p.name, _version(p), _distribution(p), p.load) for p in sorted(points, key=lambda p: p.name))
    )


def collect(sources: tuple[tuple[str, str, str, Callable[[], Any]], ...]) -> Plugins:
    """Plugins out of (name, version, distribution, loader); what `load` does once the entry points are known."""
    statuses: list[PluginStatus] = []
    handed: dict[str, list[Any]] = {hook: [] for hook in _HOOKS}
    for name, version, distribution, loader in sources:
        try:
            hooks, objects = _ask(name, loader)
        except HetopsError as fault:
            error = fault.message
            statuses.append(PluginStatus(name=name, version=version, distribution=distribution, error=error))
            continue
        brings = tuple(_brings(objects))
        statuses.append(
            PluginStatus(name=name, version=version, distribution=distribution, hooks=hooks, brings=brings)
        )
        for hook, found in objects.items():
            handed[hook].extend(found)
    models = handed["register_models"]
    return Plugins(
        statuses=tuple(statuses),
        providers=tuple(handed["register_providers"]),
        engines=tuple(handed["register_engines"]),
        gpu_types=tuple(handed["register_gpu_types"]),
        models=tuple(m for m in models if isinstance(m, Model)),
        checkpoints=tuple(m for m in models if isinstance(m, Checkpoint)),
        measurements=tuple(handed["register_performance_rows"]),
        estimators=tuple(handed["register_estimators"]),
    )


_HOOKS = tuple(n for n in vars(hookspecs) if n.startswith("register_"))


def _ask(name: str, loader: Callable[[], Any]) -> tuple[tuple[str, ...], dict[str, list[Any]]]:
    """The hooks that one plugin implements and what they hand over; each plugin in a manager of its own."""
    try:
        module = loader()
    except Exception as fault:
        raise PluginError(f"cannot be loaded: {type(fault).__name__}: {fault}") from fault
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name)
        manager.check_pending()
    except pluggy.PluginValidationError as fault:
        raise PluginError(f"unknown or misspelt hook: {fault}") from fault
    callers = manager.get_hookcallers(manager.get_plugin(name)) or []
    objects: dict[str, list[Any]] = {}
    for caller in callers:
        try:
            objects[caller.name] = [o for answer in caller() for o in answer]
        except Exception as fault:
            raise PluginError(f"{caller.name} failed: {type(fault).__name__}: {fault}") from fault
    for provider in objects.get("register_providers", []):
        if not isinstance(provider, Provider):
            raise PluginError(f"register_providers handed over {provider!r}, which is no Provider")
    return tuple(sorted(objects)), objects


def _brings(objects: dict[str, list[Any]]) -> Iterator[str]:
    """What the hooks handed over: things with names by them, others by how many they are."""
    for hook, found in sorted(objects.items()):
        kind = hook.removeprefix("register_").removesuffix("s").replace("_", " ")
        names = [str(getattr(each, "name", "")) for each in found]
        yield from (f"{kind} {name}" for name in names if name)
        nameless = names.count("")
        if nameless:
            yield f"{kind} ({nameless})"


def _by_name(kind: str, name: str, among: tuple[T, ...]) -> T:
    known = {str(getattr(thing, "name", "")): thing for thing in among}
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


def _only(allowed: Iterable[str] | None) -> frozenset[str] | None:
    from_environment = os.environ.get(ONLY_ENVIRONMENT)
    if from_environment is not None:
        return frozenset(n.strip() for n in from_environment.split(",") if n.strip())
    return None if allowed is None else frozenset(allowed)


def _distribution(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist else "?"


def _version(point: metadata.EntryPoint) -> str:
    return point.dist.version if point.dist else "?"
