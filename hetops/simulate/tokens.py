"""How the emulated engine counts and makes tokens: four bytes each, and words that say nothing."""

from __future__ import annotations

BYTES_PER_TOKEN = 4
"""English text under the tokenizers of the Llama 3 and Qwen families: 4 to 4.5 bytes a token."""

MARK = "[emulated]"
"""The first token of every answer."""

_WORDS = (
    " one",
    " two",
    " red",
    " sun",
    " oak",
    " sea",
    " fog",
    " ash",
    " elm",
    " ray",
    " ice",
    " owl",
    " fig",
)


def count(text: str) -> int:
    """Tokens of a text by the rule of four bytes a token, rounded up; an empty text has none."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def word(index: int) -> str:
    """The text of output token `index` (from 0)."""
    return MARK if index == 0 else _WORDS[(index - 1) % len(_WORDS)]


def text(start: int, end: int) -> str:
    """The text of output tokens `start` to `end`, the last one excluded."""
    return "".join(word(index) for index in range(start, end))
