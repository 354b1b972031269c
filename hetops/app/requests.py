"""What a spec asks to be served: its classes, as it states them or made of its trace. Wires; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hetops.domain.model import Model
from hetops.domain.workload import LatencyTarget, TokenLengths, Workload, WorkloadClass
from hetops.errors import HetopsError
from hetops.spec.fields import LoadedSpec, Spec
from hetops.spec.workload import ClassSpec
from hetops.workloads.classes import Clustering, TargetRule, cluster, targeted
from hetops.workloads.error import CostOf, advice, class_error
from hetops.workloads.reader import read_trace
from hetops.workloads.trace import Trace, scale, window


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A trace, and the classes that the spec wants made of it."""

    trace: Trace
    spec: Spec
    clustering: Clustering

    @classmethod
    def of(cls, trace: Trace, spec: Spec) -> Traced:
        """The trace in as many classes as the spec says."""
        return cls(trace=trace, spec=spec, clustering=_clustered(trace, spec, spec.workload.class_count))

    def clustered(self, count: int) -> Clustering:
        """At most `count` classes of the trace."""
        return _clustered(self.trace, self.spec, count)


def _clustered(trace: Trace, spec: Spec, count: int) -> Clustering:
    periods = spec.workload.periods
    return cluster(trace, count=count, periods=periods, target=_target(spec), rules=_rules(spec))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The requests of a spec."""

    classes: tuple[WorkloadClass, ...]
    traced: Traced | None = None
    """None where the spec states its classes."""

    @property
    def longest_tokens(self) -> float:
        """Of the longest request, input and output together: every request of a trace is one that will come again."""
        if self.traced is not None:
            trace = self.traced.trace
            return float((trace.input_tokens + trace.output_tokens).max())
        return max(c.input_tokens.p99 + c.output_tokens.p99 for c in self.classes)

    @property
    def recorded_seconds(self) -> float | None:
        """How long the trace took as it was recorded, whatever its rates are scaled by; None where classes are stated."""
        trace = self.traced.trace if self.traced else None
        return trace.seconds * trace.rate_scale if trace else None


def requests_of(loaded: LoadedSpec) -> Requests:
    """The classes, with the trace and clustering that they come from where the spec does not state them.

    Raises:
        HetopsError: the trace cannot be read.
    """
    workload = loaded.spec.workload
    if workload.classes:
        return Requests(classes=tuple(_stated(c, loaded.spec) for c in workload.classes))
    traced = Traced.of(_trace(loaded), loaded.spec)
    found = traced.clustering.classes
    return Requests(
        classes=tuple(replace(one, prefix_share=workload.prefix_share) for one in found), traced=traced
    )


def trace_of(loaded: LoadedSpec) -> Trace:
    """The trace that the spec plans for, cut and scaled as it says.

    Raises:
        HetopsError: the spec states classes, or the trace cannot be read.
    """
    if loaded.spec.workload.classes:
        raise HetopsError(
            f"{loaded.path} states its classes: there is no trace",
            hint="set workload.trace to a trace file"
            if len(loaded.spec.served) == 1
            else "no trace says which of several models a request asks for; `hetops simulate` draws requests from the classes",
        )
    return _trace(loaded)


def _trace(loaded: LoadedSpec) -> Trace:
    workload = loaded.spec.workload
    part = window(
        read_trace(loaded.folder / workload.trace), workload.start_seconds, workload.duration_seconds
    )
    return scale(part, rate=workload.rate_scale, length=workload.length_scale)


def _target(spec: Spec) -> LatencyTarget:
    targets = spec.targets
    return LatencyTarget(
        ttft_seconds=targets.ttft_seconds,
        ttft_percentile=targets.ttft_percentile,
        tpot_seconds=targets.tpot_seconds,
        tpot_percentile=targets.tpot_percentile,
    )


def _rules(spec: Spec) -> tuple[TargetRule, ...]:
    return tuple(
        TargetRule(
            min_input_tokens=o.min_input_tokens,
            max_input_tokens=o.max_input_tokens or float("inf"),
            min_output_tokens=o.min_output_tokens,
            max_output_tokens=o.max_output_tokens or float("inf"),
            ttft_seconds=o.ttft_seconds,
            tpot_seconds=o.tpot_seconds,
            priority=o.priority,
        )
        for o in spec.targets.overrides
    )


def _stated(stated: ClassSpec, spec: Spec) -> WorkloadClass:
    """A class as the spec states it; its own targets come before those of the ranges that it lies in."""
    workload = spec.workload
    input_tokens, output_tokens = (
        max(1.0, tokens * workload.length_scale) for tokens in (stated.input_tokens, stated.output_tokens)
    )
    target, _ = targeted(_target(spec), _rules(spec), input_tokens, output_tokens)
    own = {"ttft_seconds": stated.ttft_seconds, "tpot_seconds": stated.tpot_seconds}
    return WorkloadClass(
        name=stated.name,
        requests_per_second=stated.requests_per_second * workload.rate_scale,
        input_tokens=TokenLengths.fixed(input_tokens),
        output_tokens=TokenLengths.fixed(output_tokens),
        target=replace(target, **{name: value for name, value in own.items() if value is not None}),
        priority=stated.priority,
        task=stated.task,
        model=stated.model if len(spec.served) > 1 else "",
        prefix_share=workload.prefix_share if stated.prefix_share is None else stated.prefix_share,
    )


def check_context(classes: Sequence[WorkloadClass], model: Model) -> None:
    """A class whose typical request no configuration can take is a mistake of the spec, or of the model's choice.

    Raises:
        HetopsError: there is one.
    """
    for one in classes:
        typical = one.input_tokens.p50 + one.output_tokens.p50
        if typical > model.context_tokens:
            raise HetopsError(
                f"class {one.name}: requests of {typical:,.0f} tokens exceed the {model.context_tokens:,} that {model.name} takes",
                hint="shorten the class, set workload.length_scale, or choose a model with a longer context",
            )


def workload_of(loaded: LoadedSpec, requests: Requests, costs: Mapping[str, CostOf]) -> Workload:
    """The workload, with what its classes misjudge of a trace's cost by what requests cost on each GPU type."""
    traced = requests.traced
    if traced is None:
        return Workload(classes=requests.classes, source=loaded.path.name)
    error = class_error(traced.trace, traced.clustering, costs)
    said = (
        f"{len(traced.trace):,} requests in {traced.trace.seconds:,.0f} s; "
        f"classes misjudge its cost by {error.worst:.1%} at most",
        advice(traced.trace, error, costs, traced.clustered),
    )
    return Workload(
        classes=requests.classes,
        source=traced.trace.name,
        class_error=error.worst,
        notes=(*traced.trace.notes, *filter(None, said)),
    )
