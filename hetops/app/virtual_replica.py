"""Requests through one replica's engine in virtual time, as they come or so many at once. Wires; decides no step time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hetops.domain.performance import StepTimes
from hetops.performance.breakdown import Load
from hetops.performance.cases import REQUESTS
from hetops.performance.under_load import Replayed, log_normal
from hetops.simulate.core import EngineCore
from hetops.simulate.engine import Event, EventKind, Generation

_REQUESTS = 3000
_ROUNDS = 8
"""So many requests one after the other at least in each place."""
_MOST_AT_ONCE = 4096
_WARM_UP = 0.2
"""The part of the requests that comes before the queue is as it stays."""
_MOST_PROMPT_TOKENS, _FEWEST = 1e8, 100
"""Prompts beyond so many tokens in all are not played for a percentile, but for so few of them: they go chunk by chunk."""
_SEED = 0

Floats = NDArray[np.float64]


def at_rate(times: StepTimes, load: Load, requests_per_second: float) -> Replayed:
    """Independent requests (Poisson) at such a rate; `load.concurrency` is no matter."""
    random = np.random.default_rng(_SEED)
    gaps = random.exponential(1.0, _REQUESTS)
    run = _Run(times, _drawn(times, load, random, _REQUESTS))
    for at in (np.cumsum(gaps) / requests_per_second).tolist():
        run.until(at)
        run.come(at, _REQUESTS)
    run.until(math.inf)
    return run.replayed()


def kept_at_once(times: StepTimes, load: Load) -> Replayed:
    """`load.concurrency` requests at once: a new one comes whenever one is done. Where very many wait, fewer are played: all wait alike."""
    random, most = np.random.default_rng(_SEED), max(_MOST_AT_ONCE, 2 * times.max_sequences)
    at_once = max(1, min(round(load.concurrency), most))
    requests = _drawn(times, load, random, max(_REQUESTS, _ROUNDS * at_once))
    under_way = random.uniform(size=at_once).tolist()
    requests[:at_once] = [
        replace(one, output_tokens=max(1, round(one.output_tokens * part)))
        for one, part in zip(requests, under_way, strict=False)
    ]
    run = _Run(times, requests)
    for _ in requests:
        run.come(0.0, at_once)
    run.until(math.inf)
    return replace(run.replayed(), in_flight=max(1.0, load.concurrency))


def as_a_client_measures(
    times: StepTimes, load: Load, requests_per_second: float, requests: float = REQUESTS
) -> Replayed:
    """So many requests, at most as many as benchmarks' clients send unless told otherwise, fewer where prompts are very long, each of
    them counted: as many at once as the load has from the first instant on, or at a finite rate as they come, no more at once either: a client's
    clock starts as it sends."""
    count = int(min(REQUESTS, max(requests, 1.0), max(_MOST_PROMPT_TOKENS / load.input_tokens, _FEWEST)))
    at_once = max(1, round(min(load.concurrency, count)))
    random = np.random.default_rng(_SEED)
    run = _Run(times, _drawn(times, load, random, count), warm_up=0.0)
    for at in (np.cumsum(random.exponential(1.0, count)) / requests_per_second).tolist():
        run.until(at)
        run.come(at, at_once)
    run.until(math.inf)
    return run.replayed()


def _drawn(times: StepTimes, load: Load, random: np.random.Generator, count: int) -> list[Generation]:
    """Requests with log-normal lengths about the load's means; none is longer than the memory."""
    most = times.longest
    inputs = _lengths(load.input_tokens, load.spread, random, count).clip(max=most - 1)
    outputs = _lengths(load.output_tokens, load.spread, random, count).clip(max=most - inputs)
    cached = np.minimum(np.floor(load.prefix_share * inputs), inputs - 1)
    drawn = zip(inputs.tolist(), outputs.tolist(), cached.tolist(), strict=True)
    return [
        Generation(id=number, input_tokens=int(given), output_tokens=int(wanted), cached_tokens=int(held))
        for number, (given, wanted, held) in enumerate(drawn)
    ]


def _lengths(mean: float, spread: float, random: np.random.Generator, count: int) -> Floats:
    drawn: Floats = random.lognormal(*log_normal(mean, spread), count)
    return drawn.round().clip(min=1.0)


class _Run:
    """Requests on their way through one engine, and when each came, began to answer and was done."""

    def __init__(self, times: StepTimes, requests: Sequence[Generation], warm_up: float = _WARM_UP) -> None:
        self._warm_up = warm_up
        self._engine = EngineCore(times)
        self._requests = requests
        self._came, self._began, self._done = (np.full(len(requests), np.nan) for _ in range(3))
        self._next = 0
        self._under_way = self._held = 0

    def come(self, at: float, most: int) -> None:
        """The next request comes; with so many under way it is held back until one is done."""
        if self._under_way < most:
            self._submit(at)
        else:
            self._held += 1

    def _submit(self, at: float) -> None:
        """The request comes."""
        self._engine.submit(self._requests[self._next], at)
        self._came[self._next] = at
        self._next += 1
        self._under_way += 1

    def until(self, at: float) -> None:
        """All that happens by then."""
        while (then := self._engine.next_event_at()) is not None and then <= at:
            for event in self._engine.advance(then):
                self._note(event)

    def replayed(self) -> Replayed:
        """The requests after the warm-up."""
        first = int(self._warm_up * len(self._requests))
        came, began, done = (times[first:] for times in (self._came, self._began, self._done))
        later = np.array([r.output_tokens - 1 for r in self._requests[first:]])
        return Replayed(
            ttft=began - came,
            tpot=(done - began)[later > 0] / later[later > 0],
            in_flight=float((done - came).sum() / (done.max() - came.min())),
        )

    def _note(self, event: Event) -> None:
        if event.kind is EventKind.FIRST_TOKEN:
            self._began[event.request] = event.at
        elif event.kind is EventKind.FINISHED:
            self._done[event.request] = event.at
            self._under_way -= 1
            if self._held:
                self._held -= 1
                self._submit(event.at)
