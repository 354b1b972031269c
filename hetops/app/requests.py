"""What a spec asks to be served: its classes, as it states them or made of its trace. Wires; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hetops.domain.model import Model
from hetops.domain.percent import percent
from hetops.domain.workload import LatencyTarget, TokenLengths, Workload, WorkloadClass
from hetops.errors import HetopsError, SpecError
from hetops.spec.fields import LoadedSpec, Spec
from hetops.spec.load import place
from hetops.spec.workload import ClassSpec, TargetOverride
from hetops.workloads.classes import Clustering, TargetRule, cluster, targeted
from hetops.workloads.error import ClassError, CostOf, advice, class_error
from hetops.workloads.reader import read_trace
from hetops.workloads.trace import Trace, of_model, scale, together, window

_ALIKE = 0.9
"""Traces whose lengths differ by no more than a tenth are of one time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """The trace of a model, and the classes that the spec wants made of it."""

    model: str
    trace: Trace
    spec: Spec
    clustering: Clustering

    @classmethod
    def of(cls, model: str, trace: Trace, spec: Spec) -> Traced:
        """The trace in as many classes as the spec says."""
        found = _clustered(model, trace, spec, spec.workload.class_count)
        return cls(model=model, trace=trace, spec=spec, clustering=found)

    @property
    def classes(self) -> Iterator[WorkloadClass]:
        """The classes as the spec has them: of several models each says whose it is."""
        several, cached = len(self.spec.served) > 1, self.spec.workload.prefix_share
        for one in self.clustering.classes:
            name, model = (f"{self.model}/{one.name}", self.model) if several else (one.name, "")
            yield replace(one, name=name, model=model, prefix_share=cached)

    def clustered(self, count: int) -> Clustering:
        """At most `count` classes of the trace."""
        return _clustered(self.model, self.trace, self.spec, count)


def _clustered(model: str, trace: Trace, spec: Spec, count: int) -> Clustering:
    periods = spec.workload.periods
    return cluster(trace, count=count, periods=periods, target=_target(spec), rules=_rules(spec, model))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """The requests of a spec."""

    classes: tuple[WorkloadClass, ...]
    traced: tuple[Traced, ...] = ()
    """By model; none where the spec states its classes."""

    def of_model(self, name: str) -> Requests:
        """Those that ask for the model."""
        return Requests(
            classes=tuple(c for c in self.classes if c.asks_for(name)),
            traced=tuple(one for one in self.traced if one.model == name),
        )

    @property
    def longest_tokens(self) -> float:
        """Of the longest request, input and output together: every request of a trace is one that will come again."""
        if self.traced:
            each = (one.trace.input_tokens + one.trace.output_tokens for one in self.traced)
            return max(float(tokens.max()) for tokens in each)
        return max(c.input_tokens.p99 + c.output_tokens.p99 for c in self.classes)

    @property
    def recorded_seconds(self) -> float | None:
        """How long a trace took as it was recorded, whatever its rates are scaled by; None where classes are stated."""
        return max((one.trace.seconds * one.trace.rate_scale for one in self.traced), default=None)


def requests_of(loaded: LoadedSpec) -> Requests:
    """The classes, with the traces and clusterings that they come from where the spec does not state them.

    Raises:
        HetopsError: a trace cannot be read, or does not say which model is asked for.
    """
    spec = loaded.spec
    if spec.workload.classes:
        return Requests(classes=tuple(_stated(c, spec) for c in spec.workload.classes))
    traced = tuple(Traced.of(model, trace, spec) for model, trace in _traces(loaded).items())
    return Requests(classes=tuple(c for one in traced for c in one.classes), traced=traced)


def trace_of(loaded: LoadedSpec) -> Trace:
    """The trace that the spec plans for, cut and scaled as it says; of several files as long as the shortest.

    Raises:
        HetopsError: the spec states classes, or a trace cannot be read.
    """
    if loaded.spec.workload.classes:
        raise HetopsError(
            f"{loaded.path} states its classes: there is no trace",
            hint="set workload.trace to a trace file, of several models with a column `model`",
        )
    if loaded.spec.workload.traces:
        return together(_traces(loaded))
    return _whole(loaded)


def _traces(loaded: LoadedSpec) -> Mapping[str, Trace]:
    """The trace of each model."""
    names = [one.name for one in loaded.spec.served]
    files = loaded.spec.workload.traces
    if files:
        found = {name: _cut(loaded, _read(loaded, "traces", name)) for name in names}
        _demand_alike(loaded, found)
        return found
    whole = _whole(loaded)
    return {name: of_model(whole, name) for name in names} if whole.models else {names[0]: whole}


