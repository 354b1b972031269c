"""What each configuration's step times are founded on: its own benchmarks, an estimator, or the closed form. Pure but for the estimator."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hetops.domain.configuration import Configuration
from hetops.domain.gpu import GpuType
from hetops.domain.model import Model
from hetops.domain.performance import EvidenceLayer, Measurement, StepTimes
from hetops.domain.workload import WorkloadClass
from hetops.errors import HetopsError
from hetops.performance import estimate, measured
from hetops.performance.estimators import Estimated, Founded, Unanswered, answered, or_closed_form, points
from hetops.performance.margins import founded_on
from hetops.performance.memory import fit
from hetops.performance.neighbours import Measured, off, sharpened
from hetops.performance.speculation import told
from hetops.performance.spread import half_widths

if TYPE_CHECKING:
    from hetops.plugin.estimator import Estimator


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a table is made from: the model, GPU types by name, and measurements valid on the hardware that they name."""

    model: Model
    gpus: Mapping[str, GpuType]
    measurements: Sequence[Measurement] = field(default=())
    """The user's own."""
    shipped: Sequence[Measurement] = field(default=())
    """Those that plugins bring."""
    estimator: Estimator | None = None
    """Asked of what nobody measured, in place of the closed form."""


Known = Sequence[tuple[EvidenceLayer, Mapping[str, Sequence[Measurement]]]]
"""Benchmarks by configuration, of the strongest layer first."""


def foundations(
    configurations: Sequence[Configuration], classes: Sequence[WorkloadClass], basis: Basis
) -> Mapping[str, Founded]:
    """Step times of each configuration from the strongest layer that knows it; estimates sharpened by what lies near.

    Raises:
        HetopsError: an estimator is named, and has no answer for any configuration.
        PluginError: it says that it cannot be used at all.
    """
    times = estimate.step_times(configurations, basis.model, basis.gpus)
    estimated = {c.id: (c, steps) for c, steps in zip(configurations, times, strict=True)}
    known = (
        (EvidenceLayer.MEASURED, _by_configuration(basis.measurements)),
        (EvidenceLayer.SHIPPED, _by_configuration(basis.shipped)),
    )
    near = tuple(_neighbours(estimated, known))
    by_benchmark = {name: _measured(name, one, known, basis) for name, (one, _) in estimated.items()}
    others = [one for name, one in estimated.items() if by_benchmark[name] is None]
    by_estimator = _asked(others, classes, basis)
    return {
        name: by_benchmark[name]
        or or_closed_form(
            by_estimator.get(name), sharpened(one, _estimated(one, steps, basis), near, basis.gpus)
        )
        for name, (one, steps) in estimated.items()
    }


def _asked(
    estimated: Sequence[tuple[Configuration, StepTimes]], classes: Sequence[WorkloadClass], basis: Basis
) -> Mapping[str, Founded | Unanswered]:
    """What the estimator says of each configuration; nothing where there is none."""
    if basis.estimator is None or not estimated:
        return {}
    found = {
        c.id: answered(
            basis.estimator,
            Estimated(configuration=c, times=steps),
            basis.model,
            basis.gpus[c.gpu],
            points(classes, c.max_sequences, steps.kv_capacity_tokens),
        )
        for c, steps in estimated
    }
    silent = [one for one in found.values() if isinstance(one, Unanswered)]
    if len(silent) == len(found):
        raise HetopsError(
            f"the estimator {basis.estimator.name} has no answer for any of {len(found)} configurations",
            details=sorted({one.reason for one in silent})[:5],
            hint=silent[0].hint or "name no estimator: engine.estimator",
        )
    return found


def _by_configuration(measurements: Sequence[Measurement]) -> Mapping[str, Sequence[Measurement]]:
    found: dict[str, list[Measurement]] = defaultdict(list)
    for one in measurements:
        found[one.configuration].append(one)
    return dict(found)


def _estimated(configuration: Configuration, times: StepTimes, basis: Basis) -> Founded:
    replica = estimate.replica_of(configuration, basis.model, basis.gpus[configuration.gpu])
    evidence = estimate.calibration().evidence(replica, configuration.max_sequences)
    if configuration.speculation:
        evidence = replace(evidence, source=f"{evidence.source}; {told(configuration.speculation)}")
    return times, evidence


def _neighbours(estimated: Mapping[str, tuple[Configuration, StepTimes]], known: Known) -> Iterator[Measured]:
    """How far the estimates are off where there is a benchmark; the user's own go before those that plugins bring."""
    for name, (configuration, times) in estimated.items():
        own = next((found[name] for _, found in known if name in found), None)
        if own:
            yield off(configuration, times, own)


def _measured(name: str, configuration: Configuration, known: Known, basis: Basis) -> Founded | None:
    """Step times from benchmarks of the configuration itself; None where there is none."""
    for layer, measurements in known:
        own = measurements.get(name, ())
        if any(m.concurrency == 1 for m in own):
            gpu = basis.gpus[configuration.gpu]
            capacity = fit(configuration, basis.model, gpu).kv_capacity_tokens
            times = measured.step_times(configuration, own, capacity)
            last = max(own, key=lambda m: m.measured_at)
            version = f" of {last.engine_version}" if last.engine_version else ""
            source = f"{len(own)} benchmark runs on {own[0].host}, last {last.measured_at}{version}"
            return times, founded_on(layer, source, half_widths(times, own, gpu.vendor))
    return None
