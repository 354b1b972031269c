"""Cases: published or own measurements as rows, and what the closed form says of each. Pure.

A row is one metric of one benchmark: tokens or requests a second of a whole system, or a latency in milliseconds, at a closed-loop
concurrency, at a request rate, or with all requests queued (rate `inf`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np

from hetops.performance.draining import drained
from hetops.performance.form import Terms, Values, terms
from hetops.performance.generation import PASS_TOKENS, PREFILL_FIRST, Generation, most_sequences
from hetops.performance.physics import Bools, Floats, Names, Physics, physics
from hetops.performance.replica import Replica

_KEPT_OUTPUT = 0.6
"""Share of a sequence's output that its place in the KV cache is counted with: half on average, and some slack."""
_HALVINGS = 30
_ALL_BUSY = 1e-9
REQUESTS = 1000
"""Of a whole benchmark: what vLLM's and SGLang's clients send unless told otherwise."""


class Metric(StrEnum):
    """What was measured."""

    OUTPUT = "output_tok_s"
    TOTAL = "total_tok_s"
    INPUT = "input_tok_s"
    REQUESTS = "req_s"
    TTFT = "ttft_ms"
    TPOT = "tpot_ms"
    E2E = "e2e_ms"

    @property
    def is_throughput(self) -> bool:
        """Whether it is tokens or requests a second."""
        return not self.endswith("_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricName:
    """What a row's metric is."""

    metric: Metric
    name: str
    """As an answer calls it."""
    factor: float = 1.0
    """How many of the metric's unit are one of the row's."""
    inverse: bool = False
    """Tokens a second of one request: a second over what the metric is."""
    per_gpu: bool = False
    percentile: float | None = None
    """None is the mean."""
    prompts_alone: bool = False
    """While nothing but prompts is processed."""
    assumed: str = ""

    def in_metric(self, told: float, gpus: int) -> float:
        """A row's value in the metric's own unit."""
        value = told * self.factor * (gpus if self.per_gpu else 1)
        return 1e3 / value if self.inverse else value

    def as_told(self, value: float, gpus: int) -> float:
        """A value of the metric in the row's unit."""
        told = 1e3 / value if self.inverse else value
        return told / self.factor / (gpus if self.per_gpu else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row, read. `concurrency` and `requests_per_second` are of the whole system; infinite where all is queued."""

    id: str
    replica: Replica
    gpu_count: int
    input_tokens: float
    output_tokens: float
    concurrency: float
    requests_per_second: float
    metric: Metric
    value: float | None
    """What was measured, in the metric's own unit; None where only a prediction is asked for."""
    unread: str = ""
    """Why what the row tells as measured is no value."""
    gpu: str
    """As the row names it."""
    source: str = ""
    quality: str = ""
    assumed: tuple[str, ...] = ()
    """What the row's words had to be taken for, one sentence each."""
    noted: tuple[str, ...] = ()
    """What the row leaves open and is known all the same, one sentence each."""
    requests: float = float(REQUESTS)
    """That were sent in all."""
    requests_told: bool = False
    """Whether the row tells how many: what comes at a rate then is measured from the first that is sent to the last that is answered."""
    unequal: bool = False
    """Whether their lengths are known to differ."""
    talks: bool = False
    """Whether they are those of conversations: most short, a few many times as long."""
    max_sequences: float | None = None
    """That an engine runs at once, or each part of it that attends to requests of its own; None is what it does unless told."""
    place: int = 0
    """Where the row stands among its file's, from 0."""
    told: MetricName | None = None
    """How the row tells the metric; None in its own unit, and of the mean."""

    @property
    def places(self) -> float:
        """Sequences that run at once, of each part that attends to requests of its own."""
        return self.max_sequences or most_sequences(self.replica.generation.coefficients)

    @property
    def percentile(self) -> float | None:
        """Of which requests a latency is; None is the mean of all."""
        return self.told.percentile if self.told else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCase:
    """A row that cannot be answered, and why."""

    id: str
    reason: str
    place: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """Cases as columns."""

    physics: Physics
    replicas: Floats
    input_tokens: Floats
    output_tokens: Floats
    concurrency: Floats
    """Of one replica."""
    rate: Floats
    """Requests a second of one replica."""
    requests: Floats
    """That one replica is sent in all."""
    requests_told: Bools
    """As of a case."""
    unequal: Bools
    talks: Bools
    places: Floats
    metric: Names
    value: Floats
    series: Names
    """Rows of one publisher, GPU type, model, engine, precision and kind of metric."""

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Cases:
        """The cases in their order; `value` is not a number where none was measured."""
        replicas = np.array(
            [c.gpu_count / (c.replica.tensor_parallel * c.replica.pipeline_parallel) for c in cases]
        )
        replicas = np.maximum(replicas, 1.0)
        return cls(
            physics=physics([c.replica for c in cases]),
            replicas=replicas,
            input_tokens=np.array([c.input_tokens for c in cases]),
            output_tokens=np.array([c.output_tokens for c in cases]),
            concurrency=np.array([c.concurrency for c in cases]) / replicas,
            rate=np.array([c.requests_per_second for c in cases]) / replicas,
            requests=np.array([c.requests for c in cases]) / replicas,
            requests_told=np.array([c.requests_told for c in cases], dtype=bool),
            unequal=np.array([c.unequal for c in cases], dtype=bool),
            talks=np.array([c.talks for c in cases], dtype=bool),
            places=np.array([c.places for c in cases]),
            metric=np.array([str(c.metric) for c in cases]),
            value=np.array([math.nan if c.value is None else c.value for c in cases]),
            series=np.array([_series(c) for c in cases]),
        )

    def __len__(self) -> int:
        return len(self.metric)

    def rows(self, which: Bools) -> Cases:
        """Some of the cases."""
        columns = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "physics"}
        return Cases(physics=self.physics.rows(which), **columns)


def _series(case: Case) -> str:
    replica = case.replica
    kind = "throughput" if case.metric.is_throughput else str(case.metric)
    return "|".join(
        (case.source, case.gpu, replica.model.name, str(replica.generation), str(replica.weights), kind)
    )


def predict(cases: Cases, values: Values) -> Floats:
    """What each case would measure, in its metric's unit."""
    parts = terms(cases.physics, values)
    running = in_flight(cases, parts)
    context = cases.input_tokens + cases.output_tokens / 2.0
    step = parts.step(running, context)
    prefill = parts.prefill_seconds(cases.input_tokens)
    completed = _completed(cases, parts, running)
    arrivals = _over_the_run(cases, running, completed)
    requests = cases.replicas * np.minimum(_to_the_end(cases, parts, running, completed), arrivals)
    others = _among_others(cases, parts, running)
    held_up = parts.interference * (running - 1.0) / cases.output_tokens * others
    tpot = step + held_up / parts.stages
    served = _Served(
        running=running,
        prefill=prefill,
        step=step,
        tpot=tpot,
        completed=completed,
        line=_line(cases, completed, arrivals),
    )
    ttft = _ttft(cases, parts, served, values)
    answers = {
        Metric.OUTPUT: requests * cases.output_tokens,
        Metric.TOTAL: requests * (cases.input_tokens + cases.output_tokens),
        Metric.INPUT: requests * cases.input_tokens,
        Metric.REQUESTS: requests,
        Metric.TTFT: 1e3 * ttft,
        Metric.TPOT: 1e3 * tpot,
        Metric.E2E: 1e3 * (ttft + (cases.output_tokens - 1.0) * tpot),
    }
    found: Floats = np.select([cases.metric == str(m) for m in answers], list(answers.values()), np.nan)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Served:
    running: Floats
    prefill: Floats
    step: Floats
    tpot: Floats
    completed: Floats
    """Requests a second of a replica."""
    line: Floats
    """Seconds that a request waits on average where more come than are completed."""


def _completed(cases: Cases, parts: Terms, running: Floats) -> Floats:
    """Requests a second that a replica completes with so many in flight."""
    step = parts.step(running, cases.input_tokens + cases.output_tokens / 2.0)
    prefill = _among_others(cases, parts, running)
    found: Floats = running / (running * prefill / parts.stages + parts.overhead + cases.output_tokens * step)
    return found


def _over_the_run(cases: Cases, running: Floats, completed: Floats) -> Floats:
    """Requests a second of a rate; where their number is told, over a run that lasts until the last that came is answered, which takes
    as long as any other."""
    own = np.where(cases.requests_told, running / completed / cases.requests, 0.0)
    found: Floats = np.full(len(cases), np.inf)
    np.divide(1.0, 1.0 / cases.rate + own, out=found, where=np.isfinite(cases.rate))
    return found


def _to_the_end(cases: Cases, parts: Terms, running: Floats, completed: Floats) -> Floats:
    """Requests a second of a run whose requests wait for one another, until the last is answered: lengths that are alike leave no place
    empty for long, but those of conversations do."""
    ends = cases.requests_told & cases.talks & np.isinf(cases.rate)
    if not ends.any():
        return completed
    last = np.minimum(running, cases.requests)
    end = drained(last, cases.output_tokens, lambda left: _completed(cases, parts, left))
    seconds = (cases.requests - last) / completed + end
    return np.where(ends, np.minimum(completed, cases.requests / seconds), completed)


def _line(cases: Cases, completed: Floats, arrivals: Floats) -> Floats:
    """Each of a benchmark's requests puts those after it off by as much longer as completing one takes than another needs to come."""
    late: Floats = np.maximum(1.0 / completed - 1.0 / arrivals, 0.0)
    return late * cases.requests / 2.0


def _ttft(cases: Cases, parts: Terms, served: _Served, values: Values) -> Floats:
    """Own prefill, what the engine adds, and the wait for prompts ahead and for a place where there are not enough."""
    several = cases.concurrency > 1.0
    cycle = served.prefill + cases.output_tokens * served.tpot
    at_once = np.minimum(cases.concurrency, served.running * 1e3)
    offered = np.where(np.isinf(cases.rate), at_once, served.running)
    load = np.minimum(1.0, offered * served.prefill / cycle)
    others = np.maximum(np.minimum(offered, served.running) - 1.0, 0.0)
    loop = served.prefill * others ** values["queue.power"] * load ** values["queue.load"]
    wave = _wave(cases, parts, served)
    steady = _per_other(cases, values) * np.where(_in_step(cases), wave, loop)
    together = np.maximum(steady, _started_together(cases, others) * wave)
    busy = np.minimum(cases.rate * served.prefill, 1.0)  # apart, as at a rate, prompts wait as in M/D/1
    queue = np.minimum(together, served.prefill * busy / 2.0 / np.maximum(1.0 - busy, _ALL_BUSY))
    for_a_place = _for_a_place(cases, served)
    own = np.where(several, parts.first_token_factor, 1.0) * served.prefill
    ttft: Floats = parts.first_token + own + np.where(several, queue + for_a_place + 0.5 * served.step, 0.0)
    return ttft


def _for_a_place(cases: Cases, served: _Served) -> Floats:
    """Seconds that a request waits on average for a place among those that run: until all others that wait have had one (Little's
    law); those that come together as a benchmark begins, until half of them have."""
    ahead = np.maximum(cases.concurrency - served.running, 0.0)
    began = np.minimum(cases.concurrency / cases.requests, 1.0)
    return np.minimum(ahead / served.completed * (1.0 - began / 2.0), served.line)


def _wave(cases: Cases, parts: Terms, served: _Served) -> Floats:
    """Seconds that a prompt waits on average for those that come with it: of k passes all prompts of one get their first token as it
    ends, (k + 1) / 2k of all on average; between passes those decode that had theirs, unless the engine prefills first."""
    n = served.running
    passes = np.maximum(n * cases.input_tokens / PASS_TOKENS, 1.0)
    whole = n * _among_others(cases, parts, n)
    decoded = np.where(_prefills_first(cases.physics), 0.0, served.step) * (passes - 1.0) / 2.0
    wait: Floats = np.maximum(whole * (passes + 1.0) / (2.0 * passes) - served.prefill, 0.0) + decoded
    return wait


def _in_step(cases: Cases) -> Bools:
    """Whether a loop stays in step, because requests whose prompts passed together end together: prompts stop decoding, and lengths are
    alike. Lengths that differ by a fiftieth are enough to pull sixteen requests apart (`benchmarks/closed_loops.py`)."""
    return _prefills_first(cases.physics) & ~cases.unequal


def _prefills_first(p: Physics) -> Bools:
    """Whether prompts stop decoding."""
    first: Bools = np.isin(p.generation, [str(g) for g in PREFILL_FIRST])
    return first


def _started_together(cases: Cases, others: Floats) -> Floats:
    """Share of a benchmark's requests that come with so many others as it begins: where hundreds are kept at once, much of all that
    is sent."""
    one_by_one = np.isinf(cases.concurrency) & np.isfinite(cases.rate)
    share: Floats = np.minimum((others + 1.0) / cases.requests, 1.0)
    return np.where(one_by_one, 0.0, share)


def _per_other(cases: Cases, values: Values) -> Floats:
    """What a prompt waits for each other, of an engine's generation; those that came out of step meet as where prompts go with steps."""
    out_of_step = _prefills_first(cases.physics) & cases.unequal
    like = np.where(out_of_step, str(Generation.VLLM_NEW), cases.physics.generation)
    known, where = np.unique(like, return_inverse=True)
    per_other: Floats = np.array([values[f"queue.{generation}"] for generation in known])[where]
    return per_other


def _among_others(cases: Cases, parts: Terms, running: Floats) -> Floats:
    """Seconds of a prompt with so many sequences in flight. Those of a pass are as many as its tokens hold. Over groups go, at a rate,
    those whose places came free in one step: engines do not wait, unless told, until all groups have some. Where the next one always
    waits, those that passed together end together, and so do those after them."""
    groups, each = cases.physics.groups, PASS_TOKENS / cases.input_tokens
    held = np.clip(groups * each, 1.0, running)
    most = np.clip(groups * np.maximum(each, 1.0), 1.0, running)
    came = np.clip(running / cases.output_tokens, 1.0, most)
    return parts.prefill_seconds(cases.input_tokens, held, np.where(np.isinf(cases.rate), most, came))


def in_flight(cases: Cases, parts: Terms) -> Floats:
    """Sequences in flight: as many as are asked for, as memory holds, as the engine runs, or as the rate needs.

    TensorRT-LLM starts a request only where all that it may grow to has a place (`GUARANTEED_NO_EVICT`).
    """
    p = cases.physics
    kept = np.where(np.strings.startswith(p.generation, "trtllm"), 1.0, _KEPT_OUTPUT)
    held = p.kv_capacity_tokens / p.kept(cases.input_tokens + kept * cases.output_tokens)
    asked = np.minimum(cases.concurrency, np.minimum(p.groups * cases.places, np.maximum(held, 1.0)))
    full: Floats = np.maximum(asked, 1.0)
    steady = ~np.isinf(cases.rate)
    return np.where(steady, _at_rate(cases, parts, full), full) if steady.any() else full


def _at_rate(cases: Cases, parts: Terms, full: Floats) -> Floats:
    """Sequences in flight at a request rate, at most `full`."""

    def enough(n: Floats) -> Bools:
        completed = _completed(cases, parts, n)
        found: Bools = completed >= _over_the_run(cases, n, completed)
        return found

    return _least(enough, full)


def _least(enough: Callable[[Floats], Bools], most: Floats) -> Floats:
    """The least number between 1 and `most` that is enough; `most` where none is."""
    low, high = np.ones_like(most), most.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        ok = enough(middle)
        low, high = np.where(ok, low, middle), np.where(ok, middle, high)
    return high
