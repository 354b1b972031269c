"""Origins of a spec: its classes by where their requests come from. A slip of the pen is told with its line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hetops.app.naming import means, places_called
from hetops.app.offers import Gathered
from hetops.domain.workload import WorkloadClass
from hetops.errors import SpecError, UnknownNameError
from hetops.spec.fields import LoadedSpec
from hetops.spec.load import place

_ROUNDING = 1e-6
"""How far shares may be from 1 together: people round when they write them."""


def by_origin(loaded: LoadedSpec, classes: Sequence[WorkloadClass]) -> tuple[WorkloadClass, ...]:
    """The classes of the spec, each whose origin is not stated as one at every origin that has a share: `chat@eu`.

    Raises:
        SpecError: shares that are not 1 together, an origin without requests, names that come twice, or no origins at all
            where something speaks of them.
        UnknownNameError: an origin that the spec does not have.
    """
    _demand_origins(loaded)
    if not loaded.spec.origins:
        return tuple(classes)
    own = {c.name: c.origin for c in loaded.spec.workload.classes if c.origin}
    shares = _shares(loaded, [c.name for c in classes if c.name not in own])
    found = tuple(
        one
        for c in classes
        for one in ((replace(c, origin=own[c.name]),) if c.name in own else _spread(c, shares))
    )
    _demand_requests(loaded, found)
    if twice := [name for name, times in Counter(c.name for c in found).items() if times > 1]:
        where = place(loaded, "workload", "classes")
        raise SpecError(f"{where}: two classes would be called {twice[0]}", hint="call one something else")
    return found


def _spread(c: WorkloadClass, shares: Mapping[str, float]) -> Iterator[WorkloadClass]:
    for origin, share in shares.items():
        yield replace(
            c,
            name=f"{c.name}@{origin}",
            origin=origin,
            requests_per_second=c.requests_per_second * share,
            requests_per_second_by_period=tuple(rate * share for rate in c.requests_per_second_by_period),
        )


def _demand_origins(loaded: LoadedSpec) -> None:
    """Whatever is named as an origin is one."""
    spec = loaded.spec
    known = [o.name for o in spec.origins]
    for index, name in enumerate(known):
        if name in known[:index]:
            raise SpecError(
                f"{place(loaded, 'origins', index, 'name')}: there is another origin {name}",
                hint="give each origin one table",
            )
    named = (
        *((c.origin, ("workload", "classes", i, "origin")) for i, c in enumerate(spec.workload.classes)),
        *((spec.router.origin, path) for path in (("router", "origin"),)),
        *(
            (o, ("network", i, "origins", at))
            for i, t in enumerate(spec.network)
            for at, o in enumerate(t.origins)
        ),
    )
    for name, path in named:
        if name and known and name not in known:
            raise UnknownNameError("origin", name, known, where=place(loaded, *path))
        if name and not known:
            _no_origins(loaded, *path)
    if spec.network and not known:
        _no_origins(loaded, "network", 0)


def _no_origins(loaded: LoadedSpec, *path: str | int) -> None:
    raise SpecError(
        f"{place(loaded, *path)}: the spec has no [[origins]]",
        hint="name where requests come from: [[origins]] with name and share",
    )


def _shares(loaded: LoadedSpec, spread: Sequence[str]) -> Mapping[str, float]:
    """What each origin has of the classes that are spread, together exactly 1."""
    shares = {o.name: o.share for o in loaded.spec.origins if o.share is not None}
    total = sum(shares.values())
    if spread and abs(total - 1.0) > _ROUNDING:
        where = place(loaded, "origins", 0, *(["share"] if shares else []))
        raise SpecError(
            f"{where}: the shares of [[origins]] add up to {total:g}, not 1",
            hint=f"{spread[0]} comes from all of them; or say where it comes from: its own origin",
        )
    return {name: share / total for name, share in shares.items()}


def _demand_requests(loaded: LoadedSpec, classes: Iterable[WorkloadClass]) -> None:
    used = {c.origin for c in classes}
    for index, origin in enumerate(loaded.spec.origins):
        if origin.name not in used:
            raise SpecError(
                f"{place(loaded, 'origins', index, 'name')}: no request comes from {origin.name}",
                hint="give it a share, or a class its name as origin",
            )


def demand_places_known(loaded: LoadedSpec, gathered: Gathered, known: Iterable[str]) -> None:
    """Every place in `[[network]]` is that of an offer seen, chosen or not, or `known`.

    Raises:
        UnknownNameError: one is not; tells file, line, field and the nearest names.
    """
    if not loaded.spec.network:
        return
    offers = (*gathered.selection.offers, *(r.offer for r in gathered.selection.refused))
    every = {name for offer in offers for name in places_called(offer)} | set(known)
    for index, table in enumerate(loaded.spec.network):
        for at, word in enumerate(table.places):
            if not means("place", word, every):
                where = place(loaded, "network", index, "places", at)
                raise UnknownNameError("place", word, sorted(every), where=where)
