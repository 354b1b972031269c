"""What is read of a request, and what is forwarded of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetops.router import asks, heads
from hetops.router.asks import Ask, read
from hetops.router.refusals import Refusal


def ask(value: dict[str, Any], **headers: str) -> Ask:
    """A request as it is read; underscores in header names are hyphens."""
    given_headers = {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
    return read(json.dumps(value).encode(), given_headers)


def chat(**more: Any) -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": "m", "messages": [{"role": "user", "content": "hello"}], **more}


def test_text_is_counted_in_bytes_wherever_it_stands() -> None:
    assert ask(chat()).text_bytes == 5
    parts = [{"type": "text", "text": "äö"}, {"type": "image_url", "image_url": {"url": "x" * 99}}]
    assert ask({"model": "m", "messages": [{"role": "user", "content": parts}]}).text_bytes == 4
    assert ask({"model": "m", "prompt": "four"}).text_bytes == 4
    assert ask({"model": "m", "prompt": ["one", "two"]}).text_bytes == 6


def test_prompts_of_tokens_are_counted_exactly() -> None:
    assert ask({"model": "m", "prompt": [1, 2, 3]}).input_tokens == 3
    assert ask({"model": "m", "prompt": [[1, 2], [3]]}).input_tokens == 3
    assert ask({"model": "m", "prompt": "text"}).input_tokens is None


def test_either_name_of_the_limit_is_read_and_nonsense_is_left_to_the_engine() -> None:
    assert ask(chat(max_tokens=7)).output_limit == 7
    assert ask(chat(max_completion_tokens=8, max_tokens=7)).output_limit == 8
    assert ask(chat(max_tokens="many")).output_limit is None
    assert ask(chat(max_tokens=True)).output_limit is None


def test_headers_say_what_only_the_author_knows() -> None:
    found = ask(chat(), x_hetops_class="code", x_hetops_input_tokens="12", x_hetops_output_tokens="5")
    assert (found.workload_class, found.input_tokens, found.output_tokens) == ("code", 12, 5)
    with pytest.raises(Refusal, match="must be a number above zero"):
        ask(chat(), x_hetops_input_tokens="-1")


@given(st.dictionaries(st.sampled_from(["temperature", "top_p", "stop", "user"]), st.text()))
def test_a_stream_is_asked_for_its_usage_and_nothing_else_is_changed(more: dict[str, str]) -> None:
    for options in ({}, {"stream_options": None}, {"stream_options": {"continuous_usage_stats": False}}):
        value = chat(stream=True, **more, **options)
        found = ask(value)
        assert not found.wants_usage
        forwarded = json.loads(found.body)
        expected = {**(options.get("stream_options") or {}), "include_usage": True}
        assert forwarded.pop("stream_options") == expected
        assert forwarded == {k: v for k, v in value.items() if k != "stream_options"}


def test_what_needs_no_change_is_forwarded_byte_for_byte() -> None:
    for text in (
        '{ "model":"m",  "messages":[] }',
        '{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
    ):
        assert read(text.encode(), {}).body == text.encode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"{}", "missing_model"),
        (b'{"model": 3}', "missing_model"),
    ],
)
def test_what_is_no_request_is_refused_in_the_shape_that_clients_read(body: bytes, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(body, {})
    assert caught.value.status == 400
    error = json.loads(caught.value.body)["error"]
    assert error["code"] == code
    assert set(error) == {"message", "type", "param", "code"}


def test_an_engine_gets_neither_key_nor_cookie_nor_framing_of_the_client() -> None:
    headers = [
        (b"authorization", b"Bearer secret"),
        (b"cookie", b"secret"),
        (b"x-api-key", b"secret"),
        (b"connection", b"x-hetops-class"),
        (b"transfer-encoding", b"chunked"),
        (b"content-type", b"application/json"),
        (b"traceparent", b"00-1-2-01"),
        (b"x-hetops-input-tokens", b"3"),
    ]
    head = heads.request_head(b"/v1/completions", b"engine:80", headers, 9, b"id-1")
    assert b"secret" not in head
    assert b"chunked" not in head
    for line in (b"content-length: 9", b"host: engine:80", b"traceparent: 00-1-2-01", b"x-request-id: id-1"):
        assert head.count(line + b"\r\n") == 1


def test_what_concerns_one_connection_does_not_come_back() -> None:
    headers = [
        (b"connection", b"close, X-Private"),
        (b"x-private", b"1"),
        (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"),
        (b"server", b"vllm"),
    ]
    assert heads.end_to_end(headers) == [(b"server", b"vllm")]


def test_an_empty_part_never_ends_a_chunked_body() -> None:
    assert heads.chunk(b"") == b""
    assert heads.chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"


def test_the_names_of_the_headers_are_the_documented_ones() -> None:
    assert asks.CLASS_HEADER == b"x-hetops-class"
