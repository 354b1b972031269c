"""Loads plugins one by one from the entry-point group `hetops`. A broken plugin costs only itself.

Names of providers, engines and estimators are the user's words: two plugins cannot bring the same one. Our own plugins come first,
then the others by name; the later one is refused.

What must not happen here: work. Hooks hand over objects; this module checks them and reports what failed by the
plugin's name and version.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, TypeVar

import pluggy

from hetops.domain.gpu import GpuType
from hetops.domain.model import Checkpoint, Model
from hetops.domain.performance import Measurement
from hetops.errors import HetopsError, PluginError, UnknownNameError
from hetops.plugin import hookspecs
from hetops.plugin.engine import Engine
from hetops.plugin.estimator import Estimator
from hetops.plugin.provider import Provider

T = TypeVar("T")

ONLY_ENVIRONMENT = "HETOPS_PLUGINS"
"""Comma-separated names; where set, no other plugin is loaded."""

_OURS = "hetops"


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
    estimators: tuple[Estimator, ...] = ()

    def provider(self, name: str) -> Provider:
        """The provider of that name; UnknownNameError with the nearest otherwise."""
        return _by_name("provider", name, self.providers)

    def engine(self, name: str) -> Engine:
        """The engine of that name; UnknownNameError with the nearest otherwise."""
        return _by_name("engine", name, self.engines)

    def estimator(self, name: str) -> Estimator:
        """The estimator of that name; UnknownNameError with the nearest otherwise."""
        return _by_name("estimator", name, self.estimators)

    @property
    def broken(self) -> tuple[PluginStatus, ...]:
        """Plugins that could not be used."""
        return tuple(s for s in self.statuses if s.error)


def load(allowed: Iterable[str] | None = None) -> Plugins:
    """All plugins of the entry-point group, or the allowed ones; never raises for a broken plugin."""
    only = _only(allowed)
    points = _points()
    wanted = [p for p in points if only is None or p.name in only]
    found = collect(tuple((p.name, _version(p), _distribution(p), p.load) for p in wanted))
    absent = sorted((only or frozenset()) - {p.name for p in points})
    known = ", ".join(p.name for p in points)
    statuses = (
        PluginStatus(
            name=n,
            version="",
            distribution="",
            error=f"no plugin of that name is installed; there is {known}",
        )
        for n in absent
    )
    return replace(found, statuses=(*found.statuses, *statuses))


def installed() -> frozenset[str]:
    """The names of all plugins of this environment, whether or not they may be loaded. Loads none."""
    return frozenset(point.name for point in _points())


def collect(sources: tuple[tuple[str, str, str, Callable[[], Any]], ...]) -> Plugins:
    """Plugins out of (name, version, distribution, loader); what `load` does once the entry points are known."""
    statuses: list[PluginStatus] = []
    handed: dict[str, list[Any]] = {hook: [] for hook in _HOOKS}
    for name, version, distribution, loader in sources:
        try:
            hooks, objects = _ask(name, loader)
            _refuse_taken(objects, handed)
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

_KINDS: Mapping[str, tuple[type, ...]] = {
    "register_providers": (Provider,),
    "register_engines": (Engine,),
    "register_gpu_types": (GpuType,),
    "register_models": (Model, Checkpoint),
    "register_performance_rows": (Measurement,),
    "register_estimators": (Estimator,),
}
"""What each hook may hand over."""

_UNIQUE = ("register_providers", "register_engines", "register_estimators")


def _ask(name: str, loader: Callable[[], Any]) -> tuple[tuple[str, ...], dict[str, list[Any]]]:
    """The hooks that one plugin implements and what they hand over; each plugin in a manager of its own."""
    try:
        module = loader()
    except (Exception, SystemExit) as fault:
        raise PluginError(f"cannot be loaded: {type(fault).__name__}: {fault}") from fault
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as fault:
        raise PluginError(f"unknown or misspelt hook: {fault}") from fault
    callers = manager.get_hookcallers(manager.get_plugin(name)) or []
    objects = {caller.name: _handed(caller) for caller in callers}
    return tuple(sorted(objects)), objects


def _handed(caller: Callable[[], Any]) -> list[Any]:
    """What one hook hands over, all of it of the right kind."""
    hook = str(getattr(caller, "name", ""))
    try:
        objects = [o for answer in caller() for o in answer]
    except (Exception, SystemExit) as fault:
        raise PluginError(f"{hook} failed: {type(fault).__name__}: {fault}") from fault
    kinds = _KINDS.get(hook, (object,))
    for thing in objects:
        if not isinstance(thing, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise PluginError(f"{hook} handed over {thing!r}, which is no {wanted}")
    return objects


def _refuse_taken(objects: Mapping[str, list[Any]], handed: Mapping[str, list[Any]]) -> None:
    """A second provider, engine or estimator of one name is an error of whoever comes later."""
    for hook in _UNIQUE:
        taken = {thing.name for thing in handed[hook]}
        for thing in objects.get(hook, ()):
            if thing.name in taken:
                kind = hook.removeprefix("register_").removesuffix("s")
                raise PluginError(f"brings a second {kind} {thing.name!r}; the first one counts")
            taken.add(thing.name)


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
    if name in known:
        return known[name]
    fault = UnknownNameError(kind, name, known)
    if name in installed():
        left_out = (
            f"{ONLY_ENVIRONMENT} or plugins.allow may leave it out, hetops plugins says what is wrong with it"
        )
        fault.hint = f"the plugin {name} is installed and not in use: {left_out}"
    raise fault


def _only(allowed: Iterable[str] | None) -> frozenset[str] | None:
    from_environment = os.environ.get(ONLY_ENVIRONMENT)
    if from_environment is not None:
        return frozenset(n.strip() for n in from_environment.split(",") if n.strip())
    return None if allowed is None else frozenset(allowed)


def _points() -> list[metadata.EntryPoint]:
    """Ours first, then the others by name."""
    found = metadata.entry_points(group=hookspecs.GROUP)
    return sorted(found, key=lambda point: (_distribution(point) != _OURS, point.name))


def _distribution(point: metadata.EntryPoint) -> str:
    return _named(point.dist)[0] if point.dist else "?"


def _version(point: metadata.EntryPoint) -> str:
    return _named(point.dist)[1] if point.dist else "?"


@functools.cache
def _named(distribution: metadata.Distribution) -> tuple[str, str]:
    """Name and version: each is read out of the whole metadata, and one distribution has many entry points."""
    return distribution.name, distribution.version
