"""Decides which workload class a request is of, from its lengths. Pure: lengths in, names out; no tokenizer.

Input tokens are estimated from bytes at a ratio that answers teach. The output length is what requests alike had (alike:
input and limit within the same powers of two); until some were seen, the limit that the request names. Where nothing tells
it, the class nearest in input length counts, the more so the more requests were planned for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hetops.router.config import RoutedClass

_BYTES_PER_TOKEN = 4.0
"""English text under the tokenizers of the Llama 3 and Qwen families; the ratio until answers say better."""

_RATIO_MEMORY_TOKENS = 20_000.0
"""How many tokens the learnt ratio goes back, about."""

_ENOUGH = 8
"""Answers of a kind from which on their length counts for more than the limit."""

_OUTPUT_MEMORY = 64
"""How many answers of a kind are remembered, about."""

_SPREAD = 0.5
"""Standard deviation of the logarithm of a class's input length, as far as the guess without an output length goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """What a request says of its lengths. `output_tokens` is its author's word, where it gave one."""

    input_tokens: int
    output_limit: int | None = None
    output_tokens: int | None = None

    @property
    def most_tokens(self) -> int:
        """The context that the request may need."""
        return self.input_tokens + (self.output_limit or 0)


class LearntLengths:
    """What answers taught about lengths. Bounded: a few hundred numbers at most."""

    def __init__(self) -> None:
        self._tokens = _RATIO_MEMORY_TOKENS / 10
        self._bytes = self._tokens * _BYTES_PER_TOKEN
        self._outputs: dict[tuple[int, int], tuple[float, int]] = {}

    @property
    def bytes_per_token(self) -> float:
        """Of prompts."""
        return self._bytes / self._tokens

    def input_tokens(self, text_bytes: int) -> int:
        """The estimate for a prompt of so many bytes."""
        return max(1, round(text_bytes / self.bytes_per_token))

    def learn_ratio(self, text_bytes: int, input_tokens: int) -> None:
        """A prompt of so many bytes had so many tokens."""
        if text_bytes < 1 or input_tokens < 1:
            return
        kept = max(0.0, 1.0 - input_tokens / _RATIO_MEMORY_TOKENS)
        self._bytes = self._bytes * kept + text_bytes
        self._tokens = self._tokens * kept + input_tokens

    def learn_output(self, lengths: Lengths, output_tokens: int) -> None:
        """An answer to a request of these lengths had so many tokens."""
        kind = _kind(lengths)
        mean, count = self._outputs.get(kind, (0.0, 0))
        count = min(count + 1, _OUTPUT_MEMORY)
        self._outputs[kind] = (mean + (math.log(max(output_tokens, 1)) - mean) / count, count)

    def output_tokens(self, lengths: Lengths) -> float | None:
        """The expected length of the answer; None where nothing tells it."""
        if lengths.output_tokens is not None:
            return float(lengths.output_tokens)
        mean, count = self._outputs.get(_kind(lengths), (0.0, 0))
        if count < _ENOUGH:
            return None if lengths.output_limit is None else float(lengths.output_limit)
        return min(math.exp(mean), lengths.output_limit or math.inf)


class Classifier:
    """Recognises the classes of a configuration."""

    def __init__(self, classes: Sequence[RoutedClass]) -> None:
        self._classes = tuple(
            _Centre(c.name, math.log(c.input_tokens), math.log(c.output_tokens), c.requests_per_second)
            for c in classes
        )

    def classify(self, lengths: Lengths, learnt: LearntLengths) -> str:
        """The name of the class that the request is of."""
        classes = self._classes
        if len(classes) == 1:
            return classes[0].name
        at_input = math.log(max(lengths.input_tokens, 1))
        output = learnt.output_tokens(lengths)
        if output is None:
            return min(classes, key=lambda c: c.unlikeliness(at_input)).name
        at_output = math.log(max(output, 1.0))
        return min(classes, key=lambda c: c.distance(at_input, at_output)).name


class _Centre:
    """The middle of a class, in logarithms."""

    __slots__ = ("at_input", "at_output", "name", "rarity")

    def __init__(self, name: str, at_input: float, at_output: float, requests_per_second: float) -> None:
        self.name, self.at_input, self.at_output = name, at_input, at_output
        self.rarity = -math.log(max(requests_per_second, 1e-9))

    def distance(self, at_input: float, at_output: float) -> float:
        return (at_input - self.at_input) ** 2 + (at_output - self.at_output) ** 2

    def unlikeliness(self, at_input: float) -> float:
        away = (at_input - self.at_input) / _SPREAD
        return away * away / 2 + self.rarity


def _kind(lengths: Lengths) -> tuple[int, int]:
    limit = lengths.output_limit
    return lengths.input_tokens.bit_length(), -1 if limit is None else limit.bit_length()
