"""Prefill and decode apart: configurations of each role, and which pools of a plan feed which. Wires; decides what goes with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from hetops.app.candidates import Candidates, engine_needs
from hetops.configurations.enumerate import Enumeration
from hetops.domain.configuration import Configuration, Role
from hetops.domain.plan import Handover
from hetops.errors import SpecError
from hetops.performance.table import PerformanceTable
from hetops.solver.problem import Problem
from hetops.solver.solution import Solution, SolvedShare
from hetops.solver.terms import Role as Part
from hetops.solver.terms import exact
from hetops.spec.load import place

_DIGITS = 12
"""Decimals of shares."""

PART_OF = {Role.MIXED: Part.WHOLE, Role.PREFILL: Part.PREFILL, Role.DECODE: Part.DECODE}
"""Roles of configurations in the solver's words."""


def with_roles(c: Candidates) -> Candidates:
    """The candidates with configurations that prefill, and that decode, alone; as they are where the spec asks for none.

    Raises:
        SpecError: they are asked for of engines that cannot hand KV caches over.
    """
    if c.spec.engine.disaggregation is None:
        return c
    able = {name for name, needs in engine_needs(c.plugins).items() if needs.hands_over}
    _demand_possible(c, able)

    def of(found: Enumeration) -> Enumeration:
        whole = tuple(one for one in found.configurations if one.role is Role.MIXED)
        uncut = (one for one in whole if one.engine in able and one.mig is None and not one.stages)
        return replace(found, configurations=(*whole, *_apart(uncut)))

    return replace(c, models=tuple(one.narrowed(of) for one in c.models))


def _apart(configurations: Iterator[Configuration]) -> Iterator[Configuration]:
    """Slices of GPUs reach no other GPU, and do whole requests; so do pipelines over nodes. What decodes is no pipeline: vLLM's connectors take KV caches from
    the stages of one, not into them (vLLM pull request 45880)."""
    for one in configurations:
        yield replace(one, role=Role.PREFILL)
        if one.pipeline_parallel == 1:
            yield replace(one, role=Role.DECODE)


def _demand_possible(c: Candidates, able: set[str]) -> None:
    spec, where = c.spec, place(c.loaded, "engine", "disaggregation")
    engines = spec.engine.names or tuple(able)
    if able.isdisjoint(engines):
        raise SpecError(
            f"{where}: {', '.join(engines)} cannot hand KV caches over",
            hint=f"allow {' or '.join(sorted(able))} under engine.names, or leave [engine.disaggregation] out",
        )


def formats_unbeaten(
    configurations: Sequence[Configuration], table: PerformanceTable
) -> tuple[tuple[Configuration, ...], ...]:
    """Configurations of a model that do one part alone, by KV format, without formats that another does all the work of.

    Of a format that is left out each configuration has one of another, with the same role on the same GPU type, that takes no
    more GPUs and sustains no less of any class: whole pairs change places, so nothing is lost.
    """
    by_format: dict[str, list[Configuration]] = defaultdict(list)
    for one in configurations:
        by_format[one.kv_format].append(one)
    rates = _rates(table)

    def beaten(of: Sequence[Configuration], by: Sequence[Configuration]) -> bool:
        return all(
            any(_as_good(other, one, rates) for other in by) for one in of if any(rates[one.id].values())
        )

    kept: list[list[Configuration]] = []
    for of in by_format.values():
        if not any(beaten(of, other) for other in kept):
            kept = [*(other for other in kept if not beaten(other, of)), of]
    return tuple(tuple(of) for of in kept)


def _rates(table: PerformanceTable) -> Mapping[str, Mapping[object, float]]:
    """Of each configuration, by class and distance."""
    found: dict[str, dict[object, float]] = defaultdict(dict)
    for (name, *of), row in table.rows.items():
        found[name][tuple(of)] = row.planned_requests_per_second
    return found


def _as_good(one: Configuration, other: Configuration, rates: Mapping[str, Mapping[object, float]]) -> bool:
    if (one.role, one.gpu) != (other.role, other.gpu) or one.gpu_count > other.gpu_count:
        return False
    return all(rate >= rates[other.id][key] for key, rate in rates[one.id].items())


def asked_first(problem: Problem, shares: Sequence[SolvedShare]) -> tuple[SolvedShare, ...]:
    """Shares of what requests go to first: those of what only decodes come after others'."""
    decoding = {column.key for column in problem.columns if column.role is Part.DECODE}
    return tuple(share for share in shares if share.key not in decoding)


def handovers(
    problem: Problem, solution: Solution, names: Mapping[tuple[str, str], str]
) -> Iterator[Handover]:
    """Which pool feeds which, by class: within a network and a format any split does, so each prefill pool feeds as few as can be.

    `names` are those of the pools, by offer and configuration.
    """
    columns = {column.key: column for column in problem.columns if column.role is not Part.WHOLE}
    network = {offer.id: offer.network for offer in problem.offers}
    ends: dict[tuple[str, str, str], dict[Part, list[SolvedShare]]] = defaultdict(lambda: defaultdict(list))
    for share in (s for s in solution.shares if s.key in columns):
        column = columns[share.key]
        ends[share.workload_class, network[share.offer], column.kv_format][column.role].append(share)
    for group in ends.values():
        sources, targets = (sorted(group[part], key=lambda s: s.key) for part in (Part.PREFILL, Part.DECODE))
        for source, fed in zip(sources, _fed(sources, targets), strict=True):
            for target, part in fed:
                yield Handover(
                    workload_class=source.workload_class,
                    source=names[source.key],
                    target=names[target.key],
                    share=float(part),
                    requests_per_second=source.requests_per_second * float(part / exact(source.share)),
                )


def _fed(
    sources: Sequence[SolvedShare], targets: Sequence[SolvedShare]
) -> Iterator[tuple[tuple[SolvedShare, Fraction], ...]]:
    """What each source hands to which targets, one after the other; to the last digit of its share, whose largest part takes the
    rounding."""
    whole = sum((exact(s.share) for s in sources), Fraction(0))
    taken = sum((exact(t.share) for t in targets), Fraction(0))
    left = [exact(t.share) * whole / taken for t in targets]
    for source in sources:
        share, rest, fed = exact(source.share), exact(source.share), dict[int, Fraction]()
        for i in range(len(targets)):
            part = min(left[i], rest)
            left[i], rest = left[i] - part, rest - part
            if rounded := round(part, _DIGITS):
                fed[i] = rounded
        largest = max(fed, key=lambda i: fed[i])
        fed[largest] += share - sum(fed.values(), Fraction(0))
        yield tuple((targets[i], part) for i, part in fed.items() if part > 0)
