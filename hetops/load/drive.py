"""Edge: sends the requests of a schedule to an endpoint, as many at a time as it says, and collects the samples.

Cancelled, it leaves no request behind: their connections are closed, which frees the engine's places.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from hetops.errors import EngineError
from hetops.load import client, prompts
from hetops.load.client import Target
from hetops.load.prompts import SHORT_PROBE_WORDS, Fit, fit, long_probe_words
from hetops.load.samples import Failure, Sample
from hetops.load.schedule import Arrival, Lengths, closed
from hetops.load.stopping import Stop, StopRule, stop

OnSample = Callable[[Sample], None]
"""Told of each request when it ends."""

_WATCH_SECONDS = 0.02
_STALLED = 0.5
"""Of the time that a load has: an answer that began and is silent for so long will not come."""
_MOST_IN_FLIGHT = 4096
"""Requests of an open loop that may be unanswered: beyond it, the loop waits and its samples say how late they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """An endpoint, and how it counts the tokens of our prompts."""

    target: Target
    fit: Fit = field(default_factory=Fit)
    exact: bool = True
    """Answers are as long as asked. False where the endpoint refuses the fields that make them so."""
    seed: int | None = None
    """Of the prompts' words; None draws others in every run, which no cache of prompts knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load measured. `counted` are the samples that began after the warm-up and before the stop, all at full concurrency."""

    samples: tuple[Sample, ...]
    counted: tuple[Sample, ...]
    seconds: float
    stopped: Stop | None = None
    unanswered: int = 0
    """Requests that would count and had no answer when the time was over."""
    late_seconds: float = 0.0
    """How late this process was on average to see what had come: all its times are too long by so much."""


async def tune(target: Target, most_tokens: int, *, seed: int | None = None) -> Tuned:
    """Two probes of at most so many input tokens: which fields the endpoint takes, how many tokens our prompts have there.

    `seed` as `Tuned.seed`.

    Raises:
        EngineError: it answers neither, with its reason.
    """
    seeds, wanted = _seeds(seed), target.extra
    short = await _probe(target, SHORT_PROBE_WORDS, next(seeds))
    for fewer in (client.COUNTED, {}):
        if short.failure is Failure.REFUSED and target.extra:
            target = replace(target, extra=fewer)
            short = await _probe(target, SHORT_PROBE_WORDS, next(seeds))
    words = long_probe_words(short.input_tokens, most_tokens)
    long = short if short.failure or words <= SHORT_PROBE_WORDS else await _probe(target, words, next(seeds))
    if long.failure is not None:
        raise EngineError(
            f"{target.url} does not answer for model {target.model!r}: {long.failure}",
            details=(long.message,) if long.message else (),
            hint=long.failure.advice,
        )
    return Tuned(
        target=target,
        fit=fit(short.input_tokens, words, long.input_tokens),
        exact=target.extra == wanted and long.output_tokens == long.asked.output_tokens,
        seed=seed,
    )


async def closed_loop(
    tuned: Tuned, lengths: Lengths, concurrency: int, rule: StopRule, *, on_sample: OnSample | None = None
) -> Loaded:
    """Keeps `concurrency` requests in flight until the rule says to stop, and on while those are unanswered that began before:
    to leave them out would be to leave out the slow ones. The first of each place is the warm-up."""
    loop = _ClosedLoop(tuned, rule, concurrency, on_sample)
    places = (loop.place(closed(lengths, place, concurrency)) for place in range(concurrency))
    watch = asyncio.ensure_future(loop.watch())
    try:
        async with asyncio.timeout(rule.most_seconds), asyncio.TaskGroup() as group:
            tasks = [group.create_task(place) for place in places]
            await loop.over.wait()
            for task in tasks:
                task.cancel()
    except TimeoutError:
        loop.end(Stop.SECONDS)
    finally:
        watch.cancel()
    return loop.result()


