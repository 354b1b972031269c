"""Wires what configurations can do: evidence, latency targets and quality floors into a table of rates. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hetops.app.candidates import Candidates
from hetops.app.ways import Ways
from hetops.domain.performance import Measurement
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.performance.table import Basis, PerformanceTable, barred, build, joined
from hetops.state import host, measurements


def table_of(c: Candidates, classes: Iterable[WorkloadClass], ways: Ways) -> PerformanceTable:
    """What every configuration sustains of every class of its model at each distance from it; nothing where a quality floor
    bars it."""
    return barred(without_floors(c, classes, ways), _too_lossy(c))


def without_floors(c: Candidates, classes: Iterable[WorkloadClass], ways: Ways) -> PerformanceTable:
    """As `table_of`, whatever is lost of quality."""
    known, every = _known(c), tuple(classes)
    of = ((one, one.of_own(every)) for one in c.models)
    return joined(
        build(one.enumeration.configurations, own, replace(known, model=one.model), ways.round_trips(own))
        for one, own in of
    )


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
        measurements=holding(measurements.read(c.home.measurements)),
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
