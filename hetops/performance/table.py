"""The performance table: requests per second each configuration sustains per class, and on what evidence. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hetops.domain.configuration import Configuration, Role
from hetops.domain.percent import percent
from hetops.domain.performance import Binding, Evidence, PerformanceRow, StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.performance import estimate, pipelines
from hetops.performance.estimators import Founded
from hetops.performance.foundations import Basis, foundations
from hetops.performance.rate import Columns, sustained_by
from hetops.performance.replicas import Crowd
from hetops.performance.roles import NO_TIME, role_times


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceTable:
    """Rows by configuration, class and seconds of the round trip to where the class comes from, and the step times they come from."""

    rows: Mapping[tuple[str, str, float], PerformanceRow]
    step_times: Mapping[str, StepTimes]

    def row(self, configuration: str, workload_class: str, round_trip_seconds: float = 0.0) -> PerformanceRow:
        """The row of a configuration's id and a class's name, at one of the round trips that the table was made for."""
        return self.rows[configuration, workload_class, round_trip_seconds]


def build(
    configurations: Sequence[Configuration],
    classes: Sequence[WorkloadClass],
    basis: Basis,
    round_trips: Mapping[str, Sequence[float]] | None = None,
) -> PerformanceTable:
    """The table of all configurations and classes; every configuration must fit into memory.

    `round_trips` are seconds by class: it gets rows for each. A class that is not in it has none on its way.

    Raises:
        HetopsError: an estimator is named, and has no answer for any configuration.
        PluginError: it says that it cannot be used at all.
    """
    if not configurations:
        return PerformanceTable(rows={}, step_times={})
    return _table(configurations, foundations(configurations, classes, basis), classes, round_trips)


def build_apart(
    configurations: Sequence[Configuration],
    classes: Sequence[WorkloadClass],
    whole: PerformanceTable,
    round_trips: Mapping[str, Sequence[float]] | None = None,
) -> PerformanceTable:
    """As `build`, of configurations that do a part of each request alone: as those do that serve whole ones, without the rest.

    `whole` is the table of these, measured or not; `classes` are as the replicas see them, by their names. What a part takes by
    itself nobody measured.
    """
    if not configurations:
        return PerformanceTable(rows={}, step_times={})
    founded = {
        c.id: (
            role_times(whole.step_times[replace(c, role=Role.MIXED).id], c.role),
            estimate.calibration().prior(
                f"whole replicas' times without the rest, for {c.role} alone: none was measured"
            ),
        )
        for c in configurations
    }
    return _table(configurations, founded, classes, round_trips)


def build_over_stages(
    configurations: Sequence[Configuration],
    classes: Sequence[WorkloadClass],
    basis: Basis,
    network: pipelines.Network,
    round_trips: Mapping[str, Sequence[float]] | None = None,
) -> PerformanceTable:
    """As `build`, of pipelines over several nodes, with this between them: by the closed form, for none is measured."""
    if not configurations:
        return PerformanceTable(rows={}, step_times={})
    times = pipelines.step_times(configurations, network, basis.model, basis.gpus)
    evidence = estimate.calibration().prior(
        "closed form of each stage's GPUs, at the pace of the slowest: no pipeline over several nodes is measured"
    )
    founded = {c.id: (steps, evidence) for c, steps in zip(configurations, times, strict=True)}
    return _table(configurations, founded, classes, round_trips)


def _table(
    configurations: Sequence[Configuration],
    founded: Mapping[str, Founded],
    classes: Sequence[WorkloadClass],
    round_trips: Mapping[str, Sequence[float]] | None,
) -> PerformanceTable:
    crowd = Crowd.of([times for times, _ in founded.values()])
    contexts = [c.max_context_tokens for c in configurations]
    kinds = {evidence: i for i, evidence in enumerate(dict.fromkeys(e for _, e in founded.values()))}
    kind_of = [kinds[evidence] for _, evidence in founded.values()]
    rows: dict[tuple[str, str, float], PerformanceRow] = {}
    answers: dict[WorkloadClass, Columns] = {}
    for seen in _seen(classes, round_trips or {}):
        like = seen.like
        if like not in answers:
            answers[like] = sustained_by(crowd, like, contexts)
        grounds = [_with_prefix(evidence, seen.of) for evidence in kinds]
        known = zip(founded, [grounds[kind] for kind in kind_of], strict=True)
        rows.update(_rows(known, seen, answers[like]))
    return PerformanceTable(rows=rows, step_times={name: times for name, (times, _) in founded.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A class over a round trip, which takes its part of the time to the first token."""

    of: WorkloadClass
    round_trip_seconds: float

    @property
    def left_seconds(self) -> float | None:
        """What is left of the target of TTFT; None where there is none."""
        target = self.of.target.ttft_seconds
        return None if target is None else target - self.round_trip_seconds

    @property
    def like(self) -> WorkloadClass:
        """What rates hang on, so that classes which are alike in it are reckoned once."""
        of, target, left = self.of, self.of.target, self.left_seconds
        if left is not None:
            target = replace(target, ttft_seconds=max(left, NO_TIME))
        return WorkloadClass(
            name="",
            requests_per_second=0.0,
            input_tokens=of.input_tokens,
            output_tokens=of.output_tokens,
            target=target,
            prefix_share=of.prefix_share,
        )

    def because(self, reason: str) -> str:
        """Why a rate is zero, with what the way has to do with it."""
        trip, left = self.round_trip_seconds, self.left_seconds
        if left is not None and left <= 0:
            reason = "nothing is left of the TTFT target"
        return f"{reason} (a round trip of {trip:.3g} s is taken off)" if reason and trip else reason


