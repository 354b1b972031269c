"""Which configurations are worth offering to the solver. Wires; what beats what is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hetops.app.candidates import Candidates
from hetops.app.roles import formats_unbeaten
from hetops.app.sharing import Sharing
from hetops.domain.configuration import Configuration, Role
from hetops.domain.model import Precision
from hetops.performance.replaced import irreplaceable
from hetops.performance.table import PerformanceTable, best_of_each


def shortlist(c: Candidates, table: PerformanceTable, shared: Sharing) -> tuple[Configuration, ...]:
    """The best configurations of each model, and those that run already.

    Where a mean quality is asked for, the best of each precision: what is slower may be what makes up for another. Of those that
    prefill, and that decode, alone the best of each KV format.
    """
    averaged = any(floor.mean is not None for floor in c.floors)
    kinds: dict[tuple[str, Precision | None], list[Configuration]] = {}
    for one in c.enumeration.configurations:
        kinds.setdefault((one.model, one.weights if averaged else None), []).append(one)
    best: list[Configuration] = []
    for kind in kinds.values():
        alike = tuple(one for group in _alike(kind, table) for one in best_of_each(group, table))
        best += (*alike, *_over_nodes(c, kind, alike, table, shared))
    runs = {pool.configuration.id for pool in c.held.running.pools} if c.held.running else set()
    return (*best, *(one for one in c.enumeration.configurations if one.id in runs and one not in best))


def _alike(kind: Sequence[Configuration], table: PerformanceTable) -> Iterator[tuple[Configuration, ...]]:
    """Configurations of which one can take another's place: those of whole requests, and each role of each KV format."""
    yield tuple(one for one in kind if one.role is Role.MIXED and not one.stages)
    for of in formats_unbeaten([one for one in kind if one.role is not Role.MIXED], table):
        yield from (tuple(one for one in of if one.role is role) for role in (Role.PREFILL, Role.DECODE))


def _over_nodes(
    c: Candidates,
    kind: Sequence[Configuration],
    alike: Sequence[Configuration],
    table: PerformanceTable,
    shared: Sharing,
) -> tuple[Configuration, ...]:
    """Pipelines over nodes that nothing replaces; where pools are to be few, or cost something, no pools on each type can replace one."""
    pipelines = [one for one in kind if one.stages]
    few = c.spec.policy.max_pools is not None or c.spec.policy.usd_per_pool_hour > 0
    whole = [] if few else [one for one in alike if one.role is Role.MIXED]
    lone = {offer.gpu for offer in c.gathered.selection.offers if offer.provider in shared.alone}
    return irreplaceable(pipelines, whole, table, lone)
