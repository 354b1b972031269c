"""Prompts of a wanted length, no two alike."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.load.prompts import SHORT_PROBE_WORDS, Fit, fit, long_probe_words, prompt


@settings(deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**48))
def test_a_prompt_has_the_words_asked_for(words: int, seed: int) -> None:
    assert len(prompt(words, seed).split(" ")) == words


def test_prompts_of_different_seeds_share_no_beginning_worth_caching() -> None:
    texts = [prompt(50, seed).split(" ") for seed in range(50)]
    beginnings = {tuple(words[:3]) for words in texts}
    assert len(beginnings) == 50


@settings(deadline=None)
@given(st.floats(0.5, 3.0), st.integers(0, 60), st.integers(1, 4000))
def test_two_probes_are_enough_to_hit_a_length(per_word: float, around: int, wanted: int) -> None:
    """An engine that counts so many tokens a word and so many around gets the length asked for, within two words."""

    def counted(words: int) -> int:
        return round(per_word * words) + around

    short = counted(SHORT_PROBE_WORDS)
    long = long_probe_words(short, 4000)
    found = fit(short, long, counted(long))
    real = counted(found.words(wanted))
    shortest = counted(1)
    assert abs(real - max(wanted, shortest)) <= 2 * per_word + 0.02 * wanted + 1


def test_probes_that_make_no_sense_leave_a_word_a_token() -> None:
    assert fit(50, 72, 50) == Fit()


@settings(deadline=None)
@given(st.floats(0.5, 20.0), st.integers(0, 60), st.integers(1, 500))
def test_a_long_probe_never_has_more_tokens_than_allowed(per_word: float, around: int, most: int) -> None:
    words = long_probe_words(round(per_word * SHORT_PROBE_WORDS) + around, most)
    assert words <= SHORT_PROBE_WORDS or round(per_word * words) + around <= most + per_word + words / 8


def test_where_one_probe_is_all_that_fits_it_tells_the_tokens_of_a_word() -> None:
    assert fit(40, 3, 0).words(80) == 8
