"""Wires what configurations can do: evidence, latency targets and quality floors into a table of rates. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from hetops.app.candidates import Candidates
from hetops.app.models import ServedModel
from hetops.app.ways import Ways
from hetops.domain.configuration import Configuration, Role
from hetops.domain.performance import Measurement
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.performance.foundations import Basis
from hetops.performance.pipelines import Network
from hetops.performance.roles import Transfer, highest_input, part_of
from hetops.performance.table import (
    PerformanceTable,
    at_most,
    barred,
    build,
    build_apart,
    build_over_stages,
    from_afar,
    joined,
)
from hetops.state import host


def table_of(c: Candidates, classes: Iterable[WorkloadClass], ways: Ways) -> PerformanceTable:
    """What every configuration sustains of every class of its model at each distance from it; nothing where a quality floor
    bars it."""
    return barred(without_floors(c, classes, ways), _too_lossy(c))


def without_floors(c: Candidates, classes: Iterable[WorkloadClass], ways: Ways) -> PerformanceTable:
    """As `table_of`, whatever is lost of quality."""
    known, every = _known(c), tuple(classes)
    return joined(
        table
        for one in c.models
        for table in _by_role(c, one, replace(known, model=one.model), one.of_own(every), ways)
    )


def _by_role(
    c: Candidates, one: ServedModel, known: Basis, own: tuple[WorkloadClass, ...], ways: Ways
) -> Iterator[PerformanceTable]:
    """What the configurations of each role sustain of their part of a model's classes."""
    within = tuple(of for of in one.enumeration.configurations if not of.stages)
    by_role = {role: tuple(of for of in within if of.role is role) for role in Role}
    trips, transfer = ways.round_trips(own), transfer_of(c, one)
    yield (whole := build(by_role[Role.MIXED], own, known, trips))
    if asked := c.spec.engine.across_nodes:
        staged = tuple(of for of in one.enumeration.configurations if of.stages)
        yield build_over_stages(staged, own, known, Network(gb_per_second=asked.gb_per_second), trips)
    if transfer is None:
        return
    for role in (Role.PREFILL, Role.DECODE):
        seen = tuple(part_of(k, role, transfer) for k in own)
        most = {k.name: transfer.requests_per_second(k.input_tokens.mean) for k in own}
        # The way to the prompt takes its time off the prompt's part of the target alone.
        near = build_apart(by_role[role], seen, whole, trips if role is Role.PREFILL else None)
        yield at_most(near if role is Role.PREFILL else from_afar(near, trips), most)


def transfer_of(c: Candidates, one: ServedModel) -> Transfer | None:
    """How KV caches of a model go from prefill to decode; None where the spec keeps both in one replica."""
    asked = c.spec.engine.disaggregation
    return Transfer.of(one.model, one.rules.kv, asked.gb_per_second) if asked else None


def part_for(c: Candidates, configuration: Configuration, k: WorkloadClass) -> WorkloadClass:
    """A class as a configuration's replicas see it."""
    return part_of(k, configuration.role, transfer_of(c, c.served(configuration)))


def transfer_for(c: Candidates, k: WorkloadClass) -> Transfer | None:
    """How KV caches of the model that a class asks for go from prefill to decode."""
    return transfer_of(c, next(one for one in c.models if k.asks_for(one.model.name)))


def handed_seconds(c: Candidates, k: WorkloadClass) -> float:
    """What the KV cache of a prompt at the class's percentile takes from prefill to decode."""
    transfer = transfer_for(c, k)
    return transfer.seconds(highest_input(k)) if transfer else 0.0


def with_targets(c: WorkloadClass, factor: float) -> WorkloadClass:
    """The class with its latency targets multiplied by a factor."""
    target = c.target
    seconds = {name: getattr(target, name) for name in ("ttft_seconds", "tpot_seconds")}
    looser: LatencyTarget = replace(target, **{n: s * factor for n, s in seconds.items() if s is not None})
    return replace(c, target=looser)


def _known(c: Candidates) -> Basis:
    """What speeds are known, to begin with of the first model: measurements count on the hardware that they were made on,
    and on no other."""
    here = host.fingerprint()
    gpu_of = {one.id: one.gpu for one in c.enumeration.configurations}
    valid = {one: here if c.gpus[gpu].vendor == "cpu" else gpu for one, gpu in gpu_of.items()}

    def holding(measured: Iterable[Measurement]) -> tuple[Measurement, ...]:
        return tuple(m for m in measured if valid.get(m.configuration) == m.host)

    return Basis(
        model=c.models[0].model,
        gpus=c.gpus,
        measurements=holding(c.recorded.measurements),
        shipped=holding(c.plugins.measurements),
        estimator=c.plugins.estimator(c.spec.engine.estimator) if c.spec.engine.estimator else None,
    )


def _too_lossy(c: Candidates) -> Mapping[tuple[str, str], str]:
    """Why a class must not get a configuration, by both; only where the spec sets quality floors."""
    reasons = {
        (one.id, floor.workload_class): served.rules.quality(served.model).refused(one.weights, floor)
        for served in c.models
        for one in served.enumeration.configurations
        for floor in served.rules.floors
    }
    return {key: reason for key, reason in reasons.items() if reason}