async def open_loop(
    tuned: Tuned | Mapping[str, Tuned], arrivals: Sequence[Arrival], *, on_sample: OnSample | None = None
) -> Loaded:
    """Sends each request when it is due, whatever became of those before, and waits for the last answer.

    Where requests are for several models, the endpoint is tuned to by the model.
    """
    by_model = {"": tuned} if isinstance(tuned, Tuned) else dict(tuned)
    began, texts = time.monotonic(), {model: _texts(one) for model, one in by_model.items()}
    free = asyncio.Semaphore(_MOST_IN_FLIGHT)
    samples: list[Sample] = []

    async def send(arrival: Arrival) -> None:
        try:
            text, target = texts[arrival.model](arrival.lengths), by_model[arrival.model].target
            target = replace(target, origin=arrival.origin) if arrival.origin else target
            sample = await client.ask(target, arrival.lengths, text, due=arrival.at_seconds, began=began)
        finally:
            free.release()
        samples.append(sample)
        if on_sample is not None:
            on_sample(sample)

    async with asyncio.TaskGroup() as group:
        for arrival in arrivals:
            await asyncio.sleep(max(0.0, began + arrival.at_seconds - time.monotonic()))
            await free.acquire()
            group.create_task(send(arrival))
    ordered = tuple(sorted(samples, key=lambda s: s.due))
    return Loaded(samples=ordered, counted=ordered, seconds=time.monotonic() - began)


class _ClosedLoop:
    """What the places of one closed loop share."""

    def __init__(self, tuned: Tuned, rule: StopRule, concurrency: int, on_sample: OnSample | None) -> None:
        self._rule, self._concurrency, self._on_sample = rule, concurrency, on_sample
        self.over = asyncio.Event()
        """Nothing that counts is unanswered after the stop."""
        self._target = replace(tuned.target, stall_seconds=_STALLED * rule.most_seconds)
        self._began = time.monotonic()
        self._texts = _texts(tuned)
        self._samples: list[Sample] = []
        self._counted: list[Sample] = []
        self._durations: list[float] = []
        self._awaited = 0
        self._failures_in_a_row = 0
        self._late: list[float] = []
        self._stopped: Stop | None = None

    async def place(self, requests: Iterator[Lengths]) -> None:
        """Sends its requests one after the other, until it is cancelled: after the stop, to keep company."""
        for number, lengths in enumerate(requests):
            self._check()
            if self._stopped is not None:
                await self._ask(lengths)
                continue
            self._awaited += number > 0
            sample = await self._ask(lengths)
            self._awaited -= number > 0
            self._take(sample, number)

    async def watch(self) -> None:
        """Notes how late a due wake-up comes, over and over, until it is cancelled."""
        while True:
            due = time.monotonic() + _WATCH_SECONDS
            await asyncio.sleep(_WATCH_SECONDS)
            self._late.append(time.monotonic() - due)

    def end(self, why: Stop) -> None:
        """No more is waited for."""
        self._stopped = self._stopped or why

    def result(self) -> Loaded:
        """What was measured."""
        return Loaded(
            samples=tuple(self._samples),
            counted=tuple(self._counted),
            seconds=time.monotonic() - self._began,
            stopped=self._stopped,
            unanswered=self._awaited,
            late_seconds=fmean(self._late) if self._late else 0.0,
        )

    async def _ask(self, lengths: Lengths) -> Sample:
        due = time.monotonic() - self._began
        return await client.ask(self._target, lengths, self._texts(lengths), due=due, began=self._began)

    def _take(self, sample: Sample, number: int) -> None:
        self._samples.append(sample)
        self._failures_in_a_row = self._failures_in_a_row + 1 if sample.failure else 0
        if number > 0 and sample.failure is None:
            self._counted.append(sample)
            self._durations.append(sample.seconds)
        if self._on_sample is not None:
            self._on_sample(sample)

    def _check(self) -> None:
        seconds, failed = time.monotonic() - self._began, self._failures_in_a_row
        if self._stopped is None:
            self._stopped = stop(self._rule, seconds, self._durations, failed, self._concurrency)
        if self._stopped is Stop.FAILURES or (self._stopped and not self._awaited):
            self.over.set()


def _texts(tuned: Tuned) -> Callable[[Lengths], str]:
    """Prompts of the lengths asked for, each its own."""
    seeds = _seeds(tuned.seed)
    return lambda lengths: prompts.prompt(tuned.fit.words(lengths.input_tokens), next(seeds))


def _seeds(first: int | None) -> Iterator[int]:
    """One a prompt."""
    return itertools.count(random.SystemRandom().getrandbits(48) if first is None else first)


async def _probe(target: Target, words: int, seed: int) -> Sample:
    text = prompts.prompt(words, seed)
    asked = Lengths(input_tokens=words, output_tokens=2)
    try:
        async with asyncio.timeout(target.silence_seconds):
            return await client.ask(target, asked, text, due=0.0, began=time.monotonic())
    except TimeoutError as fault:
        raise EngineError(
            f"{target.url} does not end its answer of 2 tokens within {target.silence_seconds:g} s",
            hint=Failure.SILENT.advice,
        ) from fault
