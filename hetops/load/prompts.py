"""Prompts of about a wanted number of tokens, no two alike, so that no cache of prompts flatters an engine. Pure.

The words are short and common: one token each under most tokenizers, about five bytes with their blank. How many tokens
a prompt really has is the engine's to say; `Fit` corrects by what it said of two probes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_WORDS = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
    "father",
    "power",
    "hour",
    "game",
    "line",
    "end",
    "member",
    "law",
    "car",
    "city",
    "name",
    "team",
    "minute",
    "idea",
    "body",
    "back",
    "parent",
    "face",
    "others",
    "level",
    "office",
    "door",
    "health",
    "person",
    "art",
    "war",
    "history",
    "party",
    "result",
    "change",
    "morning",
    "reason",
    "research",
    "girl",
    "guy",
    "moment",
    "air",
    "teacher",
]
SHORT_PROBE_WORDS = 4
_LONG_PROBE_WORDS = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How an engine counts our prompts: so many tokens a word, and so many for the template around them."""

    tokens_per_word: float = 1.0
    tokens_around: float = 0.0

    def words(self, tokens: int) -> int:
        """Words that make a prompt of so many tokens, at least one."""
        return max(1, round((tokens - self.tokens_around) / self.tokens_per_word))


def long_probe_words(short_tokens: int, most_tokens: int) -> int:
    """Words of a second probe that has no more tokens than allowed, going by what the first had."""
    return min(_LONG_PROBE_WORDS, SHORT_PROBE_WORDS * most_tokens // max(1, short_tokens))


def fit(short_tokens: int, long_words: int, long_tokens: int) -> Fit:
    """The fit through what an engine counted for both probes; where there was room for one only, through that one."""
    if long_words <= SHORT_PROBE_WORDS:
        return Fit(tokens_per_word=max(1, short_tokens) / SHORT_PROBE_WORDS)
    per_word = (long_tokens - short_tokens) / (long_words - SHORT_PROBE_WORDS)
    around = short_tokens - per_word * SHORT_PROBE_WORDS
    return Fit(tokens_per_word=per_word, tokens_around=max(0.0, around)) if per_word > 0 else Fit()


def prompt(words: int, seed: int) -> str:
    """So many words; different seeds differ from the first word on."""
    source = random.Random(seed)
    return " ".join(source.choices(_WORDS, k=words))
