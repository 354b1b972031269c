"""Decides what one step of an engine holds of the prompts, and how long a row of steps takes. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace

from hetops.domain.performance import StepTimes
from hetops.simulate.engine import Generation


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """A request inside an engine."""

    generation: Generation
    order: int
    prompt: int
    """Tokens to prefill: the input, and after a preemption also what was generated."""
    held_share: float = 1.0
    """Share of its tokens that the KV cache holds, by what it keeps of the whole request."""
    prefilled: int = 0
    generated: int = 0
    """Output tokens when it last joined the decoding ones."""
    joined_step: int = 0
    finish_step: int = -1
    admitted: bool = False
    gone: bool = False

    @property
    def held(self) -> float:
        """What its prompt takes of the KV cache, in tokens that all layers keep."""
        return self.prompt * self.held_share


@dataclass(slots=True, kw_only=True)
class Step:
    """The work in progress: `count` decode steps in a row, or one step with chunks."""

    start: float
    first_seconds: float
    growth_seconds: float = 0.0
    """Each step of a row is longer than the one before, as every context grows by a token."""
    count: int = 1
    chunks: list[tuple[Sequence, int]] = field(default_factory=list)
    end: float = field(init=False)
    """When the last one is over."""

    def __post_init__(self) -> None:
        self.end = self.start + self.seconds(self.count)

    def seconds(self, steps: int) -> float:
        """Of so many steps from the first one on."""
        return steps * self.first_seconds + self.growth_seconds * steps * (steps - 1) / 2.0

    def whole_by(self, at: float) -> int:
        """Steps of the row that are over at that time, the last one excepted."""
        left = max(at - self.start, 0.0)
        half, linear = self.growth_seconds / 2.0, self.first_seconds - self.growth_seconds / 2.0
        root = _root(half, linear, left, self.count)
        return max(0, min(int(root), self.count - 1))


def chunked(
    prefilling: Iterable[Sequence], times: StepTimes, budget: int, decode_seconds: float
) -> tuple[list[tuple[Sequence, int]], float]:
    """The prompts' parts that ride on a step, and the time that they would take alone.

    `budget` is how many tokens they may have, `decode_seconds` what the step takes without them: 0 where nothing decodes.
    """
    hidden = 1.0 - times.prefill_interference
    most_seconds = decode_seconds / hidden if decode_seconds and hidden > 0 else math.inf
    chunks: list[tuple[Sequence, int]] = []
    seconds = 0.0
    for sequence in prefilling:
        size = min(budget, sequence.prompt - sequence.prefilled)
        if most_seconds < math.inf:
            size = int(_tokens_within(most_seconds - seconds, sequence.prefilled, times, size))
        size = max(size, 0 if chunks else 1)
        if size == 0:
            break
        chunks.append((sequence, size))
        seconds += _chunk_seconds(sequence.prefilled, size, times)
        budget -= size
    return chunks, seconds + _waiting_seconds(chunks, times)


def _waiting_seconds(chunks: list[tuple[Sequence, int]], times: StepTimes) -> float:
    """What the parts of a replica that attend to requests of their own wait for the one that has most of the chunks."""
    if times.attention_groups == 1 or not chunks:
        return 0.0
    each = (times.waiting_seconds(s.prefilled + size, s.prefilled, len(chunks)) for s, size in chunks)
    return sum(each) / times.pipeline_stages


def _chunk_seconds(done: int, size: int, times: StepTimes) -> float:
    """Time of a prompt's tokens from `done` on, less the step's own overhead; stages work on chunks in turn."""
    squares = times.prefill_seconds_per_token_squared * (times.squares(done + size) - times.squares(done))
    return (times.prefill_seconds_per_token * size + squares) / times.pipeline_stages


def _tokens_within(seconds: float, done: int, times: StepTimes, most: int) -> float:
    """The largest chunk from `done` on that takes no longer than that, a token begun included; at most `most`. One that grows
    out of the window is taken for a longer one than it is."""
    square = times.prefill_seconds_per_token_squared
    beyond = max(done - times.window_tokens, 0.0)
    linear = times.prefill_seconds_per_token + 2.0 * square * (done - times.within_prompts * beyond)
    square *= 1.0 - times.within_prompts * (done >= times.window_tokens)
    return _root(square, linear, max(seconds, 0.0) * times.pipeline_stages, most)


def _root(square: float, linear: float, value: float, most: float) -> float:
    """The x at which square * x * x + linear * x is the value, none of them below zero; at most `most`.

    In the form that loses no digits where the square is next to nothing.
    """
    slope = linear + math.sqrt(linear * linear + 4.0 * square * value)
    return min(2.0 * value / slope, most) if slope > 0 else most


def slowed(times: StepTimes, factor: float) -> StepTimes:
    """The same engine, every step of which takes `factor` times as long."""
    seconds = {f.name: getattr(times, f.name) * factor for f in fields(times) if "seconds" in f.name}
    return replace(times, **seconds, curve=times.curve.scaled(factor) if times.curve else None)
