"""What is measured of an answer, and that nothing of it is lost on the way."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetops.router.events import StreamMeter, Usage, WholeMeter

USAGE = {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}


def event(value: dict[str, Any], end: bytes = b"\n\n") -> bytes:
    """One event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + end


def chunk(content: str | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """One chunk of a chat."""
    delta = {} if content is None else {"content": content}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


ROLE = event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
TOKENS = [event(chunk(f" t{i}")) for i in range(4)]
FINISH = event(chunk(None, "stop"))
USED = event({"choices": [], "usage": USAGE})
DONE = b"data: [DONE]\n\n"
STREAM = b"".join((ROLE, *TOKENS, FINISH, USED, DONE))


def fed(pieces: list[bytes], usage: Usage = Usage.HIDDEN) -> tuple[StreamMeter, bytes]:
    """A meter that was fed pieces a second apart, and what it passed on."""
    meter = StreamMeter(usage)
    out = b"".join(meter.feed(piece, float(at)) for at, piece in enumerate(pieces))
    return meter, out + meter.rest()


def test_the_first_token_is_the_first_with_content_and_not_the_role() -> None:
    meter, _ = fed([ROLE, *TOKENS, FINISH, USED, DONE])
    assert (meter.first_at, meter.last_at) == (1.0, 4.0)
    assert meter.tpot_seconds == 1.0
    assert (meter.input_tokens, meter.output_tokens) == (11, 4)
    assert meter.done
    assert not meter.failed


def test_without_usage_content_events_are_counted() -> None:
    meter, _ = fed([ROLE, *TOKENS, FINISH, DONE])
    assert meter.output_tokens == 4
    assert meter.input_tokens == 0


def test_a_last_token_may_come_with_the_finish_reason() -> None:
    meter, _ = fed([ROLE, TOKENS[0], event(chunk(" end", "length")), DONE])
    assert meter.output_tokens == 2
    assert meter.last_at == 2.0


@pytest.mark.parametrize(
    "delta", [{"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}, {"content": "x"}]
)
def test_reasoning_and_tool_calls_are_content(delta: dict[str, Any]) -> None:
    meter, _ = fed([event({"choices": [{"delta": delta}]})])
    assert meter.first_at == 0.0


def test_the_usage_event_is_taken_out_unless_it_was_asked_for() -> None:
    assert fed([STREAM])[1] == STREAM.replace(USED, b"")
    assert fed([STREAM], Usage.SHOWN)[1] == STREAM


def test_usage_beside_a_choice_is_read_and_stays() -> None:
    last = event(chunk(None, "stop", usage=USAGE))
    meter, out = fed([TOKENS[0], last, DONE])
    assert out == TOKENS[0] + last + DONE
    assert meter.output_tokens == 4


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=30), st.sampled_from([b"\n\n", b"\r\n\r\n"]))
def test_however_a_stream_is_cut_into_pieces_the_same_is_passed_on_and_counted(
    cuts: list[int], end: bytes
) -> None:
    stream, used = STREAM.replace(b"\n\n", end), USED.replace(b"\n\n", end)
    at = sorted({0, *cuts, len(stream)})
    meter, out = fed([stream[a:b] for a, b in itertools.pairwise(at)])
    assert out == stream.replace(used, b"")
    assert (meter.input_tokens, meter.output_tokens, meter.seen_tokens) == (11, 4, 4)


def test_text_that_looks_like_protocol_is_text() -> None:
    tricky = event(chunk('data: [DONE] "usage":{} \n\ndata: x'))
    meter, out = fed([TOKENS[0], tricky, TOKENS[1], DONE])
    assert out == TOKENS[0] + tricky + TOKENS[1] + DONE
    assert meter.seen_tokens == 3


def test_comments_pass_and_count_nothing() -> None:
    meter, out = fed([TOKENS[0], b": ping\n\n", TOKENS[1]])
    assert out == TOKENS[0] + b": ping\n\n" + TOKENS[1]
    assert meter.output_tokens == 2


def test_an_error_in_the_stream_is_noticed() -> None:
    meter, out = fed([TOKENS[0], event({"error": {"message": "out of memory"}})])
    assert meter.failed
    assert b"out of memory" in out


def test_an_endless_event_is_not_kept_back_for_ever() -> None:
    meter = StreamMeter(Usage.HIDDEN)
    sent = sum(len(meter.feed(b"x" * 100_000, 0.0)) for _ in range(50))
    assert sent + len(meter.rest()) == 5_000_000
    assert sent >= 4_000_000


def test_what_is_cut_off_is_passed_on_at_the_end() -> None:
    assert fed([TOKENS[0], b"data: {half"])[1] == TOKENS[0] + b"data: {half"


def test_the_usage_of_a_whole_answer_is_read_across_pieces() -> None:
    meter = WholeMeter()
    body = json.dumps({"choices": [], "usage": USAGE}).encode()
    for piece in (body[:10], body[10:]):
        meter.feed(piece)
    assert meter.tokens() == (11, 4)


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b'{"usage":null}', b'{"usage":{"prompt_tokens":"x"}}']
)
def test_an_answer_without_usage_has_no_tokens(body: bytes) -> None:
    meter = WholeMeter()
    meter.feed(body)
    assert meter.tokens() == (0, 0)


def test_an_enormous_answer_is_not_kept() -> None:
    meter = WholeMeter()
    for _ in range(10):
        meter.feed(b"x" * (1 << 20))
    assert meter.tokens() == (0, 0)