def _whole(loaded: LoadedSpec) -> Trace:
    """All requests of the one file."""
    names = tuple(one.name for one in loaded.spec.served)
    return _cut(loaded, _read(loaded, "trace", models=names))


def _read(loaded: LoadedSpec, *where: str, models: Sequence[str] = ()) -> Trace:
    """The trace whose file a field of `[workload]` names."""
    workload = loaded.spec.workload
    path = loaded.folder / (workload.traces[where[-1]] if workload.traces else workload.trace)
    if path.is_dir() or not path.exists():
        raise SpecError(
            f"{place(loaded, 'workload', *where)}: trace {path} cannot be read: there is no such file",
            hint="name a CSV or JSON lines file that is there; paths are relative to the spec",
        )
    return read_trace(path, models)


def _cut(loaded: LoadedSpec, trace: Trace) -> Trace:
    workload = loaded.spec.workload
    part = window(trace, workload.start_seconds, workload.duration_seconds)
    return scale(part, rate=workload.rate_scale, length=workload.length_scale)


def _demand_alike(loaded: LoadedSpec, traces: Mapping[str, Trace]) -> None:
    """Traces that are cut into the same periods tell of about as long a time."""
    shortest, longest = (of(traces, key=lambda name: traces[name].seconds) for of in (min, max))
    ends = traces[shortest].seconds, traces[longest].seconds
    if loaded.spec.workload.periods > 1 and ends[0] < _ALIKE * ends[1]:
        scale = loaded.spec.workload.rate_scale
        raise SpecError(
            f"{place(loaded, 'workload', 'traces', longest)}: periods of {ends[1]:,.0f} s cannot be those of {shortest}, whose trace"
            f" has {ends[0]:,.0f} s",
            hint=f"cut them to one length: workload.duration_seconds = {ends[0] * scale:.0f}",
        )


def _target(spec: Spec) -> LatencyTarget:
    targets = spec.targets
    return LatencyTarget(
        ttft_seconds=targets.ttft_seconds,
        ttft_percentile=targets.ttft_percentile,
        tpot_seconds=targets.tpot_seconds,
        tpot_percentile=targets.tpot_percentile,
    )


def overrides_of(spec: Spec, one: WorkloadClass) -> tuple[TargetOverride, ...]:
    """What `[[targets.overrides]]` say of a class, what counts most first."""
    model = one.model or spec.served[0].name
    fitting = (
        o for o in spec.targets.overrides if o.fits(model, one.input_tokens.mean, one.output_tokens.mean)
    )
    return tuple(fitting)[::-1]


def _rules(spec: Spec, model: str) -> tuple[TargetRule, ...]:
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
        if o.model in ("", model)
    )


def _stated(stated: ClassSpec, spec: Spec) -> WorkloadClass:
    """A class as the spec states it; its own targets come before those of the ranges that it lies in."""
    workload, model = spec.workload, stated.model or spec.served[0].name
    input_tokens, output_tokens = (
        max(1.0, tokens * workload.length_scale) for tokens in (stated.input_tokens, stated.output_tokens)
    )
    target, _ = targeted(_target(spec), _rules(spec, model), input_tokens, output_tokens)
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


def workload_of(
    loaded: LoadedSpec, requests: Requests, costs: Mapping[str, Mapping[str, CostOf]]
) -> Workload:
    """The workload, with what its classes misjudge of a trace's cost by what requests cost; `costs` are by model, then GPU type."""
    traced = requests.traced
    if not traced:
        return Workload(classes=requests.classes, source=loaded.path.name)
    errors = {one.model: class_error(one.trace, one.clustering, costs[one.model]) for one in traced}
    notes = (
        f"{one.model}: {said}" if len(traced) > 1 else said
        for one in traced
        for said in _notes(one, errors[one.model], costs[one.model])
    )
    return Workload(
        classes=requests.classes,
        source=", ".join(dict.fromkeys(one.trace.name for one in traced)),
        class_error=max(error.worst for error in errors.values()),
        notes=tuple(notes),
    )


def _notes(one: Traced, error: ClassError, costs: Mapping[str, CostOf]) -> Iterator[str]:
    """What was done to a trace, what it holds, and what its classes make of it."""
    trace = one.trace
    yield from trace.notes
    yield (
        f"{len(trace):,} requests in {trace.seconds:,.0f} s; classes misjudge its cost by {percent(error.worst, 1)} at most"
    )
    if told := advice(trace, error, costs, one.clustered):
        yield told
