"""Requests are recognised by their lengths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hetops.router.classify import Classifier, LearntLengths, Lengths
from hetops.router.config import RoutedClass

CLASSES = (
    RoutedClass(name="chat", input_tokens=300, output_tokens=200, requests_per_second=9.0),
    RoutedClass(name="code", input_tokens=2000, output_tokens=30, requests_per_second=1.0),
    RoutedClass(name="terse", input_tokens=300, output_tokens=10, requests_per_second=1.0),
)


def name(input_tokens: int, limit: int | None = None, learnt: LearntLengths | None = None) -> str:
    """The class of a request."""
    lengths = Lengths(input_tokens=input_tokens, output_limit=limit)
    return Classifier(CLASSES).classify(lengths, learnt or LearntLengths())


def test_lengths_at_the_centre_of_a_class_are_of_that_class() -> None:
    for known in CLASSES:
        assert name(int(known.input_tokens), int(known.output_tokens)) == known.name


def test_without_an_output_length_the_nearest_input_counts_and_then_the_busier_class() -> None:
    assert name(2200) == "code"
    assert name(300) == "chat"


def test_answers_teach_what_a_generous_limit_really_means() -> None:
    learnt = LearntLengths()
    generous = Lengths(input_tokens=310, output_limit=4096)
    assert name(310, 4096, learnt) == "chat"
    for _ in range(10):
        learnt.learn_output(generous, 9)
    assert name(310, 4096, learnt) == "terse"
    assert name(310, 200, learnt) == "chat", "other limits are other requests"


def test_no_answer_is_expected_to_be_longer_than_its_limit() -> None:
    learnt = LearntLengths()
    for _ in range(10):
        learnt.learn_output(Lengths(input_tokens=300, output_limit=15), 15)
    assert learnt.output_tokens(Lengths(input_tokens=300, output_limit=8)) == 8


def test_the_authors_word_counts_for_more_than_what_was_learnt() -> None:
    lengths = Lengths(input_tokens=300, output_limit=4096, output_tokens=10)
    assert Classifier(CLASSES).classify(lengths, LearntLengths()) == "terse"


def test_bytes_per_token_follow_the_answers() -> None:
    learnt = LearntLengths()
    assert learnt.input_tokens(4000) == 1000
    for _ in range(100):
        learnt.learn_ratio(2000, 1000)
    assert abs(learnt.bytes_per_token - 2.0) < 0.1
    assert abs(learnt.input_tokens(4000) - 2000) < 100


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=50))
def test_the_ratio_stays_a_number_above_zero_whatever_answers_say(answers: list[tuple[int, int]]) -> None:
    learnt = LearntLengths()
    for text_bytes, tokens in answers:
        learnt.learn_ratio(text_bytes, tokens)
    assert learnt.bytes_per_token > 0
    assert learnt.input_tokens(0) == 1


@given(st.integers(1, 10**6), st.one_of(st.none(), st.integers(1, 10**6)))
def test_every_request_is_of_some_class(input_tokens: int, limit: int | None) -> None:
    assert name(input_tokens, limit) in {c.name for c in CLASSES}