def _seen(classes: Iterable[WorkloadClass], round_trips: Mapping[str, Sequence[float]]) -> Iterator[_Seen]:
    for c in classes:
        for seconds in round_trips.get(c.name, (0.0,)):
            yield _Seen(of=c, round_trip_seconds=seconds)


def _with_prefix(evidence: Evidence, of: WorkloadClass) -> Evidence:
    """What the class's rates rest on besides, where the spec says that engines have prompts in their caches."""
    if of.prefix_share == 0:
        return evidence
    said = f"{percent(of.prefix_share)} of a prompt from the prefix cache, as the spec tells it"
    return replace(evidence, source=f"{evidence.source}; {said}")


def _rows(
    known: Iterable[tuple[str, Evidence]], seen: _Seen, found: Columns
) -> Iterator[tuple[tuple[str, str, float], PerformanceRow]]:
    """The rows of a class and what they are of, for configurations and their evidence in the order of the columns."""
    values = zip(
        found.requests_per_second,
        found.ttft_seconds,
        found.tpot_seconds,
        found.concurrency,
        found.binding,
        found.reason,
        strict=True,
    )
    for (name, evidence), (rate, ttft, tpot, concurrency, binding, reason) in zip(known, values, strict=True):
        left = 1.0 - evidence.margin
        row = PerformanceRow(
            configuration=name,
            workload_class=seen.of.name,
            requests_per_second=rate,
            requests_per_second_low=rate * left,
            requests_per_second_high=rate / left,
            ttft_seconds=ttft,
            tpot_seconds=tpot,
            concurrency=concurrency,
            binding=binding,
            evidence=evidence,
            reason=seen.because(reason),
            round_trip_seconds=seen.round_trip_seconds,
        )
        yield (name, seen.of.name, seen.round_trip_seconds), row


def joined(tables: Iterable[PerformanceTable]) -> PerformanceTable:
    """Tables of different configurations as one; each has rows of its own classes."""
    every = tuple(tables)
    return PerformanceTable(
        rows={key: row for one in every for key, row in one.rows.items()},
        step_times={name: times for one in every for name, times in one.step_times.items()},
    )


def barred(table: PerformanceTable, reasons: Mapping[tuple[str, str], str]) -> PerformanceTable:
    """The table with a rate of zero, and the reason, for configurations that a class must not get."""
    rows = {
        key: replace(
            row,
            requests_per_second=0.0,
            requests_per_second_low=0.0,
            requests_per_second_high=0.0,
            reason=reasons[key[:2]],
        )
        if key[:2] in reasons
        else row
        for key, row in table.rows.items()
    }
    return replace(table, rows=rows)


def at_most(table: PerformanceTable, rates: Mapping[str, float]) -> PerformanceTable:
    """The table with no more requests a second of a class, by its name, than fit over a replica's link."""
    return replace(table, rows={key: _slowed(row, rates[key[1]]) for key, row in table.rows.items()})


def from_afar(table: PerformanceTable, round_trips: Mapping[str, Sequence[float]]) -> PerformanceTable:
    """A table without round trips at each of those of its classes, by name, where none takes anything off its rates."""
    rows = {
        (configuration, name, seconds): replace(row, round_trip_seconds=seconds)
        for (configuration, name, _), row in table.rows.items()
        for seconds in round_trips.get(name, (0.0,))
    }
    return replace(table, rows=rows)


def _slowed(row: PerformanceRow, most: float) -> PerformanceRow:
    if row.requests_per_second <= most:
        return row
    left = 1.0 - row.evidence.margin
    return replace(
        row,
        requests_per_second=most,
        requests_per_second_low=most * left,
        requests_per_second_high=most / left,
        binding=Binding.LINK,
    )


def best_of_each(
    configurations: Sequence[Configuration], table: PerformanceTable
) -> tuple[Configuration, ...]:
    """The configurations of a model that no other on the same GPU type beats: one is dropped only where another takes at
    most as many GPUs and sustains at least as much of every class, never on an average."""
    by_gpu: dict[str, list[Configuration]] = defaultdict(list)
    for configuration in sorted(configurations, key=lambda c: (c.gpu_count, c.id)):
        by_gpu[configuration.gpu].append(configuration)
    return tuple(c for group in by_gpu.values() for c in _undominated(group, table))


def _undominated(group: Sequence[Configuration], table: PerformanceTable) -> list[Configuration]:
    first = group[0].id
    classes = sorted({key[1:] for key in table.rows if key[0] == first})
    rates = {c.id: [table.row(c.id, *key).planned_requests_per_second for key in classes] for c in group}
    kept: list[Configuration] = []
    for one in group:
        beaten = any(
            other.gpu_count <= one.gpu_count
            and all(a >= b for a, b in zip(rates[other.id], rates[one.id], strict=True))
            for other in kept
        )
        if any(rates[one.id]) and not beaten:
            kept = [k for k in kept if not _beats(one, k, rates)] + [one]
    return kept


def _beats(one: Configuration, other: Configuration, rates: Mapping[str, Sequence[float]]) -> bool:
    pairs = zip(rates[one.id], rates[other.id], strict=True)
    return one.gpu_count <= other.gpu_count and all(a >= b for a, b in pairs)
