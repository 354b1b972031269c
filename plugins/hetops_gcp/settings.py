"""`[providers.gcp]` of the spec, checked. Decides what the words mean; reads nothing and asks nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from hetops.plugin import Market, invalid_setting, nearest, refuse_unknown

PROVIDER = "gcp"

MARKETS = (Market.ON_DEMAND, Market.SPOT)

_OWN = ("project", "regions", "markets", "capacity_advice")
_PROJECT = re.compile(r"([a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_PATTERN = re.compile(r"[a-z0-9*?-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpSettings:
    """Where and how GCP is asked. No `regions` means all of them."""

    project: str = ""
    """Whose quotas count; empty leaves it to the environment and the credentials."""
    regions: tuple[str, ...] = ()
    """Names, or patterns with `*` and `?`."""
    markets: tuple[Market, ...] = MARKETS
    capacity_advice: tuple[str, ...] = ()
    """Machine types, or patterns, whose chances on the spot market are asked: one question for each and region."""

    def wants_region(self, region: str) -> bool:
        """Whether offers of a region are asked for."""
        return not self.regions or any(fnmatchcase(region, pattern) for pattern in self.regions)

    def wants_advice(self, machine_type: str) -> bool:
        """Whether the chances of a machine type are asked for."""
        return any(fnmatchcase(machine_type, pattern) for pattern in self.capacity_advice)


def read_settings(given: Mapping[str, Any]) -> GcpSettings:
    """The settings of a table, with their defaults.

    Raises:
        ProviderError: of kind invalid, naming the field.
    """
    refuse_unknown(PROVIDER, given, _OWN)
    return GcpSettings(
        project=_project(given),
        regions=_patterns(given, "regions", "write it as europe-west4, or as a pattern: europe-*"),
        markets=_markets(given) or MARKETS,
        capacity_advice=_patterns(given, "capacity_advice", "write g2-standard-8, or a pattern: a3-*"),
    )


def _project(given: Mapping[str, Any]) -> str:
    project = given.get("project", "")
    if not isinstance(project, str) or ("project" in given and not _PROJECT.fullmatch(project)):
        hint = "it is the id, not the name or number: gcloud projects list"
        raise invalid_setting(PROVIDER, "project", f"{project!r} is no id of a project", hint=hint)
    return project


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name, ())
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v for v in value):
        raise invalid_setting(PROVIDER, name, f"must be a list of names, not {value!r}")
    return tuple(dict.fromkeys(value))


def _patterns(given: Mapping[str, Any], name: str, hint: str) -> tuple[str, ...]:
    patterns = _texts(given, name)
    for at, pattern in enumerate(patterns):
        if not _PATTERN.fullmatch(pattern):
            raise invalid_setting(PROVIDER, f"{name}[{at}]", f"{pattern!r} can be no name", hint=hint)
    return patterns


def _markets(given: Mapping[str, Any]) -> tuple[Market, ...]:
    names = _texts(given, "markets")
    for at, name in enumerate(names):
        if name not in MARKETS:
            near = nearest(name, MARKETS, most=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(MARKETS)}"
            raise invalid_setting(PROVIDER, f"markets[{at}]", f"{name!r} is no market of GCP", hint=hint)
    return tuple(Market(name) for name in names)
