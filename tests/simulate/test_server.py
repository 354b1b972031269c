"""The emulated engine over real HTTP: OpenAI's shapes, vLLM's metrics, and never a pretence of being real."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.simulate.engines import MODEL, PATIENCE_SECONDS, RunningEngine, chat_body, engine


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """One engine for all tests that leave it as it was; twenty times as fast as time."""
    with engine(tmp_path_factory.mktemp("engine"), speed=20.0) as found:
        yield found


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """One engine as fast as time: 8,000 tokens take longer than any test waits."""
    with engine(tmp_path_factory.mktemp("slow")) as found:
        yield found


def streamed(running: RunningEngine, path: str = "/v1/chat/completions", **fields: object) -> list[str]:
    """What stands after `data:` in each event."""
    body = chat_body(stream=True, **fields)
    if path == "/v1/completions":
        body = {k: v for k, v in body.items() if k != "messages"} | {"prompt": "hello there"}
    with running.client.stream("POST", path, json=body) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [line.removeprefix("data: ") for line in answer.iter_lines() if line]


def test_it_is_healthy_and_names_its_model(running: RunningEngine) -> None:
    assert running.client.get("/health").status_code == 200
    (model,) = running.client.get("/v1/models").json()["data"]
    assert (model["id"], model["object"], model["max_model_len"]) == (MODEL, "model", 8192)


def test_a_chat_has_openais_shape_and_usage(running: RunningEngine) -> None:
    answer = running.chat(max_tokens=7).json()
    (choice,) = answer["choices"]
    assert answer["object"] == "chat.completion"
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "length"
    # "hello there" has 11 bytes, four to the token.
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}


def test_it_says_of_itself_that_it_is_emulated(running: RunningEngine) -> None:
    answer = running.chat()
    assert answer.headers["server"] == "hetops-emulated"
    assert answer.headers["x-hetops-emulated"] == f"L4 {MODEL}"
    assert answer.json()["model"] == f"{MODEL} (emulated)"
    assert answer.json()["choices"][0]["message"]["content"].startswith("[emulated]")
    assert running.client.get("/nowhere").headers["server"] == "hetops-emulated"
    assert running.client.get("/v1/models").json()["data"][0]["owned_by"] == "hetops-emulator"
    assert 'engine="emulated"' in running.client.get("/metrics").text


@pytest.mark.parametrize("prompt", ["hello there", [1, 2, 3], ["hello there"]])
def test_a_completion_takes_text_or_token_ids(running: RunningEngine, prompt: object) -> None:
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 4}
    answer = running.client.post("/v1/completions", json=body).json()
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"].startswith("[emulated]")
    assert answer["usage"]["prompt_tokens"] == 3


def test_a_streamed_chat_gives_each_token_its_own_event_and_ends_with_done(running: RunningEngine) -> None:
    events = streamed(running, max_tokens=6)
    assert events[-1] == "[DONE]"
    chunks = [json.loads(e)["choices"][0] for e in events[:-1]]
    assert chunks[0]["delta"] == {"role": "assistant", "content": ""}
    assert len([c for c in chunks[1:] if c["delta"].get("content")]) == 6
    assert [c["finish_reason"] for c in chunks] == [None] * 7 + ["length"]


def test_a_stream_tells_its_usage_only_where_it_was_asked_for(running: RunningEngine) -> None:
    assert not any("usage" in json.loads(e) for e in streamed(running)[:-1])
    last = json.loads(streamed(running, stream_options={"include_usage": True})[-2])
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 5


def test_a_streamed_completion_has_the_shape_of_completions(running: RunningEngine) -> None:
    events = streamed(running, "/v1/completions")
    whole = "".join(json.loads(e)["choices"][0]["text"] for e in events[:-1])
    assert {json.loads(e)["object"] for e in events[:-1]} == {"text_completion"}
    assert whole.startswith("[emulated]")


def test_an_answer_without_a_limit_has_the_default_length_and_an_end(running: RunningEngine) -> None:
    answer = running.chat(max_tokens=None).json()
    assert answer["usage"]["completion_tokens"] == 256
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_the_count_of_input_tokens_can_be_given(running: RunningEngine) -> None:
    answer = running.client.post(
        "/v1/chat/completions", json=chat_body(), headers={"x-hetops-input-tokens": "123"}
    )
    assert answer.json()["usage"]["prompt_tokens"] == 123


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "other"}, 404, "model_not_found"),
        ({"messages": []}, 400, None),
        ({"messages": "hello"}, 400, None),
        ({"max_tokens": 0}, 400, None),
        ({"max_tokens": 9000}, 400, "context_length_exceeded"),
        ({"n": 2}, 400, None),
    ],
)
def test_what_it_cannot_answer_is_refused_in_openais_shape(
    running: RunningEngine, fields: dict[str, object], status: int, code: str | None
) -> None:
    answer = running.chat(**fields)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert error["message"]


def test_broken_json_and_wrong_paths_are_refused(running: RunningEngine) -> None:
    broken = running.client.post("/v1/chat/completions", content=b"{")
    assert (broken.status_code, broken.json()["error"]["type"]) == (400, "invalid_request_error")
    assert running.client.get("/v1/embeddings").status_code == 404
    assert running.client.get("/v1/chat/completions").status_code == 405


def test_it_counts_what_vllm_counts_under_vllms_names(running: RunningEngine) -> None:
    names = (
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:time_to_first_token_seconds_count",
    )
    before = [running.metric(n) for n in names]
    running.chat(max_tokens=9)
    assert [running.metric(n) for n in names] == [before[0] + 3, before[1] + 9, before[2] + 1]
    text = running.client.get("/metrics").text
    for name in ("running", "waiting"):
        assert f"# TYPE vllm:num_requests_{name} gauge" in text
    assert "vllm:kv_cache_usage_perc{" in text
    assert "vllm:num_preemptions_total{" in text
    assert "vllm:inter_token_latency_seconds_bucket{" in text
    assert running.metric("vllm:request_success_total", 'finished_reason="length"') > 0


def until(running: RunningEngine, name: str, value: float) -> None:
    """Waits until a figure of /metrics has a value."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while running.metric(name) != value:
        assert time.monotonic() < deadline, f"{name} never became {value}"
        time.sleep(0.02)


def test_a_client_that_goes_away_frees_its_slot(slow: RunningEngine) -> None:
    aborted = slow.metric("vllm:request_success_total", 'finished_reason="abort"')
    body = chat_body(stream=True, max_tokens=8000)
    with slow.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()  # held: a generator that is dropped closes the connection
        next(lines)
        until(slow, "vllm:num_requests_running", 1)
    until(slow, "vllm:num_requests_running", 0)
    assert slow.metric("vllm:kv_cache_usage_perc") == 0
    assert slow.metric("vllm:request_success_total", 'finished_reason="abort"') == aborted + 1


def test_a_client_that_goes_away_before_a_whole_answer_frees_its_slot(slow: RunningEngine) -> None:
    with httpx.Client(base_url=slow.url, timeout=0.2) as hasty, pytest.raises(httpx.ReadTimeout):
        hasty.post("/v1/chat/completions", json=chat_body(max_tokens=8000))
    until(slow, "vllm:num_requests_running", 0)


def test_the_timing_is_that_of_the_step_times_divided_by_the_speed(running: RunningEngine) -> None:
    began = time.monotonic()
    running.chat(max_tokens=1000)
    took = time.monotonic() - began
    # 1,000 steps of 6.1 ms, twenty times as fast: never faster than that, and not much slower.
    assert 0.30 <= took < 5.0
