"""Wires what configurations can do: evidence, latency targets and quality floors into a table of rates. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hetops.app.candidates import Candidates
from hetops.app.ways import Ways
from hetops.domain.performance import Measurement
from hetops.domain.workload import LatencyTarget, WorkloadClass
from hetops.performance.table import Basis, PerformanceTable, barred, build
from hetops.state import host, measurements


def table_of(c: Candidates, classes: Iterable[WorkloadClass], ways: Ways) -> PerformanceTable:
    """What every configuration sustains of every class at each distance from it; nothing where a quality floor bars it."""
    of = tuple(classes)
    table = build(c.enumeration.configurations, of, basis_of(c), ways.round_trips(of))
    return barred(table, _too_lossy(c))


def with_targets(c: WorkloadClass, factor: float) -> WorkloadClass:
    """The class with its latency targets multiplied by a factor."""
    target = c.target
    seconds = {name: getattr(target, name) for name in ("ttft_seconds", "tpot_seconds")}
    looser: LatencyTarget = replace(target, **{n: s * factor for n, s in seconds.items() if s is not None})
    return replace(c, target=looser)


def basis_of(c: Candidates) -> Basis:
    """What speeds are known: measurements count on the hardware that they were made on, and on no other."""
    here = host.fingerprint()
    gpu_of = {one.id: one.gpu for one in c.enumeration.configurations}
    valid = {one: here if c.gpus[gpu].vendor == "cpu" else gpu for one, gpu in gpu_of.items()}

    def holding(measured: Iterable[Measurement]) -> tuple[Measurement, ...]:
        return tuple(m for m in measured if valid.get(m.configuration) == m.host)

    return Basis(
        model=c.model,
        gpus=c.gpus,
        measurements=holding(measurements.read(c.home.measurements)),
        shipped=holding(c.plugins.measurements),
        estimator=c.plugins.estimator(c.spec.engine.estimator) if c.spec.engine.estimator else None,
    )


def _too_lossy(c: Candidates) -> Mapping[tuple[str, str], str]:
    """Why a class must not get a configuration, by both; only where the spec sets quality floors."""
    quality = c.rules.quality(c.model)
    reasons = {
        (one.id, floor.workload_class): quality.refused(one.weights, floor)
        for one in c.enumeration.configurations
        for floor in c.rules.floors
    }
    return {key: reason for key, reason in reasons.items() if reason}
