"""What a streamed answer says, however the network cuts it."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.load.stream import Answer

BODY = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    b": ping\n\n"
    b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":" b"}}]}\r\n\r\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"length"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
    b"data: [DONE]\n\n"
)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_an_answer_reads_alike_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(BODY)]
    answer = Answer()
    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        answer.feed(BODY[start:end], at=float(number))
    assert (answer.input_tokens, answer.tokens, answer.pieces, answer.whole) == (7, 3, 2, True)


def test_the_role_is_no_first_token() -> None:
    answer = Answer()
    first, _, rest = BODY.partition(b": ping")
    answer.feed(first, at=1.0)
    assert answer.first_at is None
    answer.feed(rest, at=2.0)
    assert answer.first_at == 2.0


def test_the_gap_between_tokens_is_from_the_first_to_the_last() -> None:
    answer = Answer()
    for at, word in enumerate(("a", "b", "c")):
        answer.feed(b'data: {"choices":[{"delta":{"content":"%s"}}]}\n' % word.encode(), at=float(at))
    assert answer.tpot_seconds == 1.0
    assert not answer.whole


def test_an_error_in_a_stream_is_kept() -> None:
    answer = Answer()
    answer.feed(b'data: {"error":{"message":"out of memory"}}\n', at=0.0)
    assert "out of memory" in answer.error


def test_completions_and_reasoning_count_as_text() -> None:
    answer = Answer()
    answer.feed(
        b'data: {"choices":[{"text":"a"}]}\ndata: {"choices":[{"delta":{"reasoning_content":"b"}}]}\n', at=0.0
    )
    assert answer.pieces == 2


def test_tokens_that_came_in_one_piece_have_no_gap_between_them() -> None:
    answer = Answer()
    answer.feed(BODY, at=1.0)
    assert answer.tokens == 3
    assert answer.tpot_seconds is None


def test_a_count_below_zero_is_none() -> None:
    answer = Answer()
    answer.feed(BODY.replace(b":7,", b":-7,").replace(b":3}", b":-3}"), at=1.0)
    assert (answer.input_tokens, answer.tokens) == (0, 2)


def test_what_is_json_but_no_event_of_ours_is_passed_over_and_what_is_none_spoils_the_answer() -> None:
    other, broken = Answer(), Answer()
    other.feed(b'data: {"choices":null}\ndata: {"usage":{"prompt_tokens":"x"}}\n' + BODY, at=1.0)
    assert (other.tokens, other.whole, other.nonsense) == (3, True, "")
    broken.feed(BODY + b"data: \xff\xfe\n", at=1.0)
    assert "no event: b'\\xff\\xfe'" in broken.nonsense


def event(choice: str, more: str = "") -> bytes:
    """An event of one choice, and other fields of it."""
    return f'data: {{"choices":[{choice}]{more}}}\n'.encode()


def test_the_last_token_may_have_no_text() -> None:
    answer = Answer(most_tokens=5)
    answer.feed(event('{"delta":{"content":"a"}}'), at=1.0)
    answer.feed(event('{"delta":{"content":""}}'), at=2.0)
    answer.feed(event('{"delta":{},"finish_reason":"length"}'), at=5.0)
    assert (answer.tokens, answer.tpot_seconds, answer.whole) == (5, 1.0, True)


def test_an_answer_of_tokens_without_text_has_its_first_at_its_end_and_one_without_tokens_none() -> None:
    silent, empty = Answer(most_tokens=2), Answer(most_tokens=2)
    for answer, reason in ((silent, "length"), (empty, "stop")):
        answer.feed(event('{"delta":{"role":"assistant"}}'), at=1.0)
        answer.feed(event(f'{{"delta":{{}},"finish_reason":"{reason}"}}'), at=3.0)
    assert (silent.began_at, silent.tpot_seconds) == (3.0, None)
    assert empty.began_at is None


def test_counts_that_are_not_known_yet_cost_no_token() -> None:
    answer = Answer()
    for told in ("null", "1.0", '"x"', "2.0"):
        answer.feed(
            event('{"delta":{"content":"a"}}', f',"usage":{{"prompt_tokens":9,"completion_tokens":{told}}}'),
            1.0,
        )
    assert (answer.pieces, answer.input_tokens, answer.output_tokens) == (4, 9, 2)
