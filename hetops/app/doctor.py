"""Use case: look at everything that hetops stands on, before a deployment finds out. Changes nothing.

Must not raise for what it finds: a fault is a finding. Must not wait long: what does not answer in time is a finding too.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hetops import __version__
from hetops.app.check_providers import fault_of, findings_of
from hetops.app.check_services import services_of
from hetops.catalog import tables
from hetops.catalog.list_prices import list_prices
from hetops.errors import HetopsError, UnknownNameError
from hetops.plugin import manager
from hetops.plugin.provider import Provider
from hetops.reports.doctor import Diagnosis, Finding, Group, Verdict
from hetops.spec import load as specs
from hetops.spec.fields import LoadedSpec
from hetops.stack import engine as engines
from hetops.state.home import STATE_ENVIRONMENT, home

LEAST_FREE_GB = 1.0
"""A Pulumi state is small; weights and logs are not."""

_OF_PROVIDERS = frozenset({Group.PROVIDERS, Group.CREDENTIALS, Group.PERMISSIONS, Group.QUOTAS, Group.CLOCK})

_DISTRIBUTION = "hetops"
_OWN_EXTRAS = frozenset({"all", "dev"})
_RESOURCE_PROVIDER = "pulumi-resource-hetops"
_REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra == ['"]([a-z0-9-]+)['"]""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What doctor looks at. `spec` is the file the user named, if any; without one hetops.toml in `folder` counts."""

    environment: Mapping[str, str]
    folder: Path
    now: datetime
    spec: Path | None = None


def examine(around: Surroundings, groups: Sequence[Group] = ()) -> Diagnosis:
    """Everything looked at, or only the `groups` named; nothing is changed on disk."""
    wanted = groups or tuple(Group)
    spec, of_spec = _spec(around)
    plugins = manager.load(None if spec is None else spec.spec.plugins.allow)
    of_providers = _of_providers(plugins, spec, wanted)
    looks: Mapping[Group, Callable[[], Iterable[Finding]]] = {
        Group.ENVIRONMENT: _environment,
        Group.ENGINE: lambda: _engine(around.environment),
        Group.PLUGINS: lambda: _plugins(plugins),
        Group.SPEC: lambda: (of_spec, *(services_of(spec.spec.overflow, around.environment) if spec else ())),
        Group.STATE: lambda: _state(around, spec),
        Group.CLOCK: lambda: _clock(around.now),
    }
    return Diagnosis(
        findings=tuple(
            found
            for group in wanted
            for found in (
                *(looks[group]() if group in looks else ()),
                *(told for told in of_providers if told.group is group),
            )
        )
    )


def _environment() -> Iterator[Finding]:
    group = Group.ENVIRONMENT
    python = f"{platform.python_version()}, {sys.executable}"
    yield Finding(group=group, subject="python", verdict=Verdict.OK, detail=python)
    yield Finding(group=group, subject="hetops", verdict=Verdict.OK, detail=__version__)
    wanted = _distributions_by_extra()
    absent = [name for name in wanted.pop("", ()) if not _installed(name)]
    if absent:
        yield Finding(
            group=group,
            subject="dependencies",
            verdict=Verdict.FAULT,
            detail=f"not installed: {', '.join(absent)}",
            fix="pip install --force-reinstall hetops",
        )
    for extra, names in wanted.items():
        yield _extra(extra, [name for name in names if not _installed(name)])


def _extra(extra: str, absent: Sequence[str]) -> Finding:
    subject = f"extra {extra}"
    if not absent:
        return Finding(group=Group.ENVIRONMENT, subject=subject, verdict=Verdict.OK, detail="installed")
    return Finding(
        group=Group.ENVIRONMENT,
        subject=subject,
        verdict=Verdict.NOTE,
        detail=f"not installed: {', '.join(absent)}",
        fix=f"pip install 'hetops[{extra}]'",
    )


def _distributions_by_extra() -> dict[str, list[str]]:
    """What hetops' own metadata asks for, by extra; under the empty name what it always needs."""
    wanted: dict[str, list[str]] = {"": []}
    for requirement in importlib.metadata.requires(_DISTRIBUTION) or ():
        name, extra = _REQUIREMENT.match(requirement), _EXTRA.search(requirement)
        of = extra.group(1) if extra else ""
        if name and name.group() != _DISTRIBUTION and of not in _OWN_EXTRAS:
            wanted.setdefault(of, []).append(name.group())
    return wanted


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _engine(environment: Mapping[str, str]) -> Iterator[Finding]:
    group = Group.ENGINE
    try:
        chosen = engines.choose_engine(environment)
        version = engines.engine_version(chosen.path, environment)
    except HetopsError as fault:
        yield fault_of(group, "pulumi", fault)
    else:
        detail = f"{version}, {chosen.path} ({chosen.reason})"
        yield Finding(group=group, subject="pulumi", verdict=Verdict.OK, detail=detail)
    sdk = importlib.metadata.version("pulumi")
    if sdk != engines.ENGINE_VERSION:
        yield Finding(
            group=group,
            subject="SDK",
            verdict=Verdict.FAULT,
            detail=f"pulumi {sdk} is installed, hetops is made for {engines.ENGINE_VERSION}",
            fix=f"pip install pulumi=={engines.ENGINE_VERSION}",
        )
    beside_python = str(Path(sys.executable).parent)
    if not shutil.which(_RESOURCE_PROVIDER, path=beside_python):
        yield Finding(
            group=group,
            subject="resource provider",
            verdict=Verdict.FAULT,
            detail=f"{_RESOURCE_PROVIDER} is not in {beside_python}",
            fix="pip install --force-reinstall --no-deps hetops",
        )


