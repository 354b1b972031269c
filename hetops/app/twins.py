"""Columns that classes keep off so that they hold up nobody there, and their names. Decides not who keeps off which; solves nothing.

Two pools of one configuration on one offer are two columns: the configuration's own, and a twin of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hetops.domain.plan import PlannedPool
from hetops.solver.problem import Column, Problem
from hetops.solver.solution import Solution
from hetops.solver.terms import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A name of a configuration that is another's, and the classes that keep off columns of it."""

    of: str
    apart_from: tuple[str, ...]

    @property
    def name(self) -> str:
        """The configuration of its columns."""
        return _named(self.of, self.apart_from)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Classes that are held up, those that do it, and the configurations in which they shall not share replicas."""

    late: tuple[str, ...]
    others: tuple[str, ...]
    configurations: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptApart:
    """That classes were kept apart after the first search: what that had found, in words why it was not taken, and how."""

    first: Solution
    why: str
    cuts: tuple[Cut, ...]


def key_of(pool: PlannedPool) -> tuple[str, str]:
    """The key of a planned pool's column, where it lies on nodes of one offer."""
    return pool.offer.id, _named(pool.configuration.id, pool.apart_from)


def parted(problem: Problem, cut: Cut, twins: Mapping[str, Twin]) -> tuple[Problem, Mapping[str, Twin]]:
    """The problem with two columns for each that both may share, one without those who are held up, one without the others; and the
    twins for it by name."""
    new = {
        name: Twin(of=own.of, apart_from=tuple(dict.fromkeys((*own.apart_from, *cut.others))))
        for name in sorted(cut.configurations & set(problem.configurations))
        for own in (twins.get(name, Twin(of=name, apart_from=())),)
    }
    names = dict.fromkeys((*problem.configurations, *(twin.name for twin in new.values())))
    columns = tuple(_parted(problem.columns, cut, new))
    return replace(problem, configurations=tuple(names), columns=columns), {t.name: t for t in new.values()}


def _parted(columns: Sequence[Column], cut: Cut, twins: Mapping[str, Twin]) -> Iterator[Column]:
    known = {column.key for column in columns}
    for column in columns:
        served = column.requests_per_second.keys()
        both = not served.isdisjoint(cut.late) and not served.isdisjoint(cut.others)
        if column.configuration not in twins or column.role is not Role.WHOLE or not both:
            yield column
            continue
        yield _without(column, cut.late)
        twin = _twin_of(column, twins[column.configuration])
        if twin.key not in known:
            yield twin


def running_twins(running: Iterable[PlannedPool]) -> Mapping[str, Twin]:
    """Those of a fleet that runs, by name."""
    twins = (
        Twin(of=pool.configuration.id, apart_from=pool.apart_from) for pool in running if pool.apart_from
    )
    return {twin.name: twin for twin in twins}


def with_twins(columns: Iterable[Column], twins: Mapping[str, Twin]) -> Iterator[Column]:
    """The columns, and twins of those that have any."""
    for column in columns:
        yield column
        yield from (_twin_of(column, twin) for twin in twins.values() if twin.of == column.configuration)


def _twin_of(column: Column, twin: Twin) -> Column:
    return replace(_without(column, twin.apart_from), configuration=twin.name)


def _without(column: Column, names: Collection[str]) -> Column:
    """The column, unable to serve classes of these names."""
    kept = {name: rate for name, rate in column.requests_per_second.items() if name not in names}
    usd = {name: usd for name, usd in column.usd_per_request.items() if name in kept}
    return replace(column, requests_per_second=kept, usd_per_request=usd)


def _named(configuration: str, apart_from: Iterable[str]) -> str:
    names = ", ".join(apart_from)
    return f"{configuration} apart from {names}" if names else configuration
