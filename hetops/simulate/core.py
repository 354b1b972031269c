"""Decides when an engine with continuous batching gives each token. Pure: events and times in, events out.

The engine works in steps. A step gives one token to every decoding sequence and prefills a chunk of the prompts that
were admitted; first come, first served. Its length is that of `StepTimes`. Memory for a prompt is taken when it is
admitted, memory for an output token by token; where that runs out, the newest sequence is preempted and later
recomputed, as in vLLM (engine V1: preemption by recomputation, decodes before prefills within a token budget).

A chunk that rides on a decode step lengthens it by `prefill_interference` of the chunk's own time, and is cut so that
its own time fits into the step: overlapping with decodes never makes a prompt faster than an idle engine would.

Steps in which nothing is admitted, finished or watched are taken many at a time in closed form, so the cost of a
request does not depend on its length.

Not modelled: which prefixes are cached (a request says how much of its own is; its memory is counted in full),
speculative decoding, memory pages (room is counted in tokens).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterator

from hetops.domain.performance import StepTimes
from hetops.simulate.engine import Event, EventKind, Generation
from hetops.simulate.steps import Sequence, Step, chunked, slowed

_WATERMARK = 0.01
"""Share of the KV cache that admission leaves free while others run (vLLM: `watermark`), against thrashing."""


class EngineCore:
    """One replica. Times are seconds on any clock that never goes back; equal calls give equal answers."""

    def __init__(self, step_times: StepTimes, *, prefill_tokens_per_step: int = 2048) -> None:
        """`prefill_tokens_per_step`: the token budget of a step (vLLM's default is 2,048 on cards below 70 GB) of each part that
        attends to requests of its own."""
        self._given = self._times = step_times
        self._budget = prefill_tokens_per_step * step_times.attention_groups
        self._now = -math.inf
        self._waiting: deque[Sequence] = deque()
        self._prefilling: list[Sequence] = []
        self._ripening: list[tuple[float, int, Sequence]] = []
        """Prefilled; the first token is still in the pipeline's later stages."""
        self._joining: list[Sequence] = []
        self._decoding: dict[int, Sequence] = {}
        self._finishing: list[tuple[int, int, Sequence]] = []
        self._sequences: dict[int, Sequence] = {}
        self._step: Step | None = None
        self._steps_done = 0
        self._kv_tokens = 0.0
        self._growing = 0.0
        self._context = 0
        self._watched = 0
        self._numbers = itertools.count()
        self._preemptions = 0
        self._events: list[Event] = []

    @property
    def running(self) -> int:
        """Sequences that hold memory."""
        return len(self._sequences) - len(self._waiting)

    @property
    def waiting(self) -> int:
        """Sequences that were submitted or preempted and hold no memory."""
        return len(self._waiting)

    @property
    def kv_usage(self) -> float:
        """Share of the KV cache in use, 0 to 1."""
        return self._kv_tokens / self._times.kv_capacity_tokens

    @property
    def preemptions(self) -> int:
        """Preemptions so far."""
        return self._preemptions

    @property
    def longest(self) -> int:
        """Most tokens, input and output together, that one request may have."""
        return self._times.longest

    def submit(self, generation: Generation, at: float) -> None:
        """A request arrives.

        Raises:
            ValueError: an id that is in the engine, more tokens than `longest`, or a time in the past.
        """
        if generation.id in self._sequences:
            raise ValueError(f"generation {generation.id} is in the engine already")
        whole = generation.input_tokens + generation.output_tokens
        if whole > self.longest:
            raise ValueError(
                f"generation {generation.id} needs more than the KV cache of {self.longest} tokens"
            )
        self._run(at)
        sequence = Sequence(
            generation=generation,
            order=next(self._numbers),
            prompt=generation.input_tokens,
            held_share=self._times.kept(whole) / whole,
            prefilled=generation.cached_tokens,
        )
        self._sequences[generation.id] = sequence
        self._waiting.append(sequence)
        self._begin_or_cut()

    def abort(self, request: int, at: float) -> None:
        """The client of a request went away; an unknown or finished one is no error. Nothing more is heard of it."""
        self._run(at)
        sequence = self._sequences.get(request)
        if sequence is None:
            return
        self._cut()
        self._drop(sequence)
        self._begin_or_cut()

    def slow(self, factor: float, at: float) -> None:
        """From the next step on everything takes `factor` times as long as at first; the one under way ends as it began.

        Raises:
            ValueError: a time in the past.
        """
        self._run(at)
        self._cut()
        self._times = slowed(self._given, factor)

    def advance(self, to: float) -> list[Event]:
        """Everything that happened since the last call, up to and including the time `to`.

        Raises:
            ValueError: a time in the past.
        """
        self._run(to)
        events, self._events = self._events, []
        return events

    def next_event_at(self) -> float | None:
        """When `advance` should be called next: nothing happens before. None while the engine is idle."""
        if self._events:
            return self._events[0].at
        at = self._next_time()
        return at if at < math.inf else None

    def _next_time(self) -> float:
        step_end = self._step.end if self._step else math.inf
        return min(step_end, self._ripening[0][0]) if self._ripening else step_end

    def _run(self, to: float) -> None:
        """The engine's clock at `to`, with all steps before it done."""
        if to < self._now:
            raise ValueError(f"time {to} is before {self._now}")
        while (at := self._next_time()) <= to and at < math.inf:
            self._now = at
            if self._step and self._step.end <= at:
                self._complete()
            self._ripen()
            if self._step is None:
                self._begin()
        self._now = to

    def _begin_or_cut(self) -> None:
        """After a change from outside: the next step takes it in."""
        if self._step is None:
            self._begin()
        else:
            self._cut()

    def _cut(self) -> None:
        """A row of steps ends with the step that is under way."""
        step = self._step
        if step is None or step.count == 1:
            return
        done = step.whole_by(self._now)
        self._count_decoded(done)
        self._step = Step(
            start=step.start + step.seconds(done),
            first_seconds=step.first_seconds + step.growth_seconds * done,
        )

    def _count_decoded(self, steps: int) -> None:
        self._steps_done += steps
        self._kv_tokens += steps * self._growing
        self._context += steps * len(self._decoding)

    # The start of a step

    def _begin(self) -> None:
        """Joins, makes room, admits, and sets the next step up; None where there is nothing to do."""
        for sequence in self._joining:
            self._join(sequence)
        self._joining.clear()
        preempted = self._make_room()
        if not preempted:
            self._admit()
        decode_seconds = self._decode_seconds()
        budget = max(1, self._budget - len(self._decoding))
        chunks, chunk_seconds = chunked(self._prefilling, self._times, budget, decode_seconds)
        if self._decoding:
            self._step = Step(
                start=self._now,
                first_seconds=decode_seconds + self._times.prefill_interference * chunk_seconds,
                growth_seconds=self._growth_seconds(),
                count=1 if chunks or preempted else self._steps_in_a_row(),
                chunks=chunks,
            )
        elif chunks:
            seconds = chunk_seconds + self._times.overhead_seconds
            self._step = Step(start=self._now, first_seconds=seconds, chunks=chunks)

    def _join(self, sequence: Sequence) -> None:
        if sequence.gone:
            return
        sequence.joined_step = self._steps_done
        sequence.finish_step = self._steps_done + sequence.generation.output_tokens - sequence.generated
        heapq.heappush(self._finishing, (sequence.finish_step, next(self._numbers), sequence))
        self._decoding[sequence.generation.id] = sequence
        self._growing += sequence.held_share
        self._context += sequence.prompt
        self._watched += sequence.generation.every_token

    def _make_room(self) -> int:
        """Preempts the newest until every decoding sequence has room for its next token; how many were."""
        preempted = 0
        while self._kv_tokens + self._growing > self._times.kv_capacity_tokens:
            newest = max((*self._decoding.values(), *self._prefilling), key=lambda s: s.order)
            self._preempt(newest)
            preempted += 1
        return preempted

    def _preempt(self, sequence: Sequence) -> None:
        tokens = self._tokens_of(sequence)
        self._release(sequence)
        sequence.generated = tokens
        sequence.prompt = sequence.generation.input_tokens + tokens
        sequence.prefilled = sequence.generation.cached_tokens
        sequence.admitted = False
        self._waiting.appendleft(sequence)
        self._preemptions += 1
        self._tell(EventKind.PREEMPTED, sequence, tokens)

    def _admit(self) -> None:
        """Waiting requests, in order, while there is a free slot and room for the whole prompt."""
        spare = int(_WATERMARK * self._times.kv_capacity_tokens)
        while self._waiting and self.running < self._times.max_sequences:
            needed = self._waiting[0].held + (spare if self.running else 0)
            if self._kv_tokens + needed > self._times.kv_capacity_tokens:
                return
            sequence = self._waiting.popleft()
            sequence.admitted = True
            self._kv_tokens += sequence.held
            self._prefilling.append(sequence)

    def _decode_seconds(self) -> float:
        count = len(self._decoding)
        return self._times.decode_seconds(count, self._context / count) if count else 0.0

    def _steps_in_a_row(self) -> int:
        """Steps until a sequence finishes or memory runs out; one where somebody wants to see every token."""
        if self._watched:
            return 1
        room = (self._times.kv_capacity_tokens - self._kv_tokens) // self._growing
        alike = min(self._next_finish_step() - self._steps_done, int(room))
        within = self._times.window_tokens - self._context / len(self._decoding)
        return max(1, alike if within <= 0 else min(alike, int(within) + 1))

    def _growth_seconds(self) -> float:
        """By how much a step is longer than the one before: a context beyond the window grows in some layers alone."""
        count, times = len(self._decoding), self._times
        beyond = self._context >= times.window_tokens * count
        return times.kv_seconds_per_token * times.read_for(count) * (1.0 - times.window_share * beyond)

    def _next_finish_step(self) -> int:
        while True:
            finish_step, _, sequence = self._finishing[0]
            if self._decodes_until(sequence, finish_step):
                return finish_step
            heapq.heappop(self._finishing)

    def _decodes_until(self, sequence: Sequence, finish_step: int) -> bool:
        """Whether an entry of the heap still holds: neither gone nor preempted since."""
        return sequence.finish_step == finish_step and sequence.generation.id in self._decoding

    # The end of a step

    def _complete(self) -> None:
        step, self._step = self._step, None
        assert step is not None
        if self._decoding:
            self._count_decoded(step.count)
            self._tell_decoded()
        lag = 1.0 - 1.0 / self._times.pipeline_stages
        for sequence, size in step.chunks:
            sequence.prefilled += size
            if sequence.gone or sequence.prefilled < sequence.prompt:
                continue
            self._prefilling.remove(sequence)
            alone = self._times.prefill_seconds(sequence.prompt, sequence.generation.cached_tokens)
            beyond = self._times.first_token_seconds + (self._times.first_token_factor - 1.0 + lag) * alone
            ripe_at = self._now + max(beyond, 0.0)
            heapq.heappush(self._ripening, (ripe_at, sequence.order, sequence))

    def _tell_decoded(self) -> None:
        for sequence in self._watched_sequences():
            self._tell(EventKind.TOKEN, sequence, self._tokens_of(sequence))
        while self._finishing and self._finishing[0][0] <= self._steps_done:
            finish_step, _, sequence = heapq.heappop(self._finishing)
            if self._decodes_until(sequence, finish_step):
                self._finish(sequence)

    def _watched_sequences(self) -> Iterator[Sequence]:
        if self._watched:
            yield from (s for s in self._decoding.values() if s.generation.every_token)

    def _ripen(self) -> None:
        """First tokens that come out now; their sequences decode from the next step on."""
        while self._ripening and self._ripening[0][0] <= self._now:
            _, _, sequence = heapq.heappop(self._ripening)
            if sequence.gone:
                continue
            first = sequence.generated == 0
            sequence.generated += 1
            if first or sequence.generation.every_token:
                kind = EventKind.FIRST_TOKEN if first else EventKind.TOKEN
                self._tell(kind, sequence, sequence.generated)
            if sequence.generated == sequence.generation.output_tokens:
                self._finish(sequence)
            else:
                self._joining.append(sequence)
            self._cut()

    def _finish(self, sequence: Sequence) -> None:
        self._tell(EventKind.FINISHED, sequence, sequence.generation.output_tokens)
        self._drop(sequence)

    def _drop(self, sequence: Sequence) -> None:
        """The sequence leaves the engine, wherever in it it is."""
        if sequence.admitted:
            self._release(sequence)
        else:
            self._waiting.remove(sequence)
        sequence.gone = True
        del self._sequences[sequence.generation.id]

    def _release(self, sequence: Sequence) -> None:
        """Gives back memory and slot."""
        tokens = sequence.prompt
        if self._decoding.pop(sequence.generation.id, None):
            self._growing -= sequence.held_share
            tokens += self._steps_done - sequence.joined_step
            self._context -= tokens
            self._watched -= sequence.generation.every_token
        elif sequence in self._prefilling:
            self._prefilling.remove(sequence)
        self._kv_tokens -= tokens * sequence.held_share

    def _tokens_of(self, sequence: Sequence) -> int:
        """Output tokens so far."""
        if sequence.generation.id not in self._decoding:
            return sequence.generated
        return sequence.generated + self._steps_done - sequence.joined_step

    def _tell(self, kind: EventKind, sequence: Sequence, tokens: int) -> None:
        self._events.append(Event(kind=kind, request=sequence.generation.id, at=self._now, tokens=tokens))