def _plugins(plugins: manager.Plugins) -> Iterator[Finding]:
    for status in plugins.statuses:
        of = f"{status.distribution} {status.version}".strip()
        fix = f"pip install --upgrade {status.distribution}, or remove it"
        yield Finding(
            group=Group.PLUGINS,
            subject=status.name,
            verdict=Verdict.FAULT if status.error else Verdict.OK,
            detail=": ".join(part for part in (of, status.error or ", ".join(status.hooks)) if part),
            fix=(fix if of else "correct plugins.allow of the spec, or HETOPS_PLUGINS")
            if status.error
            else "",
        )


def _spec(around: Surroundings) -> tuple[LoadedSpec | None, Finding]:
    """The spec, where there is a sound one, and what is to be said about it."""
    group, subject = Group.SPEC, "hetops.toml"
    try:
        path = specs.find(around.spec, around.folder)
    except HetopsError as fault:
        if around.spec is not None:
            return None, fault_of(group, subject, fault)
        detail = f"none in {around.folder}: every provider is looked at, none is needed"
        return None, Finding(
            group=group, subject=subject, verdict=Verdict.NOTE, detail=detail, fix="hetops init"
        )
    try:
        loaded = specs.load(path, environment=around.environment)
    except HetopsError as fault:
        return None, fault_of(group, subject, fault)
    providers = ", ".join(loaded.spec.enabled_providers)
    detail = f"{loaded.path}: deployment {loaded.spec.deployment.name} from {providers}"
    return loaded, Finding(group=group, subject=subject, verdict=Verdict.OK, detail=detail)


def _asked(
    plugins: manager.Plugins, spec: LoadedSpec | None
) -> tuple[list[tuple[Provider, Mapping[str, Any]]], list[Finding]]:
    """The providers to look at with their settings: those of the spec, without one all; and those that nobody brings."""
    if spec is None:
        return [(provider, {}) for provider in plugins.providers], []
    asked: list[tuple[Provider, Mapping[str, Any]]] = []
    unknown: list[Finding] = []
    for name, settings in spec.spec.provider_settings.items():
        try:
            asked.append((plugins.provider(name), settings))
        except UnknownNameError as fault:
            unknown.append(fault_of(Group.PROVIDERS, name, fault))
    return asked, unknown


def _of_providers(
    plugins: manager.Plugins, spec: LoadedSpec | None, wanted: Sequence[Group]
) -> tuple[Finding, ...]:
    """What providers say, in the groups that are about them; without a spec nobody's fault stands in the way."""
    if not _OF_PROVIDERS & frozenset(wanted):
        return ()
    asked, unknown = _asked(plugins, spec)
    found = tuple(findings_of(asked, wanted))
    return (*unknown, *(found if spec else map(_as_note, found)))


def _as_note(found: Finding) -> Finding:
    return replace(found, verdict=Verdict.NOTE) if found.is_fault else found


def _state(around: Surroundings, spec: LoadedSpec | None) -> Iterator[Finding]:
    """Whether the state root takes files and locks, and where Pulumi's state lies."""
    yield _folder(around, spec)
    backend = spec.spec.state.backend if spec else ""
    detail = (
        f"{backend}: Pulumi looks at it when a deployment is opened" if backend else "files in that folder"
    )
    yield Finding(group=Group.STATE, subject="backend", verdict=Verdict.OK, detail=detail)


def _folder(around: Surroundings, spec: LoadedSpec | None) -> Finding:
    """The state root, or the folder that it will be made in."""
    root = home(around.environment, beside=around.folder if spec is None else spec.folder).root
    standing = next((folder for folder in (root, *root.parents) if folder.exists()), root)
    try:
        with tempfile.TemporaryFile(dir=standing) as file:
            file.write(b"hetops")
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free_gb = shutil.disk_usage(standing).free / 1e9
    except OSError as fault:
        return Finding(
            group=Group.STATE,
            subject="folder",
            verdict=Verdict.FAULT,
            detail=f"{root} cannot be written or locked: {fault.strerror or fault}",
            fix=f"make it writable, or set {STATE_ENVIRONMENT} to a folder on a disk of this machine",
        )
    scarce = free_gb < LEAST_FREE_GB
    return Finding(
        group=Group.STATE,
        subject="folder",
        verdict=Verdict.NOTE if scarce else Verdict.OK,
        detail=f"{root}, {free_gb:,.1f} GB free",
        fix="free some space" if scarce else "",
    )


def _clock(now: datetime) -> Iterator[Finding]:
    """A clock that stands before the shipped prices makes old prices look new and every certificate invalid."""
    newest = max(offer.observed_at for offer in list_prices(tables.load()).offers)
    behind = now < newest
    yield Finding(
        group=Group.CLOCK,
        subject="time",
        verdict=Verdict.FAULT if behind else Verdict.OK,
        detail=f"{now:%Y-%m-%d %H:%M} UTC"
        + (f" is before {newest:%Y-%m-%d}, when the newest shipped price was seen" if behind else ""),
        fix="set the clock of this machine" if behind else "",
    )
